//! The assembler: machine code in a buffer, labels, trap sites.
//!
//! Instructions are encoded by `cranelift-assembler-x64`. What that has no instructions for, because Cranelift chooses
//! between their short and long forms itself, is written here: branches, direct calls, `ret`, `ud2`.
//!
//! A branch to a label that is bound already takes its short form if it reaches. One to a label that is not takes the
//! long form, unless the caller says that the label is [near](Assembler::jump_near).

use std::mem::size_of;

use cranelift_assembler_x64::{CodeSink, DeferredTarget, KnownOffset, TrapCode, inst};
use osr_ir::{FunctionIndex, Point, TrapKind};

use super::machine::{Address, Condition, Gpr, Machine, Width, Xmm};
use crate::compiled_body::DirectCall;
use crate::trap_site::TrapSite;

/// A place in the code that branches lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(u32);

/// What assembling has made, in buffers that are used again.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    pub(super) sink: Sink,
    /// Per label, where it is bound; the maximum if it is not yet.
    labels: Vec<u32>,
    fixups: Vec<Fixup>,
    pub(super) direct_calls: Vec<DirectCall>,
}

/// A distance that is to be filled in: four bytes, unless it is near.
#[derive(Clone, Copy, Debug)]
struct Fixup {
    at: u32,
    label: Label,
    /// What the distance counts from.
    from: u32,
    is_near: bool,
}

/// The bytes, and what of them traps.
#[derive(Debug, Default)]
pub(super) struct Sink {
    bytes: Vec<u8>,
    pub(super) trap_sites: Vec<TrapSite>,
    /// The point that what traps belongs to.
    pub(super) point: Option<Point>,
}

const UNBOUND: u32 = u32::MAX;

impl CodeSink for Sink {
    fn put1(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    fn put2(&mut self, word: u16) {
        self.bytes.extend_from_slice(&word.to_le_bytes());
    }

    fn put4(&mut self, word: u32) {
        self.bytes.extend_from_slice(&word.to_le_bytes());
    }

    fn put8(&mut self, word: u64) {
        self.bytes.extend_from_slice(&word.to_le_bytes());
    }

    fn add_trap(&mut self, code: TrapCode) {
        let kind = TrapKind::from_code(code.0.get() - 1).expect("a code of ours");
        let point = self.point.expect("what may trap has a point");
        self.trap_sites.push(TrapSite { offset: self.bytes.len() as u32, kind, point });
    }

    fn use_target(&mut self, _: DeferredTarget) {
        unreachable!("nothing is addressed relative to the instruction pointer but jump tables");
    }

    fn known_offset(&self, _: KnownOffset) -> i32 {
        unreachable!("all offsets are known");
    }
}

/// Appends an instruction of that name.
macro_rules! emit {
    ($assembler:expr, $name:ident($($operand:expr),* $(,)?)) => {
        cranelift_assembler_x64::inst::$name::<$crate::single_pass::machine::Machine>::new($($operand),*)
            .encode(&mut $assembler.sink)
    };
}
pub(super) use emit;

/// The assembler's code for traps of `kind`.
pub(super) fn trap_code(kind: TrapKind) -> TrapCode {
    TrapCode(std::num::NonZeroU8::MIN.saturating_add(kind.code()))
}

impl Assembler {
    /// Forgets everything but the memory.
    pub(super) fn clear(&mut self) {
        self.sink.bytes.clear();
        self.sink.trap_sites.clear();
        self.sink.point = None;
        self.labels.clear();
        self.fixups.clear();
        self.direct_calls.clear();
    }

    /// Bytes so far.
    pub(super) fn offset(&self) -> u32 {
        self.sink.bytes.len() as u32
    }

    /// The bytes, complete.
    pub(super) fn code(&self) -> &[u8] {
        &self.sink.bytes
    }

    /// What follows belongs to `point`, if it traps.
    pub(super) fn at(&mut self, point: Option<Point>) {
        self.sink.point = point;
    }

    /// A label that is not bound yet.
    pub(super) fn label(&mut self) -> Label {
        self.labels.push(UNBOUND);
        Label(self.labels.len() as u32 - 1)
    }

    /// Binds `label` here.
    pub(super) fn bind(&mut self, label: Label) {
        debug_assert_eq!(self.labels[label.0 as usize], UNBOUND, "a label is bound once");
        self.labels[label.0 as usize] = self.offset();
    }

    /// Jumps to `label`.
    pub(super) fn jump(&mut self, label: Label) {
        self.branch(&[0xeb], &[0xe9], label, false);
    }

