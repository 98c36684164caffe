//! How guest code, and asking for it, can fail.

mod callers;
mod exception;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use osr_ir::{FunctionIndex, ImportName, Point, Position, Shown, Signature, TrapKind, Type};
use thiserror::Error;

pub use callers::{Callers, TrapFrame};
pub use exception::{Exception, Tag};

use crate::phase::NotNow;
use crate::settings::mechanism::Refusal;

/// Guest code stopped without returning.
///
/// Shown is where and why: for [`TrapKind::HostError`] also the message, unless there is a cause, which is the
/// [source](StdError::source).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trap {
    /// Why.
    pub kind: TrapKind,
    /// The function whose code trapped. If other instances were called, of the one that trapped.
    pub function: FunctionIndex,
    /// Its name.
    pub function_name: String,
    /// The point in it: the instruction's, or the call's. For stack exhaustion the entry.
    pub point: Point,
    /// What the host says about it, for [`TrapKind::HostError`]; for [`TrapKind::UncaughtException`] the exception.
    pub message: Option<String>,
    /// The error of the embedder's own that a host function returned, if that is why.
    pub cause: Option<EmbedderError>,
    /// The exception that no frame has caught, for [`TrapKind::UncaughtException`].
    pub exception: Option<Arc<Exception>>,
    /// The activations that waited for the one that trapped: with it, a backtrace. The same in every tier.
    pub callers: Callers,
}

impl Trap {
    /// The error of the embedder's own that a host function returned, if it is a `T`: an exit code, for instance.
    pub fn cause<T: StdError + 'static>(&self) -> Option<&T> {
        self.cause.as_ref()?.downcast_ref()
    }

    /// What is shown of it, without the message.
    pub fn without_message(&self) -> impl fmt::Display {
        fmt::from_fn(|out| {
            write!(out, "trap: {} in {} at {}", self.kind, Shown(&self.function_name), self.point)
        })
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.without_message())?;
        match &self.message {
            Some(message) if self.kind == TrapKind::HostError && self.cause.is_none() => {
                write!(formatter, ": {}", Shown(message))
            }
            _ => Ok(()),
        }
    }
}

impl StdError for Trap {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.cause.as_ref()?.0)
    }
}

/// An error of the embedder's own. A host function returns it, the guest's call ends with it, and it is in the
/// [`Trap`] of that call. Two are equal if they say the same.
#[derive(Clone)]
pub struct EmbedderError(Arc<dyn StdError + Send + Sync>);

impl EmbedderError {
    /// Wraps `error`.
    pub fn new(error: impl StdError + Send + Sync + 'static) -> EmbedderError {
        EmbedderError(Arc::new(error))
    }

    /// The error, if it is a `T`.
    pub fn downcast_ref<T: StdError + 'static>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for EmbedderError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl fmt::Display for EmbedderError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl PartialEq for EmbedderError {
    fn eq(&self, other: &EmbedderError) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.to_string() == other.to_string()
    }
}

impl Eq for EmbedderError {}

/// `module.name`.
struct ShownImport<'a>(&'a ImportName);

impl fmt::Display for ShownImport<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", Shown(&self.0.module), Shown(&self.0.name))
    }
}

