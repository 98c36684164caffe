//! The body as a graph of its instructions, and what can be asked of its paths.
//!
//! Registers are words here, as they are in frame maps: a vector is two, which are read and written together.
//!
//! A *node* is a moment: before an instruction (the terminator is the last of its block). Edges lead to
//! the moments after it. Everything here is a search along edges, one register or one point at a time.

use std::collections::{BTreeMap, BTreeSet};

use osr_ir::{Block, Body, Instruction, Point, PointKind, Points, Register, Terminator, Type, WordLayout};

/// The moment before an instruction.
pub(super) type Node = usize;

/// A body's nodes.
#[derive(Debug)]
pub(super) struct Graph<'b> {
    pub(super) body: &'b Body,
    pub(super) points: Points,
    pub(super) words: WordLayout,
    /// Per block, its first node.
    starts: Vec<Node>,
    /// Per node, its block and its place there.
    places: Vec<(usize, usize)>,
    successors: Vec<Vec<Node>>,
    predecessors: Vec<Vec<Node>>,
    /// Per register, whether it is live at each node.
    live: Vec<Vec<bool>>,
}

/// A moment from which code continues.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    /// Which.
    pub(super) node: Node,
    /// Whether a poll there is still to come.
    pub(super) polls: bool,
}

/// The points at which compiled code may be seen next, each with the registers that some path there
/// leaves alone.
pub(super) type Ahead = BTreeMap<Point, BTreeSet<Register>>;

impl<'b> Graph<'b> {
    /// The graph of `body`.
    pub(super) fn of(body: &'b Body) -> Graph<'b> {
        let mut starts = Vec::new();
        let mut places = Vec::new();
        for (number, block) in body.blocks.iter().enumerate() {
            starts.push(places.len());
            places.extend((0..=block.instructions.len()).map(|index| (number, index)));
        }
        let mut graph = Graph {
            body,
            points: Points::of(body),
            words: WordLayout::of(body.registers.iter().copied()),
            starts,
            successors: vec![Vec::new(); places.len()],
            predecessors: vec![Vec::new(); places.len()],
            places,
            live: Vec::new(),
        };
        graph.link();
        graph.live = graph.registers().map(|register| graph.live(register)).collect();
        graph
    }

    /// The words.
    pub(super) fn registers(&self) -> impl Iterator<Item = Register> + use<> {
        (0..self.words.count()).map(Register::new)
    }

    /// The words of a register of the body.
    pub(super) fn words_of(&self, register: Register) -> impl Iterator<Item = Register> + use<> {
        self.words.range(register.index()).map(Register::new)
    }

    /// The register of the body that `word` is of.
    pub(super) fn value(&self, word: Register) -> Register {
        Register::new(self.words.value_at(word.index()))
    }

    /// The type of `word`; none if there is no such word.
    pub(super) fn ty(&self, word: Register) -> Option<Type> {
        let ty = || match self.body.ty(self.value(word)) {
            Type::V128 => Type::I64,
            ty => ty,
        };
        (word.index() < self.words.count()).then(ty)
    }

    /// The words that the instruction at `node` writes.
    fn written(&self, node: Node) -> Vec<Register> {
        let written = self.instruction(node).map_or(&[][..], Instruction::definitions);
        written.iter().flat_map(|&register| self.words_of(register)).collect()
    }

    fn link(&mut self) {
        for node in 0..self.places.len() {
            let mut successors = Vec::new();
            match self.instruction(node) {
                Some(_) => successors.push(node + 1),
                None => {
                    self.terminator(node).each_successor(|block| successors.push(self.starts[block.index()]))
                }
            }
            successors.iter().for_each(|&successor| self.predecessors[successor].push(node));
            self.successors[node] = successors;
        }
    }

    /// The instruction at `node`, unless it is a terminator.
    pub(super) fn instruction(&self, node: Node) -> Option<&'b Instruction> {
        let (block, index) = self.places[node];
        self.body.blocks[block].instructions.get(index)
    }

