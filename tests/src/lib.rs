//! What the whole-engine tests share: the programs, and running them in every way that there is.

pub mod case;
pub mod checker;
pub mod configuration;
pub mod debugger;
pub mod drawn;
pub mod event_log;
pub mod guest;
pub mod host;
#[cfg(feature = "oracle")]
pub mod oracle;
pub mod process;
pub mod program;
pub mod random;
pub mod reproduction;
pub mod run;
pub mod schedule;
pub mod soak;
pub mod stepping;
pub mod variant;

pub use case::{Case, cases};
pub use configuration::{Configuration, Observed, observe};
pub use program::{Program, programs};
pub use random::check_random_module;
