//! Default maps: a state map between two bodies, from what they have in common.
//!
//! Both bodies are walked together from their entries, instruction by instruction. Where instructions are equal, up to
//! the names of registers, their results correspond from there on, and the points that are passed on both sides are a
//! pair. A jump is no instruction, so it does not matter where blocks end. Where instructions differ, up to
//! [`WINDOW`] instructions are passed over that define registers and do nothing else, on either side; what those of the
//! new body define is known only if it is a constant or a copy. If that does not help, the walk ends there.
//!
//! ```text
//!   old                     new                         known behind it
//!   r1 = i32.const 0        r4 = i32.const 7            r4 = i32.const 7       passed over
//!                           r2 = i32.const 0            r2 = r1
//!   b1: r1 = i32.add r1, r0 b2: r2 = i32.add r2, r0     r2 = r1, r0 = r0
//! ```
//!
//! A pair is mapped if the value of every live register of the new body is known. Where control comes together, what is
//! known is what is known on all paths. Which point means the same as another is a guess, if a good one: maps that are
//! written down are preferred.

use std::collections::{HashMap, HashSet};

use crate::body::{Body, Instruction, Terminator};
use crate::index::{Block, FunctionIndex, Register};
use crate::liveness::Liveness;
use crate::module::Module;
use crate::point::{Point, PointKind, Points};
use crate::state_map::{Expression, ExpressionStep, MapEntry, StateMap};
use crate::value::Type;

/// How many instructions are passed over at once, on both sides together.
pub const WINDOW: usize = 12;

/// A map from the body `from` to the body `to` of one function of `module`, which has been verified. It has no entries
/// if the bodies have nothing in common, or one has vectors, whose activations cannot be carried.
///
/// # Panics
/// If one of them is imported.
pub fn propose(module: &Module, from: FunctionIndex, to: FunctionIndex) -> StateMap {
    let side = |body| Side::of(module.function(body).body().expect("a defined function"));
    let (old, new) = (side(from), side(to));
    if [&old, &new].iter().any(|side| side.body.registers.contains(&Type::V128)) {
        return StateMap { from, to, entries: Vec::new() };
    }
    let mut walk =
        Walk { old, new, blocks: HashMap::new(), pairs: HashMap::new(), pending: vec![], visited: None };
    walk.run();
    // What is known at each pair of blocks is final. Some were met only while more was believed.
    walk.visited = Some(HashSet::new());
    walk.run();
    StateMap { from, to, entries: walk.entries() }
}

/// One of the two bodies.
struct Side<'m> {
    body: &'m Body,
    points: Points,
    liveness: Liveness,
}

impl<'m> Side<'m> {
    fn of(body: &'m Body) -> Side<'m> {
        let points = Points::of(body);
        let liveness = Liveness::of(body, &points);
        Side { body, points, liveness }
    }

    /// Where control is, and the loop headers on the way there, when it goes to `block`: behind jumps that lead to a
    /// block that is no loop header.
    fn arrive(&self, mut block: Block) -> (Place, Option<Point>) {
        let header = self.points.header(block);
        // A cycle of jumps has a loop header.
        while header.is_none()
            && self.body.block(block).instructions.is_empty()
            && let Terminator::Jump { target } = self.body.block(block).terminator
            && self.points.header(target).is_none()
        {
            block = target;
        }
        (Place { block, index: 0 }, header)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    block: Block,
    index: usize,
}

/// What registers of the new body hold: a register of the old body, or a constant.
type Known = HashMap<Register, ExpressionStep>;

struct Walk<'m> {
    old: Side<'m>,
    new: Side<'m>,
    /// Per pair of blocks that control arrives at together, what is known there.
    blocks: HashMap<(Block, Block), Known>,
    /// Per point of the old body its counterpart, and what is known there.
    pairs: HashMap<Point, (Point, Known)>,
    pending: Vec<(Block, Block)>,
    /// The pairs of blocks that control arrives at with what is known in the end; `None` while that is being found out.
    visited: Option<HashSet<(Block, Block)>>,
}

impl Walk<'_> {
    fn run(&mut self) {
        let entry = Block::new(Body::ENTRY);
        let parameters = self.old.liveness.at(Points::entry());
        let known: Known =
            parameters.iter().map(|&parameter| (parameter, ExpressionStep::Register(parameter))).collect();
        self.pair(Points::entry(), Points::entry(), &known);
        self.flow((entry, entry), known);
        while let Some((old, new)) = self.pending.pop() {
            let known = self.blocks[&(old, new)].clone();
            self.blocks_together(old, new, known);
        }
    }

