//! Points: the numbered program positions of a body.
//!
//! A *point* is where execution can be observed and resumed: the function's entry, each loop header,
//! after each call (of guest code or of the runtime), and where guards exit to. Instructions that may trap have a point
//! too, so that a trap can say where it happened; execution does not resume at those.
//!
//! Numbering is a function of the body alone: point 0 is the entry, then block by block the loop
//! header (if the block is one) and the block's instructions in order; then the exits of the body's guards, by block. In
//! bodies that others were [inlined](crate::inlining) into, their entries can be points as well. A compiler that speculates
//! needs more: the points that [`Points::speculative`] adds come after all of these.

use std::collections::BTreeMap;
use std::fmt;

use crate::body::{Body, Instruction, Terminator};
use crate::index::Block;

crate::index::index!(
    /// The number of a point in its body.
    Point, "p"
);

/// What kind of position a point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PointKind {
    /// Before the first instruction of the function.
    Entry,
    /// Before the first instruction of a block that a back-edge leads to.
    LoopHeader,
    /// After a call: its effects have happened, its results are in their registers.
    AfterCall,
    /// Before the first instruction of a block that a guard exits to; if that is a loop header, arriving at it comes next.
    /// Or before an indirect call.
    Guard,
    /// At an instruction or terminator that may trap. Not resumable.
    Trap,
}

impl PointKind {
    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            PointKind::Entry => "entry",
            PointKind::LoopHeader => "loop header",
            PointKind::AfterCall => "after call",
            PointKind::Trap => "trap",
            PointKind::Guard => "guard",
        }
    }
}

/// Where in a body a point is: *before* the instruction at `index` of `block`, where the terminator
/// counts as the last instruction; for [`PointKind::AfterCall`], *after* it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The block.
    pub block: Block,
    /// The position of the instruction in the block.
    pub index: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.block, self.index)
    }
}

/// The points of a body.
#[derive(Clone, Debug)]
pub struct Points {
    points: Vec<(PointKind, Position)>,
    headers: Vec<Option<Point>>,
    /// The entries of inlined bodies, by block.
    entries: Vec<(Block, Point)>,
    /// The blocks that guards exit to.
    guards: BTreeMap<Block, Point>,
    /// The indirect calls before which there is a point, for guards that stand for them.
    calls: BTreeMap<Position, Point>,
    /// Per block, how many edges go back to it.
    back_edges: Box<[u32]>,
    /// The points of instructions, with their positions in their blocks: block by block, ascending.
    instructions: Vec<(u32, Point)>,
    /// Per block, where its instructions' points begin; then where the last block's end.
    first_instructions: Box<[u32]>,
    /// The blocks that the entry reaches, in a reverse postorder.
    sequence: Box<[Block]>,
    /// Per block, its number in that order; the maximum if the entry does not reach it.
    order: Box<[u32]>,
    is_speculative: bool,
}

impl Points {
    /// Point 0.
    pub fn entry() -> Point {
        Point::new(0)
    }

    /// Numbers the points of `body`.
    pub fn of(body: &Body) -> Points {
        Points::merged(body, &[], false)
    }

    /// Those of a body that others are merged into: the blocks `entered`, in ascending order, are the entries of these. With
    /// the points at which code continues that speculates, if it `is_speculative`.
    pub(crate) fn merged(body: &Body, entered: &[Block], is_speculative: bool) -> Points {
        let mut points = Points::without_guards(body, entered);
        points.add_guards(body, |terminator| match *terminator {
            Terminator::Guard { exit, .. } => vec![exit],
            _ => Vec::new(),
        });
        if is_speculative {
            points.speculate(body);
        }
        points
    }