    /// Jumps to `label`, which is going to be bound within 127 bytes.
    pub(super) fn jump_near(&mut self, label: Label) {
        self.branch(&[0xeb], &[0xe9], label, true);
    }

    /// Jumps to `label` if `condition` holds.
    pub(super) fn jump_if(&mut self, condition: Condition, label: Label) {
        self.branch(&[0x70 | condition as u8], &[0x0f, 0x80 | condition as u8], label, false);
    }

    /// Jumps to `label`, which is going to be bound within 127 bytes, if `condition` holds.
    pub(super) fn jump_near_if(&mut self, condition: Condition, label: Label) {
        self.branch(&[0x70 | condition as u8], &[0x0f, 0x80 | condition as u8], label, true);
    }

    fn branch(&mut self, short: &[u8], long: &[u8], label: Label, is_near: bool) {
        let target = self.labels[label.0 as usize];
        let after = self.offset() + short.len() as u32 + 1;
        if target != UNBOUND
            && let Ok(distance) = i8::try_from(i64::from(target) - i64::from(after))
        {
            self.sink.bytes.extend_from_slice(short);
            return self.sink.put1(distance as u8);
        }
        let is_near = is_near && target == UNBOUND;
        self.sink.bytes.extend_from_slice(if is_near { short } else { long });
        let (at, bytes) = (self.offset(), if is_near { 1 } else { size_of::<u32>() });
        self.fixups.push(Fixup { at, label, from: at + bytes as u32, is_near });
        self.sink.bytes.resize(at as usize + bytes, 0);
    }

    /// The address of `label`, which is data.
    pub(super) fn address_of(&mut self, target: Gpr, label: Label) {
        // lea target, [rip + distance]
        self.sink.bytes.extend_from_slice(&[0x48 | (target.0 >> 3) << 2, 0x8d, 0x05 | (target.0 & 7) << 3]);
        let at = self.offset();
        self.fixups.push(Fixup { at, label, from: at + 4, is_near: false });
        self.sink.put4(0);
    }

    /// The distance of `label` from `base`, as data.
    pub(super) fn distance(&mut self, label: Label, base: Label) {
        let (at, from) = (self.offset(), self.labels[base.0 as usize]);
        self.fixups.push(Fixup { at, label, from, is_near: false });
        self.sink.put4(0);
    }

    /// Calls `callee` directly: the distance is filled in when the code is in its place.
    pub(super) fn call(&mut self, callee: FunctionIndex) {
        self.sink.put1(0xe8);
        self.direct_calls.push(DirectCall { offset: self.offset(), callee });
        self.sink.put4(0);
    }

    /// Returns.
    pub(super) fn ret(&mut self) {
        self.sink.put1(0xc3);
    }

    /// Traps with `kind`.
    pub(super) fn trap(&mut self, kind: TrapKind) {
        self.sink.add_trap(trap_code(kind));
        self.sink.bytes.extend_from_slice(&[0x0f, 0x0b]);
    }

    /// Overwrites the 32-bit number at `offset`.
    pub(super) fn patch(&mut self, offset: u32, number: u32) {
        let offset = offset as usize;
        self.sink.bytes[offset..offset + size_of::<u32>()].copy_from_slice(&number.to_le_bytes());
    }

    /// Fills in all distances.
    ///
    /// # Panics
    /// If a label is not bound, or a near one is not near.
    pub(super) fn finish(&mut self) {
        for number in 0..self.fixups.len() {
            let Fixup { at, label, from, is_near } = self.fixups[number];
            let target = self.labels[label.0 as usize];
            assert_ne!(target, UNBOUND, "a label is bound");
            let distance = target.wrapping_sub(from) as i32;
            if is_near {
                self.sink.bytes[at as usize] = i8::try_from(distance).expect("a near label") as u8;
            } else {
                self.patch(at, distance as u32);
            }
        }
        debug_assert!(self.sink.trap_sites.is_sorted_by_key(|site| site.offset));
    }
}

/// Moves.
impl Assembler {
    /// `target = source`
    pub(super) fn move_gpr(&mut self, width: Width, target: Gpr, source: Gpr) {
        match width {
            Width::Bits32 => emit!(self, movl_rm(target, source)),
            Width::Bits64 => emit!(self, movq_rm(target, source)),
        }
    }

    /// `target = source`, all of it.
    pub(super) fn move_xmm(&mut self, target: Xmm, source: Xmm) {
        emit!(self, movaps_a(target, source));
    }

