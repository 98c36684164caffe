//! Statistics of timings: when a sequence of samples is steady, and what may be said of ratios.
//!
//! ```text
//!   samples of one process ──steadiness──> from where on they are steady
//!                          ──median of paired ratios──> one number per process
//!   one number per process ──interval──> ratio with its interval
//!            over programs ──interval──> geometric mean with its interval
//!
//!   steady samples of several processes ──bootstrap──> median with its interval: processes are resampled, and their samples
//! ```
//!
//! Processes are independent, the samples within one are not (addresses, memory, and what a compiler
//! decided stay the same): so only the spread between processes makes an interval. See Kalibera and Jones,
//! "Rigorous Benchmarking in Reasonable Time", ISMM 2013.

mod bootstrap;
mod changes;
mod interval;
mod processes;
mod steadiness;

pub(crate) use bootstrap::{
    Estimate, estimate, estimate_of, geometric_mean_of_medians, percentile, ratio_of_medians,
};
pub(crate) use interval::{Interval, geometric_mean, median, ratio};
pub(crate) use processes::Processes;
pub(crate) use steadiness::{Steadiness, Steady, steadiness};