    /// Control goes to a pair of blocks, where so much is known.
    fn flow(&mut self, blocks: (Block, Block), known: Known) {
        if let Some(visited) = &mut self.visited {
            if visited.insert(blocks) {
                self.pending.push(blocks);
            }
            return;
        }
        match self.blocks.get_mut(&blocks) {
            None => {
                self.blocks.insert(blocks, known);
                self.pending.push(blocks);
            }
            Some(before) => {
                let count = before.len();
                before.retain(|register, value| known.get(register) == Some(value));
                if before.len() < count && !self.pending.contains(&blocks) {
                    self.pending.push(blocks);
                }
            }
        }
    }

    /// Both bodies are at a point.
    fn pair(&mut self, old: Point, new: Point, known: &Known) {
        if self.visited.is_none() {
            return;
        }
        // Visited again, less is known. With a second counterpart it is not a pair.
        let (counterpart, before) = self.pairs.entry(old).or_insert_with(|| (new, known.clone()));
        if *counterpart == new {
            before.retain(|register, value| known.get(register) == Some(value));
        } else {
            before.clear();
        }
    }

    fn blocks_together(&mut self, old: Block, new: Block, mut known: Known) {
        let (mut old, mut new) = (Place { block: old, index: 0 }, Place { block: new, index: 0 });
        loop {
            let (old_left, new_left) = (self.left(&self.old, &mut old), self.left(&self.new, &mut new));
            match (old_left, new_left) {
                (Some(one), Some(other)) if self.are_equal(one, other, &known) => {
                    self.step(one, other, &mut known);
                    if one.is_call() {
                        let points = (
                            self.old.points.at(old.block, old.index),
                            self.new.points.at(new.block, new.index),
                        );
                        let (Some(one), Some(other)) = points else { unreachable!("calls have points") };
                        self.pair(one, other, &known);
                    }
                    (old.index, new.index) = (old.index + 1, new.index + 1);
                }
                (None, None) => match self.leave(old, new, &known) {
                    Some(()) => return,
                    None if !self.pass_over(&mut old, &mut new, &mut known) => return,
                    None => {}
                },
                _ if !self.pass_over(&mut old, &mut new, &mut known) => return,
                _ => {}
            }
        }
    }

