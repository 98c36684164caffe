//! Sessions: one call of one function, on a thread with a stack of its own.

use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use osr_engine::{
    CodeStatistics, CodeTimes, Delegates, Imports, Instance, InterruptHandle, InvokeError, Observer,
    Observers, Schedule, Script, Settings, Thread, Transitions, Trap,
};
use osr_ir::{FunctionIndex, GlobalIndex, Type, Value};

use super::added::AddedFile;
use super::load::Program;
use super::native_stack;
use super::refused::Refused;
use super::step::{ReadOption, Step};
use crate::error::Error;
use crate::output;

/// What to call, and how.
#[derive(Debug)]
pub(crate) struct Session<'p> {
    /// The program.
    pub(crate) program: &'p Program,
    /// What is done before the call.
    pub(crate) steps: &'p [Step],
    /// Bodies that are added to the program's functions while it runs.
    pub(crate) added: &'p [AddedFile],
    /// What is shown of memory after it.
    pub(crate) reads: &'p [ReadOption],
    /// One of its functions.
    pub(crate) function: FunctionIndex,
    /// Its arguments, of the right number and types.
    pub(crate) arguments: &'p [Value],
    /// The engine's settings.
    pub(crate) settings: &'p Settings,
    /// What watches it, and decides for it.
    pub(crate) delegates: Delegates,
    /// Bytes of native stack.
    pub(crate) stack_bytes: usize,
    /// What the program may import.
    pub(crate) imports: Imports,
    /// Where a handle is put by which the calls can be ended, if that is wanted, and possible.
    pub(crate) handle: Option<&'p OnceLock<InterruptHandle>>,
    /// Whether to make the same call a second time, when code is there already.
    pub(crate) again: bool,
    /// Whether the memory's hash is wanted: it reads all pages, also those that the program never touched.
    pub(crate) hash_memory: bool,
}

/// What a call gave and took.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// What the steps before have shown: a line for each result.
    pub(crate) shown: Vec<String>,
    /// What is shown of memory afterwards.
    pub(crate) memory: Vec<String>,
    /// The words of the results, or why there are none.
    pub(crate) result: Result<Vec<u64>, Trap>,
    /// The time of the call, compilation included; without instantiation and the start function.
    pub(crate) wall: Duration,
    /// The second call and its time, if there was one. All else is of the first.
    pub(crate) again: Option<(Result<Vec<u64>, Trap>, Duration)>,
    /// The hash of the linear memories afterwards, if it is wanted and there are any.
    pub(crate) memory_hash: Option<u64>,
    /// The globals afterwards, but references.
    pub(crate) globals: Vec<u64>,
    /// What was forced, if it is recorded.
    pub(crate) schedule: Schedule,
    /// What happened.
    pub(crate) transitions: Transitions,
    /// How often frames left by exits of guards that are linked, which the runtime does not see.
    pub(crate) linked_exits: u64,
    /// How much code there was.
    pub(crate) code: CodeStatistics,
    /// What installing and releasing it took.
    pub(crate) code_times: CodeTimes,
    /// What the compiler has refused.
    pub(crate) refused: Refused,
    /// The most bytes of native stack used.
    pub(crate) native_stack_bytes: u64,
    /// The most bytes of interpreter frames.
    pub(crate) value_stack_bytes: u64,
}

