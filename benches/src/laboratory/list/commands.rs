//! Experiments that are commands of their own: what each measures, and which question of whom it answers.

use serde::Serialize;

/// A command that measures.
#[derive(Debug, Serialize)]
pub(super) struct Command {
    /// Its name.
    pub(super) name: &'static str,
    /// What it measures.
    pub(super) measures: &'static str,
    /// The question that it answers.
    pub(super) question: &'static str,
    /// Who asks it.
    pub(super) source: &'static str,
}

/// All of them.
pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "steady",
        measures: "programs in every tier, with one setting or another, and in other engines, in the steady state",
        question: "How fast is the code that all else is measured on?",
        source: "Barrett et al., \"Virtual Machine Warmup Blows Hot and Cold\", OOPSLA 2017; Kalibera and Jones, ISMM 2013",
    },
    Command {
        name: "readiness",
        measures: "what optimized code pays for being ready to be replaced, component by component",
        question: "What does each of binding, stack check, poll and state recording cost while nothing happens?",
        source: "D'Elia and Demetrescu, CGO 2016, Q1: -2.3 to 4.3 % for points that do not fire",
    },
    Command {
        name: "transitions",
        measures: "a hijack and a landing of one frame, by depth, live values and destination",
        question: "What does it take to replace a frame, once it is to be replaced?",
        source: "llvm-dev, March 2015, \"replacing function bodies\"; no published figure",
    },
    Command {
        name: "recording",
        measures: "code, frame maps and compile time with each state recording, by function",
        question: "How much of a program's state survives optimization, and what must be kept for it?",
        source: "D'Elia and Demetrescu, \"On-Stack Replacement, Distilled\", PLDI 2018",
    },
    Command {
        name: "guards",
        measures: "leaving optimized code at guards, by how failures are answered; guards that hold",
        question: "What does a failing speculation cost, and is it better dispatched than remade?",
        source: "Flückiger et al., \"Deoptless\", PLDI 2022",
    },
    Command {
        name: "compilation",
        measures: "what each compiler takes for a program, by phase, and the bytes that it makes",
        question: "What does new code cost before it executes?",
        source: "Titzer, \"Whose Baseline Compiler Is It Anyway?\", CGO 2024",
    },
    Command {
        name: "regret",
        measures: "tiering policies against the best fixed choice of tiers, from start to exit; other engines",
        question: "What is lost by deciding as one goes?",
        source: "Karlin et al., Algorithmica 1994, on renting and buying; Arnold et al., OOPSLA 2000 (Jikes RVM)",
    },
    Command {
        name: "loop-curve",
        measures: "one call with one hot loop: when it runs in optimized code, and what was lost until then",
        question: "How soon does on-stack replacement help a call that does not return?",
        source: "no published figure",
    },
];

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::COMMANDS;

    #[test]
    fn each_is_a_command() {
        let cli = crate::cli::Cli::command();
        for command in COMMANDS {
            assert!(cli.find_subcommand(command.name).is_some(), "{}", command.name);
        }
    }
}
