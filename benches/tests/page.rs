//! `--explain=html`: one page on which everything is linked to what is there.

mod support;

use std::collections::BTreeSet;

use support::{Scratch, osr_bench, program};

fn page(scratch: &Scratch, program: &str, options: &[&str]) -> String {
    let path = scratch.path("page.html");
    let done = osr_bench(&[&["run", program, "--explain=html", "--explain-to", &path][..], options].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.stderr, "", "all of it is in the file");
    std::fs::read_to_string(path).expect("the page is there")
}

/// What stands between each `before` and the next quotation mark.
fn attributes<'p>(page: &'p str, before: &str) -> Vec<&'p str> {
    page.split(before).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn every_link_leads_to_something_on_the_page_and_nothing_else_is_loaded() {
    let scratch = Scratch::new("page");
    let fib = program("wasm/fib.wasm");
    let options = ["12", "--tier", "optimized", "--inline", "off"];
    let options = [&options[..], &["--stress", "invalidate=20", "--stress", "land=random:3"]].concat();
    let page = page(&scratch, &fib, &options);
    let ids = attributes(&page, " id=\"");
    let known: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(known.len(), ids.len(), "names are unique");
    let links = attributes(&page, " href=\"#");
    assert!(links.len() > 50, "{}", links.len());
    for link in links {
        assert!(known.contains(link), "there is no `{link}`");
    }
    assert_eq!(attributes(&page, "href=\"").len(), attributes(&page, "href=\"#").len());
    assert!(!page.contains("src=") && !page.contains("url("), "it opens offline");
    for part in [
        "loop header, live:",
        "call    qword ptr",
        "r0    i32",
        "<td>land</td>",
        "INVALIDATE",
        "prefers-color-scheme",
    ] {
        assert!(page.contains(part), "no `{part}`");
    }
}

#[test]
fn names_of_a_module_are_no_markup() {
    let scratch = Scratch::new("markup");
    let wat = scratch.file(
        "markup.wat",
        r#"(module (func $"<img src=x>\1b[31m" (export "run") (result i32) (i32.const 7)))"#,
    );
    let page = page(&scratch, &wat, &["--tier", "optimized"]);
    assert!(page.contains("&lt;img src=x&gt;"), "{page}");
    assert!(!page.contains("<img") && !page.contains('\u{1b}'), "{page}");
}

#[test]
fn explanations_are_written_to_files_and_a_page_always_is() {
    let scratch = Scratch::new("explained");
    let (fib, path) = (program("wasm/fib.wasm"), scratch.path("explained.json"));
    let done = osr_bench(&["run", &fib, "5", "--explain=json", "--explain-to", &path]).prints("5\n");
    assert_eq!(done.stderr, "");
    let text = std::fs::read_to_string(path).expect("the file is there");
    assert!(serde_json::from_str::<serde_json::Value>(&text).expect("it is JSON")["functions"].is_array());
    osr_bench(&["run", &fib, "5", "--explain=html"]).refused(&["--explain-to <FILE>"]);
    osr_bench(&["run", &fib, "5", "--explain-to", "x"]).refused(&["--explain"]);
}

#[test]
fn names_that_move_text_are_escaped_in_pages_and_in_json() {
    let scratch = Scratch::new("page-names");
    let wat = r#"(module (import "h\u{202e}" "f\u{85}" (func $f))
        (func $"a\u{a}b\u{2028}c\u{202e}d\u{9b}" (export "run") (call $f)))"#;
    let module = scratch.file("names.wat", wat);
    let [page, explained, trace, imports] =
        ["page.html", "e.json", "t.json", "i.json"].map(|name| scratch.path(name));
    let run = ["run", &module, "--imports", "stub", "--tier", "optimized", "--quiet"];
    osr_bench(&[&run[..], &["--explain=html", "--explain-to", &page]].concat()).prints("");
    let outputs =
        ["--explain=json", "--explain-to", &explained, "--trace", &trace, "--record-imports", &imports];
    osr_bench(&[&run[..], &outputs].concat()).prints("");
    let maps = osr_bench(&["maps", &module, "--json"]);
    assert_eq!(maps.code, 0, "{}", maps.stderr);
    let mut texts = vec![maps.stdout];
    texts
        .extend([&page, &explained, &trace, &imports].map(|path| std::fs::read_to_string(path).expect(path)));
    for text in &texts {
        let moves = |character: char| matches!(character, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{202e}');
        assert!(!text.contains(moves), "{text:?}");
    }
    assert!(texts[1].contains(r"a\nb\u{2028}c\u{202e}d\u{9b}</h2>"), "{}", texts[1]);
    let explained: serde_json::Value = serde_json::from_str(&texts[2]).expect("it is JSON");
    let functions = explained["functions"].as_array().expect("a list");
    let name = "a\nb\u{2028}c\u{202e}d\u{9b}";
    assert!(
        functions.iter().any(|function| function["function"] == name || function["name"] == name),
        "{}",
        texts[2]
    );
}
