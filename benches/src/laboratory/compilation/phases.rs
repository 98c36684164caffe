//! From bytes to baseline code, phase by phase: each for all functions, before the next one begins.
//!
//! ```text
//!   bytes ──validate──> ──read──> Module ──translate──> bodies ──analyze──> points, liveness ──compile──> code ──install──>
//!         └────────── import ──────────┘
//! ```

use std::time::Duration;

use osr_engine::{CompiledTier, EntryPoint, Settings};
use osr_ir::wasm;
use serde::Serialize;

use crate::error::Error;
use crate::guest::compiled::{defined_functions, instantiate};
use crate::guest::load::Program;

/// Processor time of the whole process, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Phases {
    /// Validation, on several threads, and everything but the bodies.
    import: u64,
    /// Bodies become instructions of the IR.
    translate: u64,
    /// Points and liveness.
    analyze: u64,
    /// Machine code, frame maps.
    compile: u64,
    /// Code memory, registration.
    install: u64,
}

impl Phases {
    pub(super) const NAMES: [&'static str; 6] =
        ["import", "translate", "analyze", "compile", "install", "all"];

    /// Those of `program`, whose binary form is `bytes`, with default settings.
    pub(super) fn of(program: &Program, bytes: &[u8]) -> Result<Phases, Error> {
        let (imported, import) = timed(|| wasm::import(bytes));
        let module = imported.map_err(|source| Error::Wasm { path: program.path.clone(), source })?;
        let functions: Vec<_> = defined_functions(&module).collect();
        let bodies = || functions.iter().filter_map(|&function| module.function(function).body());
        let ((), translate) = timed(|| bodies().for_each(|body| _ = std::hint::black_box(body.blocks.len())));
        let instance = instantiate(program, Settings::default())?;
        let ((), analyze) = timed(|| functions.iter().for_each(|&function| _ = instance.points(function)));
        let ((), both) = timed(|| {
            for &function in &functions {
                // What is refused takes time as well.
                let _ = instance.compile(function, CompiledTier::Baseline, EntryPoint::Function);
            }
        });
        let install = instance.code_times().install_ns;
        Ok(Phases { import, translate, analyze, compile: both.saturating_sub(install), install })
    }

    /// All, in order, and their sum.
    pub(super) fn all(self) -> [u64; 6] {
        let Phases { import, translate, analyze, compile, install } = self;
        [import, translate, analyze, compile, install, import + translate + analyze + compile + install]
    }

    /// Of each phase the shorter time.
    pub(super) fn least(self, other: Phases) -> Phases {
        Phases {
            import: self.import.min(other.import),
            translate: self.translate.min(other.translate),
            analyze: self.analyze.min(other.analyze),
            compile: self.compile.min(other.compile),
            install: self.install.min(other.install),
        }
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let begin = process_time();
    let done = work();
    (done, (process_time() - begin).as_nanos() as u64)
}

/// The time that threads of this process have executed.
pub(super) fn process_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is ours to be filled.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(status, 0, "every Linux has this clock");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
