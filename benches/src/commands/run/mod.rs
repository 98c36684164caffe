//! `osr-bench run`: one call, its results on standard output.

mod early_end;
pub(in crate::commands) mod fuel;
mod outputs;
mod page;
mod script;
mod stats;
mod symbols;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use osr_engine::{
    Compared, Delegates, Difference, Observer, Observers, Settings, Shadow, TransitionLog, Trap,
};
use osr_wasi::Exit;

use crate::asked_stderr::AskedStderr;
use crate::cli::{CallOptions, HostOptions, TierName};
use crate::error::Error;
use crate::guest::call::Call;
use crate::guest::compiled::stand_ins;
use crate::guest::host::Output;
use crate::guest::host::record::Recorder;
use crate::guest::load::Program;
use crate::guest::schedule_file::Reached;
use crate::guest::session::{Outcome, Session};
use crate::guest::trapped::Trapped;
use crate::number::show_all;
use crate::output;
use early_end::{Ending, Guest, Why};
use fuel::{Fuel, OutOfFuel};
use outputs::Outputs;
use symbols::Symbols;
use verify::verify;

const RUN_EXAMPLES: &str = "\
Arguments are signed decimals or hexadecimal bits (0x..) for i32 and i64, decimals, inf or nan for f32 and \
f64, null for funcref, null or a number for externref. Each result is printed on a line of its own; what the program prints goes to stderr.

Examples:
  osr-bench run fib.wasm 24
  osr-bench run cases.wat --invoke shift -- -5 3
  osr-bench run fib.wasm 24 --tier optimized --stress invalidate=100 --stats -
  osr-bench run fib.wasm 24 --stress hijack=10 --shadow
  osr-bench run fib.wasm 24 --mechanism recording=slots --stats -
  osr-bench run deep-recursion.wasm 100000 --stack-size 256M --stats deep.json
  osr-bench run richards.wasm 100 --stress random=3 --record r.json
  osr-bench run fib.wasm 24 --stress invalidate=100 --explain=html --explain-to fib.html
  osr-bench run richards.wasm 100 --replay r.json --verify --explain --trace trace.json
  osr-bench run tool.wasm --dir ./data::/data --env LANG=C -- --fast /data/input < more
  osr-bench run i32.wast --tier optimized --stress invalidate=1
  osr-bench run library.wasm --imports stub --write 0x400=in --invoke setup=3 --invoke work 1024 5 --read 0x400=16

A script of WebAssembly's test suite (.wast) has its steps run; failures are located, and steps counted.

Exit codes: 0, or what a WASI program exits with; 1 after `trap: KIND in FUNCTION at POINT`, with a backtrace below, or if steps of a script fail; 2 for bad input; 3 if --verify finds a difference; 124 after --timeout or --fuel, 130 after Ctrl-C.";