/// A module could not be made into an instance.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InstantiationError {
    /// The module breaks a rule.
    #[error("the module is not valid: {0}")]
    Invalid(String),
    /// Nothing is provided under that name.
    #[error("import {} is not provided as {expected}", ShownImport(name))]
    MissingImport {
        /// The import.
        name: ImportName,
        /// What the module asks for.
        expected: String,
    },
    /// What is provided under that name is of another type.
    #[error("import {} must be {expected}, and {found} is provided", ShownImport(name))]
    IncompatibleImport {
        /// The import.
        name: ImportName,
        /// What the module asks for.
        expected: String,
        /// What there is.
        found: String,
    },
    /// The module imports one tag under two names: code tells tags apart by number.
    #[error(
        "import {} is a tag that the module imports under another name, too: import it once",
        ShownImport(name)
    )]
    TagImportedTwice {
        /// The second import.
        name: ImportName,
    },
    /// What is provided under that name belongs to an instance of another [`Store`](crate::Store).
    #[error("import {} is of an instance that is in another store", ShownImport(name))]
    OtherStore {
        /// The import.
        name: ImportName,
    },
    /// Another native thread executes instances of the store.
    #[error("another thread executes instances of the store")]
    StoreInUse,
    /// The process is a forked child of the one that made the store.
    #[error("this process is a forked child: it cannot use its parent's store, but make another")]
    Forked,
    /// The instances of the store have too many functions.
    #[error("the instances of a store can have {limit} functions together, not {functions} more")]
    StoreFull {
        /// How many the module has.
        functions: usize,
        /// How many there can be.
        limit: u32,
    },
    /// A function has more of something than the engine has room for.
    #[error("function `{}` has {count} {what}, and {limit} is the limit", Shown(function))]
    FunctionTooLarge {
        /// Its name.
        function: String,
        /// What there is too much of.
        what: &'static str,
        /// How many it has.
        count: usize,
        /// How many it may have.
        limit: usize,
    },
    /// An active data segment does not fit the memory.
    #[error("data segment {segment} is out of bounds of the memory")]
    DataOutOfBounds {
        /// Its number.
        segment: usize,
    },
    /// An active element segment does not fit its table.
    #[error("element segment {segment} is out of bounds of its table")]
    ElementsOutOfBounds {
        /// Its number.
        segment: usize,
    },
    /// The axes of the mechanism do not go together.
    #[error("no such mechanism: {0}")]
    Mechanism(#[from] Refusal),
    /// The settings ask for what code made as they say cannot do.
    #[error(
        "{what}: the mechanism lets active frames run out, as state recording `none`, direct calls and code without polls require"
    )]
    FramesRunOut {
        /// What cannot be done.
        what: &'static str,
    },
    /// Points are to be safepoints in code that cannot be stopped there.
    #[error("points cannot be safepoints, as the mechanism {why}")]
    PointsNotSafepoints {
        /// What of the mechanism, and what to choose.
        why: &'static str,
    },
    /// Hijacks are to be forced, and the mechanism's frames leave by themselves.
    #[error("the mechanism swaps no return PC, so no hijack can be forced: force invalidations only")]
    NothingIsHijacked,
    /// Calls are bound to distances, and code memory is larger than those reach.
    #[error(
        "with {bytes} bytes of code memory calls do not reach all code: use {limit} at most, or the call binding `cell` without invalidation points"
    )]
    FarCalls {
        /// What the settings say.
        bytes: usize,
        /// What they may say at most.
        limit: usize,
    },
    /// The runtime would exhaust the native stack.
    #[error("a stack reserve of {bytes} bytes is too small: the runtime needs {minimum}")]
    SmallStackReserve {
        /// What the settings say.
        bytes: usize,
        /// What they must say at least.
        minimum: usize,
    },
    /// The observer wants to see what is not made visible.
    #[error("the observer wants each arrival at a point, and points are not safepoints: set `points`")]
    PointsNotObservable,
    /// Decisions depend on time, and are to be recorded, replayed or forced.
    #[error(
        "with compilation in the background, or measured costs, no run is like another: nothing can be recorded, replayed \
         or forced; choose sync or simulated compilation, and nominal costs"
    )]
    DependsOnTime,
    /// A schedule that is to be replayed counts backwards.
    #[error("the numbers of a schedule must ascend from 1")]
    UnorderedSchedule,
    /// Frames are to be listed, and may land as several.
    #[error(
        "frames that were merged by inlining land as several, which are not listed: guest frames need code without inlining"
    )]
    FramesNotListed,
    /// All code is to be made with the instance, but other tiers are to execute as well.
    #[error(
        "code that is all made with the instance (a placement, direct calls, no polls) needs the tiers `optimized`"
    )]
    OnlyOptimized,
    /// All code was to be made with the instance.
    #[error("function `{}` cannot be compiled: {source}", Shown(function))]
    Compile {
        /// Its name.
        function: String,
        /// Why.
        source: osr_compiler::CompileError,
    },
    /// The operating system refused memory or address space.
    #[error("out of memory: {what}: {source}")]
    OutOfMemory {
        /// What it was for.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Active frames could not be walked or replaced.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TransitionError {
    /// The thread is not outside of the guest's code. Nothing happened.
    #[error(transparent)]
    NotNow(#[from] NotNow),
    /// An observer has panicked while it was told of what was done. It is done all the same.
    #[error("it was done, but {message}")]
    Panicked {
        /// Who panicked, and what it said.
        message: String,
    },
    /// The stack cannot be walked: a broken invariant.
    #[error("the stack cannot be walked: {0}")]
    Walk(#[from] osr_stackwalk::Error),
    /// The instance was made with [`ActiveFrames::RunOut`](crate::ActiveFrames::RunOut) or
    /// [`ActiveFrames::ReturnBarrier`](crate::ActiveFrames::ReturnBarrier).
    #[error("the mechanism lets active frames run out, so none can be replaced")]
    FramesRunOut,
    /// The instance was made with [`ActiveFrames::InvalidationPoint`](crate::ActiveFrames::InvalidationPoint) or
    /// [`ActiveFrames::ReturnCheck`](crate::ActiveFrames::ReturnCheck).
    #[error(
        "the mechanism swaps no return PC: frames leave code that is invalidated, and none leaves code that is not"
    )]
    NothingIsHijacked,
    /// The instance was made without [`Settings::guest_frames`](crate::Settings::guest_frames).
    #[error("frames of the interpreter are not listed: set `guest_frames`")]
    FramesNotListed,
    /// Another native thread cannot ask compiled code to poll: the instance was made with a [poll](crate::Poll) that is no
    /// comparison with a word.
    #[error("with this poll code cannot be interrupted: choose the poll `stack-limit` or `flag`")]
    NotInterruptible,
    /// The instance was made with calls that are bound for good, or without polls.
    #[error("the mechanism compiles all code once, when the instance is made, so none can be replaced")]
    CodeIsFinal,
    /// The process is a forked child of the one that made the instance.
    #[error("this process is a forked child: it cannot execute its parent's instances, but make others")]
    Forked,
}

