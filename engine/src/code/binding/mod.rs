//! Call binding: what the compiled calls of an instance lead to, and what is written when that changes.
//!
//! ```text
//!                     a call of g                          new code for g
//!   cell              call [cell]                          the cell is written
//!   trampoline-cell   call stub; stub: jmp [word]          the word, too
//!   trampoline        call stub; stub: jmp code            the distance of the jump, too
//!   patchpoint        call code                            the distance of every call in memory, too
//!   entry-check       call entry; entry: cmp [flag], 0;    the flags of the old and the new entry, too
//!                                        jne other; code
//!   direct            call code                            there is none
//! ```
//!
//! The call cell says what calls enter under every binding. Through it come the interpreter, the host, other
//! instances, and calls through tables; the rest follows it: [`Registry::rebind`] is told what the cell holds. Where a
//! function has no code, calls of it lead to its [entry stub](super::x86_64::entry_stub), which the cell holds then.
//! Baseline code, and code in memory that is too large for [near calls](osr_compiler::NearAccess), loads the place of the cells
//! from the context.
//!
//! # Writing into code
//!
//! Code is patched while none of its instance executes: by the native thread that executes the instance, when it is
//! in the runtime, which calls no guest code meanwhile. The frames of patched versions are in calls; control returns
//! behind the patched instruction. Handles that copy code on other native threads wait
//! ([`while_in_memory`](super::life::Life::while_in_memory)). What a processor has fetched of the old bytes
//! before is no danger: between the last write and the next guest instruction are hundreds of others and an indirect
//! branch, and stores invalidate what is cached by physical address, in whatever mapping it was written.

mod call_sites;
mod entries;
mod trampolines;

use std::io;
use std::ops::Range;
use std::sync::Arc;

use osr_compiler::{CallBinding, EntryPoint, VersionKey};
use osr_ir::FunctionIndex;
use serde::Serialize;

use super::memory::Memory;
use super::registry::Registry;
use super::version::CodeVersion;
use super::x86_64::jump_stub;
use call_sites::CallSites;
use entries::Entries;
use trampolines::{Kind, Trampolines};

/// What named calls lead to.
#[derive(Debug)]
pub(super) enum Binding {
    /// Nowhere: calls enter what the cell holds, or what they entered first.
    Fixed,
    /// To stubs.
    Trampolines(Trampolines),
    /// To code.
    Patchpoints(CallSites),
    /// To the entries of versions, which check whether calls still enter those.
    Entries(Entries),
}

/// What binding calls takes, in an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BindingStatistics {
    /// Calls in memory that are known, to be patched.
    pub call_sites: u64,
    /// Calls, stubs, and words and flags beside them, that were written so far, to lead elsewhere.
    pub patches: u64,
    /// Bytes of code memory that stubs take.
    pub stub_bytes: u64,
    /// Checked entries that calls lead to, but whose code is gone.
    pub kept_entries: u64,
    /// Bytes of code memory that those take.
    pub kept_entry_bytes: u64,
}

impl Binding {
    /// As `kind` has it, in an instance whose functions have these numbers, each a body of `function_of` it, and calls of
    /// them enter `code`; `None` if there is no room.
    fn new(
        memory: &mut Memory,
        kind: CallBinding,
        numbers: Range<u32>,
        function_of: impl Fn(FunctionIndex) -> FunctionIndex,
        code: impl Fn(FunctionIndex) -> u64,
    ) -> Option<Binding> {
        let functions = numbers.len();
        let trampolines =
            |memory, kind| Trampolines::new(memory, kind, functions, &code).map(Binding::Trampolines);
        match kind {
            CallBinding::Cell | CallBinding::Direct => Some(Binding::Fixed),
            CallBinding::TrampolineCell => trampolines(memory, Kind::Word),
            CallBinding::Trampoline => trampolines(memory, Kind::Near),
            CallBinding::Patchpoint => Some(Binding::Patchpoints(CallSites::default())),
            CallBinding::EntryCheck => {
                let cell = |body| numbers.start + function_of(FunctionIndex::new(body)).as_u32();
                let cells = (0..functions).map(cell).collect();
                Entries::new(memory, numbers, cells, &code).map(Binding::Entries)
            }
        }
    }

    /// What precedes the code of a version, in an allocation whose head can be kept in multiples of `unit`.
    pub(super) fn head(&self, key: VersionKey, unit: usize) -> Vec<u8> {
        match self {
            Binding::Entries(entries) if key.entry == EntryPoint::Function => {
                entries.head(key.function, unit).collect()
            }
            _ => Vec::new(),
        }
    }

    /// `version` is installed.
    pub(super) fn add(&mut self, memory: &Memory, version: &CodeVersion) {
        if let Binding::Entries(entries) = self {
            entries.add(memory, version);
        }
    }

