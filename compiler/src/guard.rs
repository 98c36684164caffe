//! Guards: where optimized code leaves because what it speculates on does not hold.
//!
//! ```text
//!           test r, r                 a guard of the body, or a branch of which one side
//!           je   cold                 is speculated never to be taken
//!           ...
//!   cold:   store the frame state     of the block that the guard exits to
//!           mov  esi, number
//!           call failed_guard         which lands the frame
//!           jmp  rdx                  the stub returns, so that the return is predicted, and continues
//! ```
//!
//! An exit is a call behind which nothing continues, with a frame map of its own: what its block stores is the state where
//! execution continues, and nothing else. It is never executed where the guard holds, so that it takes nothing from the
//! code but a use of the state in a cold block; nothing follows it, and the optimizer knows only that it traps there. The
//! number is the guard's in its version, and all that the runtime needs to know which one it was: each copy of a guard
//! that unrolling makes has one of its own, and says of which guard of the body it is.
//!
//! In code that is to be stressed, each guard that holds counts down, and leaves all the same when the count has ended: for
//! the block that it would have gone to.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData, types};
use osr_ir::{Block, Body, FunctionIndex, Point, Position, Register};
use osr_stubs::Context;
use osr_stubs::x86_64::JUMP_BACK;

use super::safepoint::{CompiledMaps, Safepoint};
use super::translate::Translator;
use crate::frame_map::Site;
use crate::listed;
use crate::settings::CompiledTier;

listed! {
    /// Why code deoptimizes: what was speculated that does not hold.
    pub enum DeoptReason {
        /// A guard of the body failed.
        #[default]
        Guard = "guard",
        /// A branch was taken that never was before.
        Branch = "branch",
        /// An indirect call had another target than all before.
        OtherTarget = "other-target",
        /// An argument had another value than always before.
        Argument = "argument",
    }
}

/// A guard of compiled code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// What it is there for.
    pub reason: DeoptReason,
    /// The function whose body has it: that of the version, or one that is inlined.
    pub function: FunctionIndex,
    /// Where in that body it is: a terminator, or an indirect call. That of an argument is at its beginning, with the number
    /// of the parameter.
    pub at: Position,
    /// The point of that body where execution continues if it fails.
    pub point: Point,
    /// Which site of the version its exit is; none if the code has no exit, since it is known that the guard holds.
    pub site: Option<u32>,
}

/// Which guard of which body a guard is.
#[derive(Clone, Copy, Debug)]
struct Identity {
    reason: DeoptReason,
    function: FunctionIndex,
    at: Position,
}

/// How a block ends that ends with a guard.
#[derive(Clone, Copy, Debug)]
pub(super) struct GuardEnd {
    pub(super) reason: DeoptReason,
    /// What is looked at.
    pub(super) condition: Register,
    /// Whether it must not be zero, or must be.
    pub(super) holds: bool,
    /// Where execution goes.
    pub(super) next: Block,
    /// Where it goes if the guard fails.
    pub(super) exit: Block,
}

impl Guard {
    /// Whether `other` is a copy of it, in this version or in another one.
    pub fn is_copy_of(&self, other: &Guard) -> bool {
        (self.function, self.reason, self.at) == (other.function, other.reason, other.at)
    }
}

impl Translator<'_, '_> {
    /// Whether a guard that fails leaves the code.
    fn leaves_at_guards(&self) -> bool {
        self.tier == CompiledTier::Optimized && self.unit.settings.guards_leave
    }

    /// Where the terminator of `block` is in the body that has it, or the call that it stands for.
    fn end(&self, block: Block) -> (FunctionIndex, Position) {
        let own = || (self.unit.key.function, self.body.end(block));
        self.source.tree.map_or_else(own, |tree| tree.end(block))
    }

    /// What guard `terminator`, which ends `block`, is compiled as, if it is one, or takes the place of a branch.
    pub(super) fn guard_of(&self, block: Block, terminator: &osr_ir::Terminator) -> Option<GuardEnd> {
        use osr_ir::Terminator as T;
        if !self.leaves_at_guards() {
            return None;
        }
        let (function, at) = self.end(block);
        let speculation = self.unit.speculation.and_then(|all| all.of(function));
        match *terminator {
            T::Guard { condition, next, exit } => {
                let reason = match at == self.unit.linked.body(function).end(at.block) {
                    true => DeoptReason::Guard,
                    false => DeoptReason::OtherTarget,
                };
                let is_given_up = speculation.is_some_and(|known| known.is_given_up(reason, at));
                let holds = speculation.and_then(|known| known.taken(at)).unwrap_or(true);
                let (next, exit) = if holds { (next, exit) } else { (exit, next) };
                (!is_given_up).then_some(GuardEnd { reason, condition, holds, next, exit })
            }
            T::Branch { condition, if_true, if_false } => {
                let holds = speculation?.taken(at)?;
                let (next, exit) = if holds { (if_true, if_false) } else { (if_false, if_true) };
                Some(GuardEnd { reason: DeoptReason::Branch, condition, holds, next, exit })
            }
            _ => None,
        }
    }

