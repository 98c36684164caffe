//! Orders: code that a policy wants is compiled, at once or in the background, and installed.

use std::time::{Duration, Instant};

use osr_compiler::{CompileError, CompiledBody, CompiledTier, VersionKey};
use osr_ir::GlobalIndex;

use super::queue::{Finished, Order, Queue};
use super::{Arrival, compile};
use crate::event::{Cause, Event};
use crate::instance::Instance;
use crate::thread::Thread;

/// The code of `tier` for `arrival`, if it is there, or is compiled while the function waits. Otherwise it is ordered.
#[cold]
pub(super) fn code(thread: &Thread, arrival: &Arrival, tier: CompiledTier) -> Option<*const u8> {
    let known = thread.instance().function(arrival.function).code_at(tier, arrival.entry);
    known.or_else(|| {
        let key = arrival.key(tier);
        if !can_compile(thread, key) {
            return None;
        }
        let candidate = arrival.candidate(thread);
        let (estimate, cause) = (candidate.estimate(tier), arrival.cause());
        let ordered = || Event::Ordered { key, estimate, cause };
        let queue = thread.instance().queue().filter(|queue| queue.takes(tier, estimate.cost_ns));
        let Some(queue) = queue else {
            thread.observe(ordered);
            return compile_now(thread, key, cause);
        };
        let generation = thread.instance().function(key.function).account.generation();
        let order = Order { key, gain: candidate.gain(tier), cause, generation };
        if queue.order(thread.shared_instance(), order) {
            thread.observe(ordered);
        }
        None
    })
}

/// Installs what was ordered and has arrived.
#[cold]
pub(super) fn arrive(thread: &Thread, queue: &Queue) {
    for Finished { order: Order { key, cause, generation, .. }, body, duration, .. } in queue.arrived() {
        let instance = thread.instance();
        let is_wanted = instance.function(key.function).account.generation() == generation
            && instance.bodies().carried(key.function).is_none();
        if is_wanted {
            finish(thread, key, body, duration, cause);
        } else {
            thread.observe(|| Event::Discarded { key, cause });
        }
    }
}

/// Compiles what `key` asks for, because of `cause`, and installs it.
#[cold]
pub(crate) fn compile_now(thread: &Thread, key: VersionKey, cause: Cause) -> Option<*const u8> {
    if !can_compile(thread, key) {
        return None;
    }
    let began = Instant::now();
    let body = compile::compile_body(thread.instance(), key);
    finish(thread, key, body, began.elapsed(), cause)
}

/// Installs what was compiled.
fn finish(
    thread: &Thread,
    key: VersionKey,
    body: Result<CompiledBody, CompileError>,
    duration: Duration,
    cause: Cause,
) -> Option<*const u8> {
    let instance = thread.instance();
    let VersionKey { function, tier, entry } = key;
    if let Ok(body) = &body
        && !(bodies_agree(instance, body) && globals_agree(thread, body, cause))
    {
        thread.observe(|| Event::Discarded { key, cause });
        return None;
    }
    if let Ok(CompiledBody { fallback: Some(fallback), .. }) = &body {
        thread.observe(|| Event::FellBack { key, fallback, cause });
    }
    match body.and_then(|body| compile::install(instance, key, body)) {
        Ok(version) => {
            instance.publish(&version);
            thread.observe(|| Event::Compiled { version: &version, duration, cause });
            Some(version.start as *const u8)
        }
        Err(error) => {
            let memory = matches!(error, CompileError::NoCodeMemory | CompileError::PlaceOccupied);
            let released = memory.then(|| instance.code_statistics().versions_released);
            let too_large = error.is_of_size().then(|| instance.unit_instructions(key));
            instance.function(function).refuse((tier, entry), released, too_large, error.to_string());
            tracing::warn!(function = %instance.module().function(function).name, %error, "not compiled");
            thread.observe(|| Event::Refused { function, tier, entry, error: &error, cause });
            None
        }
    }
}

/// Whether the globals that the code takes for constants are these, and no code takes those for constants that it stores to.
fn globals_agree(thread: &Thread, body: &CompiledBody, cause: Cause) -> bool {
    let instance = thread.instance();
    let kept = instance.kept_globals();
    for &global in body.stored_globals.iter().filter(|&&global| kept.may_be_kept(global)) {
        if !thread.give_up_global(global, cause == Cause::Landing) {
            return false;
        }
    }
    let is_kept =
        |&(global, bits): &(GlobalIndex, u64)| kept.may_be_kept(global) && instance.global(global) == bits;
    body.kept_globals.iter().all(is_kept)
}

/// Whether calls of the functions that are inlined enter the bodies that are: while it was compiled, they may have been
/// redefined.
fn bodies_agree(instance: &Instance, body: &CompiledBody) -> bool {
    let mut inlined = body.virtual_frames.iter().flat_map(|frames| frames.inlined());
    inlined.all(|function| instance.may_be_inlined(function))
}

/// Whether compiling what `key` asks for is worth trying: activations stay in the body, it was not refused, and there is
/// native stack for the compiler, which is asked also of what is compiled beside the guest, so that the same is.
fn can_compile(thread: &Thread, key: VersionKey) -> bool {
    let instance = thread.instance();
    let released = instance.code_statistics().versions_released;
    let instructions = u64::from(instance.work(key.function).instructions());
    // Activations of a body that is left are carried where it is interpreted.
    instance.bodies().carried(key.function).is_none()
        && !instance.is_refused(key, released)
        && thread.has_native_stack_for(COMPILER_STACK + instructions / 2)
}

/// Native stack that the compiler takes at most, but for what grows with the body: measured were 76 to 90
/// KB, and 24 KB more for a body of 140,000 instructions.
const COMPILER_STACK: u64 = 128 << 10;
