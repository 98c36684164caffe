//! Perf maps: names of code by address, in a text file that profilers look for.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use osr_engine::{Event, Observation, Observer};

use crate::name::{name_of, name_of_link};

/// Writes `/tmp/perf-PID.map`, a line for each version that is installed, and for each exit that is linked, as Linux perf, samply and bcc read it
/// (`tools/perf/Documentation/jit-interface.txt` of Linux). The format has no ends: where code is released and its memory
/// used again, a profiler cannot tell which version a sample was of. [`JitDump`](crate::JitDump) says when each came.
#[derive(Debug)]
pub struct PerfMap {
    file: File,
}

impl PerfMap {
    /// Creates the file of this process, empty. It stays when this is dropped: profilers read it afterwards.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn create() -> io::Result<PerfMap> {
        Ok(PerfMap { file: File::create(PerfMap::path())? })
    }

    /// The file of this process.
    pub fn path() -> PathBuf {
        PathBuf::from(format!("/tmp/perf-{}.map", std::process::id()))
    }
}

impl Observer for PerfMap {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        let instance = at.instance();
        let (start, bytes, name) = match event {
            Event::Compiled { version, .. } => {
                (version.start, version.code_bytes as usize, name_of(instance, version))
            }
            Event::ExitLinked { version, link, .. } => {
                (link.start(), link.code().len(), name_of_link(instance, version))
            }
            _ => return,
        };
        // A whole line at once. A name that is missing is not worth the guest's end.
        let _ = (&self.file).write_all(format!("{start:x} {bytes:x} {name}\n").as_bytes());
    }
}
