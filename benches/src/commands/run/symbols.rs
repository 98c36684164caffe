//! Tools that are told of compiled code.

use std::path::Path;
use std::sync::Arc;

use clap::ValueEnum;
use osr_engine::Observer;
use osr_symbols::{Gdb, JitDump, PerfMap};

use crate::error::Error;

/// Who is told of compiled code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Symbols {
    /// Debuggers, by GDB's JIT interface.
    Gdb,
    /// Profilers that read perf maps.
    PerfMap,
    /// Linux perf, with the code.
    JitDump,
}

/// What tells them.
pub(super) fn observers(told: &[Symbols]) -> Result<Vec<Arc<dyn Observer>>, Error> {
    told.iter().map(|tool| tool.observer()).collect()
}

impl Symbols {
    fn observer(self) -> Result<Arc<dyn Observer>, Error> {
        Ok(match self {
            Symbols::Gdb => Arc::new(Gdb::new()),
            Symbols::PerfMap => {
                let path = PerfMap::path();
                Arc::new(PerfMap::create().map_err(|source| Error::Write { path, source })?)
            }
            Symbols::JitDump => {
                let path = JitDump::path(Path::new(""));
                Arc::new(JitDump::create(Path::new("")).map_err(|source| Error::Write { path, source })?)
            }
        })
    }
}
