//! Events: what can be observed of an execution, and why it happens. Without an observer each event costs a
//! test of one pointer, off the hot paths.
//!
//! ```text
//!   ReplacementBegan(cause)                      a version's life: Compiled .. Retired .. Drained, Released
//!     Retired, Hijacked x n, Drained, Released   a frame's way:    Hijacked .. Landed, Dropped or Restored
//!   ReplacementEnded                                               (the same slot in both)
//! ```

pub(crate) mod coverage;
pub(crate) mod statistics;

use std::fmt;
use std::time::Duration;

use osr_compiler::{Analysis, CompileError, DeoptReason, EntryPoint, Fallback, Guard, VersionKey};
use osr_ir::{FunctionIndex, OldActivations, Point, Register};
use serde::Serialize;

use crate::code::{CodeVersion, ExitLink, VersionId};
use crate::error::Trap;
use crate::event::statistics::Place;
use crate::settings::stress::Action;
use crate::settings::{CompiledTier, Tier};

/// Why code is made, or frames are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The function was executed often enough in the tier `from`, and was at `place` then.
    TierUp {
        /// The tier that it was in.
        from: Tier,
        /// Where in the body.
        place: Place,
    },
    /// A guard has failed too often.
    Guard {
        /// What it was there for.
        reason: DeoptReason,
        /// The number of the point at which it exits.
        point: u32,
    },
    /// A global has another value than the code takes for constant, or code is made that may change it.
    Global {
        /// The number of the global.
        global: u32,
    },
    /// A landing continues in a continuation that was not there yet.
    Landing,
    /// [`Settings::stress`](crate::Settings::stress) forces it.
    Stress {
        /// What is forced.
        action: Action,
        /// At which safepoint.
        safepoint: u64,
    },
    /// The embedder, or a function of the host, asked for it.
    Host,
    /// An observer [requested](crate::Observation::request) it.
    Observer,
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::TierUp { from, place } => write!(formatter, "hot in the {} tier, {place}", from.name()),
            Cause::Guard { reason, point } => {
                write!(formatter, "a guard failed too often: {} that exits at p{point}", reason.name())
            }
            Cause::Global { global } => write!(formatter, "global g{global} does not keep its value"),
            Cause::Landing => formatter.write_str("a landing continues there"),
            Cause::Stress { action, safepoint } => {
                write!(formatter, "stress: {action} at safepoint {safepoint}")
            }
            Cause::Host => formatter.write_str("the host asked"),
            Cause::Observer => formatter.write_str("an observer requested it"),
        }
    }
}

/// What is expected of a compilation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// Instructions of the IR in the unit.
    pub instructions: u32,
    /// The time that it takes, in nanoseconds; 0 if the code is there, [`Estimate::NEVER`] if the compiler has refused it.
    pub cost_ns: u64,
    /// What the code saves if the function runs for as long again as it has run, or as is expected of one that has just
    /// been met, in nanoseconds.
    pub saving_ns: u64,
}

impl Estimate {
    /// The cost of what cannot be compiled.
    pub const NEVER: u64 = u64::MAX;
}

/// What replaces frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Replacement {
    /// Versions are retired, their frames hijacked, their code released.
    Invalidation,
    /// Frames are hijacked; their versions stay.
    Hijack,
    /// Calls of functions enter other bodies; code of the old ones is invalidated, unless activations run out.
    Redefinition,
}

