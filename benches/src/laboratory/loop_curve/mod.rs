//! `osr-bench loop-curve`: one call with one hot loop: how soon it runs in optimized code, and what was lost until then.
//!
//! ```text
//!   time │          ╱ interpreted, baseline
//!        │        ╱____----- optimized
//!        │      ╱      the slopes are times per iteration;
//!        │    ╱        lost is what lies between the curve and a line of the last slope through 0
//!        └──────────────────────> iterations
//! ```
//!
//! A call that does not return can only get faster by on-stack replacement: code that is optimized for the next call does not
//! help it. Each sample is the first call in a new instance; of node and bun, in a new process. What an engine could have done is
//! what it takes when the function is called again and again.

mod javascript;
mod kernel;
mod ours;

use clap::Args;
use comfy_table::Cell;
use serde::Serialize;

use super::early_end::{self, Progress};
use super::measuring::Machine;
use super::show::{print, table, time};
use crate::error::Error;
use crate::output;

const LOOP_CURVE_EXAMPLES: &str = "\
Each sample is the first call in a new instance; of node and bun, where they are installed, in a new process. The least time of all \
rounds counts.

Examples:
  osr-bench loop-curve
  osr-bench loop-curve --most 24 --rounds 3 --json

Exit codes: 0; 1 if results differ; 2 for bad input.";

/// Options of `loop-curve`.
#[derive(Debug, Args)]
#[command(after_help = LOOP_CURVE_EXAMPLES)]
pub(crate) struct LoopCurveOptions {
    /// The longest call: 2 to the power of N iterations.
    #[arg(long, value_name = "N", default_value_t = 27, value_parser = clap::value_parser!(u32).range(12..=31))]
    most: u32,
    /// Samples of each length.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Print JSON, with the whole curve, instead of a table.
    #[arg(long)]
    json: bool,
}

/// The shortest call: 2 to this power iterations.
const LEAST: u32 = 8;

/// How often a function is called again, to see what it can take.
const AGAIN: u32 = 20;

/// The last slope is that of optimized code if it is at most this many times what calls take that come later.
const OPTIMIZED: f64 = 1.25;

/// What one sample found.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// The time of the first call, in nanoseconds.
    first: f64,
    /// The shortest time of later calls, if there were any.
    again: Option<f64>,
    /// What the calls returned.
    result: u32,
    /// The iterations after which the first call continued in optimized code, if that is known.
    optimized_after: Option<u32>,
}

/// A way to run the loop.
#[derive(Clone, Copy, Debug)]
struct Way {
    name: &'static str,
    /// Makes a first call of so many iterations, and then others; `None` if the engine is not there.
    sample: fn(iterations: u32, again: u32) -> Result<Option<Sample>, Error>,
}

const WAYS: [Way; 6] = [
    Way { name: "auto", sample: ours::auto },
    Way { name: "auto, compiled in the background", sample: ours::background },
    Way { name: "baseline", sample: ours::baseline },
    Way { name: "optimized", sample: ours::optimized },
    Way { name: "node", sample: javascript::node },
    Way { name: "bun", sample: javascript::bun },
];

/// What is found.
#[derive(Debug, Serialize)]
struct Findings {
    machine: Machine,
    rounds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    interrupted: Option<Progress>,
    ways: Vec<Curve>,
}

/// One way.
#[derive(Debug, Default, Serialize)]
struct Curve {
    way: &'static str,
    /// Iterations of the call, and its time in nanoseconds.
    points: Vec<(u32, f64)>,
    /// Nanoseconds per iteration at the end of the longest call.
    last_slope: f64,
    /// Nanoseconds per iteration when the function is called again.
    again: f64,
    /// Iterations after which the longest call continued in optimized code, where the engine says so.
    optimized_after: Option<u32>,
    /// Whether the longest call was as fast in the end as later calls are.
    is_optimized: bool,
    /// Nanoseconds of the longest call beyond what it would have taken at the speed of later calls.
    lost: f64,
}

