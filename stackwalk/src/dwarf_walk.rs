//! Walking every frame, compiled, stub, Rust and C alike, by unwind tables.
//!
//! ```text
//!                 +-- known to be described? --- no --> gimli row --- none ---> NoUnwindInfo
//!   return PC ----+                                        | pop
//!                 | yes                                    v
//!                 +-- framehop steps ------------> same CFA, rbp, PC? -- no --> UnwinderDisagrees
//!                                                          | yes: known from now on
//! ```
//!
//! framehop steps, because its cached rules make a step cost nanoseconds. But where it knows no module,
//! finds no description or cannot use one, it goes by the frame pointer and does not say so. So the
//! first step at each PC is checked: the description is found and evaluated here, with gimli, and the
//! two results must be equal. Later steps at the PC go straight to framehop. Rows that framehop has no rule
//! for, unusual ones, are always evaluated here.
//!
//! framehop tells its cached rules apart by a 16-bit count of module changes. It cannot be relied on
//! after 65,535 changes, so every change of the arena's module here takes a new cache with it.

use std::ops::Range;

use framehop::x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64};
use framehop::{FrameAddress, Unwinder as _};

use crate::modules::{CodeModule, SectionBytes};
use crate::{
    CalleeSaved, CalleeSavedRegs, CfiRow, Error, ExitRecord, Frame, NativeModules, ReturnPc, ReturnPcs,
    ReturnSlot, Save, StackMemory, WalkEnd,
};

/// How many PCs are remembered as checked. A power of two, and of the order of framehop's own cache.
const CHECKED_PCS: usize = 1024;

/// The modules to unwind through, and what was learnt of them. One per thread that walks.
pub struct DwarfWalker {
    unwinder: UnwinderX86_64<SectionBytes>,
    cache: CacheX86_64,
    native: NativeModules,
    arena_range: Range<u64>,
    arena: Option<(u64, CodeModule)>,
    /// PCs whose description was found and whose step was checked, each at its hash's place.
    checked: Box<[ReturnPc; CHECKED_PCS]>,
}

/// The registers that a step needs: those that framehop tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Registers {
    pc: ReturnPc,
    sp: u64,
    bp: u64,
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
            checked: Box::new([ReturnPc::default(); CHECKED_PCS]),
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
        self.checked.fill(ReturnPc::default());
    }

    /// A walk from `start`, innermost frame first.
    pub fn walk<M: StackMemory, P: ReturnPcs>(
        &mut self,
        memory: M,
        pcs: P,
        start: ExitRecord,
    ) -> DwarfWalk<'_, M, P> {
        let at = UnwindRegsX86_64::new(0, start.return_slot.stack_pointer(), start.frame_base);
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

    /// Moves `at` to the next frame out; says false, and leaves it, if there is none.
    #[inline]
    fn step(&mut self, memory: &impl StackMemory, at: &mut UnwindRegsX86_64) -> Result<bool, Error> {
        let from = Registers::of(at);
        if self.checked[checked_place(from.pc)] == from.pc && self.framehop_step(memory, from.pc, at) {
            return Ok(true);
        }
        self.checked_step(memory, from, at)
    }

    /// The same for a PC met for the first time, or for a step that failed: finds out what is right, or
    /// which error it is.
    #[cold]
    fn checked_step(
        &mut self,
        memory: &impl StackMemory,
        from: Registers,
        at: &mut UnwindRegsX86_64,
    ) -> Result<bool, Error> {
        *at = from.to_framehop();
        let row = self.row_at_return(from.pc)?;
        if row.is_outermost() {
            return Ok(false);
        }
        let expected = pop(&row, memory, from)?;
        if !has_framehop_rule(&row) {
            *at = expected.to_framehop();
            return Ok(true);
        }
        if !self.framehop_step(memory, from.pc, at) || Registers::of(at) != expected {
            return Err(Error::UnwinderDisagrees { pc: from.pc });
        }
        self.checked[checked_place(from.pc)] = from.pc;
        Ok(true)
    }

    /// Lets framehop step from `pc`; says whether it could.
    #[inline]
    fn framehop_step(&mut self, memory: &impl StackMemory, pc: ReturnPc, at: &mut UnwindRegsX86_64) -> bool {
        let Some(address) = FrameAddress::from_return_address(pc.address()) else { return false };
        let mut read = |address| memory.read(address).ok_or(());
        matches!(self.unwinder.unwind_frame(address, at, &mut self.cache, &mut read), Ok(Some(_)))
    }
}

impl Registers {
    #[inline]
    fn of(regs: &UnwindRegsX86_64) -> Self {
        Self { pc: ReturnPc::new(regs.ip()), sp: regs.sp(), bp: regs.bp() }
    }

    fn to_framehop(self) -> UnwindRegsX86_64 {
        UnwindRegsX86_64::new(self.pc.address(), self.sp, self.bp)
    }
}

/// Where a checked PC is remembered.
fn checked_place(pc: ReturnPc) -> usize {
    let pc = pc.address();
    (pc ^ (pc >> 10)) as usize % CHECKED_PCS
}

/// Whether framehop makes a rule of `row`, which it caches and which cannot go wrong unnoticed: it moves
/// outwards or fails. Any other row it evaluates at each step, and where that fails, on a broken stack, it
/// goes by the frame pointer, and caches *that*; so such a row is kept from it.
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
fn pop(row: &CfiRow, memory: &impl StackMemory, at: Registers) -> Result<Registers, Error> {
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
    Ok(Registers { pc, sp: cfa, bp })
}

/// A walk through all frames, innermost first. After the end or an error there are no more.
pub struct DwarfWalk<'w, M, P> {
    walker: &'w mut DwarfWalker,
    memory: M,
    pcs: P,
    at: UnwindRegsX86_64,
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
                if !self.walker.step(&self.memory, &mut self.at)? {
                    self.state = State::Ended(WalkEnd::Outermost);
                    return Ok(None);
                }
            }
            State::Start => self.at.set_ip(ReturnSlot::below(self.at.sp()).read(&self.memory)?.address()),
            State::Ended(_) | State::Failed => return Ok(None),
        }
        let slot = ReturnSlot::below(self.at.sp());
        let held = ReturnPc::new(self.at.ip());
        let pc = self.pcs.look_through(slot, held)?;
        if self.pcs.is_boundary(pc) {
            self.state = State::Ended(WalkEnd::Boundary { slot });
            return Ok(None);
        }
        let row_pc = if pc == held { pc } else { self.pcs.row_pc(held, pc) };
        self.at.set_ip(row_pc.address());
        self.state = State::Walking;
        Ok(Some(Frame { pc, return_slot: slot, frame_base: self.at.bp() }))
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
