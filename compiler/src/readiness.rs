//! Readiness: what optimized code carries so that its frames can be replaced, as switches.
//!
//! Everything is on unless an experiment is about its price. Code that lacks something runs faster, or at
//! least not slower, and refuses every transition: `osr-bench readiness` adds one thing after the other to
//! the [bare](Readiness::BARE) baseline, and measures. What the frame state costs is a setting of its own,
//! [`StateRecording`](crate::StateRecording), since there are several ways to pay for it.
//!
//! Frame pointers are no switch: Cranelift makes no code for x86-64 without them. Their price is in the bare
//! baseline, as it is in every other user's code.

use serde::{Deserialize, Serialize};

/// What optimized code has besides the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Readiness {
    /// How it calls other functions of the module.
    pub binding: CallBinding,
    /// What is checked at function entries and in loops.
    pub checks: Checks,
}

/// How new calls reach the current version of a function that the call names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallBinding {
    /// Through the function's call cell: one store binds all calls to another version.
    Cell,
    /// By `call rel32` to the only version there will be: all functions are compiled and linked when the
    /// instance is made.
    Direct,
}

/// What is checked at the entries of functions that call something, and in loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Checks {
    /// Nothing. **A program that exhausts the stack ends the process**: there is no trap.
    None,
    /// At entries, whether there is stack left; if not, the program traps.
    Stack,
    /// At entries and on back-edges, whether someone wants to see the frame. At entries this is the stack
    /// check, too: it is the same comparison.
    Polls,
}

impl Readiness {
    /// Ready for every transition.
    pub const FULL: Readiness = Readiness { binding: CallBinding::Cell, checks: Checks::Polls };

    /// The program and nothing else.
    pub const BARE: Readiness = Readiness { binding: CallBinding::Direct, checks: Checks::None };

    /// What is missing for transitions, if something is.
    pub fn missing(self) -> Option<&'static str> {
        if self.binding == CallBinding::Direct {
            Some("its calls are bound for good")
        } else if self.checks != Checks::Polls {
            Some("it does not poll")
        } else {
            None
        }
    }
}

impl Default for Readiness {
    fn default() -> Readiness {
        Readiness::FULL
    }
}

#[cfg(test)]
mod tests {
    use super::{CallBinding, Checks, Readiness};

    #[test]
    fn only_the_full_thing_is_ready() {
        let mut ready = Vec::new();
        for binding in [CallBinding::Cell, CallBinding::Direct] {
            for checks in [Checks::None, Checks::Stack, Checks::Polls] {
                let readiness = Readiness { binding, checks };
                ready.extend(readiness.missing().is_none().then_some(readiness));
            }
        }
        assert_eq!(ready, [Readiness::FULL]);
        assert!(Readiness::BARE.missing().is_some());
    }
}
