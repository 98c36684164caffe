//! Statistics of a run, as JSON. A file is replaced as a whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use osr_engine::{CodeStatistics, Transitions, Trap};
use osr_ir::Type;
use serde::Serialize;

use crate::error::Error;
use crate::number::show_all;
use crate::output;
use crate::session::Outcome;

/// What is written.
#[derive(Debug, Serialize)]
pub(crate) struct Stats {
    /// As they are printed: text, since JSON numbers lose 64-bit integers and have no infinities.
    results: Vec<String>,
    /// Only if the program trapped.
    #[serde(skip_serializing_if = "Option::is_none")]
    trap: Option<TrapStats>,
    wall_ns: u64,
    /// 16 hexadecimal digits; null without a memory.
    memory_hash: Option<String>,
    transitions: Transitions,
    code: CodeStatistics,
    stack: StackStats,
}

#[derive(Debug, Serialize)]
struct TrapStats {
    kind: &'static str,
    function: String,
    point: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

#[derive(Debug, Serialize)]
struct StackStats {
    /// The sum of the two others, whose peaks need not be at the same time.
    peak_bytes: u64,
    native_peak_bytes: u64,
    value_peak_bytes: u64,
}

impl Stats {
    /// The statistics of `outcome`, whose results have the types `types`.
    pub(crate) fn of(outcome: &Outcome, types: &[Type]) -> Stats {
        let (native, value) = (outcome.native_stack_bytes, outcome.value_stack_bytes);
        Stats {
            results: outcome.result.as_ref().map(|words| show_all(types, words)).unwrap_or_default(),
            trap: outcome.result.as_ref().err().map(TrapStats::of),
            wall_ns: outcome.wall.as_nanos() as u64,
            memory_hash: outcome.memory_hash.map(|hash| format!("{hash:016x}")),
            transitions: outcome.transitions,
            code: outcome.code,
            stack: StackStats {
                peak_bytes: native + value,
                native_peak_bytes: native,
                value_peak_bytes: value,
            },
        }
    }
}

impl TrapStats {
    fn of(trap: &Trap) -> TrapStats {
        TrapStats {
            kind: trap.kind.name(),
            function: trap.function_name.clone(),
            point: trap.point.to_string(),
            message: trap.message.clone(),
        }
    }
}

/// Where statistics go.
#[derive(Debug)]
pub(crate) enum Destination {
    /// Standard error.
    Stderr,
    /// A file.
    File(NewFile),
}

impl Destination {
    /// The destination that `path` names. Files are opened now: a run should not be in vain.
    pub(crate) fn open(path: &Path) -> Result<Destination, Error> {
        if path == Path::new("-") {
            return Ok(Destination::Stderr);
        }
        let file =
            NewFile::create(path).map_err(|source| Error::WriteStats { path: path.to_owned(), source })?;
        Ok(Destination::File(file))
    }

    /// Writes `stats`.
    pub(crate) fn write(self, stats: &Stats) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(stats).expect("our data has string keys") + "\n";
        match self {
            Destination::Stderr => {
                output::to_stderr(format_args!("{text}"));
                Ok(())
            }
            Destination::File(file) => {
                let path = file.path.clone();
                file.replace(text.as_bytes()).map_err(|source| Error::WriteStats { path, source })
            }
        }
    }
}

/// A file that takes another's place when it is complete, and vanishes otherwise.
#[derive(Debug)]
pub(crate) struct NewFile {
    path: PathBuf,
    temporary: Option<PathBuf>,
    file: File,
}

impl NewFile {
    fn create(path: &Path) -> io::Result<NewFile> {
        // Through symbolic links: what they lead to is replaced, not they.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let special = fs::metadata(&path).is_ok_and(|there| !there.is_file());
        if special {
            // A directory fails here; a device or a pipe cannot be replaced, and is written to.
            let file = File::options().write(true).open(&path)?;
            return Ok(NewFile { path, temporary: None, file });
        }
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        let file = File::create(&temporary)?;
        Ok(NewFile { path, temporary: Some(temporary), file })
    }

    fn replace(mut self, contents: &[u8]) -> io::Result<()> {
        self.file.write_all(contents)?;
        let Some(temporary) = &self.temporary else { return Ok(()) };
        self.file.sync_all()?;
        fs::rename(temporary, &self.path)?;
        self.temporary = None;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            let _ = fs::remove_file(temporary);
        }
    }
}