    fn without_guards(body: &Body, entered: &[Block]) -> Points {
        let sequence: Box<[Block]> = reverse_postorder(body).into();
        let order = order(body, &sequence);
        let back_edges = back_edges(body, &order);
        let mut points = vec![(PointKind::Entry, Position { block: Block::new(Body::ENTRY), index: 0 })];
        let mut headers = vec![None; body.blocks.len()];
        let mut entries = Vec::new();
        let mut instructions = Vec::new();
        let mut first_instructions = Vec::with_capacity(body.blocks.len() + 1);
        let mut add = |kind, block, index| {
            points.push((kind, Position { block, index }));
            Point::new(points.len() - 1)
        };
        for block in body.block_indices() {
            if entered.binary_search(&block).is_ok() {
                entries.push((block, add(PointKind::Entry, block, 0)));
            }
            if back_edges[block.index()] > 0 {
                headers[block.index()] = Some(add(PointKind::LoopHeader, block, 0));
            }
            let basic_block = body.block(block);
            first_instructions.push(instructions.len() as u32);
            for (index, instruction) in basic_block.instructions.iter().enumerate() {
                if instruction.is_call() {
                    instructions.push((index as u32, add(PointKind::AfterCall, block, index)));
                } else if instruction.may_trap() {
                    instructions.push((index as u32, add(PointKind::Trap, block, index)));
                }
            }
            if basic_block.terminator == Terminator::Unreachable {
                let index = basic_block.instructions.len();
                instructions.push((index as u32, add(PointKind::Trap, block, index)));
            }
        }
        first_instructions.push(instructions.len() as u32);
        Points {
            points,
            headers,
            entries,
            guards: BTreeMap::new(),
            calls: BTreeMap::new(),
            back_edges,
            instructions,
            first_instructions: first_instructions.into(),
            sequence,
            order,
            is_speculative: false,
        }
    }

    /// The points of `body`, with the same numbers, and more at which code continues that speculates: the successors of
    /// branches, in the place of which there may be guards; those of guards that hold, since these may be made to fail; the
    /// beginning of the body, where guards look at arguments; before each indirect call, where they compare its target.
    pub fn speculative(body: &Body) -> Points {
        let mut points = Points::merged(body, &[], true);
        for block in body.block_indices() {
            let instructions = body.block(block).instructions.iter().enumerate();
            let is_indirect = |(_, instruction): &(usize, &Instruction)| {
                matches!(instruction, Instruction::CallIndirect { .. })
            };
            for (index, _) in instructions.filter(is_indirect) {
                points.calls.insert(Position { block, index }, Point::new(points.points.len()));
                points.points.push((PointKind::Guard, Position { block, index }));
            }
        }
        points
    }

    fn speculate(&mut self, body: &Body) {
        self.add_guards(body, |terminator| match *terminator {
            Terminator::Branch { if_true, if_false, .. } => vec![if_true, if_false],
            Terminator::Guard { next, .. } => vec![next],
            _ => Vec::new(),
        });
        self.add_guard(Block::new(Body::ENTRY));
        self.is_speculative = true;
    }

    /// Whether the points at which code continues that speculates are among them.
    pub fn is_speculative(&self) -> bool {
        self.is_speculative
    }

    /// Numbers the blocks that `exits` names for some block's terminator, in order, if they have no number yet.
    fn add_guards(&mut self, body: &Body, exits: impl Fn(&Terminator) -> Vec<Block>) {
        let mut blocks: Vec<Block> = body.blocks.iter().flat_map(|block| exits(&block.terminator)).collect();
        blocks.sort_unstable();
        blocks.into_iter().for_each(|block| self.add_guard(block));
    }

    fn add_guard(&mut self, block: Block) {
        self.guards.entry(block).or_insert_with(|| {
            self.points.push((PointKind::Guard, Position { block, index: 0 }));
            Point::new(self.points.len() - 1)
        });
    }

