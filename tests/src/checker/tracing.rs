//! Values that stay where the register allocator keeps them: where each goes from one site to the next.
//!
//! What a frame map says holds at a site is followed through the code: moves between machine registers
//! and the frame carry it along, everything else that is written holds something unknown. Where the
//! code comes to the next site and the body has left a register alone on every path, its place there
//! must hold what its place before held. Polls preserve everything, and are passed through, to the calls by which
//! frames are left as well.

use std::collections::{BTreeMap, BTreeSet};

use osr_engine::Location;
use osr_ir::{Point, Points, Register};

use super::graph::Graph;
use super::machine::{Effect, Machine, Place};
use super::{SiteMap, Subject, ViolationKind, Violations};

/// Per place, the registers whose values, as they were at the site before, it holds.
type Held = BTreeMap<Place, BTreeSet<Register>>;

/// How far tracing has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traced {
    /// Values of the allocator's that were followed from one site to the next.
    pub followed: usize,
    /// Values that were remade on the way, as far as can be seen, and of which nothing is claimed.
    pub lost: usize,
}

/// Checks what arrives at the sites after `site`. `kept` are, per point, the registers that every path of the
/// body from `site` leaves alone.
pub(super) fn check_from(
    (subject, graph, machine): (&Subject<'_>, &Graph<'_>, &Machine),
    site: &SiteMap,
    sites: &BTreeMap<u32, &SiteMap>,
    kept: &BTreeMap<Point, BTreeSet<Register>>,
    violations: &mut Violations,
) -> Traced {
    let mut traced = Traced::default();
    if subject.stores(site) {
        return traced;
    }
    for (end, held) in follow(graph, machine, site, sites) {
        let next = sites[&end];
        let Some(kept) = kept.get(&next.point) else { continue };
        for entry in next.entries.iter().filter(|entry| kept.contains(&entry.register)) {
            // Where results are returned, the call itself has written.
            let outlives = |&place: &Place| next.is_in_place || outlives_call(place);
            let Some(place) = place_of(entry.location).filter(outlives) else { continue };
            // Where a frame is left, more is moved than elsewhere: it says nothing of how well tracing works.
            let counts = usize::from(!next.is_poll);
            match held.get(&place) {
                Some(registers) if registers.contains(&entry.register) => traced.followed += counts,
                Some(_) => violations.add(end, ViolationKind::Mistaken(entry.register, site.return_offset)),
                None => traced.lost += counts,
            }
        }
    }
    traced
}

/// Whether what is at `place` before a call is there after it.
fn outlives_call(place: Place) -> bool {
    use iced_x86::Register::{R12, R13, R14, R15, RBX};
    match place {
        Place::Frame(_) => true,
        Place::Register(register) => [RBX, R12, R13, R14, R15].contains(&register),
    }
}

/// The place that `location` is, unless it is none, or in the context.
fn place_of(location: Location) -> Option<Place> {
    use iced_x86::Register as Iced;
    let register = match location {
        Location::FrameSlot(offset) => return Some(Place::Frame(offset)),
        Location::Register(register) => register,
        Location::Constant(_) | Location::Result(_) | Location::Pad => return None,
    };
    // Both have the manufacturer's names.
    let name = format!("{register:?}").to_uppercase();
    let register = Iced::values().find(|known| format!("{known:?}") == name).expect("a register");
    Some(Place::Register(register.full_register()))
}

/// What each place holds at the calls that the code reaches next from `site`, by their return offsets. Polls are
/// passed through: they leave everything as it is.
fn follow(
    graph: &Graph<'_>,
    machine: &Machine,
    site: &SiteMap,
    sites: &BTreeMap<u32, &SiteMap>,
) -> BTreeMap<u32, Held> {
    let mut start = Held::new();
    for entry in &site.entries {
        let Some(place) = place_of(entry.location) else { continue };
        start.entry(place).or_default().insert(entry.register);
    }
    let wide = |word: Register| graph.ty(word).is_none_or(|ty| !super::places::is_narrow(ty));
    let mut before: BTreeMap<u32, Held> = BTreeMap::new();
    let mut ends: BTreeMap<u32, Held> = BTreeMap::new();
    let mut pending = vec![(site.return_offset, start)];
    while let Some((offset, arriving)) = pending.pop() {
        let joined = match before.get(&offset) {
            None => arriving,
            Some(known) => join(known, &arriving),
        };
        if before.get(&offset) == Some(&joined) {
            continue;
        }
        let step = &machine.steps[&offset];
        let mut leaving = joined.clone();
        before.insert(offset, joined);
        apply(&step.effect, &mut leaving, wide);
        if step.is_call && sites[&step.end].point != Points::entry() {
            ends.insert(step.end, leaving);
        } else {
            pending.extend(step.successors.iter().map(|&next| (next, leaving.clone())));
        }
    }
    ends
}

fn join(one: &Held, other: &Held) -> Held {
    let both = one.iter().filter_map(|(&place, registers)| {
        let common = registers & other.get(&place)?;
        (!common.is_empty()).then_some((place, common))
    });
    both.collect()
}

/// What an instruction does to `held`. A move of four bytes carries only values that are not `wide`.
fn apply(effect: &Effect, held: &mut Held, wide: impl Fn(Register) -> bool) {
    let carried = effect.copy.and_then(|copy| {
        let registers = held.get(&copy.from)?.iter().copied();
        let registers: BTreeSet<_> =
            registers.filter(|&register| copy.bytes >= 8 || !wide(register)).collect();
        (!registers.is_empty()).then_some((copy.to, registers))
    });
    for written in &effect.registers {
        held.remove(&Place::Register(*written));
    }
    if let Some((start, bytes)) = effect.frame {
        let overlaps = |offset: i32| offset < start + bytes as i32 && start < offset + 8;
        held.retain(|place, _| !matches!(place, Place::Frame(offset) if overlaps(*offset)));
    }
    held.extend(carried);
}
