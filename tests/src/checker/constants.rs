//! Constants: what the registers that a frame map calls constant hold, on every path from the site before.

use std::collections::BTreeMap;

use osr_engine::Location;
use osr_ir::word_layout::word_count;
use osr_ir::{Instruction, Point, Register};

use super::graph::{Graph, Start};
use super::{SiteMap, Subject};

/// What a register holds, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// That constant.
    Constant(u64),
    /// A reference to the function with that index. The low half of its word is the function's number, which is the index where
    /// the instance is the only one of its store; the high half is never 0.
    Function(u32),
    /// One thing or another.
    Anything,
}

impl Known {
    /// Whether it can be said of what this is that it is the constant `claimed`.
    fn is(self, claimed: Known) -> bool {
        match (self, claimed) {
            (Known::Function(index), Known::Constant(word)) => word as u32 == index && word >> 32 != 0,
            _ => self == claimed && claimed != Known::Anything,
        }
    }
}

/// Per point that is met next, what each register holds there. A call's results are not told.
pub(super) type Arriving = BTreeMap<Point, Vec<Known>>;

/// What holds at `site`, if its map is right: that its constants are. Where no site is (at the entry), what
/// holds everywhere.
pub(super) fn claimed(subject: &Subject<'_>, graph: &Graph<'_>, site: Option<&SiteMap>) -> Vec<Known> {
    let parameters = word_count(&subject.module.signature_of(subject.function).parameters);
    let mut known = everywhere(graph, parameters);
    for entry in site.iter().flat_map(|site| &site.entries) {
        if let Some(constant) = constant_of(subject, entry.location) {
            known[entry.register.index()] = constant;
        }
    }
    known
}

/// A register that is no parameter and is only ever assigned one constant holds it wherever it is live.
fn everywhere(graph: &Graph<'_>, parameters: usize) -> Vec<Known> {
    let mut assigned: Vec<Option<Known>> = vec![None; graph.words.count()];
    assigned[..parameters].fill(Some(Known::Anything));
    for instruction in graph.body.blocks.iter().flat_map(|block| &block.instructions) {
        let constant = constants_made_by(instruction);
        let words = instruction.definitions().iter().flat_map(|&register| graph.words_of(register));
        for (number, word) in words.enumerate() {
            let value = constant.get(number).copied().unwrap_or(Known::Anything);
            let assigned = &mut assigned[word.index()];
            *assigned =
                Some(if assigned.is_none_or(|before| before == value) { value } else { Known::Anything });
        }
    }
    assigned.into_iter().map(|assigned| assigned.unwrap_or(Known::Anything)).collect()
}

/// What `instruction` assigns whatever else holds, by word; nothing if that is not known.
fn constants_made_by(instruction: &Instruction) -> Vec<Known> {
    match instruction {
        Instruction::Const { value, .. } => value.to_words().map(Known::Constant).collect(),
        Instruction::RefFunc { function, .. } => vec![Known::Function(function.as_u32())],
        _ => Vec::new(),
    }
}

/// What `location` says that it holds, if it is a constant.
pub(super) fn constant_of(subject: &Subject<'_>, location: Location) -> Option<Known> {
    match location {
        Location::Constant(n) => {
            Some(subject.constants.get(n as usize).map_or(Known::Anything, |&c| Known::Constant(c)))
        }
        _ => None,
    }
}

/// Whether `arriving` says that `register` is the constant `claimed` at `point`.
pub(super) fn agrees(arriving: &Arriving, point: Point, register: Register, claimed: Known) -> bool {
    let known = arriving.get(&point).map(|known| known[register.index()]);
    known.is_some_and(|known| known.is(claimed))
}

/// Whether `arriving` says that `register` is another constant than `claimed` at `point`.
pub(super) fn disagrees(arriving: &Arriving, point: Point, register: Register, claimed: Known) -> bool {
    let known = arriving.get(&point).map(|known| known[register.index()]);
    known.is_some_and(|known| known != Known::Anything && !known.is(claimed))
}

/// Propagates constants from `start`, where `known` holds, to the points that are met next.
pub(super) fn propagate(graph: &Graph<'_>, start: Start, known: Vec<Known>) -> Arriving {
    propagate_while(graph, start, known, |at| !graph.is_call(at.node))
}

/// The same to all points that can be met, through calls: a map need not name at one call what it says is a constant at the next.
pub(super) fn propagate_throughout(graph: &Graph<'_>, start: Start, known: Vec<Known>) -> Arriving {
    propagate_while(graph, start, known, |_| true)
}

fn propagate_while(
    graph: &Graph<'_>,
    start: Start,
    known: Vec<Known>,
    goes_on: impl Fn(Start) -> bool,
) -> Arriving {
    let mut arriving = Arriving::new();
    let mut facts: BTreeMap<usize, Vec<Known>> = BTreeMap::new();
    let mut pending = vec![(start, known)];
    while let Some((at, known)) = pending.pop() {
        graph.seen_at(at).for_each(|point| {
            let joined = join(arriving.get(&point), &known);
            arriving.insert(point, joined);
        });
        if !goes_on(at) {
            continue;
        }
        let joined = join(facts.get(&at.node), &known);
        if facts.get(&at.node) == Some(&joined) {
            continue;
        }
        let mut leaving = joined.clone();
        facts.insert(at.node, joined);
        if let Some(instruction) = graph.instruction(at.node) {
            step(graph, instruction, &mut leaving);
        }
        pending.extend(
            graph.successors(at.node).iter().map(|&node| (Start { node, polls: true }, leaving.clone())),
        );
    }
    arriving
}

fn join(before: Option<&Vec<Known>>, more: &[Known]) -> Vec<Known> {
    let Some(before) = before else { return more.to_vec() };
    let join = |(&a, &b): (&Known, &Known)| if a == b { a } else { Known::Anything };
    before.iter().zip(more).map(join).collect()
}

fn step(graph: &Graph<'_>, instruction: &Instruction, known: &mut [Known]) {
    let values: Vec<Known> = match instruction {
        Instruction::Copy { src, .. } => graph.words_of(*src).map(|word| known[word.index()]).collect(),
        _ => constants_made_by(instruction),
    };
    let words = instruction.definitions().iter().flat_map(|&register| graph.words_of(register));
    for (number, word) in words.enumerate() {
        known[word.index()] = values.get(number).copied().unwrap_or(Known::Anything);
    }
}
