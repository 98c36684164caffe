//! `osr-bench soak`: random modules and the bundled programs under random schedules, until time is up or
//! something differs.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use osr_engine::Tier;
use osr_ir::Value;
use osr_tests::run::Call;
use osr_tests::soak::{Soak, Subject, Totals};
use serde::Serialize;

use crate::cli::SoakOptions;
use crate::entry;
use crate::error::Error;
use crate::number::read_arguments;
use crate::output;
use crate::session;
use crate::suite;

/// The bundled programs' own stacks are shallow, but interpreted and compiled frames alternate.
const STACK_BYTES: usize = 64 << 20;
/// A round takes a second at most: after that long it will never end.
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
    moves: Vec<osr_engine::Moves>,
    /// What differs; null if nothing does.
    failure: Option<FailureFound>,
}

#[derive(Debug, Serialize)]
struct LandingsByTier {
    interpreter: u64,
    baseline: u64,
    optimized: u64,
}

#[derive(Debug, Serialize)]
struct FailureFound {
    seed: u64,
    text: String,
}

/// What the thread that makes the rounds tells of.
enum Told {
    /// It begins the round of that seed; so much was done before.
    Begins { seed: u64, rounds: u64, transitions: u64 },
    /// Time is up, or something differs.
    Ended(Box<(Totals, Option<FailureFound>)>),
}

/// Soaks as `options` say.
pub(crate) fn run(options: &SoakOptions) -> Result<(), Error> {
    let subjects = subjects()?;
    let (sender, receiver) = mpsc::channel();
    let began = Instant::now();
    let limits = Limits { seed: options.seed, rounds: options.rounds, seconds: options.seconds };
    let rounds = std::thread::spawn(move || {
        session::on_thread(STACK_BYTES, || make_rounds(subjects, &limits, began, &sender))
    });
    let progress = progress(options);
    let mut seed = options.seed;
    let ended = loop {
        match receiver.recv_timeout(PATIENCE) {
            Ok(Told::Begins { seed: begun, rounds, transitions }) => {
                seed = begun;
                progress.set_position(began.elapsed().as_secs());
                progress.set_message(format!("seed {seed}, {rounds} rounds, {transitions} transitions"));
            }
            Ok(Told::Ended(ended)) => break *ended,
            Err(mpsc::RecvTimeoutError::Timeout) => return Err(Error::SoakHangs { seed, waited: PATIENCE }),
            Err(mpsc::RecvTimeoutError::Disconnected) => return Err(Error::SoakPanicked { seed }),
        }
    };
    let _ = rounds.join();
    progress.finish_and_clear();
    report(options, began.elapsed(), ended)
}

fn report(
    options: &SoakOptions,
    wall: Duration,
    (totals, failure): (Totals, Option<FailureFound>),
) -> Result<(), Error> {
    let landings = |tier| totals.landings_in(tier);
    let findings = Findings {
        seed: options.seed,
        wall_ns: wall.as_nanos() as u64,
        landings_by_tier: LandingsByTier {
            interpreter: landings(Tier::Interpreter),
            baseline: landings(Tier::Baseline),
            optimized: landings(Tier::Optimized),
        },
        moves: totals.moves().collect(),
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
        Some(FailureFound { seed, text }) => Err(Error::SoakDiffers { seed, text }),
    }
}

/// When to stop.
struct Limits {
    seed: u64,
    rounds: Option<u64>,
    seconds: u64,
}

fn make_rounds(subjects: Vec<Subject>, limits: &Limits, began: Instant, told: &mpsc::Sender<Told>) {
    let mut soak = Soak::new(subjects);
    let mut failure = None;
    let limit = limits.rounds.unwrap_or(u64::MAX);
    for round in 0..limit {
        if limits.rounds.is_none() && began.elapsed().as_secs() >= limits.seconds {
            break;
        }
        let seed = limits.seed.wrapping_add(round);
        let &Totals { rounds, transitions, .. } = soak.totals();
        let _ = told.send(Told::Begins { seed, rounds, transitions });
        if let Err(differs) = soak.round(seed) {
            failure = Some(FailureFound { seed, text: differs.to_string() });
            break;
        }
    }
    let _ = told.send(Told::Ended(Box::new((soak.totals().clone(), failure))));
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
    let bar = if options.quiet { ProgressBar::hidden() } else { ProgressBar::new(options.seconds) };
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len} s {msg}").expect("the template is well formed");
    bar.set_style(style);
    bar
}

fn text(findings: &Findings) -> String {
    let Findings { totals, landings_by_tier: by_tier, .. } = findings;
    let seconds = findings.wall_ns as f64 / 1e9;
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_header(["from", "to", "where", "transitions"]);
    for moves in &findings.moves {
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