    /// The instruction at `place`, which is moved on over jumps to blocks that are no loop headers.
    fn left<'b>(&self, side: &Side<'b>, place: &mut Place) -> Option<&'b Instruction> {
        loop {
            let block = side.body.block(place.block);
            if let Some(instruction) = block.instructions.get(place.index) {
                return Some(instruction);
            }
            match block.terminator {
                Terminator::Jump { target } if side.points.header(target).is_none() => {
                    *place = Place { block: target, index: 0 };
                }
                _ => return None,
            }
        }
    }

    /// Whether the instructions do the same with what corresponds.
    fn are_equal(&self, one: &Instruction, other: &Instruction, known: &Known) -> bool {
        if std::mem::discriminant(one) != std::mem::discriminant(other)
            || one.definitions().len() != other.definitions().len()
        {
            return false;
        }
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        one.each_use(|register| ours.push(register));
        other.each_use(|register| theirs.push(register));
        ours.len() == theirs.len()
            && ours.iter().zip(&theirs).all(|(old, new)| corresponds(*old, *new, known))
            && unnamed(one) == unnamed(other)
    }

    /// Both have executed equal instructions.
    fn step(&self, one: &Instruction, other: &Instruction, known: &mut Known) {
        forget(known, one.definitions(), other.definitions());
        for (old, new) in one.definitions().iter().zip(other.definitions()) {
            known.insert(*new, ExpressionStep::Register(*old));
        }
    }

    /// Passes over as few instructions as possible on both sides, up to where they do the same. False if there is no
    /// such place.
    fn pass_over(&self, old: &mut Place, new: &mut Place, known: &mut Known) -> bool {
        for total in 1..=WINDOW {
            for from_old in 0..=total {
                let mut attempt = (*old, *new, known.clone());
                if self.pass(&mut attempt, from_old, total - from_old) {
                    (*old, *new, *known) = attempt;
                    return true;
                }
            }
        }
        false
    }

    fn pass(&self, (old, new, known): &mut (Place, Place, Known), from_old: usize, from_new: usize) -> bool {
        for _ in 0..from_old {
            let Some(instruction) = self.left(&self.old, old).filter(|it| it.only_defines()) else {
                return false;
            };
            forget(known, instruction.definitions(), &[]);
            old.index += 1;
        }
        for _ in 0..from_new {
            let Some(instruction) = self.left(&self.new, new).filter(|it| it.only_defines()) else {
                return false;
            };
            let value = match instruction {
                Instruction::Const { value, .. } => Some(ExpressionStep::Constant(*value)),
                Instruction::Copy { src, .. } => known.get(src).copied(),
                _ => None,
            };
            forget(known, &[], instruction.definitions());
            if let Some(value) = value {
                known.insert(instruction.definitions()[0], value);
            }
            new.index += 1;
        }
        match (self.left(&self.old, old), self.left(&self.new, new)) {
            (Some(one), Some(other)) => self.are_equal(one, other, known),
            (None, None) => {
                let [one, other] = [(&self.old, *old), (&self.new, *new)]
                    .map(|(side, place)| &side.body.block(place.block).terminator);
                do_the_same(one, other, known)
            }
            _ => false,
        }
    }

    /// Both are at terminators: control goes to the pairs of successors. `None` if the terminators do different things.
    fn leave(&mut self, old: Place, new: Place, known: &Known) -> Option<()> {
        let [one, other] = [(&self.old, old), (&self.new, new)]
            .map(|(side, place)| &side.body.block(place.block).terminator);
        if !do_the_same(one, other, known) {
            return None;
        }
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        one.each_successor(|block| ours.push(block));
        other.each_successor(|block| theirs.push(block));
        for (one, other) in ours.into_iter().zip(theirs) {
            let ((old, old_header), (new, new_header)) = (self.old.arrive(one), self.new.arrive(other));
            match (old_header, new_header) {
                (Some(one), Some(other)) => self.pair(one, other, known),
                (None, None) => {}
                _ => continue,
            }
            self.flow((old.block, new.block), known.clone());
        }
        Some(())
    }

    /// The entries for the pairs at which everything is known that is live.
    fn entries(&self) -> Vec<MapEntry> {
        let mut entries: Vec<MapEntry> = self
            .pairs
            .iter()
            .filter_map(|(&from, (to, known))| {
                if self.old.points.kind(from) != self.new.points.kind(*to)
                    || self.old.points.kind(from) == PointKind::Trap
                {
                    return None;
                }
                let is_held = |step: &ExpressionStep| match step {
                    ExpressionStep::Register(register) => {
                        self.old.liveness.at(from).binary_search(register).is_ok()
                    }
                    _ => true,
                };
                let value = |&register: &Register| {
                    let step = known.get(&register).copied().filter(is_held)?;
                    Some((register, Expression([step].into())))
                };
                let values = self.new.liveness.at(*to).iter().map(value).collect::<Option<Vec<_>>>()?;
                Some(MapEntry { from, to: *to, values })
            })
            .collect();
        entries.sort_unstable_by_key(|entry| entry.from);
        entries
    }
}

/// Whether a register of the new body holds what `old` holds.
fn corresponds(old: Register, new: Register, known: &Known) -> bool {
    known.get(&new) == Some(&ExpressionStep::Register(old))
}

/// Registers were written: nothing is known of the new ones, and nothing of what was in the old ones.
fn forget(known: &mut Known, old: &[Register], new: &[Register]) {
    let is_gone =
        |step: &ExpressionStep| matches!(step, ExpressionStep::Register(register) if old.contains(register));
    known.retain(|register, step| !new.contains(register) && !is_gone(step));
}

/// The instruction without the names of its registers.
fn unnamed(instruction: &Instruction) -> Instruction {
    let mut instruction = instruction.clone();
    instruction.rename(|_| Register::new(0));
    instruction
}

/// Whether control goes on in the same way, if what corresponds is equal.
fn do_the_same(one: &Terminator, other: &Terminator, known: &Known) -> bool {
    use Terminator as T;
    match (one, other) {
        (T::Jump { .. }, T::Jump { .. }) | (T::Unreachable, T::Unreachable) => true,
        (T::Branch { condition: old, .. }, T::Branch { condition: new, .. }) => {
            corresponds(*old, *new, known)
        }
        (T::Switch { index: old, targets, .. }, T::Switch { index: new, targets: others, .. }) => {
            corresponds(*old, *new, known) && targets.len() == others.len()
        }
        (T::Return { values }, T::Return { values: others }) => {
            values.iter().zip(others).all(|(old, new)| corresponds(*old, *new, known))
        }
        _ => false,
    }
}
