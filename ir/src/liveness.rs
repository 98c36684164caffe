//! Liveness: the registers that a frame state must hold at each point.
//!
//! A register is live at a point if some path from there reads it before writing it. The classic
//! backward dataflow over bit sets, one set per block, then one backward pass per block that
//! records the set at each of the block's points.

use std::ops::Range;

use smallvec::SmallVec;

use crate::body::{Body, Instruction};
use crate::index::{Block, Register};
use crate::point::{Point, PointKind, Points, Position};

/// The live registers at each point of a body.
#[derive(Clone, Debug, Default)]
pub struct Liveness {
    /// Per point, which of `registers` are its own.
    at_point: Vec<Range<u32>>,
    /// The registers at all points; at each they are sorted.
    registers: Vec<Register>,
    live_in: Vec<RegisterSet>,
}

impl Liveness {
    /// Computes liveness of `body`, whose points are `points`.
    pub fn of(body: &Body, points: &Points) -> Liveness {
        let live_in = solve(body, points);
        let mut liveness = Liveness { at_point: vec![0..0; points.len()], registers: Vec::new(), live_in };
        for block in body.block_indices() {
            liveness.record_block(body, points, block);
        }
        let at_entry = liveness.live_in[Body::ENTRY].clone();
        liveness.record(Points::entry(), at_entry.iter());
        liveness
    }

    /// Liveness of `body` where it is known already which registers are live at each of its points, in ascending order.
    pub(crate) fn with_points(body: &Body, points: &Points, at_point: &[Box<[Register]>]) -> Liveness {
        let live_in = solve(body, points);
        let mut liveness = Liveness { at_point: vec![0..0; points.len()], registers: Vec::new(), live_in };
        for (point, live) in at_point.iter().enumerate() {
            liveness.record(Point::new(point), live.iter().copied());
        }
        liveness
    }

    /// The registers live at `point`, in ascending order: where execution *resumes*, so that after a
    /// call its results count and its arguments only if they are read again.
    pub fn at(&self, point: Point) -> &[Register] {
        let Range { start, end } = self.at_point[point.index()];
        &self.registers[start as usize..end as usize]
    }

    /// The registers live where `block` begins.
    pub fn live_in(&self, block: Block) -> &RegisterSet {
        &self.live_in[block.index()]
    }

    fn record(&mut self, point: Point, live: impl Iterator<Item = Register>) {
        let start = self.registers.len();
        self.registers.extend(live);
        let number = |length: usize| u32::try_from(length).expect("bodies are smaller");
        self.at_point[point.index()] = number(start)..number(self.registers.len());
    }

    fn record_block(&mut self, body: &Body, points: &Points, block: Block) {
        let basic_block = body.block(block);
        let mut live = live_out(body, block, &self.live_in);
        let mut numbered = points.of_block(block).iter().rev().peekable();
        let mut point_at =
            |index| numbered.next_if(|&&(at, _)| at as usize == index).map(|&(_, point)| point);
        basic_block.terminator.each_use(|register| live.insert(register));
        if let Some(point) = point_at(basic_block.instructions.len()) {
            self.record(point, live.iter());
        }
        for (index, instruction) in basic_block.instructions.iter().enumerate().rev() {
            let point = point_at(index);
            let is_after = point.is_some_and(|point| points.kind(point) == PointKind::AfterCall);
            if let Some(point) = point.filter(|_| is_after) {
                self.record(point, live.iter());
            }
            step_backward(instruction, &mut live);
            if let Some(point) = point.filter(|_| !is_after) {
                self.record(point, live.iter());
            }
            if is_after && let Some(point) = points.before_call(Position { block, index }) {
                self.record(point, live.iter());
            }
        }
        for point in [points.header(block), points.guard(block)].into_iter().flatten() {
            self.record(point, live.iter());
        }
    }
}

/// The fixed point, by sweeps from successors to predecessors. In a sweep each block is visited once at most, however many
/// of its successors have changed: bodies with giant switches take linear time. There are as many sweeps as loops are
/// nested, and two more. Instructions are read once, before the first.
fn solve(body: &Body, points: &Points) -> Vec<RegisterSet> {
    let mut flow = Flow::of(body);
    let predecessors = Predecessors::of(body);
    let unreached = body.block_indices().filter(|&block| !points.is_reached(block));
    let order: Vec<Block> = unreached.chain(points.reverse_postorder().iter().rev().copied()).collect();
    let mut is_due = vec![true; body.blocks.len()];
    let mut is_stable = false;
    while !is_stable {
        is_stable = true;
        for &block in &order {
            if !std::mem::take(&mut is_due[block.index()]) {
                continue;
            }
            let mut has_changed = false;
            body.block(block).terminator.each_successor(|next| has_changed |= flow.pass(block, next));
            if has_changed {
                predecessors.of_block(block).iter().for_each(|block| is_due[block.index()] = true);
                is_stable = false;
            }
        }
    }
    flow.into_sets(body.blocks.len())
}

