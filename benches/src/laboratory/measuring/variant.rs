//! The variants of a program that are measured against one another: engines, or codes of this one.

use osr_engine::{Mechanism, Settings, Tiers};
use serde::{Deserialize, Serialize};

use super::engine::Engine;
use super::job::Job;
use super::ours::{Ours, STACK_BYTES};
use super::runner::Runner;
use crate::guest::load::Program;

/// One of those that are compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Variant {
    /// An engine, or one of our tiers.
    Engine(Engine),
    /// Our optimized code, generated as it says.
    Code(Code),
    /// Our engine, with these settings.
    Settings(Box<Settings>),
}

/// How optimized code is generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Code {
    /// What it has besides the program.
    pub(crate) mechanism: Mechanism,
    /// How often small loops are unrolled.
    pub(crate) unrolling: u8,
}

impl Variant {
    /// Makes `program` ready to be called, as the variant at `position` of `job`.
    pub(super) fn open(
        &self,
        position: usize,
        job: &Job,
        program: &Program,
    ) -> Result<Box<dyn Runner>, String> {
        // A place of its own for each, another in each process.
        let placement = Some(job.seed.wrapping_add(position as u64));
        match *self {
            Variant::Engine(engine) => engine.open(job, program),
            Variant::Code(Code { mechanism, unrolling }) => {
                let settings = Settings { mechanism, unrolling, placement, ..settings(Tiers::Optimized) };
                Ok(Box::new(Ours::open(settings, &job.subject, program)?))
            }
            Variant::Settings(ref settings) => {
                let placement = placement.filter(|_| settings.tiers == Tiers::Optimized);
                let settings = Settings { placement, ..Settings::clone(settings) };
                Ok(Box::new(Ours::open(settings, &job.subject, program)?))
            }
        }
    }
}

/// Settings for measurements.
pub(crate) fn settings(tiers: Tiers) -> Settings {
    Settings { tiers, checked: false, value_stack_bytes: STACK_BYTES, ..Settings::default() }
}
