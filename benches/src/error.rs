//! What can go wrong, where, and what to do about it.

use std::io;
use std::path::PathBuf;

use miette::{Diagnostic, NamedSource, SourceSpan};
use osr_engine::{InstantiationError, Refusal, ThreadError};
use osr_ir::Type;
use osr_ir::wasm::{Feature, ImportError};
use osr_wasi::ContextError;
use thiserror::Error as ThisError;

use crate::cli::Size;
use crate::guest::schedule_file::Reached;
use crate::guest::trapped::Trapped;
use crate::laboratory::early_end::Progress;
use crate::rendered::rendered;

/// Why `osr-bench` ends without success.
#[derive(Debug, ThisError, Diagnostic)]
pub(crate) enum Error {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    #[diagnostic(help("give the path of a .wasm, .wat or .ir file"))]
    Read { path: PathBuf, source: io::Error },
    /// A file name does not say what the file is.
    #[error("{}: cannot tell what kind of program this is", path.display())]
    #[diagnostic(help("name the file .wasm (binary WebAssembly), .wat (its text form) or .ir (textual IR)"))]
    UnknownFormat { path: PathBuf },
    /// A script where a program is wanted.
    #[error("{}: this command takes a program, not a script of many modules", path.display())]
    #[diagnostic(help("`osr-bench run SCRIPT.wast` runs it"))]
    ScriptElsewhere { path: PathBuf },
    /// What a script says itself, or what watches a single instance.
    #[error("{option} with a .wast script, which says itself what it calls and imports")]
    #[diagnostic(help(
        "leave it out: engine options, --stats, --trace, --explain, --symbols, --timeout and --quiet apply to scripts"
    ))]
    OptionWithScript { option: &'static str },
    /// Steps of a script did not do what they should.
    #[error("{}: {failures} step(s) failed", path.display())]
    ScriptFailed { path: PathBuf, failures: usize },
    /// A text file is not text.
    #[error("{}: not UTF-8 text (at offset {offset:#x})", path.display())]
    #[diagnostic(help("a .wat or .ir file is text; a binary module is named .wasm"))]
    NotText { path: PathBuf, offset: usize },
    /// A deoptimization is asked for that did not happen.
    #[error("there is no such deoptimization: {seen} were seen")]
    #[diagnostic(help("without --number and --at, `osr-bench why` lists them"))]
    NoDeoptimization { seen: u64 },
    /// A descent did not do what it should, or the mechanism refuses hijacks.
    #[error("transitions cannot be measured: {message}")]
    #[diagnostic(help(
        "--mechanism must be one that hijacks frames; results that differ are a bug of the engine"
    ))]
    Transitions { message: String },
    /// An experiment with guards is not what it should be.
    #[error("the experiment cannot be made: {message}")]
    #[diagnostic(help("please report it: its programs are bundled"))]
    Guards { message: String },
    /// A WebAssembly module is not valid, or not supported.
    #[error("{}: {source}", path.display())]
    #[diagnostic(help("{}", wasm_help(source)))]
    Wasm { path: PathBuf, source: ImportError },
    /// A WebAssembly module uses what is not supported.
    #[error("{}: {}", path.display(), show_features(features))]
    #[diagnostic(help("{}", without_features(features)))]
    Unsupported { path: PathBuf, features: Vec<(Feature, u64)> },
    /// A text does not parse.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Text(Box<TextError>),
    /// A textual module breaks a rule.
    #[error("{}: {message}", path.display())]
    #[diagnostic(help("`function, bB:I` is instruction I, from 0, of block bB; the terminator is the last"))]
    Verify { path: PathBuf, message: String },
    /// A module imports what nobody provides.
    #[error("{}: {missing} of {imports} imports are not provided ({kind}):{list}", path.display())]
    #[diagnostic(help(
        "--imports stub supplies functions that return zeros, and globals that are zero, --imports trap functions \
         that trap, --imports replay:FILE what they did in a recorded run; always provided are {provided}, and WASI preview 1"
    ))]
    MissingImports {
        path: PathBuf,
        kind: &'static str,
        missing: usize,
        imports: usize,
        list: String,
        provided: String,
    },
    /// A global that is given is not imported.
    #[error("--global {name}: the program imports no such global")]
    #[diagnostic(help("write MODULE.NAME=VALUE: env.__memory_base=1024"))]
    NoSuchGlobal { name: String },
    /// The value of a global is none.
    #[error("--global {name}: `{text}` {problem} {ty}")]
    #[diagnostic(help("{}", crate::number::how_to_write(*ty)))]
    GlobalValue { name: String, text: String, problem: &'static str, ty: Type },
    /// A WASI program cannot be given what it is to be given.
    #[error("{0}")]
    #[diagnostic(help("directories are given by --dir HOST::GUEST, variables by --env NAME=VALUE"))]
    Wasi(ContextError),
    /// Something of WASI's is given to a program that does not use it.
    #[error("--dir or --env: {} does not import WASI preview 1", path.display())]
    #[diagnostic(help("leave them out: the program cannot see them"))]
    NotWasi { path: PathBuf },
    /// The program has not ended in time.
    #[error("the program did not end within {limit:?}")]
    #[diagnostic(help(
        "--timeout SECONDS is how long it may take; --stats, --trace and --explain, if they are given, have what happened until then"
    ))]
    TimedOut { limit: std::time::Duration },
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// Ctrl-C, while something was measured.
    #[error("interrupted {0}")]
    EndedEarly(Progress),
    /// The guest has ended itself, with this exit code.
    #[error("exit code {0}")]
    Exited(u8),
    /// A module cannot be made into an instance.
    #[error("{}: {source}", path.display())]
    Instantiate { path: PathBuf, source: InstantiationError },
    /// The instance cannot be executed here.
    #[error(transparent)]
    Thread(#[from] ThreadError),
    /// No function is exported under the name.
    #[error("{}: there is no exported function `{name}`", path.display())]
    #[diagnostic(help("exported are {exported}"))]
    NoSuchExport { path: PathBuf, name: String, exported: String },
    /// Nothing says which function to call.
    #[error("{}: there is no exported function `run`, `_start` or `main`", path.display())]
    #[diagnostic(help("name one with --invoke; exported are {exported}"))]
    NoDefaultExport { path: PathBuf, exported: String },
    /// A function is to set a module up, and has parameters or results.
    #[error("--init {name}: its type is {signature}")]
    #[diagnostic(help("it must be () -> (); what takes arguments is called by --invoke NAME=ARG,.."))]
    NoInitializer { name: String, signature: String },
    /// A memory that the program does not have.
    #[error("{option} {place}: there is no such memory")]
    #[diagnostic(help("there are {memories}; a place is ADDRESS, of the first memory, or MEMORY:ADDRESS"))]
    NoSuchMemory { option: &'static str, place: String, memories: String },
    /// What is to be written does not fit memory.
    #[error("--write: {bytes} bytes at {place} do not fit into a memory of {size} bytes")]
    #[diagnostic(help("memory is as large as the module asks for when it is written to"))]
    WriteOutOfBounds { place: String, bytes: usize, size: u64 },
    /// What is to be shown is not in memory.
    #[error("--read: {length} bytes at {place} are not all in a memory of {size} bytes")]
    #[diagnostic(help("the memory is as large as it is at the end"))]
    ReadOutOfBounds { place: String, length: u64, size: u64 },
    /// There is more than a call to be made small.
    #[error("`shrink` takes one call of a program that imports nothing but `env`")]
    #[diagnostic(help("leave out --init, --write, --add and all --invoke but one; a host is not shrunk"))]
    NotOneCall,
    /// The number of arguments is wrong.
    #[error("`{function}` takes {expected} argument(s), {given} given")]
    #[diagnostic(help("its type is {signature}"))]
    ArgumentCount { function: String, expected: usize, given: usize, signature: String },
    /// An argument is not a value of the parameter's type.
    #[error("argument {position} of `{function}`: `{text}` {problem} {ty}")]
    #[diagnostic(help("{}", crate::number::how_to_write(*ty)))]
    Argument { function: String, position: usize, text: String, problem: &'static str, ty: Type },
    /// No combination of axis values that works.
    #[error("--mechanism {mechanism}: {refusal}")]
    #[diagnostic(help("`osr-bench list` shows the presets and all axes with their values"))]
    RefusedMechanism { mechanism: String, refusal: Refusal },
    /// There is no such experiment.
    #[error("there is no experiment `{name}`")]
    #[diagnostic(help("there are {experiments}"))]
    NoSuchExperiment { name: String, experiments: String },
    /// A file of results cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    #[diagnostic(help("results are written by `osr-bench thread -o FILE` and `osr-bench sweep`"))]
    ReadResults { path: PathBuf, source: io::Error },
    /// A line of a file of results is none.
    #[error("{}:{line}: not a result: {problem}", path.display())]
    #[diagnostic(help(
        "each line is one object of JSON, written by `osr-bench thread -o FILE` or `osr-bench sweep`"
    ))]
    Results { path: PathBuf, line: usize, problem: String },
    /// A form that knows one benchmark is to hold none, or several.
    #[error("--rebench: {count} series are chosen, and not one")]
    #[diagnostic(help(
        "choose one by --metric, --subject and --size, and of a file by --experiment and --mechanism: {series}"
    ))]
    NotOneSeries { count: usize, series: String },
    /// Another process appends results to the file.
    #[error("{}: another process writes to it", path.display())]
    #[diagnostic(help("wait until that ends, or name another file"))]
    ResultsInUse { path: PathBuf },
    /// What is made would take the place of what it is made of.
    #[error("{}: it would be replaced by what is made of it", path.display())]
    #[diagnostic(help("name another file to write to"))]
    OutputIsInput { path: PathBuf },
    /// There are no results in a file of results.
    #[error("{}: there are no results in it", path.display())]
    #[diagnostic(help(
        "results are lines of JSON, written by `osr-bench thread -o FILE` or `osr-bench sweep`"
    ))]
    NoResults { path: PathBuf },
    /// The file of a sweep cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    #[diagnostic(help("`osr-bench sweep --help` shows what such a file says"))]
    ReadPlan { path: PathBuf, source: io::Error },
    /// The file of a sweep says something that cannot be.
    #[error("{}: {problem}", path.display())]
    #[diagnostic(help("`osr-bench list` shows mechanisms, `osr-bench sweep --help` what such a file says"))]
    Plan { path: PathBuf, problem: String },
    /// A kind of stress was given twice.
    #[error("--stress {kind}=.. is given more than once")]
    #[diagnostic(help("give each kind of stress once"))]
    RepeatedStress { kind: &'static str },
    /// A replay forces what was recorded, and nothing else.
    #[error("--replay together with --stress")]
    #[diagnostic(help("the schedule says what is forced: leave --stress out"))]
    ReplayWithStress,
    /// A file is not a schedule.
    #[error("{}: {problem}", path.display())]
    #[diagnostic(help("write schedules with `osr-bench run PROGRAM .. --record FILE`"))]
    Schedule { path: PathBuf, problem: String },
    /// A schedule was recorded on something else.
    #[error("{}: recorded {recorded}, not {given}", path.display())]
    #[diagnostic(help("a schedule counts safepoints and landings of one run; replay it with {options}"))]
    ReplayMismatch { path: PathBuf, recorded: String, given: String, options: String },
    /// A replay was another run than the recorded one.
    #[error("the replay is another run: {reached}, and the recorded one {recorded}")]
    #[diagnostic(help("was it recorded by this build of osr-bench, for a program that is deterministic?"))]
    ReplayDiverged { recorded: Reached, reached: Reached },
    /// A file does not hold what host functions did.
    #[error("{}:{line}: {problem}", path.display())]
    #[diagnostic(help("records are written by `osr-bench run PROGRAM .. --record-imports FILE`"))]
    Record { path: PathBuf, line: usize, problem: String },
    /// A run made other host calls than the recorded one.
    #[error("the run differs from the recorded one: {0}")]
    #[diagnostic(help("was it recorded with the same arguments, --init and --invoke?"))]
    HostDiverged(String),
    /// The interpreter alone does something else.
    #[error("differs from the interpreter alone: {what} {given}, not {expected}")]
    #[diagnostic(help("`osr-bench shrink` with the same options makes the failure small"))]
    Differs { what: &'static str, given: String, expected: String },
    /// The interpreter alone makes other host calls.
    #[error("differs from the interpreter alone, which makes other host calls: {how}")]
    #[diagnostic(help("`osr-bench shrink` with the same options makes the failure small"))]
    HostCallsDiffer { how: String },
    /// There is nothing to shrink.
    #[error("nothing fails: {0}")]
    #[diagnostic(help("give the options of a run that differs from the interpreter, or that crashes"))]
    NothingFails(String),
    /// A random schedule has everything in it.
    #[error("--stress random=.. together with other stress")]
    #[diagnostic(help("a random schedule chooses when to hijack and where to land: give it alone"))]
    RandomStressWithMore,
    /// Stress of compiled frames where nothing is compiled.
    #[error("--stress with --tier interpreter: there are no compiled frames to hijack")]
    #[diagnostic(help("use --tier baseline, optimized or auto, or leave the stress out"))]
    NothingToHijack,
    /// A threshold where nothing tiers up.
    #[error("{option} with --tier {tier}: nothing waits to tier up")]
    #[diagnostic(help("use --tier auto, or leave the threshold out"))]
    ThresholdWithoutTierUp { option: &'static str, tier: &'static str },
    /// The stack cannot hold the runtime.
    #[error("--stack-size {given} is too small")]
    #[diagnostic(help("give at least {minimum}: the runtime keeps part of it in reserve"))]
    SmallStack { given: Size, minimum: Size },
    /// The guest's thread cannot be made.
    #[error("cannot make a thread with a stack of {stack} bytes: {source}")]
    #[diagnostic(help("give a smaller --stack-size"))]
    Spawn { stack: usize, source: io::Error },
    /// The engine failed in a way that it should not.
    #[error("the engine panicked; this is a bug of the engine")]
    Panicked,
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    #[diagnostic(help("name a file in a directory that you can write to"))]
    Write { path: PathBuf, source: io::Error },
    /// What was asked for on standard error cannot be written there.
    #[error("cannot write to standard error: {0}")]
    #[diagnostic(help("what was to be written there is lost"))]
    WriteStderr(io::Error),
    /// Standard output cannot be written.
    #[error("cannot write the results: {0}")]
    Output(io::Error),
    /// Whoever read standard output does not read on.
    #[error("standard output is closed")]
    OutputClosed,
    /// The guest trapped.
    #[error("{}", .0.trap)]
    Trap(Box<Trapped>),
    /// There is no manual page of that.
    #[error("there is no command `{name}`")]
    #[diagnostic(help("there are {commands}"))]
    NoSuchCommand { name: String, commands: String },
    /// The run had only so much fuel.
    #[error("out of fuel")]
    OutOfFuel(Box<Trapped>),
    /// `maps` was asked for a function that is not there.
    #[error("{}: there is no function `{name}` with a body", path.display())]
    #[diagnostic(help("there are {functions}"))]
    NoSuchFunction { path: PathBuf, name: String, functions: String },
    /// The compiler refused.
    #[error("{}: `{function}` cannot be compiled: {message}", path.display())]
    #[diagnostic(help("it runs in the interpreter; choose other functions with --function"))]
    Compile { path: PathBuf, function: String, message: String },
    /// `--only` names a program that is not bundled.
    #[error("there is no bundled program `{name}`")]
    #[diagnostic(help("there are {programs}"))]
    NoSuchProgram { name: String, programs: String },
    /// Neither a bundled program nor a file.
    #[error("`{name}` is neither a bundled program nor a file")]
    #[diagnostic(help("bundled are {programs}; files are named .wasm, .wat or .ir"))]
    NoSuchSubject { name: String, programs: String },
    /// Arguments, or a function, for more than one program, or for a bundled one.
    #[error("{option} without exactly one program that is a file")]
    #[diagnostic(help("bundled programs have recorded functions and arguments; measure files one by one"))]
    OptionForOneFile { option: &'static str },
    /// A setting cannot be varied so.
    #[error("--vary {message}")]
    #[diagnostic(help("write SETTING=VALUE,VALUE: unrolling=1,4 or mechanism.poll=flag,stack-limit"))]
    Varied { message: String },
    /// What is compared with is not measured.
    #[error("--base {base}, but {base} is not measured")]
    #[diagnostic(help("name it with --engines too; measured are {measured}"))]
    BaseNotMeasured { base: &'static str, measured: String },
    /// A peer is not there.
    #[error("{engine} is not available")]
    #[diagnostic(help("{help}"))]
    NoSuchPeer { engine: &'static str, help: &'static str },
    /// A worker process failed.
    #[error("the measuring process of {program} failed: {message}")]
    #[diagnostic(help("run the program alone: osr-bench run PROGRAM ARG"))]
    Worker { program: String, message: String },
    /// A command line cannot be taken apart.
    #[error("--command {line:?}: empty, or a quotation that does not end")]
    #[diagnostic(help(
        "write what follows `osr-bench run`, as for a shell: --command \"tool.wasm --dir . -- -x 'a b'\""
    ))]
    CommandLine { line: String },
    /// A line names no program to measure.
    #[error("`{line}` names no program to measure")]
    #[diagnostic(help(
        "write the name of a bundled program, or what follows `osr-bench run`: \"x.wasm --invoke run 24\""
    ))]
    ProgramLine { line: String },
    /// A program that is to be measured twice.
    #[error("`{name}` is named twice: its results could not be told apart")]
    #[diagnostic(help("name each program once; measure other calls of it on their own, into another file"))]
    ProgramTwice { name: String },
    /// A bundled program gave an unexpected result.
    #[error("results differ: {0}")]
    #[diagnostic(help(
        "run it alone: osr-bench run tests/programs/wasm/NAME.wasm ARG --tier optimized --checked"
    ))]
    ResultsDiffer(String),
    /// The shadow interpreter has found a difference, and said so.
    #[error("the execution differs from the shadow interpreter's")]
    #[diagnostic(help("the first difference is above; what came after it was not compared"))]
    ShadowDiffers,
    /// A step of the program's script was not carried out.
    #[error("{message}")]
    Script {
        /// Which, and why.
        message: String,
    },
    /// A soak in a binary that has no random modules.
    #[cfg(not(feature = "soak"))]
    #[error("this osr-bench was built without `soak`")]
    #[diagnostic(help("build with it: cargo build --release -p osr-bench --features soak"))]
    WithoutSoak,
    /// A soak ended early.
    #[cfg(feature = "soak")]
    #[error(transparent)]
    #[diagnostic(transparent)]
    Soak(#[from] crate::commands::soak::SoakError),
}

