//! Constants: what the registers that a frame map calls constant hold, on every path from the site before.

use std::collections::BTreeMap;

use osr_engine::Location;
use osr_ir::{Body, Instruction, Point, Register};

use super::graph::{Graph, Start};
use super::{SiteMap, Subject};

/// What a register holds, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// That constant.
    Constant(u64),
    /// One thing or another.
    Anything,
}

/// Per point that is met next, what each register holds there. A call's results are not told.
pub(super) type Arriving = BTreeMap<Point, Vec<Known>>;

/// What holds at `site`, if its map is right: that its constants are. Where no site is (at the entry), what
/// holds everywhere.
pub(super) fn claimed(subject: &Subject<'_>, site: Option<&SiteMap>) -> Vec<Known> {
    let parameters = subject.module.signature_of(subject.function).parameters.len();
    let mut known = everywhere(subject.body(), parameters);
    for entry in site.iter().flat_map(|site| &site.entries) {
        if let Some(constant) = constant_of(subject, entry.location) {
            known[entry.register.index()] = constant;
        }
    }
    known
}

/// A register that is no parameter and is only ever assigned one constant holds it wherever it is live.
fn everywhere(body: &Body, parameters: usize) -> Vec<Known> {
    let mut assigned: Vec<Option<Known>> = vec![None; body.registers.len()];
    assigned[..parameters].fill(Some(Known::Anything));
    for instruction in body.blocks.iter().flat_map(|block| &block.instructions) {
        let value = match instruction {
            Instruction::Const { value, .. } => Known::Constant(value.to_bits()),
            _ => Known::Anything,
        };
        for register in instruction.definitions() {
            let assigned = &mut assigned[register.index()];
            *assigned =
                Some(if assigned.is_none_or(|before| before == value) { value } else { Known::Anything });
        }
    }
    assigned.into_iter().map(|assigned| assigned.unwrap_or(Known::Anything)).collect()
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
    claimed != Known::Anything && known == Some(claimed)
}

/// Whether `arriving` says that `register` is another constant than `claimed` at `point`.
pub(super) fn disagrees(arriving: &Arriving, point: Point, register: Register, claimed: Known) -> bool {
    let known = arriving.get(&point).map(|known| known[register.index()]);
    known.is_some_and(|known| known != Known::Anything && known != claimed)
}

/// Propagates constants from `start`, where `known` holds, to the points that are met next.
pub(super) fn propagate(graph: &Graph<'_>, start: Start, known: Vec<Known>) -> Arriving {
    let mut arriving = Arriving::new();
    let mut facts: BTreeMap<usize, Vec<Known>> = BTreeMap::new();
    let mut pending = vec![(start, known)];
    while let Some((at, known)) = pending.pop() {
        graph.seen_at(at).for_each(|point| {
            let joined = join(arriving.get(&point), &known);
            arriving.insert(point, joined);
        });
        if graph.is_call(at.node) {
            continue;
        }
        let joined = join(facts.get(&at.node), &known);
        if facts.get(&at.node) == Some(&joined) {
            continue;
        }
        let mut leaving = joined.clone();
        facts.insert(at.node, joined);
        if let Some(instruction) = graph.instruction(at.node) {
            step(instruction, &mut leaving);
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

fn step(instruction: &Instruction, known: &mut [Known]) {
    let value = match instruction {
        Instruction::Const { value, .. } => Known::Constant(value.to_bits()),
        Instruction::Copy { src, .. } => known[src.index()],
        _ => Known::Anything,
    };
    instruction.definitions().iter().for_each(|register| known[register.index()] = value);
}
