//! Which combinations of axis values are mechanisms.

use osr_compiler::{CallBinding, Poll, StateRecording};
use thiserror::Error;

use super::{ActiveFrames, Bookkeeping, CodeRelease, HijackDensity, Mechanism, Placement, RebuildTime};

/// Why a combination is no mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
pub enum Refusal {
    /// [`CallBinding::Direct`] with anything that replaces code.
    #[error(
        "code whose calls are bound for good is never replaced: use another binding, or the frames `run-out`, \
             the placement `elsewhere` and the release `never`"
    )]
    CallsBoundForGood,
    /// [`Poll::None`] with anything that replaces code.
    #[error(
        "code without polls is all compiled once: use the poll `stack-check`, or the frames `run-out`, the placement \
         `elsewhere` and the release `never`"
    )]
    CompiledForGood,
    /// Frames are to be replaced where nothing stops a loop.
    #[error(
        "a loop without calls can only be left at a poll: use the poll `stack-limit`, or the frames `run-out` and the \
         release `never`"
    )]
    NoPolls,
    /// Frames are to be replaced whose state is not known.
    #[error(
        "a frame can only be rebuilt from a recorded state: use the recording `locations`, `slots` or `pads`, or the \
         frames `run-out` and the release `stack-scan`, `epoch` or `never`"
    )]
    NoStateRecorded,
    /// [`ActiveFrames::LandingPad`] without [`StateRecording::Pads`].
    #[error(
        "landing pads are how the frame state is recorded, and execute in the old code: use the recording `pads` and \
         the release `frame-count`, `stack-scan` or `epoch`"
    )]
    NoPads,
    /// [`StateRecording::Pads`] with [`ActiveFrames::ReturnCheck`].
    #[error(
        "a frame that checks its returns stores its state where it leaves, not in a pad: use the recording `locations` \
         or `slots`"
    )]
    PadsNeverRun,
    /// [`ActiveFrames::ReturnBarrier`] with a release other than [`CodeRelease::FrameCount`].
    #[error("a return barrier is there to count: use the release `frame-count`")]
    BarrierForNothing,
    /// [`CodeRelease::OnHijack`] with [`ActiveFrames::RunOut`].
    #[error(
        "code that frames run out in cannot be freed at once: use the release `stack-scan`, `residence-count`, `epoch` \
         or `never`"
    )]
    ReleaseUnderFrames,
    /// [`CodeRelease::OnHijack`] where frames leave by old code.
    #[error(
        "code by which frames leave cannot be freed at once: use the release `frame-count`, `stack-scan`, `epoch` or \
         `never`"
    )]
    ReleaseUnderLeaving,
    /// [`CodeRelease::OnHijack`] with [`ActiveFrames::LandingPad`].
    #[error(
        "code whose pads execute at landings cannot be freed at once: use the release `frame-count`, `stack-scan` or \
         `epoch`"
    )]
    ReleaseUnderPads,
    /// [`CodeRelease::Never`] where everything is hijacked.
    #[error(
        "hijacked code has no frames left to be kept for: use the release `stack-scan`, or the frames `run-out`"
    )]
    KeptForNothing,
    /// [`CodeRelease::FrameCount`] where nothing happens when a frame ends.
    #[error(
        "frames that run out unnoticed cannot be counted: use the release `stack-scan`, or the \
         frames `return-barrier`"
    )]
    NothingToCount,
    /// [`CodeRelease::ResidenceCount`] where frames do not leave by returning.
    #[error(
        "code counts out activations that return: use the frames `run-out`, or the release \
         `frame-count`"
    )]
    LeftUncounted,
    /// [`RebuildTime::AtOnce`] where no return PC is swapped.
    #[error("only hijacked frames can be rebuilt before they land: use the rebuild `at-landing`")]
    NothingToRebuild,
    /// [`RebuildTime::AtOnce`] with pads, which execute at the landing.
    #[error(
        "a pad executes when its frame lands: use the rebuild `at-landing`, or the recording `locations` or `slots`"
    )]
    PadsRunAtLanding,
    /// [`RebuildTime::AtOnce`] where hijacked slots have no records.
    #[error(
        "what is rebuilt at once is found by the record of its slot: use the bookkeeping \
         `ledger`, or the rebuild `at-landing`"
    )]
    RebuiltWithoutRecord,
    /// [`HijackDensity::Sparse`] where no return PC is swapped, or all frames are visited anyway.
    #[error(
        "only frames that are hijacked into a ledger and rebuilt at their landing can be hijacked later: use the \
         density `every-frame`"
    )]
    NothingToHijackLater,
    /// [`HijackDensity::Sparse`] with a release that has to know all frames.
    #[error(
        "frames that are not hijacked yet are not counted: use the density `every-frame`, or the \
         release `on-hijack`"
    )]
    SparseIsNotCounted,
    /// [`Bookkeeping`] without hijacked slots.
    #[error("no slot is hijacked whose original could be kept elsewhere: use the bookkeeping `ledger`")]
    NothingToRemember,
    /// [`Bookkeeping::FrameSlot`] and [`Bookkeeping::PcsInMap`] with [`CodeRelease::OnHijack`].
    #[error(
        "with this bookkeeping frames land in a table behind the old code: use the release `stack-scan`, `epoch` or \
         `frame-count`"
    )]
    LandingInOldCode,
    /// [`Placement::SameAddress`] with code that is never freed.
    #[error(
        "the place of code that is never freed is never free: use the placement `elsewhere`, or the release \
         `stack-scan`"
    )]
    PlaceNeverFree,
}