/// A text does not parse, with the place that shows it.
#[derive(Debug, ThisError, Diagnostic)]
#[error("{name}:{line}:{column}: {message}")]
pub(crate) struct TextError {
    /// The file.
    pub(crate) name: String,
    /// From 1.
    pub(crate) line: usize,
    /// From 1.
    pub(crate) column: usize,
    /// What is wrong.
    pub(crate) message: String,
    /// What the file says.
    #[source_code]
    pub(crate) text: NamedSource<String>,
    /// The place in it, in bytes.
    #[label("here")]
    pub(crate) span: SourceSpan,
    /// What to do.
    #[help]
    pub(crate) help: &'static str,
}

impl From<TextError> for Error {
    fn from(error: TextError) -> Error {
        Error::Text(Box::new(error))
    }
}

impl Error {
    /// What the process exits with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Error::OutputClosed => 0,
            Error::Exited(code) => *code,
            Error::Trap(_)
            | Error::ScriptFailed { .. }
            | Error::ResultsDiffer(_)
            | Error::ShadowDiffers
            | Error::Guards { .. } => 1,
            #[cfg(feature = "soak")]
            Error::Soak(error) => error.exit_code(),
            Error::Differs { .. } | Error::HostCallsDiffer { .. } => 3,
            // As timeout(1) and shells have them.
            Error::TimedOut { .. } | Error::OutOfFuel(_) => 124,
            Error::Interrupted | Error::EndedEarly(_) => 130,
            Error::Panicked => 101,
            _ => 2,
        }
    }

    /// Shows it on standard error.
    pub(crate) fn show(&self) {
        match self {
            // The report says so.
            Error::Exited(_) | Error::ScriptFailed { .. } => {}
            Error::Trap(trapped) => crate::output::to_stderr(format_args!("{trapped}")),
            Error::OutOfFuel(trapped) => crate::output::to_stderr(format_args!(
                "the program has used up its --fuel\n{}",
                trapped.place()
            )),
            other => crate::output::to_stderr(format_args!("{}", rendered(other))),
        }
    }
}

