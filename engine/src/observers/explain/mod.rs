//! Explanations: per function, its code versions: why each was made, how it was entered, where its frames
//! went, why and when it died, and when its memory was freed.
//!
//! [`Explain`] is an [`Observer`] that keeps a few words per version; [`Explain::explanation`] returns what it
//! has seen, as data with a readable [`Display`](std::fmt::Display). Only what the runtime sees is counted:
//! compiled code is not changed for it, so calls that go from compiled code to compiled code through call
//! cells are not counted.

mod explanation;
mod loops;
mod redefinitions;
mod text;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use osr_compiler::{Guard, VersionKey};
use osr_ir::{FunctionIndex, Locator, Point};

pub use explanation::{
    Entered, ExplainedFunction, ExplainedVersion, Explanation, FORMAT_VERSION, FailedGuard, FramesGone, Gone,
    Moment, Order, Outstanding, Released, Retired,
};
pub use loops::{DEOPTIMIZATION_LOOP, DeoptimizationLoop};
pub use redefinitions::{CarriedActivations, ExplainedRedefinition};

use super::point_name;
use crate::code::{CodeVersion, VersionId};
use crate::event::{Cause, Event};
use crate::settings::Tier;
use crate::thread::observation::Observation;
use crate::thread::observer::Observer;
use loops::deoptimization_loops;
use redefinitions::Redefinitions;
use text::microseconds;

/// Collects an [`Explanation`] of one instance, whose only observer of this kind it is.
#[derive(Debug)]
pub struct Explain {
    state: Mutex<State>,
    locator: Locator,
}

#[derive(Debug)]
struct State {
    began: Instant,
    functions: BTreeMap<FunctionIndex, Function>,
    redefinitions: Redefinitions,
    /// The current versions by address.
    code: HashMap<u64, (FunctionIndex, usize)>,
    /// Versions that may still change, by number.
    versions: HashMap<VersionId, (FunctionIndex, usize)>,
    /// Calls of the guest that are not over.
    depth: u64,
}

#[derive(Debug, Default)]
struct Function {
    name: String,
    refused: Vec<String>,
    fallbacks: Vec<String>,
    /// What has not arrived yet.
    orders: Vec<(VersionKey, Order)>,
    discarded: Vec<(VersionKey, Order)>,
    arrivals: Vec<(Point, u32)>,
    versions: Vec<Version>,
}

/// Where a guard is: the function whose body has it, and in the program.
struct GuardPlace {
    function: String,
    source: Option<String>,
}

#[derive(Debug)]
struct Version {
    explained: ExplainedVersion,
    gone: BTreeMap<(Point, FunctionIndex, Gone), FramesGone>,
    pending: u64,
}

impl Default for Explain {
    fn default() -> Explain {
        let state = State {
            began: Instant::now(),
            functions: BTreeMap::new(),
            redefinitions: Redefinitions::default(),
            code: HashMap::new(),
            versions: HashMap::new(),
            depth: 0,
        };
        Explain { state: Mutex::new(state), locator: Locator::default() }
    }
}

impl Explain {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was seen so far. Arrivals in baseline code are those at the end of the last call.
    pub fn explanation(&self) -> Explanation {
        let state = self.state();
        let functions: Vec<ExplainedFunction> =
            state.functions.iter().map(|(index, function)| function.explained(index.index())).collect();
        let deoptimization_loops = functions.iter().flat_map(deoptimization_loops).collect();
        let redefinitions = state.redefinitions.explained();
        Explanation { version: FORMAT_VERSION, functions, redefinitions, deoptimization_loops }
    }

    fn place(&self, at: &Observation<'_>, guard: &Guard) -> GuardPlace {
        let source = self.locator.place_at(at.instance().module(), guard.function, guard.at);
        GuardPlace { function: name(at, guard.function), source: source.map(|place| place.to_string()) }
    }

    fn gone(
        &self,
        state: &mut State,
        at: &Observation<'_>,
        version: &CodeVersion,
        place: (FunctionIndex, Point),
        to: Gone,
    ) {
        let first = || {
            let source = self.locator.place(at.instance().module(), place.0, place.1);
            let (point, source) = (point_name(at, version, place), source.map(|source| source.to_string()));
            FramesGone { point, source, to, count: 0 }
        };
        state.change(version, |version| {
            version.gone.entry((place.1, place.0, to)).or_insert_with(first).count += 1;
            version.pending = version.pending.saturating_sub(1);
        });
        state.forget_if_over(version);
    }
}

