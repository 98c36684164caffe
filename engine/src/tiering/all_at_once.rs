//! All functions at once: compiled when the instance is made, placed, and linked to one another.
//!
//! For [direct calls](osr_compiler::CallBinding::Direct), whose targets must be in memory before any of them is
//! entered; and for experiments that choose where code is placed, so that a lucky place is not taken for
//! fast code.

use std::sync::Arc;

use osr_compiler::{CompileError, EntryPoint, VersionKey};
use osr_ir::FunctionIndex;

use super::compile::compile_body;
use super::speculation::known;
use crate::code::CodeVersion;
use crate::code::memory::GRANULE;
use crate::instance::Instance;
use crate::settings::CompiledTier;
use crate::settings::stress::mix;

/// Between functions are at most that many granules.
const MOST_FILLER: u64 = 64;

/// Code may begin at multiples of this many bytes: its constants need as much.
const ALIGNMENT: usize = 16;

/// Compiles every defined function of `instance` to optimized code entered by calls, in an order and at
/// places that `seed` decides, and binds their direct calls. Nothing enters them yet.
pub(crate) fn compile(
    instance: &Instance,
    seed: Option<u64>,
) -> Result<Vec<Arc<CodeVersion>>, (FunctionIndex, CompileError)> {
    let registry = instance.registry();
    let module = instance.module();
    let mut order: Vec<FunctionIndex> =
        module.function_indices().filter(|&function| module.function(function).is_defined()).collect();
    let mut random = seed.map(Random);
    if let Some(random) = &mut random {
        (1..order.len()).rev().for_each(|last| order.swap(last, random.below(last as u64 + 1) as usize));
    }
    let mut versions = Vec::new();
    for function in order {
        let key = VersionKey { function, tier: CompiledTier::Optimized, entry: EntryPoint::Function };
        let failed = |error| (function, error);
        let mut body = compile_body(instance, key).map_err(failed)?;
        let padding = random.as_mut().map_or(Ok(0), |random| {
            registry.fill(random.below(MOST_FILLER) as usize * GRANULE)?;
            Ok(random.below((GRANULE / ALIGNMENT) as u64) as usize * ALIGNMENT)
        });
        let padding = padding.map_err(failed)?;
        let guards = known(instance, std::mem::take(&mut body.guards));
        versions.push(registry.install(key, body, guards, padding).map_err(failed)?);
    }
    let mut starts = vec![0; module.functions.len()];
    versions.iter().for_each(|version| starts[version.function.index()] = version.start);
    versions.iter().for_each(|version| registry.bind(version, |callee| starts[callee.index()]));
    Ok(versions)
}

/// A sequence of pseudo-random numbers.
struct Random(u64);

impl Random {
    /// A number below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = mix(self.0);
        self.0 % limit
    }
}
