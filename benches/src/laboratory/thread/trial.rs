//! A trial: one experiment with one mechanism, in a process of its own, so that one that crashes or hangs takes nothing
//! else along.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use osr_engine::Mechanism;
use serde::{Deserialize, Serialize};

use super::guest::STACK_BYTES;
use super::sizes::Sizes;
use super::{EXPERIMENTS, Experiment};
use crate::error::Error;
use crate::guest::session::on_thread;
use crate::laboratory::results::Finding;
use crate::output;

/// What a process is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Trial {
    /// The name of the experiment.
    pub(crate) experiment: String,
    /// The mechanism.
    pub(crate) mechanism: Mechanism,
    /// How much.
    pub(crate) sizes: Sizes,
    /// Of everything random.
    pub(crate) seed: u64,
}

/// Makes `trial` in a process of its own. What goes wrong is a finding: that nothing was found, and why.
pub(crate) fn make(trial: &Trial, patience: Duration) -> Vec<Finding> {
    if let Err(refusal) = trial.mechanism.check() {
        return vec![Finding::nothing(format!("refused: {refusal}"))];
    }
    ask(trial, patience).unwrap_or_else(|why| vec![Finding::nothing(why)])
}

fn ask(trial: &Trial, patience: Duration) -> Result<Vec<Finding>, String> {
    let binary = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(binary);
    command.arg("trial").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().map_err(|error| error.to_string())?;
    let text = serde_json::to_string(trial).expect("our data has string keys");
    // A process that is gone is told of below.
    let _ = process.stdin.take().expect("piped").write_all(text.as_bytes());
    let (said, complaints) = (process.stdout.take().expect("piped"), process.stderr.take().expect("piped"));
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut text, mut complaint) = (String::new(), String::new());
        let mut complaints = complaints;
        let reader = std::thread::spawn(move || {
            let _ = complaints.read_to_string(&mut complaint);
            complaint
        });
        let mut said = said;
        let _ = said.read_to_string(&mut text);
        let _ = sender.send((text, reader.join().unwrap_or_default()));
    });
    let (text, complaint) = match receiver.recv_timeout(patience) {
        Ok(said) => said,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            let _ = process.kill();
            let _ = process.wait();
            return Err(format!("not within {} s", patience.as_secs()));
        }
    };
    let status = process.wait().map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!("{status}: {}", complaint.lines().next().unwrap_or("it says nothing").trim()));
    }
    let answer: Result<Vec<Finding>, String> =
        serde_json::from_str(&text).map_err(|error| format!("it answers nonsense: {error}"))?;
    answer
}

/// Reads a trial from standard input, makes it, and writes what it found to standard output.
pub(crate) fn work() -> Result<(), Error> {
    let refused = |message: String| Error::Worker { program: "?".to_owned(), message };
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| refused(error.to_string()))?;
    let trial: Trial =
        serde_json::from_str(&text).map_err(|error| refused(format!("that is no trial: {error}")))?;
    let experiment = EXPERIMENTS.iter().find(|experiment| experiment.name == trial.experiment);
    let &Experiment { run, .. } =
        experiment.ok_or_else(|| refused("there is no such experiment".to_owned()))?;
    let found = on_thread(STACK_BYTES, || run(&trial))?;
    output::to_stdout(&serde_json::to_string(&found).expect("our data has string keys"))
}
