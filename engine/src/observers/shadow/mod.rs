//! The shadow interpreter: executes alongside, and holds against every transition the frame state that it
//! has at that point itself.
//!
//! ```text
//!   execution, in any tier                      shadow: a machine that executes the bodies as written
//!     Invoked ────────────────────────────────>   begins the same call
//!     Reached(point) ─────────────────────────>   runs to its next entry or loop header: the same point?
//!     TieredUp, Landed(point, registers) ─────>   is there, or runs on to the return: equal registers?
//!     HostCalled(arguments) ──────────────────>   runs to its call: equal? and memory?
//!     HostReturned(results) ──────────────────>   takes the results, and what the host wrote to memory
//!     Finished(results or trap) ──────────────>   runs to the end: equal? and memory, globals, tables?
//! ```
//!
//! It is an [`Observer`]: it sees what any other can see, and needs nothing else of the execution. What
//! compiles code, records frame maps, finds frames and rebuilds them has no part in what it computes.
//!
//! What is claimed, if there was no difference:
//! - every entry and loop header was reached in the order that the bodies say, in whatever tier; optimized
//!   code tells of loop headers only if it comes by a back-edge;
//! - each frame that continued in other code had, in every live register, the value that the bodies compute
//!   there (NaNs are equal to each other);
//! - memory was equal whenever control left the guest, and in between every so many transitions, such that
//!   each pays for 4 KiB; globals at every transition; results, kinds and points of traps, and tables
//!   whenever a call ended.
//!
//! What is not: every entry tells the tier, every transition the tier that it leads to, so that the tier of
//! each frame is known. Frames of compiled code are told apart by their frame bases, but for activations that are inlined
//! into one another, which have the same. One that entered it from
//! the interpreter, and has not been at a loop header since, has a base that was not told. If a call of such
//! a frame, or of an interpreted one, returns, and the function calls itself there, so that several of its
//! activations return in a row, the first with an equal state is taken. Once the stack is exhausted, which
//! is not promised to happen at the same point, nothing more is compared.

mod difference;
mod follow;
mod instruction;
mod machine;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use osr_ir::Module;
use serde::Serialize;

pub use difference::{Difference, Disagreement, Transition};
use follow::Follower;

use crate::error::InstantiationError;
use crate::event::Event;
use crate::instance::Instance;
use crate::instance::host::Imports;
use crate::settings::{Settings, Tiers};
use crate::thread::observation::Observation;
use crate::thread::observer::Observer;

/// What is done about the first difference.
type OnDifference = dyn Fn(&Difference) + Send + Sync;

/// A shadow interpreter of one instance: an observer, which the instance is made
/// [with](Instance::with_delegates). It needs [`Settings::points`].
///
/// ```
/// # use std::sync::Arc;
/// # use osr_engine::{Delegates, Imports, Instance, Settings, Shadow, Thread};
/// # let module = osr_ir::wasm::import_text("(module (func (export \"f\") (result i32) i32.const 7))").unwrap();
/// # let imports = Imports::new();
/// let shadow = Arc::new(Shadow::new(&module, &imports)?);
/// let settings = Settings { points: true, ..Settings::default() };
/// let watched = Delegates::observer(shadow.clone());
/// let instance = Instance::with_delegates(settings, watched, module, &imports)?;
/// Thread::new(&instance)?.invoke("f", &[])?;
/// assert_eq!(shadow.difference(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Shadow {
    state: Mutex<State>,
    on_difference: Option<Box<OnDifference>>,
}

/// What has been compared so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Arrivals at entries and loop headers.
    pub points: u64,
    /// Transitions.
    pub transitions: u64,
    /// Registers at transitions.
    pub registers: u64,
    /// Times that all of memory was compared.
    pub memories: u64,
}

#[derive(Debug)]
enum State {
    Following(Box<Follower>),
    /// The stack was exhausted.
    Lost(Compared),
    Differs(Compared, Box<Difference>),
}

impl Shadow {
    /// A shadow of an instance of `module` with `imports`, which is about to be made by [`Instance::new`]: it
    /// must share nothing with other instances.
    ///
    /// # Errors
    /// As for [`Instance::new`]; so, if the module imports from another instance.
    pub fn new(module: &Module, imports: &Imports) -> Result<Shadow, InstantiationError> {
        let settings = Settings {
            tiers: Tiers::Interpreter,
            code_bytes: CODE_BYTES,
            checked: false,
            ..Settings::default()
        };
        let instance = Instance::new(settings, module.clone(), imports)?;
        let state = Mutex::new(State::Following(Box::new(Follower::new(instance))));
        Ok(Shadow { state, on_difference: None })
    }

    /// The same; and the first difference is handed to `act` when it is found. The execution continues after
    /// that, with the wrong state, unless `act` ends the process.
    #[must_use]
    pub fn on_difference(self, act: impl Fn(&Difference) + Send + Sync + 'static) -> Shadow {
        Shadow { on_difference: Some(Box::new(act)), ..self }
    }

    /// The first difference, if there is one. After it nothing is compared.
    pub fn difference(&self) -> Option<Difference> {
        match &*self.state() {
            State::Differs(_, difference) => Some((**difference).clone()),
            _ => None,
        }
    }

    /// What was compared.
    pub fn compared(&self) -> Compared {
        match &*self.state() {
            State::Following(follower) => follower.compared(),
            State::Lost(compared) | State::Differs(compared, _) => *compared,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// No code is compiled, but the stubs of calls take room.
const CODE_BYTES: usize = 16 << 20;

impl Observer for Shadow {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        let mut state = self.state();
        let State::Following(follower) = &mut *state else { return };
        if follow::exhausts_stack(event) {
            *state = State::Lost(follower.compared());
            return;
        }
        if let Err(difference) = follower.follow(at.instance(), event) {
            *state = State::Differs(follower.compared(), difference.clone());
            drop(state);
            if let Some(act) = &self.on_difference {
                act(&difference);
            }
        }
    }

    fn wants_points(&self) -> bool {
        true
    }
}

impl fmt::Debug for Shadow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shadow").field("compared", &self.compared()).finish_non_exhaustive()
    }
}
