//! Makes the rounds in a process of their own: should it crash, or a round never end, it is known which.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use osr_engine::Mechanism;
use osr_ir::Value;
use osr_tests::run::Call;
use osr_tests::soak::{Soak, Subject, Totals};
use serde::{Deserialize, Serialize};

use super::report::{Failure, report};
use super::{Choice, Limit, SoakError, SoakOptions};
use crate::cli::mechanism::checked;
use crate::error::Error;
use crate::guest::entry;
use crate::guest::session::on_thread;
use crate::guest::suite;
use crate::new_file::NewFile;
use crate::number::read_arguments;
use crate::output;

/// The bundled programs' own stacks are shallow, but interpreted and compiled frames alternate.
const STACK_BYTES: usize = 64 << 20;
/// A round takes seconds at most: one that takes that long never ends.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the process that makes the rounds tells of, a line each.
#[derive(Debug, Serialize, Deserialize)]
enum Told {
    /// It begins an execution in the round of that seed; so much was done before.
    Begins { seed: u64, mechanism: Mechanism, rounds: u64, executions: u64, transitions: u64 },
    /// What was asked for is done, or something differs.
    Ended { totals: Box<Totals>, failure: Option<Failure> },
}

/// Soaks as `options` say.
pub(crate) fn run(options: &SoakOptions) -> Result<(), Error> {
    if let Choice::Fixed(mechanism) = options.mechanism {
        checked(mechanism)?;
    }
    if options.supervised {
        return on_thread(STACK_BYTES, || make_rounds(options))?;
    }
    let save = options.save.as_deref().map(NewFile::create).transpose()?;
    let began = Instant::now();
    let progress = progress(options);
    let mut process = start(options)?;
    let ended = supervise(&mut process, |seed, [rounds, executions, transitions]| {
        progress.set_position(match options.limit() {
            Limit::Rounds(_) => rounds,
            Limit::Executions(_) => executions,
            Limit::Transitions(_) => transitions,
            Limit::Seconds(_) => began.elapsed().as_secs(),
        });
        progress.set_message(format!("seed {seed}, {executions} executions, {transitions} transitions"));
    })?;
    let _ = process.wait();
    progress.finish_and_clear();
    report(options, began.elapsed(), ended, save)
}

/// Waits until `process` has made its rounds, and passes on what it tells.
fn supervise(
    process: &mut Child,
    progress: impl Fn(u64, [u64; 3]),
) -> Result<(Totals, Option<Failure>), SoakError> {
    let lines = lines_of(process);
    let mut round = None;
    loop {
        match (lines.recv_timeout(PATIENCE), round) {
            (Ok(Told::Begins { seed, mechanism, rounds, executions, transitions }), _) => {
                round = Some((seed, mechanism));
                progress(seed, [rounds, executions, transitions]);
            }
            (Ok(Told::Ended { totals, failure }), _) => return Ok((*totals, failure)),
            (Err(RecvTimeoutError::Timeout), Some((seed, mechanism))) => {
                let _ = process.kill();
                return Err(SoakError::Hangs { seed, mechanism, waited: PATIENCE });
            }
            (Err(_), round) => {
                let _ = process.kill();
                let how = process.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
                return Err(match round {
                    Some((seed, mechanism)) => SoakError::Crashed { seed, mechanism, how },
                    None => SoakError::NeverBegan(how),
                });
            }
        }
    }
}

/// Starts the process that makes the rounds.
fn start(options: &SoakOptions) -> Result<Child, SoakError> {
    let (limit, number) = match options.limit() {
        Limit::Rounds(rounds) => ("--rounds", rounds),
        Limit::Executions(executions) => ("--executions", executions),
        Limit::Transitions(transitions) => ("--transitions", transitions),
        Limit::Seconds(seconds) => ("--seconds", seconds),
    };
    let mut command = Command::new(std::env::current_exe().map_err(SoakError::Process)?);
    command.args(["soak", "--supervised", "--seed", &options.seed.to_string(), limit, &number.to_string()]);
    if let Choice::Fixed(mechanism) = options.mechanism {
        command.args(["--mechanism", &mechanism.to_string()]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(SoakError::Process)
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
    if let Choice::Fixed(mechanism) = options.mechanism {
        soak = soak.under(mechanism);
    }
    let is_done = |totals: &Totals| match options.limit() {
        Limit::Rounds(wanted) => totals.rounds >= wanted,
        Limit::Executions(wanted) => totals.executions >= wanted,
        Limit::Transitions(wanted) => totals.transitions >= wanted,
        Limit::Seconds(wanted) => began.elapsed().as_secs() >= wanted,
    };
    let (mut failure, mut told) = (None, Ok(()));
    while failure.is_none() && told.is_ok() && !is_done(soak.totals()) {
        let seed = options.seed.wrapping_add(soak.totals().rounds);
        let begins = |mechanism, &Totals { rounds, executions, transitions, .. }: &Totals| {
            let result = tell(&Told::Begins { seed, mechanism, rounds, executions, transitions });
            told = std::mem::replace(&mut told, Ok(())).and(result);
        };
        let differs = soak.round(seed, begins).err();
        failure = differs.map(|differs| Failure {
            seed,
            mechanism: differs.settings.mechanism,
            text: differs.to_string(),
            module: osr_ir::text::print(&differs.module),
        });
    }
    told?;
    tell(&Told::Ended { totals: Box::new(soak.totals().clone()), failure })
}

/// The bundled programs with the arguments for a short call.
fn subjects() -> Result<Vec<Subject>, Error> {
    let subject = |recorded: suite::Recorded| {
        let program = recorded.load()?;
        let (name, function) = entry::find(&program, Some(&recorded.invoke))?;
        let texts: Vec<String> = recorded.small.iter().map(i64::to_string).collect();
        let values: Vec<Value> = read_arguments(name, program.module.signature_of(function), &texts)?;
        let arguments = values.iter().flat_map(|value| value.to_words()).collect();
        let calls = vec![Call { name: name.to_owned(), function, arguments }];
        Ok(Subject { name: recorded.name, module: program.module, calls })
    };
    suite::all().into_iter().map(subject).collect()
}

/// Progress on standard error, if that is a terminal.
fn progress(options: &SoakOptions) -> ProgressBar {
    let (length, unit) = match options.limit() {
        Limit::Rounds(rounds) => (rounds, "rounds"),
        Limit::Executions(executions) => (executions, "executions"),
        Limit::Transitions(transitions) => (transitions, "transitions"),
        Limit::Seconds(seconds) => (seconds, "s"),
    };
    let bar = if options.quiet { ProgressBar::hidden() } else { ProgressBar::new(length) };
    let template = format!("{{bar:30}} {{pos}}/{{len}} {unit}: {{msg}}");
    let style = ProgressStyle::with_template(&template).expect("the template is well formed");
    bar.set_style(style);
    bar
}
