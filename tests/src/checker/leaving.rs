//! Polls of optimized code in loops: the frame state is known where the frame is left.
//!
//! ```text
//!     call poll          the site's return offset
//!     branch ──> call; ud2                             the call that does not return: the frame is left
//!     continues
//! ```
//!
//! Such a poll preserves everything, and nobody asks for the frame state at the poll itself. So everything
//! that a site claims is claimed of the call by which the frame is left, and the poll is an instruction
//! that does nothing. Which poll a leaving call belongs to is found by following the code; a poll that
//! has none has to keep its claims itself.

use std::collections::{BTreeMap, BTreeSet};

use osr_ir::{PointKind, Points};

use super::Subject;
use super::machine::Machine;

/// Puts the sites of such polls where their frames are left.
pub(super) fn move_sites(subject: &mut Subject<'_>, machine: &mut Machine) {
    let points = Points::of(subject.body());
    let calls: BTreeMap<u32, u32> = machine
        .steps
        .iter()
        .filter(|(_, step)| step.is_call)
        .map(|(&start, step)| (step.end, start))
        .collect();
    let sites: BTreeSet<u32> = subject.sites.iter().map(|site| site.return_offset).collect();
    let is_header = |point| points.contains(point) && points.kind(point) == PointKind::LoopHeader;
    let left = |offset: u32| Some((*calls.get(&offset)?, left_at(machine, offset, &sites)?));
    let left: Vec<_> = subject
        .sites
        .iter()
        .map(|site| if is_header(site.point) { left(site.return_offset) } else { None })
        .collect();
    for (site, left) in subject.sites.iter_mut().zip(left) {
        let Some((poll, leave)) = left else { continue };
        machine.steps.get_mut(&poll).expect("it was found there").is_call = false;
        site.return_offset = leave;
    }
}

/// The return offset of the only call without a site that the code reaches from `start` before any other, if
/// that does not return.
fn left_at(machine: &Machine, start: u32, sites: &BTreeSet<u32>) -> Option<u32> {
    let mut seen = BTreeSet::new();
    let mut found = BTreeSet::new();
    let mut pending = vec![start];
    while let Some(offset) = pending.pop() {
        if !seen.insert(offset) {
            continue;
        }
        let step = &machine.steps[&offset];
        if !step.is_call {
            pending.extend(&step.successors);
        } else if !sites.contains(&step.end) && machine.steps[&step.end].successors.is_empty() {
            found.insert(step.end);
        }
    }
    found.pop_first().filter(|_| found.is_empty())
}