/// A rule: what it refuses, and whether a combination breaks it.
type Rule = (Refusal, fn(&Mechanism) -> bool);

/// What a combination must not do; the first broken rule counts.
pub(super) const RULES: &[Rule] = &[
    (Refusal::CallsBoundForGood, |m| m.binding == CallBinding::Direct && m.replaces_code()),
    (Refusal::CompiledForGood, |m| m.poll == Poll::None && m.replaces_code() && !m.replaces_frames()),
    (Refusal::NoPolls, |m| m.replaces_frames() && matches!(m.poll, Poll::None | Poll::StackCheck)),
    (Refusal::NoStateRecorded, |m| m.replaces_frames() && m.recording == StateRecording::None),
    (Refusal::NoPads, |m| m.frames == ActiveFrames::LandingPad && !m.recording.has_pads()),
    (Refusal::PadsNeverRun, |m| m.frames == ActiveFrames::ReturnCheck && m.recording == StateRecording::Pads),
    (Refusal::BarrierForNothing, |m| {
        m.frames == ActiveFrames::ReturnBarrier && m.release != CodeRelease::FrameCount
    }),
    (Refusal::ReleaseUnderFrames, |m| m.release == CodeRelease::OnHijack && m.frames == ActiveFrames::RunOut),
    (Refusal::ReleaseUnderLeaving, |m| m.release == CodeRelease::OnHijack && m.frames_leave()),
    (Refusal::ReleaseUnderPads, |m| {
        m.release == CodeRelease::OnHijack && m.frames == ActiveFrames::LandingPad
    }),
    (Refusal::KeptForNothing, |m| m.release == CodeRelease::Never && m.hijacks()),
    (Refusal::NothingToCount, |m| m.release == CodeRelease::FrameCount && m.frames == ActiveFrames::RunOut),
    (Refusal::LeftUncounted, |m| {
        m.release == CodeRelease::ResidenceCount && m.frames != ActiveFrames::RunOut
    }),
    (Refusal::NothingToRebuild, |m| m.rebuild == RebuildTime::AtOnce && !m.hijacks()),
    (Refusal::PadsRunAtLanding, |m| m.rebuild == RebuildTime::AtOnce && m.recording.has_pads()),
    (Refusal::RebuiltWithoutRecord, |m| {
        m.rebuild == RebuildTime::AtOnce && m.bookkeeping != Bookkeeping::Ledger
    }),
    (Refusal::NothingToHijackLater, |m| {
        let is_visited = m.bookkeeping != Bookkeeping::Ledger || m.rebuild == RebuildTime::AtOnce;
        m.density == HijackDensity::Sparse && (!m.hijacks() || is_visited)
    }),
    (Refusal::SparseIsNotCounted, |m| {
        m.density == HijackDensity::Sparse && m.release != CodeRelease::OnHijack
    }),
    (Refusal::NothingToRemember, |m| m.bookkeeping != Bookkeeping::Ledger && !m.hijacks()),
    (Refusal::LandingInOldCode, |m| {
        m.bookkeeping != Bookkeeping::Ledger && m.release == CodeRelease::OnHijack
    }),
    (Refusal::PlaceNeverFree, |m| m.placement == Placement::SameAddress && m.release == CodeRelease::Never),
];
