//! Traces: complete, in order, and every cause leads to its effects.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::{Arc, Mutex};

use osr_engine::trace::{FORMAT_VERSION, Trace};
use osr_engine::{Delegates, Land, Settings, Stress, Tiers};
use osr_ir::Module;
use osr_tests::configuration::on_large_stack;
use osr_tests::reproduction::{Calls, Run, calls_of_program, leaves_for_interpreter};
use osr_tests::{Configuration, cases, programs};
use serde_json::Value;

/// A file that the test can read.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn traced(module: &Module, calls: &Calls, settings: &Settings) -> (Run, Value) {
    let file = Shared::default();
    let trace = Arc::new(Trace::new(file.clone()).unwrap());
    let run = Run::with_delegates(module, calls, settings, Delegates::observer(trace.clone()));
    let records = trace.finish().unwrap();
    let json: Value = serde_json::from_slice(&file.0.lock().unwrap()).expect("a complete trace");
    assert_eq!(json["traceEvents"].as_array().unwrap().len() as u64, records);
    (run, json)
}

/// The format, slices and flows. Returns how often each record's name begins with which word.
fn check(context: &str, trace: &Value) -> BTreeMap<String, u64> {
    assert_eq!(trace["otherData"]["format"], "osr-trace");
    assert_eq!(trace["otherData"]["version"], FORMAT_VERSION);
    let (mut open, mut last, mut counts) = (0, 0.0, BTreeMap::new());
    let mut names: Vec<String> = Vec::new();
    let mut flows: HashMap<u64, Vec<String>> = HashMap::new();
    // Begin and end of the slice that was written last, without compilations.
    let mut slice = (0.0, 0.0);
    for record in trace["traceEvents"].as_array().unwrap() {
        let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
        let (phase, name, ts) = (text("ph"), text("name"), record["ts"].as_f64().unwrap());
        if phase == "M" {
            continue;
        }
        if text("cat") != "compile" {
            assert!(ts > last, "{context}: {record} comes after {last}");
            last = ts;
        }
        match &*phase {
            "B" => {
                open += 1;
                names.push(name.clone());
            }
            "E" => {
                open -= 1;
                assert_eq!(names.pop(), Some(name.clone()), "{context}: ends have the names of beginnings");
            }
            "C" => assert!(record["args"].as_object().is_some_and(|counts| counts.len() == 1), "{record}"),
            "s" | "t" | "f" => {
                let inside = slice.0 < ts && ts < slice.1;
                assert!(inside || (phase == "s" && open > 0), "{context}: {record} is in a slice");
                flows.entry(record["id"].as_u64().unwrap()).or_default().push(phase.clone());
            }
            "X" if text("cat") != "compile" => slice = (ts, ts + record["dur"].as_f64().unwrap()),
            _ => {}
        }
        assert!(open >= 0, "{context}: {record}");
        if !matches!(&*phase, "E" | "C" | "s" | "t" | "f") {
            let what =
                if phase == "B" && name == "hijack" { "hijacking" } else { name.split(' ').next().unwrap() };
            *counts.entry(what.to_owned()).or_default() += 1;
        }
    }
    assert_eq!(open, 0, "{context}: slices that were begun are ended");
    for flow in flows.values() {
        assert_eq!((&*flow[0], &**flow.last().unwrap()), ("s", "f"), "{context}: {flow:?}");
        assert!(flow[1..flow.len() - 1].iter().all(|step| step == "t"), "{context}: {flow:?}");
    }
    counts
}

fn check_run(context: &str, module: &Module, (run, trace): &(Run, Value)) {
    let counts = check(context, trace);
    let count = |name: &str| counts.get(name).copied().unwrap_or_default();
    assert_eq!(count("compile"), run.code.versions_compiled, "{context}");
    assert_eq!(count("release"), run.code.versions_released, "{context}");
    assert_eq!(count("retire"), run.code.versions_released, "{context}");
    assert_eq!(count("hijack"), run.transitions.hijacked_frames, "{context}");
    assert_eq!(count("land"), run.transitions.landings, "{context}");
    // Frames that a guard leaves land, too, unless its exit is linked.
    let gone = count("land") + count("drop") + count("exit");
    let leaving = count("hijack") + count("guard");
    // So do those that make a tail call.
    assert!(
        gone == leaving || leaves_for_interpreter(module) && gone > leaving,
        "{context}: {gone} of {leaving}"
    );
}

#[test]
fn traces_tell_all_that_was_counted() {
    let stress = [
        Stress::invalidate(40_000).landing(Land::Random(3)),
        Stress::hijack(20_000).landing(Land::Random(4)),
        Stress::None,
    ];
    for (number, program) in programs().iter().enumerate().step_by(3) {
        let stress = stress[number % stress.len()].clone();
        let settings = Configuration::new("", Tiers::Auto, stress).with_thresholds((50, 500)).settings;
        let module = program.module(true);
        let traced = traced(&module, &calls_of_program(program), &settings);
        check_run(&program.name, &module, &traced);
    }
}

#[test]
fn traces_are_complete_where_guests_trap_and_hosts_invalidate() {
    for case in cases().iter().step_by(2) {
        let stress = Stress::invalidate(29).landing(Land::Random(1));
        let settings = Configuration::new("", Tiers::Auto, stress).with_thresholds((3, 9)).settings;
        let traced = on_large_stack(4 << 20, || traced(&case.module, &case.calls(), &settings));
        check_run(&case.name, &case.module, &traced);
    }
}

#[test]
fn a_failure_to_write_is_told_at_the_end() {
    /// Takes so many bytes.
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let program = programs().into_iter().find(|program| program.name == "fib").expect("fib");
    let (module, calls) = (program.module(true), calls_of_program(&program));
    let settings = Configuration::new("", Tiers::Auto, Stress::invalidate(1_000)).settings;
    let expected = Run::of(&module, &calls, &settings);
    assert!(Trace::new(Full(5)).is_err(), "the head is written at once");
    let trace = Arc::new(Trace::new(Full(1_000)).unwrap());
    let run = Run::with_delegates(&module, &calls, &settings, Delegates::observer(trace.clone()));
    assert_eq!(trace.finish().unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(run, expected, "the guest does not notice");
}
