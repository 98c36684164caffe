//! Tests that run again in a debugger, which looks at their stack.
//!
//! ```no_run
//! use osr_tests::debugger;
//!
//! if debugger::is_watching() {
//!     debugger::stop(); // at the bottom of what it is to see
//! } else if let Some(trace) = debugger::backtrace("name_of_the_test", &[]) {
//!     assert!(trace.contains("function"), "{trace}");
//! }
//! ```

use std::process::Command;

/// Set for the program in the debugger.
const WATCHED: &str = "OSR_TEST_WATCHED";

/// Whether this is the program in the debugger.
pub fn is_watching() -> bool {
    std::env::var_os(WATCHED).is_some()
}

/// Gives control to the debugger.
pub fn stop() {
    // SAFETY: the debugger gets the signal.
    unsafe { libc::raise(libc::SIGTRAP) };
}

/// What gdb's `backtrace` shows where this program, executing `test` alone, has [stopped](stop), and `commands` were carried
/// out. `None`, with a message, if there is no debugger that works.
///
/// # Panics
/// If the path of this program is unknown.
pub fn backtrace(test: &str, commands: &[&str]) -> Option<String> {
    let program = std::env::current_exe().expect("the path of this program");
    let mut debugger = Command::new("timeout");
    debugger.args(["60", "gdb", "--batch", "-nx", "-ex", "set debuginfod enabled off", "-ex", "run"]);
    debugger.args(commands.iter().flat_map(|command| ["-ex", command]));
    debugger.args(["-ex", "backtrace", "--args"]).arg(program);
    debugger.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    let output = debugger.env(WATCHED, "1").output();
    let trace =
        output.map_or_else(|error| error.to_string(), |o| String::from_utf8_lossy(&o.stdout).into_owned());
    if !trace.contains("SIGTRAP") {
        println!("skipped: there is no working gdb: {trace}");
        return None;
    }
    Some(trace)
}
