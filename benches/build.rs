//! Tells the binary what it is built from and by: results carry it.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the program is made of, from here.
const SOURCES: [&str; 13] = [
    "src",
    "../engine/src",
    "../compiler/src",
    "../ir/src",
    "../osr-stubs/src",
    "../release/src",
    "../stackwalk/src",
    "../symbols/src",
    "../wasi/src",
    "../wast/src",
    "../tests/programs",
    "../Cargo.toml",
    "../Cargo.lock",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    SOURCES.iter().for_each(|path| println!("cargo::rerun-if-changed={path}"));
    tell("OSR_SOURCES", Some(format!("{:016x}", hash(&SOURCES))));
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    tell("OSR_RUSTC", said(&rustc, &["--version"]));
    let commit = said("git", &["rev-parse", "--short=12", "HEAD"]);
    let package = std::env::var("CARGO_PKG_VERSION").expect("cargo says it");
    tell("OSR_VERSION", Some(commit.iter().fold(package, |version, commit| format!("{version} ({commit})"))));
    tell("OSR_COMMIT", commit);
    // Every commit is written there.
    if let Some(log) = said("git", &["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
}

/// Of all files at and below `paths`, by name and content: commits do not tell of changes that are not committed.
fn hash(paths: &[&str]) -> u64 {
    let mut files = Vec::new();
    paths.iter().for_each(|path| collect(Path::new(path), &mut files));
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        let contents = fs::read(&file).unwrap_or_default();
        (file, contents).hash(&mut hasher);
    }
    hasher.finish()
}

/// Adds the files at and below `path`. What cannot be read is not there.
fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    match fs::read_dir(path) {
        Ok(entries) => entries.flatten().for_each(|entry| collect(&entry.path(), files)),
        Err(_) => files.push(path.to_owned()),
    }
}

/// What a program prints, in a line; none if it is not there, or fails.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn tell(name: &str, value: Option<String>) {
    if let Some(value) = value {
        println!("cargo::rustc-env={name}={value}");
    }
}
