//! Presets: mechanisms by the names of the engines that have them, as nearly as the axes can say it. Where an engine has a
//! value that nothing is built for, and another value does the same by other means, the preset has that, and says so.

use osr_compiler::{CallBinding, Poll, StateRecording};

use super::{ActiveFrames, Bookkeeping, CodeRelease, Mechanism};

/// A mechanism that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// The name.
    pub name: &'static str,
    /// Whose mechanism it is, and where that is described.
    pub source: &'static str,
    /// The mechanism.
    pub mechanism: Mechanism,
}

const DEFAULT: Mechanism = Mechanism::DEFAULT;

/// All presets.
pub static PRESETS: [Preset; 8] = [
    Preset {
        name: "orc",
        source: "LLVM ORC's ReOptimizeLayer: a stub for each function, and old code is the user's to free. Its entry counter \
                 is not among the axes: baseline code counts down here, under every mechanism",
        mechanism: Mechanism {
            binding: CallBinding::TrampolineCell,
            frames: ActiveFrames::RunOut,
            release: CodeRelease::Never,
            poll: Poll::StackCheck,
            recording: StateRecording::None,
            ..DEFAULT
        },
    },
    Preset {
        name: "v8",
        source: "V8: lazy deoptimization by swapped return PCs, both of which the maps know; stack guard polls",
        mechanism: Mechanism {
            release: CodeRelease::StackScan,
            bookkeeping: Bookkeeping::PcsInMap,
            ..DEFAULT
        },
    },
    Preset {
        name: "hotspot",
        source: "HotSpot: patched calls, swapped return PCs whose originals are in the frames, polls by a guard page",
        mechanism: Mechanism {
            binding: CallBinding::Patchpoint,
            release: CodeRelease::StackScan,
            poll: Poll::GuardPage,
            bookkeeping: Bookkeeping::FrameSlot,
            ..DEFAULT
        },
    },
    Preset {
        name: "spidermonkey",
        source: "SpiderMonkey's IonMonkey: invalidation points (patched where frames are found there, in all retired code \
                 here), an invalidation counts its frames, loops test the interrupt bits",
        mechanism: Mechanism {
            frames: ActiveFrames::InvalidationPoint,
            release: CodeRelease::FrameCount,
            poll: Poll::Flag,
            ..DEFAULT
        },
    },
    Preset {
        name: "jsc",
        source: "JavaScriptCore: jumps written at invalidation points, linked calls, traps patched into loops, a \
                 conservative stack scan (of frames here)",
        mechanism: Mechanism {
            binding: CallBinding::Patchpoint,
            frames: ActiveFrames::InvalidationPoint,
            release: CodeRelease::StackScan,
            poll: Poll::PatchedNop,
            ..DEFAULT
        },
    },
    Preset {
        name: "erlang",
        source: "Erlang/OTP: old code runs out, a purge scans the stacks for it",
        mechanism: Mechanism {
            frames: ActiveFrames::RunOut,
            release: CodeRelease::StackScan,
            poll: Poll::Flag,
            recording: StateRecording::None,
            ..DEFAULT
        },
    },
    Preset {
        name: "hhvm",
        source: "HHVM: smashable calls, and the Treadmill frees what no older request can see",
        mechanism: Mechanism {
            binding: CallBinding::Patchpoint,
            frames: ActiveFrames::RunOut,
            release: CodeRelease::Epoch,
            poll: Poll::Flag,
            recording: StateRecording::None,
            ..DEFAULT
        },
    },
    Preset {
        name: "thread-2015",
        source: "llvm-dev, March 2015, \"replacing function bodies\": swap the return PCs, free the code at once",
        mechanism: DEFAULT,
    },
];
