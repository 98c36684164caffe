//! The soak: random modules and real programs under random schedules, round by round, for as long as one
//! likes. Schedules draw mechanisms, speculation, and what becomes of guards that fail; modules are given guards, and
//! scripts that redefine their functions. Every round follows from its seed alone.
//!
//! ```text
//!   seed ─┬─ a random module, or a program ──┬─ in the interpreter ────────────────┐
//!         └─ random schedules ───────────────┴─ under each, perhaps with a shadow ─┴─> equal?
//! ```
//!
//! What a module does in the interpreter is found once, and compared with each of its executions: it takes longer to make
//! a module than to execute most of them.

use std::cell::OnceCell;
use std::fmt;

use fastrand::Rng;
use osr_engine::{Mechanism, Moves, Settings, Stress, Tier, Tiers};
use osr_ir::Module;
use serde::{Deserialize, Serialize};

use crate::drawn::{with_frame_states, with_guards, with_redefinitions};
use crate::random::{calls_of, random_module};
use crate::run::{Behavior, Call, Run, run};
use crate::schedule::{Size, random_settings, under};

/// A program to run.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its name.
    pub name: String,
    /// The module.
    pub module: Module,
    /// What to call.
    pub calls: Vec<Call>,
}

/// How often the random module of a round is executed, each time under a schedule of its own.
const EXECUTIONS: u64 = 8;

/// What was done so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Rounds.
    pub rounds: u64,
    /// Instances that were made and called under a schedule, and compared with the interpreter's.
    pub executions: u64,
    /// Rounds of random modules.
    pub modules: u64,
    /// Rounds of programs.
    pub programs: u64,
    /// Rounds and executions that came to nothing: no module comes of the seed, or it exhausts the stack.
    pub left_out: u64,
    /// Calls from outside.
    pub calls: u64,
    /// Activations that continued in other code.
    pub transitions: u64,
    /// Return slots that were swapped.
    pub hijacked_frames: u64,
    /// Frames that arrived in the landing stub.
    pub landings: u64,
    /// Guards that failed, or were made to.
    pub failed_guards: u64,
    /// Frames that left by exits of guards that are linked.
    pub linked_exits: u64,
    /// Activations besides the first that landed with a frame which stood for them.
    pub virtual_frames: u64,
    /// Those in executions in which nothing watched landings, so that they became frames of the interpreter together.
    pub unwatched_virtual_frames: u64,
    /// Times that functions were redefined.
    pub redefinitions: u64,
    /// Versions that were compiled.
    pub versions_compiled: u64,
    /// Versions whose memory was freed.
    pub versions_released: u64,
    /// Executions with a shadow interpreter.
    pub shadowed: u64,
    /// Transitions at which it compared the frame state.
    pub shadowed_transitions: u64,
    /// The transitions by tiers and place.
    pub moves: Vec<Moves>,
}

impl Totals {
    /// Compiled frames that continued in `tier`.
    pub fn landings_in(&self, tier: Tier) -> u64 {
        let landed = |moves: &&Moves| moves.from != Tier::Interpreter && moves.to == tier;
        self.moves.iter().filter(landed).map(|moves| moves.count).sum()
    }

    fn add(&mut self, run: &Run) {
        self.executions += 1;
        self.calls += run.behavior.calls.len() as u64;
        self.hijacked_frames += run.transitions.hijacked_frames;
        self.landings += run.transitions.landings;
        self.failed_guards += run.transitions.failed_guards;
        self.linked_exits += run.linked_exits;
        self.transitions += run.linked_exits;
        self.virtual_frames += run.transitions.virtual_frames;
        self.unwatched_virtual_frames += if run.is_watched { 0 } else { run.transitions.virtual_frames };
        self.redefinitions += run.transitions.redefinitions;
        self.versions_compiled += run.code.versions_compiled;
        self.versions_released += run.code.versions_released;
        self.shadowed_transitions += run.compared.transitions;
        for moves in &run.moves {
            self.transitions += moves.count;
            let is_same = |other: &&mut Moves| Moves { count: 0, ..*moves } == Moves { count: 0, ..**other };
            match self.moves.iter_mut().find(is_same) {
                Some(sum) => sum.count += moves.count,
                None => self.moves.push(*moves),
            }
        }
        self.moves.sort();
    }
}

