//! Every file of `tests/cases/` is a test: what its comments state holds. `tests/cases/README.md` describes
//! them.
//!
//!     cargo test -p osr-tests --test cases [NAME]             # check
//!     BLESS=1 cargo test -p osr-tests --test cases [NAME]     # write down what is found

use std::path::Path;

use libtest_mimic::{Arguments, Failed, Trial};
use osr_tests::Case;
use osr_tests::case::case_paths;
use similar::TextDiff;

fn main() {
    let arguments = Arguments::from_args();
    let bless = std::env::var_os("BLESS").is_some();
    let trial = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Trial::test(name, move || Ok(check(&path, bless)?))
    };
    let mut trials: Vec<Trial> = case_paths().into_iter().map(trial).collect();
    assert!(trials.len() >= 20, "the case files are there");
    trials.push(Trial::test("differences_are_shown", differences_are_shown));
    libtest_mimic::run(&arguments, trials).exit();
}

/// Checks the case in `path`, in all configurations. With `bless`, its expectations are replaced before.
fn check(path: &Path, bless: bool) -> Result<(), String> {
    let read = || Case::read(path).map_err(|error| error.to_string());
    let mut case = read()?;
    if bless {
        std::fs::write(path, case.blessed()).map_err(|error| format!("{}: {error}", path.display()))?;
        case = read()?;
    }
    if let Some(difference) = difference(&case) {
        return Err(difference);
    }
    match case.disagreements() {
        none if none.is_empty() => Ok(()),
        disagreements => Err(disagreements),
    }
}

/// What the case expects beside what is found, if they differ, and what to do about it.
fn difference(case: &Case) -> Option<String> {
    let blessed = case.blessed();
    if blessed == case.text {
        return None;
    }
    let name = &case.name;
    let diff = TextDiff::from_lines(&case.text, &blessed);
    let diff =
        diff.unified_diff().header(&format!("{name}, expected"), &format!("{name}, found")).to_string();
    Some(format!("{diff}\nIf this is intended: BLESS=1 cargo test -p osr-tests --test cases {name}"))
}

/// A case with a wrong expectation, and one with none, fail.
fn differences_are_shown() -> Result<(), Failed> {
    let program = "export \"f\" function f\nfunction f (r0: i32) -> (i32) {\nb0:\n  return r0\n}\n";
    for line in [";;! call f 3 => 4", ";;! call f 3"] {
        let case = Case::parse("f.ir", format!("{line}\n{program}"))?;
        let shown = difference(&case).ok_or("the case holds")?;
        for part in [&*format!("\n-{line}\n"), "\n+;;! call f 3 => 3\n", "BLESS=1", "cases f.ir"] {
            if !shown.contains(part) {
                return Err(format!("{part:?} is missing in:\n{shown}").into());
            }
        }
    }
    Ok(())
}
