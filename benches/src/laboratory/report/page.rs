//! The page: question, answer, plots, and the commands that make them.

use std::collections::BTreeMap;

use super::charts::{Line, colour, log_log, timeline};
use crate::laboratory::results::Record;
use crate::laboratory::statistics::estimate;
use crate::laboratory::thread::{COLUMNS, LEGEND, answers};

const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#fff;--text:#1b1f24;--faint:#59636e;--line:#d1d9e0}
@media(prefers-color-scheme:dark){:root{--ground:#11151a;--text:#e6e9ed;--faint:#9aa4af;--line:#343c45}}
body{background:var(--ground);color:var(--text);font:16px/1.5 system-ui,sans-serif;max-width:1100px;margin:0 auto;padding:1rem}
h1{font-size:1.7rem;line-height:1.2}h2{margin-top:2.5rem}blockquote{border-left:3px solid var(--line);margin:1rem 0;padding-left:1rem;color:var(--faint)}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.875rem}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:var(--ground)}
figure{margin:1.5rem 0}figure svg{width:100%;min-width:600px;height:auto;display:block}figcaption,.faint{color:var(--faint);font-size:.875rem}
code,pre{font:.8125rem/1.4 ui-monospace,monospace;overflow-wrap:anywhere}pre{overflow-x:auto;white-space:pre}
.key{display:flex;flex-wrap:wrap;gap:.25rem 1rem;font-size:.875rem}.key i{display:inline-block;width:1rem;height:.25rem;vertical-align:middle;margin-right:.35rem}";

const STACK: &str = "\
  before                       swapped, old code freed        landing, when c's call returns

| a's frame      |           | a's frame      |           | a's frame      |  c continues in the
| slot: v+0x2a   |           | slot: landing  |           | slot: landing  |  interpreter, or in newer
| b's frame      |    -&gt;     | b's frame      |    -&gt;     | b's frame      |  code; it will return to b
| slot: v+0x61   |           | slot: landing  |           | slot: landing  |  through the landing stub,
| c's frame      |           | c's frame      |           '----------------'  and so on
| slot: v+0x99   |           | slot: landing  |
| runtime        |           | runtime        |";

/// A plot of medians against sizes.
struct Plot {
    title: &'static str,
    caption: &'static str,
    experiment: &'static str,
    program: &'static str,
    metric: &'static str,
    x: &'static str,
}

const PLOTS: [Plot; 5] = [
    Plot {
        title: "Update cost against call sites: unbinding",
        caption: "The invalidation of a function that has so many call sites and one active frame.",
        experiment: "update",
        program: "call sites",
        metric: "unbind",
        x: "call sites",
    },
    Plot {
        title: "Update cost against call sites: binding",
        caption: "The installation of the next version, without its compilation.",
        experiment: "update",
        program: "call sites",
        metric: "bind",
        x: "call sites",
    },
    Plot {
        title: "Update cost against active frames",
        caption: "The invalidation of a function that has so many frames on the stack.",
        experiment: "update",
        program: "frames",
        metric: "replace",
        x: "frames",
    },
    Plot {
        title: "The way back through replaced frames",
        caption: "From the bottom of the stack to the end of the outermost call.",
        experiment: "update",
        program: "frames",
        metric: "land",
        x: "frames",
    },
    Plot {
        title: "Hijacked returns in chains",
        caption: "By frame, with continuations that are there.",
        experiment: "predictor",
        program: "chain",
        metric: "hijacked",
        x: "frames in a row",
    },
];

