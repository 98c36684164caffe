//! Cranelift's settings for each tier.

use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};

use crate::settings::CompiledTier;

/// Cranelift, set up for `tier`. The baseline tier takes what is quick: no optimization, and the
/// allocator that makes a single pass.
pub(super) fn isa(tier: CompiledTier) -> OwnedTargetIsa {
    let (opt_level, allocator) = match tier {
        CompiledTier::Baseline => ("none", "single_pass"),
        CompiledTier::Optimized => ("speed", "backtracking"),
    };
    let mut flags = settings::builder();
    for (name, value) in [
        ("opt_level", opt_level),
        ("regalloc_algorithm", allocator),
        ("preserve_frame_pointers", "true"),
        ("unwind_info", "true"),
        ("machine_code_cfg_info", if tier == CompiledTier::Optimized { "true" } else { "false" }),
        ("enable_probestack", "false"),
        ("enable_verifier", if cfg!(debug_assertions) { "true" } else { "false" }),
    ] {
        flags.set(name, value).expect("Cranelift knows the setting");
    }
    cranelift_native::builder()
        .expect("x86-64 is supported")
        .finish(settings::Flags::new(flags))
        .expect("the settings agree")
}
