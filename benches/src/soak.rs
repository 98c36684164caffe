//! `osr-bench soak`: random modules and the bundled programs under random schedules, until time is up or
//! something differs.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use osr_engine::Tier;
use osr_ir::Value;
use osr_tests::run::Call;
use osr_tests::soak::{Soak, Subject, Totals};
use serde::{Deserialize, Serialize};

use crate::cli::SoakOptions;
use crate::entry;
use crate::error::Error;
use crate::number::read_arguments;
use crate::output;
use crate::session::on_thread;
use crate::suite;

/// The bundled programs' own stacks are shallow, but interpreted and compiled frames alternate.
const STACK_BYTES: usize = 64 << 20;
/// A round takes seconds at most: one that takes that long never ends.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a soak finds.
#[derive(Debug, Serialize)]
struct Findings {
    /// The seed of the first round.
    seed: u64,
    wall_ns: u64,
    #[serde(flatten)]
    totals: Totals,
    landings_by_tier: LandingsByTier,
    /// What differs; null if nothing does.
    failure: Option<Failure>,
}

#[derive(Debug, Serialize)]
struct LandingsByTier {
    interpreter: u64,
    baseline: u64,
    optimized: u64,
}

/// A round that differs.
#[derive(Debug, Serialize, Deserialize)]
struct Failure {
    seed: u64,
    text: String,
}

/// What the process that makes the rounds tells of, a line each.
#[derive(Debug, Serialize, Deserialize)]
enum Told {
    /// It begins the round of that seed; so much was done before.
    Begins { seed: u64, rounds: u64, transitions: u64 },
    /// Time is up, or something differs.
    Ended { totals: Box<Totals>, failure: Option<Failure> },
}

/// Soaks as `options` say. The rounds are made by a process of their own: should it crash, or a round never
/// end, it is known which.
pub(crate) fn run(options: &SoakOptions) -> Result<(), Error> {
    if options.supervised {
        return on_thread(STACK_BYTES, || make_rounds(options))?;
    }
    let began = Instant::now();
    let progress = progress(options);
    let mut process = start(options)?;
    let lines = lines_of(&mut process);
    let mut seed = options.seed;
    let ended = loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(Told::Begins { seed: begun, rounds, transitions }) => {
                seed = begun;
                progress.set_position(if options.rounds.is_some() {
                    rounds
                } else {
                    began.elapsed().as_secs()
                });
                progress.set_message(format!("seed {seed}, {rounds} rounds, {transitions} transitions"));
            }
            Ok(Told::Ended { totals, failure }) => break (*totals, failure),
            Err(RecvTimeoutError::Timeout) => {
                let _ = process.kill();
                return Err(Error::SoakHangs { seed, waited: PATIENCE });
            }
            Err(RecvTimeoutError::Disconnected) => {
                let how = process.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
                return Err(Error::SoakCrashed { seed, how });
            }
        }
    };
    let _ = process.wait();
    progress.finish_and_clear();
    report(options, began.elapsed(), ended)
}

/// Starts the process that makes the rounds.
fn start(options: &SoakOptions) -> Result<Child, Error> {
    let limit = match options.rounds {
        Some(rounds) => ["--rounds".to_owned(), rounds.to_string()],
        None => ["--seconds".to_owned(), options.seconds.to_string()],
    };
    let mut command = Command::new(std::env::current_exe().map_err(Error::SoakProcess)?);
    command.args(["soak", "--supervised", "--seed", &options.seed.to_string()]).args(limit);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(Error::SoakProcess)
}

/// What `process` tells of, as it comes.
fn lines_of(process: &mut Child) -> Receiver<Told> {
    let (sender, receiver) = mpsc::channel();
    let output = process.stdout.take().expect("it is piped");
    std::thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        let told = lines.map_while(|line| serde_json::from_str(&line).ok());
        told.map_while(|told| sender.send(told).ok()).for_each(drop);
    });
    receiver
}