/// Options of `run`.
#[derive(Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub(crate) struct RunOptions {
    /// What is called.
    #[command(flatten)]
    pub(crate) call: CallOptions,
    /// What it is given.
    #[command(flatten)]
    pub(crate) host: HostOptions,
    /// Write statistics as JSON to FILE, which is replaced at once or not at all; `-` means stderr.
    #[arg(long, value_name = "FILE")]
    pub(crate) stats: Option<PathBuf>,
    /// Write what was forced, and where frames landed, to FILE, for --replay. Makes every poll of compiled
    /// code take its slow path.
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Write every tier-up, compilation, invalidation, hijack, landing and release, with its cause, to FILE:
    /// JSON for <https://ui.perfetto.dev>, speedscope, Firefox's profiler or Chrome.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Say, per function, which versions of its code there were: why each was made, how often it
    /// was entered, where its frames went, why and when it died.
    #[arg(long, value_name = "FORMAT", value_enum, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "text")]
    pub(crate) explain: Option<ExplainFormat>,
    /// Write the explanation to FILE; `-` means stderr. A page is always written to what is named here [default: -].
    #[arg(long, value_name = "FILE", requires = "explain")]
    #[arg(required_if_eq("explain", "html"))]
    pub(crate) explain_to: Option<PathBuf>,
    /// Say on stderr what happens to code and frames, when it happens, a line each: compilations, tier-ups, guards that fail,
    /// invalidations, hijacks, landings; with the point, and its place in the WebAssembly module and in the source.
    #[arg(long)]
    pub(crate) trace_deopt: bool,
    /// Tell debuggers and profilers of compiled code, by name: gdb by its JIT interface; perf-map writes /tmp/perf-PID.map,
    /// jit-dump writes jit-PID.dump into the current directory, for `perf record -k mono` and `perf inject --jit`.
    #[arg(long, value_name = "TOOL,..", value_enum, value_delimiter = ',')]
    pub(crate) symbols: Vec<Symbols>,
    /// Run the program in the interpreter alone, too, and compare results, traps, memory and globals.
    #[arg(long)]
    pub(crate) verify: bool,
    /// Run a shadow interpreter alongside, which compares every frame state that is rebuilt, every arrival at
    /// an entry and at a loop header, memory, globals, results and traps. Says what it compared on stderr; exits
    /// with 1 if something differs. Implies --points, under which the same transitions occur without it. Many
    /// times slower.
    #[arg(long)]
    pub(crate) shadow: bool,
    /// End the run after so many seconds, with exit code 124. As after Ctrl-C (exit code 130), what is written beside the
    /// results has what happened until then: only --trace and --explain where a function of the host does not return, or
    /// polls are in the code; after Ctrl-C, no --stats of the interpreter alone.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    /// End the run at the Nth arrival at a function's entry or a loop header (of optimized code: over a back-edge), with exit
    /// code 124 and a backtrace: at the same place whenever it is repeated, under the same options. Implies --points.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "verify")]
    pub(crate) fuel: Option<u64>,
    /// Do not show what the program prints.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// How an explanation is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExplainFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
    /// A page with the IR, code, frame maps, versions and transitions, linked to one another.
    Html,
}

impl RunOptions {
    /// Whether something is written that observers do not see: then a run that is to end early has its guest end. For that the
    /// interpreter looks for interrupts, which statistics of it alone would measure: of those, only with a time limit.
    fn writes_what_the_thread_has(&self) -> bool {
        let is_measured = self.call.engine.tier == TierName::Interpreter && self.timeout.is_none();
        let writes = self.record.is_some() || self.host.record_imports.is_some();
        writes || self.stats.is_some() && !is_measured
    }
}

