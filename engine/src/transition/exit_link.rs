//! Linking exits: a guard that fails again and again gets a continuation of its own, and its exit jumps there.
//!
//! The continuation begins where the guard exits to, and is compiled without it: an activation leaves by it once. A frame
//! that takes a [linked exit](crate::code::x86_64::linked_exit) does not reach the runtime: it moves its state, pops
//! itself, and jumps. That is some twenty memory accesses and a direct jump, where a landing in the interpreter and the way
//! back to compiled code are hundreds of instructions.
//!
//! Exits that go back in a loop are not linked, nor those of frames that stand for several activations: their guards are
//! given up.
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
    let is_chain = |site| version.virtual_frames.as_ref().is_some_and(|frames| frames.has_chain(site));
    if guard.site.is_none_or(is_chain) {
        return None;
    }
    // Where an exit goes back in a loop it takes the place of a poll, which a continuation does not make where it begins:
    // a loop that went round by linked exits could not be stopped.
    let points = instance.points(version.function);
    if points.guard_block(guard.point).is_some_and(|exit| points.goes_back(guard.at.block, exit)) {
        return None;
    }
    let _landing = thread.watches_landings().then(|| thread.phase().enter(Phase::Landing));
    let state = instance.function(version.function);
    let tier = CompiledTier::Optimized;
    let entry = specialized(instance, version, guard).unwrap_or_else(|| {
        state.learnt.link(&guard);
        EntryPoint::Continuation(guard.point)
    });
    let key = VersionKey { function: version.function, tier, entry };
    let cause = Cause::Guard { reason: guard.reason, point: guard.point.as_u32() };
    let code = state.code_at(tier, entry).or_else(|| tiering::compile_now(thread, key, cause))?;
    let to = instance.registry().find(code as u64)?;
    let words = instance.frame_words(version.function);
    let link = instance.registry().link_exit((version, number), &to, words, Thread::WINDOW_FIELDS)?;
    thread.observe(|| Event::ExitLinked { version, guard: &guard, to: &to });
    Some(link as *const u8)
}

/// The continuation for frames that leave `version` at `guard`, specialized for that, if there is to be one.
fn specialized(instance: &Instance, version: &CodeVersion, guard: Guard) -> Option<EntryPoint> {
    let &Settings { failing_guards, contexts, .. } = instance.settings();
    let can_flip = matches!(guard.reason, DeoptReason::Guard | DeoptReason::Branch);
    if failing_guards != FailingGuards::Dispatch || !can_flip {
        return None;
    }
    let speculation =
        version.speculation.as_deref().cloned().unwrap_or_default().flipped(guard.function, guard.at);
    let context = instance.function(version.function).contexts.number(guard.point, speculation, contexts)?;
    Some(EntryPoint::Specialized { point: guard.point, context })
}
