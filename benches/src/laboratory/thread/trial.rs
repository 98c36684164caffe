//! A trial: one experiment with one mechanism, in a process of its own, so that one that crashes or hangs takes nothing
//! else along.

use std::io::Read;
use std::process::{Command, Output};
use std::time::Duration;

use osr_engine::Mechanism;
use serde::{Deserialize, Serialize};

use super::guest::STACK_BYTES;
use super::sizes::Sizes;
use super::{EXPERIMENTS, Experiment};
use crate::error::Error;
use crate::guest::session::on_thread;
use crate::laboratory::child::{self, Ended};
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

/// Makes `trial` in a process of its own. What goes wrong is a finding: that nothing was found, and why. `None` if an interrupt
/// ended it.
pub(crate) fn make(trial: &Trial, patience: Duration) -> Option<Vec<Finding>> {
    if let Err(refusal) = trial.mechanism.check() {
        return Some(vec![Finding::nothing(format!("refused: {refusal}"))]);
    }
    ask(trial, patience).unwrap_or_else(|why| Some(vec![Finding::failed(why)]))
}

fn ask(trial: &Trial, patience: Duration) -> Result<Option<Vec<Finding>>, String> {
    let binary = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(binary);
    command.arg("trial");
    let text = serde_json::to_string(trial).expect("our data has string keys");
    let Output { status, stdout, stderr } =
        match child::run(command, text.as_bytes(), Some(patience)).map_err(|error| error.to_string())? {
            Ended::Itself(output) => output,
            Ended::Interrupted => return Ok(None),
            Ended::TooLate => return Err(format!("not within {} s", patience.as_secs())),
        };
    if !status.success() {
        let complaint = String::from_utf8_lossy(&stderr);
        return Err(format!(
            "{status}: {}",
            complaint.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it says nothing")
        ));
    }
    let answer: Result<Vec<Finding>, String> =
        serde_json::from_slice(&stdout).map_err(|error| format!("it answers nonsense: {error}"))?;
    answer.map(Some)
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
