//! Tells debuggers of versions as they come and go, and of frames that are hijacked.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use osr_engine::{CodeVersion, Event, ExitLink, Instance, Observation, Observer, VersionId};
use osr_ir::{Locator, Point};

use crate::debug_sections::debug_sections;
use crate::image::image;
use crate::jit_interface::Registered;
use crate::lines::{LineRow, lines_of};
use crate::name::{name_of, name_of_link};
use crate::origins;
use crate::unwind_rows::UnwindRows;

/// Describes each version to GDB and LLDB, from its installation to its release, by [GDB's JIT interface]: they show
/// names of guest functions in backtraces (`fib[optimized,link]` at an exit that is linked), and find the way through their frames. The system's unwinder finds it, too: a
/// backtrace of Rust's has their frames, if not their names, and ends where the program began. Code of an instance that is
/// gone is described until this is dropped.
///
/// A *hijacked* frame is shown, too, by the name of the version that it is of, and also if the code of that is gone:
///
/// ```text
///   #4  osr_stubs::x86_64::landing::landing ()         where the frame below will land
///   #5  fib[optimized,hijacked] () at fib.c:9          the line, if the module knows lines
/// ```
///
/// Its PC is not in the code, whose memory may be used for other code already: it is an address that no memory has, at which
/// the version is described a second time. Where slots lead to landing tables (`bookkeeping` other than `ledger`) their code is
/// there, and so a hijacked frame is shown as any other.
///
/// [GDB's JIT interface]: https://sourceware.org/gdb/current/onlinedocs/gdb.html/JIT-Interface.html
#[derive(Debug)]
pub struct Gdb {
    state: Mutex<State>,
    locator: Locator,
}

/// An instance, by its address, and a version.
type Key = (usize, VersionId);

#[derive(Debug)]
struct State {
    code: HashMap<Key, Described>,
    /// Exits that are linked, with the versions between which they are.
    links: Vec<(Key, Key, Described)>,
    /// Versions with hijacked frames.
    hijacked: HashMap<Key, Hijacked>,
    /// By hijacked slot, the version of the frame behind it.
    slots: HashMap<u64, Key>,
    /// Where the next version with hijacked frames is described.
    next_address: u64,
}

/// A version with hijacked frames.
#[derive(Debug)]
struct Hijacked {
    /// Where it is described as such.
    start: u64,
    /// How many frames.
    frames: usize,
    _described: Described,
}

/// Addresses that no memory has: they are not canonical.
const NOWHERE: u64 = 1 << 60;

impl Default for Gdb {
    fn default() -> Gdb {
        Gdb::new()
    }
}

impl Gdb {
    /// One that has told of nothing yet.
    pub fn new() -> Gdb {
        let (code, hijacked, slots) = (HashMap::new(), HashMap::new(), HashMap::new());
        let state = State { code, links: Vec::new(), hijacked, slots, next_address: NOWHERE };
        Gdb { state: Mutex::new(state), locator: Locator::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Gdb {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        let instance = at.instance();
        match *event {
            Event::Compiled { version, .. } => {
                let (name, lines) = (name_of(instance, version), lines_of(instance, version, &self.locator));
                let described = describe(instance, version, version.start, &name, &lines);
                self.state().code.insert(key(instance, version), described);
            }
            Event::ExitLinked { version, to, link, .. } => {
                let described = describe_link(instance, version, link);
                self.state().links.push((key(instance, version), key(instance, to), described));
            }
            Event::Retired { version, .. } => {
                let retired = key(instance, version);
                self.state().links.retain(|(from, to, _)| *from != retired && *to != retired);
            }
            Event::Released { version, .. } => drop(self.state().code.remove(&key(instance, version))),
            Event::Hijacked { version, point, slot, .. } => {
                self.state().hijacked(instance, version, point, slot, &self.locator);
            }
            Event::Landed { slot, .. } | Event::Dropped { slot, .. } | Event::Restored { slot, .. } => {
                self.state().gone(slot);
            }
            _ => {}
        }
    }
}

impl State {
    fn hijacked(
        &mut self,
        instance: &Instance,
        version: &CodeVersion,
        point: Point,
        slot: u64,
        locator: &Locator,
    ) {
        let Some(site) = version.frame_maps.sites().find(|site| site.point == point) else { return };
        if version.described_bytes() > version.code_bytes {
            // Its slot leads to a landing table, which is described with the code.
            return;
        }
        // Not every frame that is jumped over is told of: its slot may be another's by now.
        self.gone(slot);
        self.slots.insert(slot, key(instance, version));
        let next_address = &mut self.next_address;
        let hijacked = self.hijacked.entry(key(instance, version)).or_insert_with(|| {
            let start = *next_address;
            *next_address += u64::from(version.code_bytes).next_multiple_of(16);
            let name = name_of(instance, version).replace(']', ",hijacked]");
            let lines = lines_of(instance, version, locator);
            Hijacked { start, frames: 0, _described: describe(instance, version, start, &name, &lines) }
        });
        hijacked.frames += 1;
        origins::insert(slot, hijacked.start + u64::from(site.return_offset));
    }

    /// The slot is hijacked no more, if it was: frames land that have left their code by themselves, too.
    fn gone(&mut self, slot: u64) {
        let Some(version) = self.slots.remove(&slot) else { return };
        origins::remove(slot);
        let hijacked = self.hijacked.get_mut(&version).expect("a slot of it was hijacked");
        hijacked.frames -= 1;
        if hijacked.frames == 0 {
            self.hijacked.remove(&version);
        }
    }
}

/// What is known of code, to debuggers and to the system's unwinder.
#[derive(Debug)]
struct Described {
    _image: Registered,
    _rows: Option<UnwindRows>,
}

/// Describes the code of `version` as if it were at `start`.
fn describe(
    instance: &Instance,
    version: &CodeVersion,
    start: u64,
    name: &str,
    lines: &[LineRow],
) -> Described {
    let code = start..start + u64::from(version.described_bytes());
    described(name, code, lines, instance.unwind_section(version, start).ok())
}

/// Describes the code of an exit of `version` that is linked.
fn describe_link(instance: &Instance, version: &CodeVersion, link: &ExitLink) -> Described {
    let code = link.start()..link.start() + link.code().len() as u64;
    let rows = instance.unwind_section_of_link(link).ok();
    described(&name_of_link(instance, version), code, &[], rows)
}

/// Describes `code`. Without rows nobody can pass its frames; a debugger has the name all the same.
fn described(name: &str, code: Range<u64>, lines: &[LineRow], rows: Option<Vec<u8>>) -> Described {
    let mut sections = debug_sections(name, &code, lines);
    sections.extend(rows.iter().map(|rows| (".eh_frame", rows.clone())));
    let image = image(name, code, &sections);
    Described { _image: Registered::new(image), _rows: rows.map(UnwindRows::new) }
}

fn key(instance: &Instance, version: &CodeVersion) -> Key {
    (std::ptr::from_ref(instance) as usize, version.id)
}
