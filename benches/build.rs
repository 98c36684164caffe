//! Tells the binary what it is built from and by: results carry it.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
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