/// What happens.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The embedder, or a function of the host, calls the guest.
    Invoked {
        /// What is called.
        function: FunctionIndex,
        /// One word per parameter.
        arguments: &'a [u64],
    },
    /// The innermost unfinished [call](Event::Invoked) finished.
    Finished {
        /// Its results, one word each, or why there are none.
        outcome: Result<&'a [u64], &'a Trap>,
    },
    /// The guest, or the embedder, calls a function of the host, or one imported from another instance. (What
    /// is called through a table and is another instance's is seen by that instance's observer only.)
    HostCalled {
        /// The imported function.
        function: FunctionIndex,
        /// One word per parameter.
        arguments: &'a [u64],
    },
    /// The function that was [called](Event::HostCalled) returns control to the guest.
    HostReturned {
        /// The imported function.
        function: FunctionIndex,
        /// Its results, one word each, or why there are none.
        outcome: Result<&'a [u64], &'a Trap>,
    },
    /// Execution is at a function's entry or at a loop header, in whatever tier. Once for each arrival,
    /// also if code is replaced there; but optimized code tells of loop headers only if it comes by a
    /// back-edge. Only where points are [safepoints](crate::Settings::points).
    Reached {
        /// The function.
        function: FunctionIndex,
        /// The point.
        point: Point,
        /// The base of the frame, if it is one of compiled code: it tells activations apart.
        frame: Option<u64>,
        /// The tier that it is in.
        tier: Tier,
    },
    /// The policy wants code that is not there. What comes of it is told by [`Event::Compiled`], [`Event::Refused`] or
    /// [`Event::Discarded`].
    Ordered {
        /// The code.
        key: VersionKey,
        /// What it is expected to cost, and to save.
        estimate: Estimate,
        /// Why.
        cause: Cause,
    },
    /// Code that was [ordered](Event::Ordered) is not installed: code of the function was retired meanwhile, and so was
    /// what this was compiled on.
    Discarded {
        /// The code.
        key: VersionKey,
        /// Why it was ordered.
        cause: Cause,
    },
    /// A version was compiled and installed.
    Compiled {
        /// The version.
        version: &'a CodeVersion,
        /// The time that it took.
        duration: Duration,
        /// Why.
        cause: Cause,
    },
    /// A body was compiled in another way than the settings ask for. [`Event::Compiled`] is next, or [`Event::Refused`] if the
    /// code could not be installed.
    FellBack {
        /// The code.
        key: VersionKey,
        /// What was done otherwise, and why.
        fallback: &'a Fallback,
        /// Why the code was wanted.
        cause: Cause,
    },
    /// A body was not compiled. In this tier, for this entry, it is not tried again; for want of code memory, not
    /// before a version is released.
    Refused {
        /// The function.
        function: FunctionIndex,
        /// The tier that was to compile it.
        tier: CompiledTier,
        /// Where the code was to be entered.
        entry: EntryPoint,
        /// The compiler's reason.
        error: &'a CompileError,
        /// Why it was asked.
        cause: Cause,
    },
    /// A call of a function that was executed often in the interpreter enters compiled code. Calls that
    /// find that code by themselves are not seen.
    Entered {
        /// The function.
        function: FunctionIndex,
        /// The address of the code.
        code: u64,
    },
    /// An interpreted activation continues in compiled code, with the frame state that it has here.
    TieredUp {
        /// Where in the body.
        place: Place,
        /// Where it continues.
        to: Continuation,
        /// Point and registers.
        state: FrameState<'a>,
    },
    /// A guard of optimized code has failed, and its frame leaves. What follows is that it lands, or is dropped, or that the
    /// exit is [linked](Event::ExitLinked).
    GuardFailed {
        /// The version that the frame is of.
        version: &'a CodeVersion,
        /// The guard.
        guard: &'a Guard,
        /// Whether it was made to fail, and holds.
        is_forced: bool,
    },
    /// The exit of a guard that has [failed](Event::GuardFailed) leads to a continuation from then on, in which the frame
    /// continues. Frames that take the exit after that are not seen, until one of the two versions is retired.
    ExitLinked {
        /// The version that the guard is of.
        version: &'a CodeVersion,
        /// The guard.
        guard: &'a Guard,
        /// The continuation.
        to: &'a CodeVersion,
        /// The code between the two.
        link: &'a ExitLink,
    },
    /// A hijacked frame, or one that a guard has left, has landed: its activation continues in other code, with the frame state that was rebuilt.
    Landed {
        /// Where in the body.
        place: Place,
        /// The version that the frame was of.
        version: &'a CodeVersion,
        /// The slot.
        slot: u64,
        /// The base of the frame. If the activation continues in compiled code, its frame has the same base there.
        frame: u64,
        /// How many further activations the frame stands for, into which this one was inlined. Each
        /// [continues](Event::Continued) in its turn. None if it continues as one frame for all of them.
        further: usize,
        /// Where it continues; none for the interpreter.
        to: Option<Continuation>,
        /// Point and registers.
        state: FrameState<'a>,
    },
    /// An activation into which others were inlined continues in other code, now that these, which have [landed](Event::Landed)
    /// with it, have returned.
    Continued {
        /// Where in the body: after the call.
        place: Place,
        /// The version that the frame was of which has landed.
        version: VersionId,
        /// The tier of that.
        from: CompiledTier,
        /// The base of the frame.
        frame: u64,
        /// Where it continues; none for the interpreter.
        to: Option<Continuation>,
        /// Point and registers, with what the call returned.
        state: FrameState<'a>,
    },
    /// Calls of a function enter another body of it. Those that change together are told one after the other, within one
    /// [replacement](Event::ReplacementBegan).
    Redefined {
        /// The function.
        function: FunctionIndex,
        /// The body that calls entered before.
        from: FunctionIndex,
        /// The body that they enter from then on.
        to: FunctionIndex,
        /// What becomes of activations of the old one.
        activations: OldActivations,
        /// Why.
        cause: Cause,
    },
    /// An interpreted activation is carried from an old body of its function to another. One of compiled code has
    /// [landed](Event::Landed) in the interpreter just before.
    Carried {
        /// Its state in the old body.
        from: FrameState<'a>,
        /// Its state in the new body.
        state: FrameState<'a>,
        /// Where it continues; none for the interpreter.
        to: Option<Continuation>,
    },
    /// An interpreted activation has become others ([`Deoptimize`](osr_ir::Terminator::Deoptimize)). One of compiled code has
    /// [landed](Event::Landed) in the interpreter before.
    Deoptimized {
        /// Its state before.
        from: FrameState<'a>,
        /// How many activations wait for the innermost one.
        further: usize,
        /// The state of the innermost one.
        state: FrameState<'a>,
        /// Where that continues; none for the interpreter.
        to: Option<Continuation>,
    },
    /// Frames are about to be replaced. What follows up to [`Event::ReplacementEnded`] is part of it.
    ReplacementBegan {
        /// What is done.
        replacement: Replacement,
        /// Why.
        cause: Cause,
    },
    /// The replacement that has begun is complete: all chosen frames are hijacked, retired code is gone.
    ReplacementEnded,
    /// A return slot was swapped for the landing stub's: the frame that it leads into will land.
    Hijacked {
        /// The version that the frame is of.
        version: &'a CodeVersion,
        /// The function that it resumes in: the version's, or one inlined into it.
        function: FunctionIndex,
        /// Where the frame resumes.
        point: Point,
        /// The address of the slot. Until the frame has landed no other has it; from run to run it differs.
        slot: u64,
        /// Why.
        cause: Cause,
    },
    /// A hijacked frame will not continue: a trap has jumped over it, or its landing has exhausted the stack. Of slots
    /// without records (`bookkeeping` other than `ledger`) only the latter is told.
    Dropped {
        /// The version that the frame was of.
        version: &'a CodeVersion,
        /// The function that it would have resumed in: the version's, or one inlined into it.
        function: FunctionIndex,
        /// Where it would have resumed.
        point: Point,
        /// The slot.
        slot: u64,
    },
    /// A hijacked frame will not land: its return slot is as it was before.
    Restored {
        /// The version that the frame is of.
        version: &'a CodeVersion,
        /// The function that it resumes in: the version's, or one inlined into it.
        function: FunctionIndex,
        /// Where it resumes.
        point: Point,
        /// The slot.
        slot: u64,
    },
    /// Nothing new enters the version.
    Retired {
        /// The version.
        version: &'a CodeVersion,
        /// Why.
        cause: Cause,
    },
    /// Nothing will return into the version.
    Drained {
        /// The version.
        version: &'a CodeVersion,
        /// How long that took since it was retired.
        latency: Duration,
        /// Why it was retired.
        cause: Cause,
    },
    /// The version's memory is freed.
    Released {
        /// The version.
        version: &'a CodeVersion,
        /// Why it was retired.
        cause: Cause,
    },
}

