//! The bodies that are merged, with what is known of each.

use std::borrow::Cow;

use crate::body::{Body, Instruction, Terminator};
use crate::frequency::weights;
use crate::index::{FunctionIndex, SignatureIndex};
use crate::liveness::Liveness;
use crate::module::Module;
use crate::point::{Points, Position, reverse_postorder};
use crate::value::Type;

/// A body, with its points and live registers.
#[derive(Debug)]
pub(super) struct Source<'m> {
    pub(super) body: &'m Body,
    pub(super) points: Cow<'m, Points>,
    pub(super) liveness: Cow<'m, Liveness>,
    pub(super) calls: Vec<Call>,
}

/// A call of guest code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) position: Position,
    pub(super) callee: Callee,
    /// How often it is executed in one activation, as far as loops say.
    pub(super) weight: u32,
}

/// What is called.
#[derive(Clone, Copy, Debug)]
pub(super) enum Callee {
    Function(FunctionIndex),
    /// Some function of that signature.
    Indirect(SignatureIndex),
}

impl<'m> Source<'m> {
    /// That of a function whose points and live registers are known.
    pub(super) fn known(
        module: &Module,
        body: &'m Body,
        points: &'m Points,
        liveness: &'m Liveness,
    ) -> Source<'m> {
        let calls = calls(module, body);
        Source { body, points: Cow::Borrowed(points), liveness: Cow::Borrowed(liveness), calls }
    }

    /// That of any other, with the points at which code continues that speculates if it `is_speculative`.
    pub(super) fn of(module: &Module, body: &'m Body, is_speculative: bool) -> Source<'m> {
        let points = if is_speculative { Points::speculative(body) } else { Points::of(body) };
        let liveness = Cow::Owned(Liveness::of(body, &points));
        Source { body, points: Cow::Owned(points), liveness, calls: calls(module, body) }
    }
}

/// The calls that `body` can reach, in the order of blocks. Not those that catch: an exception is looked for at the innermost
/// of the activations that a frame stands for.
fn calls(module: &Module, body: &Body) -> Vec<Call> {
    let order = reverse_postorder(body);
    let weights = weights(body, &order);
    let mut calls = Vec::new();
    for block in order {
        let instructions = &body.block(block).instructions;
        calls.extend(instructions.iter().enumerate().filter_map(|(index, instruction)| {
            let callee = match *instruction {
                Instruction::Call { function, .. } => Callee::Function(function),
                Instruction::CallIndirect { signature, .. } => Callee::Indirect(signature),
                _ => return None,
            };
            let position = Position { block, index };
            if body.catches(position, module.caught) {
                return None;
            }
            Some(Call { position, callee, weight: weights[block.index()] })
        }));
    }
    calls.sort_by_key(|call| call.position);
    calls
}

/// The body of `function`, if it is no larger than `most`, can return, makes no tail call, and has no vectors: in the frame states of several
/// activations every register is one word.
pub(super) fn inlinable(module: &Module, function: FunctionIndex, most: u32) -> Option<&Body> {
    let body = module.function(function).body()?;
    let returns = |block| matches!(body.block(block).terminator, Terminator::Return { .. });
    let fits = body.instruction_count() <= most as usize
        && !body.has_tail_calls()
        && !body.registers.contains(&Type::V128);
    (fits && reverse_postorder(body).into_iter().any(returns)).then_some(body)
}
