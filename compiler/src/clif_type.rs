//! Types and signatures in CLIF: what a value of the guest is to machine code.

use cranelift_codegen::ir::{self, AbiParam, MemFlagsData, types};
use cranelift_codegen::isa::CallConv;
use osr_ir::{FunctionIndex, Type};

use crate::calling_convention::Place;
use crate::linked_module::LinkedModule;
use crate::unit::EntryPoint;

/// The machine signature: the context, then arguments or a frame state; results as far as registers go.
pub(super) fn signature(linked: &LinkedModule, function: FunctionIndex, entry: EntryPoint) -> ir::Signature {
    let guest = linked.module().function(function).signature;
    let mut signature = call_signature(linked, guest);
    if entry != EntryPoint::Function {
        signature.params.truncate(1);
        signature.params.push(AbiParam::new(types::I64));
    }
    signature
}

/// The machine signature of a guest function.
pub(super) fn call_signature(linked: &LinkedModule, guest: osr_ir::SignatureIndex) -> ir::Signature {
    let layout = linked.layout(guest);
    let mut signature = ir::Signature::new(CallConv::SystemV);
    signature.params.push(AbiParam::new(types::I64));
    signature.params.extend(layout.parameter_types.iter().map(|&ty| AbiParam::new(wide_type(ty))));
    let words = layout.result_types.iter().zip(&layout.results);
    let in_registers = words.filter(|(_, place)| !is_memory(**place));
    signature.returns.extend(in_registers.map(|(&ty, _)| AbiParam::new(wide_type(ty))));
    signature
}

/// How a value of type `ty` is accessed that is in words: vectors are not aligned as instructions ask for.
pub(super) fn in_words(ty: ir::Type) -> MemFlagsData {
    if ty.is_vector() { MemFlagsData::new().with_notrap() } else { MemFlagsData::trusted() }
}

/// Whether a result does not fit the return registers.
pub(super) fn is_memory(place: Place) -> bool {
    matches!(place, Place::Memory(_))
}

/// The type of a value where integers of 32 bits are zero-extended: in calls, and in variables.
pub(super) fn wide_type(ty: Type) -> ir::Type {
    match ty {
        Type::I32 => types::I64,
        _ => clif_type(ty),
    }
}

/// The machine type of a vector; operations that see other lanes cast it, which emits nothing.
pub(super) const VECTOR: ir::Type = types::I8X16;

/// The machine type of a value.
pub(super) fn clif_type(ty: Type) -> ir::Type {
    match ty {
        Type::I32 => types::I32,
        Type::I64 | Type::Funcref | Type::Externref | Type::Exnref => types::I64,
        Type::F32 => types::F32,
        Type::F64 => types::F64,
        Type::V128 => VECTOR,
    }
}
