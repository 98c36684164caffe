//! Whole modules, function by function: what a function is translated, analyzed and compiled for is still in the caches.
//!
//! On one thread, and with a thread for each processor, which take one function after the other: that is how V8 compiles
//! where it is not lazy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use osr_engine::{CodeVersion, CompiledTier, EntryPoint, Instance, Settings};
use osr_ir::{FunctionIndex, wasm};
use serde::Serialize;

use super::phases::process_time;
use crate::error::Error;
use crate::guest::compiled::{defined_functions, instantiate};
use crate::laboratory::measuring::Origin;

/// What it takes to get from bytes to baseline code, in nanoseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Whole {
    /// Processor time, compiled on one thread.
    pub(super) processor: u64,
    /// From begin to end, compiled on all processors.
    pub(super) elapsed: u64,
}

impl Whole {
    /// That of the module of `origin`, whose binary form is `bytes`.
    pub(super) fn of(origin: &Origin, bytes: &[u8]) -> Result<Whole, Error> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let (processor, _) = compile(origin, bytes, 1)?;
        let (_, elapsed) = compile(origin, bytes, processors)?;
        Ok(Whole { processor, elapsed })
    }

    /// Of each the shorter time.
    pub(super) fn least(self, other: Whole) -> Whole {
        Whole { processor: self.processor.min(other.processor), elapsed: self.elapsed.min(other.elapsed) }
    }
}

/// Imports the module, and compiles it on so many threads. Returns processor time and time, without that of linking in
/// between.
fn compile(origin: &Origin, bytes: &[u8], threads: usize) -> Result<(u64, u64), Error> {
    let import = Stretch::begin();
    std::hint::black_box(wasm::import(bytes).is_ok());
    let import = import.end();
    let program = origin.load()?;
    let functions: Vec<FunctionIndex> = defined_functions(&program.module).collect();
    let instance = instantiate(&program, Settings::default())?;
    let compile = Stretch::begin();
    let versions = compile_all(&instance, &functions, threads);
    let compile = compile.end();
    drop(versions);
    Ok((import.0 + compile.0, import.1 + compile.1))
}

fn compile_all(instance: &Instance, functions: &[FunctionIndex], threads: usize) -> Vec<Arc<CodeVersion>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut versions = Vec::new();
        while let Some(&function) = functions.get(next.fetch_add(1, Ordering::Relaxed)) {
            // What is refused takes time as well.
            versions.extend(instance.compile(function, CompiledTier::Baseline, EntryPoint::Function));
        }
        versions
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut versions = work();
        for other in others {
            versions.append(&mut other.join().expect("compiling does not panic"));
        }
        versions
    })
}

/// Processor time and time, in nanoseconds, from a begin to an end.
struct Stretch(u64, Instant);

impl Stretch {
    fn begin() -> Stretch {
        Stretch(process_time().as_nanos() as u64, Instant::now())
    }

    fn end(self) -> (u64, u64) {
        (process_time().as_nanos() as u64 - self.0, self.1.elapsed().as_nanos() as u64)
    }
}
