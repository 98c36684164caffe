//! Carrying out what a module's script says.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use osr_ir::{Points, Step, StepAction, text};

use crate::event::Event;
use crate::thread::observation::{Observation, Request};
use crate::thread::observer::Observer;

/// An [`Observer`] that counts the calls of functions that the module defines, and requests what the
/// [script](osr_ir::Module::script) has for each. Calls are the same in every tier, so that what is redefined is
/// redefined at the same point of the execution.
///
/// It needs [points](crate::Settings::points) to be safepoints.
#[derive(Debug)]
pub struct Script {
    /// By ascending calls.
    steps: Vec<(u64, Action)>,
    calls: AtomicU64,
    /// The first step that was refused, and why.
    failure: Mutex<Option<String>>,
}

#[derive(Debug)]
enum Action {
    Step(StepAction),
    /// Bodies are added, from a text.
    Add {
        name: String,
        text: String,
    },
}

impl Script {
    /// Carries out `steps`, which are in order.
    pub fn new(steps: &[Step]) -> Script {
        let steps = steps.iter().map(|step| (step.call, Action::Step(step.action.clone()))).collect();
        Script { steps, calls: AtomicU64::new(0), failure: Mutex::default() }
    }

    /// Before that, at the given call, adds the bodies of a text called `name` to the module, and does what else the text says
    /// ([`text::parse_addition`]). It is read then, when bodies that are added before are there.
    #[must_use]
    pub fn adding(mut self, call: u64, name: &str, text: &str) -> Script {
        let after = self.steps.partition_point(|(at, action)| {
            *at < call || *at == call && matches!(action, Action::Add { .. })
        });
        self.steps.insert(after, (call, Action::Add { name: name.to_owned(), text: text.to_owned() }));
        self
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Why a step was not carried out: the first one, if there are any.
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The calls for which there are steps, and that were not reached.
    pub fn remaining(&self) -> impl Iterator<Item = u64> {
        let calls = self.calls();
        self.steps.iter().map(|(call, _)| *call).filter(move |call| *call > calls)
    }
}

impl Action {
    /// Requests what it says; what is not requested, it does.
    fn take(&self, at: &Observation<'_>) -> Result<(), String> {
        match self {
            Action::Step(StepAction::Invalidate) => text_of(at.request(Request::InvalidateAll)),
            Action::Step(StepAction::InvalidateFunctions(functions)) => text_of(at.invalidate(functions)),
            Action::Step(StepAction::Redefine(redefinition)) => text_of(at.redefine(redefinition)),
            Action::Add { name, text } => add(at, name, text).map_err(|error| format!("{name}: {error}")),
        }
    }
}

fn add(at: &Observation<'_>, name: &str, text: &str) -> Result<(), String> {
    let instance = at.instance();
    let addition = text_of(text::parse_addition(instance.module(), name, text))?;
    let redefinition = addition.redefinition().cloned();
    text_of(instance.add_bodies(addition))?;
    redefinition.map_or(Ok(()), |redefinition| text_of(at.redefine(&redefinition)))
}

fn text_of<T>(result: Result<T, impl ToString>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

impl Observer for Script {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        let Event::Reached { point, .. } = *event else { return };
        if point != Points::entry() {
            return;
        }
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let first = self.steps.partition_point(|(step, _)| *step < call);
        for (_, action) in self.steps[first..].iter().take_while(|(step, _)| *step == call) {
            if let Err(why) = action.take(at) {
                let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert_with(|| format!("the script's step at call {call}: {why}"));
            }
        }
    }

    fn wants_points(&self) -> bool {
        true
    }
}