    /// How many points there are.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Never: there is always the entry.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// All points, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Point, PointKind, Position)> + '_ {
        self.points.iter().enumerate().map(|(i, &(kind, position))| (Point::new(i), kind, position))
    }

    /// Whether `point` is one of this body's.
    pub fn contains(&self, point: Point) -> bool {
        point.index() < self.points.len()
    }

    /// The kind of `point`.
    pub fn kind(&self, point: Point) -> PointKind {
        self.points[point.index()].0
    }

    /// Where `point` is.
    pub fn position(&self, point: Point) -> Position {
        self.points[point.index()].1
    }

    /// The point of `block` as a loop header, if it is one.
    pub fn header(&self, block: Block) -> Option<Point> {
        self.headers[block.index()]
    }

    /// The point of `block` as the entry of an inlined body, if it is one.
    pub fn entry_of(&self, block: Block) -> Option<Point> {
        let found = self.entries.binary_search_by_key(&block, |&(entry, _)| entry).ok();
        found.map(|found| self.entries[found].1)
    }

    /// The point at which execution continues that a guard has ended with an exit to `block`, if there is such a guard.
    pub fn guard(&self, block: Block) -> Option<Point> {
        self.guards.get(&block).copied()
    }

    /// The block that guards exit to at `point`, if it is the beginning of one that control is passed to.
    pub fn guard_block(&self, point: Point) -> Option<Block> {
        let block = self.position(point).block;
        (block.index() != Body::ENTRY && self.guard(block) == Some(point)).then_some(block)
    }

    /// The point before the indirect call at `at`, if there is one.
    pub fn before_call(&self, at: Position) -> Option<Point> {
        self.calls.get(&at).copied()
    }

    /// Whether `point` is before an indirect call.
    pub fn is_before_call(&self, point: Point) -> bool {
        self.before_call(self.position(point)) == Some(point)
    }

    /// How many edges go back to `block`, which is a loop header if there are any.
    pub fn back_edges(&self, block: Block) -> u32 {
        self.back_edges[block.index()]
    }

    /// Whether the edge from `from` to `to` goes back in a reverse postorder: then `to` is a loop header.
    pub fn goes_back(&self, from: Block, to: Block) -> bool {
        self.order[to.index()] <= self.order[from.index()]
    }

    /// Whether `one` comes before `other` in that order.
    pub fn goes_before(&self, one: Block, other: Block) -> bool {
        self.order[one.index()] < self.order[other.index()]
    }

    /// The blocks that the entry reaches, each before its successors except along back-edges.
    pub fn reverse_postorder(&self) -> &[Block] {
        &self.sequence
    }

    /// Whether the entry reaches `block`.
    pub fn is_reached(&self, block: Block) -> bool {
        self.order[block.index()] != u32::MAX
    }

    /// The points of the instructions of `block`, and of its terminator, with their positions, ascending.
    pub fn of_block(&self, block: Block) -> &[(u32, Point)] {
        let [first, end] = [0, 1].map(|after| self.first_instructions[block.index() + after] as usize);
        &self.instructions[first..end]
    }

    /// The point of the instruction (or terminator) at `index` of `block`, if it has one.
    pub fn at(&self, block: Block, index: usize) -> Option<Point> {
        let numbered = self.of_block(block);
        numbered.binary_search_by_key(&index, |&(at, _)| at as usize).ok().map(|found| numbered[found].1)
    }
}

/// Per block, how many edges to it do not go forward in a reverse postorder of the blocks: it is a loop header
/// if there are any. Every cycle contains at least one such edge, also where loops are irreducible.
fn back_edges(body: &Body, order: &[u32]) -> Box<[u32]> {
    let mut back_edges = vec![0; body.blocks.len()];
    let reached = body.block_indices().filter(|block| order[block.index()] != u32::MAX);
    for block in reached {
        body.block(block).terminator.each_successor(|successor| {
            back_edges[successor.index()] += u32::from(order[successor.index()] <= order[block.index()]);
        });
    }
    back_edges.into()
}

/// Per block, its number in `sequence`; the maximum if it is not in there.
fn order(body: &Body, sequence: &[Block]) -> Box<[u32]> {
    let mut order = vec![u32::MAX; body.blocks.len()];
    sequence.iter().zip(0..).for_each(|(block, number)| order[block.index()] = number);
    order.into()
}

/// The blocks that the entry reaches, each before its successors except along back-edges.
pub fn reverse_postorder(body: &Body) -> Vec<Block> {
    reverse_postorder_by(body.blocks.len(), |block| &body.block(block).terminator)
}

/// The same of so many `blocks`, each of which has this terminator.
pub(crate) fn reverse_postorder_by<'t>(
    blocks: usize,
    terminator: impl Fn(Block) -> &'t Terminator,
) -> Vec<Block> {
    let successors = |block: Block| terminator(block).successor_count();
    let entry = Block::new(Body::ENTRY);
    let mut seen = vec![false; blocks];
    seen[entry.index()] = true;
    let mut postorder = Vec::with_capacity(blocks);
    // Each with how many of its successors are still to be visited; the last ones come first.
    let mut stack = vec![(entry, successors(entry))];
    while let Some((block, rest)) = stack.last_mut() {
        match rest.checked_sub(1) {
            Some(left) => {
                *rest = left;
                let next = terminator(*block).successor(left);
                if !std::mem::replace(&mut seen[next.index()], true) {
                    stack.push((next, successors(next)));
                }
            }
            None => {
                postorder.push(*block);
                stack.pop();
            }
        }
    }
    postorder.reverse();
    postorder
}
