//! What is supported, and the name of what is not.
//!
//! A module is validated with the supported features only. If that fails, it is validated again with
//! each unsupported feature added in turn, and the one that makes the error go away or move is the one
//! that is missing. Adding a feature never adds an error, so a moved error is a later one.

use wasmparser::{
    AbstractHeapType, Chunk, CompositeInnerType, Encoding, Error, HeapType, Parser, Payload, ValType,
    WasmFeatures,
};

use super::error::{Feature, ImportError};
use super::validation::check;

/// What the importer translates. `GC_TYPES` stands for `externref` in this validator.
const SUPPORTED: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::GC_TYPES)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::BULK_MEMORY_OPT)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::TAIL_CALL)
    .union(EXCEPTIONS)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::FUNCTION_REFERENCES)
    .union(WasmFeatures::THREADS)
    .union(WasmFeatures::FLOATS);

/// What modules that throw or catch use.
const EXCEPTIONS: WasmFeatures = WasmFeatures::EXCEPTIONS.union(WasmFeatures::LEGACY_EXCEPTIONS);

/// What is not supported. A feature that builds on others comes after them.
const UNSUPPORTED: [(WasmFeatures, Feature); 10] = [
    (WasmFeatures::GC, Feature::GarbageCollection),
    (WasmFeatures::SHARED_EVERYTHING_THREADS, Feature::SharedEverythingThreads),
    (WasmFeatures::MEMORY_CONTROL, Feature::MemoryControl),
    (WasmFeatures::CUSTOM_PAGE_SIZES, Feature::CustomPageSizes),
    (WasmFeatures::STACK_SWITCHING, Feature::StackSwitching),
    (WasmFeatures::WIDE_ARITHMETIC, Feature::WideArithmetic),
    (WasmFeatures::CUSTOM_DESCRIPTORS, Feature::CustomDescriptors),
    (WasmFeatures::COMPACT_IMPORTS, Feature::CompactImports),
    (WasmFeatures::ACQUIRE_RELEASE_ATOMICS, Feature::AcquireReleaseAtomics),
    (WasmFeatures::MULTIBYTE_ARRAY_ACCESS, Feature::MultibyteArrayAccess),
];

/// What is known of a module that is valid.
pub(super) struct Valid {
    /// Whether it throws or catches.
    pub(super) has_exceptions: bool,
    /// Whether it has references of which the function type is known.
    pub(super) has_typed_references: bool,
    /// How high the operand stack of each body is, at most.
    pub(super) heights: Vec<u32>,
}

/// Checks that `bytes` are a valid module of supported features.
pub(super) fn validate(bytes: &[u8]) -> Result<Valid, ImportError> {
    refuse_component(bytes)?;
    let untyped = SUPPORTED.difference(WasmFeatures::FUNCTION_REFERENCES);
    if let Ok(heights) = check(bytes, untyped.difference(EXCEPTIONS)) {
        return Ok(Valid { has_exceptions: false, has_typed_references: false, heights });
    }
    let error = match check(bytes, SUPPORTED) {
        Ok(heights) => {
            let has_exceptions = check(bytes, SUPPORTED.difference(EXCEPTIONS)).is_err();
            let has_typed_references = check(bytes, untyped).is_err();
            return Ok(Valid { has_exceptions, has_typed_references, heights });
        }
        Err(error) => error,
    };
    match missing_feature(bytes, &error, SUPPORTED) {
        Some((_, feature)) => Err(ImportError::Unsupported { feature, offset: error.offset() }),
        None => Err(error.into()),
    }
}

/// Components share the magic number with modules; their version word tells.
fn refuse_component(bytes: &[u8]) -> Result<(), ImportError> {
    match Parser::new(0).parse(bytes, true) {
        Ok(Chunk::Parsed { payload: Payload::Version { encoding: Encoding::Component, .. }, .. }) => {
            Err(ImportError::Unsupported { feature: Feature::ComponentModel, offset: 4 })
        }
        _ => Ok(()),
    }
}

/// All features that the module uses and that are not supported, in the order in which validation meets them, each
/// with the offset in the module where it does so first. Empty if the
/// module is supported, or is no valid one at all.
pub fn unsupported_features(bytes: &[u8]) -> Vec<(Feature, u64)> {
    if let Err(ImportError::Unsupported { feature, offset }) = refuse_component(bytes) {
        return vec![(feature, offset)];
    }
    let (mut allowed, mut found) = (SUPPORTED, Vec::new());
    while let Err(error) = check(bytes, allowed) {
        let Some((flags, feature)) = missing_feature(bytes, &error, allowed) else { break };
        if allowed.contains(flags) {
            break;
        }
        allowed = allowed.union(flags);
        if !found.iter().any(|&(known, _)| known == feature) {
            found.push((feature, error.offset()));
        }
    }
    found
}

/// The feature without which validation with those that are `allowed` ends in `error`, if that is why it does, and
/// what allows it.
fn missing_feature(bytes: &[u8], error: &Error, allowed: WasmFeatures) -> Option<(WasmFeatures, Feature)> {
    let precisely = |&(flag, feature): &(WasmFeatures, Feature)| match feature {
        Feature::GarbageCollection if only_recursive(bytes, error.offset()) => {
            (flag, Feature::RecursiveTypes)
        }
        _ => (flag, feature),
    };
    if let Some(named) = error.missing_wasm_feature() {
        let known = UNSUPPORTED.iter().find(|(flag, _)| named.contains(*flag));
        return Some(known.map_or((named, Feature::Unknown), precisely));
    }
    let every = UNSUPPORTED.iter().fold(allowed, |all, (flag, _)| all.union(*flag));
    let helps = |flags| check(bytes, allowed.union(flags)).err().is_none_or(|e| e.offset() != error.offset());
    if !helps(every) {
        return None;
    }
    let found = UNSUPPORTED.iter().find(|(flag, _)| helps(*flag));
    Some(found.map_or((every, Feature::Unknown), precisely))
}

/// Whether what is not supported at `offset` are types, and all types are of functions that neither take nor return objects that
/// are collected.
fn only_recursive(bytes: &[u8], offset: u64) -> bool {
    let sections = Parser::new(0).parse_all(bytes).map_while(Result::ok);
    let types = sections.filter_map(|payload| match payload {
        Payload::TypeSection(section) => Some(section),
        _ => None,
    });
    let Some(section) = types.take(1).next() else { return false };
    (section.range().start..=section.range().end).contains(&offset)
        && section.into_iter().all(|group| {
            group.is_ok_and(|group| group.types().all(|ty| is_of_plain_functions(&ty.composite_type.inner)))
        })
}

fn is_of_plain_functions(ty: &CompositeInnerType) -> bool {
    let CompositeInnerType::Func(ty) = ty else { return false };
    let is_plain = |ty: &ValType| match ty {
        ValType::Ref(reference) => match reference.heap_type() {
            HeapType::Abstract { ty, .. } => {
                matches!(ty, AbstractHeapType::Func | AbstractHeapType::Extern | AbstractHeapType::Exn)
            }
            HeapType::Concrete(_) => true,
            HeapType::Exact(_) => false,
        },
        _ => true,
    };
    ty.params().iter().chain(ty.results()).all(is_plain)
}
