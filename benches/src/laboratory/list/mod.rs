//! `osr-bench list`: what there is to choose from: mechanisms, the values of their axes, experiments.

mod axes;

use clap::Args;
use comfy_table::{Cell, CellAlignment, Table};
use osr_engine::{Mechanism, PRESETS};
use serde::Serialize;

use super::show;
use super::thread::{EXPERIMENTS, Experiment};
use crate::error::Error;
use crate::output;

/// Options of `list`.
#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
}

/// All that is listed.
#[derive(Debug, Serialize)]
struct Listed {
    mechanisms: Vec<Named>,
    axes: Vec<axes::Axis>,
    experiments: &'static [Experiment],
}

/// A mechanism with a name.
#[derive(Debug, Serialize)]
struct Named {
    name: &'static str,
    source: &'static str,
    #[serde(flatten)]
    values: Mechanism,
    /// Why it is refused; none if it works.
    refused: Option<String>,
}

/// Lists everything.
pub(crate) fn run(options: &ListOptions) -> Result<(), Error> {
    let named = |name, source, values: Mechanism| {
        let refused = values.check().err().map(|refusal| refusal.to_string());
        Named { name, source, values, refused }
    };
    let own = [
        named(
            "default",
            "what is in effect when nothing is said: the first value of every axis",
            Mechanism::DEFAULT,
        ),
        named("bare", "the program and nothing else, to compare with", Mechanism::BARE),
    ];
    let presets = PRESETS.iter().map(|preset| named(preset.name, preset.source, preset.mechanism));
    let mechanisms = own.into_iter().chain(presets).collect();
    let listed = Listed { mechanisms, axes: axes::all(), experiments: EXPERIMENTS };
    if options.json { output::json_to_stdout(&listed) } else { output::to_stdout(&text(&listed)) }
}

fn text(listed: &Listed) -> String {
    let mut text =
        "Mechanisms, for --mechanism: a name, AXIS=VALUE,.., or a name with changes.\n\n".to_owned();
    for Named { name, source, values, refused } in &listed.mechanisms {
        let refused = refused.as_ref().map_or(String::new(), |why| format!("\n{:15}refused: {why}", ""));
        text += &format!("{name:15}{source}\n{:15}{values}{refused}\n", "");
    }
    text += "\nAxes, and in how many valid combinations each value is.\n";
    text += &format!("{}\n", axes_table(&listed.axes));
    text += "\nExperiments, for `osr-bench thread EXPERIMENT`.\n\n";
    for Experiment { name, measures, question, source, .. } in listed.experiments {
        text += &format!("{name:15}{measures}\n{:15}{question}\n{:15}({source})\n", "", "");
    }
    text
}

fn axes_table(axes: &[axes::Axis]) -> Table {
    let mut table = show::table(&["axis", "value", "combinations", "meaning"]);
    for axis in axes {
        for (position, value) in axis.values.iter().enumerate() {
            let axis = if position == 0 { axis.name } else { "" };
            let left = |text: &str| Cell::new(text).set_alignment(CellAlignment::Left);
            table.add_row([
                left(axis),
                left(&value.name),
                Cell::new(value.combinations),
                left(value.meaning),
            ]);
        }
    }
    table
}