/// The page of `records`.
pub(super) fn page(records: &[Record]) -> String {
    let mut body = String::from(
        "<h1>Replacing code that is in use: every mechanism side by side</h1>\n<blockquote>If you can modify previously \
         executable memory it seems like the patchpoint approach would have lower overhead, unless you have a truly huge \
         number of callsites to update?<br>llvm-dev, \u{201c}replacing function bodies\u{201d}, March 2015</blockquote>\n",
    );
    body += &answer(records);
    for plot in &PLOTS {
        body += &figure(records, plot).unwrap_or_default();
    }
    body += &timelines(records);
    body += &format!(
        "<h2>A stack before and after</h2>\n<p>a calls b calls c; all three are frames of version v, and c has called the \
         runtime, which invalidates v.</p>\n<pre>{STACK}</pre>\n"
    );
    body += &provenance(records);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\">\n<title>Every mechanism side by side</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// The table.
fn answer(records: &[Record]) -> String {
    let answers = answers(records);
    let shown: Vec<_> =
        COLUMNS.iter().filter(|(_, show)| answers.iter().any(|answer| show(answer).is_some())).collect();
    let header: String = shown.iter().map(|(name, _)| format!("<th>{}</th>", escaped(name))).collect();
    let mut rows = String::new();
    let mut notes = String::new();
    for answer in &answers {
        let name = escaped(&answer.mechanism);
        let cell =
            |text: Option<String>| format!("<td>{}</td>", escaped(&text.unwrap_or_else(|| "-".to_owned())));
        let cells: String = shown.iter().map(|(_, show)| cell(show(answer))).collect();
        rows += &format!("<tr><td>{name}</td>{cells}</tr>\n");
        notes.extend(answer.notes.iter().map(|note| format!("<li>{name}: {}</li>\n", escaped(note))));
    }
    format!(
        "<h2>The answer</h2>\n<div class=\"wide\"><table><thead><tr><th>mechanism</th>{header}</tr></thead><tbody>\n{rows}\
         </tbody></table></div>\n<p class=\"faint\">{}</p>\n<ul class=\"faint\">\n{notes}</ul>\n<p class=\"faint\">Made by \
         <code>osr-bench thread</code></p>\n",
        escaped(LEGEND)
    )
}

/// A plot with its key and the command that makes it; none if nothing was measured.
fn figure(records: &[Record], plot: &Plot) -> Option<String> {
    let mut curves: BTreeMap<&str, BTreeMap<u64, Vec<f64>>> = BTreeMap::new();
    let mut command = None;
    for record in records {
        let found = &record.finding;
        let is_it = record.experiment == plot.experiment
            && found.program == plot.program
            && found.metric == plot.metric;
        if let (true, Some(size)) = (is_it, found.size) {
            command = command.or(Some(&record.command));
            curves.entry(&record.mechanism).or_default().entry(size).or_default().extend(&found.samples);
        }
    }
    let line = |(name, sizes): (&str, BTreeMap<u64, Vec<f64>>)| {
        let point = |(size, samples): (u64, Vec<f64>)| Some((size as f64, estimate(&samples)?.median));
        // A logarithmic axis has no 0.
        let points =
            sizes.into_iter().filter_map(point).filter(|point| point.0 > 0.0 && point.1 > 0.0).collect();
        Line { name: name.to_owned(), points }
    };
    let lines: Vec<Line> = curves.into_iter().map(line).collect();
    let svg = log_log(&lines, plot.x, "time")?;
    let key = |(position, line): (usize, &Line)| {
        format!("<span><i style=\"background:{}\"></i>{}</span>", colour(position), escaped(&line.name))
    };
    let keys: String = lines.iter().enumerate().map(key).collect();
    Some(format!(
        "<h2>{}</h2>\n<figure>\n<div class=\"key\">{keys}</div>\n{svg}\n<figcaption>{} Medians.<br>Made by \
         <code>{}</code></figcaption>\n</figure>\n",
        plot.title,
        plot.caption,
        escaped(command?)
    ))
}

/// The timeline of one replacement for each mechanism that has one.
fn timelines(records: &[Record]) -> String {
    let mut text = String::new();
    let mut order: Vec<&str> = Vec::new();
    for record in records.iter().filter(|record| record.finding.program == "timeline") {
        if !order.contains(&&*record.mechanism) {
            order.push(&record.mechanism);
        }
    }
    for mechanism in order {
        let mine = records.iter().filter(|record| {
            record.finding.program == "timeline" && record.mechanism == mechanism && record.repetition == 1
        });
        let mine: Vec<&Record> = mine.take(6).collect();
        let rows: Vec<(String, Vec<f64>)> = mine
            .iter()
            .map(|record| (record.finding.metric.clone(), record.finding.samples.clone()))
            .collect();
        let Some(svg) = timeline(&rows) else { continue };
        text += &format!(
            "<h3>{}</h3>\n<figure>\n{svg}\n<figcaption>Each dot is an event. Made by <code>{}</code></figcaption>\n</figure>\n",
            escaped(mechanism),
            escaped(&mine[0].command)
        );
    }
    if text.is_empty() { text } else { format!("<h2>One replacement</h2>\n{text}") }
}

/// Where the results are from.
fn provenance(records: &[Record]) -> String {
    let mut seen: Vec<String> = Vec::new();
    for Record { machine, versions, .. } in records {
        let rustc = versions.rustc.as_deref().unwrap_or("unknown compiler");
        let commit = versions.commit.as_deref().unwrap_or("unknown");
        let debug = if versions.optimized { "" } else { ", a debug build: figures mean nothing" };
        let line = format!("{}; osr-bench {} ({commit}), {rustc}{debug}", machine.line(), versions.package);
        if !seen.contains(&line) {
            seen.push(line);
        }
    }
    let items: String = seen.iter().map(|line| format!("<li>{}</li>\n", escaped(line))).collect();
    format!("<h2>Where, and by what</h2>\n<ul class=\"faint\">\n{items}</ul>\n")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
