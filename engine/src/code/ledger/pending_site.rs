//! Where hijacked frames are pending.

use osr_compiler::frame_map::{Site, Sources};
use osr_ir::{FunctionIndex, Point, PointKind};
use osr_stackwalk::ReturnPc;

use crate::code::CodeVersion;
use crate::settings::CompiledTier;

/// A site at which hijacked frames of a batch are pending: each lands when a call returns there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingSite {
    /// The version that the frames are of. Kept while frames are pending; its code may be gone.
    version: *const CodeVersion,
    /// Of the call: its return PC, from the start of the version's code.
    return_offset: u32,
    /// Where execution resumes.
    point: Point,
    /// What kind of point that is.
    kind: PointKind,
    /// Which of the version's sites it is.
    number: u32,
    /// The tier that the frames land in, if that was decided when they were hijacked.
    destination: Option<CompiledTier>,
    /// Where the frame state is.
    sources: Sources,
    /// The words that it takes: the registers of the body, or of those of all activations that a frame stands for.
    words: usize,
    /// Whether the frames stand for one activation each, and their code does not speculate.
    is_plain: bool,
    /// The depth of the outermost record in its batch.
    pub(super) outermost: u32,
}

/// The depth of no record.
pub(super) const NO_DEPTH: u32 = u32::MAX;

impl PendingSite {
    /// Site `number` of `version`, which is of a body with so many registers.
    pub(crate) fn new(version: &CodeVersion, number: u32, registers: usize) -> PendingSite {
        let site = version.frame_maps.site(number);
        let sources = version.frame_maps.sources(&site);
        let Site { return_offset, point, kind, .. } = site;
        let destination = None;
        let words = version.state_words(number, registers);
        let is_plain = !version.has_chain(number) && version.speculation.is_none();
        PendingSite {
            version,
            return_offset,
            point,
            kind,
            number,
            destination,
            sources,
            words,
            is_plain,
            outermost: NO_DEPTH,
        }
    }

    /// The same, where it is decided already that the frames land in `tier`.
    pub(crate) fn landing_in(self, tier: CompiledTier) -> PendingSite {
        PendingSite { destination: Some(tier), ..self }
    }

    /// The version that the frames are of.
    #[inline(always)]
    pub(crate) fn version(&self) -> &CodeVersion {
        // SAFETY: a version is kept while frames are pending at a site of it: `Batch::versions`.
        unsafe { &*self.version }
    }

    /// Where the frames resume.
    #[inline(always)]
    pub(crate) fn point(&self) -> Point {
        self.point
    }

    /// The function that the frames resume in.
    pub(crate) fn function(&self) -> FunctionIndex {
        self.version().function_at(self.number)
    }

    /// Whether the frames stand for one activation each, and their code does not speculate.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Whether the frames stand for several activations.
    pub(crate) fn has_chain(&self) -> bool {
        self.version().has_chain(self.number)
    }

    /// The return PC that their slots held.
    #[inline(always)]
    pub(crate) fn pc(&self) -> ReturnPc {
        ReturnPc::new(self.version().start + u64::from(self.return_offset))
    }

    /// What kind of point the frames resume at.
    #[inline(always)]
    pub(crate) fn kind(&self) -> PointKind {
        self.kind
    }

    /// Where the frame state is.
    #[inline(always)]
    pub(crate) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The words of the frame state.
    #[inline(always)]
    pub(crate) fn words(&self) -> usize {
        self.words
    }

    /// Which of the version's sites it is.
    #[inline(always)]
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// The tier that the frames land in, if that was decided when they were hijacked.
    #[inline(always)]
    pub(crate) fn destination(&self) -> Option<CompiledTier> {
        self.destination
    }
}
