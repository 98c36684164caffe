//! What is supported, and the name of what is not.
//!
//! A module is validated with the supported features only. If that fails, it is validated again with
//! each unsupported feature added in turn, and the one that makes the error go away or move is the one
//! that is missing. Adding a feature never adds an error, so a moved error is a later one.

use wasmparser::{Chunk, Encoding, Error, Parser, Payload, Validator, WasmFeatures};

use super::error::{Feature, ImportError};

/// What the importer translates. `GC_TYPES` stands for `externref` in this validator: it is absent.
const SUPPORTED: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::BULK_MEMORY_OPT)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::FLOATS);

/// What is not supported. A feature that builds on others comes after them.
const UNSUPPORTED: [(WasmFeatures, Feature); 20] = [
    (WasmFeatures::SIMD, Feature::Simd),
    (WasmFeatures::RELAXED_SIMD, Feature::RelaxedSimd),
    (WasmFeatures::THREADS, Feature::Threads),
    (WasmFeatures::TAIL_CALL, Feature::TailCall),
    (WasmFeatures::MULTI_MEMORY, Feature::MultiMemory),
    (WasmFeatures::MEMORY64, Feature::Memory64),
    (WasmFeatures::EXCEPTIONS, Feature::Exceptions),
    (WasmFeatures::LEGACY_EXCEPTIONS, Feature::LegacyExceptions),
    (WasmFeatures::FUNCTION_REFERENCES, Feature::FunctionReferences),
    (WasmFeatures::GC, Feature::GarbageCollection),
    (WasmFeatures::GC_TYPES, Feature::ExternalReferences),
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

/// Checks that `bytes` are a valid module of supported features.
pub(super) fn validate(bytes: &[u8]) -> Result<(), ImportError> {
    refuse_component(bytes)?;
    let Err(error) = check(bytes, SUPPORTED) else { return Ok(()) };
    match missing_feature(bytes, &error) {
        Some(feature) => Err(ImportError::Unsupported { feature, offset: error.offset() }),
        None => Err(error.into()),
    }
}

fn check(bytes: &[u8], features: WasmFeatures) -> Result<(), Error> {
    Validator::new_with_features(features).validate_all(bytes).map(|_| ())
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

/// The feature without which validation ends in `error`, if that is why it does.
fn missing_feature(bytes: &[u8], error: &Error) -> Option<Feature> {
    if let Some(named) = error.missing_wasm_feature().filter(|&flag| flag != WasmFeatures::GC_TYPES) {
        let known = UNSUPPORTED.iter().find(|(flag, _)| named.contains(*flag));
        return Some(known.map_or(Feature::Unknown, |&(_, feature)| feature));
    }
    let every = UNSUPPORTED.iter().fold(SUPPORTED, |all, (flag, _)| all.union(*flag));
    let helps = |features| check(bytes, features).err().is_none_or(|e| e.offset() != error.offset());
    if !helps(every) {
        return None;
    }
    let alone = UNSUPPORTED.iter().find(|(flag, _)| helps(SUPPORTED.union(*flag)));
    let helped = alone.or_else(|| {
        // Types of garbage-collected references are guarded twice in this validator.
        UNSUPPORTED.iter().find(|(flag, _)| helps(SUPPORTED.union(WasmFeatures::GC_TYPES).union(*flag)))
    });
    Some(helped.map_or(Feature::Unknown, |&(_, feature)| feature))
}
