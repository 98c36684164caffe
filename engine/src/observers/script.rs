//! Carrying out what a module's script says.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use osr_ir::{Points, Step, StepAction};

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
    steps: Box<[Step]>,
    calls: AtomicU64,
    /// The first step that was refused, and why.
    failure: Mutex<Option<String>>,
}

impl Script {
    /// Carries out `steps`, which are in order.
    pub fn new(steps: &[Step]) -> Script {
        Script { steps: steps.into(), calls: AtomicU64::new(0), failure: Mutex::default() }
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Why a step was not carried out: the first one, if there are any.
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The steps that no call has reached.
    pub fn remaining(&self) -> &[Step] {
        &self.steps[self.steps.partition_point(|step| step.call <= self.calls())..]
    }
}

impl Observer for Script {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        let Event::Reached { point, .. } = *event else { return };
        if point != Points::entry() {
            return;
        }
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let Ok(found) = self.steps.binary_search_by_key(&call, |step| step.call) else { return };
        let refused = match &self.steps[found].action {
            StepAction::Invalidate => {
                at.request(Request::InvalidateAll).map_err(|error| error.to_string()).err()
            }
            StepAction::InvalidateFunctions(functions) => {
                at.invalidate(functions).map_err(|error| error.to_string()).err()
            }
            StepAction::Redefine(redefinition) => {
                at.redefine(redefinition).map_err(|error| error.to_string()).err()
            }
        };
        if let Some(why) = refused {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert_with(|| format!("the script's step at call {call}: {why}"));
        }
    }

    fn wants_points(&self) -> bool {
        true
    }
}
