//! Frames that an activation becomes ([`Terminator::Deoptimize`]): bodies and points that there are, and a whole state of each.

use thiserror::Error;

use super::error::{CodeError, VerifyError};
use super::redefinition::{EntryError, Side, verify_values};
use crate::body::{Body, Instruction, Terminator};
use crate::index::Register;
use crate::module::{Function, Module};
use crate::point::{PointKind, Position};
use crate::state_map::ResumedFrame;
use crate::value::Type;

/// Why a frame that an activation becomes is wrong.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FrameError {
    /// There is no such body.
    #[error("there is no such body")]
    NoBody,
    /// Its body has no such point.
    #[error("that body has no such point")]
    NoPoint,
    /// Execution does not resume at the point.
    #[error("that is a point at which execution does not resume")]
    NotResumable,
    /// Nothing leads to the point, and so there is no code for it.
    #[error("control never gets to that point of its body")]
    NotReached,
    /// A body has vectors, and the values of a frame are words.
    #[error("a body has registers of type v128, of which no frame can be made")]
    Vectors,
    /// Another frame is further in, and this one does not wait for a call.
    #[error(
        "it does not wait there for what the frame before is of: that is not behind a call of `{callee}`"
    )]
    DoesNotWait {
        /// The function of the frame further in.
        callee: String,
    },
    /// The outermost frame returns something else than the activation is to.
    #[error("it returns other results than the function that deoptimizes")]
    Results,
    /// Its state is not whole, or of other types.
    #[error(transparent)]
    State(#[from] EntryError),
}

/// Checks all frames that activations of functions of `module` become. All bodies must have been verified.
pub(super) fn verify(module: &Module) -> Result<(), VerifyError> {
    module.functions.iter().try_for_each(|function| verify_frames_of(module, function))
}

/// The same of `function`, one of `module`.
pub(super) fn verify_frames_of(module: &Module, function: &Function) -> Result<(), VerifyError> {
    let Some(body) = function.made_body() else { return Ok(()) };
    for block in body.block_indices() {
        let Terminator::Deoptimize { frames } = &body.block(block).terminator else { continue };
        let located = |error| {
            let position = Position { block, index: body.end(block).index };
            VerifyError::Code { function: function.name.clone(), position, error }
        };
        verify_frames(module, (function, body), frames).map_err(located)?;
    }
    Ok(())
}

fn verify_frames(
    module: &Module,
    (function, body): (&Function, &Body),
    frames: &[ResumedFrame],
) -> Result<(), CodeError> {
    let type_of = |register: Register| body.registers.get(register.index()).copied();
    let mut inner = None;
    for (number, frame) in frames.iter().enumerate() {
        let known = module.known_function(frame.body);
        let error = |error| CodeError::Frame {
            number,
            name: known.map_or_else(|| frame.body.to_string(), |known| known.name.clone()),
            point: frame.point,
            error,
        };
        let resumed = known.and_then(|known| known.body()).ok_or_else(|| error(FrameError::NoBody))?;
        verify_frame(module, (resumed, body), frame, inner, &type_of).map_err(error)?;
        if number + 1 == frames.len() {
            let results = |function: &Function| &module.signature(function.signature).results;
            if known.map(results) != Some(results(function)) {
                return Err(error(FrameError::Results));
            }
        }
        inner = Some(frame);
    }
    if inner.is_none() { Err(CodeError::NoFrames) } else { Ok(()) }
}

/// Checks `frame`, one of `resumed`, which waits for `inner` if there is one further in, and whose values are computed from
/// registers of `body`.
fn verify_frame(
    module: &Module,
    (resumed, body): (&Body, &Body),
    frame: &ResumedFrame,
    inner: Option<&ResumedFrame>,
    type_of: &dyn Fn(Register) -> Option<Type>,
) -> Result<(), FrameError> {
    let side = Side::of(resumed);
    if [resumed, body].iter().any(|body| body.registers.contains(&Type::V128)) {
        return Err(FrameError::Vectors);
    }
    if !side.points.contains(frame.point) {
        return Err(FrameError::NoPoint);
    }
    if !side.resumes_at(frame.point) {
        return Err(FrameError::NotResumable);
    }
    if !side.points.is_reached(side.points.position(frame.point).block) {
        return Err(FrameError::NotReached);
    }
    let later = match inner {
        None => &[],
        Some(inner) => {
            let waits = awaited(module, (resumed, &side), frame, inner);
            let name = || module.function(module.function_of(inner.body)).name.clone();
            waits.ok_or_else(|| FrameError::DoesNotWait { callee: name() })?
        }
    };
    Ok(verify_values(&side, frame.point, later, &frame.values, type_of)?)
}

/// The registers that the call assigns for which `frame`, one of `resumed`, waits: none if that is no call of what `inner`
/// is a frame of.
fn awaited<'m>(
    module: &Module,
    (resumed, side): (&'m Body, &Side<'_>),
    frame: &ResumedFrame,
    inner: &ResumedFrame,
) -> Option<&'m [Register]> {
    if side.points.kind(frame.point) != PointKind::AfterCall {
        return None;
    }
    let Position { block, index } = side.points.position(frame.point);
    let call = &resumed.block(block).instructions[index];
    let callee = module.function_of(inner.body);
    let is_call = match *call {
        Instruction::Call { function, .. } => function == callee,
        Instruction::CallIndirect { signature, .. } => module.function(callee).signature == signature,
        _ => false,
    };
    is_call.then(|| call.definitions())
}