    /// Ends copy `here` of a block with `guard`.
    pub(super) fn guard(&mut self, here: (Block, u8), guard: GuardEnd) {
        let GuardEnd { reason, condition, holds, next, exit } = guard;
        let (function, at) = self.end(here.0);
        let identity = Identity { reason, function, at };
        let condition = self.read(condition);
        let good = self.edge(here, next);
        let counted = self.unit.settings.guards_fail.then(|| self.builder.create_block());
        let (held, cold) = (counted.unwrap_or(good), self.cold_block());
        let [yes, no] = if holds { [held, cold] } else { [cold, held] };
        self.builder.ins().brif(condition, yes, &[], no, &[]);
        if let Some(counted) = counted {
            self.begin(counted);
            self.count_guard(good, identity, next);
        }
        self.fill_exit(cold, identity, exit);
    }

    /// Where the function begins: leaves unless the arguments have the values that they have always had. They are constants
    /// from there on.
    pub(super) fn guard_arguments(&mut self) {
        let function = self.unit.key.function;
        let speculation = self.unit.speculation.and_then(|all| all.of(function));
        let Some(speculation) = speculation.filter(|_| self.leaves_at_guards()) else { return };
        let entry = Block::new(Body::ENTRY);
        for (parameter, bits) in speculation.arguments() {
            let at = Position { block: entry, index: parameter };
            let identity = Identity { reason: DeoptReason::Argument, function, at };
            let register = Register::new(parameter);
            let (found, known) = (self.read(register), self.constant(self.body.ty(register), bits));
            let holds = self.builder.ins().icmp(IntCC::Equal, found, known);
            let (good, cold) = (self.builder.create_block(), self.cold_block());
            let counted = self.unit.settings.guards_fail.then(|| self.builder.create_block());
            self.builder.ins().brif(holds, counted.unwrap_or(good), &[], cold, &[]);
            // What an exit computes is not there behind it.
            let known_here = self.block_local.clone();
            if let Some(counted) = counted {
                self.begin(counted);
                self.count_guard(good, identity, entry);
            }
            self.fill_exit(cold, identity, entry);
            self.block_local = known_here;
            self.begin(good);
            self.write(register, known);
            self.constants[register.index()] = Some(bits);
        }
    }

    /// What follows is in `block`, to which everything leads that ever does.
    fn begin(&mut self, block: ir::Block) {
        self.builder.switch_to_block(block);
        self.builder.seal_block(block);
    }

    /// Counts an execution of a guard that holds, and goes to `good`; it leaves for `next` if the count has ended.
    fn count_guard(&mut self, good: ir::Block, identity: Identity, next: Block) {
        let offset = offset_of!(Context, guard_countdown);
        let left = self.context_word(offset);
        let one = self.builder.ins().iconst(types::I64, 1);
        let left = self.builder.ins().isub(left, one);
        self.builder.ins().store(MemFlagsData::trusted(), left, self.context, offset as i32);
        let cold = self.cold_block();
        self.builder.ins().brif(left, good, &[], cold, &[]);
        self.fill_exit(cold, identity, next);
    }

    /// Fills `cold`, where a guard leaves for `exit`.
    fn fill_exit(&mut self, cold: ir::Block, Identity { reason, function, at }: Identity, exit: Block) {
        self.begin(cold);
        self.count_exit();
        let point = self.analysis.points.guard(exit).expect("where guards exit to there is a point");
        let number = self.guards.len() as u32;
        self.guards.push(Guard { reason, function, at, point: self.source.place(point).1, site: None });
        let (call, safepoint) =
            self.call_for_good(offset_of!(Context, failed_guard_stub), Some(number), point);
        self.record_safepoint(call, Safepoint { guard: Some(number), ..safepoint });
    }
}

/// Writes the jump by which the stub comes back behind the exits of guards in `code`, over the trap that is there. Returns
/// where it is not, if it is missing somewhere.
pub(super) fn lead_back(code: &mut [u8], maps: &CompiledMaps) -> Result<(), u32> {
    let exits = maps.frame_maps.sites().zip(&maps.guards).filter(|(_, guard)| guard.is_some());
    for (Site { return_offset, .. }, _) in exits {
        let behind = code.get_mut(return_offset as usize..).ok_or(return_offset)?;
        let trap = usize::from(behind.first() == Some(&INT3));
        if !behind[trap..].starts_with(&UD2) {
            return Err(return_offset);
        }
        behind[..trap + UD2.len()].fill(INT3);
        behind[..JUMP_BACK.len()].copy_from_slice(&JUMP_BACK);
    }
    Ok(())
}

const UD2: [u8; 2] = [0x0f, 0x0b];

const INT3: u8 = 0xcc;