/// A round whose run differs from the interpreter's.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The round's seed.
    pub seed: u64,
    /// What was run.
    pub subject: String,
    /// Its module.
    pub module: Module,
    /// How.
    pub settings: Settings,
    /// What differs.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { tiers, threshold, optimize_threshold, compilation, stress, mechanism, .. } =
            &self.settings;
        let Settings { speculate, guard_failures, failing_guards, inlining, .. } = &self.settings;
        let Failure { seed, subject, what, .. } = self;
        writeln!(formatter, "seed {seed}: {subject}, mechanism {mechanism}")?;
        writeln!(
            formatter,
            "  {tiers:?}, thresholds {threshold:?} and {optimize_threshold:?}, {compilation}, {stress:?}"
        )?;
        writeln!(
            formatter,
            "  speculates on {speculate:?}, after {guard_failures} failures {failing_guards:?}, inlines {inlining:?}"
        )?;
        write!(formatter, "  {what}")
    }
}

/// A soak, with what it has done so far.
#[derive(Debug)]
pub struct Soak {
    programs: Vec<Subject>,
    /// By program, once it is known.
    expected: Vec<Option<Behavior>>,
    /// Each execution has one of these.
    mechanisms: Vec<Mechanism>,
    totals: Totals,
}

impl Soak {
    /// A soak that runs `programs`, too. Each execution has one of all valid mechanisms.
    pub fn new(programs: Vec<Subject>) -> Soak {
        let mechanisms = Mechanism::all().filter(|mechanism| mechanism.check().is_ok()).collect();
        Soak { expected: vec![None; programs.len()], programs, mechanisms, totals: Totals::default() }
    }

    /// The same, with `mechanism` in all executions.
    #[must_use]
    pub fn under(self, mechanism: Mechanism) -> Soak {
        Soak { mechanisms: vec![mechanism], ..self }
    }

    /// The mechanism of the execution of `seed`.
    fn mechanism(&self, seed: u64) -> Mechanism {
        // Not the numbers that the settings are drawn from.
        let mut random = Rng::with_seed(seed.rotate_left(32) ^ seed);
        self.mechanisms[random.usize(0..self.mechanisms.len())]
    }

    /// The settings of the execution of `seed`.
    fn settings(&self, seed: u64, size: Size) -> Settings {
        under(self.mechanism(seed), random_settings(seed, size))
    }

    /// What was done so far.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Makes the round of `seed`. Before each execution `begins` is told its mechanism, and what was done so far.
    ///
    /// # Errors
    /// If something differs.
    pub fn round(
        &mut self,
        seed: u64,
        mut begins: impl FnMut(Mechanism, &Totals),
    ) -> Result<(), Box<Failure>> {
        self.totals.rounds += 1;
        let mut random = Rng::with_seed(!seed);
        if !self.programs.is_empty() && random.u8(0..8) == 0 {
            let number = random.usize(0..self.programs.len());
            begins(self.mechanism(seed), &self.totals);
            return self.program(seed, number, random.u8(0..16) == 0);
        }
        self.totals.modules += 1;
        let Some(module) = random_module(seed) else { return self.leave_out() };
        let calls = calls_of(&module, seed);
        let module = if random.bool() { with_guards(module, &mut random) } else { module };
        let redefined = (random.u8(0..4) == 0).then(|| with_redefinitions(module.clone(), &mut random));
        let module = if random.bool() { with_frame_states(module) } else { module };
        let variant =
            |module| Variant::of(Subject { name: "a random module".into(), calls: calls.clone(), module });
        let (plain, redefined) = (variant(module), redefined.map(variant));
        if plain.expected().is_none() {
            return self.leave_out();
        }
        for number in 0..EXECUTIONS {
            // The first has the round's own seed.
            let execution = seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let settings = self.settings(execution, Size::Small);
            begins(settings.mechanism, &self.totals);
            let redefined = redefined.as_ref().filter(|_| can_be_redefined(&settings.mechanism));
            let shadowed = random.u8(0..4) == 0 && can_be_shadowed(&settings.mechanism);
            self.execute(seed, redefined.unwrap_or(&plain), settings, shadowed)?;
        }
        Ok(())
    }

