//! Observers that come with the engine.

pub mod explain;
pub(crate) mod script;
pub(crate) mod shadow;
pub mod trace;
pub(crate) mod transition_log;

use osr_ir::{FunctionIndex, Point};

use crate::code::CodeVersion;
use crate::thread::observation::Observation;

/// The name of a point at which a frame of `version` resumes: `p3`, or, in a body that is inlined, `p3 of name`.
fn point_name(
    at: &Observation<'_>,
    version: &CodeVersion,
    (function, point): (FunctionIndex, Point),
) -> String {
    match function == version.function {
        true => point.to_string(),
        false => format!("{point} of {}", at.instance().module().function(function).name),
    }
}