/// Compiled code in which an activation continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Continuation {
    /// The tier that made it.
    pub tier: CompiledTier,
    /// The address of its first instruction.
    pub code: u64,
}

/// A frame state: a point, and a word for every register that is live there.
#[derive(Clone, Copy, Debug)]
pub struct FrameState<'a> {
    /// The function.
    pub function: FunctionIndex,
    /// The point.
    pub point: Point,
    analysis: &'a Analysis,
    /// The words of the registers of the body.
    words: &'a [u64],
}

impl<'a> FrameState<'a> {
    /// The state in `words`, those of the registers of the body, at `point`.
    pub(crate) fn new(
        function: FunctionIndex,
        point: Point,
        analysis: &'a Analysis,
        words: &'a [u64],
    ) -> FrameState<'a> {
        FrameState { function, point, analysis, words }
    }

    /// The live registers, ascending, with their words. The high half of a word is zero where the type
    /// has 32 bits.
    pub fn values(&self) -> impl Iterator<Item = (Register, u64)> + 'a {
        self.words().map(|(register, _, value)| (register, value))
    }

    /// The live words with the registers that they are of, and their numbers.
    pub(crate) fn words(&self) -> impl Iterator<Item = (Register, usize, u64)> + 'a {
        let FrameState { analysis, words, .. } = *self;
        let live = analysis.liveness.at(self.point).iter();
        let of = move |register| analysis.words_of(register).map(move |word| (register, word, words[word]));
        live.copied().flat_map(of)
    }
}
