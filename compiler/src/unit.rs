//! Units: what the compiler is asked for. Everything that a compilation depends on is in here, and immutable, so
//! that compiling is a function, which any native thread can compute.

use std::collections::BTreeSet;
use std::fmt;

use osr_ir::{FunctionIndex, Point, Register};

use crate::analysis::Analysis;
use crate::linked_module::LinkedModule;
use crate::profile::Profile;
use crate::settings::{CodeSettings, CompiledTier};
use crate::speculation::Speculations;

/// Where a version is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryPoint {
    /// At the function's entry, with arguments.
    Function,
    /// At a point, with a frame state: a *continuation*.
    Continuation(Point),
    /// The same, for frames of which more is known: a continuation that is specialized for a *context*, the function's one of
    /// that number. Its frame state may be that of several activations.
    Specialized {
        /// The point of the function's activation.
        point: Point,
        /// The number of the context.
        context: u32,
    },
}

impl EntryPoint {
    /// The point that it is entered at with a frame state, if it is a continuation.
    pub fn continues_at(self) -> Option<Point> {
        match self {
            EntryPoint::Function => None,
            EntryPoint::Continuation(point) | EntryPoint::Specialized { point, .. } => Some(point),
        }
    }
}

impl fmt::Display for EntryPoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EntryPoint::Function => formatter.write_str("function"),
            EntryPoint::Continuation(point) => point.fmt(formatter),
            EntryPoint::Specialized { point, context } => write!(formatter, "{point} in context {context}"),
        }
    }
}

/// Which code a version is: there is at most one current version for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VersionKey {
    /// What it is code of.
    pub function: FunctionIndex,
    /// The tier that makes it.
    pub tier: CompiledTier,
    /// Where it is entered.
    pub entry: EntryPoint,
}

/// What to compile.
#[derive(Clone, Copy, Debug)]
pub struct Unit<'a> {
    /// The module, as its instance was linked.
    pub linked: &'a LinkedModule,
    /// The function, the tier, the entry.
    pub key: VersionKey,
    /// Points and liveness of the function's body.
    pub analysis: &'a Analysis,
    /// For a continuation of frames that stand for several activations, those that the function's has called, which waits at the
    /// entry's point for the first of them, and so on: each with its point. It is refused if they are not inlined.
    pub inner: &'a [(FunctionIndex, Point)],
    /// Of a continuation, registers of the function of which is known what they hold in every frame that enters, integers:
    /// taken for constants.
    pub values: &'a [(Register, u64)],
    /// What the code has besides the program.
    pub settings: CodeSettings,
    /// What the code counts, if it is to: baseline code profiles. It keeps the profile's address.
    pub profile: Option<&'a Profile>,
    /// What the code relies on, if it is optimized code that speculates. There are the
    /// [points](crate::Analysis::speculative) for that.
    pub speculation: Option<&'a Speculations>,
    /// Functions that are not inlined, since calls of them enter other bodies than the module has for them, or may do so
    /// without this code being invalidated. All others that are inlined are relied on to be entered.
    pub left_out: &'a BTreeSet<FunctionIndex>,
}
