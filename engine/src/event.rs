//! Events: what can be observed of an execution. Observing changes nothing: the same transitions occur,
//! and without an observer each event costs a test of one pointer, off the hot paths.

use std::fmt;
use std::time::Duration;

use osr_ir::{FunctionIndex, Point, Register};

use crate::code::CodeVersion;
use crate::error::Trap;
use crate::function::Analysis;
use crate::settings::Tier;
use crate::statistics::Place;
use crate::thread::Thread;

/// Sees what happens. Called on the guest's thread, which waits; it must not call the guest.
pub trait Observer: fmt::Debug + Send + Sync {
    /// Something has happened.
    fn observe(&self, thread: &Thread, event: &Event<'_>);

    /// Whether each arrival at a function's entry and at a loop header is wanted, too
    /// ([`Event::Reached`]). Then all polls of compiled code take their slow path.
    fn wants_points(&self) -> bool {
        false
    }
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
    /// The call that was [invoked](Event::Invoked) last, and has not, is over.
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
    /// The function that was [called](Event::HostCalled) gives control back to the guest.
    HostReturned {
        /// The imported function.
        function: FunctionIndex,
        /// Its results, one word each, or why there are none.
        outcome: Result<&'a [u64], &'a Trap>,
    },
    /// Execution is at a function's entry or at a loop header, in whatever tier. Once for each arrival,
    /// also if code is replaced there. Only if [wanted](Observer::wants_points).
    Reached {
        /// The function.
        function: FunctionIndex,
        /// The point.
        point: Point,
        /// The base of the frame, if it is one of compiled code: it tells activations apart.
        frame: Option<u64>,
    },
    /// A version was compiled and installed.
    Compiled {
        /// The version.
        version: &'a CodeVersion,
        /// The time that it took.
        duration: Duration,
    },
    /// An activation goes on in other code, with the frame state that it has here.
    Moved {
        /// Where in the body.
        place: Place,
        /// The tier that it was in.
        from: Tier,
        /// The version that it was in; none for the interpreter.
        from_version: Option<&'a CodeVersion>,
        /// The base of the frame that it had there. In another version, it has the same.
        frame: Option<u64>,
        /// The tier that it goes on in.
        to: Tier,
        /// The address of the code that it goes on in; none for the interpreter.
        to_code: Option<u64>,
        /// Point and registers.
        state: FrameState<'a>,
    },
    /// A return slot was swapped for the landing stub's: the frame that it leads into will land.
    Hijacked {
        /// The version that the frame is of.
        version: &'a CodeVersion,
        /// Where the frame resumes.
        point: Point,
    },
    /// Nothing new enters the version.
    Retired {
        /// The version.
        version: &'a CodeVersion,
    },
    /// The version's memory was given back.
    Released {
        /// The version.
        version: &'a CodeVersion,
    },
}

/// A frame state: a point, and a word for every register that is live there.
#[derive(Clone, Copy, Debug)]
pub struct FrameState<'a> {
    /// The function.
    pub function: FunctionIndex,
    /// The point.
    pub point: Point,
    analysis: &'a Analysis,
    /// One word per register of the body.
    words: &'a [u64],
}

impl<'a> FrameState<'a> {
    /// The state in `words`, one per register of the body, at `point`.
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
        let words = self.words;
        self.analysis.liveness.at(self.point).iter().map(move |&register| (register, words[register.index()]))
    }
}