    /// `target = bits`. The flags stay as they are.
    pub(super) fn set(&mut self, target: Gpr, bits: u64) {
        if let Ok(low) = u32::try_from(bits) {
            emit!(self, movl_oi(target, low));
        } else if let Ok(low) = i32::try_from(bits as i64) {
            emit!(self, movq_mi_sxl(target, low));
        } else {
            emit!(self, movabsq_oi(target, bits));
        }
    }

    /// `target = [address]`, zero-extended from 32 bits.
    pub(super) fn load_gpr(&mut self, width: Width, target: Gpr, address: Address) {
        match width {
            Width::Bits32 => emit!(self, movl_rm(target, address)),
            Width::Bits64 => emit!(self, movq_rm(target, address)),
        }
    }

    /// `target = [address]`
    pub(super) fn load_xmm(&mut self, width: Width, target: Xmm, address: Address) {
        match width {
            Width::Bits32 => emit!(self, movss_a_m(target, address)),
            Width::Bits64 => emit!(self, movsd_a_m(target, address)),
        }
    }

    /// `[address] = source`
    pub(super) fn store_gpr(&mut self, width: Width, address: Address, source: Gpr) {
        match width {
            Width::Bits32 => emit!(self, movl_mr(address, source)),
            Width::Bits64 => emit!(self, movq_mr(address, source)),
        }
    }

    /// `[address] = source`
    pub(super) fn store_xmm(&mut self, width: Width, address: Address, source: Xmm) {
        match width {
            Width::Bits32 => emit!(self, movss_c_m(address, source)),
            Width::Bits64 => emit!(self, movsd_c_m(address, source)),
        }
    }

    /// The bits of `source`.
    pub(super) fn bits_of(&mut self, width: Width, target: Gpr, source: Xmm) {
        match width {
            Width::Bits32 => emit!(self, movd_b(target, source)),
            Width::Bits64 => emit!(self, movq_b(target, source)),
        }
    }

    /// The float that has the bits in `source`.
    pub(super) fn float_of(&mut self, width: Width, target: Xmm, source: Gpr) {
        match width {
            Width::Bits32 => emit!(self, movd_a(target, source)),
            Width::Bits64 => emit!(self, movq_a(target, source)),
        }
    }

    /// `target = 1` if `condition` holds, else 0, of eight bits.
    pub(super) fn set_if(&mut self, condition: Condition, target: Gpr) {
        use Condition as C;
        macro_rules! by_condition {
            ($($condition:ident: $name:ident,)*) => {
                match condition { $(C::$condition => inst::$name::<Machine>::new(target).encode(&mut self.sink),)* }
            };
        }
        by_condition! {
            Overflow: seto_m, NoOverflow: setno_m, Below: setb_m, AboveOrEqual: setae_m, Equal: sete_m,
            NotEqual: setne_m, BelowOrEqual: setbe_m, Above: seta_m, Sign: sets_m, NoSign: setns_m,
            Parity: setp_m, NoParity: setnp_m, Less: setl_m, GreaterOrEqual: setge_m, LessOrEqual: setle_m,
            Greater: setg_m,
        }
    }

    /// `target = source` if `condition` holds.
    pub(super) fn move_if(
        &mut self,
        condition: Condition,
        width: Width,
        target: Gpr,
        source: cranelift_assembler_x64::GprMem<Gpr, Gpr>,
    ) {
        use Condition as C;
        macro_rules! by_condition {
            ($($condition:ident: $narrow:ident $wide:ident,)*) => {
                match (condition, width) { $(
                    (C::$condition, Width::Bits32) => emit!(self, $narrow(target, source)),
                    (C::$condition, Width::Bits64) => emit!(self, $wide(target, source)),
                )* }
            };
        }
        by_condition! {
            Overflow: cmovol_rm cmovoq_rm, NoOverflow: cmovnol_rm cmovnoq_rm, Below: cmovbl_rm cmovbq_rm,
            AboveOrEqual: cmovael_rm cmovaeq_rm, Equal: cmovel_rm cmoveq_rm, NotEqual: cmovnel_rm cmovneq_rm,
            BelowOrEqual: cmovbel_rm cmovbeq_rm, Above: cmoval_rm cmovaq_rm, Sign: cmovsl_rm cmovsq_rm,
            NoSign: cmovnsl_rm cmovnsq_rm, Parity: cmovpl_rm cmovpq_rm, NoParity: cmovnpl_rm cmovnpq_rm,
            Less: cmovll_rm cmovlq_rm, GreaterOrEqual: cmovgel_rm cmovgeq_rm, LessOrEqual: cmovlel_rm cmovleq_rm,
            Greater: cmovgl_rm cmovgq_rm,
        }
    }
}
