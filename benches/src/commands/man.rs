//! `osr-bench man`: manual pages.

use clap::{Args, CommandFactory};
use clap_mangen::Man;

use crate::cli::Cli;
use crate::error::Error;
use crate::output;

const MAN_EXAMPLES: &str = "\
Examples:
  osr-bench man > osr-bench.1
  osr-bench man run | man -l -";

/// Options of `man`.
#[derive(Debug, Args)]
#[command(after_help = MAN_EXAMPLES)]
pub(crate) struct ManOptions {
    /// The command; none for all of osr-bench.
    command: Option<String>,
}

/// Prints the page, as roff.
pub(crate) fn run(options: &ManOptions) -> Result<(), Error> {
    let mut all = Cli::command();
    // So that commands know their full names.
    all.build();
    let command = match &options.command {
        None => all,
        Some(name) => all.find_subcommand(name).cloned().ok_or_else(|| Error::NoSuchCommand {
            name: name.clone(),
            commands: all
                .get_subcommands()
                .filter(|command| !command.is_hide_set())
                .map(|command| command.get_name().to_owned())
                .collect::<Vec<_>>()
                .join(", "),
        })?,
    };
    let mut page = Vec::new();
    Man::new(command).render(&mut page).map_err(Error::Output)?;
    output::to_stdout(&String::from_utf8_lossy(&page))
}
