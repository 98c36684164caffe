//! Exits of guards that are linked: code that jumps, where a guard fails, to a continuation.
//!
//! ```text
//!   version:        ..  call [context + stub]       before
//!                   ..  jmp link                    after
//!   link:           the frame state is moved, the frame popped, jmp continuation
//! ```
//!
//! A link is between two versions that are current. When either is retired it is cut: the exit calls the stub again. All of
//! it happens on the native thread that executes the instance, while that is in the runtime. The jump takes the place of
//! the call and of what stands behind it: nothing returns there, since the stub replaces its return PC before all else.

use gimli::write::FrameDescriptionEntry;
use osr_stackwalk::{Error, UnwindSection};

use crate::code::guards::VersionGuard;
use crate::code::life::VersionState;
use crate::code::memory::Allocation;
use crate::code::registry::Registry;
use crate::code::version::{CodeVersion, VersionId};
use crate::code::x86_64::linked_exit::{
    COUNT_BYTES, JUMP_BYTES, LinkCode, LinkRows, LinkedExit, WindowFields, exit, jump,
};

/// The exits that are linked.
#[derive(Debug, Default)]
pub(super) struct Links(Vec<Link>);

/// An exit that is linked.
#[derive(Debug)]
struct Link {
    from: VersionId,
    to: VersionId,
    /// The code of the version.
    version: Allocation,
    /// Where the exit is in it, and what was there.
    offset: usize,
    original: [u8; JUMP_BYTES],
    /// The code between the two, where that begins, and how it is unwound.
    code: Allocation,
    start: u64,
    rows: LinkRows,
}

/// The code of an exit that is linked: what frames execute that leave there.
#[derive(Clone, Debug)]
pub struct ExitLink {
    start: u64,
    code: LinkCode,
}

impl ExitLink {
    /// Where it begins.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Its bytes.
    pub fn code(&self) -> &[u8] {
        &self.code.bytes
    }

    /// Where a frame begins that was counted otherwise.
    pub(crate) fn behind_count(&self) -> u64 {
        self.start + COUNT_BYTES as u64
    }
}

impl Links {
    /// The unwind rows of all links.
    pub(super) fn unwind_rows(&self) -> impl Iterator<Item = FrameDescriptionEntry> {
        self.0.iter().map(|link| link.rows.description(link.start))
    }
}

impl Registry {
    /// Links the exit of guard `number` of `from` to `to`, a continuation there, where the frame state has so many
    /// `words`. Returns the code that frames execute there from now on; none if the exit cannot be
    /// linked: a version is retired, a value is where it cannot be read, or there is no code memory.
    pub(crate) fn link_exit(
        &self,
        (from, number): (&CodeVersion, usize),
        to: &CodeVersion,
        words: usize,
        fields: WindowFields,
    ) -> Option<ExitLink> {
        let is_current = |version: &CodeVersion| version.state() == VersionState::Current;
        let guard: &VersionGuard = &from.guards[number];
        let site = guard.guard.site?;
        if !is_current(from) || !is_current(to) {
            return None;
        }
        let site = from.frame_maps.site(site);
        let bytes = from.code()?;
        let exit = exit(&bytes, site.return_offset as usize)?;
        let original = bytes[exit..][..JUMP_BYTES].try_into().expect("so many fit");
        let (maps, unwind) = (&from.frame_maps, from.unwind);
        let (count, continuation) = (guard.linked_count(), to.start);
        let return_pc = from.start + u64::from(site.return_offset);
        let link = LinkedExit { maps, site, words, unwind, return_pc, count, continuation };
        let inner = &mut *self.inner();
        // It is as long wherever it is.
        let provisional = link.code(fields, continuation)?;
        let allocation = inner.memory.allocate(&provisional.bytes)?;
        let address = self.base + allocation.offset as u64;
        let placed = link.code(fields, address).zip(jump(from.start + exit as u64, address));
        let Some((code, jump)) = placed else {
            inner.memory.free(allocation);
            return None;
        };
        inner.memory.write(allocation, 0, &code.bytes);
        inner.memory.seal(allocation);
        let offset = from.offset_in_allocation(&inner.memory) + exit;
        inner.memory.patch(from.allocation, [(offset, jump)]);
        inner.memory.synchronize();
        inner.links.0.push(Link {
            from: from.id,
            to: to.id,
            version: from.allocation,
            offset,
            original,
            code: allocation,
            start: address,
            rows: code.rows,
        });
        self.count_change();
        Some(ExitLink { start: address, code })
    }

    /// Cuts the links from and to `version`, which is retired.
    pub(crate) fn cut_links(&self, version: &CodeVersion) {
        let inner = &mut *self.inner();
        let of = |link: &mut Link| link.from == version.id || link.to == version.id;
        let cut: Vec<Link> = inner.links.0.extract_if(.., of).collect();
        for Link { version, offset, original, code, .. } in &cut {
            inner.memory.patch(*version, [(*offset, original)]);
            inner.memory.free(*code);
        }
        if !cut.is_empty() {
            inner.memory.synchronize();
            self.count_change();
        }
    }

    /// The unwind rows of `link`, as an `.eh_frame` section.
    pub(crate) fn unwind_section_of_link(&self, link: &ExitLink) -> Result<Vec<u8>, Error> {
        let mut section = UnwindSection::new();
        section.add(&self.common_unwind, link.code.rows.description(link.start));
        section.to_bytes()
    }
}