    fn execute(
        &mut self,
        seed: u64,
        variant: &Variant,
        settings: Settings,
        shadowed: bool,
    ) -> Result<(), Box<Failure>> {
        match variant.expected() {
            Some(expected) => self.compare(seed, &variant.subject, expected, settings, shadowed),
            None => self.leave_out(),
        }
    }

    fn program(&mut self, seed: u64, number: usize, shadowed: bool) -> Result<(), Box<Failure>> {
        self.totals.programs += 1;
        let subject = self.programs[number].clone();
        if self.expected[number].is_none() {
            self.expected[number] = interpreted(&subject);
        }
        let Some(expected) = self.expected[number].clone() else { return self.leave_out() };
        let settings = self.settings(seed, Size::Large);
        let shadowed = shadowed && can_be_shadowed(&settings.mechanism);
        self.compare(seed, &subject, &expected, settings, shadowed)
    }

    fn leave_out(&mut self) -> Result<(), Box<Failure>> {
        self.totals.left_out += 1;
        Ok(())
    }

    fn compare(
        &mut self,
        seed: u64,
        subject: &Subject,
        expected: &Behavior,
        settings: Settings,
        shadowed: bool,
    ) -> Result<(), Box<Failure>> {
        let Some(run) = run(&subject.module, &subject.calls, &settings, shadowed) else {
            return self.leave_out();
        };
        self.totals.shadowed += u64::from(shadowed);
        self.totals.add(&run);
        let what = match &run.difference {
            Some(difference) => difference.to_string(),
            None if run.behavior == *expected => return Ok(()),
            None => first_difference(expected, &run.behavior),
        };
        let (subject, module) = (subject.name.clone(), subject.module.clone());
        Err(Box::new(Failure { seed, subject, module, settings, what }))
    }
}

/// What executions of a round execute, and are compared with.
struct Variant {
    subject: Subject,
    expected: OnceCell<Option<Behavior>>,
}

impl Variant {
    fn of(subject: Subject) -> Variant {
        Variant { subject, expected: OnceCell::new() }
    }

    /// What it does in the interpreter; `None` if it is left out.
    fn expected(&self) -> Option<&Behavior> {
        self.expected.get_or_init(|| interpreted(&self.subject)).as_ref()
    }
}

/// Whether functions can be redefined at every point.
fn can_be_redefined(mechanism: &Mechanism) -> bool {
    can_be_shadowed(mechanism) && mechanism.replaces_frames()
}

/// Whether every point can be a safepoint, which a shadow interpreter asks for.
fn can_be_shadowed(mechanism: &Mechanism) -> bool {
    mechanism.polls() && !mechanism.is_final()
}

fn interpreted(subject: &Subject) -> Option<Behavior> {
    let settings =
        Settings { tiers: Tiers::Interpreter, stress: Stress::None, ..random_settings(0, Size::Small) };
    run(&subject.module, &subject.calls, &settings, false).map(|run| run.behavior)
}

/// What differs first.
fn first_difference(expected: &Behavior, behavior: &Behavior) -> String {
    let mut calls = expected.calls.iter().zip(&behavior.calls);
    match calls.find(|(expected, call)| expected != call) {
        Some((expected, call)) => format!("{call}; in the interpreter {expected}"),
        None if expected.globals == behavior.globals => "memory differs from the interpreter's".to_owned(),
        None => "globals differ from the interpreter's".to_owned(),
    }
}
