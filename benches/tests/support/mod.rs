//! Running the binary, and files to run it on.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What the binary did.
pub(crate) struct Done {
    /// Exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

/// Runs the binary.
pub(crate) fn osr_bench(arguments: &[&str]) -> Done {
    let mut command = Command::new(env!("CARGO_BIN_EXE_osr-bench"));
    let Output { status, stdout, stderr } = command.args(arguments).output().expect("the binary starts");
    let text = |bytes| String::from_utf8(bytes).expect("output is text");
    Done { code: status.code().expect("no signal ends it"), stdout: text(stdout), stderr: text(stderr) }
}

/// The same, with this on standard input.
pub(crate) fn osr_bench_reading(arguments: &[&str], input: &[u8]) -> Done {
    let mut command = Command::new(env!("CARGO_BIN_EXE_osr-bench"));
    let streams = [Stdio::piped(), Stdio::piped(), Stdio::piped()];
    let [stdin, stdout, stderr] = streams;
    let spawned = command.args(arguments).stdin(stdin).stdout(stdout).stderr(stderr).spawn();
    let mut child = spawned.expect("the binary starts");
    // It need not read everything.
    let _ = child.stdin.take().expect("it is a pipe").write_all(input);
    let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("output is text");
    Done { code: status.code().expect("no signal ends it"), stdout: text(stdout), stderr: text(stderr) }
}

impl Done {
    /// Success, and exactly this on standard output.
    #[track_caller]
    pub(crate) fn prints(self, stdout: &str) -> Done {
        assert_eq!((self.code, &*self.stdout), (0, stdout), "{}", self.stderr);
        self
    }

    /// Bad input: nothing on standard output, and all of `parts` in the message.
    #[track_caller]
    pub(crate) fn refused(self, parts: &[&str]) -> Done {
        assert_eq!((self.code, &*self.stdout), (2, ""), "{}", self.stderr);
        for part in parts {
            assert!(self.stderr.contains(part), "no `{part}` in: {}", self.stderr);
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }
}

/// A directory that is removed afterwards.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// A new directory for the test of that name.
    pub(crate) fn new(test: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("osr-bench-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory can be made");
        Scratch(path)
    }

    /// Writes a file; returns its path.
    pub(crate) fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, contents).expect("a file can be written");
        path.to_str().expect("the path is text").to_owned()
    }

    /// The path of a file.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("the path is text").to_owned()
    }

    /// The names of all files.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("the directory is there");
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The path of a case, by its name in `tests/cases`.
pub(crate) fn case(name: &str) -> String {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases");
    cases.join(name).to_str().expect("the path is text").to_owned()
}

/// The path of a bundled program, by its path in `tests/programs`.
pub(crate) fn program(path: &str) -> String {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/programs");
    programs.join(path).to_str().expect("the path is text").to_owned()
}
