//! The laboratory: what replacing frames costs, and being ready for it.
//!
//! ```text
//!   main_job    all bundled programs, interpreted, optimized, and invalidated again and again; one frame's price
//!   steady      tiers and other engines against one another   ─┐
//!   readiness   what each component of readiness adds         ─┴─> measuring ──> statistics
//!   guards      what an exit at a guard costs, by where it leads and how often it is taken
//!   regret      what tiering policies take against the best fixed choice, from start to exit
//!   thread, sweep  every mechanism side by side ──> results <── report, compare
//!   list        presets, axes, experiments: what there is to measure
//!   transitions what a hijack and a landing of one frame take, by depth, live values and destination
//!   loop_curve  one call with one hot loop: how soon it runs in optimized code
//!   recording   what it takes to know frame states: counts and bytes, nothing timed
//!   compilation what each compiler takes, and what it makes
//! ```

mod child;
pub(crate) mod compare;
pub(crate) mod compilation;
pub(crate) mod early_end;
pub(crate) mod guards;
mod kernels;
pub(crate) mod list;
pub(crate) mod loop_curve;
pub(crate) mod main_job;
pub(crate) mod measuring;
pub(crate) mod readiness;
pub(crate) mod recording;
pub(crate) mod regret;
pub(crate) mod report;
pub(crate) mod results;
mod show;
mod statistics;
pub(crate) mod steady;
mod stop_and_go;
mod subjects;
pub(crate) mod sweep;
pub(crate) mod thread;
pub(crate) mod transitions;
mod wide_table;
