//! `osr-bench run`: one call, its results on standard output.

use crate::cli::RunOptions;
use crate::entry;
use crate::error::Error;
use crate::host;
use crate::load::load;
use crate::number::{read_arguments, show_all};
use crate::output;
use crate::session::Session;
use crate::stats::{Destination, Stats};

/// Runs what `options` say.
pub(crate) fn run(options: &RunOptions) -> Result<(), Error> {
    let settings = options.engine.settings()?;
    let program = load(&options.program)?;
    let (name, function) = entry::find(&program, options.invoke.as_deref())?;
    let signature = program.module.signature_of(function);
    let arguments = read_arguments(name, signature, &options.arguments)?;
    host::check_imports(&program)?;
    let stats = options.stats.as_deref().map(Destination::open).transpose()?;
    let session = Session {
        program: &program,
        function,
        arguments: &arguments,
        settings: &settings,
        stack_bytes: options.engine.stack_size.bytes(),
        imports: host::imports(options.quiet),
        again: false,
    };
    let outcome = session.run()?;
    let written = stats.map_or(Ok(()), |stats| stats.write(&Stats::of(&outcome, &signature.results)));
    let words = outcome.result.map_err(Error::Trap)?;
    let lines: String = show_all(&signature.results, &words).into_iter().map(|line| line + "\n").collect();
    output::to_stdout(&lines)?;
    written
}
