//! Liftoff, V8's baseline compiler, on the same modules, where node is installed.
//!
//! V8 validates while it compiles, and on all processors, so that its times compare with those of [whole](super::whole) modules.

use std::io::Write;
use std::process::{Command, Stdio};

use super::whole::Whole;

/// Says the processor time that compiling the module on standard input took all threads, and the time, in nanoseconds.
const SCRIPT: &str = "const bytes = require('fs').readFileSync(0); const before = process.cpuUsage(); \
    const begin = process.hrtime.bigint(); new WebAssembly.Module(bytes); const end = process.hrtime.bigint(); \
    const { user, system } = process.cpuUsage(before); console.log((user + system) * 1000, Number(end - begin));";

/// What Liftoff takes for all functions of the module; nothing if node is not there, or refuses the module. In a process of
/// its own, since V8 keeps the code of modules that it knows.
pub(super) fn compile(bytes: &[u8]) -> Option<Whole> {
    let arguments = ["--liftoff-only", "--no-wasm-lazy-compilation", "--input-type=commonjs", "-e", SCRIPT];
    let mut node = Command::new("node");
    node.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = node.spawn().ok()?;
    // Where node has ended already, its output says so.
    let _ = child.stdin.take()?.write_all(bytes);
    let output = String::from_utf8(child.wait_with_output().ok()?.stdout).ok()?;
    let (processor, elapsed) = output.trim().split_once(' ')?;
    Some(Whole { processor: processor.parse().ok()?, elapsed: elapsed.parse().ok()? })
}
