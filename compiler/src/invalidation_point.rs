//! Invalidation points: where a jump can be written behind the calls of code that is retired.
//!
//! ```text
//!   current code:     call f                   retired:     call f
//!                     add  eax, ebx                         jmp  invalidated
//!                     mov  [rdi], eax
//! ```
//!
//! Nothing is reserved: the jump is written over whatever follows the call. That is sound because retired code does not
//! execute again, but for these jumps; what else does execute must not be overwritten:
//! - the jump behind another call;
//! - from a poll that [leaves by another call](super::poll), the way to that;
//! - pads, which landings execute, and their constants.
//!
//! (IonMonkey and JavaScriptCore do the same: both put nops only where the next point would be too near.)

use std::collections::BTreeSet;
use std::ops::Range;

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction};

use super::safepoint::CompiledMaps;

/// Bytes that are written behind a call: `jmp rel32`.
pub const POINT_BYTES: u32 = 5;

/// A call that no jump can be written behind.
#[derive(Debug)]
pub(super) struct NoRoom;

/// Checks that a jump can be written behind each call in `code`. The code is made longer where its end is too near.
pub(super) fn make_room(code: &mut Vec<u8>, maps: &CompiledMaps) -> Result<(), NoRoom> {
    // Nothing returns behind the exit of a guard.
    let is_returned_to = maps.guards.iter().map(Option::is_none);
    let sites = || {
        let offsets = maps.frame_maps.sites().map(|site| site.return_offset);
        let all = offsets.zip(&maps.exits).zip(is_returned_to.clone());
        all.filter(|(_, is_returned_to)| *is_returned_to).map(|(site, _)| site)
    };
    let points: Vec<u32> = sites().filter(|(_, exit)| exit.is_none()).map(|(offset, _)| offset).collect();
    let mut kept: Vec<Range<u32>> = Vec::new();
    for (offset, exit) in sites() {
        if let Some(exit) = *exit {
            kept.append(&mut way_out(code, offset, exit).ok_or(NoRoom)?);
        }
    }
    kept.extend(maps.pads.iter().flat_map(|pads| pads.executed()));
    let has_room =
        |point: &u32| kept.iter().all(|kept| kept.end <= *point || point + POINT_BYTES <= kept.start);
    let are_apart = points.is_sorted_by(|one, next| one + POINT_BYTES <= *next);
    if !are_apart || !points.iter().all(has_room) {
        return Err(NoRoom);
    }
    let end = points.last().map_or(0, |last| last + POINT_BYTES);
    code.resize(code.len().max(end as usize), INT3);
    Ok(())
}

/// What is never executed.
const INT3: u8 = 0xcc;

/// What executes from `offset`, where a poll returns, to the end of the call at `exit`, which does not: up to a branch, and
/// to one side of it.
fn way_out(code: &[u8], offset: u32, exit: u32) -> Option<Vec<Range<u32>>> {
    let mut way = Vec::new();
    let mut at = offset;
    loop {
        let instruction = decode(code, at)?;
        way.extend(uses(&instruction));
        let next = instruction.next_ip() as u32;
        match instruction.flow_control() {
            FlowControl::Next => at = next,
            FlowControl::ConditionalBranch => {
                let sides = [instruction.near_branch_target() as u32, next];
                let ways = sides.into_iter().find_map(|side| all_ways(code, side, exit))?;
                way.extend(ways);
                return Some(way);
            }
            _ => return None,
        }
    }
}

/// What executes from `offset` to the end of the call at `exit`, whatever way it takes; none if anything else may be reached
/// that calls, returns or traps.
fn all_ways(code: &[u8], offset: u32, exit: u32) -> Option<Vec<Range<u32>>> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut pending = vec![offset];
    while let Some(at) = pending.pop() {
        if !seen.insert(at) {
            continue;
        }
        let instruction = decode(code, at)?;
        found.extend(uses(&instruction));
        let next = instruction.next_ip() as u32;
        match instruction.flow_control() {
            _ if next == exit => {}
            FlowControl::Next => pending.push(next),
            FlowControl::UnconditionalBranch => pending.push(instruction.near_branch_target() as u32),
            FlowControl::ConditionalBranch => {
                pending.extend([instruction.near_branch_target() as u32, next]);
            }
            _ => return None,
        }
    }
    Some(found)
}

/// The bytes of `instruction`, and of the constant that it loads, if it does.
fn uses(instruction: &Instruction) -> impl Iterator<Item = Range<u32>> + use<> {
    let constant = instruction.is_ip_rel_memory_operand().then(|| {
        let at = instruction.ip_rel_memory_address() as u32;
        at..at + instruction.memory_size().size() as u32
    });
    std::iter::once(instruction.ip() as u32..instruction.next_ip() as u32).chain(constant)
}

fn decode(code: &[u8], at: u32) -> Option<Instruction> {
    let bytes = code.get(at as usize..)?;
    let instruction = Decoder::with_ip(64, bytes, u64::from(at), DecoderOptions::NONE).decode();
    (!instruction.is_invalid()).then_some(instruction)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cmp qword [rdi + 8], 0; jne leave; jmp 0; leave: mov rax, [rdi + 0x48]; call rax; ud2`
    const POLL: [u8; 19] = [
        0x48, 0x83, 0x7f, 8, 0, 0x75, 2, 0xeb, 0xf7, 0x48, 0x8b, 0x47, 0x48, 0xff, 0xd0, 0x0f, 0x0b, 0xff,
        0xd0,
    ];

    #[test]
    fn the_way_out_of_a_poll_is_the_side_that_calls() {
        let way = way_out(&POLL, 0, 15).expect("a way");
        assert_eq!(way, [0..5, 5..7, 9..13, 13..15]);
        assert_eq!(way_out(&POLL, 0, 19), None, "behind a trap");
        let code = [&POLL[..9], &[0x75, 0], &POLL[9..]].concat();
        let way = way_out(&code, 0, 17).expect("branches inside it join");
        assert_eq!(way.iter().map(|range| range.len()).sum::<usize>(), 7 + 8);
    }
}
