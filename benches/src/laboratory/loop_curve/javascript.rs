//! The loop on V8 and JavaScriptCore, where node and bun are installed: each sample in a process of its own.

use std::process::Command;

use super::{Sample, kernel};
use crate::error::Error;
use crate::laboratory::child::{self, Ended};

/// Prints the time of the first call and the shortest of later ones, in nanoseconds, and what they return.
const SCRIPT: &str = "\
    const [iterations, again] = process.argv.slice(-2).map(Number); \
    const bytes = Buffer.from(process.argv.at(-3), 'hex'); \
    const { run } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports; \
    const timed = () => { const begin = process.hrtime.bigint(); const result = run(iterations); \
      return [Number(process.hrtime.bigint() - begin), result >>> 0]; }; \
    const [first, result] = timed(); \
    const later = Array.from({ length: again }, () => timed()[0]); \
    console.log([first, again ? Math.min(...later) : -1, result].join(' '));";

/// See [`Way`](super::Way). `None` if there is no node, or it cannot run the loop.
pub(super) fn node(iterations: u32, again: u32) -> Result<Option<Sample>, Error> {
    let mut node = Command::new("node");
    node.arg("--input-type=commonjs");
    Ok(sample(node, iterations, again))
}

/// The same of bun.
pub(super) fn bun(iterations: u32, again: u32) -> Result<Option<Sample>, Error> {
    Ok(sample(Command::new("bun"), iterations, again))
}

fn sample(mut engine: Command, iterations: u32, again: u32) -> Option<Sample> {
    let bytes: String = kernel::BYTES.iter().map(|byte| format!("{byte:02x}")).collect();
    engine.args(["-e", SCRIPT, "--", &bytes, &iterations.to_string(), &again.to_string()]);
    let Ok(Ended::Itself(output)) = child::run(engine, &[], None) else { return None };
    let text = String::from_utf8(output.stdout).unwrap_or_default();
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    let [first, later, result] = numbers[..] else { return None };
    let again = (later >= 0.0).then_some(later);
    Some(Sample { first, again, result: result as u32, optimized_after: None })
}
