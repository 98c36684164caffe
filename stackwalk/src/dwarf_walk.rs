//! Walking every frame, compiled, stub, Rust and C alike, by unwind tables.
//!
//! ```text
//!                 +-- known to be described? --- no --> gimli row --- none ---> NoUnwindInfo
//!   return PC ----+                                        | pop
//!                 | yes                                    v
//!                 v                               framehop: same CFA, rbp, PC? -- no --> UnwinderDisagrees
//!              its rule                                    |
//!                                                          | yes: known from now on
//! ```
//!
//! The first step at each PC is made twice: by gimli, which evaluates the description, and by framehop, whose results
//! must be the same. Two unwinders that are wrong in the same way are unlikely; and framehop alone would not do,
//! since where it knows no module, finds no description or cannot use one, it goes by the frame pointer and does not
//! say so. What a step at the PC does is remembered as a [rule](StepRule) of a few words, by which later steps go:
//! a lookup and two loads. Rows that neither the rule nor framehop can express, unusual ones, are evaluated at each
//! step.
//!
//! framehop tells its cached rules apart by a 16-bit count of module changes. It cannot be relied on
//! after 65,535 changes, so every change of the arena's module here takes a new cache with it.

use std::ops::Range;

use framehop::x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64};
use framehop::{FrameAddress, Unwinder as _};

use crate::modules::{CodeModule, SectionBytes};
use crate::x86_64::step_rule::{StepRegisters, StepRule};
use crate::{
    CalleeSaved, CalleeSavedRegs, CfiRow, Error, ExitRecord, Frame, NativeModules, ReturnPc, ReturnPcs,
    ReturnSlot, Save, StackMemory, WalkEnd,
};

/// How many PCs are remembered with their rules. A power of two; more than most stacks have.
const KNOWN_PCS: usize = 1024;

/// The modules to unwind through, and what was learnt of them. One per thread that walks.
pub struct DwarfWalker {
    unwinder: UnwinderX86_64<SectionBytes>,
    cache: CacheX86_64,
    native: NativeModules,
    arena_range: Range<u64>,
    arena: Option<(u64, CodeModule)>,
    /// PCs whose description was found and whose step was checked, each at its hash's place.
    known: Box<[(ReturnPc, StepRule); KNOWN_PCS]>,
}

impl std::fmt::Debug for DwarfWalker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("DwarfWalker").field("arena", &self.arena_range).finish_non_exhaustive()
    }
}

impl DwarfWalker {
    /// A walker through `native` code and the code arena at `arena` (an empty range if there is none),
    /// whose unwind information is yet unknown.
    #[must_use]
    pub fn new(native: NativeModules, arena: Range<u64>) -> Self {
        let mut unwinder = UnwinderX86_64::new();
        for module in &native.modules {
            unwinder.add_module(module.to_framehop());
        }
        Self {
            unwinder,
            cache: CacheX86_64::new(),
            native,
            arena_range: arena,
            arena: None,
            known: Box::new([Default::default(); KNOWN_PCS]),
        }
    }

    /// Brings the arena's unwind information up to `epoch`, which the caller counts up whenever code is
    /// installed or released. Only if it is not there yet is `build` asked for the `.eh_frame` bytes
    /// ([`UnwindSection::to_bytes`](crate::UnwindSection::to_bytes)) and everything learnt forgotten.
    /// Says whether it was.
    ///
    /// # Errors
    /// `build`'s own, [`Error::MalformedCfi`], [`Error::OverlappingCfi`], [`Error::OutsideArena`]; the
    /// arena is then without unwind information.
    pub fn refresh_arena(
        &mut self,
        epoch: u64,
        build: impl FnOnce() -> Result<Vec<u8>, Error>,
    ) -> Result<bool, Error> {
        if self.arena.as_ref().is_some_and(|(have, _)| *have == epoch) {
            return Ok(false);
        }
        self.forget_arena();
        let module = CodeModule::of_arena(self.arena_range.clone(), build()?)?;
        self.unwinder.add_module(module.to_framehop());
        self.arena = Some((epoch, module));
        Ok(true)
    }

    /// Drops the arena's unwind information and everything learnt from it.
    fn forget_arena(&mut self) {
        if self.arena.take().is_some() {
            self.unwinder.remove_module(self.arena_range.start);
        }
        self.cache = CacheX86_64::new();
        self.known.fill(Default::default());
    }

