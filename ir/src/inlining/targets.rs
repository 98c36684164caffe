//! What indirect calls are taken to call.

use crate::index::FunctionIndex;
use crate::point::Position;

/// The targets that an indirect call is compared with before it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallTargets {
    /// The functions, in the order of the comparisons. Those of another signature than the call's are left out.
    pub functions: Vec<FunctionIndex>,
    /// Whether it may call others: if not, a guard exits where it would, if there is a
    /// [point](crate::Points::before_call) for that.
    pub has_others: bool,
}

/// The targets of the indirect call at that position in the body of that function, if they are known.
pub type TargetsOf<'t> = &'t dyn Fn(FunctionIndex, Position) -> Option<&'t CallTargets>;
