//! Each site by itself: its call, its registers, their places.

use std::collections::BTreeMap;

use osr_engine::{FrameMapEntry, Location, MachineRegister};
use osr_ir::word_layout::word_types;
use osr_ir::{Instruction, Module, Register, Type};

use super::graph::Graph;
use super::machine::Machine;
use super::{SiteMap, Subject, ViolationKind, Violations};

/// Bytes of a slot.
const SLOT: i32 = 8;

/// Calls and sites are the same.
pub(super) fn check_sites(subject: &Subject<'_>, machine: &Machine, violations: &mut Violations) {
    let calls = machine.calls();
    for &call in &calls {
        let sites = subject.sites.iter().filter(|site| site.return_offset == call).count();
        violations.unless(sites == 1, call, ViolationKind::CallWithoutSite(call));
    }
    for site in &subject.sites {
        let is_call = calls.contains(&site.return_offset);
        violations.unless(is_call, site.return_offset, ViolationKind::SiteWithoutCall);
    }
}

/// Entries and live registers are the same.
pub(super) fn check_registers(subject: &Subject<'_>, graph: &Graph<'_>, violations: &mut Violations) {
    for site in &subject.sites {
        if !graph.is_resumable(site.point) {
            violations.add(site.return_offset, ViolationKind::NoSuchPoint(site.point));
            continue;
        }
        let waiting = subject.waiting.get(&site.return_offset);
        for register in graph.registers() {
            let found = site.entries.iter().filter(|entry| entry.register == register).count();
            let waits = waiting.is_some_and(|waiting| waiting.contains(&register));
            let live = usize::from(waits || graph.is_live(register, site.point));
            violations.unless(found >= live, site.return_offset, ViolationKind::MissingRegister(register));
            violations.unless(found <= live, site.return_offset, ViolationKind::NeedlessRegister(register));
        }
        for entry in &site.entries {
            let Some(ty) = graph.ty(entry.register) else {
                violations.add(site.return_offset, ViolationKind::NeedlessRegister(entry.register));
                continue;
            };
            violations.unless(
                entry.wide != is_narrow(ty),
                site.return_offset,
                ViolationKind::Width(entry.register),
            );
        }
    }
}

/// Whether values of type `ty` have 32 bits.
pub(super) fn is_narrow(ty: Type) -> bool {
    matches!(ty, Type::I32 | Type::F32)
}

/// Places are where values can be.
pub(super) fn check_locations(
    subject: &Subject<'_>,
    graph: &Graph<'_>,
    machine: &Machine,
    violations: &mut Violations,
) {
    let mut owners = BTreeMap::new();
    for site in subject.sites.iter().filter(|site| graph.is_resumable(site.point)) {
        check_results(subject, graph, site, violations);
        for entry in &site.entries {
            if let Location::FrameSlot(offset) = entry.location {
                check_in_frame(site, entry, offset, machine, violations);
                if subject.stores(site) {
                    check_slot(site, (entry, half(graph, entry.register)), offset, machine, violations);
                    owners.entry((offset, entry.register)).or_insert(site.return_offset);
                }
            }
        }
    }
    check_owners(&owners, violations);
}

/// The call's own results, and nothing else, are where the call leaves them. Registers that it preserves
/// may hold something else where values are the allocator's.
fn check_results(subject: &Subject<'_>, graph: &Graph<'_>, site: &SiteMap, violations: &mut Violations) {
    use MachineRegister::{R12, R13, R14, R15, Rbx};
    let results =
        graph.call_of(site.point).map_or(Vec::new(), |call| result_places(subject.module, graph, call));
    for entry in &site.entries {
        let expected =
            results.iter().find(|(register, _)| *register == entry.register).map(|&(_, place)| place);
        let found = match entry.location {
            Location::Register(_) if site.is_in_place => None,
            Location::Register(Rbx | R12 | R13 | R14 | R15) if !subject.stores(site) => None,
            place @ (Location::Register(_) | Location::Result(_)) => Some(place),
            Location::FrameSlot(_) | Location::Constant(_) | Location::Pad => None,
        };
        violations.unless(found == expected, site.return_offset, ViolationKind::ResultPlace(entry.register));
    }
}

/// Where `call` leaves the words of its results: System V's registers, then the context, by position.
fn result_places(module: &Module, graph: &Graph<'_>, call: &Instruction) -> Vec<(Register, Location)> {
    use MachineRegister::{Rax, Rdx, Xmm0, Xmm1};
    let types = match call {
        Instruction::Call { function, .. } => &*module.signature_of(*function).results,
        Instruction::CallIndirect { signature, .. } => &*module.signature(*signature).results,
        _ => &[Type::I32],
    };
    let (mut integers, mut floats) = ([Rax, Rdx].into_iter(), [Xmm0, Xmm1].into_iter());
    let words = call.definitions().iter().flat_map(|&register| graph.words_of(register));
    let results = words.zip(word_types(types)).enumerate();
    let place = |(position, (register, ty)): (usize, (Register, Type))| {
        let free = if matches!(ty, Type::F32 | Type::F64) { floats.next() } else { integers.next() };
        (register, free.map_or(Location::Result(position as u32), Location::Register))
    };
    results.map(place).collect()
}

fn check_in_frame(
    site: &SiteMap,
    entry: &FrameMapEntry,
    offset: i32,
    machine: &Machine,
    violations: &mut Violations,
) {
    let register = entry.register;
    let inside = offset >= -machine.frame_bytes && offset <= -SLOT && offset % SLOT == 0;
    violations.unless(inside, site.return_offset, ViolationKind::OutsideFrame(register));
    let apart = machine.saved.iter().all(|&saved| (saved - offset).abs() >= SLOT);
    violations.unless(apart, site.return_offset, ViolationKind::OverlapsSaved(register));
}

/// Of a word of a vector, how far it is from the first one, in bytes.
fn half(graph: &Graph<'_>, word: Register) -> Option<i32> {
    let words = graph.words.range(graph.value(word).index());
    (words.len() > 1).then(|| SLOT * (word.index() - words.start) as i32)
}

/// Nothing but the register's value is written where a slot is. A vector is written as a whole, or by halves.
fn check_slot(
    site: &SiteMap,
    (entry, half): (&FrameMapEntry, Option<i32>),
    offset: i32,
    machine: &Machine,
    violations: &mut Violations,
) {
    let register = entry.register;
    let size: i32 = if entry.wide { 8 } else { 4 };
    for (&at, step) in &machine.steps {
        let Some((start, bytes)) = step.write() else { continue };
        let overlaps = start < offset + SLOT && offset < start + bytes as i32;
        let is_vector = half.is_some_and(|half| (start, bytes as i32) == (offset - half, 2 * SLOT));
        let whole = is_vector || start == offset && bytes as i32 >= size && bytes as i32 <= SLOT;
        violations.unless(!overlaps || whole, site.return_offset, ViolationKind::PartialWrite(register, at));
    }
}

/// Slots belong to one register each, and do not overlap.
fn check_owners(owners: &BTreeMap<(i32, Register), u32>, violations: &mut Violations) {
    let sorted: Vec<_> = owners.iter().collect();
    for pair in sorted.windows(2) {
        let [(&(first, one), _), (&(second, other), &site)] = [pair[0], pair[1]];
        violations.unless(second - first >= SLOT, site, ViolationKind::OverlapsSlot(one, other));
    }
}
