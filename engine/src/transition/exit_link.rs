//! Linking exits: a guard that fails again and again gets a continuation of its own, and its exit jumps there.
//!
//! The continuation begins where the guard exits to, and is compiled without it: an activation leaves by it once. A frame
//! that takes a [linked exit](crate::code::x86_64::linked_exit) does not reach the runtime: it moves its state, pops
//! itself, and jumps. That is some twenty memory accesses and a direct jump, where a landing in the interpreter and the way
//! back to compiled code are hundreds of instructions.
//!
//! A frame that stands for several activations continues as one that does: its continuation has the same bodies in it, and
//! begins in the innermost one. So a linked exit costs the same, however many activations it leaves.
//!
//! Exits that go back in a loop are not linked: their guards are given up.
//!
//! With [`FailingGuards::Dispatch`] the continuation is specialized for the [context](crate::tiering::contexts) of frames that
//! fail there.

use osr_compiler::{CompiledTier, DeoptReason, EntryPoint, Guard, VersionKey};

use crate::code::{CodeVersion, VersionState};
use crate::event::{Cause, Event};
use crate::instance::Instance;
use crate::settings::Settings;
use crate::settings::failing_guards::FailingGuards;
use crate::thread::Thread;
use crate::thread::phase::Phase;
use crate::tiering;
use crate::tiering::contexts::ContextPlace;

/// Guard `number` of `version` has failed too often: links its exit, if that is what is to be done. Returns what the frame
/// is to execute that is at the exit; none if it is not linked.
#[cold]
pub(super) fn link(thread: &Thread, version: &CodeVersion, number: usize) -> Option<*const u8> {
    let instance = thread.instance();
    if instance.settings().failing_guards == FailingGuards::Remake || version.state() != VersionState::Current
    {
        return None;
    }
    let guard = version.guards[number].guard;
    let site = guard.site?;
    // Where an exit goes back in a loop it takes the place of a poll, which a continuation does not make where it begins:
    // a loop that went round by linked exits could not be stopped.
    let points = instance.points(guard.function);
    if points.guard_block(guard.point).is_some_and(|exit| points.goes_back(guard.at.block, exit)) {
        return None;
    }
    let _landing = thread.watches_landings().then(|| thread.phase().enter(Phase::Landing));
    let entry = entry(instance, version, guard, site)?;
    let (function, tier) = (version.function, CompiledTier::Optimized);
    let cause = Cause::Guard { reason: guard.reason, point: guard.point.as_u32() };
    let known = instance.function(function).code_at(tier, entry);
    let code = known.or_else(|| tiering::compile_now(thread, VersionKey { function, tier, entry }, cause))?;
    let to = instance.registry().find(code as u64)?;
    let words = version.state_words(site, instance.frame_words(function));
    let link = instance.registry().link_exit((version, number), &to, words, Thread::WINDOW_FIELDS)?;
    thread.observe(|| Event::ExitLinked { version, guard: &guard, to: &to, link: &link });
    Some(link.behind_count() as *const u8)
}

/// Where the continuation is entered to which the exit of `guard`, at that site of `version`, is to lead; none if there are
/// too many contexts.
fn entry(instance: &Instance, version: &CodeVersion, guard: Guard, site: u32) -> Option<EntryPoint> {
    let state = instance.function(version.function);
    let &Settings { failing_guards, contexts, .. } = instance.settings();
    let place = ContextPlace::of(instance, version, site);
    let can_flip = matches!(guard.reason, DeoptReason::Guard | DeoptReason::Branch);
    let is_flipped = failing_guards == FailingGuards::Dispatch && can_flip;
    let speculation = || version.speculation.as_deref().cloned().unwrap_or_default();
    let speculation = match (is_flipped, place.inner.is_empty()) {
        (true, _) => Some(speculation().flipped(guard.function, guard.at)),
        (false, false) => Some(speculation().without(guard.function, guard.reason, guard.at)),
        (false, true) => None,
    };
    let context = speculation.and_then(|speculation| state.contexts.number(&place, speculation, contexts));
    match context {
        Some(context) => Some(EntryPoint::Specialized { point: place.point, context }),
        None if place.inner.is_empty() => {
            state.learnt.link(&guard);
            Some(EntryPoint::Continuation(place.point))
        }
        None => None,
    }
}
