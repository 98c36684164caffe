//! Raw samples: a line of comma-separated values for each, for other statistics than ours.

use std::fmt::Write;

use crate::laboratory::measuring::{Measured, Replies, Subject};
use crate::laboratory::results::quoted;

/// A header, and a line for each sample of each of `subjects`, whose processes have sent `replies`, measured in the variants of
/// these `names`.
pub(super) fn csv(subjects: &[Subject], replies: &[Replies], names: &[String]) -> String {
    let mut text = "program,arguments,variant,process,round,nanoseconds\n".to_owned();
    for (subject, replies) in subjects.iter().zip(replies) {
        let start = [subject.name(), subject.arguments.join(" ")].map(|field| quoted(&field)).join(",");
        for (process, reply) in replies.iter().enumerate() {
            for (name, measured) in names.iter().zip(&reply.measured) {
                let Measured::Times { nanoseconds, .. } = measured else { continue };
                let start = format!("{start},{},{}", quoted(name), process + 1);
                for (round, time) in nanoseconds.iter().enumerate() {
                    writeln!(text, "{start},{},{time}", round + 1).expect("a string grows");
                }
            }
        }
    }
    text
}