/// Runs what `options` say.
pub(crate) fn run(options: &RunOptions) -> Result<(), Error> {
    if script::is_script(&options.call.program) {
        return script::run(options);
    }
    let mut call = Call::of(&options.call, &options.host, options.shadow || options.fuel.is_some())?;
    call.settings.profile |= options.explain.is_some();
    let outputs = Outputs::open(options, &call)?;
    let stderr = AskedStderr::default();
    let shadow = if options.shadow { Some(shadow_of(&call.program, &stderr)?) } else { None };
    let mut observers = symbols::observers(&options.symbols)?;
    observers.extend(outputs.observer());
    observers.extend(options.trace_deopt.then(|| transitions_on(&stderr)));
    observers.extend(options.fuel.map(|limit| Arc::new(Fuel::new(limit)) as Arc<dyn Observer>));
    let guest = Guest::default();
    let ending = Ending::watch(outputs, options.timeout, &guest);
    observers.extend(shadow.clone().map(|shadow| shadow as Arc<dyn Observer>));
    let observer = Observers::join(observers);
    let settings = Settings { record: options.record.is_some(), ..call.settings.clone() };
    let output = if options.quiet { Output::Dropped } else { Output::Shown };
    let mut imports = call.host.imports(&call.program, output)?;
    let records = options.verify || options.host.record_imports.is_some();
    let recorder = records.then(|| Recorder::wrap(&call.program.module, &mut imports, call.host.has_stubs()));
    let session = call.session(&settings, imports);
    let hash_memory = options.verify || options.stats.is_some();
    let delegates = Delegates { observer, policy: None };
    let handle = options.writes_what_the_thread_has().then_some(&*guest);
    let outcome = Session { delegates, hash_memory, handle, ..session }.run()?;
    let record = recorder.map(|recorder| recorder.record()).unwrap_or_default();
    let written = ending.take().write(&call, &outcome, &record);
    if !options.quiet {
        output::to_stderr(format_args!("{}", call.host.report(&call.program)));
        output::to_stderr(format_args!("{}", outcome.refused.note().unwrap_or_default()));
    }
    shadow.map_or(Ok(()), |shadow| verdict(&shadow, &stderr))?;
    if let Some(why) = Why::of(&outcome) {
        return written.and(stderr.check()).and(Err(why.error()));
    }
    call.host.check_replay()?;
    if options.verify {
        verify(&call, &outcome, record)?;
    }
    check_replay(&call, &outcome)?;
    let mut lines = outcome.shown;
    let memory = outcome.memory;
    let end = match outcome.result {
        Ok(words) => {
            lines.extend(show_all(&call.signature().results, &words));
            Ok(())
        }
        Err(trap) => end_of(&call.program, trap),
    };
    lines.extend(memory);
    output::to_stdout(&lines.into_iter().map(|line| line + "\n").collect::<String>())?;
    end?;
    written.and(stderr.check())
}

/// How a run ends that has trapped: that is also how a program exits.
pub(super) fn end_of(program: &Program, trap: Trap) -> Result<(), Error> {
    match Exit::of(&trap) {
        Some(Exit { code: 0 }) => Ok(()),
        // As the system has it.
        Some(Exit { code }) => Err(Error::Exited(code as u8)),
        None => {
            let is_out_of_fuel = trap.cause::<OutOfFuel>().is_some();
            let trapped = Box::new(Trapped::of(&program.module, trap));
            Err(if is_out_of_fuel { Error::OutOfFuel(trapped) } else { Error::Trap(trapped) })
        }
    }
}

/// A replay reaches as many safepoints and landings as the recorded run did, or it was another run.
fn check_replay(call: &Call, outcome: &Outcome) -> Result<(), Error> {
    let reached = Reached::by(outcome);
    match call.reached {
        Some(recorded) if recorded != reached => Err(Error::ReplayDiverged { recorded, reached }),
        _ => Ok(()),
    }
}

/// Says on stderr what happens to frames, as it happens.
fn transitions_on(stderr: &AskedStderr) -> Arc<dyn Observer> {
    Arc::new(TransitionLog::new(stderr.clone()))
}

/// A time on the command line: `1.5` is a second and a half.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.filter(|limit| !limit.is_zero()).ok_or_else(|| "not a number of seconds above 0".to_owned())
}

/// A shadow interpreter of `program`. It says at once if it finds a difference: who knows whether the program
/// ends after that.
fn shadow_of(program: &Program, stderr: &AskedStderr) -> Result<Arc<Shadow>, Error> {
    let shadow = Shadow::new(&program.module, &stand_ins(&program.module));
    let shadow = shadow.map_err(|source| Error::Instantiate { path: program.path.clone(), source })?;
    let stderr = stderr.clone();
    let say = move |difference: &Difference| stderr.say(format_args!("shadow: {difference}\n"));
    Ok(Arc::new(shadow.on_difference(say)))
}

/// Says what was compared.
fn verdict(shadow: &Shadow, stderr: &AskedStderr) -> Result<(), Error> {
    let Compared { points, transitions, registers, memories } = shadow.compared();
    stderr.say(format_args!(
        "shadow: compared {transitions} transitions with {registers} registers, {points} points, memory \
         {memories} times\n"
    ));
    shadow.difference().map_or(Ok(()), |_| Err(Error::ShadowDiffers))
}
