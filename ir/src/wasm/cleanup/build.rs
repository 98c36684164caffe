//! Building the body: what is left of the code, with the registers that something uses.

use super::super::code::Code;
use super::graph::Graph;
use super::usage::Usage;
use crate::body::{BasicBlock, Body, Instruction, Terminator};
use crate::index::{Block, Register};
use crate::value::{Type, Value};

/// The body that `code` is without what `is_dead`, and by block where its instructions and its terminator come from, if that
/// is wanted. The first `parameters` of the `registers` stay.
pub(super) fn body(
    code: Code,
    graph: &Graph,
    usage: &Usage,
    is_dead: &[bool],
    (registers, parameters): (Vec<Type>, usize),
) -> (Body, Vec<Vec<u32>>) {
    let Code { mut instructions, blocks: mut drafts, offsets, .. } = code;
    let (names, registers) = names(usage, registers, parameters);
    let mut blocks = Vec::with_capacity(graph.blocks.len());
    let (mut origins, mut kept) = (Vec::new(), Vec::new());
    for (number, &draft) in graph.blocks.iter().enumerate() {
        let parts = graph.parts(&drafts, Block::new(number)).flatten();
        kept.clear();
        kept.extend(parts.filter(|&index| !is_dead[index]));
        let zeroes = if number == Body::ENTRY { &usage.zeroes[..] } else { &[] };
        let mut block = BasicBlock {
            instructions: Vec::with_capacity(zeroes.len() + kept.len()),
            terminator: std::mem::replace(&mut drafts[draft.index()].terminator, Terminator::Unreachable),
        };
        if offsets.is_wanted() {
            let of_block = offsets.of_block(&kept, draft);
            let first = std::iter::repeat_n(of_block[0], zeroes.len());
            origins.push(first.chain(of_block.iter().copied()).collect());
        }
        let ty = |register: Register| Value::zero(registers[names.name(register).index()]);
        block.instructions.extend(zeroes.iter().map(|&dst| Instruction::Const { dst, value: ty(dst) }));
        // Something small is left in the list.
        let moved =
            kept.iter().map(|&index| std::mem::replace(&mut instructions[index], Instruction::Interpret));
        block.instructions.extend(moved);
        names.rename(&mut block);
        blocks.push(block);
    }
    (Body { registers, blocks }, origins)
}

/// The names that registers have in the body; none if they keep theirs.
struct Names(Option<Vec<Register>>);

/// Drops the registers that nothing mentions, but the first `parameters`: how the others are called, and their types.
fn names(usage: &Usage, registers: Vec<Type>, parameters: usize) -> (Names, Vec<Type>) {
    let is_used = |number: usize| number < parameters || usage.mentions[number] > 0;
    if (0..registers.len()).all(is_used) {
        return (Names(None), registers);
    }
    let mut names = Vec::with_capacity(registers.len());
    let mut kept = Vec::with_capacity(registers.len());
    for (number, ty) in registers.into_iter().enumerate() {
        names.push(Register::new(kept.len()));
        kept.extend(is_used(number).then_some(ty));
    }
    (Names(Some(names)), kept)
}

impl Names {
    fn name(&self, register: Register) -> Register {
        self.0.as_ref().map_or(register, |names| names[register.index()])
    }

    fn rename(&self, block: &mut BasicBlock) {
        let Some(names) = &self.0 else { return };
        let rename = |register: Register| names[register.index()];
        block.instructions.iter_mut().for_each(|instruction| instruction.rename(rename));
        block.terminator.rename(rename);
    }
}
