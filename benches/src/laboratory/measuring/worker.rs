//! A worker: one process that measures all variants of one program, and writes what it found.

use std::io::Read;
use std::time::{Duration, Instant};

use super::job::{Job, Measured, Reply};
use super::ours::STACK_BYTES;
use super::runner::{Call, Runner, Sample};
use super::variant::Variant;
use crate::error::Error;
use crate::guest::load::Program;
use crate::guest::session::on_thread;
use crate::number::show_all;
use crate::output;

/// Rounds that are made however long they take.
const LEAST_ROUNDS: usize = 3;

/// Calls that find out how many calls make a sample.
const PROBES: u32 = 3;

/// A sample makes at most that many calls.
const MOST_CALLS: f64 = 1e6;

/// Reads a job from standard input, does it, and writes the reply to standard output.
pub(crate) fn work() -> Result<(), Error> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|source| Error::Worker {
        program: "?".to_owned(),
        message: format!("it cannot read its job: {source}"),
    })?;
    let job: Job = serde_json::from_str(&text).map_err(|error| Error::Worker {
        program: "?".to_owned(),
        message: format!("that is no job: {error}"),
    })?;
    let program = job.subject.load()?;
    let reply = on_thread(STACK_BYTES, || reply(&job, &program))?;
    output::to_stdout(&serde_json::to_string(&reply?).expect("our data has string keys"))
}

fn reply(job: &Job, program: &Program) -> Result<Reply, Error> {
    let call = Call::located(&job.subject, program)?;
    let series = |(position, variant): (usize, &Variant)| {
        Series::new(variant.open(position, job, program), job, &call)
    };
    let mut series: Vec<Series<'_>> = job.variants.iter().enumerate().map(series).collect();
    let mut random = fastrand::Rng::with_seed(job.seed);
    let mut order: Vec<usize> = (0..series.len()).collect();
    let begin = Instant::now();
    let budget = Duration::from_nanos(job.budget_ns);
    for round in 0..job.rounds {
        if round >= LEAST_ROUNDS && begin.elapsed() > budget {
            break;
        }
        random.shuffle(&mut order);
        order.iter().for_each(|&position| series[position].sample());
    }
    Ok(Reply { measured: series.into_iter().map(Series::measured).collect() })
}

/// One variant, being measured.
struct Series<'j> {
    /// Until something goes wrong.
    state: Result<Box<dyn Runner>, Measured>,
    job: &'j Job,
    call: &'j Call,
    /// Calls by sample.
    calls: u32,
    times: Vec<f64>,
}

impl<'j> Series<'j> {
    fn new(opened: Result<Box<dyn Runner>, String>, job: &'j Job, call: &'j Call) -> Series<'j> {
        let state = opened.map_err(Measured::Failed);
        let mut series = Series { state, job, call, calls: 1, times: Vec::new() };
        series.calls = series.calibrate();
        series
    }

    /// How many calls make a sample.
    fn calibrate(&mut self) -> u32 {
        let wanted = self.job.sample_ns as f64;
        let mut least = f64::INFINITY;
        for _ in 0..PROBES {
            let Some(nanoseconds) = self.checked_sample() else { return 1 };
            least = least.min(nanoseconds);
            if least > wanted {
                break;
            }
        }
        (wanted / least).ceil().clamp(1.0, MOST_CALLS) as u32
    }

    fn sample(&mut self) {
        if let Some(nanoseconds) = self.checked_sample() {
            self.times.push(nanoseconds);
        }
    }

    /// The time of one call, if all goes well.
    fn checked_sample(&mut self) -> Option<f64> {
        let runner = self.state.as_mut().ok()?;
        match runner.sample(self.calls, self.job.clock) {
            Ok(Sample { nanoseconds, words }) => {
                let found = show_all(&self.call.signature.results, &words).join(" ");
                if found == self.job.subject.expected {
                    return Some(nanoseconds as f64 / f64::from(self.calls));
                }
                let expected = &self.job.subject.expected;
                self.state = Err(Measured::Differs(format!("it gives {found}, not {expected}")));
            }
            Err(message) => self.state = Err(Measured::Failed(message)),
        }
        None
    }

    fn measured(self) -> Measured {
        match self.state {
            Ok(runner) => Measured::Times { nanoseconds: self.times, code_bytes: runner.code_bytes() },
            Err(failed) => failed,
        }
    }
}