/// What flows through blocks, backward: a set for each, of so many words.
struct Flow {
    words: usize,
    /// Of each block, what is live where it begins: at first what it reads before it writes it.
    live: Vec<u64>,
    /// What is live where the block begins if it is where it ends: what it does not write.
    passed: Vec<u64>,
}

impl Flow {
    fn of(body: &Body) -> Flow {
        let words = body.registers.len().div_ceil(64);
        let mut flow = Flow {
            words,
            live: vec![0; words * body.blocks.len()],
            passed: vec![u64::MAX; words * body.blocks.len()],
        };
        for (number, block) in body.blocks.iter().enumerate() {
            let live = &mut flow.live[number * words..][..words];
            let passed = &mut flow.passed[number * words..][..words];
            let place = |register: Register| (register.index() / 64, 1 << (register.index() % 64));
            block.terminator.each_use(|register| {
                let (word, bit) = place(register);
                live[word] |= bit;
            });
            for instruction in block.instructions.iter().rev() {
                for &register in instruction.definitions() {
                    let (word, bit) = place(register);
                    live[word] &= !bit;
                    passed[word] &= !bit;
                }
                instruction.each_use(|register| {
                    let (word, bit) = place(register);
                    live[word] |= bit;
                });
            }
        }
        flow
    }

    /// Control may get from `block` to `next`. Whether more is live in `block` by that.
    fn pass(&mut self, block: Block, next: Block) -> bool {
        let [block, next] = [block, next].map(|block| block.index() * self.words);
        (0..self.words).fold(false, |has_changed, word| {
            let before = self.live[block + word];
            let live = before | self.live[next + word] & self.passed[block + word];
            self.live[block + word] = live;
            has_changed | (live != before)
        })
    }

    fn into_sets(self, blocks: usize) -> Vec<RegisterSet> {
        let set = |block: usize| RegisterSet::of_words(&self.live[block * self.words..][..self.words]);
        (0..blocks).map(set).collect()
    }
}

/// The blocks that edges come from.
struct Predecessors {
    /// Block by block.
    blocks: Vec<Block>,
    /// Per block, where its predecessors end, and those of the next begin.
    ends: Vec<u32>,
}

impl Predecessors {
    fn of(body: &Body) -> Predecessors {
        let mut ends = vec![0; body.blocks.len()];
        let each_edge = |visit: &mut dyn FnMut(Block, Block)| {
            for block in body.block_indices() {
                body.block(block).terminator.each_successor(|successor| visit(block, successor));
            }
        };
        each_edge(&mut |_, successor| ends[successor.index()] += 1);
        let mut sum = 0;
        for end in &mut ends {
            sum += std::mem::replace(end, sum);
        }
        // Each begin moves to its end as its list is filled.
        let mut blocks = vec![Block::new(Body::ENTRY); sum as usize];
        each_edge(&mut |block, successor| {
            let end = &mut ends[successor.index()];
            blocks[*end as usize] = block;
            *end += 1;
        });
        Predecessors { blocks, ends }
    }

    fn of_block(&self, block: Block) -> &[Block] {
        let begin = block.index().checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.blocks[begin as usize..self.ends[block.index()] as usize]
    }
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
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RegisterSet {
    /// Most bodies have few registers.
    words: SmallVec<[u64; 2]>,
}

impl Clone for RegisterSet {
    fn clone(&self) -> RegisterSet {
        RegisterSet { words: SmallVec::from_slice(&self.words) }
    }

    fn clone_from(&mut self, other: &RegisterSet) {
        self.words.clear();
        self.words.extend_from_slice(&other.words);
    }
}

impl RegisterSet {
    /// An empty set for a body of `registers` registers.
    pub fn new(registers: usize) -> RegisterSet {
        RegisterSet { words: SmallVec::from_elem(0, registers.div_ceil(64)) }
    }

    fn of_words(words: &[u64]) -> RegisterSet {
        RegisterSet { words: SmallVec::from_slice(words) }
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
