//! Explanations: per function, its code versions: why each was made, how it was entered, where its frames
//! went, why and when it died, and when its memory was freed.
//!
//! [`Explain`] is an [`Observer`] that keeps a few words per version; [`Explain::explanation`] returns what it
//! has seen, as data with a readable [`Display`](std::fmt::Display). Only what the runtime sees is counted:
//! compiled code is not changed for it, so calls that go from compiled code to compiled code through call
//! cells are not counted.

mod loops;
mod redefinitions;
mod text;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use osr_compiler::{DeoptReason, Guard, VersionKey};
use osr_ir::{FunctionIndex, Locator, Point};
use serde::Serialize;

pub use loops::{DEOPTIMIZATION_LOOP, DeoptimizationLoop};
pub use redefinitions::{CarriedActivations, ExplainedRedefinition};

use super::point_name;
use crate::code::{CodeVersion, VersionId};
use crate::event::{Cause, Estimate, Event};
use crate::settings::{CompiledTier, StateRecording, Tier};
use crate::thread::observation::Observation;
use crate::thread::observer::Observer;
use loops::deoptimization_loops;
use redefinitions::Redefinitions;
use text::microseconds;

/// The version of the format of an [`Explanation`] as JSON.
pub const FORMAT_VERSION: u32 = 2;

/// What happened to the code of each function.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// [`FORMAT_VERSION`].
    pub version: u32,
    /// Functions that were compiled, by index.
    pub functions: Vec<ExplainedFunction>,
    /// What redefinitions did, in the order in which they were carried out.
    pub redefinitions: Vec<ExplainedRedefinition>,
    /// Code that was retired and made again and again.
    pub deoptimization_loops: Vec<DeoptimizationLoop>,
}

/// What happened to the code of a function.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedFunction {
    /// Its name.
    pub function: String,
    /// Its index in the module.
    pub index: usize,
    /// What the compiler refused, with its reason.
    pub refused: Vec<String>,
    /// What it has made in another way than was asked for, with its reason.
    pub fallbacks: Vec<String>,
    /// What was ordered and did not arrive.
    pub outstanding: Vec<Outstanding>,
    /// Per loop header, how often baseline code arrived there, in all its versions together.
    pub baseline_arrivals: Vec<(String, u32)>,
    /// Its versions, in the order in which they were made.
    pub versions: Vec<ExplainedVersion>,
}

/// What happened to a version.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedVersion {
    /// Its number.
    pub id: u64,
    /// The tier that made it.
    pub tier: CompiledTier,
    /// Where it is entered: `function`, or the point of a continuation.
    pub entry: String,
    /// Bytes of code.
    pub code_bytes: u32,
    /// How it makes its frame states known: not always as the settings ask, where that would make too large a frame.
    pub recording: StateRecording,
    /// Why it was made.
    pub cause: Cause,
    /// When it was there.
    pub made: Moment,
    /// The time that its compilation took, in nanoseconds.
    pub compile_ns: u64,
    /// When the policy ordered it, and what was expected of it; none if a landing or a tool asked for it.
    pub ordered: Option<Order>,
    /// The functions that are inlined into it, each as often as it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inlined: Vec<String>,
    /// How often the runtime has seen it entered.
    pub entered: Entered,
    /// Its guards that have an exit.
    pub guards: usize,
    /// Those that failed.
    pub failed_guards: Vec<FailedGuard>,
    /// Its frames that were hijacked.
    pub hijacked: u64,
    /// Where hijacked frames went.
    pub frames: Vec<FramesGone>,
    /// When and why it was retired.
    pub retired: Option<Retired>,
    /// When its memory was freed.
    pub released: Option<Released>,
}

/// When something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// Nanoseconds since the observer was made.
    pub ns: u64,
    /// Safepoints so far; 0 where they are not [counted](crate::Settings::counts_safepoints).
    pub safepoint: u64,
}

/// What was expected of code when it was ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Order {
    /// When.
    pub at: Moment,
    /// What it was expected to cost, and to save if the function runs for as long again.
    pub estimate: Estimate,
}

