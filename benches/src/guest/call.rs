//! Calls: what a command line asks to be called, and how.

use std::sync::Arc;

use osr_engine::{Delegates, Imports, Settings, Stress};
use osr_ir::{FunctionIndex, Signature, Value};

use super::entry;
use super::host;
use super::load::{Program, load, read};
use super::schedule_file::{self, Reached, ScheduledRun};
use super::session::Session;
use crate::cli::CallOptions;
use crate::error::Error;
use crate::number::{read_arguments, show_all};

/// A call of a function of a program.
#[derive(Debug)]
pub(crate) struct Call {
    /// The program.
    pub(crate) program: Program,
    /// The function's exported name.
    pub(crate) invoke: String,
    /// The function.
    pub(crate) function: FunctionIndex,
    /// Its arguments.
    pub(crate) arguments: Vec<Value>,
    /// The engine's settings.
    pub(crate) settings: Settings,
    /// What a schedule of this run is known by.
    pub(crate) run: ScheduledRun,
    /// How far the run got that is replayed, if that is known.
    pub(crate) reached: Option<Reached>,
}

impl Call {
    /// What `options` ask for. With `points`, these are safepoints, whatever the options say.
    pub(crate) fn of(options: &CallOptions, points: bool) -> Result<Call, Error> {
        let mut settings = options.engine.settings()?;
        settings.points |= points;
        let program = load(&options.program)?;
        let (invoke, function) = entry::find(&program, options.invoke.as_deref())?;
        let invoke = invoke.to_owned();
        let signature = program.module.signature_of(function);
        let arguments = read_arguments(&invoke, signature, &options.arguments)?;
        host::check_imports(&program)?;
        let words: Vec<u64> = arguments.iter().map(|value| value.to_bits()).collect();
        let shown = show_all(&signature.parameters, &words);
        let stack_bytes = options.engine.stack_size.bytes();
        let run = ScheduledRun::new(&read(&options.program)?, &invoke, shown, &settings, stack_bytes);
        let mut reached = None;
        if let Some(path) = &options.replay {
            if !options.engine.stress.is_empty() {
                return Err(Error::ReplayWithStress);
            }
            let recorded = schedule_file::read(path, &run)?;
            settings.stress = Stress::Replay(Arc::new(recorded.schedule));
            reached = recorded.reached;
        }
        Ok(Call { program, invoke, function, arguments, settings, run, reached })
    }

    /// The type of the function.
    pub(crate) fn signature(&self) -> &Signature {
        self.program.module.signature_of(self.function)
    }

    /// The call, to be made with `settings`.
    pub(crate) fn session<'c>(&'c self, settings: &'c Settings, imports: Imports) -> Session<'c> {
        Session {
            program: &self.program,
            function: self.function,
            arguments: &self.arguments,
            settings,
            delegates: Delegates::default(),
            stack_bytes: self.run.stack_bytes,
            imports,
            again: false,
        }
    }
}
