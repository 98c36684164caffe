//! Jitdump: code and names, with times, in a file that `perf inject --jit` merges into a profile.
//!
//! ```text
//!   header  "JiTD" | version | header bytes | machine | 0 | process | time | flags
//!   lines   2 | bytes | time | address | rows | (address | line | column | file 0)*           of the code that is next
//!   code    0 | bytes | time | process | thread | address | address | code bytes | number | name 0 | code
//! ```

use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::time::{ClockId, clock_gettime};
use osr_engine::{CodeVersion, Event, Instance, Observation, Observer};
use osr_ir::Locator;

use crate::lines::{LineRow, lines_of};
use crate::name::{name_of, name_of_link};

/// "JiTD", so that readers know the byte order.
const MAGIC: u32 = 0x4a69_5444;
const FORMAT: u32 = 1;
const HEADER_BYTES: u32 = 40;
const CODE_LOAD: u32 = 0;
const DEBUG_INFO: u32 = 2;
const PAGE: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// Writes `jit-PID.dump`, a record for each version that is installed, and for each exit that is linked, in the jitdump format of Linux perf
/// (`tools/perf/Documentation/jitdump-specification.txt`). Unlike a [perf map](crate::PerfMap) it holds the code, which can be
/// annotated after the process has ended, lines of it, and times, by which versions are told apart that were at the same
/// address.
#[derive(Debug)]
pub struct JitDump {
    records: Mutex<Records>,
    locator: Locator,
    /// A page of the file, executable: that is how perf notices it.
    marker: NonNull<c_void>,
}

#[derive(Debug)]
struct Records {
    file: File,
    number: u64,
}

// SAFETY: the marker is mapped and unmapped, and not accessed.
unsafe impl Send for JitDump {}
// SAFETY: as above.
unsafe impl Sync for JitDump {}

impl JitDump {
    /// Creates `jit-PID.dump` in `directory`. It stays when this is dropped.
    ///
    /// # Errors
    /// If it cannot be created, written, or mapped as code.
    pub fn create(directory: &Path) -> io::Result<JitDump> {
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(true).open(JitDump::path(directory))?;
        let mut header = Vec::new();
        for word in [MAGIC, FORMAT, HEADER_BYTES, u32::from(object::elf::EM_X86_64), 0, std::process::id()] {
            header.extend(word.to_le_bytes());
        }
        header.extend(now().to_le_bytes());
        header.extend(0u64.to_le_bytes());
        file.write_all(&header)?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_EXEC;
        // SAFETY: a new mapping at an address of the system's choice.
        let marker = unsafe { mmap(None, PAGE, protection, MapFlags::MAP_PRIVATE, &file, 0) }?;
        let records = Mutex::new(Records { file, number: 0 });
        Ok(JitDump { records, locator: Locator::default(), marker })
    }

    /// The file of this process in `directory`.
    pub fn path(directory: &Path) -> PathBuf {
        directory.join(format!("jit-{}.dump", std::process::id()))
    }
}

impl Drop for JitDump {
    fn drop(&mut self) {
        // SAFETY: mapped by `create`, and nobody has a reference into it.
        let _ = unsafe { munmap(self.marker, PAGE.get()) };
    }
}

impl Records {
    fn add(&mut self, instance: &Instance, version: &CodeVersion, locator: &Locator) -> io::Result<()> {
        let lines = lines_of(instance, version, locator);
        if !lines.is_empty() {
            self.record(DEBUG_INFO, &debug_info(version.start, &lines))?;
        }
        self.load(&name_of(instance, version), version.start, &version.code().unwrap_or_default())
    }

    fn load(&mut self, name: &str, start: u64, code: &[u8]) -> io::Result<()> {
        let mut load = Vec::new();
        load.extend(std::process::id().to_le_bytes());
        load.extend((nix::unistd::gettid().as_raw() as u32).to_le_bytes());
        for word in [start, start, code.len() as u64, self.number] {
            load.extend(word.to_le_bytes());
        }
        load.extend(name.as_bytes());
        load.push(0);
        load.extend(code);
        self.number += 1;
        self.record(CODE_LOAD, &load)
    }

    fn record(&mut self, kind: u32, contents: &[u8]) -> io::Result<()> {
        let mut record = Vec::new();
        record.extend(kind.to_le_bytes());
        record.extend((16 + contents.len() as u32).to_le_bytes());
        record.extend(now().to_le_bytes());
        record.extend(contents);
        self.file.write_all(&record)
    }
}

/// Rows of code at `start`.
fn debug_info(start: u64, lines: &[LineRow]) -> Vec<u8> {
    let mut contents = Vec::new();
    contents.extend(start.to_le_bytes());
    contents.extend((lines.len() as u64).to_le_bytes());
    for LineRow { offset, line } in lines {
        contents.extend((start + u64::from(*offset)).to_le_bytes());
        contents.extend(line.line.to_le_bytes());
        contents.extend(line.column.to_le_bytes());
        contents.extend(line.file.bytes().filter(|&byte| byte != 0));
        contents.push(0);
    }
    contents
}

impl Observer for JitDump {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        // A name that is missing is not worth the guest's end.
        let _ = match event {
            Event::Compiled { version, .. } => records.add(at.instance(), version, &self.locator),
            Event::ExitLinked { version, link, .. } => {
                records.load(&name_of_link(at.instance(), version), link.start(), link.code())
            }
            _ => Ok(()),
        };
    }
}

/// The time as `perf record -k mono` has it, in nanoseconds.
fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("the system has the clock");
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}
