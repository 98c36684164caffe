//! Requests of polls that code does not look for: they change the code, or the page that it loads from.
//!
//! ```text
//!                   idle                             requested
//!   patched-nop     jumps over all comparisons       the comparisons, in all versions or in those that are chosen
//!   guard-page      loads, the page is readable      loads that fault, each of which continues at its poll
//! ```
//!
//! All of it happens on the native thread that executes the instance, while that is in the runtime: no instruction of the
//! code is under way, and return PCs lead behind calls only. What is compared is the stack limit, which says the same: a
//! comparison that is there without need costs time, no more.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use osr_compiler::Poll;

use super::Registry;
use crate::code::life::VersionState;
use crate::code::memory::{Memory, PAGE};
use crate::code::version::CodeVersion;
use crate::code::x86_64::entry_stub;
use crate::memory::process::Process;

/// How the polls of loops are requested in an instance's code.
#[derive(Debug)]
pub(super) struct PollsInCode {
    patches: bool,
    /// The page that guards.
    page: Option<u64>,
    requested: AtomicBool,
    /// Of all versions that there are, so that there is nothing to do when it is asked for again.
    requested_of_all: AtomicBool,
    process: Process,
}

impl PollsInCode {
    /// As `poll` has it, for code in `memory`, which is empty: the page that guards is its first, near all code.
    pub(super) fn new(poll: Poll, memory: &mut Memory) -> io::Result<PollsInCode> {
        let mut page = None;
        if poll == Poll::GuardPage {
            let allocation = memory.allocate(&[entry_stub::TRAP_INSTRUCTION; PAGE]);
            let allocation = allocation.ok_or_else(|| io::Error::other("code memory is too small"))?;
            memory.seal(allocation);
            page = Some(memory.range().start + allocation.offset as u64);
        }
        let patches = matches!(poll, Poll::PatchedNop | Poll::PatchedNopActive);
        let (requested, requested_of_all) = (AtomicBool::new(false), AtomicBool::new(false));
        let polls = PollsInCode { patches, page, requested, requested_of_all, process: Process::current() };
        polls.protect(libc::PROT_READ);
        Ok(polls)
    }

    /// Where the page that guards is, from `address`.
    pub(super) fn distance(&self, address: u64) -> Option<i64> {
        self.page.map(|page| page.wrapping_sub(address) as i64)
    }

    /// Whether a version that is installed compares.
    pub(super) fn compares(&self) -> bool {
        self.patches && self.requested.load(Ordering::Relaxed)
    }

    fn guards(&self, address: u64) -> bool {
        self.page.is_some_and(|page| address.wrapping_sub(page) < PAGE as u64)
    }

    /// Changes how the page that guards can be accessed, if there is one.
    fn protect(&self, protection: i32) {
        let Some(page) = self.page else { return };
        // SAFETY: a whole page of code memory, which is mapped in this process as long as the registry lives, and in
        // which there is no code.
        let status = unsafe { libc::mprotect(page as *mut libc::c_void, PAGE, protection) };
        assert_eq!(status, 0, "mprotect of the page that guards: {}", io::Error::last_os_error());
    }
}

impl Registry {
    /// Whether it takes more than a word of the context to request polls.
    pub(crate) fn has_polls_in_code(&self) -> bool {
        self.polls.patches || self.polls.page.is_some()
    }

    /// Stops the loops of all versions at their next poll, also of those that are installed from now on. To be asked as
    /// [`Self::request_polls`].
    pub(crate) fn request_all_polls(&self) {
        if !self.polls.requested_of_all.load(Ordering::Relaxed) {
            self.request_polls(|_| true);
            self.polls.requested_of_all.store(true, Ordering::Relaxed);
        }
    }

    /// Stops the loops of versions that are `chosen` at their next poll; versions that are installed from now on
    /// are, too. To be asked on the native thread that executes the instance, outside of its code.
    pub(crate) fn request_polls(&self, chosen: impl Fn(&CodeVersion) -> bool) {
        if !self.polls.process.is_current() {
            return;
        }
        if !self.polls.requested.swap(true, Ordering::Relaxed) {
            self.polls.protect(libc::PROT_NONE);
        }
        if self.polls.patches {
            self.patch_polls_of(chosen, true);
        }
    }

    /// Loops run on. To be asked as [`Self::request_polls`].
    pub(crate) fn withdraw_polls(&self) {
        if !self.polls.process.is_current() || !self.polls.requested.swap(false, Ordering::Relaxed) {
            return;
        }
        self.polls.requested_of_all.store(false, Ordering::Relaxed);
        self.polls.protect(libc::PROT_READ);
        if self.polls.patches {
            self.patch_polls_of(|_| true, false);
        }
    }

    /// Has the loops of versions that are `chosen` compare, or not.
    fn patch_polls_of(&self, chosen: impl Fn(&CodeVersion) -> bool, compare: bool) {
        let versions = self.live();
        let chosen = versions.iter().filter(|version| chosen(version));
        chosen.for_each(|version| self.patch_polls(version, compare));
        self.inner().memory.synchronize();
    }

    /// Has the loops of `version` compare, or not.
    fn patch_polls(&self, version: &CodeVersion, compare: bool) {
        if self.writes_points() && version.state() != VersionState::Current {
            // Nothing of it executes, and a jump may be where the poll was.
            return;
        }
        let Some(polls) = version.polls.as_ref().filter(|polls| polls.set_compare(compare)) else { return };
        let start = (version.start - self.base) as usize - version.allocation.offset;
        let patches = polls.bytes(compare).map(|(offset, bytes)| (start + offset as usize, bytes));
        let mut inner = self.inner();
        let patch = || inner.memory.patch(version.allocation, patches);
        version.life.while_in_memory(patch).expect("versions are released by this native thread");
    }

    /// The poll that the code at `pc` is to continue at, if it is a load of a poll that has faulted at `address`.
    pub(crate) fn poll_of_fault(&self, pc: u64, address: u64) -> Option<u64> {
        if !self.polls.guards(address) {
            return None;
        }
        let version = self.find(pc)?;
        let cold = version.polls.as_ref()?.cold(version.offset(pc))?;
        Some(version.start + u64::from(cold))
    }
}
