//! What is seen of the deoptimizations of a run, from its events.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use osr_engine::{Cause, CodeVersion, Event, FrameState, Guard, Observation, Observer, Tier, VersionId};
use osr_ir::{FunctionIndex, Point, Position};
use serde::Serialize;

/// Of more than so many only the number is kept.
const MOST_SEEN: usize = 100_000;

/// A frame that left the code that it was in.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Deoptimization {
    /// Counted from 1.
    pub(super) number: usize,
    /// Nanoseconds since the run began.
    pub(super) at_ns: u64,
    /// The function that continues.
    pub(super) function: String,
    /// Where: the point, and the block and the number of the instruction before which it is.
    pub(super) point: String,
    pub(super) position: String,
    /// The version that was left.
    pub(super) version: u64,
    pub(super) tier: &'static str,
    pub(super) entry: String,
    pub(super) broken: Broken,
    /// The live registers where it continues, if it continues in code that the runtime has chosen.
    pub(super) values: Vec<String>,
    /// In what it continues.
    pub(super) continues: String,
    /// The code of the function that was made next.
    pub(super) new_code: Option<NewCode>,
}

/// What the code relied on that does not hold.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Broken {
    /// What a guard of it looks at.
    Guard {
        /// What it is there for.
        reason: &'static str,
        /// Its block, and its number among the instructions there.
        at: String,
        /// The point that it exits to.
        exit: String,
        /// Whether it was made to fail, and holds.
        forced: bool,
        /// How often it had failed before in this run.
        before: u64,
    },
    /// That nothing replaces it.
    Replaced {
        /// Who did, and why.
        by: String,
        /// When, in nanoseconds since the run began.
        at_ns: u64,
        /// The function of the host that was executing then.
        host: Option<String>,
    },
}

/// Code that was made after a deoptimization.
#[derive(Clone, Debug, Serialize)]
pub(super) struct NewCode {
    pub(super) version: u64,
    pub(super) tier: &'static str,
    pub(super) entry: String,
    /// Nanoseconds from the deoptimization until it was there.
    pub(super) after_ns: u64,
    /// What its compilation took.
    pub(super) compile_ns: u64,
}

/// Sees them.
#[derive(Debug)]
pub(super) struct Witness(Mutex<State>);

#[derive(Debug)]
struct State {
    began: Instant,
    seen: Vec<Deoptimization>,
    /// Those that came after [`MOST_SEEN`].
    others: u64,
    /// By function, those after which no code of it was made yet.
    open: HashMap<FunctionIndex, Vec<usize>>,
    /// The guard that has failed whose frame has not continued yet.
    failed: Option<Broken>,
    /// Why the frames of a slot, or of a version that was retired, were to leave.
    hijacked: HashMap<u64, Broken>,
    retired: HashMap<VersionId, Broken>,
    /// How often each guard has failed.
    failures: HashMap<(FunctionIndex, Position), u64>,
    /// The functions of the host that were called and have not returned.
    hosts: Vec<String>,
}

