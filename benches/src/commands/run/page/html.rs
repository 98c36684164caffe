//! The page itself. Whatever comes from a module is escaped.

use std::fmt::Write;

use osr_engine::explain::{ExplainedFunction, ExplainedVersion, Explanation};
use osr_ir::{FunctionIndex, Point};

use super::{Shown, State, Transition};
use crate::commands::maps::listing::{FrameMap, Line, Listing};
use crate::json::is_plain;

const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#fff;--text:#1b1f24;--faint:#59636e;--line:#d1d9e0;--link:#0a58ca;--mark:#fff3c4}
@media(prefers-color-scheme:dark){:root{--ground:#11151a;--text:#e6e9ed;--faint:#9aa4af;--line:#343c45;--link:#79b8ff;--mark:#4a3f12}}
body{background:var(--ground);color:var(--text);font:16px/1.5 system-ui,sans-serif;max-width:1200px;margin:0 auto;padding:1rem}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}:target{background:var(--mark)}
h1{font-size:1.5rem;overflow-wrap:anywhere}h2{margin-top:2.5rem;border-top:1px solid var(--line);padding-top:1rem;overflow-wrap:anywhere}
pre,td,code{font:.8125rem/1.45 ui-monospace,monospace}pre{overflow-x:auto;white-space:pre}.faint{color:var(--faint)}
.map{color:var(--faint)}details{margin:.5rem 0}summary{cursor:pointer}.wide{overflow-x:auto}
table{border-collapse:collapse}th{text-align:left;font-size:.875rem}th,td{padding:.1rem .8rem .1rem 0;border-bottom:1px solid var(--line);vertical-align:top;white-space:nowrap}";

/// The page of what was seen.
pub(super) fn page(title: &str, state: &State, explanation: &Explanation) -> String {
    let mut body = format!("<h1>{}</h1>\n{}", escaped_name(title), contents(state, explanation));
    for (&index, shown) in &state.functions {
        let explained = explanation.functions.iter().find(|function| function.index == index.index());
        body += &function(state, index, shown, explained);
    }
    for found in &explanation.deoptimization_loops {
        writeln!(body, "<p><strong>{}</strong></p>", escaped(found.to_string().trim())).expect(GROWS);
    }
    body += &transitions(state);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\">\n<title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\
         </body>\n</html>\n",
        escaped_name(title)
    )
}

const GROWS: &str = "a string grows";

/// Links to the functions.
fn contents(state: &State, explanation: &Explanation) -> String {
    if state.functions.is_empty() {
        return "<p>Nothing was compiled.</p>\n".to_owned();
    }
    let item = |(index, shown): (&FunctionIndex, &Shown)| {
        let found = explanation.functions.iter().find(|function| function.index == index.index());
        let versions = found.map_or(0, |function| function.versions.len());
        let name = escaped_name(&shown.name);
        format!(
            "<li><a href=\"#{}\">{name}</a> <span class=\"faint\">{}</span></li>\n",
            id(*index),
            counted(versions)
        )
    };
    let items: String = state.functions.iter().map(item).collect();
    format!("<ul>\n{items}<li><a href=\"#transitions\">Transitions</a></li>\n</ul>\n")
}

/// `1 version`
fn counted(versions: usize) -> String {
    format!("{versions} version{}", if versions == 1 { "" } else { "s" })
}

/// A function: its IR, and its versions.
fn function(
    state: &State,
    index: FunctionIndex,
    shown: &Shown,
    explained: Option<&ExplainedFunction>,
) -> String {
    let mut text = format!("<h2 id=\"{}\">{}</h2>\n<h3>IR</h3>\n<pre>", id(index), escaped_name(&shown.name));
    shown.ir.lines().for_each(|line| text += &ir_line(index, line));
    text += "</pre>\n";
    let Some(explained) = explained else { return text };
    for refusal in &explained.refused {
        writeln!(text, "<p>The compiler refused: {}</p>", escaped(refusal)).expect(GROWS);
    }
    for version in &explained.versions {
        text += &version_section(state, version, shown.listings.get(&version.id));
    }
    text
}