    /// A walk from `start`, innermost frame first.
    pub fn walk<M: StackMemory, P: ReturnPcs>(
        &mut self,
        memory: M,
        pcs: P,
        start: ExitRecord,
    ) -> DwarfWalk<'_, M, P> {
        let sp = start.return_slot.stack_pointer();
        let at = StepRegisters { pc: ReturnPc::default(), sp, bp: start.frame_base };
        DwarfWalk { walker: self, memory, pcs, at, state: State::Start }
    }

    /// The unwind row for a frame that `pc` returns into.
    ///
    /// # Errors
    /// [`Error::NoUnwindInfo`], [`Error::UnsupportedCfi`], [`Error::MalformedCfi`].
    pub fn row_at_return(&self, pc: ReturnPc) -> Result<CfiRow, Error> {
        let lookup = pc.lookup_address();
        let arena = self.arena.as_ref().map(|(_, module)| module);
        let after = self.native.modules.partition_point(|module| module.code.start <= lookup);
        let native = after.checked_sub(1).map(|index| &self.native.modules[index]);
        let holder = arena.into_iter().chain(native).find(|module| module.code.contains(&lookup));
        holder.map_or(Ok(None), |module| module.row(lookup))?.ok_or(Error::NoUnwindInfo { pc })
    }

    /// Pops frames, with all callee-saved registers, until the next one would be returned to through `until`: from a frame
    /// that `pc` returns to with these registers, and `rsp` right above `slot`. By unwind tables only, and not remembered:
    /// for the few frames between two segments of compiled ones.
    ///
    /// # Errors
    /// Those of [`Self::row_at_return`] and [`CfiRow::pop`]; [`Error::DidNotAdvance`] if no frame is returned to through
    /// that slot.
    pub fn unwind_to(
        &self,
        memory: &impl StackMemory,
        (mut slot, mut pc): (ReturnSlot, ReturnPc),
        mut registers: CalleeSavedRegs,
        until: ReturnSlot,
    ) -> Result<CalleeSavedRegs, Error> {
        while slot < until {
            let popped = self.row_at_return(pc)?.pop(memory, slot.stack_pointer(), &registers)?;
            (slot, registers) = (popped.return_slot, popped.registers);
            pc = slot.read(memory)?;
        }
        if slot == until { Ok(registers) } else { Err(Error::DidNotAdvance { slot: until }) }
    }

    /// The next frame out from `at`; `None` if there is none.
    #[inline]
    fn step(&mut self, memory: &impl StackMemory, at: StepRegisters) -> Result<Option<StepRegisters>, Error> {
        let (pc, rule) = self.known[place(at.pc)];
        if pc == at.pc
            && let Some(popped) = rule.step(memory, at)
        {
            return Ok(Some(popped));
        }
        self.checked_step(memory, at)
    }

    /// The same for a PC met for the first time, or for a step that failed: finds out what is right, or
    /// which error it is.
    #[cold]
    fn checked_step(
        &mut self,
        memory: &impl StackMemory,
        at: StepRegisters,
    ) -> Result<Option<StepRegisters>, Error> {
        let row = self.row_at_return(at.pc)?;
        if row.is_outermost() {
            return Ok(None);
        }
        let expected = pop(&row, memory, at)?;
        if has_framehop_rule(&row) && self.framehop_step(memory, at) != Some(expected) {
            return Err(Error::UnwinderDisagrees { pc: at.pc });
        }
        if let Some(rule) = StepRule::of(&row).filter(|_| has_framehop_rule(&row)) {
            self.known[place(at.pc)] = (at.pc, rule);
        }
        Ok(Some(expected))
    }

    /// The next frame out from `at` as framehop sees it.
    fn framehop_step(&mut self, memory: &impl StackMemory, at: StepRegisters) -> Option<StepRegisters> {
        let address = FrameAddress::from_return_address(at.pc.address())?;
        let mut registers = UnwindRegsX86_64::new(at.pc.address(), at.sp, at.bp);
        let mut read = |address| memory.read(address).ok_or(());
        let stepped = self.unwinder.unwind_frame(address, &mut registers, &mut self.cache, &mut read);
        stepped.ok()??;
        Some(StepRegisters { pc: ReturnPc::new(registers.ip()), sp: registers.sp(), bp: registers.bp() })
    }
}

/// Where a PC is remembered.
#[inline(always)]
fn place(pc: ReturnPc) -> usize {
    let pc = pc.address();
    (pc ^ (pc >> 10)) as usize % KNOWN_PCS
}

