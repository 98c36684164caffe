//! Engines: the tiers of this one, and the others that they are compared with.

use clap::ValueEnum;
use osr_engine::{Inlining, Settings, Tiers};
use serde::{Deserialize, Serialize};

use super::job::{Job, Subject};
use super::ours::Ours;
use super::runner::Runner;
use super::variant::settings;
use crate::guest::load::Program;

/// An engine, or a tier of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Engine {
    /// This engine's interpreter.
    Interpreter,
    /// This engine's baseline tier.
    Baseline,
    /// This engine's optimized tier.
    Optimized,
    /// This engine's optimized tier, with calls inlined. Measured only if it is named.
    Inlined,
    /// This engine, starting in the interpreter.
    Auto,
    /// Wasmtime: Cranelift, optimizing for speed.
    Wasmtime,
    /// Wasmi, an interpreter.
    Wasmi,
    /// Node.js: V8.
    Node,
}

impl Engine {
    /// This engine's.
    pub(crate) const OURS: [Engine; 4] =
        [Engine::Interpreter, Engine::Baseline, Engine::Optimized, Engine::Auto];

    /// The other engines.
    pub(crate) const PEERS: [Engine; 3] = [Engine::Wasmtime, Engine::Wasmi, Engine::Node];

    /// The name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Engine::Interpreter => "interpreter",
            Engine::Baseline => "baseline",
            Engine::Optimized => "optimized",
            Engine::Inlined => "inlined",
            Engine::Auto => "auto",
            Engine::Wasmtime => "wasmtime",
            Engine::Wasmi => "wasmi",
            Engine::Node => "node",
        }
    }

    /// Whether it is another engine.
    pub(crate) fn is_peer(self) -> bool {
        Engine::PEERS.contains(&self)
    }

    /// Whether it is there: peers if they were built in, node if it is installed, too.
    pub(crate) fn is_available(self) -> bool {
        match self {
            Engine::Node => node_is_installed(),
            peer if peer.is_peer() => cfg!(feature = "peers"),
            _ => true,
        }
    }

    /// How to build the binary so that it has the peers.
    pub(crate) const BUILD_WITH_PEERS: &str =
        "build with peers: cargo build --release -p osr-bench --features peers";

    /// What to do where it is not available.
    pub(crate) fn how_to_get(self) -> &'static str {
        match self {
            Engine::Node if cfg!(feature = "peers") => "install node, or leave it out of --engines",
            _ => Engine::BUILD_WITH_PEERS,
        }
    }

    /// Makes `program` ready to be called. The error says why that is impossible.
    pub(crate) fn open(self, job: &Job, program: &Program) -> Result<Box<dyn Runner>, String> {
        let tiers = match self {
            Engine::Interpreter => Tiers::Interpreter,
            Engine::Baseline => Tiers::Baseline,
            Engine::Optimized | Engine::Inlined => Tiers::Optimized,
            Engine::Auto => Tiers::Auto,
            Engine::Wasmtime | Engine::Wasmi | Engine::Node => return self.open_peer(&job.subject, program),
        };
        // A lucky place must not pass for fast code.
        let placement = (tiers == Tiers::Optimized).then_some(job.seed);
        let inlining = (self == Engine::Inlined).then(Inlining::default);
        let settings = Settings { placement, inlining, ..settings(tiers) };
        Ok(Box::new(Ours::open(settings, &job.subject, program)?))
    }

    #[cfg(feature = "peers")]
    fn open_peer(self, subject: &Subject, program: &Program) -> Result<Box<dyn Runner>, String> {
        if program.module.functions.iter().any(|function| !function.is_defined()) {
            return Err("it imports functions, which peers are not given".to_owned());
        }
        if subject.rewind {
            return Err("peers are not rewound between calls".to_owned());
        }
        let call = super::runner::Call::of(subject, program)?;
        let bytes = subject.origin.bytes()?.ok_or("it is not WebAssembly")?;
        Ok(match self {
            Engine::Wasmtime => Box::new(super::wasmtime::Wasmtime::open(&bytes, &call)?),
            Engine::Wasmi => Box::new(super::wasmi::Wasmi::open(&bytes, &call)?),
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
