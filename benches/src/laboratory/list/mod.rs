//! `osr-bench list`: what there is to choose from: mechanisms, the values of their axes, experiments.

mod axes;
mod commands;

use clap::Args;
use comfy_table::{Cell, CellAlignment};
use commands::{COMMANDS, Command};
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
    commands: &'static [commands::Command],
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
    let listed = Listed { mechanisms, axes: axes::all(), experiments: EXPERIMENTS, commands: COMMANDS };
    if options.json { output::json_to_stdout(&listed) } else { output::to_stdout(&text(&listed)) }
}

fn text(listed: &Listed) -> String {
    let mut mechanisms = show::list();
    for Named { name, source, values, refused } in &listed.mechanisms {
        let values = values.to_string().replace(',', ", ");
        let refused = refused.as_ref().map_or(String::new(), |why| format!("\nrefused: {why}"));
        mechanisms.add_row([(*name).to_owned(), format!("{source}\n{values}{refused}")]);
    }
    let mut axes = show::list();
    for axis in &listed.axes {
        axes.add_row([Cell::new(axis.name)]);
        for axes::Value { name, combinations, meaning } in &axis.values {
            let number = Cell::new(combinations).set_alignment(CellAlignment::Right);
            // The documentation is Markdown.
            let meaning = meaning.replace("**", "");
            axes.add_row([Cell::new(format!("  {name}")), number, Cell::new(meaning)]);
        }
    }
    let experiment = |name: &str, measures: &str, question: &str, source: &str| {
        [name.to_owned(), format!("{measures}\n{question}\n({source})")]
    };
    let mut experiments = show::list();
    for Experiment { name, measures, question, source, .. } in listed.experiments {
        experiments.add_row(experiment(name, measures, question, source));
    }
    let mut commands = show::list();
    for Command { name, measures, question, source } in listed.commands {
        commands.add_row(experiment(name, measures, question, source));
    }
    format!(
        "Mechanisms, for --mechanism: a name, AXIS=VALUE,.., or a name with changes.\n\n{mechanisms}\n\nAxes, and in how \
         many valid combinations each value is.\n\n{axes}\n\nExperiments, for `osr-bench thread EXPERIMENT`.\n\n\
         {experiments}\n\nMore experiments, for `osr-bench EXPERIMENT`; each says more with `--help`.\n\n\
         {commands}\n"
    )
}