/// Whether framehop makes a rule of `row`, which cannot go wrong unnoticed: it moves outwards or fails. Any other row it
/// evaluates at each step, and where that fails, on a broken stack, it goes by the frame pointer, and caches
/// *that*; so such a row is kept from it.
fn has_framehop_rule(row: &CfiRow) -> bool {
    let (offset, rbp) = (row.cfa_offset(), row.save(CalleeSaved::Rbp));
    if row.cfa_register().is_some() {
        return offset == 16 && rbp == Save::At(-16);
    }
    let saved = match rbp {
        Save::Same => 0,
        Save::At(at) => at,
        Save::Unknown => return false,
    };
    // Offsets are kept as numbers of words, in 16 bits.
    [offset, saved].into_iter().all(|offset| offset % 8 == 0 && offset.unsigned_abs() < 0x2_0000)
}

/// Pops the frame at `at` by `row`, as far as rsp and rbp go: the other registers are not known here.
fn pop(row: &CfiRow, memory: &impl StackMemory, at: StepRegisters) -> Result<StepRegisters, Error> {
    if !matches!(row.cfa_register(), None | Some(CalleeSaved::Rbp)) {
        return Err(Error::UnsupportedCfi {
            address: at.pc.address(),
            what: "a CFA that is not from rsp or rbp",
        });
    }
    let cfa = row.outward_cfa(at.sp, &CalleeSavedRegs { rbp: at.bp, ..CalleeSavedRegs::default() })?;
    let bp = row.restore(memory, cfa, CalleeSaved::Rbp, at.bp)?;
    let slot = ReturnSlot::below(cfa);
    let pc = slot.read(memory)?;
    if pc.is_null() {
        return Err(Error::NullReturnPc { slot });
    }
    Ok(StepRegisters { pc, sp: cfa, bp })
}

/// A walk through all frames, innermost first. After the end or an error there are no more.
pub struct DwarfWalk<'w, M, P> {
    walker: &'w mut DwarfWalker,
    memory: M,
    pcs: P,
    at: StepRegisters,
    state: State,
}

/// How far a walk is.
#[derive(Clone, Copy, Debug)]
enum State {
    Start,
    Walking,
    Ended(WalkEnd),
    Failed,
}

impl<M: StackMemory, P: ReturnPcs> DwarfWalk<'_, M, P> {
    /// The next frame; nothing at the boundary or past the outermost frame.
    ///
    /// # Errors
    /// [`Error::NoUnwindInfo`] for code that nothing describes, [`Error::Unreadable`],
    /// [`Error::DidNotAdvance`], [`Error::NullReturnPc`], [`Error::UnrecordedHijack`],
    /// [`Error::UnsupportedCfi`], [`Error::MalformedCfi`], [`Error::UnwinderDisagrees`].
    #[inline]
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Error> {
        let next = self.advance();
        if next.is_err() {
            self.state = State::Failed;
        }
        next
    }

    #[inline]
    fn advance(&mut self) -> Result<Option<Frame>, Error> {
        match self.state {
            State::Walking => {
                let Some(popped) = self.walker.step(&self.memory, self.at)? else {
                    self.state = State::Ended(WalkEnd::Outermost);
                    return Ok(None);
                };
                self.at = popped;
            }
            State::Start => self.at.pc = ReturnSlot::below(self.at.sp).read(&self.memory)?,
            State::Ended(_) | State::Failed => return Ok(None),
        }
        let slot = ReturnSlot::below(self.at.sp);
        let held = self.at.pc;
        let pc = self.pcs.look_through(Frame { pc: held, return_slot: slot, frame_base: self.at.bp })?;
        if self.pcs.is_boundary(pc) {
            self.state = State::Ended(WalkEnd::Boundary { slot });
            return Ok(None);
        }
        let row_pc = if pc == held { pc } else { self.pcs.row_pc(held, pc) };
        self.at.pc = row_pc;
        self.state = State::Walking;
        Ok(Some(Frame { pc, return_slot: slot, frame_base: self.at.bp }))
    }

    /// Where the walk ended; nothing while frames are left, or if it failed.
    pub fn end(&self) -> Option<WalkEnd> {
        match self.state {
            State::Ended(end) => Some(end),
            _ => None,
        }
    }
}

impl<M: StackMemory, P: ReturnPcs> Iterator for DwarfWalk<'_, M, P> {
    type Item = Result<Frame, Error>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.next_frame().transpose()
    }
}
