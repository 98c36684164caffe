//! `osr-bench run` of programs that import WASI.

mod support;

use support::{Scratch, osr_bench, osr_bench_reading, program};

const TIERS: [&[&str]; 5] = [
    &["--tier", "interpreter"],
    &["--tier", "baseline", "--stress", "hijack=5", "--stress", "land=interpreter"],
    &["--tier", "optimized", "--stress", "invalidate=997"],
    &[
        "--threshold",
        "2",
        "--optimize-threshold",
        "5",
        "--stress",
        "hijack=11",
        "--stress",
        "land=random:4",
        "--checked",
    ],
    &["--tier", "optimized", "--stress", "hijack=3", "--stress", "land=random:5"],
];

#[test]
fn a_program_has_arguments_environment_files_and_streams() {
    let scratch = Scratch::new("wasi");
    scratch.file("numbers.txt", "1\n2\n39\n");
    let echo = program("wasi/echo.wasm");
    let directory = format!("{}::/data", scratch.path(""));
    let given = [
        "--dir",
        &directory,
        "--env",
        "WHO=you",
        "--env",
        "WHO=me",
        "--verify",
        "--",
        "-0x1",
        "/data/numbers.txt",
    ];
    for tier in TIERS {
        let arguments = [&["run", &echo], tier, &given].concat();
        let done = osr_bench_reading(&arguments, b"first\nsecond\n");
        let printed = "arguments: echo.wasm -0x1 /data/numbers.txt\n1: first\n2: second\n\
                       /data/numbers.txt: 7 bytes\n";
        assert_eq!((done.code, &*done.stdout, &*done.stderr), (2, printed, "WHO is me\n"), "{tier:?}");
    }
}

#[test]
fn what_is_not_given_is_not_there() {
    let scratch = Scratch::new("wasi-not-given");
    let file = scratch.file("numbers.txt", "1");
    let done = osr_bench(&["run", &program("wasi/echo.wasm"), "--", &file]);
    assert_eq!(done.code, 100, "{}", done.stderr);
    assert!(done.stderr.starts_with("WHO is not set\n"), "{}", done.stderr);
    osr_bench(&["run", &program("wasi/echo.wasm"), "--dir", &scratch.path("nowhere")]).refused(&[
        "cannot open the directory",
        "nowhere",
        "--dir HOST::GUEST",
    ]);
    osr_bench(&["run", &program("wasi/echo.wasm"), "--dir", "::/data"]).refused(&["write HOST"]);
    osr_bench(&["run", &program("wasi/echo.wasm"), "--env", "WHO"]).refused(&["NAME=VALUE"]);
    osr_bench(&["run", &program("wasm/fib.wasm"), "5", "--env", "A=1"]).refused(&["does not import WASI"]);
}

#[test]
fn a_program_works_on_files_of_its_directory_only() {
    let echo = program("wasi/files.wasm");
    for tier in TIERS {
        let scratch = Scratch::new("wasi-files");
        std::fs::create_dir(scratch.path("inner")).unwrap();
        let directory = format!("{}::/", scratch.path("inner"));
        let arguments = [&["run", &echo, "--dir", &directory, "--verify"], tier, &["--", "/"]].concat();
        osr_bench(&arguments)
            .prints("number 4, size 3890\nsub\nb.txt\nstat 3890\noutside: Operation not permitted\n\n");
        assert_eq!(scratch.names(), ["inner"]);
    }
}

#[test]
fn a_program_sorts_its_input() {
    let sort = program("wasi/sort.wasm");
    let numbers: Vec<i32> = (0..40).map(|n| n * 7919 % 211).collect();
    let text = |numbers: &[i32]| numbers.iter().map(i32::to_string).collect::<Vec<_>>().join(" ") + "\n";
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    let ascending = text(&sorted);
    sorted.reverse();
    for tier in TIERS {
        let arguments = [&["run", &sort, "--verify"], tier].concat();
        osr_bench_reading(&arguments, text(&numbers).as_bytes())
            .prints(&(ascending.clone() + &text(&sorted)));
    }
}

#[test]
fn exit_codes_are_the_commands() {
    let sort = program("wasi/sort.wasm");
    for tier in TIERS {
        for code in [0, 7, 255] {
            let text = code.to_string();
            let arguments = [&["run", &sort, "--verify"], tier, &["--", "exit", &text]].concat();
            let done = osr_bench(&arguments);
            assert_eq!((done.code, &*done.stdout, &*done.stderr), (code, "", ""), "{tier:?}");
        }
    }
    let done = osr_bench(&["run", &sort, "--", "abort"]);
    let lines: Vec<&str> = done.stderr.lines().collect();
    assert_eq!((done.code, lines[0]), (1, "trap: unreachable in abort at p1"));
    let backtrace = &lines[1..];
    assert!(backtrace.iter().all(|line| line.starts_with("  #")), "{backtrace:?}");
    assert!(backtrace.iter().any(|line| line.contains("_start at p1")), "{backtrace:?}");
}

#[test]
fn stats_tell_the_exit_code() {
    let arguments = ["run", &program("wasi/sort.wasm"), "--stats", "-", "--", "exit", "5"];
    let done = osr_bench(&arguments);
    let stats: serde_json::Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!((done.code, &stats["exit_code"], &stats["trap"]), (5, &5.into(), &serde_json::Value::Null));
}

#[test]
fn a_quiet_program_reads_and_writes_nothing_on_the_streams() {
    let arguments = ["run", &program("wasi/echo.wasm"), "--quiet"];
    let done = osr_bench_reading(&arguments, b"a\nb\nc\n");
    assert_eq!((done.code, &*done.stdout, &*done.stderr), (3, "", ""));
}

#[test]
fn a_shadow_and_a_schedule_go_with_wasi() {
    let scratch = Scratch::new("wasi-shadow");
    let sort = program("wasi/sort.wasm");
    let stress = ["--threshold", "2", "--optimize-threshold", "5", "--stress", "random=8"];
    let schedule = scratch.path("schedule.json");
    let arguments = [&["run", &sort, "--shadow", "--record", &schedule], &stress[..]].concat();
    let recorded = osr_bench_reading(&arguments, b"3 1 2\n").prints("1 2 3\n3 2 1\n");
    assert!(recorded.stderr.starts_with("shadow: compared "), "{}", recorded.stderr);
    let replayed =
        ["run", &sort, "--points", "--replay", &schedule, "--threshold", "2", "--optimize-threshold", "5"];
    osr_bench_reading(&replayed, b"3 1 2\n").prints("1 2 3\n3 2 1\n");
    let done = osr_bench_reading(&replayed, b"3 1 2 9 8\n");
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("the replay is another run"), "{}", done.stderr);
}