/// Code that was ordered and did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outstanding {
    /// The tier that was to make it.
    pub tier: CompiledTier,
    /// Where it was to be entered.
    pub entry: String,
    /// The order.
    pub order: Order,
    /// Whether it was discarded, since code of the function was retired meanwhile; otherwise the run ended before.
    pub discarded: bool,
}

/// How often a version was entered. Calls by compiled code are not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Entered {
    /// By calls of a function that had become hot in the interpreter.
    pub calls: u64,
    /// By frames that left the interpreter.
    pub tier_ups: u64,
    /// By hijacked frames that landed in it.
    pub landings: u64,
}

/// Hijacked frames of a version that waited at one point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FramesGone {
    /// Where they resumed.
    pub point: String,
    /// Where they went.
    pub to: Gone,
    /// How many.
    pub count: u64,
}

/// A guard that failed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FailedGuard {
    /// What it was there for.
    pub reason: DeoptReason,
    /// The function whose body has it: that of the version, or one that is inlined.
    pub function: String,
    /// Where in that body.
    pub at: String,
    /// Where in the binary module that it was made from, and in the program's source, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The number of the point where its frames continued.
    pub point: u32,
    /// How often.
    pub failed: u64,
    /// How often it was made to, besides.
    pub forced: u64,
    /// The number of the version that its exit was linked to last. Frames that took it after that are not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linked_to: Option<u64>,
}

/// What became of a hijacked frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gone {
    /// It landed in that tier.
    Landed(Tier),
    /// A trap has jumped over it.
    Dropped,
    /// Its return slot was restored.
    Restored,
}

/// The end of a version.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Retired {
    /// When.
    pub at: Moment,
    /// Why.
    pub cause: Cause,
}

/// The end of a version's code.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Released {
    /// Nanoseconds since it was retired.
    pub after_ns: u64,
    /// Safepoints since it was retired.
    pub after_safepoints: u64,
    /// Of its hijacked frames, those that had not landed yet.
    pub pending_frames: u64,
}

/// Collects an [`Explanation`] of one instance, whose only observer of this kind it is.
#[derive(Debug)]
pub struct Explain(Mutex<State>);

#[derive(Debug)]
struct State {
    began: Instant,
    locator: Locator,
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
    gone: BTreeMap<(Point, String, Gone), u64>,
    pending: u64,
}

impl Default for Explain {
    fn default() -> Explain {
        Explain(Mutex::new(State {
            began: Instant::now(),
            locator: Locator::default(),
            functions: BTreeMap::new(),
            redefinitions: Redefinitions::default(),
            code: HashMap::new(),
            versions: HashMap::new(),
            depth: 0,
        }))
    }
}

impl Explain {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
                state.gone(at, version, (frame.function, frame.point), Gone::Landed(tier));
            }
            Event::Continued { to: Some(to), .. } => state.enter(to.code, |entered| entered.landings += 1),
            Event::GuardFailed { version, guard, is_forced } => {
                let place = state.place(at, guard);
                state.change(version, |version| version.guard_failed(guard, place, is_forced));
            }
            Event::ExitLinked { version, guard, to } => {
                let (to, place) = (to.id.0, state.place(at, guard));
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
            Event::Dropped { version, function, point, .. } => {
                state.gone(at, version, (function, point), Gone::Dropped);
            }
            Event::Restored { version, function, point, .. } => {
                state.gone(at, version, (function, point), Gone::Restored);
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

    fn place(&self, at: &Observation<'_>, guard: &Guard) -> GuardPlace {
        let source = self.locator.place_at(at.instance().module(), guard.function, guard.at);
        GuardPlace { function: name(at, guard.function), source: source.map(|place| place.to_string()) }
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

    fn gone(
        &mut self,
        at: &Observation<'_>,
        version: &CodeVersion,
        place: (FunctionIndex, Point),
        gone: Gone,
    ) {
        let name = point_name(at, version, place);
        self.change(version, |version| {
            *version.gone.entry((place.1, name, gone)).or_default() += 1;
            version.pending = version.pending.saturating_sub(1);
        });
        self.forget_if_over(version);
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
        let gone = self.gone.iter();
        let frames = gone.map(|((_, point, to), &count)| FramesGone { point: point.clone(), to: *to, count });
        let frames = frames.collect();
        ExplainedVersion { frames, ..self.explained.clone() }
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