/// A version: what became of it, and its code.
fn version_section(state: &State, version: &ExplainedVersion, listing: Option<&Listing>) -> String {
    let id = version.id;
    let mut text = format!("<h3 id=\"v{id}\">v{id}</h3>\n<pre>{}</pre>\n", escaped(&version.to_string()));
    text += &its_transitions(state, id);
    match listing {
        Some(listing) => {
            let lines: String =
                listing.instructions.iter().map(|line| code_line(state, listing, line)).collect();
            let bytes = listing.code_bytes;
            write!(
                text,
                "<details open><summary>Code, {bytes} bytes</summary>\n<pre>{lines}</pre></details>\n"
            )
            .expect(GROWS);
        }
        None => text += "<p class=\"faint\">Its code was not kept: there are many versions.</p>\n",
    }
    text
}

/// Links to what happened to a version and to its frames.
fn its_transitions(state: &State, id: u64) -> String {
    /// Links that a version has, at most.
    const LINKS: usize = 24;
    let all = state.transitions.iter().enumerate();
    let mine = all.filter(|(_, transition)| transition.version == Some(id) || transition.to == Some(id));
    let mut links: Vec<String> = mine
        .map(|(number, transition)| format!("<a href=\"#t{number}\">{} {number}</a>", transition.what))
        .collect();
    if links.len() > LINKS {
        let more = links.len() - LINKS;
        links.truncate(LINKS);
        links.push(format!("and {more} more"));
    }
    match links.is_empty() {
        true => String::new(),
        false => format!("<p class=\"faint\">{}</p>\n", links.join(", ")),
    }
}

/// An instruction, and the frame map behind it.
fn code_line(state: &State, listing: &Listing, line: &Line) -> String {
    let mut text = format!("{:04x}  {}", line.offset, escaped(&line.text));
    if let Some(trap) = &line.trap {
        write!(text, "  <span class=\"map\">; {} trap: {}</span>", escaped(&trap.point), trap.kind)
            .expect(GROWS);
    }
    text.push('\n');
    let Some(FrameMap { return_offset, point, kind, place, activations, values, .. }) = &line.frame_map
    else {
        return text;
    };
    // The point of a single activation is the listed function's.
    let shown = match activations.is_empty() {
        true => link(state, FunctionIndex::new(listing.index as usize), point),
        false => escaped(&activations.join(" < ")),
    };
    let place = place.as_ref().map_or(String::new(), |place| format!(", {}", escaped(place)));
    writeln!(text, "<span class=\"map\">      -&gt; {return_offset:04x} {shown} ({kind}{place})")
        .expect(GROWS);
    for value in values {
        let (register, ty, location) = (&value.register, value.ty, escaped(&value.location));
        writeln!(text, "           {register:<5} {ty:<7} {location}").expect(GROWS);
    }
    text + "</span>"
}

/// A line of IR, whose block or point can be linked to; in a terminator, blocks are links.
fn ir_line(function: FunctionIndex, line: &str) -> String {
    let (code, note) = line.split_once(';').map_or((line, None), |(code, note)| (code, Some(note)));
    let label = code.trim_end().strip_suffix(':').filter(|label| is_name(label, 'b'));
    let code = match label {
        Some(label) => {
            code.replacen(label, &format!("<span id=\"{}-{label}\">{label}</span>", id(function)), 1)
        }
        None => linked_blocks(function, code),
    };
    let note = note.map_or(String::new(), |note| {
        let word = |word: &str| match is_name(word, 'p') {
            true => format!("<strong id=\"{}-{word}\">{word}</strong>", id(function)),
            false => escaped(word),
        };
        let words: Vec<String> = note.split(' ').map(word).collect();
        format!("<span class=\"faint\">;{}</span>", words.join(" "))
    });
    format!("{code}{note}\n")
}

/// `code`, in which blocks are links if it is a terminator: elsewhere a function may be called `b1`.
fn linked_blocks(function: FunctionIndex, code: &str) -> String {
    let first = code.split_whitespace().next().unwrap_or_default();
    if !["jump", "branch", "guard", "switch"].contains(&first) {
        return escaped(code);
    }
    let part = |part: &str| {
        let block = part.trim_end_matches([',', ']', ' ']).trim_start_matches('[');
        match is_name(block, 'b') {
            true => part.replacen(block, &format!("<a href=\"#{}-{block}\">{block}</a>", id(function)), 1),
            false => escaped(part),
        }
    };
    code.split(' ').map(part).collect::<Vec<_>>().join(" ")
}

