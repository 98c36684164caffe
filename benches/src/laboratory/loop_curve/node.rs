//! The loop on node, where it is installed: each sample in a process of its own.

use std::process::{Command, Stdio};

use super::{Sample, kernel};
use crate::error::Error;

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
pub(super) fn sample(iterations: u32, again: u32) -> Result<Option<Sample>, Error> {
    let bytes: String = kernel::BYTES.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut node = Command::new("node");
    node.args([
        "--input-type=commonjs",
        "-e",
        SCRIPT,
        "--",
        &bytes,
        &iterations.to_string(),
        &again.to_string(),
    ]);
    let output = node.stdin(Stdio::null()).stderr(Stdio::null()).output();
    let text = output.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    let [first, later, result] = numbers[..] else { return Ok(None) };
    let again = (later >= 0.0).then_some(later);
    Ok(Some(Sample { first, again, result: result as u32, optimized_after: None }))
}
