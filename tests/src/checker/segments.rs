//! The code between sites: where it goes, and what it writes into the frame on the way.

use std::collections::{BTreeMap, BTreeSet};

use osr_engine::{EntryPoint, FrameMapEntry, Location};
use osr_ir::{Point, PointKind, Points, Register};

use super::constants;
use super::graph::{Ahead, Graph, Start};
use super::machine::Machine;
use super::tracing::{self, Traced};
use super::{SiteMap, Subject, ViolationKind, Violations};

/// Slots, by offset from the frame base.
type Slots = BTreeSet<i32>;

/// Checks flow, slots and constants of `subject`, whose calls all have sites.
pub(super) fn check(
    subject: &Subject<'_>,
    graph: &Graph<'_>,
    machine: &Machine,
    violations: &mut Violations,
) -> Traced {
    let stored = subject.sites.iter().filter(|site| subject.stores(site));
    let named = stored.flat_map(|site| &site.entries).filter_map(slot_of).collect();
    let mut checker = Checker {
        subject,
        graph,
        machine,
        sites: subject.sites.iter().map(|site| (site.return_offset, site)).collect(),
        named,
        aheads: BTreeMap::new(),
        throughout: constants::Arriving::new(),
        violations,
    };
    let everywhere = constants::claimed(subject, graph, None);
    checker.throughout = constants::propagate_throughout(graph, checker.start(None), everywhere);
    checker.check_from(None);
    let mut traced = Traced::default();
    for site in &subject.sites {
        checker.check_from(Some(site));
        let kept = graph.kept(checker.start(Some(site)));
        let from_here =
            tracing::check_from((subject, graph, machine), site, &checker.sites, &kept, checker.violations);
        traced.followed += from_here.followed;
        traced.lost += from_here.lost;
    }
    traced
}

fn slot_of(entry: &FrameMapEntry) -> Option<i32> {
    match entry.location {
        Location::FrameSlot(offset) => Some(offset),
        _ => None,
    }
}

struct Checker<'c, 'm> {
    subject: &'c Subject<'m>,
    graph: &'c Graph<'m>,
    machine: &'c Machine,
    sites: BTreeMap<u32, &'c SiteMap>,
    /// The slots that some map names.
    named: Slots,
    /// What the body meets after a point; computed once.
    aheads: BTreeMap<Point, Ahead>,
    /// What holds at each point on every path from where the version is entered.
    throughout: constants::Arriving,
    violations: &'c mut Violations,
}

impl<'c> Checker<'c, '_> {
    /// Checks the segments that begin at `site`, or at the version's entry.
    fn check_from(&mut self, site: Option<&'c SiteMap>) {
        let start = self.start(site);
        let ahead = self.ahead(site, start);
        let mut arriving =
            constants::propagate(self.graph, start, constants::claimed(self.subject, self.graph, site));
        if site.is_none() && self.subject.entry == EntryPoint::Function {
            arriving.insert(Points::entry(), constants::claimed(self.subject, self.graph, None));
        }
        let from = site.map(|site| site.return_offset);
        for (end, written) in segments(self.machine, from.unwrap_or(0), &self.named) {
            let next = self.sites[&end];
            if self.graph.points.kind(next.point) == PointKind::Guard {
                // Where it is left depends on what is there, and the graph knows no guards.
                continue;
            }
            match ahead.get(&next.point) {
                Some(untouched) => {
                    self.check_slots(site, next, &written, untouched);
                    self.check_constants(next, &arriving);
                }
                None => self.violations.add(end, ViolationKind::Flow(from)),
            }
        }
    }

    /// Where the body continues from `site`. After a poll, that poll is not to come again.
    fn start(&self, site: Option<&SiteMap>) -> Start {
        let is_header = |point| self.graph.points.kind(point) == PointKind::LoopHeader;
        match (site, self.subject.entry) {
            (Some(site), _) => Start { node: self.graph.node(site.point), polls: !is_header(site.point) },
            (None, EntryPoint::Function) => Start { node: 0, polls: true },
            (None, EntryPoint::Continuation(point) | EntryPoint::Specialized { point, .. }) => {
                Start { node: self.graph.node(point), polls: !is_header(point) }
            }
        }
    }

    fn ahead(&mut self, site: Option<&SiteMap>, start: Start) -> Ahead {
        let graph = self.graph;
        match site {
            Some(site) => self.aheads.entry(site.point).or_insert_with(|| graph.ahead(start)).clone(),
            None => {
                let mut ahead = graph.ahead(start);
                if self.subject.entry == EntryPoint::Function {
                    ahead.insert(Points::entry(), BTreeSet::new());
                }
                ahead
            }
        }
    }

    /// The slots of `next` were written on the way from `site`, or hold from before.
    fn check_slots(
        &mut self,
        site: Option<&SiteMap>,
        next: &SiteMap,
        written: &Slots,
        untouched: &BTreeSet<Register>,
    ) {
        for entry in next.entries.iter().filter(|_| self.subject.stores(next)) {
            let Some(slot) = slot_of(entry) else { continue };
            let was_there = site.is_some_and(|site| {
                site.entries
                    .iter()
                    .any(|before| before.register == entry.register && before.location == entry.location)
            });
            let holds = written.contains(&slot) || (was_there && untouched.contains(&entry.register));
            let from = site.map(|site| site.return_offset);
            self.violations.unless(holds, next.return_offset, ViolationKind::StaleSlot(entry.register, from));
        }
    }

    fn check_constants(&mut self, next: &SiteMap, arriving: &constants::Arriving) {
        for entry in &next.entries {
            let Some(claimed) = constants::constant_of(self.subject, entry.location) else { continue };
            // The optimizer knows more constants than are propagated here, and at a poll the code says so.
            let holds = match next.is_in_place {
                true => !constants::disagrees(arriving, next.point, entry.register, claimed),
                false => [arriving, &self.throughout]
                    .iter()
                    .any(|arriving| constants::agrees(arriving, next.point, entry.register, claimed)),
            };
            self.violations.unless(holds, next.return_offset, ViolationKind::NotConstant(entry.register));
        }
    }
}

/// The sites that the code reaches next from `start`, with those of `named` slots that it writes on
/// every way there.
fn segments(machine: &Machine, start: u32, named: &Slots) -> BTreeMap<u32, Slots> {
    let mut written: BTreeMap<u32, Slots> = BTreeMap::new();
    let mut ends: BTreeMap<u32, Slots> = BTreeMap::new();
    let mut pending = vec![(start, Slots::new())];
    while let Some((offset, arriving)) = pending.pop() {
        let joined = match written.get(&offset) {
            None => arriving,
            Some(known) => known & &arriving,
        };
        if written.get(&offset) == Some(&joined) {
            continue;
        }
        let mut leaving = joined.clone();
        written.insert(offset, joined);
        let step = &machine.steps[&offset];
        // A vector is written to two slots.
        let slots = step.write().into_iter().flat_map(|(at, bytes)| (at..at + bytes as i32).step_by(8));
        leaving.extend(slots.filter(|at| named.contains(at)));
        if step.is_call {
            ends.insert(step.end, leaving);
        } else {
            pending.extend(step.successors.iter().map(|&next| (next, leaving.clone())));
        }
    }
    ends
}
