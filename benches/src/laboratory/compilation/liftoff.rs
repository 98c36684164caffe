//! Liftoff, V8's baseline compiler, on the same modules, where node is installed.
//!
//! V8 validates while it compiles, so that its time compares with the sum of all [phases](super::phases).

use std::io::Write;
use std::process::{Command, Stdio};

/// Says the processor time, in nanoseconds, that compiling the module on standard input took all threads.
const SCRIPT: &str = "const bytes = require('fs').readFileSync(0); const before = process.cpuUsage(); \
    new WebAssembly.Module(bytes); const { user, system } = process.cpuUsage(before); \
    console.log((user + system) * 1000);";

/// The processor time that Liftoff takes for all functions of the module, in nanoseconds; nothing if node is not there, or
/// refuses the module. In a process of its own, since V8 keeps the code of modules that it knows.
pub(super) fn nanoseconds(bytes: &[u8]) -> Option<u64> {
    let arguments = ["--liftoff-only", "--no-wasm-lazy-compilation", "--input-type=commonjs", "-e", SCRIPT];
    let mut node = Command::new("node");
    node.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = node.spawn().ok()?;
    // Where node has ended already, its output says so.
    let _ = child.stdin.take()?.write_all(bytes);
    let output = child.wait_with_output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
