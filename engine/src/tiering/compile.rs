//! From a version key to installed code: gathers the [unit](Unit), has it compiled, installs what comes of it.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use osr_compiler::{
    CodeSettings, CompileError, CompiledBody, CompiledTier, Compiler, EntryPoint, Speculations, Unit,
    VersionKey,
};
use osr_ir::{FunctionIndex, Point};

use crate::code::CodeVersion;
use crate::code::call_cells::RESERVED_BYTES;
use crate::code::memory::NEAR_BYTES;
use crate::instance::Instance;
use crate::settings::failing_guards::FailingGuards;
use crate::settings::inlining::Inlining;
use crate::settings::mechanism::{Bookkeeping, CodeRelease};
use crate::tiering::contexts::Values;
use crate::tiering::speculation::{known, plan};

/// The compiler of this machine. It has no state but memory that one compilation leaves to the next.
pub(crate) fn compiler() -> &'static Compiler {
    static COMPILER: LazyLock<Compiler> = LazyLock::new(Compiler::native);
    &COMPILER
}

/// Compiles what `key` asks for, and installs the code. Nothing enters it yet.
pub(crate) fn compile(instance: &Instance, key: VersionKey) -> Result<Arc<CodeVersion>, CompileError> {
    install(instance, key, compile_body(instance, key)?)
}

/// Installs what was compiled for `key`. Nothing enters it yet.
pub(super) fn install(
    instance: &Instance,
    key: VersionKey,
    mut body: CompiledBody,
) -> Result<Arc<CodeVersion>, CompileError> {
    let registry = instance.registry();
    let guards = known(instance, std::mem::take(&mut body.guards));
    let version = registry.install(key, body, guards, 0)?;
    registry.bind(&version, |callee| instance.cell(callee).load(Ordering::Acquire) as u64);
    Ok(version)
}

/// Compiles without installing. What it costs is on the function's account.
pub(super) fn compile_body(instance: &Instance, key: VersionKey) -> Result<CompiledBody, CompileError> {
    let instructions = instance.unit_instructions(key);
    check_size(instance, key.tier, instructions)?;
    let (costs, began) = (instance.costs(), Instant::now());
    let (speculation, (inner, values)) = (plan(instance, key), context(instance, key));
    let left_out = instance.left_out();
    let unit =
        Unit { inner: &inner, values: &values, ..unit(instance, key, speculation.as_ref(), &left_out) };
    let compiled = compiler().compile(&unit);
    costs.measured(key.tier, instructions, began.elapsed());
    instance.function(key.function).account.pay(costs.compilation(key.tier, instructions));
    let mut body = compiled?;
    if let Some(defect) = &instance.settings().planted {
        defect.apply(&instance.module().function(key.function).name, key.entry, &mut body);
    }
    Ok(body)
}

/// Refuses a unit whose compilation would take too much memory.
fn check_size(instance: &Instance, tier: CompiledTier, instructions: u32) -> Result<(), CompileError> {
    let (bytes, limit) = (instance.costs().bytes(tier, instructions), instance.settings().unit_bytes as u64);
    if bytes > limit { Err(CompileError::UnitTooLarge { instructions, bytes, limit }) } else { Ok(()) }
}

/// What is known of the frames that enter code for `key`: the activations besides the function's that they stand for, and what
/// registers hold.
fn context(instance: &Instance, key: VersionKey) -> (Box<[(FunctionIndex, Point)]>, Values) {
    match key.entry {
        EntryPoint::Specialized { context, .. } => {
            let contexts = &instance.function(key.function).contexts;
            (contexts.inner(context), contexts.values(context))
        }
        EntryPoint::Function | EntryPoint::Continuation(_) => Default::default(),
    }
}

fn unit<'a>(
    instance: &'a Instance,
    key: VersionKey,
    speculation: Option<&'a Speculations>,
    left_out: &'a BTreeSet<FunctionIndex>,
) -> Unit<'a> {
    Unit {
        linked: instance.linked(),
        key,
        analysis: instance.analysis(key.function),
        inner: &[],
        values: &[],
        settings: code_settings(instance),
        profile: (key.tier == CompiledTier::Baseline).then(|| instance.profile(key.function)).flatten(),
        speculation,
        left_out,
    }
}

fn code_settings(instance: &Instance) -> CodeSettings {
    let settings = instance.settings();
    CodeSettings {
        baseline: settings.baseline,
        recording: settings.mechanism.recording,
        binding: settings.mechanism.binding,
        has_near_words: RESERVED_BYTES + settings.code_bytes <= NEAR_BYTES,
        poll: settings.mechanism.poll,
        counts_residents: settings.mechanism.release == CodeRelease::ResidenceCount,
        keeps_return_pc: settings.mechanism.bookkeeping == Bookkeeping::FrameSlot,
        return_sites: settings.mechanism.return_sites(),
        inlining: settings.inlining.map(Inlining::budget),
        unrolling: settings.copies(),
        lists_stores: !instance.kept_globals().is_empty(),
        guards_leave: settings.mechanism.can_leave(),
        exits_are_linked: settings.failing_guards != FailingGuards::Remake,
        guards_fail: settings.stress.fails_guards(),
        shows_arrivals: settings.points,
        // Frames are allocated before the stack is checked; those of a continuation, and of an optimized function
        // that calls nothing, without. Both at once must leave half of the reserve to landings.
        frame_limit: u32::try_from(settings.stack_reserve_bytes / 4).unwrap_or(u32::MAX),
    }
}
