//! The text of a case with the expectations that hold.

use osr_ir::word_layout::word_types;
use osr_ir::{ExportItem, Module};

use super::parse::{Call, EXPECTED, Verb};
use super::value::print_word;
use super::{Case, events, maps};
use crate::configuration::Configuration;
use crate::reproduction::Run;

impl Case {
    /// The text that the case would have if all its expectations held: calls return what they do in the
    /// interpreter, frame maps and events are what they are found to be. The case holds if this is its text.
    pub fn blessed(&self) -> String {
        let run = Run::of(&self.module, &self.calls(), &Configuration::interpreter().settings);
        let mut outcomes = run.outcomes.iter();
        let lines: Vec<&str> = self.text.lines().collect();
        let mut blessed: Vec<String> = Vec::new();
        let mut end = 0;
        for command in &self.commands {
            blessed.extend(lines[end..command.lines.start].iter().map(|&line| line.to_owned()));
            let line = lines[command.lines.start];
            match &command.verb {
                Verb::Call(call) => {
                    let outcome = outcomes.next().expect("every call has an outcome");
                    let call_alone = line.split("=>").next().unwrap_or(line).trim_end();
                    let outcome = spell(&self.module, call, outcome);
                    blessed.push(format!("{call_alone} => {outcome}").trim_end().to_owned());
                }
                Verb::Maps(maps) => push_with_lines(&mut blessed, line, &maps::maps(&self.module, maps)),
                Verb::Events(events) => {
                    push_with_lines(&mut blessed, line, &events::events(&self.module, events))
                }
            }
            end = command.lines.end;
        }
        blessed.extend(lines[end..].iter().map(|&line| line.to_owned()));
        blessed.join("\n") + "\n"
    }
}

/// Appends `command`, and the text that it expects below it.
fn push_with_lines(blessed: &mut Vec<String>, command: &str, expected: &str) {
    let indentation = &command[..command.len() - command.trim_start().len()];
    blessed.push(command.to_owned());
    blessed.extend(expected.lines().map(|line| format!("{indentation}{EXPECTED} {line}")));
}

/// What a call returned, or how it trapped, as text.
pub(super) fn spell(module: &Module, call: &Call, outcome: &Result<Vec<u64>, String>) -> String {
    let Some(ExportItem::Function(function)) = module.export(&call.function) else {
        unreachable!("calls are of exported functions")
    };
    let types = &module.signature_of(function).results;
    match outcome {
        Ok(words) => {
            let results = word_types(types).zip(words).map(|(ty, &word)| print_word(ty, word));
            results.collect::<Vec<_>>().join(" ")
        }
        Err(error) => {
            // What follows is who called what trapped.
            let trap = error.lines().next().unwrap_or_default();
            format!("trap {}", trap.trim_start_matches("trap: "))
        }
    }
}
