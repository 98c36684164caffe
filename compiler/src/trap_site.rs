//! Trap sites: which instructions trap, why, and at which point of the body.

use cranelift_codegen::{CompiledCode, MachTrap, ir};
use osr_ir::inlining::FrameIndex;
use osr_ir::{Body, Instruction, Point, Points, Position, TrapKind};

use super::safepoint::{Origin, Origins, Safepoint};
use super::source::Source;
use crate::emitted::tightening::Tight;

/// An instruction that may trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrapSite {
    /// Its offset in the code.
    pub offset: u32,
    /// Why it traps.
    pub kind: TrapKind,
    /// The point of the body that it belongs to: of the innermost [virtual frame](crate::frame_map::VirtualFrames), if there
    /// are several.
    pub point: Point,
}

/// What traps, each with its virtual frame, or `None` if it is not known at which point something does.
pub(super) fn trap_sites(
    source: Source<'_>,
    safepoints: &[Safepoint],
    compiled: &CompiledCode,
    tight: &Tight,
) -> Option<Vec<(FrameIndex, TrapSite)>> {
    let (body, points) = (source.body, &source.analysis.points);
    let origins = Origins::of(compiled);
    let site = |trap: &MachTrap| {
        let point = match origins.at(trap.offset)? {
            Origin::Point(point) | Origin::Poll(point) => point,
            Origin::Safepoint(number) | Origin::Leave(number) => safepoints[number].point,
            Origin::Return => return None,
        };
        let loaded = (trap.code == load_trap_code()).then(|| load_at(body, points, point)).flatten();
        let (frame, point) = source.place(loaded.unwrap_or(point));
        Some((frame, TrapSite { offset: tight.offset(trap.offset), kind: trap_kind(trap.code), point }))
    };
    let traps = compiled.buffer.traps().iter();
    traps.filter(|trap| trap.code != never_trap_code()).map(site).collect()
}

/// The load that traps at `point`: the instruction there, or the last load before it, merged into one
/// that has a point of its own.
fn load_at(body: &Body, points: &Points, point: Point) -> Option<Point> {
    let Position { block, index } = points.position(point);
    let instructions = &body.block(block).instructions;
    let until = instructions.len().min(index + 1);
    let load = instructions[..until].iter().rposition(|found| matches!(found, Instruction::Load { .. }))?;
    points.at(block, load)
}

/// Cranelift's code for the trap of a load: stores have Cranelift's own.
pub(super) fn load_trap_code() -> ir::TrapCode {
    trap_code(TrapKind::MemoryOutOfBounds)
}

/// Cranelift's code for a trap of `kind`.
pub(super) fn trap_code(kind: TrapKind) -> ir::TrapCode {
    ir::TrapCode::unwrap_user(kind.code() + 1)
}

/// Cranelift's code for what is never executed.
pub(super) fn never_trap_code() -> ir::TrapCode {
    ir::TrapCode::unwrap_user(200)
}

fn trap_kind(code: ir::TrapCode) -> TrapKind {
    match code {
        ir::TrapCode::HEAP_OUT_OF_BOUNDS => TrapKind::MemoryOutOfBounds,
        ir::TrapCode::INTEGER_OVERFLOW => TrapKind::IntegerOverflow,
        ir::TrapCode::INTEGER_DIVISION_BY_ZERO => TrapKind::IntegerDivideByZero,
        ir::TrapCode::BAD_CONVERSION_TO_INTEGER => TrapKind::InvalidConversionToInteger,
        ir::TrapCode::STACK_OVERFLOW => TrapKind::StackExhausted,
        user => TrapKind::from_code(user.as_raw().get() - 1).expect("a code of ours"),
    }
}
