//! What a program is given from outside.
//!
//! ```text
//!   imports of a module ──┬─ memories, tables, tags ──> are its own (adopted.rs)
//!                         ├─ env ─────────────────────> functions of the test programs (env.rs), and what calls a program of
//!                         │                             emscripten's back (emscripten.rs)
//!                         ├─ WASI ────────────────────> osr-wasi (wasi.rs)
//!                         └─ all others ──────────────> by the policy: refused, with a list (missing.rs); stubs, traps
//!                                                       (stub.rs); what they did in a recorded run (record/)
//! ```

pub(crate) mod adopted;
mod emscripten;
pub(crate) mod env;
mod imported;
pub(crate) mod kind;
pub(crate) mod missing;
pub(crate) mod record;
mod stub;
pub(crate) mod wasi;

use std::sync::Arc;

use osr_engine::Imports;

use super::load::Program;
use crate::cli::{HostOptions, ImportPolicy, Variable};
use crate::error::Error;
use record::{Record, Replayer};
use stub::Stubs;
use wasi::Wasi;

/// What a program is given.
#[derive(Debug)]
pub(crate) struct Host {
    /// If the program imports from it.
    wasi: Option<Wasi>,
    stubs: Option<Arc<Stubs>>,
    /// What host functions did in the run that is repeated.
    replayer: Option<Arc<Replayer>>,
}

impl Host {
    /// What `options` give to `program`, whose globals are its own afterwards, if they are given.
    ///
    /// # Errors
    /// If something that it imports is not given: everything of that kind is listed.
    pub(crate) fn of(options: &HostOptions, program: &mut Program) -> Result<Host, Error> {
        let mut globals = options.global.clone();
        let replayer = match &options.imports {
            Some(ImportPolicy::Replay(path)) => {
                let (record, recorded) = record::file::read(path, &program.hash)?;
                let is_given =
                    |global: &Variable| options.global.iter().any(|given| given.name == global.name);
                globals.extend(recorded.into_iter().filter(|global| !is_given(global)));
                Some(Replayer::new(record.into()))
            }
            _ => None,
        };
        let wasi = wasi::is_imported(&program.module).then(|| Wasi::of(options, &program.path));
        if wasi.is_none() && !(options.dir.is_empty() && options.env.is_empty()) {
            return Err(Error::NotWasi { path: program.path.clone() });
        }
        let stubs = match options.imports {
            None | Some(ImportPolicy::Wasi | ImportPolicy::Replay(_)) => None,
            Some(ImportPolicy::Stub) => Some(Arc::new(Stubs::returning_zeros())),
            Some(ImportPolicy::Trap) => Some(Arc::new(Stubs::trapping())),
        };
        let all_globals = stubs.is_some() || replayer.is_some();
        adopted::adopt_globals(&mut program.module, &globals, all_globals)?;
        let host = Host { wasi, stubs, replayer };
        missing::check(program, &host.imports(program, Output::Dropped)?)?;
        Ok(host)
    }

    /// Whether the program imports WASI.
    pub(crate) fn is_wasi(&self) -> bool {
        self.wasi.is_some()
    }

    /// Whether functions that nothing else provides do nothing.
    pub(crate) fn has_stubs(&self) -> bool {
        self.stubs.is_some()
    }

    /// The program's arguments, if it is one of WASI: without its name.
    pub(crate) fn set_arguments(&mut self, arguments: &[String]) {
        if let Some(wasi) = &mut self.wasi {
            wasi.arguments = arguments.to_vec();
        }
    }

    /// Everything that `program` may import. What it prints goes to `output`.
    pub(crate) fn imports(&self, program: &Program, output: Output) -> Result<Imports, Error> {
        let mut imports = env::imports(output == Output::Dropped);
        emscripten::provide(&program.module, &mut imports);
        if let Some(replayer) = &self.replayer {
            replayer.provide(&program.module, &mut imports);
            return Ok(imports);
        }
        if let Some(wasi) = &self.wasi {
            osr_wasi::provide(wasi.context(output)?, &mut imports);
        }
        if let Some(stubs) = &self.stubs {
            stubs.provide(program, &mut imports);
        }
        Ok(imports)
    }

    /// What `program` may import, as it was when `record` was written, and another to ask how that went.
    pub(crate) fn repeat(program: &Program, record: Record) -> (Imports, Arc<Replayer>) {
        let replayer = Replayer::new(Arc::new(record));
        let mut imports = env::imports(true);
        emscripten::provide(&program.module, &mut imports);
        replayer.provide(&program.module, &mut imports);
        (imports, replayer)
    }

    /// Fails if the run was to repeat another one, and its host calls were not that one's.
    pub(crate) fn check_replay(&self) -> Result<(), Error> {
        let divergence = self.replayer.as_ref().and_then(|replayer| replayer.divergence());
        divergence.map_or(Ok(()), |how| Err(Error::HostDiverged(how)))
    }

    /// What is to be said about stubs after a run; nothing if there were none.
    pub(crate) fn report(&self, program: &Program) -> String {
        self.stubs.as_ref().map_or_else(String::new, |stubs| stubs.report(program))
    }
}

/// Where goes what a program prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// To the command's own streams.
    Shown,
    /// Nowhere.
    Dropped,
}