/// Makes the rounds, and tells of them on standard output.
fn make_rounds(options: &SoakOptions) -> Result<(), Error> {
    let tell = |told: &Told| {
        let line = serde_json::to_string(told).expect("our data has string keys");
        output::to_stdout(&(line + "\n"))
    };
    let began = Instant::now();
    let mut soak = Soak::new(subjects()?);
    let mut failure = None;
    for round in 0..options.rounds.unwrap_or(u64::MAX) {
        if options.rounds.is_none() && began.elapsed().as_secs() >= options.seconds {
            break;
        }
        let seed = options.seed.wrapping_add(round);
        let &Totals { rounds, transitions, .. } = soak.totals();
        tell(&Told::Begins { seed, rounds, transitions })?;
        if let Err(differs) = soak.round(seed) {
            failure = Some(Failure { seed, text: differs.to_string() });
            break;
        }
    }
    tell(&Told::Ended { totals: Box::new(soak.totals().clone()), failure })
}

fn report(
    options: &SoakOptions,
    wall: Duration,
    (totals, failure): (Totals, Option<Failure>),
) -> Result<(), Error> {
    let findings = Findings {
        seed: options.seed,
        wall_ns: wall.as_nanos() as u64,
        landings_by_tier: LandingsByTier {
            interpreter: totals.landings_in(Tier::Interpreter),
            baseline: totals.landings_in(Tier::Baseline),
            optimized: totals.landings_in(Tier::Optimized),
        },
        totals,
        failure,
    };
    if options.json {
        output::json_to_stdout(&findings)?;
    } else {
        output::to_stdout(&text(&findings))?;
    }
    match findings.failure {
        None => Ok(()),
        Some(Failure { seed, text }) => Err(Error::SoakDiffers { seed, text }),
    }
}

/// The bundled programs with the arguments for a short call.
fn subjects() -> Result<Vec<Subject>, Error> {
    let subject = |recorded: suite::Recorded| {
        let program = recorded.load()?;
        let (name, function) = entry::find(&program, Some(&recorded.invoke))?;
        let texts: Vec<String> = recorded.small.iter().map(i64::to_string).collect();
        let values: Vec<Value> = read_arguments(name, program.module.signature_of(function), &texts)?;
        let arguments = values.iter().map(|value| value.to_bits()).collect();
        let calls = vec![Call { name: name.to_owned(), function, arguments }];
        Ok(Subject { name: recorded.name, module: program.module, calls })
    };
    suite::all().into_iter().map(subject).collect()
}

/// Progress on standard error, if that is a terminal.
fn progress(options: &SoakOptions) -> ProgressBar {
    let (length, unit) = options.rounds.map_or((options.seconds, "s"), |rounds| (rounds, "rounds"));
    let bar = if options.quiet { ProgressBar::hidden() } else { ProgressBar::new(length) };
    let template = format!("{{bar:30}} {{pos}}/{{len}} {unit}: {{msg}}");
    let style = ProgressStyle::with_template(&template).expect("the template is well formed");
    bar.set_style(style);
    bar
}

fn text(findings: &Findings) -> String {
    let Findings { totals, landings_by_tier: by_tier, .. } = findings;
    let seconds = findings.wall_ns as f64 / 1e9;
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_header(["from", "to", "where", "transitions"]);
    for moves in &totals.moves {
        let place = match moves.place {
            osr_engine::Place::Entry => "entry",
            osr_engine::Place::LoopHeader => "loop header",
            osr_engine::Place::PendingReturn => "pending return",
        };
        table.add_row([moves.from.name(), moves.to.name(), place, &moves.count.to_string()]);
    }
    format!(
        "{} rounds from seed {} in {seconds:.1} s: {} random modules, {} programs, {} left out; {} calls\n\
         {} transitions ({:.0} a second), {} frames hijacked, {} landings: {} in the interpreter, {} in \
         baseline code, {} in optimized code\n\
         {} versions compiled, {} released\n\
         {} rounds with a shadow interpreter, which compared the frame state at {} transitions\n{table}\n{}\n",
        totals.rounds,
        findings.seed,
        totals.modules,
        totals.programs,
        totals.left_out,
        totals.calls,
        totals.transitions,
        totals.transitions as f64 / seconds,
        totals.hijacked_frames,
        totals.landings,
        by_tier.interpreter,
        by_tier.baseline,
        by_tier.optimized,
        totals.versions_compiled,
        totals.versions_released,
        totals.shadowed,
        totals.shadowed_transitions,
        if findings.failure.is_none() { "no difference" } else { "DIFFERS" },
    )
}
