//! Calls: what a command line asks to be called, and how.

use std::sync::Arc;

use osr_engine::{Delegates, Imports, Settings, Stress};
use osr_ir::{FunctionIndex, Signature, Value};

use super::added::{AddedFile, read_added};
use super::entry;
use super::host::Host;
use super::load::{Program, load};
use super::schedule_file::{self, Reached, ScheduledRun};
use super::session::Session;
use super::step::{ReadOption, Step};
use crate::cli::{CallOptions, HostOptions, Variable};
use crate::error::Error;
use crate::number::{read_arguments, show_all};

/// A call of a function of a program.
#[derive(Debug)]
pub(crate) struct Call {
    /// The program.
    pub(crate) program: Program,
    /// What it is given.
    pub(crate) host: Host,
    /// What is done before the call.
    pub(crate) steps: Vec<Step>,
    /// Bodies that are added to the program's functions while it runs.
    pub(crate) added: Vec<AddedFile>,
    /// What is shown of memory after it.
    pub(crate) reads: Vec<ReadOption>,
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

/// What `options` ask for before `invoke` is called: `before` are calls.
fn steps(
    program: &Program,
    options: &CallOptions,
    invoke: &str,
    before: &[String],
) -> Result<Vec<Step>, Error> {
    let initialization = Step::initialization(program, options.init.as_deref(), invoke)?.map(Ok);
    let writes = options.write.iter().map(Step::write);
    let calls = before.iter().map(|text| Step::call(program, text));
    initialization.into_iter().chain(writes).chain(calls).collect()
}

/// How `globals` are given, in the order of their names.
fn given_globals(globals: &[Variable]) -> Vec<String> {
    let mut given: Vec<String> =
        globals.iter().map(|Variable { name, value }| format!("{name}={value}")).collect();
    given.sort();
    given
}

impl Call {
    /// What `options` ask for, with what `host` gives. With `points`, or if the program has a script or bodies are added to it, points are
    /// safepoints, whatever the options say.
    pub(crate) fn of(options: &CallOptions, host: &HostOptions, points: bool) -> Result<Call, Error> {
        let mut settings = options.engine.settings()?;
        let mut program = load(&options.program)?;
        let added = read_added(&options.add, &mut program)?;
        settings.points |= points || !program.module.script.is_empty() || !added.is_empty();
        let globals = given_globals(&host.global);
        let mut host = Host::of(host, &mut program)?;
        let (last, before) = match options.invoke.split_last() {
            Some((last, before)) => (Some(&**last), before),
            None => (None, &[][..]),
        };
        let (invoke, function) = entry::find(&program, last)?;
        let invoke = invoke.to_owned();
        let steps = steps(&program, options, &invoke, before)?;
        let signature = program.module.signature_of(function);
        let (arguments, shown) = if host.is_wasi() && entry::is_command(&invoke, signature) {
            host.set_arguments(&options.arguments);
            (Vec::new(), options.arguments.clone())
        } else {
            let arguments = read_arguments(&invoke, signature, &options.arguments)?;
            let words: Vec<u64> = arguments.iter().flat_map(|value| value.to_words()).collect();
            let shown = show_all(&signature.parameters, &words);
            (arguments, shown)
        };
        let stack_bytes = options.engine.stack_size.bytes();
        let mut run = ScheduledRun::new(program.hash.clone(), &invoke, shown, &settings, stack_bytes);
        run.steps = steps.iter().flat_map(Step::options).cloned().collect();
        run.added = added.iter().map(AddedFile::identity).collect();
        run.globals = globals;
        let mut reached = None;
        if let Some(path) = &options.replay {
            if !options.engine.stress.is_empty() {
                return Err(Error::ReplayWithStress);
            }
            let recorded = schedule_file::read(path, &run)?;
            settings.stress = Stress::Replay(Arc::new(recorded.schedule));
            reached = recorded.reached;
        }
        let reads = options.read.clone();
        Ok(Call { program, host, steps, added, reads, invoke, function, arguments, settings, run, reached })
    }

    /// The type of the function.
    pub(crate) fn signature(&self) -> &Signature {
        self.program.module.signature_of(self.function)
    }

    /// The call, to be made with `settings`.
    pub(crate) fn session<'c>(&'c self, settings: &'c Settings, imports: Imports) -> Session<'c> {
        Session {
            program: &self.program,
            steps: &self.steps,
            added: &self.added,
            reads: &self.reads,
            function: self.function,
            arguments: &self.arguments,
            settings,
            delegates: Delegates::default(),
            stack_bytes: self.run.stack_bytes,
            imports,
            handle: None,
            again: false,
            hash_memory: false,
        }
    }
}
