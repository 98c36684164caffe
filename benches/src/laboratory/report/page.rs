//! The page: question, answer, plots, and the commands that make them.

use std::collections::BTreeMap;

use super::charts::{Line, colour, log_log, standalone, timeline};
use crate::laboratory::results::{Record, mixtures, origins, processes};
use crate::laboratory::statistics::percentile;
use crate::laboratory::thread::{Figure, Grid, LEGEND, answers, difference, grids, in_order, tables};

const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#fff;--text:#1b1f24;--faint:#59636e;--line:#d1d9e0}
@media(prefers-color-scheme:dark){:root{--ground:#11151a;--text:#e6e9ed;--faint:#9aa4af;--line:#343c45}}
body{background:var(--ground);color:var(--text);font:16px/1.5 system-ui,sans-serif;max-width:1100px;margin:0 auto;padding:1rem}
h1{font-size:1.7rem;line-height:1.2}h2{margin-top:2.5rem}blockquote{border-left:3px solid var(--line);margin:1rem 0;padding-left:1rem;color:var(--faint)}
.wide{overflow-x:auto;margin:1rem 0}table{border-collapse:collapse;font-size:.875rem}small{color:var(--faint)}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left;white-space:normal;position:sticky;left:0;background:var(--ground)}
figure{margin:1.5rem 0}figure svg{width:100%;max-width:760px;height:auto;display:block}figcaption,.faint{color:var(--faint);font-size:.875rem}
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
        title: "Swapped returns in chains",
        caption: "By frame: noticed by a return barrier, or landing in continuations that are there.",
        experiment: "predictor",
        program: "chain",
        metric: "swapped",
        x: "frames in a row",
    },
];

/// A plot of how late something can be: what it is called, what is measured, and what happens.
const QUANTILES: [(&str, &str, &str); 4] = [
    ("New code: the next call", "new call", "the next call of an invalidated function enters new code"),
    ("New code: the first old frame", "new frame", "the first old frame continues in other code"),
    ("Old code gone", "old code", "nothing will return into any of the old code"),
    ("Memory back", "memory", "all memory of the old code is given back"),
];

/// The page of `records`.
pub(super) fn page(records: &[Record]) -> String {
    let mut body = String::from(
        "<h1>Replacing code that is in use: every mechanism side by side</h1>\n<blockquote>If you can modify previously \
         executable memory it seems like the patchpoint approach would have lower overhead, unless you have a truly huge \
         number of callsites to update?<br>llvm-dev, \u{201c}replacing function bodies\u{201d}, March 2015</blockquote>\n",
    );
    body += &warnings(records);
    body += &answer(records);
    for plot in &PLOTS {
        body += &figure(records, plot).unwrap_or_default();
    }
    for quantiles in &QUANTILES {
        body += &late(records, quantiles).unwrap_or_default();
    }
    body.extend(grids(records).iter().map(grid));
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
    let tables: String = tables(&answers)
        .map(|(header, rows)| table("mechanism", header.iter().map(String::as_str), &rows) + "\n")
        .collect();
    let notes = answers.iter().flat_map(|answer| {
        let note = |note: &String| format!("<li>{}: {}</li>\n", escaped(&answer.mechanism), escaped(note));
        answer.notes.iter().map(note).collect::<Vec<_>>()
    });
    format!(
        "<h2>The answer</h2>\n{tables}<p>{}</p>\n<p class=\"faint\">{}</p>\n<details class=\"faint\"><summary>What was not \
         found</summary>\n<ul>\n{}</ul></details>\n<p class=\"faint\">Made by <code>osr-bench thread</code></p>\n",
        escaped(&difference(&answers).unwrap_or_default()),
        escaped(LEGEND),
        notes.collect::<String>()
    )
}

/// A table of named rows.
fn table<'h>(corner: &str, header: impl Iterator<Item = &'h str>, rows: &[(String, Vec<Figure>)]) -> String {
    let header: String = header.map(|name| format!("<th>{}</th>", escaped(name))).collect();
    let cell = |Figure { figure, below }: &Figure| match &**below {
        "" => format!("<td>{}</td>", escaped(figure)),
        below => format!("<td>{}<br><small>{}</small></td>", escaped(figure), escaped(below)),
    };
    let row = |(name, figures): &(String, Vec<Figure>)| {
        let cells: String = figures.iter().map(cell).collect();
        // On a narrow screen a long name would leave no room for figures: it breaks between its parts.
        let name = escaped(name).replace(',', ",<wbr>");
        format!("<tr><td>{name}</td>{cells}</tr>\n")
    };
    let rows: String = rows.iter().map(row).collect();
    format!(
        "<div class=\"wide\"><table><thead><tr><th>{corner}</th>{header}</tr></thead><tbody>\n{rows}</tbody></table></div>"
    )
}

/// A table of an experiment, with the command that makes it.
fn grid(Grid { title, caption, corner, header, rows, notes, command }: &Grid) -> String {
    let notes: String = notes.iter().map(|note| format!("{}<br>", escaped(note))).collect();
    let table = table(corner, header.iter().map(String::as_str), rows);
    format!(
        "<h2>{}</h2>\n{table}\n<p class=\"faint\">{} Medians, and 95% intervals; ~ marks wide ones.<br>{notes}Made by <code>{}</code></p>\n",
        escaped(title),
        escaped(caption),
        escaped(command)
    )
}