impl Observer for Explain {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        let mut state = self.state();
        match *event {
            Event::Invoked { .. } => state.depth += 1,
            Event::Finished { .. } => state.finished(at),
            Event::Compiled { version, duration, cause } => state.compiled(at, version, duration, cause),
            Event::Ordered { key, estimate, .. } => {
                let order = Order { at: state.moment(at), estimate };
                state.function(at, key.function).orders.push((key, order));
            }
            Event::Discarded { key, .. } => {
                let function = state.function(at, key.function);
                let order = function.take_order(key);
                function.discarded.extend(order.map(|order| (key, order)));
            }
            Event::FellBack { key: VersionKey { function, tier, entry }, fallback, .. } => {
                let fallback = format!("{}, entered at {entry}: {fallback}", Tier::from(tier).name());
                state.function(at, function).fallbacks.push(fallback);
            }
            Event::Refused { function, tier, entry, error, .. } => {
                state.function(at, function).take_order(VersionKey { function, tier, entry });
                let refusal = format!("{}, entered at {entry}: {error}", Tier::from(tier).name());
                state.function(at, function).refused.push(refusal);
            }
            Event::Entered { code, .. } => state.enter(code, |entered| entered.calls += 1),
            Event::TieredUp { to, .. } => state.enter(to.code, |entered| entered.tier_ups += 1),
            Event::Landed { to, version, state: frame, .. } => {
                if let Some(to) = to {
                    state.enter(to.code, |entered| entered.landings += 1);
                }
                let tier = to.map_or(Tier::Interpreter, |to| to.tier.into());
                self.gone(&mut state, at, version, (frame.function, frame.point), Gone::Landed(tier));
            }
            Event::Continued { to: Some(to), .. } => state.enter(to.code, |entered| entered.landings += 1),
            Event::GuardFailed { version, guard, is_forced } => {
                let place = self.place(at, guard);
                state.change(version, |version| version.guard_failed(guard, place, is_forced));
            }
            Event::ExitLinked { version, guard, to, .. } => {
                let (to, place) = (to.id.0, self.place(at, guard));
                state.change(version, |version| version.failed_guard(guard, place).linked_to = Some(to));
            }
            Event::Hijacked { version, .. } => state.change(version, |version| {
                version.explained.hijacked += 1;
                version.pending += 1;
            }),
            Event::Redefined { function, from, to, activations, cause } => {
                let name = |body: FunctionIndex| at.instance().module().function(body).name.as_str();
                let when = state.moment(at);
                let names = [function, from, to].map(name);
                state.redefinitions.add([from, to], names, activations, (when, cause));
            }
            Event::Carried { from, state: frame, to } => {
                state.redefinitions.carried(&from, &frame, to.is_some());
                if let Some(to) = to {
                    state.enter(to.code, |entered| entered.tier_ups += 1);
                }
            }
            Event::Deoptimized { to: Some(to), .. } => state.enter(to.code, |entered| entered.tier_ups += 1),
            Event::Dropped { version, function, point, .. } => {
                self.gone(&mut state, at, version, (function, point), Gone::Dropped);
            }
            Event::Restored { version, function, point, .. } => {
                self.gone(&mut state, at, version, (function, point), Gone::Restored);
            }
            Event::Retired { version, cause } => {
                let at = state.moment(at);
                state.code.remove(&version.start);
                state.change(version, |version| version.explained.retired = Some(Retired { at, cause }));
            }
            Event::Released { version, .. } => {
                let at = state.moment(at);
                state.change(version, |version| version.released(at));
                state.forget_if_over(version);
            }
            _ => {}
        }
    }
}

impl State {
    fn moment(&self, at: &Observation<'_>) -> Moment {
        Moment { ns: self.began.elapsed().as_nanos() as u64, safepoint: at.transitions().safepoints }
    }

    fn function(&mut self, at: &Observation<'_>, function: FunctionIndex) -> &mut Function {
        self.functions
            .entry(function)
            .or_insert_with(|| Function { name: name(at, function), ..Function::default() })
    }

    fn compiled(&mut self, at: &Observation<'_>, version: &CodeVersion, duration: Duration, cause: Cause) {
        let made = self.moment(at);
        let key = VersionKey { function: version.function, tier: version.tier, entry: version.entry };
        let ordered = self.function(at, version.function).take_order(key);
        let explained = ExplainedVersion {
            id: version.id.0,
            tier: version.tier,
            entry: version.entry.to_string(),
            code_bytes: version.code_bytes,
            recording: version.recording,
            cause,
            made,
            compile_ns: duration.as_nanos() as u64,
            ordered,
            inlined: version.inlined().map(|inlined| name(at, inlined)).collect(),
            entered: Entered::default(),
            guards: version.guards().filter(|(guard, _)| guard.site.is_some()).count(),
            failed_guards: Vec::new(),
            hijacked: 0,
            frames: Vec::new(),
            retired: None,
            released: None,
        };
        let versions = &mut self.function(at, version.function).versions;
        versions.push(Version { explained, gone: BTreeMap::new(), pending: 0 });
        let place = (version.function, versions.len() - 1);
        self.code.insert(version.start, place);
        self.versions.insert(version.id, place);
    }

