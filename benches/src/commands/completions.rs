//! `osr-bench completions`: what shells complete command lines by.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use crate::cli::Cli;
use crate::error::Error;
use crate::output;

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  osr-bench completions bash > ~/.local/share/bash-completion/completions/osr-bench
  osr-bench completions fish > ~/.config/fish/completions/osr-bench.fish";

/// Options of `completions`.
#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub(crate) struct CompletionsOptions {
    /// The shell.
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(options: &CompletionsOptions) -> Result<(), Error> {
    let mut script = Vec::new();
    generate(options.shell, &mut Cli::command(), "osr-bench", &mut script);
    output::to_stdout(&String::from_utf8_lossy(&script))
}
