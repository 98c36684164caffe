//! `--stats`: what is in the file, and that it is replaced as a whole or not at all.

mod support;

use serde_json::Value;
use support::{Scratch, case, osr_bench, program};

fn read(path: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("the file is there")).expect("it is JSON")
}

#[test]
fn statistics_have_all_their_fields() {
    let scratch = Scratch::new("fields");
    let file = scratch.path("stats.json");
    let fib = program("wasm/fib.wasm");
    let stress = ["--tier", "optimized", "--stress", "invalidate=20"];
    osr_bench(&[&["run", &fib, "12", "--stats", &file], &stress[..]].concat()).prints("144\n");
    let stats = read(&file);
    assert_eq!(stats["results"], serde_json::json!(["144"]));
    assert!(stats.get("trap").is_none());
    let hash = stats["memory_hash"].as_str().unwrap();
    assert!(hash.len() == 16 && hash.chars().all(|digit| digit.is_ascii_hexdigit()), "{hash}");
    for path in [
        "/wall_ns",
        "/transitions/tier_up",
        "/transitions/hijacked_frames",
        "/transitions/landings",
        "/code/versions_compiled",
        "/code/versions_released",
        "/code/released_bytes",
        "/code/peak_bytes",
        "/stack/peak_bytes",
        "/stack/native_peak_bytes",
    ] {
        assert!(stats.pointer(path).and_then(Value::as_u64).is_some_and(|n| n > 0), "{path}: {stats}");
    }
    for path in ["/transitions/rehijacked", "/code/live_bytes", "/code/frame_map_bytes", "/code/unwind_bytes"]
    {
        assert!(stats.pointer(path).is_some_and(Value::is_u64), "{path}: {stats}");
    }
    assert_eq!(stats["transitions"]["landings"], stats["transitions"]["hijacked_frames"]);
    assert_eq!(scratch.names(), ["stats.json"]);
}

#[test]
fn without_stress_nothing_is_hijacked() {
    let scratch = Scratch::new("calm");
    let file = scratch.path("stats.json");
    osr_bench(&["run", &program("wasm/fib.wasm"), "12", "--tier", "interpreter", "--stats", &file])
        .prints("144\n");
    let stats = read(&file);
    for path in ["/transitions/tier_up", "/transitions/hijacked_frames", "/code/versions_compiled"] {
        assert_eq!(stats.pointer(path), Some(&Value::from(0)), "{path}");
    }
}

#[test]
fn wide_integers_stay_precise() {
    let scratch = Scratch::new("wide");
    let file = scratch.path("stats.json");
    let wat =
        "(module (func (export \"run\") (result i64 f64) (i64.const 9007199254740993) (f64.const nan)))";
    osr_bench(&["run", &scratch.file("wide.wat", wat), "--stats", &file]).prints("9007199254740993\nNaN\n");
    let stats = read(&file);
    assert_eq!(stats["results"], serde_json::json!(["9007199254740993", "NaN"]));
    assert_eq!(stats["memory_hash"], Value::Null);
}

#[test]
fn a_trap_is_written_too() {
    let scratch = Scratch::new("written");
    let file = scratch.path("stats.json");
    let wat = scratch.file("trap.wat", "(module (func $f (export \"run\") (unreachable)))");
    let done = osr_bench(&["run", &wat, "--stats", &file]);
    assert_eq!((done.code, &*done.stdout), (1, ""));
    let stats = read(&file);
    let frame =
        serde_json::json!({"activations": 1, "function": "f", "place": "0x20 trap.wat:1:34", "point": "p1"});
    let trap = serde_json::json!({
        "kind": "unreachable", "function": "f", "point": "p1", "backtrace": [frame], "further_activations": 0,
    });
    assert_eq!(stats["trap"], trap);
    assert_eq!(stats["results"], serde_json::json!([]));
}

#[test]
fn a_good_file_stays_when_nothing_was_run() {
    let scratch = Scratch::new("stays");
    let file = scratch.file("stats.json", "good");
    let fib = program("wasm/fib.wasm");
    osr_bench(&["run", &fib, "x", "--stats", &file]).refused(&["argument 1"]);
    let data = "(module (memory 1) (data (i32.const 65535) \"ab\") (func (export \"run\")))";
    osr_bench(&["run", &scratch.file("data.wat", data), "--stats", &file]).refused(&["out of bounds"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "good");
    assert_eq!(scratch.names(), ["data.wat", "stats.json"]);
}

#[test]
fn a_place_that_cannot_be_written_is_refused_before_the_run() {
    let scratch = Scratch::new("places");
    let prints = case("host-calls.wat");
    for path in [scratch.path("no/such/directory/stats.json"), scratch.path("")] {
        let done = osr_bench(&["run", &prints, "--invoke", "print_all", "--stats", &path]);
        let done = done.refused(&["cannot write", "help: "]);
        assert!(!done.stderr.contains("5000000000"), "{}", done.stderr);
    }
}

#[test]
fn devices_are_written_to_not_replaced() {
    let fib = program("wasm/fib.wasm");
    let done = osr_bench(&["run", &fib, "10", "--stats", "/dev/stderr"]).prints("55\n");
    assert_eq!(serde_json::from_str::<Value>(&done.stderr).unwrap()["results"][0], "55");
    osr_bench(&["run", &fib, "10", "--stats", "/dev/null"]).prints("55\n");
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
}

#[cfg(unix)]
#[test]
fn a_link_still_leads_to_the_file() {
    let scratch = Scratch::new("link");
    let (file, link) = (scratch.file("stats.json", "old"), scratch.path("link.json"));
    std::os::unix::fs::symlink(&file, &link).unwrap();
    osr_bench(&["run", &program("wasm/fib.wasm"), "10", "--stats", &link]).prints("55\n");
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(read(&file)["results"][0], "55");
}
