//! Invariants: what registers hold that a loop does not change, and that its code can take for constants.
//!
//! ```text
//!   while i < n: product = product * a      a frame is hot there, where a is 8     ──>  .. product << 3
//! ```
//!
//! The caller that passes the constant may be cold itself, so that nothing is inlined into it. But a frame that continues at a
//! loop header has the values at hand, and for the rest of a hot loop it pays to know those that make operations
//! cheap: factors, divisors, conditions. Its continuation is made for them, and entered by frames of the same values alone; others
//! continue in one that knows nothing. At most one is made so for a loop, so that a function whose values change costs one
//! compilation more. (Costa, Alves, Santos and Pereira specialize whole functions so, by the arguments of the first call:
//! "Just-in-time value specialization", CGO 2013.)

use osr_compiler::{CompiledTier, EntryPoint};
use osr_ir::{BinaryOp, Block, Body, FunctionIndex, Instruction, Point, Points, Register, Terminator, Type};

use super::contexts::Values;
use crate::thread::Thread;

/// Where a frame of `function` continues that is at the loop header `point` with `state`, if that was
/// [chosen](choose) for a frame before.
pub(super) fn known(
    thread: &Thread,
    function: FunctionIndex,
    point: Point,
    state: impl Fn() -> Vec<u64>,
) -> Option<EntryPoint> {
    let (context, values) = thread.instance().function(function).contexts.of_values(point)?;
    Some(match holds(thread, function, &values, &state()) {
        true => EntryPoint::Specialized { point, context },
        false => EntryPoint::Continuation(point),
    })
}

/// Where it continues, if nothing was chosen yet.
pub(super) fn choose(
    thread: &Thread,
    function: FunctionIndex,
    point: Point,
    state: impl Fn() -> Vec<u64>,
) -> EntryPoint {
    let (instance, usual) = (thread.instance(), EntryPoint::Continuation(point));
    let (contexts, most) = (&instance.function(function).contexts, instance.settings().contexts);
    if most == 0 || instance.function(function).code_at(CompiledTier::Optimized, usual).is_some() {
        return usual;
    }
    let (body, analysis) = (instance.body(function), instance.analysis(function));
    let state = state();
    let value = |register: Register| match body.ty(register) {
        Type::I32 => state.get(analysis.word(register)).map(|word| word & u64::from(u32::MAX)),
        Type::I64 => state.get(analysis.word(register)).copied(),
        _ => None,
    };
    let mut values: Vec<(Register, u64)> = worth_knowing(body, &analysis.points, point, value);
    // What is not live there has no value.
    values.retain(|(register, _)| analysis.liveness.at(point).binary_search(register).is_ok());
    if values.is_empty() {
        return usual;
    }
    let context = contexts.add_values(point, Values::from(values), most);
    context.map_or(usual, |context| EntryPoint::Specialized { point, context })
}

/// The code that a frame of `function` lands in that has tiered up at `point` with `state`, if it is made for such values.
#[cold]
pub(crate) fn continuation(
    thread: &Thread,
    function: FunctionIndex,
    point: Point,
    state: &[u64],
) -> Option<(*const u8, CompiledTier)> {
    let (function_state, tier) = (thread.instance().function(function), CompiledTier::Optimized);
    let (context, values) = function_state.contexts.of_values(point)?;
    let code = function_state.code_at(tier, EntryPoint::Specialized { point, context })?;
    holds(thread, function, &values, state).then_some((code, tier))
}

/// Whether registers of `function` hold `values` in `state`.
fn holds(thread: &Thread, function: FunctionIndex, values: &Values, state: &[u64]) -> bool {
    let (body, analysis) = (thread.instance().body(function), thread.instance().analysis(function));
    values.iter().all(|&(register, bits)| {
        let is_known = register.index() < body.registers.len();
        let word = is_known.then(|| state.get(analysis.word(register)).copied()).flatten();
        let mask = if is_known && body.ty(register) == Type::I32 { u64::from(u32::MAX) } else { u64::MAX };
        word.map(|word| word & mask) == Some(bits)
    })
}

