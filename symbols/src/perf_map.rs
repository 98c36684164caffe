//! Perf maps: names of code by address, in a text file that profilers look for.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use osr_engine::{Event, Observation, Observer};

use crate::name::name_of;

/// Writes `/tmp/perf-PID.map`, a line for each version that is installed, as Linux perf, samply and bcc read it
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
        if let Event::Compiled { version, .. } = event {
            let name = name_of(at.instance(), version);
            let line = format!("{:x} {:x} {name}\n", version.start, version.code_bytes);
            // A whole line at once. A name that is missing is not worth the guest's end.
            let _ = (&self.file).write_all(line.as_bytes());
        }
    }
}
