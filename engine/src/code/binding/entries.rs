//! Checked entries: a version that is entered by calls begins with one, and calls of its function that are bound while
//! it is current lead there for good.
//!
//! ```text
//!   v:   | entry | code            |      calls enter v
//!        | entry | code            |      calls enter other code: the flag in the entry is set
//!        | entry |                        v is released, but calls in versions in memory lead to its entry
//!                                         the last of those is released
//! ```
//!
//! A call of a function that has no code when it is bound leads to a stub, which jumps to what the call cell holds.

use std::collections::HashMap;
use std::ops::Range;

use osr_compiler::EntryPoint;
use osr_ir::FunctionIndex;

use crate::code::memory::{Allocation, GRANULE, Memory};
use crate::code::version::{CodeVersion, VersionId};
use crate::code::x86_64::checked_entry::{self, REDIRECT_BYTES};
use crate::code::x86_64::entry_stub::TRAP_INSTRUCTION;

/// See the module.
#[derive(Debug)]
pub(crate) struct Entries {
    /// By body, the number in the store of the function that it is a body of, whose call cell says what calls enter.
    cells: Box<[u32]>,
    redirects: Allocation,
    redirects_start: u64,
    /// By function, what calls enter.
    entered: Vec<u64>,
    /// By the start of the code behind them.
    entries: HashMap<u64, Entry>,
    /// By version, the starts of the code behind the entries that its calls lead to.
    bound: HashMap<VersionId, Vec<u64>>,
    /// How many entries there are without code behind them, and bytes of code memory that they take.
    kept: (u64, u64),
}

#[derive(Debug)]
struct Entry {
    /// Versions in memory whose calls lead to it.
    callers: u64,
    /// The part of the allocation that is kept for it, and where in that the entry's granule begins.
    head: Allocation,
    granule: usize,
    /// The code behind it is gone.
    is_alone: bool,
}

impl Entries {
    /// None yet, of a module whose functions have these numbers, and whose bodies those `cells`; calls enter `code`. `None` if
    /// there is no room.
    pub(super) fn new(
        memory: &mut Memory,
        numbers: Range<u32>,
        cells: Box<[u32]>,
        code: impl Fn(FunctionIndex) -> u64,
    ) -> Option<Entries> {
        let functions = numbers.len();
        let redirects = memory.allocate(&numbers.flat_map(checked_entry::redirect).collect::<Vec<u8>>())?;
        memory.seal(redirects);
        Some(Entries {
            cells,
            redirects,
            redirects_start: memory.range().start + redirects.offset as u64,
            entered: (0..functions).map(FunctionIndex::new).map(code).collect(),
            entries: HashMap::new(),
            bound: HashMap::new(),
            kept: (0, 0),
        })
    }

    /// From now on `body` is one of `function`.
    pub(super) fn set_function_of(&mut self, body: FunctionIndex, function: FunctionIndex) {
        self.cells[body.index()] = self.cells[function.index()];
    }

    /// What precedes code of `body` in an allocation whose head can be kept in multiples of `unit`.
    pub(super) fn head(&self, body: FunctionIndex, unit: usize) -> impl Iterator<Item = u8> {
        let number = self.cells[body.index()];
        let before = std::iter::repeat_n(TRAP_INSTRUCTION, unit - GRANULE);
        before.chain(checked_entry::granule(number))
    }

    /// `version` is installed. Calls do not enter it yet.
    pub(super) fn add(&mut self, memory: &Memory, version: &CodeVersion) {
        if version.entry == EntryPoint::Function {
            let offset = version.offset_in_allocation(memory);
            let bytes = offset.next_multiple_of(memory.unit());
            let head = Allocation { bytes, ..version.allocation };
            let entry = Entry { callers: 0, head, granule: offset - GRANULE, is_alone: false };
            // Calls may lead to the entry of another version, in whose place this one is.
            self.entries.entry(version.start).or_insert(entry);
        }
    }

    /// Where calls of `callee` in `caller` lead for good, when calls of it enter `code`. Those of itself lead to itself.
    pub(super) fn bind(&mut self, caller: &CodeVersion, callee: FunctionIndex, code: u64) -> u64 {
        let is_recursive = callee == caller.function && caller.entry == EntryPoint::Function;
        let code = if is_recursive { caller.start } else { code };
        let Some(entry) = self.entries.get_mut(&code) else {
            return self.redirects_start + (callee.index() * REDIRECT_BYTES) as u64;
        };
        entry.callers += 1;
        self.bound.entry(caller.id).or_default().push(code);
        code - checked_entry::BYTES as u64
    }

    /// The calls of `version` are about to go.
    pub(super) fn unbind(&mut self, memory: &mut Memory, version: &CodeVersion) {
        for code in self.bound.remove(&version.id).unwrap_or_default() {
            let entry = self.entries.get_mut(&code).expect("an entry stays while calls lead to it");
            entry.callers -= 1;
            if entry.callers == 0 && entry.is_alone {
                let head = entry.head;
                self.entries.remove(&code);
                self.kept = (self.kept.0 - 1, self.kept.1 - head.bytes as u64);
                memory.free(head);
            }
        }
    }

    /// The code of `version` goes. Its entry stays if calls lead to it: bytes of the allocation that stay with it.
    pub(super) fn keep_head(&mut self, version: &CodeVersion) -> Option<usize> {
        let entry = self.entries.get_mut(&version.start)?;
        if entry.callers == 0 {
            self.entries.remove(&version.start);
            return None;
        }
        entry.is_alone = true;
        self.kept = (self.kept.0 + 1, self.kept.1 + entry.head.bytes as u64);
        Some(entry.head.bytes)
    }

    /// From now on calls of `function` enter `code`. Nothing executes meanwhile. Returns how many flags were written.
    pub(super) fn lead(&mut self, memory: &mut Memory, function: FunctionIndex, code: u64) -> u64 {
        let before = std::mem::replace(&mut self.entered[function.index()], code);
        let changed = if before == code { [None, None] } else { [Some((before, 1)), Some((code, 0))] };
        let mut written = 0;
        for (start, flag) in changed.into_iter().flatten() {
            if let Some(entry) = self.entries.get(&start) {
                memory.patch(entry.head, [(entry.granule, [flag])]);
                written += 1;
            }
        }
        written
    }

    /// How many entries there are without code behind them, and bytes of code memory that they take.
    pub(super) fn kept(&self) -> (u64, u64) {
        self.kept
    }

    /// Bytes of code memory that the stubs take.
    pub(super) fn stub_bytes(&self) -> u64 {
        self.redirects.bytes as u64
    }
}
