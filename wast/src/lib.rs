//! Scripts of the WebAssembly specification (`.wast`) on the osr-engine: read once, run under any settings.
//!
//! ```text
//!   text ── parse ──> Script: steps ── run, under some settings ──> Summary: passed, left out, failed
//!           (modules imported)        (one store, `spectest`, the registered instances)
//! ```
//!
//! A step that needs what the engine does not support is left out, and so is what depends on it: each is
//! counted under the feature that is missing. Nothing else is ever left out.
//!
//! What is checked: results bit by bit, NaNs by their pattern; the kind of a trap, not its message; that a
//! malformed or invalid module is refused, not why; that one cannot be linked since an import is missing, or
//! since it is of another type.
//!
//! ```
//! use osr_engine::{Settings, Stress};
//! let text = r#"
//!   (module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
//!   (assert_return (invoke "add" (i32.const 2) (i32.const 2)) (i32.const 4))
//!   (assert_return (invoke "add" (i32.const 2) (i32.const 2)) (i32.const 5))"#;
//! let script = osr_wast::Script::parse(text)?;
//! let summary = script.run(&Settings { stress: Stress::invalidate(1), ..Settings::default() });
//! assert_eq!(summary.passed, 2);
//! assert_eq!(summary.failures[0].to_string(), "line 4: returned i32 4, not i32 5");
//! # Ok::<(), osr_wast::ParseError>(())
//! ```

mod failure;
mod parse;
mod pattern;
mod run;
mod spectest;

use std::collections::BTreeMap;
use std::fmt;

use osr_engine::{CodeStatistics, Transitions};
use osr_ir::{Module, Value};

pub use failure::Failure;
pub use parse::ParseError;
pub use pattern::Pattern;
pub use run::{Print, Watch};

/// A script.
#[derive(Debug)]
pub struct Script {
    steps: Vec<Step>,
}

/// One directive.
#[derive(Debug)]
struct Step {
    /// Where it is in the script, from 1.
    line: usize,
    directive: Directive,
}

/// Why something is left out: the name of the feature that is missing.
type Missing = &'static str;

/// A module, or why there is none.
type Parsed = Result<Module, Refusal>;

/// Why a module is refused.
#[derive(Clone, Debug)]
enum Refusal {
    /// It uses a feature that is not supported.
    Unsupported(Missing),
    /// It is malformed or not valid.
    Invalid(String),
}

#[derive(Debug)]
enum Directive {
    /// A module that is made an instance of, and is the one talked about from then on.
    Module { name: Option<String>, module: Parsed },
    /// A module that [`Directive::Instance`] makes instances of.
    Definition { name: Option<String>, module: Parsed },
    /// An instance of a definition.
    Instance { name: Option<String>, definition: Option<String> },
    /// From now on modules can import from that instance under this name.
    Register { name: String, instance: Option<String> },
    /// It succeeds.
    Perform(Deed),
    /// It returns such results.
    Return { deed: Deed, expected: Result<Vec<Pattern>, Missing> },
    /// It traps, as the message says.
    Trap { deed: Deed, message: String },
    /// The module cannot be linked, as the message says.
    Unlinkable { module: Parsed, message: String },
    /// The module is malformed, or not valid.
    Refused { module: Parsed },
    /// Something that is not supported.
    Unsupported(Missing),
}

/// Something that returns results or traps.
#[derive(Debug)]
enum Deed {
    /// A call of an exported function.
    Call { instance: Option<String>, function: String, arguments: Result<Vec<Value>, Missing> },
    /// The value of an exported global.
    Get { instance: Option<String>, global: String },
    /// A module is made an instance of.
    Instantiate(Box<Parsed>),
}

/// What became of the steps of a script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Steps that did what they should.
    pub passed: usize,
    /// Per missing feature, steps that were left out for it.
    pub left_out: BTreeMap<Missing, usize>,
    /// What went wrong, in order.
    pub failures: Vec<Failure>,
    /// The instances that were made, in order.
    pub instances: Vec<Made>,
}

/// An instance, and what has happened in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Where the step is that made it, from 1.
    pub line: usize,
    /// Of its thread.
    pub transitions: Transitions,
    /// How much code there was.
    pub code: CodeStatistics,
}

impl Summary {
    /// Safepoints that compiled code reached, if the settings count them.
    pub fn safepoints(&self) -> u64 {
        self.instances.iter().map(|made| made.transitions.safepoints).sum()
    }
}

/// `52 passed; left out: 3 gc`: without failures.
impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed", self.passed)?;
        let mut separator = "; left out: ";
        for (feature, count) in &self.left_out {
            write!(formatter, "{separator}{count} {feature}")?;
            separator = ", ";
        }
        Ok(())
    }
}
