//! Contexts of calls that need not be kept, since what they are is known without them.
//!
//! A block is translated before all that lead to it are, so that a register is a parameter there until the end: only then is it
//! seen that it holds the same everywhere, a constant maybe. The optimizer makes constants again in each block that uses them: a
//! call that keeps one as a context has an instruction that makes it, and a store, for nothing. So contexts are looked through
//! when all is translated. What is a constant goes into the frame map, and what several registers hold is kept once.

use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::ir::{
    self, ExceptionTableData, ExceptionTableItem, Function, InstructionData, Opcode, Value, ValueDef, types,
};

use super::safepoint::{Origin, Recorded, Safepoint};

/// Takes the contexts out of the calls of `function` that need not be kept, and says in `safepoints` what they are.
pub(super) fn reduce(function: &mut Function, safepoints: &mut [Safepoint]) {
    let mut seen = SecondaryMap::new();
    let mut calls = 0;
    let mut block = function.layout.entry_block();
    while let Some(here) = block {
        block = function.layout.next_block(here);
        let Some(call) = function.layout.last_inst(here) else { continue };
        let (InstructionData::TryCall { exception, .. } | InstructionData::TryCallIndirect { exception, .. }) =
            function.dfg.insts[call]
        else {
            continue;
        };
        let Some(Origin::Safepoint(number) | Origin::Leave(number)) = Origin::of(function.srcloc(call))
        else {
            continue;
        };
        calls += 1;
        reduce_one(&mut function.dfg, exception, &mut safepoints[number], (&mut seen, calls));
    }
}

/// What a context is.
#[derive(Clone, Copy)]
enum Context {
    /// Kept, as the context of that number.
    Kept(usize),
    Constant(u64),
}

/// Reduces the contexts in `table`, of the call that is `safepoint`. In `seen` is, by value, which context it is of the call that
/// is named beside.
fn reduce_one(
    dfg: &mut ir::DataFlowGraph,
    table: ir::ExceptionTable,
    safepoint: &mut Safepoint,
    (seen, call): (&mut SecondaryMap<Value, (u32, usize)>, u32),
) {
    let data = &dfg.exception_tables[table];
    let mut kept = 0;
    let mut contexts = Vec::new();
    let mut items = Vec::new();
    for item in data.items() {
        let ExceptionTableItem::Context(value) = item else {
            items.push(item);
            continue;
        };
        let value = dfg.resolve_aliases(value);
        contexts.push(if let Some(bits) = constant(dfg, value) {
            Context::Constant(bits)
        } else {
            if seen[value].0 != call {
                seen[value] = (call, kept);
                kept += 1;
                items.push(ExceptionTableItem::Context(value));
            }
            Context::Kept(seen[value].1)
        });
    }
    if kept == contexts.len() {
        return;
    }
    dfg.exception_tables[table] = ExceptionTableData::new(data.signature(), *data.normal_return(), items);
    for (_, recorded) in &mut safepoint.state {
        if let Recorded::Allocated(context) = *recorded {
            *recorded = match contexts[context] {
                Context::Kept(context) => Recorded::Allocated(context),
                Context::Constant(bits) => Recorded::Constant(bits),
            };
        }
    }
}

/// The bits of `value`, if it is a constant.
fn constant(dfg: &ir::DataFlowGraph, value: Value) -> Option<u64> {
    let ValueDef::Result(inst, _) = dfg.value_def(value) else { return None };
    match dfg.insts[inst] {
        InstructionData::UnaryImm { opcode: Opcode::Iconst, imm } => {
            let bits = imm.bits() as u64;
            Some(if dfg.value_type(value) == types::I64 { bits } else { bits & u64::from(u32::MAX) })
        }
        InstructionData::UnaryIeee32 { imm, .. } => Some(imm.bits().into()),
        InstructionData::UnaryIeee64 { imm, .. } => Some(imm.bits()),
        InstructionData::Unary { opcode: Opcode::Uextend, arg } => constant(dfg, dfg.resolve_aliases(arg)),
        _ => None,
    }
}