    /// Binds the calls of `callee` in `caller`, when calls of it enter `code`. Returns where they lead.
    fn bind(&mut self, caller: &Arc<CodeVersion>, callee: FunctionIndex, code: u64) -> u64 {
        match self {
            Binding::Fixed => code,
            Binding::Trampolines(trampolines) => trampolines.stub(callee),
            Binding::Patchpoints(sites) => {
                sites.add(caller, callee);
                code
            }
            Binding::Entries(entries) => entries.bind(caller, callee, code),
        }
    }

    /// The calls of `version` are not executed any more, and not written: something else may be there.
    pub(super) fn retire_calls(&mut self, version: &CodeVersion) {
        if let Binding::Patchpoints(sites) = self {
            sites.remove(version);
        }
    }

    /// The calls of `version` are about to go with its code.
    pub(super) fn unbind(&mut self, memory: &mut Memory, version: &CodeVersion) {
        match self {
            Binding::Fixed | Binding::Trampolines(_) => {}
            Binding::Patchpoints(sites) => sites.remove(version),
            Binding::Entries(entries) => entries.unbind(memory, version),
        }
    }

    /// Frees the code of `version`, but for what calls lead to.
    pub(super) fn free(&mut self, memory: &mut Memory, version: &CodeVersion) {
        let kept = match self {
            Binding::Entries(entries) => entries.keep_head(version),
            Binding::Fixed | Binding::Trampolines(_) | Binding::Patchpoints(_) => None,
        };
        match kept {
            Some(bytes) => memory.free_behind(version.allocation, bytes),
            None => memory.free(version.allocation),
        }
    }

    /// From now on calls of `function` enter `code`. Returns how many places were written.
    fn lead(&mut self, memory: &mut Memory, function: FunctionIndex, code: u64) -> u64 {
        match self {
            Binding::Fixed => 0,
            Binding::Trampolines(trampolines) => {
                trampolines.lead(memory, function, code);
                1
            }
            Binding::Patchpoints(sites) => sites.lead(memory, function, code),
            Binding::Entries(entries) => entries.lead(memory, function, code),
        }
    }

    fn statistics(&self) -> BindingStatistics {
        let nothing = BindingStatistics::default();
        match self {
            Binding::Fixed => nothing,
            Binding::Trampolines(trampolines) => {
                BindingStatistics { stub_bytes: trampolines.bytes(), ..nothing }
            }
            Binding::Patchpoints(sites) => BindingStatistics { call_sites: sites.count(), ..nothing },
            Binding::Entries(entries) => {
                let (kept_entries, kept_entry_bytes) = entries.kept();
                let stub_bytes = entries.stub_bytes();
                BindingStatistics { stub_bytes, kept_entries, kept_entry_bytes, ..nothing }
            }
        }
    }
}

impl Registry {
    /// Prepares for calls as `kind` has it, in an instance whose functions have these numbers, each a body of `function_of`
    /// it, and calls of them enter `code`.
    pub(crate) fn prepare_binding(
        &self,
        kind: CallBinding,
        numbers: Range<u32>,
        function_of: impl Fn(FunctionIndex) -> FunctionIndex,
        code: impl Fn(FunctionIndex) -> u64,
    ) -> io::Result<()> {
        let inner = &mut *self.inner();
        let binding = Binding::new(&mut inner.memory, kind, numbers, function_of, code);
        inner.binding = binding.ok_or_else(|| io::Error::other("code memory is too small"))?;
        Ok(())
    }

    /// Binds the calls of `version`, which does not execute yet; calls of a function enter `code`. From now on the
    /// version may be entered.
    pub(crate) fn bind(&self, version: &Arc<CodeVersion>, code: impl Fn(FunctionIndex) -> u64) {
        // What is read is what the next change follows: both hold the lock.
        let inner = &mut *self.inner();
        let prefix = version.offset_in_allocation(&inner.memory);
        for calls in version.direct_calls_by_callee() {
            let callee = calls[0].callee;
            let target = inner.binding.bind(version, callee, code(callee));
            for call in calls {
                let distance = jump_stub::distance(version.start + u64::from(call.offset), target);
                inner.memory.write(version.allocation, prefix + call.offset as usize, &distance);
            }
        }
        inner.memory.seal(version.allocation);
    }

    /// From now on calls of `function` enter `code`, which its cell holds already. To be told on the native thread
    /// that executes the instance.
    pub(crate) fn rebind(&self, function: FunctionIndex, code: u64) {
        let inner = &mut *self.inner();
        inner.patches += inner.binding.lead(&mut inner.memory, function, code);
    }

    /// From now on `body` is one of `function`.
    pub(crate) fn bind_body(&self, body: FunctionIndex, function: FunctionIndex) {
        if let Binding::Entries(entries) = &mut self.inner().binding {
            entries.set_function_of(body, function);
        }
    }

    /// What binding calls takes.
    pub(crate) fn binding_statistics(&self) -> BindingStatistics {
        let inner = self.inner();
        BindingStatistics { patches: inner.patches, ..inner.binding.statistics() }
    }
}