/// What is not supported, and where it is used first.
fn show_features(features: &[(Feature, u64)]) -> String {
    let one = |(feature, offset): &(Feature, u64)| format!("{feature} (at offset {offset:#x})");
    let list = features.iter().map(one).collect::<Vec<_>>().join(", ");
    format!("{list} {} not supported", if features.len() == 1 { "is" } else { "are" })
}

/// How to build a program that does without.
fn without_features(features: &[(Feature, u64)]) -> String {
    let helps = |(feature, _): &(Feature, u64)| {
        let option = feature.clang_option().map(|option| format!("{feature}: clang's {option}"));
        option.or_else(|| Some(format!("{feature}: {}", feature.remedy()?)))
    };
    let help: Vec<String> = features.iter().filter_map(helps).collect();
    match help.is_empty() {
        true => "build the program without this WebAssembly feature".to_owned(),
        false => format!("build the program without; {}", help.join("; ")),
    }
}

fn wasm_help(error: &ImportError) -> &'static str {
    match error {
        ImportError::Unsupported { .. } => "build the program without this WebAssembly feature",
        ImportError::Malformed { .. } => {
            "offsets are in the binary module; check that the file is complete (wasm-validate may say more)"
        }
        ImportError::Text { .. } => "see the WebAssembly text format",
    }
}
