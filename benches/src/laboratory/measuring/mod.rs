//! Measuring variants of a program against one another, in processes of their own.
//!
//! ```text
//!   plan ── a job, as JSON ──> worker (osr-bench itself) ── each variant is opened as a runner
//!     ^                          │  rounds: every variant once, in random order
//!     └────── its reply <────────┘
//!   findings: steady samples, ratios paired by round, intervals over processes
//! ```
//!
//! Memory layout, hash seeds and what a compiler decided are the same for a process's whole life, so
//! there are several processes; frequency, interrupts and neighbours change from moment to moment, so
//! variants are interleaved and compared within a round.

mod clock;
mod engine;
mod findings;
mod job;
mod machine;
#[cfg(feature = "peers")]
mod node;
mod ours;
mod plan;
mod runner;
mod turns;
mod variant;
#[cfg(feature = "peers")]
mod wasmi;
#[cfg(feature = "peers")]
mod wasmtime;
mod worker;

pub(crate) use clock::Clock;
pub(crate) use engine::Engine;
pub(crate) use findings::{Compared, Mean, compare, mean};
pub(crate) use job::{Measured, Origin, Subject};
pub(crate) use machine::Machine;
pub(crate) use plan::{Effort, Measurements, Replies, measure};
pub(crate) use turns::Turns;
pub(crate) use variant::{Code, Variant, settings};
pub(crate) use worker::work;
