//! Ways to execute a program: our tiers, and the engines they are compared with.

use clap::ValueEnum;
use osr_engine::{Settings, Tiers};
use serde::{Deserialize, Serialize};

use super::contestant::settings;
use super::job::{Job, Subject};
use super::ours::Ours;
use super::runner::Runner;
use crate::load::Program;

/// A way to execute a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    /// This engine's interpreter.
    Interpreter,
    /// This engine's baseline tier.
    Baseline,
    /// This engine's optimized tier.
    Optimized,
    /// This engine, starting in the interpreter.
    Auto,
    /// Wasmtime: Cranelift, optimizing for speed.
    Wasmtime,
    /// Wasmi, an interpreter.
    Wasmi,
    /// Node.js: V8.
    Node,
}

impl Way {
    /// This engine's.
    pub(crate) const OURS: [Way; 4] = [Way::Interpreter, Way::Baseline, Way::Optimized, Way::Auto];

    /// The other engines.
    pub(crate) const PEERS: [Way; 3] = [Way::Wasmtime, Way::Wasmi, Way::Node];

    /// The name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Way::Interpreter => "interpreter",
            Way::Baseline => "baseline",
            Way::Optimized => "optimized",
            Way::Auto => "auto",
            Way::Wasmtime => "wasmtime",
            Way::Wasmi => "wasmi",
            Way::Node => "node",
        }
    }

    /// Whether it is another engine.
    pub(crate) fn is_peer(self) -> bool {
        Way::PEERS.contains(&self)
    }

    /// Whether it can be had: peers if they were built in, node if it is installed, too.
    pub(crate) fn is_available(self) -> bool {
        match self {
            Way::Node => node_is_installed(),
            peer if peer.is_peer() => cfg!(feature = "peers"),
            _ => true,
        }
    }

    /// Makes `program` ready to be called this way. The error says why that cannot be.
    pub(crate) fn open(self, job: &Job, program: &Program) -> Result<Box<dyn Runner>, String> {
        let tiers = match self {
            Way::Interpreter => Tiers::Interpreter,
            Way::Baseline => Tiers::Baseline,
            Way::Optimized => Tiers::Optimized,
            Way::Auto => Tiers::Auto,
            Way::Wasmtime | Way::Wasmi | Way::Node => return self.open_peer(&job.subject, program),
        };
        // A lucky place must not pass for fast code.
        let placement = (tiers == Tiers::Optimized).then_some(job.seed);
        let settings = Settings { placement, ..settings(tiers) };
        Ok(Box::new(Ours::open(settings, &job.subject, program)?))
    }

    #[cfg(feature = "peers")]
    fn open_peer(self, subject: &Subject, program: &Program) -> Result<Box<dyn Runner>, String> {
        if program.module.functions.iter().any(|function| !function.is_defined()) {
            return Err("it imports functions, which peers are not given".to_owned());
        }
        let call = super::runner::Call::of(subject, program)?;
        let bytes = subject.bytes()?.ok_or("it is not WebAssembly")?;
        Ok(match self {
            Way::Wasmtime => Box::new(super::wasmtime::Wasmtime::open(&bytes, &call)?),
            Way::Wasmi => Box::new(super::wasmi::Wasmi::open(&bytes, &call)?),
            _ => Box::new(super::node::Node::open(&bytes, &call)?),
        })
    }

    #[cfg(not(feature = "peers"))]
    fn open_peer(self, _: &Subject, _: &Program) -> Result<Box<dyn Runner>, String> {
        Err(format!("osr-bench was built without {}", self.name()))
    }
}

#[cfg(feature = "peers")]
fn node_is_installed() -> bool {
    super::node::is_installed()
}

#[cfg(not(feature = "peers"))]
fn node_is_installed() -> bool {
    false
}
