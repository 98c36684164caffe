//! What is measured: programs, how failures are answered, and when checks fail.

use osr_engine::{FailingGuards, Inlining, Settings, Tiers};

use super::guest::{self, Check, Guest};
use crate::laboratory::measuring::Clock;

/// Native stack of the guest.
pub(super) const STACK_BYTES: usize = 64 << 20;

/// Instructions behind the exit of one program, more than of another.
pub(super) const MORE: usize = 64;

/// Activations that a frame stands for, besides the outermost, at most.
pub(super) const MOST_FURTHER: usize = 4;

/// How often checks fail.
pub(super) const RATES: [f64; 8] = [0.0, 0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 1.0];

/// Iterations of a phase.
pub(super) const PERIODS: [u32; 5] = [10, 100, 1_000, 10_000, 100_000];

/// How failures of a check are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Branch,
    Interpreter,
    Remake,
    Link,
    Dispatch,
}

impl Answer {
    pub(super) const ALL: &[Answer] =
        &[Answer::Branch, Answer::Interpreter, Answer::Remake, Answer::Link, Answer::Dispatch];

    pub(super) fn name(self) -> &'static str {
        match self {
            Answer::Branch => "branch",
            Answer::Interpreter => "interpreter",
            Answer::Remake => FailingGuards::Remake.name(),
            Answer::Link => FailingGuards::Link.name(),
            Answer::Dispatch => FailingGuards::Dispatch.name(),
        }
    }

    pub(super) fn meaning(self) -> &'static str {
        match self {
            Answer::Branch => "There is no guard: both sides are compiled.",
            Answer::Interpreter => "Every failure continues in the interpreter; nothing is learnt.",
            Answer::Remake => FailingGuards::Remake.meaning(),
            Answer::Link => FailingGuards::Link.meaning(),
            Answer::Dispatch => FailingGuards::Dispatch.meaning(),
        }
    }

    fn check(self) -> Check {
        if self == Answer::Branch { Check::Branch } else { Check::Guard }
    }

    fn settings(self) -> Settings {
        let failing_guards = match self {
            Answer::Link => FailingGuards::Link,
            Answer::Dispatch => FailingGuards::Dispatch,
            _ => FailingGuards::Remake,
        };
        let guard_failures =
            if self == Answer::Interpreter { u32::MAX } else { Settings::DEFAULT_GUARD_FAILURES };
        let tiers = Tiers::Optimized;
        Settings { tiers, checked: false, guard_failures, failing_guards, ..Settings::default() }
    }
}

/// Which case it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// The guard holds, in a frame of so many further activations.
    Holds(usize),
    /// There is none.
    Unguarded,
    /// It fails and continues in the interpreter: further activations, more instructions.
    Interpreted(usize, usize),
    /// It fails and continues by a linked exit: further activations.
    Linked(usize),
    /// It fails so often (bits of a number).
    Rate(Answer, u64),
    /// A loop of such phases.
    Phases(Answer, u32),
}

/// A case, being measured.
pub(super) struct Case {
    pub(super) key: Key,
    pub(super) guest: Guest,
    iterations: i64,
    failing: i64,
    result: Option<u64>,
    /// Nanoseconds an iteration.
    pub(super) samples: Vec<f64>,
}

impl Case {
    fn new(key: Key, iterations: i64) -> Result<Case, String> {
        let inlined = |settings: Settings, further: usize| {
            let inlining = Inlining { callee: 100, growth: 1_000, depth: further as u8, recursion: 0 };
            Settings { inlining: (further > 0).then_some(inlining), ..settings }
        };
        let exits = |answer: Answer, check, more, further| {
            (guest::exits(check, more, further), inlined(answer.settings(), further))
        };
        let ((text, settings), failing) = match key {
            Key::Holds(further) => (exits(Answer::Interpreter, Check::Guard, 0, further), 1),
            Key::Unguarded => (exits(Answer::Interpreter, Check::Nothing, 0, 0), 1),
            Key::Interpreted(further, more) => (exits(Answer::Interpreter, Check::Guard, more, further), 0),
            Key::Linked(further) => (exits(Answer::Link, Check::Guard, 0, further), 0),
            Key::Rate(answer, rate) => {
                let failing = f64::from_bits(rate) * (1u64 << 32) as f64;
                ((guest::rates(answer.check()), answer.settings()), failing as i64)
            }
            Key::Phases(answer, period) => {
                ((guest::phases(answer.check()), answer.settings()), i64::from(period))
            }
        };
        let case = Case {
            key,
            guest: Guest::new(&text, settings)?,
            iterations,
            failing,
            result: None,
            samples: Vec::new(),
        };
        // Code is compiled, exits are linked, and what is learnt is learnt.
        case.guest.run(iterations, failing)?;
        case.guest.run(iterations, failing)?;
        Ok(case)
    }

    /// Measures once.
    pub(super) fn sample(&mut self, clock: Clock) -> Result<(), String> {
        let began = clock.now();
        let result = self.guest.run(self.iterations, self.failing)?;
        let taken = clock.now() - began;
        self.samples.push(taken.as_nanos() as f64 / self.iterations as f64);
        match self.result.replace(result) {
            Some(before) if before != result => {
                Err(format!("{:?} returns {before}, then {result}", self.key))
            }
            _ => Ok(()),
        }
    }
}

/// All cases, with so many iterations a sample.
pub(super) fn all(iterations: i64) -> Result<Vec<Case>, String> {
    let mut keys = vec![Key::Unguarded, Key::Interpreted(0, MORE)];
    keys.extend(
        [0, MOST_FURTHER]
            .into_iter()
            .flat_map(|further| [Key::Holds(further), Key::Interpreted(further, 0), Key::Linked(further)]),
    );
    for &answer in Answer::ALL {
        keys.extend(RATES.map(|rate| Key::Rate(answer, rate.to_bits())));
        keys.extend(PERIODS.map(|period| Key::Phases(answer, period)));
    }
    keys.into_iter().map(|key| Case::new(key, iterations)).collect()
}

/// Whether guards failed where they should, and answers do not change results.
pub(super) fn check(cases: &[Case]) -> Result<(), String> {
    for case in cases {
        let [seen, linked] = case.guest.failures();
        let is_as_it_should = match case.key {
            Key::Holds(_) | Key::Unguarded => seen + linked == 0,
            Key::Interpreted(0, _) => seen >= case.iterations as u64 && linked == 0,
            Key::Interpreted(..) => linked == 0,
            Key::Linked(_) => linked >= case.iterations as u64,
            Key::Rate(..) | Key::Phases(..) => true,
        };
        if !is_as_it_should {
            return Err(format!("{:?}: {seen} failures were seen, {linked} were linked", case.key));
        }
        let branch = match case.key {
            Key::Rate(_, rate) => Key::Rate(Answer::Branch, rate),
            Key::Phases(_, period) => Key::Phases(Answer::Branch, period),
            key => key,
        };
        let branch = cases.iter().find(|other| other.key == branch).expect("it is measured, too");
        if branch.result != case.result {
            return Err(format!("{:?} returns {:?}, not {:?}", case.key, case.result, branch.result));
        }
    }
    Ok(())
}

/// Whether frames that stand for several activations are left at guards.
pub(super) fn leaves_several(cases: &[Case]) -> bool {
    let deepest = cases.iter().find(|case| case.key == Key::Interpreted(MOST_FURTHER, 0));
    deepest.is_some_and(|case| case.guest.failures()[0] > 0)
}
