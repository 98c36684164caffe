//! Dispatched landings: a hijacked frame of code that speculates continues in code that is specialized as the old code was.
//!
//! ```text
//!   frame of v: relies on S, stands for activations a0 > a1 > a2
//!     │ v is invalidated; the frame's callee returns
//!     └─> context (where a0, a1, a2 are; S without what was given up) ──table──> one frame of a continuation of all three
//! ```
//!
//! What code speculates on holds for a frame of it, but for what it was invalidated for. So the continuation relies on the
//! same, with the values that globals have by then, and is entered at the point where the frame waits. It has the same
//! bodies inlined: a frame that stands for several activations lands as one that does, where otherwise each of them continues in
//! code of its own. The table is that of [exits](super::exit_link): bounded, so that a frame whose context is not in it
//! lands as any other does, and compiled once.
//!
//! Flückiger et al. dispatch so when a guard fails ("Deoptless", PLDI 2022), to functions for one frame.

use osr_compiler::{CompiledTier, EntryPoint, VersionKey};
use osr_ir::PointKind;

use crate::code::ledger::PendingSite;
use crate::event::Cause;
use crate::settings::destination::Destination;
use crate::settings::failing_guards::FailingGuards;
use crate::thread::Thread;
use crate::tiering;
use crate::tiering::contexts::ContextPlace;

/// The code that frames of `site` continue in which are to land in `destination`; none if they are to land as others do.
#[cold]
pub(super) fn continuation(
    thread: &Thread,
    site: &PendingSite,
    destination: Destination,
) -> Option<(*const u8, CompiledTier)> {
    let (instance, version, tier) = (thread.instance(), site.version(), CompiledTier::Optimized);
    if instance.settings().failing_guards != FailingGuards::Dispatch {
        return None;
    }
    let compiles = match destination {
        Destination::Compiled(CompiledTier::Optimized) => true,
        Destination::Cached(CompiledTier::Optimized) => false,
        _ => return None,
    };
    // What leaves at a guard has a context of its own, in which the guard fails.
    if site.kind() == PointKind::Guard || tiering::is_interpreted_at(thread, site.function(), site.point()) {
        return None;
    }
    let place = ContextPlace::of(instance, version, site.number());
    let speculation = version.speculation.as_deref().cloned().unwrap_or_default();
    let speculation = tiering::speculation::without_given_up(instance, speculation);
    let function = instance.function(version.function);
    // What is only looked for takes no place in the table.
    let most = if compiles { instance.settings().contexts } else { 0 };
    let context = function.contexts.number(&place, speculation, most)?;
    let entry = EntryPoint::Specialized { point: place.point, context };
    let compile = || {
        let key = VersionKey { function: version.function, tier, entry };
        compiles.then(|| tiering::compile_now(thread, key, Cause::Landing))?
    };
    let code = function.code_at(tier, entry).or_else(compile)?;
    thread.count(|transitions| transitions.dispatched_landings += 1);
    Some((code, tier))
}