/// The integers that nothing changes which is executed after the loop header at `point`, and that make an operation in the
/// loop cheaper if they are known, in ascending order; with what they hold.
fn worth_knowing(
    body: &Body,
    points: &Points,
    point: Point,
    value: impl Fn(Register) -> Option<u64>,
) -> Vec<(Register, u64)> {
    let header = points.position(point).block;
    let reached = reached_from(body, header);
    let mut is_changed = vec![false; body.registers.len()];
    for block in body.block_indices().filter(|block| reached[block.index()]) {
        let defined = body.block(block).instructions.iter().flat_map(Instruction::definitions);
        defined.for_each(|register| is_changed[register.index()] = true);
    }
    let mut found = Vec::new();
    for block in loop_blocks(body, points, header, &reached) {
        each_known_better(body, block, |register, is_better| {
            if !is_changed[register.index()]
                && let Some(bits) = value(register)
                && is_better(bits)
            {
                found.push((register, bits));
            }
        });
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Visits the operands in `block` of operations that are cheaper if these are known and `is_better` holds of them.
fn each_known_better(body: &Body, block: Block, mut visit: impl FnMut(Register, fn(u64) -> bool)) {
    use BinaryOp::{I32DivS, I32DivU, I32Mul, I32RemS, I32RemU, I64DivS, I64DivU, I64Mul, I64RemS, I64RemU};
    let basic_block = body.block(block);
    for instruction in &basic_block.instructions {
        match *instruction {
            Instruction::Binary { op: I32Mul | I64Mul, lhs, rhs, .. } => {
                // A shift, a copy, or nothing. By other numbers a multiplication takes as long.
                [lhs, rhs]
                    .into_iter()
                    .for_each(|factor| visit(factor, |bits| bits & bits.wrapping_sub(1) == 0));
            }
            Instruction::Binary {
                op: I32DivS | I32DivU | I32RemS | I32RemU | I64DivS | I64DivU | I64RemS | I64RemU,
                rhs,
                ..
            } => visit(rhs, |bits| bits != 0),
            Instruction::Select { condition, .. } => visit(condition, |_| true),
            _ => {}
        }
    }
    match basic_block.terminator {
        Terminator::Branch { condition, .. } => visit(condition, |_| true),
        Terminator::Switch { index, .. } => visit(index, |_| true),
        _ => {}
    }
}

/// Per block, whether control gets there from `start`.
fn reached_from(body: &Body, start: Block) -> Vec<bool> {
    let mut reached = vec![false; body.blocks.len()];
    reached[start.index()] = true;
    let mut pending = vec![start];
    while let Some(block) = pending.pop() {
        body.block(block).terminator.each_successor(|next| {
            if !std::mem::replace(&mut reached[next.index()], true) {
                pending.push(next);
            }
        });
    }
    reached
}

/// The blocks in the loop of `header`: of those that it reaches, the ones that lead back to it, inner loops included, but for
/// those of loops that are entered in several places.
fn loop_blocks(body: &Body, points: &Points, header: Block, reached: &[bool]) -> Vec<Block> {
    let mut leads_back = vec![false; body.blocks.len()];
    leads_back[header.index()] = true;
    // Of inner loops, the header is found in the first sweep, and what leads to it by back-edges in the second.
    for _ in 0..2 {
        for &block in points.reverse_postorder().iter().rev().filter(|block| reached[block.index()]) {
            body.block(block).terminator.each_successor(|next| {
                leads_back[block.index()] |= leads_back[next.index()];
            });
        }
    }
    body.block_indices().filter(|block| leads_back[block.index()] && reached[block.index()]).collect()
}

#[cfg(test)]
mod tests {
    use osr_compiler::Analysis;
    use osr_ir::{FunctionIndex, PointKind, Register, wasm};

    use super::worth_knowing;

    /// What is worth knowing in the first loop of a function of `body` if every register holds `bits`.
    fn known(body: &str, bits: u64) -> Vec<u32> {
        let text = format!(
            "(module (func (param $n i32) (param $a i32) (param $b i32) (result i32) (local $x i32)
               (loop $again {body}
                 (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
               (local.get $x)))"
        );
        let module = wasm::import_text(&text).expect("it is valid");
        let body = module.function(FunctionIndex::new(0)).body().expect("it is defined");
        let Analysis { points, .. } = Analysis::of(body);
        let mut headers = points.iter().filter(|&(_, kind, _)| kind == PointKind::LoopHeader);
        let (header, ..) = headers.next().expect("there is a loop");
        let found = worth_knowing(body, &points, header, |_| Some(bits));
        found.into_iter().map(|(register, _): (Register, u64)| register.as_u32()).collect()
    }

    const MULTIPLIES: &str = "(local.set $x (i32.mul (local.get $x) (local.get $a)))";
    const DIVIDES: &str = "(local.set $x (i32.rem_u (local.get $x) (local.get $b)))";

    #[test]
    fn factors_are_if_they_make_shifts_and_divisors_unless_they_are_zero() {
        assert_eq!(known(MULTIPLIES, 8), [1]);
        assert!(known(MULTIPLIES, 7).is_empty());
        assert_eq!(known(DIVIDES, 7), [2]);
        assert!(known(DIVIDES, 0).is_empty());
        assert_eq!(known(&(MULTIPLIES.to_owned() + DIVIDES), 1), [1, 2]);
    }

    #[test]
    fn conditions_are() {
        let branches = "(if (local.get $b) (then (local.set $x (i32.add (local.get $x) (local.get $a)))))";
        assert_eq!(known(branches, 5), [2]);
    }

    #[test]
    fn what_changes_in_the_loop_or_is_used_behind_it_alone_is_not() {
        let changes = "(local.set $x (i32.mul (local.get $a) (local.get $a))) (local.set $a (local.get $x))";
        assert!(known(changes, 8).is_empty());
        assert!(known("(local.set $x (i32.add (local.get $x) (local.get $a)))", 8).is_empty());
    }

    #[test]
    fn inner_loops_are_parts_of_it() {
        let inner = "(loop $inner (local.set $x (i32.mul (local.get $x) (local.get $a)))
            (br_if $inner (i32.rem_u (local.get $x) (local.get $b))))";
        assert_eq!(known(inner, 4), [1, 2]);
    }
}