    fn at(&mut self, (function, number): (FunctionIndex, usize)) -> &mut Version {
        &mut self.functions.get_mut(&function).expect("it has versions").versions[number]
    }

    fn enter(&mut self, code: u64, count: impl FnOnce(&mut Entered)) {
        if let Some(&place) = self.code.get(&code) {
            count(&mut self.at(place).explained.entered);
        }
    }

    fn change(&mut self, version: &CodeVersion, change: impl FnOnce(&mut Version)) {
        if let Some(&place) = self.versions.get(&version.id) {
            change(self.at(place));
        }
    }

    /// Nothing more will happen to a version without code and frames.
    fn forget_if_over(&mut self, version: &CodeVersion) {
        let Some(&place) = self.versions.get(&version.id) else { return };
        let known = self.at(place);
        if known.explained.released.is_some() && known.pending == 0 {
            self.versions.remove(&version.id);
        }
    }

    /// Reads the profiles when the guest is gone.
    fn finished(&mut self, at: &Observation<'_>) {
        self.depth = self.depth.saturating_sub(1);
        if self.depth > 0 {
            return;
        }
        for (&index, function) in &mut self.functions {
            function.arrivals = at.instance().profiled(index).loop_headers;
        }
    }
}

impl Version {
    fn guard_failed(&mut self, guard: &Guard, place: GuardPlace, is_forced: bool) {
        let failed = self.failed_guard(guard, place);
        let count = if is_forced { &mut failed.forced } else { &mut failed.failed };
        *count += 1;
    }

    fn failed_guard(
        &mut self,
        guard: &Guard,
        GuardPlace { function, source }: GuardPlace,
    ) -> &mut FailedGuard {
        let Guard { reason, at, point, .. } = *guard;
        let (at, point) = (at.to_string(), point.as_u32());
        let failed = &mut self.explained.failed_guards;
        let is_known = |known: &FailedGuard| {
            (&known.function, &known.at, known.point, known.reason) == (&function, &at, point, reason)
        };
        let index = failed.iter().position(is_known).unwrap_or_else(|| {
            failed.push(FailedGuard {
                reason,
                function,
                at,
                source,
                point,
                failed: 0,
                forced: 0,
                linked_to: None,
            });
            failed.len() - 1
        });
        &mut failed[index]
    }

    fn released(&mut self, at: Moment) {
        let retired = self.explained.retired.map_or(at, |retired| retired.at);
        self.explained.released = Some(Released {
            after_ns: at.ns - retired.ns,
            after_safepoints: at.safepoint - retired.safepoint,
            pending_frames: self.pending,
        });
    }

    fn explained(&self) -> ExplainedVersion {
        ExplainedVersion { frames: self.gone.values().cloned().collect(), ..self.explained.clone() }
    }
}

impl Function {
    /// The order of `key`, which is no longer outstanding.
    fn take_order(&mut self, key: VersionKey) -> Option<Order> {
        let position = self.orders.iter().position(|(ordered, _)| *ordered == key)?;
        Some(self.orders.remove(position).1)
    }

    fn outstanding(&self) -> Vec<Outstanding> {
        let of = |discarded| {
            move |&(key, order): &(VersionKey, Order)| Outstanding {
                tier: key.tier,
                entry: key.entry.to_string(),
                order,
                discarded,
            }
        };
        self.discarded.iter().map(of(true)).chain(self.orders.iter().map(of(false))).collect()
    }

    fn explained(&self, index: usize) -> ExplainedFunction {
        ExplainedFunction {
            function: self.name.clone(),
            index,
            refused: self.refused.clone(),
            fallbacks: self.fallbacks.clone(),
            outstanding: self.outstanding(),
            baseline_arrivals: self
                .arrivals
                .iter()
                .map(|(point, count)| (point.to_string(), *count))
                .collect(),
            versions: self.versions.iter().map(Version::explained).collect(),
        }
    }
}

fn name(at: &Observation<'_>, function: FunctionIndex) -> String {
    at.instance().module().function(function).name.clone()
}