/// `b7` is one of `b`.
fn is_name(text: &str, letter: char) -> bool {
    let number = text.strip_prefix(letter).unwrap_or_default();
    !number.is_empty() && number.chars().all(|digit| digit.is_ascii_digit())
}

/// The transitions, in order.
fn transitions(state: &State) -> String {
    let row = |(number, transition): (usize, &Transition)| {
        let Transition { safepoint, what, version, place, to, note } = transition;
        let safepoint = if *safepoint > 0 { format!("@{safepoint}") } else { String::new() };
        let version_link = |id: &u64| format!("<a href=\"#v{id}\">v{id}</a>");
        let [version, to] = [version, to].map(|id| id.as_ref().map_or(String::new(), version_link));
        let place = place.map_or(String::new(), |(function, point)| show_place(state, function, point));
        let note = escaped(note);
        format!(
            "<tr id=\"t{number}\"><td class=\"faint\">{number}</td><td class=\"faint\">{safepoint}</td><td>{what}</td>\
             <td>{version}</td><td>{place}</td><td>{to}</td><td>{note}</td></tr>\n"
        )
    };
    let rows: String = state.transitions.iter().enumerate().map(row).collect();
    let more = match state.further_transitions {
        0 => String::new(),
        more => format!("<p class=\"faint\">and {more} more</p>\n"),
    };
    format!(
        "<h2 id=\"transitions\">Transitions</h2>\n<div class=\"wide\"><table><thead><tr><th></th><th>safepoint</th><th></th>\
         <th>version</th><th>where</th><th>to</th><th>why</th></tr></thead><tbody>\n{rows}</tbody></table></div>\n{more}"
    )
}

/// A point of a function, by name.
fn show_place(state: &State, function: FunctionIndex, point: Point) -> String {
    let name = state.functions.get(&function).map(|shown| shown.name.clone());
    let name = name.unwrap_or_else(|| format!("function {}", function.index()));
    format!("{} {}", escaped_name(&name), link(state, function, &point.to_string()))
}

/// `point`, as a link if the IR of the function is on the page.
fn link(state: &State, function: FunctionIndex, point: &str) -> String {
    match state.functions.contains_key(&function) {
        true => format!("<a href=\"#{}-{point}\">{point}</a>", id(function)),
        false => point.to_owned(),
    }
}

/// How a function is linked to.
fn id(function: FunctionIndex) -> String {
    format!("f{}", function.index())
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            // Of texts of several lines. In names they are escaped before.
            '\n' | '\t' => escaped.push(character),
            _ if is_plain(character) => escaped.push(character),
            _ => escaped.extend(character.escape_default()),
        }
    }
    escaped
}

/// A name from the module: in one line, as messages have it.
fn escaped_name(name: &str) -> String {
    escaped(&osr_ir::Shown(name).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_and_blocks_of_ir_are_linked() {
        let line = ir_line(FunctionIndex::new(3), "b2:    ; p1 loop header, live: r0");
        assert!(line.contains("<span id=\"f3-b2\">b2</span>:"), "{line}");
        assert!(line.contains("<strong id=\"f3-p1\">p1</strong> loop"), "{line}");
        let line = ir_line(FunctionIndex::new(3), "  branch r4, b2, b13   ; b1:9, 0x7d");
        assert!(line.contains("<a href=\"#f3-b2\">b2</a>, <a href=\"#f3-b13\">b13</a> "), "{line}");
        assert_eq!(ir_line(FunctionIndex::new(3), "  r1 = call b2 (r0)"), "  r1 = call b2 (r0)\n");
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(escaped_name("a\nb\u{2028}"), "a\\nb\\u{2028}");
        assert_eq!(escaped("<b>\"&\u{1b}[31m\u{202e}"), "&lt;b&gt;&quot;&amp;\\u{1b}[31m\\u{202e}");
    }
}