/// Measures what `options` say.
pub(crate) fn run(options: &LoopCurveOptions) -> Result<(), Error> {
    early_end::watch();
    let (mut ways, mut made) = (Vec::new(), 0);
    for way in WAYS {
        match curve(way, options) {
            Err(Error::Interrupted) => break,
            curve => ways.extend(curve?),
        }
        made += 1;
    }
    let interrupted = Progress::new((made, WAYS.len() as u64), "ways", None).if_early()?;
    let findings = Findings { machine: Machine::current(), rounds: options.rounds, interrupted, ways };
    match options.json {
        true => output::json_to_stdout(&findings)?,
        false => print(&findings.text())?,
    }
    Progress::verdict(findings.interrupted)
}

/// The curve of `way`; `None` if the engine is not there.
fn curve(way: Way, options: &LoopCurveOptions) -> Result<Option<Curve>, Error> {
    let mut curve = Curve { way: way.name, again: f64::INFINITY, ..Curve::default() };
    for exponent in LEAST..=options.most {
        let iterations = 1 << exponent;
        let mut least = f64::INFINITY;
        for _ in 0..options.rounds {
            let again = if exponent == options.most { AGAIN } else { 0 };
            let sample = (way.sample)(iterations, again)?;
            if early_end::is_wanted() {
                return Err(Error::Interrupted);
            }
            let Some(sample) = sample else { return Ok(None) };
            let expected = kernel::result(iterations);
            if sample.result != expected {
                let found = sample.result;
                let message =
                    format!("{} returns {found} after {iterations} iterations, not {expected}", way.name);
                return Err(Error::ResultsDiffer(message));
            }
            least = least.min(sample.first);
            curve.again = curve.again.min(sample.again.unwrap_or(f64::INFINITY) / f64::from(iterations));
            curve.optimized_after = sample.optimized_after;
        }
        curve.points.push((iterations, least));
    }
    Ok(Some(curve.finished()))
}

impl Curve {
    /// With what follows from the points.
    fn finished(mut self) -> Curve {
        if let [.., (fewer, sooner), (more, later)] = self.points[..] {
            self.last_slope = (later - sooner) / f64::from(more - fewer);
            self.lost = later - f64::from(more) * self.again;
            self.is_optimized = self.last_slope <= OPTIMIZED * self.again;
        }
        self
    }
}

impl Findings {
    fn text(&self) -> String {
        let mut rows = table(&["", "ns/iteration", "when called again", "optimized after", "lost"]);
        for curve in &self.ways {
            let after = match (curve.optimized_after, curve.is_optimized) {
                (Some(iterations), _) => format!("{iterations}"),
                (None, true) => "at once, or not told".to_owned(),
                (None, false) => "never".to_owned(),
            };
            rows.add_row([
                Cell::new(curve.way),
                Cell::new(format!("{:.2}", curve.last_slope)),
                Cell::new(format!("{:.2}", curve.again)),
                Cell::new(after),
                Cell::new(time(curve.lost.max(0.0))),
            ]);
        }
        let longest = self.ways.iter().flat_map(|curve| curve.points.last()).map(|point| point.0).max();
        format!(
            "One call of a loop of {} iterations: time per iteration at its end, and of later calls; iterations until it \
             continued in optimized code; time beyond what it takes at the speed of later calls.\n{}\n{rows}\n",
            longest.unwrap_or(0),
            Progress::line(self.interrupted)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_lies_above_the_line_of_later_calls() {
        let curve = |points: Vec<(u32, f64)>| Curve { points, again: 1.0, ..Curve::default() }.finished();
        let replaced = curve(vec![(100, 500.0), (200, 600.0)]);
        assert_eq!((replaced.last_slope, replaced.lost, replaced.is_optimized), (1.0, 400.0, true));
        let never = curve(vec![(100, 500.0), (200, 1_000.0)]);
        assert_eq!((never.last_slope, never.lost, never.is_optimized), (5.0, 800.0, false));
    }

    #[test]
    fn a_call_that_is_long_enough_is_optimized_and_says_when() {
        let sample = ours::auto(1 << 24, 0).expect("it runs").expect("it is always there");
        let after = sample.optimized_after.expect("the loop is replaced");
        assert!(0 < after && after < 1 << 24, "{after}");
        assert_eq!(sample.result, kernel::result(1 << 24));
    }
}
