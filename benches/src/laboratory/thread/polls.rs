//! What the poll of a mechanism adds to the stack check while nobody requests one, over programs and kernels: the table of
//! ["Stop and Go"](crate::laboratory::stop_and_go). Each is measured with loops unrolled, so that several iterations share
//! a poll, and with loops as they are.

use osr_engine::{Mechanism, Poll, Settings};

use super::Trial;
use super::order::orc;
use super::steady::{self, Measured};
use crate::laboratory::results::Finding;

/// The code of every poll that stops loops, with nothing else; and of `orc`'s, which the others are compared with.
pub(super) fn mechanisms() -> Vec<Mechanism> {
    let polls = Poll::ALL.iter().copied().filter(|poll| poll.stops_loops()).chain([orc().poll]);
    polls.map(|poll| Mechanism { poll, ..Mechanism::BARE }).collect()
}

/// Measures the poll of the trial's mechanism. The size of a finding is how often loops are unrolled.
pub(super) fn run(trial: &Trial) -> Result<Vec<Finding>, String> {
    let poll = trial.mechanism.poll;
    if poll == Poll::StackCheck {
        return Ok(vec![Finding::nothing(
            "it does not poll: its stack check is what polls are compared with",
        )]);
    }
    if !poll.stops_loops() {
        return Ok(vec![Finding::nothing("it does not poll")]);
    }
    let pair = [Poll::StackCheck, poll].map(|poll| Mechanism { poll, ..Mechanism::BARE });
    let mut findings = Vec::new();
    for subject in steady::subjects(trial)? {
        for unrolling in [Settings::DEFAULT_UNROLLING, 1] {
            let Measured { ratios, code, steadiness, .. } =
                steady::measure(&subject, trial, pair, unrolling)?;
            let name = subject.name();
            let time = Finding::new(&name, "time", "ratio", ratios);
            let time = Finding { steadiness: Some(steadiness), ..time };
            let code = Finding::new(&name, "code", "ratio", code.into_iter().collect());
            findings.extend([time, code].map(|finding| finding.at(unrolling.into())));
        }
    }
    Ok(findings)
}