/// A redefinition was not carried out. Unless an observer panicked, nothing happened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RedefinitionError {
    /// The thread or its mechanism cannot replace what has to be replaced.
    #[error(transparent)]
    Transition(#[from] TransitionError),
    /// The functions do not have these bodies, or a state map is wrong.
    #[error(transparent)]
    Invalid(#[from] osr_ir::verifier::VerifyError),
    /// Activations are to be carried, and are at no point.
    #[error(
        "activations of `{from}` cannot be carried to `{to}`: the bodies have no point in common, write a `map {from} to {to}`"
    )]
    NothingMapped {
        /// The name of the old body.
        from: String,
        /// The name of the new body.
        to: String,
    },
    /// All activations are to be carried, and are not wherever they may be.
    #[error(
        "not all activations of `{from}` can be carried to `{to}`: {point}, at {position}, is not mapped"
    )]
    NotMapped {
        /// The name of the old body.
        from: String,
        /// The name of the new body.
        to: String,
        /// The first point of the old body that is not mapped.
        point: Point,
        /// Where it is.
        position: Position,
    },
    /// An observer has requested another redefinition at the same safepoint.
    #[error("another redefinition waits for the same safepoint: request it after that")]
    Waiting,
}

/// Bodies could not be added to the functions of an instance: nothing was added.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AddBodiesError {
    /// There is no room for them, or something is wrong with them.
    #[error(transparent)]
    Refused(#[from] osr_ir::AdditionError),
    /// A body has more of something than there is room for.
    #[error("body `{body}` has {count} {what}: at most {limit} are supported")]
    TooLarge {
        /// Its name.
        body: String,
        /// What there is too much of.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
}

/// A thread could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ThreadError {
    /// The instance has a thread already. Invalidation walks the stack of one thread only, so a second
    /// one could execute code that is released.
    #[error("the instance has a thread already: drop it first, or make another instance")]
    InUse,
    /// Another native thread executes instances of the store.
    #[error("another native thread executes instances of the store: drop its threads first")]
    StoreInUse,
    /// The process is a forked child of the one that made the instance.
    #[error("this process is a forked child: it cannot execute its parent's instances, but make others")]
    Forked,
    /// The processor keeps a shadow stack: a swapped return address would end the process.
    #[error(
        "this process runs with a hardware shadow stack (CET), under which return addresses cannot be hijacked: turn it off, for instance with GLIBC_TUNABLES=glibc.cpu.hwcaps=-SHSTK"
    )]
    ShadowStack,
    /// The operating system refused memory or address space, or does not tell the stack's bounds.
    #[error("{what}: {source}")]
    System {
        /// What it was for.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The state of an instance could not be [saved](crate::Thread::save_state), or put back.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StateError {
    /// The thread is in the middle of something. Nothing happened.
    #[error(transparent)]
    NotNow(#[from] NotNow),
    /// Guest code waits for the host: frames rely on memories and tables not becoming smaller. Nothing happened.
    #[error(
        "guest code of the store has called the host: its state can be saved and restored between calls only"
    )]
    Executing,
    /// What was saved is another instance's. Nothing happened.
    #[error("the state was saved of another instance")]
    OtherInstance,
    /// The process is a forked child of the one that made the instance.
    #[error("this process is a forked child: it cannot execute its parent's instances, but make others")]
    Forked,
    /// The operating system does not take back what a memory has grown by. Some of the state is put back.
    #[error("a memory cannot be made smaller: {0}")]
    System(std::io::Error),
}

