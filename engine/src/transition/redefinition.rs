//! Redefinition: calls of functions enter other bodies, and activations of the old ones are taken along.
//!
//! ```text
//!                            new calls      code of the old body      its activations
//!   plan: may it be? ──> ┌ enter the new   stays                     run out
//!   (changes nothing)    │ body            is invalidated            continue in the old body
//!                        └                 is invalidated; no more   are carried, where a point is mapped
//!                                          of it is compiled
//! ```
//!
//! Code that the old body is inlined into is invalidated in any case: it would go on calling that. Its activations continue in
//! their bodies, those of the old one as above.
//!
//! Activations are carried in the interpreter, by the operations of its code for the old body
//! ([`patch`](crate::interpreter::adapt_all)). Those of compiled code land there: their code is invalidated, and the old
//! body is not compiled again while its activations are carried. So there is one mechanism for frames of all tiers,
//! however deep they wait, and a frame is at the same point of the same activation when it is carried, whatever tier it
//! was in. An activation at a point that is not mapped continues in the old body up to the first that is.

use std::sync::Arc;

use osr_ir::redefinition::{Change, OldActivations, Redefinition};
use osr_ir::{FunctionIndex, PointKind, StateMap, default_map, verifier};

use crate::code::CodeVersion;
use crate::error::{RedefinitionError, TransitionError};
use crate::event::{Cause, Event, Replacement};
use crate::interpreter::adapt_all;
use crate::thread::Thread;
use crate::transition::invalidation::Invalidated;

/// What a redefinition did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redefined {
    /// Functions whose calls enter another body than before.
    pub functions: u64,
    /// What was invalidated of the old bodies.
    pub invalidated: Invalidated,
}

/// A redefinition that is possible.
struct Plan {
    /// The functions whose calls enter another body than before, with the one before.
    changes: Vec<(Change, FunctionIndex)>,
    /// How activations are carried, if they are.
    maps: Vec<StateMap>,
}

impl Thread {
    /// Lets calls of functions enter other bodies of theirs, all at once, and does with the activations of the bodies
    /// that they entered before as `redefinition` says. Activations that are carried go by the module's
    /// [state map](osr_ir::StateMap) for the two bodies, or, if it has none, by the [default map](osr_ir::default_map).
    ///
    /// # Errors
    /// If the thread is in no [phase](crate::Phase) for it, the module has no such bodies, the mechanism cannot do it, or a
    /// map is missing or does not cover what it is asked to cover: then nothing happened. If an observer
    /// [panicked](TransitionError::Panicked), it is done all the same.
    pub fn redefine(&self, redefinition: &Redefinition) -> Result<Redefined, RedefinitionError> {
        self.on_demand(|| self.redefine_because(redefinition, Cause::Host))
    }

    /// Whether [`Self::redefine`] would do it in a phase for it.
    pub(crate) fn check_redefinition(&self, redefinition: &Redefinition) -> Result<(), RedefinitionError> {
        self.plan(redefinition).map(drop)
    }

    /// As [`Self::redefine`], for another reason than that the host asks.
    pub(crate) fn redefine_because(
        &self,
        redefinition: &Redefinition,
        cause: Cause,
    ) -> Result<Redefined, RedefinitionError> {
        let plan = self.plan(redefinition)?;
        let replaced = self.replacing(Replacement::Redefinition, cause, || {
            self.enter_bodies(&plan);
            self.count(|transitions| transitions.redefinitions += 1);
            let activations = redefinition.activations;
            for &(Change { function, body: to }, from) in &plan.changes {
                self.observe(|| Event::Redefined { function, from, to, activations, cause });
            }
            match self.versions_of(&plan, activations) {
                // The stack is not even walked.
                none if none.is_empty() => Ok(Invalidated::default()),
                versions => self.invalidate_versions(versions, cause),
            }
        });
        Ok(Redefined { functions: plan.changes.len() as u64, invalidated: replaced? })
    }

    fn plan(&self, redefinition: &Redefinition) -> Result<Plan, RedefinitionError> {
        let instance = self.instance();
        self.check_updatable()?;
        let mechanism = instance.settings().mechanism;
        verifier::verify_redefinition(instance.module(), redefinition)?;
        let with_old = |change: &Change| (*change, instance.entered_body(change.function));
        let mut changes: Vec<_> = redefinition.changes.iter().map(with_old).collect();
        changes.retain(|(change, old)| change.body != *old);
        if !redefinition.activations.carries() {
            return Ok(Plan { changes, maps: Vec::new() });
        }
        if !mechanism.replaces_frames() {
            return Err(TransitionError::FramesRunOut.into());
        }
        let is_whole = redefinition.activations == OldActivations::CarryAll;
        let maps = changes
            .iter()
            .map(|(change, old)| self.map(*old, change.body, is_whole))
            .collect::<Result<_, _>>()?;
        Ok(Plan { changes, maps })
    }

    /// How activations of the body `from` are carried to `to`; if that `is_whole`, wherever they are.
    fn map(
        &self,
        from: FunctionIndex,
        to: FunctionIndex,
        is_whole: bool,
    ) -> Result<StateMap, RedefinitionError> {
        let module = self.instance().module();
        let name = |body: FunctionIndex| module.function(body).name.clone();
        let known = module.state_map(from, to);
        let map = known.cloned().unwrap_or_else(|| default_map::propose(module, from, to));
        verifier::verify_state_map(module, &map)?;
        if map.entries.is_empty() {
            return Err(RedefinitionError::NothingMapped { from: name(from), to: name(to) });
        }
        let points = &self.instance().analysis(from).points;
        let mut resumable = points
            .iter()
            .filter(|&(_, kind, position)| kind != PointKind::Trap && points.is_reached(position.block));
        let missing = resumable.find(|&(point, ..)| map.at(point).is_none());
        match missing {
            Some((point, _, position)) if is_whole => {
                Err(RedefinitionError::NotMapped { from: name(from), to: name(to), point, position })
            }
            _ => Ok(map),
        }
    }

    /// Calls enter the bodies that `plan` says, and activations of others are carried.
    fn enter_bodies(&self, plan: &Plan) {
        let (instance, bodies) = (self.instance(), self.instance().bodies());
        plan.changes.iter().for_each(|(change, _)| bodies.enter(change.function, change.body));
        plan.maps.iter().for_each(|map| bodies.carry(map.clone()));
        adapt_all(instance);
        plan.changes.iter().for_each(|(change, _)| instance.update_calls_of(change.function));
    }

    /// The current versions that are not to be executed any more: those that the bodies are inlined into which calls
    /// entered before, and those of these bodies, unless activations run out.
    fn versions_of(&self, plan: &Plan, activations: OldActivations) -> Vec<Arc<CodeVersion>> {
        let is_old = |version: &CodeVersion, old: FunctionIndex| match activations {
            OldActivations::RunOut => version.inlined().any(|inlined| inlined == old),
            _ => version.depends_on(old),
        };
        let mut versions = self.current_versions();
        versions.retain(|version| plan.changes.iter().any(|&(_, old)| is_old(version, old)));
        versions
    }
}
