//! Running a script.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::Arc;

use osr_engine::{Delegates, Imports, Instance, InstantiationError, InvokeError, Settings, Store, Thread};
use osr_ir::{ExportItem, Module, TrapKind, Type};

use super::failure::{Failure, Outcome, show, show_expected};
use super::{Deed, Directive, Made, Missing, Parsed, Refusal, Script, Summary, spectest};

/// Is called with each line that a script prints.
pub type Print = dyn Fn(&str) + Send + Sync;

/// Says what watches the instance that the step at this line makes, and decides for it.
pub type Watch<'w> = dyn Fn(usize) -> Delegates + 'w;

impl Script {
    /// Runs the script under `settings`. What it prints is dropped.
    pub fn run(&self, settings: &Settings) -> Summary {
        self.run_with(settings, &|_| Delegates::default(), Arc::new(|_| {}))
    }

    /// Runs the script under `settings`, its instances watched as `watch` says. What it prints, by the functions of `spectest`,
    /// goes to `print`.
    pub fn run_with(&self, settings: &Settings, watch: &Watch<'_>, print: Arc<Print>) -> Summary {
        let mut summary = Summary::default();
        let mut run = Run::new(settings, watch, print);
        for step in &self.steps {
            run.line = step.line;
            match run.perform(&step.directive) {
                Ok(()) => summary.passed += 1,
                Err(Stop::LeftOut(feature)) => *summary.left_out.entry(feature).or_default() += 1,
                Err(Stop::Failed(message)) => summary.failures.push(Failure { line: step.line, message }),
            }
        }
        summary.instances = run.instances_made();
        summary
    }
}

/// Why a step did not pass.
enum Stop {
    LeftOut(Missing),
    Failed(String),
}

impl From<Missing> for Stop {
    fn from(feature: Missing) -> Stop {
        Stop::LeftOut(feature)
    }
}

fn fail<T>(message: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Failed(message.into()))
}

/// An instance that scripts talk about; `Err` if its module was left out.
type Slot = Result<Live, Missing>;

/// An instance with its thread.
#[derive(Clone)]
struct Live {
    instance: Arc<Instance>,
    /// Its position in [`Run::threads`].
    thread: usize,
}

/// The state of a run. Threads go first when it is dropped.
struct Run<'s> {
    settings: &'s Settings,
    watch: &'s Watch<'s>,
    /// The line of the step at hand.
    line: usize,
    threads: Vec<Pin<Box<Thread>>>,
    /// The line of the step that made each thread's instance.
    lines: Vec<usize>,
    instances: HashMap<String, Slot>,
    current: Option<Slot>,
    definitions: HashMap<Option<String>, &'s Parsed>,
    imports: Imports,
    /// Names under which nothing is registered, because the module was left out.
    unregistered: BTreeMap<String, Missing>,
    store: Store,
}

