//! Ctrl-C leaves no temporary files, and shows what was measured; data that cannot be written are an error.

mod support;

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use support::{Scratch, osr_bench, program};

/// What a run that is interrupted may leave: all that there is of it.
const STATS: &str = "stats.json";

/// The files in `directory`, but for such.
fn files(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).expect("it is there").flatten();
    entries.filter(|entry| entry.file_name() != STATS).count()
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
    assert_eq!(interrupted(&scratch, &["run", &forever, "--stats", STATS]), Some(130));
}

/// Sends `signal` to the command once it watches for interrupts, and something `is_ready`; what it does then.
fn signalled(arguments: &[&str], signal: i32, is_ready: impl Fn(&Child) -> bool) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_osr-bench"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    while !(catches_interrupts(child.id()) && is_ready(&child)) {
        assert!(child.try_wait().expect("it is ours").is_none(), "it ends before it is interrupted");
        thread::sleep(Duration::from_millis(2));
    }
    // SAFETY: a signal to a process of ours, which has not been waited for.
    assert_eq!(unsafe { libc::kill(child.id().cast_signed(), signal) }, 0);
    child.wait_with_output().expect("it ends")
}

fn catches_interrupts(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    caught & 1 << (libc::SIGINT - 1) != 0
}

/// The processes that a process has started.
fn children(process: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect()
}

#[test]
fn an_interrupt_shows_what_was_measured() {
    let measurements: [&[&str]; 4] = [
        &[
            "transitions",
            "--depths",
            "10",
            "--live",
            "4",
            "--rounds",
            "1000",
            "--seed",
            "7",
            "--format",
            "json",
        ],
        &["guards", "--rounds", "1000", "--seed", "7", "--json"],
        &["thread", "update", "--quick", "--repetitions", "1000", "--seed", "7", "--json"],
        &["loop-curve", "--rounds", "1000", "--json"],
    ];
    for arguments in measurements {
        let Output { status, stdout, stderr } = signalled(arguments, libc::SIGINT, |_| {
            thread::sleep(Duration::from_millis(300));
            true
        });
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert_eq!(status.code(), Some(130), "{arguments:?}: {stderr}");
        assert!(stderr.contains("interrupted after "), "{arguments:?}: {stderr}");
        assert_eq!(stderr.contains("--seed 7"), arguments.contains(&"7"), "{arguments:?}: {stderr}");
        let is_shown = !stderr.contains("interrupted after 0 of");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&stdout).is_ok(), is_shown, "{stdout}");
    }
}

#[test]
fn a_termination_leaves_no_child_processes() {
    for arguments in [&["thread", "infinite-loop"][..], &["thread", "steady"], &["steady", "fib"]] {
        let seen = std::cell::RefCell::default();
        let done = signalled(arguments, libc::SIGTERM, |child| {
            *seen.borrow_mut() = children(child.id());
            !seen.borrow().is_empty()
        });
        assert_eq!(done.status.code(), Some(130), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        for child in seen.into_inner() {
            assert!(!Path::new(&format!("/proc/{child}")).exists(), "{arguments:?}: {child} is still there");
        }
    }
}

#[test]
fn a_run_that_is_interrupted_writes_what_there_is() {
    let scratch = Scratch::new("interrupted-outputs");
    let wat = r#"(module (import "h" "f" (func $f)) (func $g (call $f)) (func (export "run") (loop (call $g) (br 0))))"#;
    let module = scratch.file("forever.wat", wat);
    let [stats, schedule, imports, trace] =
        ["s.json", "r.json", "i.json", "t.json"].map(|name| scratch.path(name));
    let outputs = ["--stats", &stats, "--record", &schedule, "--record-imports", &imports, "--trace", &trace];
    let run = ["run", &module, "--imports", "stub", "--stress", "random=11"];
    let check = |code: Option<i32>, expected: i32, stderr: &str| {
        assert_eq!(code, Some(expected), "{stderr}");
        assert!(stderr.contains("--stress random=11"), "{stderr}");
        let json = |path: &str| -> serde_json::Value {
            serde_json::from_str(&std::fs::read_to_string(path).expect(path)).expect(path)
        };
        assert!(json(&stats)["transitions"]["landings"].as_u64() > Some(0));
        assert!(!json(&schedule)["schedule"]["safepoints"].as_array().expect("a list").is_empty());
        assert_eq!(json(&trace)["otherData"]["run"]["settings"]["stress"]["random"], 11);
        assert!(std::fs::read_to_string(&imports).expect("it is written").lines().count() > 1);
    };
    let done = osr_bench(&[&run[..], &outputs, &["--timeout", "0.3"]].concat());
    check(Some(done.code), 124, &done.stderr);
    scratch.names().iter().filter(|name| name.ends_with(".json")).for_each(|name| {
        std::fs::remove_file(scratch.path(name)).expect("it is there");
    });
    let done = signalled(&[&run[..], &outputs].concat(), libc::SIGINT, |_| {
        thread::sleep(Duration::from_millis(300));
        true
    });
    check(done.status.code(), 130, &String::from_utf8_lossy(&done.stderr));
}

#[test]
fn data_that_cannot_be_written_to_standard_error_are_an_error() {
    let fib = program("wasm/fib.wasm");
    let full = || Stdio::from(File::options().write(true).open("/dev/full").expect("Linux has it"));
    for option in
        [&["--stats", "-"][..], &["--explain"], &["--explain=json"], &["--trace-deopt"], &["--shadow"]]
    {
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
