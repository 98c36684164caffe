//! The axes of a mechanism, but those that decide what code is compiled to: [`CallBinding`], [`Poll`] and
//! [`StateRecording`] are the compiler's.

use osr_compiler::listed;

use crate::settings::tier::Tier;

listed! {
    /// Where the code of a new version goes.
    pub enum Placement {
        /// To memory that no other version occupies.
        #[default]
        Elsewhere = "elsewhere",
        /// Over the code of the version that it replaces, of the same tier and entry, once that is drained; until then,
        /// or if it does not fit, there is no new code. The first version gets a quarter more than it needs.
        SameAddress = "same-address",
    }
}

listed! {
    /// What becomes of old activations when their version is invalidated. Two of them are not reached by a return from
    /// compiled code, so each value says what becomes of these: the *innermost* frame, which is in a call of the runtime,
    /// by which it polls, or asked for the invalidation; and frames that wait *under a host function*. A trap jumps over
    /// frames, replaced or not.
    pub enum ActiveFrames {
        /// The return PCs that lead into them are swapped for the landing stub's; each continues where the tiering
        /// policy says when control returns to it. The innermost frame lands when its poll returns, or where that has no
        /// frame map, after a few instructions of its own code, which store its state. Frames under a host function land
        /// when that returns; their code can be freed before.
        #[default]
        Hijack = "hijack",
        /// The same, and all continue in the interpreter: the innermost frame where it polls, frames under a host
        /// function when that returns.
        HijackToInterpreter = "hijack-to-interpreter",
        /// The same, and all continue in another version: a continuation, which is compiled if there is none, of the
        /// tier that the policy names, or else of the tier that they were in. That of the innermost frame begins at its
        /// poll, those of frames under a host function behind the call of that.
        HijackToVersion = "hijack-to-version",
        /// The return PCs are swapped, and the exception edge of the call, in the old code, stores the frame state:
        /// what the thread of 2015 calls "very similar to throwing an exception". A poll has no such edge: there the
        /// innermost frame lands as with `hijack`. The edges of frames under a host function execute when that returns,
        /// and keep the code until then.
        LandingPad = "landing-pad",
        /// What follows each call in the old code is overwritten by a jump to where frames land (SpiderMonkey,
        /// JavaScriptCore). That takes a store for each call of the version, whatever the stack is, and running code
        /// nothing. Frames are not visited, return PCs stay what they are. The innermost frame meets such a jump, too,
        /// but behind a poll in a loop of optimized code: there it is recorded, stores its state, and leaves. Frames under a
        /// host function meet theirs when that returns, and keep the code until then.
        InvalidationPoint = "invalidation-point",
        /// After each call the code compares its stack pointer with a limit, and leaves if it is above: the limit is at the
        /// innermost frame that is to leave. An invalidation looks for that frame, its landing for the next one. A poll
        /// is a call like others: the innermost frame leaves behind it. Frames under a host function check when that returns,
        /// and keep the code until then; what the host function calls is further in, below the limit.
        ReturnCheck = "return-check",
        /// They run to their end in the old code; the return PCs by which they end are swapped, so that each end is
        /// noticed. So does the innermost frame, which continues behind its poll: a loop that never ends keeps its code.
        /// So do frames under a host function, whose return PCs into the old code stay what they are.
        ReturnBarrier = "return-barrier",
        /// They run to their end in the old code; their ends are not noticed. The innermost frame continues behind its poll: a
        /// loop that never ends keeps its code. Frames under a host function continue in it when that returns.
        RunOut = "run-out",
    }
}

impl ActiveFrames {
    /// Whether a frame may be forced to land in `tier`.
    pub(crate) fn may_land_in(self, tier: Tier) -> bool {
        match self {
            ActiveFrames::HijackToInterpreter => tier == Tier::Interpreter,
            ActiveFrames::HijackToVersion => tier != Tier::Interpreter,
            _ => true,
        }
    }
}

listed! {
    /// When a hijacked frame is rebuilt.
    pub enum RebuildTime {
        /// When control returns to it.
        #[default]
        AtLanding = "at-landing",
        /// When it is hijacked, all frames at once; landings add what the call returns.
        AtOnce = "at-once",
    }
}

listed! {
    /// Which frames are hijacked at an invalidation.
    pub enum HijackDensity {
        /// All frames of the invalidated versions.
        #[default]
        EveryFrame = "every-frame",
        /// The innermost ones; a landing at the last of them hijacks twice as many further out, and so does a trap that
        /// jumps over it. Code is released when the outermost frame is reached. Go's stack barriers
        /// (`runtime/mstkbar.go` of Go 1.5 to 1.8) are as sparse.
        Sparse = "sparse",
    }
}

listed! {
    /// When the memory of invalidated code is freed.
    pub enum CodeRelease {
        /// As soon as every return PC that leads into it is swapped.
        #[default]
        OnHijack = "on-hijack",
        /// When as many activations have ended as have begun: code counts at its entry and at its exits, and the runtime
        /// looks at the count whenever compiled code reaches it.
        ResidenceCount = "residence-count",
        /// When each of the frames that were active at the invalidation has ended or landed.
        FrameCount = "frame-count",
        /// When a scan of the stack finds no frame of it: at an invalidation, at a call of the runtime, when the outermost
        /// call ends, or on request.
        StackScan = "stack-scan",
        /// When the outermost guest call has ended that was under way at the invalidation (HHVM's Treadmill).
        Epoch = "epoch",
        /// With its instance.
        Never = "never",
    }
}

listed! {
    /// Where it is remembered which slots are hijacked, and what they held.
    pub enum Bookkeeping {
        /// In a table beside the stack, one for each thread.
        #[default]
        Ledger = "ledger",
        /// In a slot of each frame, reserved for its original return PC (HotSpot).
        FrameSlot = "frame-slot",
        /// Nowhere: each site has a landing PC of its own, and the frame maps know both (V8).
        PcsInMap = "pcs-in-map",
    }
}