impl Witness {
    pub(super) fn new() -> Witness {
        Witness(Mutex::new(State {
            began: Instant::now(),
            seen: Vec::new(),
            others: 0,
            open: HashMap::new(),
            failed: None,
            hijacked: HashMap::new(),
            retired: HashMap::new(),
            failures: HashMap::new(),
            hosts: Vec::new(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first ones, in order, and how many there were besides.
    pub(super) fn seen(&self) -> (Vec<Deoptimization>, u64) {
        let state = self.state();
        (state.seen.clone(), state.others)
    }
}

impl Observer for Witness {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        let state = &mut *self.state();
        match *event {
            Event::GuardFailed { guard, is_forced, .. } => {
                state.guard_failed(guard, is_forced);
            }
            Event::Hijacked { slot, cause, .. } => {
                let replaced = state.replaced(cause);
                state.hijacked.insert(slot, replaced);
            }
            Event::Retired { version, cause } => {
                let replaced = state.replaced(cause);
                state.retired.insert(version.id, replaced);
            }
            Event::Landed { version, slot, to, state: ref frame, .. } => {
                let failed = state.failed.take().or_else(|| state.hijacked.remove(&slot));
                let broken = failed.or_else(|| state.retired.get(&version.id).cloned());
                let Some(broken) = broken else { return };
                let tier = to.map_or(Tier::Interpreter, |to| to.tier.into());
                let place = (frame.function, frame.point);
                state.left(
                    at,
                    version,
                    place,
                    broken,
                    (values(at, frame), format!("the {} tier", tier.name())),
                );
            }
            Event::ExitLinked { version, guard, to, .. } => {
                let Some(broken) = state.failed.take() else { return };
                let continues = format!("v{}, entered at {}: the exit is linked to it", to.id.0, to.entry);
                state.left(at, version, (version.function, guard.point), broken, (Vec::new(), continues));
            }
            Event::Dropped { slot, .. } | Event::Restored { slot, .. } => {
                state.failed = None;
                state.hijacked.remove(&slot);
            }
            Event::Compiled { version, duration, .. } => {
                state.compiled(version, duration.as_nanos() as u64);
            }
            Event::HostCalled { function, .. } => state.hosts.push(name(at, function)),
            Event::HostReturned { .. } => _ = state.hosts.pop(),
            _ => {}
        }
    }
}

impl State {
    fn now(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    fn guard_failed(&mut self, guard: &Guard, forced: bool) {
        let failures = self.failures.entry((guard.function, guard.at)).or_default();
        let before = *failures;
        *failures += 1;
        let (at, exit) = (guard.at.to_string(), guard.point.to_string());
        self.failed = Some(Broken::Guard { reason: guard.reason.name(), at, exit, forced, before });
    }

    fn replaced(&self, cause: Cause) -> Broken {
        Broken::Replaced { by: cause.to_string(), at_ns: self.now(), host: self.hosts.last().cloned() }
    }

    fn left(
        &mut self,
        at: &Observation<'_>,
        version: &CodeVersion,
        (function, point): (FunctionIndex, Point),
        broken: Broken,
        (values, continues): (Vec<String>, String),
    ) {
        if self.seen.len() == MOST_SEEN {
            self.others += 1;
            return;
        }
        self.open.entry(version.function).or_default().push(self.seen.len());
        self.seen.push(Deoptimization {
            number: self.seen.len() + 1,
            at_ns: self.now(),
            function: name(at, function),
            point: point.to_string(),
            position: at.instance().points(function).position(point).to_string(),
            version: version.id.0,
            tier: Tier::from(version.tier).name(),
            entry: version.entry.to_string(),
            broken,
            values,
            continues,
            new_code: None,
        });
    }

    /// It is the new code of all deoptimizations of the function since the last.
    fn compiled(&mut self, version: &CodeVersion, compile_ns: u64) {
        let now = self.now();
        for position in self.open.remove(&version.function).unwrap_or_default() {
            let seen = &mut self.seen[position];
            seen.new_code = Some(NewCode {
                version: version.id.0,
                tier: Tier::from(version.tier).name(),
                entry: version.entry.to_string(),
                after_ns: now.saturating_sub(seen.at_ns),
                compile_ns,
            });
        }
    }
}

fn name(at: &Observation<'_>, function: FunctionIndex) -> String {
    at.instance().module().function(function).name.clone()
}

/// The live registers, as they are written on the command line.
fn values(at: &Observation<'_>, frame: &FrameState<'_>) -> Vec<String> {
    let body = at.instance().module().function(frame.function).body();
    let of = |(register, word)| match body.map(|body| body.ty(register)) {
        Some(ty) if ty.words() == 1 => format!("{register} = {}", ty.show(&[word])),
        _ => format!("{register} = {word:#x}"),
    };
    frame.values().map(of).collect()
}