/// A plot with its key and the command that makes it; none if nothing was measured.
fn figure(records: &[Record], plot: &Plot) -> Option<String> {
    let command = records.iter().find(|record| plot.shows(record)).map(|record| &record.command)?;
    figure_of(plot.title, &lines(records, plot), plot.x, &format!("{} Medians.", plot.caption), command)
}

/// Lines with their key, and the `command` that makes one of them.
fn figure_of(title: &str, lines: &[Line], x: &str, caption: &str, command: &str) -> Option<String> {
    let svg = log_log(lines, x, "time")?;
    let key = |line: &Line| {
        format!("<span><i style=\"background:{}\"></i>{}</span>", colour(line.position), escaped(&line.name))
    };
    let keys: String = lines.iter().map(key).collect();
    Some(format!(
        "<h2>{title}</h2>\n<figure>\n<div class=\"key\">{keys}</div>\n{svg}\n<figcaption>{caption}<br>Made by \
         <code>{}</code></figcaption>\n</figure>\n",
        escaped(&with_mechanisms(command, lines.iter().map(|line| &*line.name)))
    ))
}

/// The distribution of a latency, by mechanism: how long it takes if it is the longest of so many; none if it was not measured.
fn late(records: &[Record], (title, metric, event): &(&str, &str, &str)) -> Option<String> {
    let shows = |record: &&Record| {
        let found = &record.finding;
        (&*record.experiment, &*found.program, &*found.metric) == ("latency", "descent", *metric)
            && !found.samples.is_empty()
    };
    let mechanisms = mechanisms(records);
    let lines = in_order(records.iter().filter(shows)).into_iter().map(|(_, name)| {
        let mine = records.iter().filter(shows).filter(|record| record.mechanism == name);
        let samples = processes(mine).all();
        let rarity = [1.25, 2.0, 4.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0];
        let point = |&one_of: &f64| {
            let is_known = one_of <= samples.len() as f64;
            is_known.then(|| Some((one_of, percentile(&samples, 100.0 - 100.0 / one_of)?))).flatten()
        };
        let position = mechanisms.iter().position(|known| *known == name).unwrap_or(mechanisms.len());
        Line { name: name.to_owned(), position, points: rarity.iter().filter_map(point).collect() }
    });
    let lines: Vec<Line> = lines.collect();
    let command = &records.iter().find(shows)?.command;
    let caption =
        format!("From an invalidation until {event}: one of so many takes longer. At 2 is the median.");
    figure_of(title, &lines, "one of", &caption, command)
}

/// The plot of updates against active frames, as a file of its own; none if nothing was measured.
pub(super) fn updates_by_frames(records: &[Record]) -> Option<String> {
    let plot = PLOTS.iter().find(|plot| plot.metric == "replace")?;
    standalone(&lines(records, plot), plot.x, "time of an update")
}

impl Plot {
    /// Whether it shows what `record` holds.
    fn shows(&self, record: &Record) -> bool {
        let found = &record.finding;
        (&*record.experiment, &*found.program, &*found.metric) == (self.experiment, self.program, self.metric)
    }
}

/// A line for each mechanism.
fn lines(records: &[Record], plot: &Plot) -> Vec<Line> {
    let mechanisms = mechanisms(records);
    let mut curves: BTreeMap<usize, BTreeMap<u64, Vec<&Record>>> = BTreeMap::new();
    for record in records.iter().filter(|record| plot.shows(record)) {
        let position = mechanisms.iter().position(|name| *name == record.mechanism);
        if let (Some(position), Some(size)) = (position, record.finding.size) {
            curves.entry(position).or_default().entry(size).or_default().push(record);
        }
    }
    let line = |(position, sizes): (usize, BTreeMap<u64, Vec<&Record>>)| {
        let point = |(size, records): (u64, Vec<&Record>)| Some((size as f64, processes(records).median()?));
        // A logarithmic axis has no 0.
        let points =
            sizes.into_iter().filter_map(point).filter(|point| point.0 > 0.0 && point.1 > 0.0).collect();
        Line { name: mechanisms[position].to_owned(), position, points }
    };
    curves.into_iter().map(line).collect()
}

/// The mechanisms that plots show: each has its colour in all plots.
fn mechanisms(records: &[Record]) -> Vec<&str> {
    let shown = records.iter().filter(|record| PLOTS.iter().any(|plot| plot.shows(record)));
    in_order(shown).into_iter().map(|(_, name)| name).collect()
}

/// `command` for all mechanisms, if it is of one.
fn with_mechanisms<'n>(command: &str, names: impl Iterator<Item = &'n str>) -> String {
    let Some((head, rest)) = command.split_once(" --mechanism ") else { return command.to_owned() };
    let names: String = names.map(|name| format!(" --mechanism {name}")).collect();
    let tail = rest.split_once(" --").map_or(String::new(), |(_, tail)| format!(" --{tail}"));
    format!("{head}{names}{tail}")
}

/// The timeline of one replacement for each mechanism that has one.
fn timelines(records: &[Record]) -> String {
    let mut text = String::new();
    let shown = records.iter().filter(|record| record.finding.program == "timeline");
    for (_, mechanism) in in_order(shown) {
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
    let items: String = origins(records).iter().map(|line| format!("<li>{}</li>\n", escaped(line))).collect();
    format!("<h2>Where, by what, and when</h2>\n<ul class=\"faint\">\n{items}</ul>\n")
}

/// What is not of one kind.
fn warnings(records: &[Record]) -> String {
    let warning = |mixture: &String| format!("<p><strong>Mixed: {}.</strong></p>\n", escaped(mixture));
    mixtures(records).iter().map(warning).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
