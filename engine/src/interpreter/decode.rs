//! From a body to [`Code`]: lays out the blocks in order and resolves branches.

use std::cell::UnsafeCell;
use std::cmp::Reverse;

use osr_compiler::calling_convention::CallLayout;
use osr_ir::{Block, Body, FunctionIndex, FunctionKind, Point, PointKind};

use super::code::{Code, HEADER_WORDS};
use super::lists::AT_ONCE;
use super::machine::Step;
use super::op::{AccountAddress, CounterAddress, Op, Slot};
use super::patch;
use super::select::Selector;
use crate::instance::Instance;
use crate::settings::Tier;
use crate::tiering::{self, NEVER};

/// The interpreter's code of `function`.
#[cold]
pub(super) fn decode(instance: &Instance, function: FunctionIndex) -> Code {
    let module = instance.module();
    let code = match &module.function(function).kind {
        FunctionKind::Import(_) => import(instance, function, instance.layout_of(function)),
        FunctionKind::Defined(body) => Layout::of(instance, function, body).code(body),
    };
    if instance.bodies().is_redefined() {
        patch::adapt(&code, instance);
    }
    code
}

/// What makes operations into steps of code.
fn step_of(instance: &Instance) -> fn(Op) -> Step {
    if instance.settings().guest_frames { Step::listed } else { Step::new }
}

/// An imported function: one operation, and the return.
fn import(instance: &Instance, function: FunctionIndex, layout: &CallLayout) -> Code {
    let leave = if layout.results.len() == 1 { Op::Return1 { src: 0 } } else { Op::Return0 {} };
    Code {
        function,
        steps: Box::new([Op::Host {}, leave].map(step_of(instance)).map(UnsafeCell::new)),
        frame_words: layout.parameters.len().max(layout.results.len()).max(AT_ONCE),
        starts: Box::new([0]),
        traps: Box::default(),
        instructions: Box::default(),
    }
}

/// Where `body` charges long ways, last block first: nowhere, if nothing tiers up.
fn passages(instance: &Instance, function: FunctionIndex, body: &Body) -> Vec<(Block, u32)> {
    if instance.threshold(Tier::Interpreter) == NEVER {
        return Vec::new();
    }
    let points = instance.points(function);
    let mut passages = tiering::passages(body, points, || instance.work(function));
    passages.sort_unstable_by_key(|&(block, _)| Reverse(block));
    passages
}

/// Operations of the blocks laid out so far.
struct Layout<'a> {
    selector: Selector<'a>,
    step: fn(Op) -> Step,
    function: FunctionIndex,
    counter: CounterAddress,
    account: AccountAddress,
    /// The blocks where a long way is charged, last first, as they are laid out.
    passages: Vec<(Block, u32)>,
    frame_words: usize,
    ops: Vec<Op>,
    starts: Vec<u32>,
    traps: Vec<(u32, Point)>,
    /// Per block, its first operation.
    blocks: Vec<u32>,
    /// Operations that jump, and the block they jump to.
    jumps: Vec<(u32, Block)>,
}

impl<'a> Layout<'a> {
    fn of(instance: &'a Instance, function: FunctionIndex, body: &'a Body) -> Layout<'a> {
        let analysis = instance.analysis(function);
        let words = analysis.words.count();
        assert!(words <= usize::from(Slot::MAX) + 1, "the registers of {function} take {words} words");
        let results = instance.layout_of(function).results.len();
        let frame_words = words + if results > 1 { results } else { 0 };
        let frame_words = frame_words.max(results).max(AT_ONCE);
        Layout {
            step: step_of(instance),
            selector: Selector::new(instance, function, analysis, frame_words + HEADER_WORDS),
            function,
            counter: CounterAddress::of(&instance.function(function).counter),
            account: AccountAddress::of(&instance.function(function).account),
            passages: passages(instance, function, body),
            frame_words,
            ops: Vec::with_capacity(body.instruction_count()),
            starts: vec![Code::NOWHERE; analysis.points.len()],
            traps: Vec::new(),
            blocks: Vec::with_capacity(body.blocks.len()),
            jumps: Vec::new(),
        }
    }

    fn code(mut self, body: &Body) -> Code {
        for block in body.block_indices() {
            self.block(block);
        }
        self.resolve_jumps();
        self.starts[0] = 0;
        Code {
            function: self.function,
            steps: self.ops.into_iter().map(self.step).map(UnsafeCell::new).collect(),
            frame_words: self.frame_words,
            starts: self.starts.into(),
            traps: self.traps.into(),
            instructions: self.selector.instructions.into(),
        }
    }

    fn block(&mut self, block: Block) {
        self.blocks.push(self.ops.len() as u32);
        if let Some(point) = self.selector.analysis.points.guard(block) {
            self.starts[point.index()] = self.ops.len() as u32;
        }
        if let Some(point) = self.selector.analysis.points.header(block) {
            self.ops.push(Op::LoopHeader { point: point.as_u32(), counter: self.counter });
            self.starts[point.index()] = self.ops.len() as u32;
        }
        if let Some((_, work)) = self.passages.pop_if(|(at, _)| *at == block) {
            self.ops.push(Op::Passage { work, account: self.account });
        }
        let analysis = self.selector.analysis;
        let selected = self.selector.select(block);
        let begin = self.ops.len() as u32;
        let end = begin + selected.ops.len() as u32;
        self.ops.extend(selected.ops.iter().rev());
        for &(following, point) in &selected.resumes {
            debug_assert!(matches!(analysis.points.kind(point), PointKind::AfterCall | PointKind::Guard));
            self.starts[point.index()] = end - following;
        }
        self.traps
            .extend(selected.traps.iter().rev().map(|&(following, point)| (end - 1 - following, point)));
        self.jumps.extend(selected.jumps.iter().map(|&(following, block)| (end - 1 - following, block)));
    }

    fn resolve_jumps(&mut self) {
        for &(op, block) in &self.jumps {
            let distance = i64::from(self.blocks[block.index()]) - i64::from(op);
            let bytes =
                i32::try_from(distance * size_of::<Step>() as i64).expect("a body of less than 2 GiB");
            *self.ops[op as usize].target_mut().expect("a jump") = bytes;
        }
    }
}
