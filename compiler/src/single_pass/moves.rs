//! Parallel moves: arguments and results to where they are wanted, all at once.
//!
//! Who takes them takes whole words ([`calling_convention`](crate::calling_convention)). A move of 32 bits makes the high
//! half zero, as a load does; what is in its place already is extended there.

use osr_ir::Register;

use super::Pass;
use super::machine::{FLOAT_SCRATCH, MachineRegister, SCRATCH, Width};

/// A value that is wanted in a machine register.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    to: MachineRegister,
    from: Source,
    width: Width,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Machine(MachineRegister),
    /// In no machine register.
    Elsewhere(Register),
}

impl Pass<'_> {
    /// `register` is wanted in `to`.
    pub(super) fn want(&mut self, register: Register, to: MachineRegister) {
        let from = match self.buffers.cache.home(register) {
            Some(home) => {
                if let (MachineRegister::General(machine), true) = (home, home == to) {
                    self.extend(machine);
                }
                Source::Machine(home)
            }
            None => Source::Elsewhere(register),
        };
        self.buffers.moves.push(Move { to, from, width: self.width(register) });
    }

    /// Moves everything that is wanted. What machine registers hold is not known any more.
    pub(super) fn move_wanted(&mut self) {
        let mut moves = std::mem::take(&mut self.buffers.moves);
        moves.retain(|wanted| wanted.from != Source::Machine(wanted.to));
        while let Some(number) = next(&moves) {
            let Move { to, from, width } = moves[number];
            // In a circle something has to wait.
            let blocked = moves.iter().any(|other| other.from == Source::Machine(to));
            if blocked {
                let scratch = match to {
                    MachineRegister::General(_) => MachineRegister::General(SCRATCH),
                    MachineRegister::Vector(_) => MachineRegister::Vector(FLOAT_SCRATCH),
                };
                self.move_machine(Width::Bits64, scratch, to);
                for other in moves.iter_mut().filter(|other| other.from == Source::Machine(to)) {
                    other.from = Source::Machine(scratch);
                }
            }
            moves.swap_remove(number);
            match from {
                Source::Machine(from) => self.move_machine(width, to, from),
                Source::Elsewhere(register) => self.fetch(register, to),
            }
        }
        self.buffers.moves = moves;
    }
}

/// The move to do next: one between machine registers whose target is needed by no other; else any of these; else one from
/// elsewhere.
fn next(moves: &[Move]) -> Option<usize> {
    let is_needed = |to| moves.iter().any(|other| other.from == Source::Machine(to));
    let between = |wanted: &&Move| matches!(wanted.from, Source::Machine(_));
    let position = |chosen: &Move| moves.iter().position(|wanted| wanted.to == chosen.to);
    let free = moves.iter().filter(between).find(|wanted| !is_needed(wanted.to));
    let chosen = free.or_else(|| moves.iter().find(between)).or_else(|| moves.first());
    chosen.and_then(position)
}
