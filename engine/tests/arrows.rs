//! The folders of the engine are in an order, and arrows lead down only: what a folder uses is of itself, or of
//! folders before it. Methods count as well: `impl Thread` blocks add some in many folders, and only the folder
//! that adds a method and those after it may call it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// From what is watched to what watches; `lib.rs` has the picture. The folders of one entry are a knot, named there
/// with its reason.
const ORDER: [&[&str]; 10] = [
    &["phase"],
    &["memory"],
    &["settings"],
    &["error"],
    &["code"],
    &["event"],
    &["instance", "interpreter", "thread", "tiering"],
    &["transition"],
    &["boundary"],
    &["observers"],
];

/// Every file of the engine that is not a test, with its folder and its text.
fn files() -> Vec<(PathBuf, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut pending = vec![root.clone()];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending
                .extend(fs::read_dir(&path).expect("readable").map(|entry| entry.expect("readable").path()));
            continue;
        }
        let inside = path.strip_prefix(&root).expect("below the root").to_path_buf();
        let first = inside.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
        let is_test = inside.components().any(|part| part.as_os_str().to_string_lossy().starts_with("tests"));
        if !is_test && first != "lib.rs" {
            let text = fs::read_to_string(&path).expect("readable");
            let code = text.split("#[cfg(test)]\nmod tests {").next().expect("a first part").to_owned();
            files.push((inside, first.trim_end_matches(".rs").to_owned(), code));
        }
    }
    files
}

fn rank(folder: &str) -> usize {
    ORDER.iter().position(|knot| knot.contains(&folder)).unwrap_or_else(|| panic!("`{folder}` has no place"))
}

/// The words that follow `before` in the code of `text`, which comments are not.
fn words_after<'t>(text: &'t str, before: &'t str) -> impl Iterator<Item = &'t str> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(move |line| line.split(before).skip(1)).map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

#[test]
fn arrows_lead_down_only() {
    let mut wrong = Vec::new();
    for (path, folder, text) in files() {
        for used in
            words_after(&text, "crate::").filter(|used| used.chars().next().is_some_and(char::is_lowercase))
        {
            if rank(used) > rank(&folder) {
                wrong.push(format!("{} uses `{used}`, which is above `{folder}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn methods_of_threads_are_called_from_above_only() {
    let mut added: BTreeMap<String, String> = BTreeMap::new();
    let files = files();
    for (_, folder, text) in &files {
        for block in
            text.split("\nimpl Thread {").skip(1).map(|rest| rest.split("\n}\n").next().expect("a block"))
        {
            added.extend(words_after(block, "fn ").map(|name| (name.to_owned(), folder.clone())));
        }
    }
    assert!(added.len() > 40, "the threads' methods are found: {}", added.len());
    let mut wrong = Vec::new();
    for (path, folder, text) in &files {
        // `self` is a thread where a file adds methods to threads.
        let own = if text.contains("\nimpl Thread {") { "self." } else { "thread." };
        for called in words_after(text, "thread.").chain(words_after(text, own)) {
            if let Some(owner) = added.get(called).filter(|owner| rank(owner) > rank(folder)) {
                wrong.push(format!("{} calls `{called}`, which `{owner}` adds to threads", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_is_long() {
    for (path, _, text) in files() {
        assert!(text.lines().count() <= 600, "{} has {} lines", path.display(), text.lines().count());
    }
}
