//! Liveness: the registers that a frame state must hold at each point.
//!
//! A register is live at a point if some path from there reads it before writing it. The classic
//! backward dataflow over bit sets, one set per block, then one backward pass per block that
//! records the set at each of the block's points.

use std::cmp::Reverse;

use crate::body::{Body, Instruction};
use crate::index::{Block, Register};
use crate::point::{Point, PointKind, Points, Position};

/// The live registers at each point of a body.
#[derive(Clone, Debug)]
pub struct Liveness {
    /// Per point, sorted.
    at_point: Vec<Box<[Register]>>,
    live_in: Vec<RegisterSet>,
}

impl Liveness {
    /// Computes liveness of `body`, whose points are `points`.
    pub fn of(body: &Body, points: &Points) -> Liveness {
        let live_in = solve(body, points);
        let mut at_point = vec![Box::default(); points.len()];
        for block in body.block_indices() {
            record_block(body, points, block, &live_in, &mut at_point);
        }
        at_point[Points::entry().index()] = live_in[Body::ENTRY].iter().collect();
        Liveness { at_point, live_in }
    }

    /// Liveness of `body` where it is known already which registers are live at each of its points, in ascending order.
    pub(crate) fn with_points(body: &Body, points: &Points, at_point: Vec<Box<[Register]>>) -> Liveness {
        Liveness { at_point, live_in: solve(body, points) }
    }

    /// The registers live at `point`, in ascending order: where execution *resumes*, so that after a
    /// call its results count and its arguments only if they are read again.
    pub fn at(&self, point: Point) -> &[Register] {
        &self.at_point[point.index()]
    }

    /// The registers live where `block` begins.
    pub fn live_in(&self, block: Block) -> &RegisterSet {
        &self.live_in[block.index()]
    }
}

fn record_block(
    body: &Body,
    points: &Points,
    block: Block,
    live_in: &[RegisterSet],
    at_point: &mut [Box<[Register]>],
) {
    let basic_block = body.block(block);
    let mut live = live_out(body, block, live_in);
    let mut before_calls: Vec<(Point, Box<[Register]>)> = Vec::new();
    let mut record = |live: &RegisterSet, index: usize, kind: PointKind| {
        if let Some(point) = points.at(block, index)
            && points.kind(point) == kind
        {
            at_point[point.index()] = live.iter().collect();
        }
    };
    basic_block.terminator.each_use(|register| live.insert(register));
    record(&live, basic_block.instructions.len(), PointKind::Trap);
    for (index, instruction) in basic_block.instructions.iter().enumerate().rev() {
        record(&live, index, PointKind::AfterCall);
        step_backward(instruction, &mut live);
        record(&live, index, PointKind::Trap);
        if let Some(point) = points.before_call(Position { block, index }) {
            before_calls.push((point, live.iter().collect()));
        }
    }
    before_calls.into_iter().for_each(|(point, live)| at_point[point.index()] = live);
    if let Some(header) = points.header(block) {
        at_point[header.index()] = live.iter().collect();
    }
    if let Some(guard) = points.guard(block) {
        at_point[guard.index()] = live.iter().collect();
    }
}

/// The fixed point, by sweeps from successors to predecessors. In a sweep each block is visited once at most, however many
/// of its successors have changed: bodies with giant switches take linear time. There are as many sweeps as loops are
/// nested, and two more.
fn solve(body: &Body, points: &Points) -> Vec<RegisterSet> {
    let empty = RegisterSet::new(body.registers.len());
    let mut live_in = vec![empty; body.blocks.len()];
    let mut predecessors = vec![Vec::new(); body.blocks.len()];
    for block in body.block_indices() {
        body.block(block).terminator.each_successor(|successor| predecessors[successor.index()].push(block));
    }
    let mut order: Vec<Block> = body.block_indices().collect();
    order.sort_by_key(|&block| Reverse(points.order(block)));
    let mut is_due = vec![true; body.blocks.len()];
    let mut is_stable = false;
    while !is_stable {
        is_stable = true;
        for &block in &order {
            if !std::mem::take(&mut is_due[block.index()]) {
                continue;
            }
            let mut live = live_out(body, block, &live_in);
            body.block(block).terminator.each_use(|register| live.insert(register));
            for instruction in body.block(block).instructions.iter().rev() {
                step_backward(instruction, &mut live);
            }
            if live != live_in[block.index()] {
                live_in[block.index()] = live;
                predecessors[block.index()].iter().for_each(|block| is_due[block.index()] = true);
                is_stable = false;
            }
        }
    }
    live_in
}

fn live_out(body: &Body, block: Block, live_in: &[RegisterSet]) -> RegisterSet {
    let mut live = RegisterSet::new(body.registers.len());
    body.block(block).terminator.each_successor(|successor| live.union(&live_in[successor.index()]));
    live
}

fn step_backward(instruction: &Instruction, live: &mut RegisterSet) {
    instruction.definitions().iter().for_each(|register| live.remove(*register));
    instruction.each_use(|register| live.insert(register));
}

/// A set of registers of one body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegisterSet {
    words: Vec<u64>,
}

impl RegisterSet {
    /// An empty set for a body of `registers` registers.
    pub fn new(registers: usize) -> RegisterSet {
        RegisterSet { words: vec![0; registers.div_ceil(64)] }
    }

    /// A set of all `registers` registers of a body.
    pub fn full(registers: usize) -> RegisterSet {
        let mut set = RegisterSet::new(registers);
        (0..registers).for_each(|register| set.insert(Register::new(register)));
        set
    }

    /// Adds `register`.
    pub fn insert(&mut self, register: Register) {
        self.words[register.index() / 64] |= 1 << (register.index() % 64);
    }

    /// Takes `register` out.
    pub fn remove(&mut self, register: Register) {
        self.words[register.index() / 64] &= !(1 << (register.index() % 64));
    }

    /// Whether `register` is in the set.
    pub fn contains(&self, register: Register) -> bool {
        self.words[register.index() / 64] >> (register.index() % 64) & 1 == 1
    }

    /// Adds all of `other`.
    pub fn union(&mut self, other: &RegisterSet) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, more)| *word |= more);
    }

    /// Keeps only what is in `other` too.
    pub fn intersect(&mut self, other: &RegisterSet) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, keep)| *word &= keep);
    }

    /// The members, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Register> + '_ {
        self.words.iter().enumerate().flat_map(|(i, &word)| {
            std::iter::successors((word != 0).then_some(word), |rest| {
                let next = rest & (rest - 1);
                (next != 0).then_some(next)
            })
            .map(move |rest| Register::new(i * 64 + rest.trailing_zeros() as usize))
        })
    }
}