impl Session<'_> {
    /// Makes an instance, runs its start function, takes the steps, and makes the call.
    pub(crate) fn run(&self) -> Result<Outcome, Error> {
        on_thread(self.stack_bytes, || self.run_here())?
    }

    fn run_here(&self) -> Result<Outcome, Error> {
        let refused = |source| Error::Instantiate { path: self.program.path.clone(), source };
        let (settings, module) = (self.settings.clone(), self.program.module.clone());
        let has_script = !module.script.is_empty() || !self.added.is_empty();
        let adding = |script: Script, file: &AddedFile| script.adding(file.call, &file.name, &file.text);
        let script = || self.added.iter().fold(Script::new(&module.script), adding);
        let script = has_script.then(|| Arc::new(script()));
        let Delegates { observer, policy } = self.delegates.clone();
        // What watches is told of an arrival before the script redefines anything there.
        let carried_out = script.clone().map(|script| script as Arc<dyn Observer>);
        let observer = Observers::join(observer.into_iter().chain(carried_out).collect());
        let instance =
            Instance::with_delegates(settings, Delegates { observer, policy }, module, &self.imports);
        let instance = instance.map_err(refused)?;
        let thread = Thread::new(&instance)?;
        if let (Some(wanted), Ok(handle)) = (self.handle, thread.interrupt_handle()) {
            let _ = wanted.set(handle);
        }
        let words: Vec<u64> = self.arguments.iter().flat_map(|value| value.to_words()).collect();
        let call = || {
            let begin = Instant::now();
            let result = trap_of(thread.call(self.function, &words));
            (result, begin.elapsed())
        };
        let mut shown = Vec::new();
        let (result, wall) = match self.prepare(&thread, &mut shown)? {
            Ok(()) => call(),
            Err(trap) => (Err(trap), Duration::ZERO),
        };
        let memory = self.reads.iter().map(|read| read.show(&instance)).collect::<Result<_, _>>()?;
        script.map_or(Ok(()), |script| check_script(&script))?;
        let outcome = Outcome {
            shown,
            memory,
            result,
            wall,
            again: None,
            memory_hash: self.hash_memory.then(|| instance.memory_hash()).flatten(),
            globals: globals(&instance),
            schedule: thread.schedule(),
            transitions: thread.transitions(),
            linked_exits: instance.linked_exits(),
            code: instance.code_statistics(),
            code_times: instance.code_times(),
            refused: Refused::by(&instance),
            native_stack_bytes: native_stack::peak_bytes(),
            value_stack_bytes: thread.peak_value_stack_bytes(),
        };
        Ok(Outcome { again: self.again.then(call), ..outcome })
    }
}

impl Session<'_> {
    /// Runs the start function and takes the steps.
    fn prepare(&self, thread: &Thread, shown: &mut Vec<String>) -> Result<Result<(), Trap>, Error> {
        if let Err(trap) = trap_of(thread.start()) {
            return Ok(Err(trap));
        }
        for step in self.steps {
            match step.take(thread)? {
                Ok(lines) => shown.extend(lines),
                Err(trap) => return Ok(Err(trap)),
            }
        }
        Ok(Ok(()))
    }
}

/// Every step of the script that was reached was carried out. Says if some were not reached.
fn check_script(script: &Script) -> Result<(), Error> {
    if let Some(call) = script.remaining().next() {
        let calls = script.calls();
        output::to_stderr(format_args!(
            "the script's step at call {call} was not reached: there were {calls}\n"
        ));
    }
    script.failure().map_or(Ok(()), |message| Err(Error::Script { message }))
}

fn globals(instance: &Instance) -> Vec<u64> {
    let globals = instance.module().globals.iter().enumerate();
    let values = globals.filter(|(_, global)| global.ty != Type::Funcref);
    values.flat_map(|(number, _)| instance.global_value(GlobalIndex::new(number))).collect()
}

/// Calls of a function that is there, with the right arguments, fail only by trapping.
pub(crate) fn trap_of<T>(called: Result<T, InvokeError>) -> Result<T, Trap> {
    called.map_err(|error| match error {
        InvokeError::Trap(trap) => trap,
        other => unreachable!("{other}"),
    })
}

/// Runs `job` on a new thread with `stack` bytes of stack.
pub(crate) fn on_thread<T: Send>(stack: usize, job: impl FnOnce() -> T + Send) -> Result<T, Error> {
    thread::scope(|scope| {
        let spawned =
            thread::Builder::new().name("guest".to_owned()).stack_size(stack).spawn_scoped(scope, job);
        let guest = spawned.map_err(|source| Error::Spawn { stack, source })?;
        guest.join().map_err(|_| Error::Panicked)
    })
}