    fn terminator(&self, node: Node) -> &'b Terminator {
        &self.body.blocks[self.places[node].0].terminator
    }

    /// Where control goes from `node`.
    pub(super) fn successors(&self, node: Node) -> &[Node] {
        &self.successors[node]
    }

    fn len(&self) -> usize {
        self.places.len()
    }

    fn reads(&self, node: Node, register: Register) -> bool {
        let (mut reads, value) = (false, self.value(register));
        let note = |read| reads |= read == value;
        match self.instruction(node) {
            Some(instruction) => instruction.each_use(note),
            None => self.terminator(node).each_use(note),
        }
        reads
    }

    fn writes(&self, node: Node, register: Register) -> bool {
        let value = self.value(register);
        self.instruction(node).is_some_and(|instruction| instruction.definitions().contains(&value))
    }

    /// Where `register` is live: backward from each read to the writes before it.
    fn live(&self, register: Register) -> Vec<bool> {
        let mut live = vec![false; self.len()];
        let mut pending: Vec<Node> = (0..self.len()).filter(|&node| self.reads(node, register)).collect();
        while let Some(node) = pending.pop() {
            if !std::mem::replace(&mut live[node], true) {
                let before = self.predecessors[node].iter();
                pending.extend(before.filter(|&&before| !self.writes(before, register)));
            }
        }
        live
    }

    /// Whether `register` is live where `point` resumes.
    pub(super) fn is_live(&self, register: Register, point: Point) -> bool {
        self.live[register.index()][self.node(point)]
    }

    /// The moment at which execution resumes at `point`.
    pub(super) fn node(&self, point: Point) -> Node {
        let position = self.points.position(point);
        let after = usize::from(self.points.kind(point) == PointKind::AfterCall);
        self.starts[position.block.index()] + position.index + after
    }

    /// The call before `point`, if it is after one.
    pub(super) fn call_of(&self, point: Point) -> Option<&'b Instruction> {
        let position = self.points.position(point);
        let is_after = self.points.kind(point) == PointKind::AfterCall;
        is_after.then(|| &self.body.block(position.block).instructions[position.index])
    }

    /// Whether execution can resume at `point`, if there is such a point.
    pub(super) fn is_resumable(&self, point: Point) -> bool {
        self.points.contains(point) && self.points.kind(point) != PointKind::Trap
    }

    /// The point of `node`'s block if it is a loop header and `node` its start.
    fn header(&self, node: Node) -> Option<Point> {
        let (block, index) = self.places[node];
        self.points.header(Block::new(block)).filter(|_| index == 0)
    }

    /// The point after the call at `node`, if it is one.
    fn after_call(&self, node: Node) -> Option<Point> {
        let (block, index) = self.places[node];
        let is_call = self.instruction(node).is_some_and(Instruction::is_call);
        self.points.at(Block::new(block), index).filter(|_| is_call)
    }

    /// Whether the instruction at `node` is a call.
    pub(super) fn is_call(&self, node: Node) -> bool {
        self.instruction(node).is_some_and(Instruction::is_call)
    }

    /// The point at which code leaves that begins at `node`, if that is executed in the interpreter: the one before it.
    fn left_at(&self, node: Node) -> Option<Point> {
        let (block, index) = self.places[node];
        let leaves = self.instruction(node).is_none() && self.terminator(node).is_interpreted();
        leaves.then(|| self.points.at(Block::new(block), index - 1)).flatten()
    }

    /// The points at which code that comes to `at` may be seen before it does anything else: that of the
    /// poll, if it is the start of a loop header, and that of the call, if it is one.
    pub(super) fn seen_at(&self, at: Start) -> impl Iterator<Item = Point> + use<> {
        let header = self.header(at.node).filter(|_| at.polls);
        header.into_iter().chain(self.after_call(at.node)).chain(self.left_at(at.node))
    }

    /// What compiled code that continues from `start` may be seen at next: polls are seen or not, calls
    /// always are. Each point with the registers that some path there leaves alone.
    pub(super) fn ahead(&self, start: Start) -> Ahead {
        let mut ahead = Ahead::default();
        let mut untouched: BTreeMap<Node, BTreeSet<Register>> = BTreeMap::new();
        let all: BTreeSet<Register> = self.registers().collect();
        let mut pending = vec![(start, all)];
        while let Some((at, mut kept)) = pending.pop() {
            self.seen_at(at).for_each(|point| ahead.entry(point).or_default().extend(&kept));
            if self.is_call(at.node) {
                continue;
            }
            let known = untouched.contains_key(&at.node);
            let before = untouched.entry(at.node).or_default();
            if known && kept.is_subset(before) {
                continue;
            }
            before.extend(&kept);
            for written in self.written(at.node) {
                kept.remove(&written);
            }
            let next = self.successors(at.node).iter();
            pending.extend(next.map(|&node| (Start { node, polls: true }, kept.clone())));
        }
        ahead
    }

    /// Per point at which compiled code that continues from `start` may be seen next, the registers that every
    /// path there leaves alone.
    pub(super) fn kept(&self, start: Start) -> Ahead {
        let mut kept_at = Ahead::default();
        let mut before: BTreeMap<(Node, bool), BTreeSet<Register>> = BTreeMap::new();
        let all: BTreeSet<Register> = self.registers().collect();
        let mut pending = vec![(start, all)];
        while let Some((at, mut kept)) = pending.pop() {
            let known = before.get(&(at.node, at.polls));
            kept = known.map_or_else(|| kept.clone(), |known| known & &kept);
            if known == Some(&kept) {
                continue;
            }
            before.insert((at.node, at.polls), kept.clone());
            for point in self.seen_at(at) {
                let joined = kept_at.get(&point).map_or_else(|| kept.clone(), |known| known & &kept);
                kept_at.insert(point, joined);
            }
            if self.is_call(at.node) {
                continue;
            }
            for written in self.written(at.node) {
                kept.remove(&written);
            }
            let next = self.successors(at.node).iter();
            pending.extend(next.map(|&node| (Start { node, polls: true }, kept.clone())));
        }
        kept_at
    }
}
