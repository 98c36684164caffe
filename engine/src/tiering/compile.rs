//! From a version key to installed code: gathers the [unit](Unit), has it compiled, installs what comes of it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};

use osr_compiler::{CodeSettings, CompileError, CompiledBody, CompiledTier, Compiler, Unit, VersionKey};

use crate::code::CodeVersion;
use crate::instance::Instance;
use crate::settings::mechanism::{Bookkeeping, CodeRelease};

/// The compiler of this machine. It has no state but memory that one compilation leaves to the next.
pub(crate) fn compiler() -> &'static Compiler {
    static COMPILER: LazyLock<Compiler> = LazyLock::new(Compiler::native);
    &COMPILER
}

/// Compiles what `key` asks for, and installs the code. Nothing enters it yet.
pub(crate) fn compile(instance: &Instance, key: VersionKey) -> Result<Arc<CodeVersion>, CompileError> {
    let registry = instance.registry();
    let version = registry.install(key, compile_body(instance, key)?, 0)?;
    registry.bind(&version, |callee| instance.cell(callee).load(Ordering::Acquire) as u64);
    Ok(version)
}

/// Compiles without installing.
pub(super) fn compile_body(instance: &Instance, key: VersionKey) -> Result<CompiledBody, CompileError> {
    let mut body = compiler().compile(&unit(instance, key))?;
    if let Some(defect) = &instance.settings().planted {
        defect.apply(&instance.module().function(key.function).name, key.entry, &mut body.frame_maps);
    }
    Ok(body)
}

fn unit(instance: &Instance, key: VersionKey) -> Unit<'_> {
    Unit {
        linked: instance.linked(),
        key,
        analysis: instance.analysis(key.function),
        settings: code_settings(instance),
        profile: (key.tier == CompiledTier::Baseline).then(|| instance.profile(key.function)),
    }
}

fn code_settings(instance: &Instance) -> CodeSettings {
    let settings = instance.settings();
    CodeSettings {
        baseline: settings.baseline,
        recording: settings.mechanism.recording,
        binding: settings.mechanism.binding,
        poll: settings.mechanism.poll,
        counts_residents: settings.mechanism.release == CodeRelease::ResidenceCount,
        keeps_return_pc: settings.mechanism.bookkeeping == Bookkeeping::FrameSlot,
        return_sites: settings.mechanism.return_sites(),
        unrolling: settings.copies(),
        shows_arrivals: settings.points,
        // Frames are allocated before the stack is checked; those of a continuation, and of an optimized function
        // that calls nothing, without. Both at once must leave half of the reserve to landings.
        frame_limit: u32::try_from(settings.stack_reserve_bytes / 4).unwrap_or(u32::MAX),
    }
}