/// A function could not be called, or trapped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InvokeError {
    /// No exported function has that name.
    #[error("there is no exported function `{}` (exported: {available})", Shown(name))]
    NoSuchFunction {
        /// The name asked for.
        name: String,
        /// The names that are there, or some of them.
        available: String,
    },
    /// It is of another type than it is [asked for](crate::Thread::typed).
    #[error("`{}` is a function {found}, not {asked}", Shown(function))]
    Signature {
        /// The function.
        function: String,
        /// Its type.
        found: Box<Signature>,
        /// The type that was asked for.
        asked: Box<Signature>,
    },
    /// Wrong number of arguments.
    #[error("`{}` takes {expected} argument(s), {given} given", Shown(function))]
    ArgumentCount {
        /// The function.
        function: String,
        /// What it takes.
        expected: usize,
        /// What was given.
        given: usize,
    },
    /// An argument of the wrong type.
    #[error("argument {position} of `{}` must be {expected}, not {given}", Shown(function))]
    ArgumentType {
        /// The function.
        function: String,
        /// Position, from 1.
        position: usize,
        /// What it takes.
        expected: Type,
        /// What was given.
        given: Type,
    },
    /// A word that is to be a function reference is none.
    #[error("argument {position} of `{}` is no reference to a function of the store", Shown(function))]
    ForgedReference {
        /// The function.
        function: String,
        /// Position, from 1.
        position: usize,
    },
    /// The thread executes guest code or is in the middle of a transition. Nothing happened.
    #[error(transparent)]
    NotNow(#[from] NotNow),
    /// The process is a forked child of the one that made the instance.
    #[error("this process is a forked child: it cannot execute its parent's instances, but make others")]
    Forked,
    /// Guest code trapped.
    #[error(transparent)]
    Trap(#[from] Trap),
}
