//! What host functions did, written down, so that it can be done again without them.
//!
//! A host function computes results, writes memory, and lets it grow. It can do no more to a guest, other than by
//! calling it back, which only functions of `env` and emscripten's do that need no host, and are not recorded.

mod changes;
pub(crate) mod file;
mod recorder;
mod replayer;

use osr_engine::HostError;
use osr_ir::{ExportItem, FunctionIndex, ImportName, Module};
use osr_wasi::Exit;
use serde::{Deserialize, Serialize};

pub(crate) use recorder::Recorder;
pub(crate) use replayer::Replayer;

use super::{emscripten, env, imported};

/// The calls of host functions in one run, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Record {
    /// The functions.
    functions: Vec<Imported>,
    calls: Vec<Call>,
}

/// A host function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Imported {
    module: String,
    name: String,
}

/// One call of a host function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    /// The position of the function in the list of functions.
    function: usize,
    arguments: Vec<u64>,
    outcome: Outcome,
    /// Pages by which memory grew.
    #[serde(default, skip_serializing_if = "is_zero")]
    grown: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    writes: Vec<Write>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// With these results.
    Returned(Vec<u64>),
    /// The program exits.
    Exited(i32),
    /// The guest traps, for this reason.
    Failed(String),
}

/// Bytes that were changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Write {
    address: u64,
    #[serde(with = "file::hexadecimal")]
    bytes: Vec<u8>,
}

impl Outcome {
    fn of(done: &Result<(), HostError>, results: &[u64]) -> Outcome {
        match done {
            Ok(()) => Outcome::Returned(results.to_vec()),
            Err(HostError::Embedder(error)) => match error.downcast_ref::<Exit>() {
                Some(exit) => Outcome::Exited(exit.code),
                None => Outcome::Failed(error.to_string()),
            },
            Err(other) => Outcome::Failed(other.to_string()),
        }
    }

    /// Ends a call so.
    fn repeat(&self, results: &mut [u64]) -> Result<(), HostError> {
        match self {
            Outcome::Returned(words) => {
                results.copy_from_slice(words);
                Ok(())
            }
            Outcome::Exited(code) => Err(HostError::embedder(Exit { code: *code })),
            Outcome::Failed(reason) => Err(HostError::Failed(reason.clone())),
        }
    }
}

/// The functions that `module` imports and that are recorded: all but those that are always there.
fn recorded(module: &Module) -> impl Iterator<Item = (&ImportName, FunctionIndex)> {
    let mut always = env::imports(true);
    emscripten::provide(module, &mut always);
    imported::distinct(module).filter_map(move |(name, item)| {
        let ExportItem::Function(function) = item else { return None };
        let known = always.host_function(name);
        let is_there = known.is_some_and(|host| host.signature.has_types_of(module.signature_of(function)));
        (!is_there).then_some((name, function))
    })
}