impl<'s> Run<'s> {
    fn new(settings: &'s Settings, watch: &'s Watch<'s>, print: Arc<Print>) -> Run<'s> {
        let (store, mut imports) = (Store::new(), Imports::new());
        spectest::provide(&store, settings, &mut imports, &print);
        Run {
            settings,
            watch,
            line: 0,
            threads: Vec::new(),
            lines: Vec::new(),
            instances: HashMap::new(),
            current: None,
            definitions: HashMap::new(),
            imports,
            unregistered: BTreeMap::new(),
            store,
        }
    }

    fn perform(&mut self, directive: &'s Directive) -> Result<(), Stop> {
        match directive {
            Directive::Module { name, module } => self.module(name.as_deref(), module),
            Directive::Definition { name, module } => {
                self.definitions.insert(name.clone(), module);
                accepted(module).map(drop)
            }
            Directive::Instance { name, definition } => match self.definitions.get(definition).copied() {
                Some(module) => self.module(name.as_deref(), module),
                None => fail("there is no such definition"),
            },
            Directive::Register { name, instance } => self.register(name, instance.as_deref()),
            Directive::Perform(deed) => match self.execute(deed)? {
                Ok(_) => Ok(()),
                Err(kind) => fail(format!("trapped: {kind}")),
            },
            Directive::Return { deed, expected } => {
                let expected = expected.as_ref().map_err(|&feature| feature)?;
                let outcome = self.execute(deed)?;
                let matches = outcome.as_ref().is_ok_and(|words| {
                    let mut pairs = expected.iter().zip(words);
                    expected.len() == words.len()
                        && pairs.all(|(pattern, (ty, words))| pattern.matches(*ty, words))
                });
                let instead = if outcome.is_ok() { "not" } else { "instead of returning" };
                let message = || format!("{}, {instead} {}", show(&outcome), show_expected(expected));
                if matches { Ok(()) } else { fail(message()) }
            }
            Directive::Trap { deed, message } => match self.execute(deed)? {
                Err(kind) if is_called(kind, message) => Ok(()),
                outcome => fail(format!("{}, not `{message}`", show(&outcome))),
            },
            Directive::Unlinkable { module, message } => self.unlinkable(accepted(module)?, message),
            Directive::Refused { module } => match module {
                Ok(_) => fail("a module that is not valid was accepted"),
                Err(Refusal::Invalid(_)) => Ok(()),
                Err(Refusal::Unsupported(feature)) => Err(Stop::LeftOut(feature)),
            },
            Directive::Unsupported(feature) => Err(Stop::LeftOut(feature)),
        }
    }

    /// Makes an instance the current one.
    fn module(&mut self, name: Option<&str>, module: &Parsed) -> Result<(), Stop> {
        let made = accepted(module).and_then(|module| match self.instantiate(module)? {
            Ok(live) => Ok(live),
            Err(kind) => fail(format!("not instantiated, but trapped: {kind}")),
        });
        // If it failed, that is reported here, and again wherever the script talks about the instance.
        self.current = match &made {
            Ok(live) => Some(Ok(live.clone())),
            Err(Stop::LeftOut(feature)) => Some(Err(feature)),
            Err(Stop::Failed(_)) => None,
        };
        if let (Some(name), Some(slot)) = (name, &self.current) {
            self.instances.insert(name.to_owned(), slot.clone());
        }
        made.map(drop)
    }

    /// An instance of `module`, started; or the trap that this ends in.
    fn instantiate(&mut self, module: &Module) -> Result<Result<Live, TrapKind>, Stop> {
        let instance = match self.link(module) {
            Ok(instance) => instance,
            Err(InstantiationError::DataOutOfBounds { .. }) => return Ok(Err(TrapKind::MemoryOutOfBounds)),
            Err(InstantiationError::ElementsOutOfBounds { .. }) => {
                return Ok(Err(TrapKind::TableOutOfBounds));
            }
            Err(error) => return Err(self.not_linked(error)),
        };
        let thread = Thread::new(&instance).map_err(|error| Stop::Failed(error.to_string()))?;
        self.threads.push(thread);
        self.lines.push(self.line);
        let thread = self.threads.len() - 1;
        match self.threads[thread].start() {
            Ok(()) => Ok(Ok(Live { instance, thread })),
            Err(InvokeError::Trap(trap)) => Ok(Err(trap.kind)),
            Err(error) => fail(error.to_string()),
        }
    }

    fn link(&self, module: &Module) -> Result<Arc<Instance>, InstantiationError> {
        let (settings, delegates) = (self.settings.clone(), (self.watch)(self.line));
        self.store.instantiate_with_delegates(settings, delegates, module.clone(), &self.imports)
    }

    /// What became of the instances.
    fn instances_made(&self) -> Vec<Made> {
        let made = |(thread, &line): (&Pin<Box<Thread>>, &usize)| Made {
            line,
            transitions: thread.transitions(),
            code: thread.instance().code_statistics(),
        };
        self.threads.iter().zip(&self.lines).map(made).collect()
    }

    /// What it means that an instance could not be made.
    fn not_linked(&self, error: InstantiationError) -> Stop {
        let left_out = match &error {
            InstantiationError::MissingImport { name, .. } => self.unregistered.get(&name.module),
            InstantiationError::TagImportedTwice { .. } => Some(&"a tag under two names"),
            _ => None,
        };
        left_out.map_or_else(|| Stop::Failed(error.to_string()), |feature| Stop::LeftOut(feature))
    }

    fn unlinkable(&mut self, module: &Module, message: &str) -> Result<(), Stop> {
        let error = match self.link(module) {
            Ok(_) => return fail("a module was linked that cannot be"),
            Err(error) => error,
        };
        let found = match &error {
            InstantiationError::IncompatibleImport { .. } => "incompatible import type",
            InstantiationError::MissingImport { .. } => "unknown import",
            _ => "",
        };
        match self.not_linked(error) {
            Stop::Failed(_) if found == message => Ok(()),
            stop => Err(stop),
        }
    }

    fn register(&mut self, name: &str, instance: Option<&str>) -> Result<(), Stop> {
        match self.find(instance) {
            Ok(live) => {
                self.imports.instance(name, &live.instance);
                Ok(())
            }
            Err(Stop::LeftOut(feature)) => {
                self.unregistered.insert(name.to_owned(), feature);
                Err(Stop::LeftOut(feature))
            }
            Err(failed) => Err(failed),
        }
    }

    fn find(&self, name: Option<&str>) -> Result<Live, Stop> {
        let slot = match name {
            Some(name) => self.instances.get(name),
            None => self.current.as_ref(),
        };
        match slot {
            Some(Ok(live)) => Ok(live.clone()),
            Some(Err(feature)) => Err(Stop::LeftOut(feature)),
            None => fail("there is no such instance"),
        }
    }

    fn execute(&mut self, deed: &Deed) -> Result<Outcome, Stop> {
        match deed {
            Deed::Call { instance, function, arguments } => {
                let live = self.find(instance.as_deref())?;
                let arguments = arguments.as_ref().map_err(|&feature| feature)?;
                let thread = &self.threads[live.thread];
                let outcome = thread.invoke(function, arguments);
                let hijacked = thread.hijacked_slots();
                if hijacked > 0 {
                    return fail(format!("{hijacked} hijacked slots are left"));
                }
                match outcome {
                    Ok(words) => {
                        let index = live.instance.exported_function(function).expect("it was called");
                        let types = &live.instance.module().signature_of(index).results;
                        let mut words = words.into_iter();
                        let mut of = |&ty: &Type| (ty, words.by_ref().take(ty.words()).collect());
                        Ok(Ok(types.iter().map(&mut of).collect()))
                    }
                    Err(InvokeError::Trap(trap)) => Ok(Err(trap.kind)),
                    Err(error) => fail(error.to_string()),
                }
            }
            Deed::Get { instance, global } => {
                let live = self.find(instance.as_deref())?;
                match live.instance.module().export(global) {
                    Some(ExportItem::Global(index)) => {
                        let ty = live.instance.module().globals[index.index()].ty;
                        Ok(Ok(vec![(ty, live.instance.global_value(index))]))
                    }
                    _ => fail(format!("there is no exported global `{global}`")),
                }
            }
            Deed::Instantiate(module) => Ok(self.instantiate(accepted(module)?)?.map(|_| Vec::new())),
        }
    }
}

/// A module that should be valid.
fn accepted(module: &Parsed) -> Result<&Module, Stop> {
    match module {
        Ok(module) => Ok(module),
        Err(Refusal::Unsupported(feature)) => Err(Stop::LeftOut(feature)),
        Err(Refusal::Invalid(message)) => fail(format!("a valid module was refused: {message}")),
    }
}

/// Whether `message` is what a script may call that trap: its name, with an index behind it or shortened.
fn is_called(kind: TrapKind, message: &str) -> bool {
    let name = match kind {
        TrapKind::StackExhausted => "call stack exhausted",
        TrapKind::NullReference if message == "null function reference" => return true,
        kind => kind.name(),
    };
    message.starts_with(name) || name.starts_with(message)
}
