//! The calls that Cranelift leaves to be bound, by the names of what they call.

use std::collections::BTreeMap;

use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::entity::PrimaryMap;
use cranelift_codegen::ir;
use cranelift_codegen::{CompiledCode, FinalizedMachReloc, FinalizedRelocTarget};
use osr_ir::FunctionIndex;

use crate::compiled_body::DirectCall;
use crate::emitted::near_access::{Called, DIRECT_DISTANCE, NearAccess, NearWord};
use crate::emitted::tightening::Tight;

/// The calls that must be bound: where in Cranelift's code their distances go. Nothing else may need relocation.
pub(super) struct NamedCalls {
    pub(super) direct: Vec<DirectCall>,
    /// Where those begin that are replaced by near calls, by ascending offset, and through which words.
    pub(super) near: BTreeMap<u32, NearWord>,
}

impl NamedCalls {
    /// Those of `compiled`, by the function's table of names.
    pub(super) fn of(
        compiled: &CompiledCode,
        names: &PrimaryMap<ir::UserExternalNameRef, ir::UserExternalName>,
    ) -> NamedCalls {
        let mut calls = NamedCalls { direct: Vec::new(), near: BTreeMap::new() };
        for relocation in compiled.buffer.relocs() {
            let FinalizedMachReloc { offset, kind, addend, ref target } = *relocation;
            let FinalizedRelocTarget::ExternalName(ir::ExternalName::User(name)) = target else {
                panic!("compiled code must not need relocation: {relocation:?}");
            };
            assert_eq!((kind, addend), (Reloc::X86CallPCRel4, -4), "names are of what is called");
            let word = match Called::of(&names[*name]) {
                Called::Function(index) => {
                    let callee = FunctionIndex::new(index as usize);
                    calls.direct.push(DirectCall { offset, callee });
                    continue;
                }
                Called::Cell(number) => NearWord::Cell(number),
                Called::LeftPollStub => NearWord::LeftPollStub,
            };
            calls.near.insert(offset - DIRECT_DISTANCE, word);
        }
        calls
    }

    /// The direct calls in code that was tightened.
    pub(super) fn direct(&self, tight: &Tight) -> Vec<DirectCall> {
        let moved =
            |call: &DirectCall| Some(DirectCall { offset: tight.kept(call.offset)?, callee: call.callee });
        self.direct.iter().filter_map(moved).collect()
    }

    /// The near calls in code that was tightened.
    pub(super) fn near(&self, tight: &Tight) -> impl Iterator<Item = NearAccess> {
        self.near.iter().filter_map(|(&start, &word)| Some(NearAccess::call(tight.kept(start)?, word)))
    }
}
