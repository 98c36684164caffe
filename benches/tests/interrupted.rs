//! Ctrl-C leaves no temporary files; data that cannot be written are an error.

mod support;

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use support::{Scratch, osr_bench, program};

/// The files in `directory`.
fn files(directory: &Path) -> usize {
    std::fs::read_dir(directory).expect("it is there").count()
}

/// Interrupts the command when it has made a temporary file; what it exits with.
fn interrupted(scratch: &Scratch, arguments: &[&str]) -> Option<i32> {
    let directory = scratch.path("temporary");
    std::fs::create_dir(&directory).expect("it can be made");
    let mut command = Command::new(env!("CARGO_BIN_EXE_osr-bench"));
    command.args(arguments).env("TMPDIR", &directory).current_dir(&directory);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    while files(Path::new(&directory)) == 0 {
        assert!(child.try_wait().expect("it is ours").is_none(), "it ends without a temporary file");
        thread::sleep(Duration::from_millis(2));
    }
    // SAFETY: a signal to a process of ours, which has not been waited for.
    assert_eq!(unsafe { libc::kill(child.id().cast_signed(), libc::SIGINT) }, 0);
    let code = child.wait().expect("it ends").code();
    assert_eq!(files(Path::new(&directory)), 0, "{arguments:?}");
    code
}

#[test]
fn an_interrupt_leaves_no_temporary_files() {
    let fib = program("wasm/fib.wasm");
    let forever = r#"(module (func (export "run") (loop (br 0))))"#;
    let scratch = Scratch::new("interrupted-regret");
    assert_eq!(interrupted(&scratch, &["regret", "fib", "--rounds", "1000"]), Some(130));
    let scratch = Scratch::new("interrupted-steady");
    let samples = ["steady", &*fib, "--argument", "30", "--processes", "1000", "--samples", "samples.csv"];
    assert_eq!(interrupted(&scratch, &samples), Some(130));
    let scratch = Scratch::new("interrupted-run");
    let forever = scratch.file("forever.wat", forever);
    assert_eq!(interrupted(&scratch, &["run", &forever, "--stats", "stats.json"]), Some(130));
}

#[test]
fn data_that_cannot_be_written_to_standard_error_are_an_error() {
    let fib = program("wasm/fib.wasm");
    let full = || Stdio::from(File::options().write(true).open("/dev/full").expect("Linux has it"));
    for option in [&["--stats", "-"][..], &["--explain"], &["--explain=json"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_osr-bench"));
        command.args(["run", &fib, "5"]).args(option).stdout(Stdio::null()).stderr(full());
        assert_eq!(command.status().expect("it starts").code(), Some(2), "{option:?}");
    }
    // Messages are not what was asked for.
    let mut command = Command::new(env!("CARGO_BIN_EXE_osr-bench"));
    command.args(["run", &fib, "5"]).stdout(Stdio::null()).stderr(full());
    assert_eq!(command.status().expect("it starts").code(), Some(0));
    let done = osr_bench(&["run", &fib, "5", "--explain=json", "--explain-to", "-"]).prints("5\n");
    assert!(done.stderr.starts_with('{'), "{}", done.stderr);
}
