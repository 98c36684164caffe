//! Linux perf shows guest functions by name. Where there is no perf, or it may not sample, nothing is tested.

mod support;

use std::process::Command;

use support::{Scratch, program};

/// What perf says, if it can do that.
fn perf(scratch: &Scratch, arguments: &[&str]) -> Option<String> {
    let output = Command::new("perf").args(arguments).current_dir(scratch.path("")).output();
    match output {
        Ok(output) if output.status.success() => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        other => {
            println!("skipped: perf {arguments:?}: {other:?}");
            None
        }
    }
}

/// Samples a run that tells of its code in this way.
fn sampled(scratch: &Scratch, symbols: &str, options: &[&str]) -> Option<()> {
    let (binary, fib) = (env!("CARGO_BIN_EXE_osr-bench"), program("wasm/fib.wasm"));
    let record = ["record", "-q", "-k", "mono", "-e", "cpu-clock", "-F", "999", "-o", "data", "--", binary];
    let run = ["run", &fib, "36", "--symbols", symbols, "--tier", "optimized"];
    perf(scratch, &[&record[..], &run, options].concat()).map(drop)
}

#[test]
fn perf_reads_perf_maps() {
    let scratch = Scratch::new("perf-map");
    for memory in ["arena", "jit-module"] {
        let Some(()) = sampled(&scratch, "perf-map", &["--code-memory", memory]) else { return };
        let Some(report) = perf(&scratch, &["report", "-i", "data", "--stdio", "--sort", "symbol"]) else {
            return;
        };
        assert!(report.contains("fib[optimized]"), "{memory}: {report}");
    }
}

#[test]
fn perf_reads_jit_dumps() {
    let scratch = Scratch::new("jit-dump");
    let Some(()) = sampled(&scratch, "jit-dump", &[]) else { return };
    let Some(_) = perf(&scratch, &["inject", "--jit", "-i", "data", "-o", "jitted"]) else { return };
    let Some(report) = perf(&scratch, &["report", "-i", "jitted", "--stdio", "--sort", "symbol"]) else {
        return;
    };
    assert!(report.contains("fib[optimized]"), "{report}");
}
