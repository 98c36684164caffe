//! Traces: what happened when and why, as a file for Perfetto (<https://ui.perfetto.dev>), speedscope, Firefox's profiler or
//! Chrome's `about:tracing`. An [`Observer`] that writes while the guest runs; nothing is kept in memory but what is
//! still open.
//!
//! The format is the JSON of Chrome's Trace Event Format, an object with `traceEvents`; `otherData` says
//! `"format": "osr-trace"` and `"version"`: [`FORMAT_VERSION`], and under `"run"` what is traced. Times are in microseconds since the
//! trace began, unique and ascending but for compilations, which are written when they are done. There is one process. Each
//! native thread that executes guest code has a track, with calls and replacements; and so has each tier, with what is compiled
//! for it, what continues in it, and how its versions end. Categories and names:
//!
//! | category | name | phase | what |
//! |---|---|---|---|
//! | `guest` | `call NAME` | B, E | a call of the guest by the embedder or the host |
//! | `guest` | `host NAME` | B, E | a call of a function of the host by the guest |
//! | `compile` | `compile NAME` | X | a compilation, with its duration, tier, entry, version, cause |
//! | `compile` | `order NAME` | i | code is ordered, with what it is expected to cost and to save |
//! | `compile` | `fall back NAME` | i | it was compiled in another way than was asked for |
//! | `compile` | `refuse NAME` | i | the compiler refused |
//! | `compile` | `discard NAME` | i | ordered code is not installed: code of the function was retired meanwhile |
//! | `tier-up` | `tier up NAME` | i | an activation leaves the interpreter, or a call enters compiled code |
//! | `replace` | `invalidate`, `hijack` | B, E | frames are replaced, with the cause |
//! | `version` | `retire NAME`, `release NAME`, `forget NAME` | X | a version's end: nothing enters it; its code is gone; its frame maps are |
//! | `frame` | `hijack NAME` | X | a return slot is hijacked, with version, point, cause |
//! | `frame` | `land NAME`, `drop NAME`, `restore NAME` | X | what became of it, with the tier that it landed in; where it stands for several activations, how many `further` ones |
//! | `frame` | `continue NAME` | i | one of these continues, with the tier that it continues in |
//! | `code` | `code bytes` | C | bytes of code in memory, whenever that changes |
//! | `frame` | `hijacked slots` | C | how many there are, when a replacement is complete, and when a frame has landed |
//!
//! Points of frames and guards have a `source`, as far as it is known: where they are in the binary module, and in the
//! program's source.
//!
//! Flows (s, t, f) lead from causes to effects. Of category `frame`: from the replacement to each hijacked
//! slot, and on to where it lands. Of category `version`: from the replacement to the retirement, the
//! release of the code, and, once all its frames have landed, the end of the frame maps.

mod record;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use osr_ir::{FunctionIndex, Locator, Point, SourcePlace};
use serde_json::{Value, json};

use record::{Flow, Record, Track};

use super::point_name;
use crate::code::{CodeVersion, VersionId};
use crate::event::{Cause, Continuation, Event, Replacement};
use crate::settings::Tier;
use crate::thread::observation::Observation;
use crate::thread::observer::Observer;

/// The version of the format that is described here.
pub const FORMAT_VERSION: u32 = 2;

/// Writes a trace to `W`. If writing fails the guest runs on; [`Trace::finish`] says so.
pub struct Trace<W>(Mutex<State<W>>);

struct State<W> {
    out: W,
    locator: Locator,
    failure: Option<io::Error>,
    finished: bool,
    began: Instant,
    /// Of the last record, in nanoseconds.
    last: u64,
    records: u64,
    tracks: HashMap<Track, u32>,
    /// By track, the names of the slices that have begun and not ended.
    open: HashMap<u32, Vec<String>>,
    flows: u64,
    /// By address, the flows of the slots that are hijacked.
    slots: HashMap<u64, u64>,
    /// The flows of retired versions, and how many of their frames have not landed.
    dying: HashMap<Key, Dying>,
    /// Hijacked frames by version, of versions that are not retired.
    pending: HashMap<Key, u64>,
}

/// A version: its instance's address and its number there.
type Key = (usize, VersionId);

fn key(at: &Observation<'_>, version: &CodeVersion) -> Key {
    (std::ptr::from_ref(at.instance()).addr(), version.id)
}

#[derive(Clone, Copy, Debug)]
struct Dying {
    flow: u64,
    released: bool,
}

impl<W: Write> Trace<W> {
    /// A trace that begins now. `out` should be buffered.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn new(out: W) -> io::Result<Trace<W>> {
        Trace::of_run(out, &Value::Null)
    }

    /// The same of a run that is described so: its program, arguments and settings, for instance.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn of_run(mut out: W, run: &Value) -> io::Result<Trace<W>> {
        let mut data = json!({ "format": "osr-trace", "version": FORMAT_VERSION });
        if !run.is_null() {
            data["run"] = run.clone();
        }
        write!(out, "{{\"otherData\":{data},\"displayTimeUnit\":\"ns\",\"traceEvents\":[")?;
        Ok(Trace(Mutex::new(State {
            out,
            locator: Locator::default(),
            failure: None,
            finished: false,
            began: Instant::now(),
            last: 0,
            records: 0,
            tracks: HashMap::new(),
            open: HashMap::new(),
            flows: 0,
            slots: HashMap::new(),
            dying: HashMap::new(),
            pending: HashMap::new(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State<W>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Completes the trace: no event may follow. Returns the number of records that were written.
    ///
    /// # Errors
    /// If some part of it could not be written.
    pub fn finish(&self) -> io::Result<u64> {
        let mut state = self.state();
        if let Some(failure) = state.failure.take() {
            return Err(failure);
        }
        state.finished = true;
        state.out.write_all(b"\n]}\n")?;
        state.out.flush()?;
        Ok(state.records)
    }
}

impl<W> fmt::Debug for Trace<W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Trace").finish_non_exhaustive()
    }
}

impl<W: Write + Send> Observer for Trace<W> {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        let mut state = self.state();
        if state.failure.is_none()
            && !state.finished
            && let Err(failure) = state.write(at, event)
        {
            state.failure = Some(failure);
        }
    }
}

impl<W: Write> State<W> {
    fn write(&mut self, at: &Observation<'_>, event: &Event<'_>) -> io::Result<()> {
        match *event {
            Event::Invoked { function, .. } => self.begin("guest", name("call", at, function), None),
            Event::HostCalled { function, .. } => self.begin("guest", name("host", at, function), None),
            Event::Finished { outcome } | Event::HostReturned { outcome, .. } => {
                let trap = outcome.err().map(|trap| json!({ "trap": trap.to_string() }));
                self.end("guest", trap)
            }
            Event::Compiled { version, duration, cause } => self.compiled(at, version, duration, cause),
            Event::Ordered { .. }
            | Event::Discarded { .. }
            | Event::FellBack { .. }
            | Event::Refused { .. } => self.compilation(at, event),
            Event::Entered { function, .. } => self.instant(
                Track::current(),
                "tier-up",
                name("tier up", at, function),
                json!({ "place": "entry" }),
            ),
            Event::TieredUp { place, to, state } => {
                let mut args = json!({ "place": place, "point": state.point.to_string(), "to": to.tier });
                let module = at.instance().module();
                add_source(&mut args, self.locator.place(module, state.function, state.point));
                self.instant(Track::of(to.tier), "tier-up", name("tier up", at, state.function), args)
            }
            Event::GuardFailed { .. }
            | Event::ExitLinked { .. }
            | Event::Redefined { .. }
            | Event::Carried { .. }
            | Event::Deoptimized { .. } => self.departure(at, event),
            Event::Landed { version, slot, to, state, further, .. } => {
                let mut args = json!({ "to": tier_of(to) });
                if further > 0 {
                    args["further"] = further.into();
                }
                let place = (state.function, state.point);
                self.frame_ends((Track::Tier(tier_of(to)), "land"), at, version, place, slot, args)
            }
            Event::Continued { version, to, state, .. } => {
                let (version, point) = (version.to_string(), state.point.to_string());
                let args = json!({ "version": version, "point": point, "to": tier_of(to) });
                self.instant(Track::Tier(tier_of(to)), "frame", name("continue", at, state.function), args)
            }
            Event::Dropped { version, function, point, slot } => {
                self.frame_ends((Track::current(), "drop"), at, version, (function, point), slot, json!({}))
            }
            Event::Restored { version, function, point, slot } => self.frame_ends(
                (Track::current(), "restore"),
                at,
                version,
                (function, point),
                slot,
                json!({}),
            ),
            Event::ReplacementBegan { replacement, cause } => {
                let name = match replacement {
                    Replacement::Invalidation => "invalidate",
                    Replacement::Hijack => "hijack",
                    Replacement::Redefinition => "redefine",
                };
                self.begin("replace", Cow::Borrowed(name), Some(json!({ "cause": cause })))
            }
            Event::ReplacementEnded => {
                self.end("replace", None)?;
                self.count_slots()
            }
            Event::Hijacked { version, function, point, slot, cause } => {
                self.hijacked(at, version, (function, point), slot, cause)
            }
            Event::Retired { version, cause } => self.retired(at, version, cause),
            Event::Released { version, cause } => self.released(at, version, cause),
            _ => Ok(()),
        }
    }

    /// What becomes of the wish for code.
    fn compilation(&mut self, at: &Observation<'_>, event: &Event<'_>) -> io::Result<()> {
        match *event {
            Event::Ordered { key, estimate, cause } => {
                let args = json!({
                    "tier": key.tier, "entry": key.entry.to_string(), "estimate": estimate, "cause": cause
                });
                self.instant(Track::of(key.tier), "compile", name("order", at, key.function), args)
            }
            Event::Discarded { key, cause } => {
                let args = json!({ "tier": key.tier, "entry": key.entry.to_string(), "cause": cause });
                self.instant(Track::of(key.tier), "compile", name("discard", at, key.function), args)
            }
            Event::FellBack { key, fallback, cause } => {
                let args = json!({ "tier": key.tier, "entry": key.entry.to_string(),
                    "fallback": fallback.to_string(), "cause": cause });
                self.instant(Track::of(key.tier), "compile", name("fall back", at, key.function), args)
            }
            Event::Refused { function, tier, error, cause, .. } => {
                let error = error.to_string();
                let args =
                    json!({ "tier": format!("{tier:?}").to_lowercase(), "error": error, "cause": cause });
                self.instant(Track::of(tier), "compile", name("refuse", at, function), args)
            }
            _ => Ok(()),
        }
    }

    /// Guards fail, or activations of one body become those of another.
    fn departure(&mut self, at: &Observation<'_>, event: &Event<'_>) -> io::Result<()> {
        match *event {
            Event::GuardFailed { version, guard, is_forced } => {
                let mut args = json!({
                    "version": version.id.to_string(),
                    "reason": guard.reason,
                    "in": at.instance().module().function(guard.function).name,
                    "at": guard.at.to_string(),
                    "point": guard.point.to_string(),
                    "forced": is_forced,
                });
                let module = at.instance().module();
                add_source(&mut args, self.locator.place_at(module, guard.function, guard.at));
                self.instant(
                    Track::of(version.tier),
                    "guard",
                    name("guard failed in", at, version.function),
                    args,
                )
            }
            Event::ExitLinked { version, guard, to, .. } => {
                let args = json!({
                    "version": version.id.to_string(),
                    "at": guard.at.to_string(),
                    "point": guard.point.to_string(),
                    "to": to.id.to_string(),
                });
                self.instant(
                    Track::of(version.tier),
                    "guard",
                    name("exit linked in", at, version.function),
                    args,
                )
            }
            Event::Redefined { function, from, to, activations, .. } => {
                let name_of = |body: FunctionIndex| &at.instance().module().function(body).name;
                let args =
                    json!({ "from": name_of(from), "to": name_of(to), "activations": activations.name() });
                self.instant(Track::current(), "redefine", name("redefine", at, function), args)
            }
            Event::Carried { from, state, to } => {
                let body = &at.instance().module().function(state.function).name;
                let (point, new) = (from.point.to_string(), state.point.to_string());
                let args = json!({ "point": point, "body": body, "new_point": new, "to": tier_of(to) });
                self.instant(Track::Tier(tier_of(to)), "redefine", name("carry", at, from.function), args)
            }
            Event::Deoptimized { from, further, state, to } => {
                let body = &at.instance().module().function(state.function).name;
                let (point, new) = (from.point.to_string(), state.point.to_string());
                let args = json!({
                    "point": point, "body": body, "new_point": new, "further": further, "to": tier_of(to)
                });
                self.instant(Track::Tier(tier_of(to)), "frame", name("deoptimize", at, from.function), args)
            }
            _ => Ok(()),
        }
    }

    fn compiled(
        &mut self,
        at: &Observation<'_>,
        version: &CodeVersion,
        duration: Duration,
        cause: Cause,
    ) -> io::Result<()> {
        let tid = self.number_of(Track::of(version.tier))?;
        let end = self.now();
        let dur = (duration.as_nanos() as u64).min(end);
        let began = end - dur;
        let args = json!({
            "version": version.id.to_string(),
            "tier": version.tier,
            "entry": version.entry.to_string(),
            "code_bytes": version.code_bytes,
            "cause": cause,
        });
        let name = name("compile", at, version.function);
        let (dur, args) = (Some(dur), Some(args));
        self.put(&Record { dur, args, ..Record::new(name, "compile", "X", began, tid) })?;
        self.count_code(at)
    }

    fn hijacked(
        &mut self,
        at: &Observation<'_>,
        version: &CodeVersion,
        place: (FunctionIndex, Point),
        slot: u64,
        cause: Cause,
    ) -> io::Result<()> {
        let flow = self.new_flow();
        self.slots.insert(slot, flow);
        *self.pending.entry(key(at, version)).or_default() += 1;
        // A frame that tiers up at a poll is hijacked alone: its flow begins with itself.
        let alone = matches!(cause, Cause::TierUp { .. });
        if !alone {
            self.flow_outside("frame", flow)?;
        }
        let mut args = json!({ "cause": cause });
        self.add_frame(&mut args, at, version, place);
        let track = Track::current();
        self.slice(track, "frame", name("hijack", at, version.function), args)?;
        self.flow(track, "frame", flow, if alone { Flow::Start } else { Flow::Step })
    }

    /// A hijacked frame has landed, or will not: on that track.
    fn frame_ends(
        &mut self,
        (track, what): (Track, &str),
        at: &Observation<'_>,
        version: &CodeVersion,
        place: (FunctionIndex, Point),
        slot: u64,
        mut args: Value,
    ) -> io::Result<()> {
        self.add_frame(&mut args, at, version, place);
        self.slice(track, "frame", name(what, at, version.function), args)?;
        if let Some(flow) = self.slots.remove(&slot) {
            self.flow(track, "frame", flow, Flow::End)?;
            self.count_slots()?;
        }
        let pending = self.pending.entry(key(at, version)).or_default();
        *pending = pending.saturating_sub(1);
        if *pending > 0 {
            return Ok(());
        }
        self.pending.remove(&key(at, version));
        match self.dying.get(&key(at, version)) {
            Some(Dying { flow, released: true }) => {
                let flow = *flow;
                self.dying.remove(&key(at, version));
                let args = json!({ "version": version.id.to_string() });
                let track = Track::of(version.tier);
                self.slice(track, "version", name("forget", at, version.function), args)?;
                self.flow(track, "version", flow, Flow::End)
            }
            _ => Ok(()),
        }
    }

    /// Adds to `args` which frame it is.
    fn add_frame(
        &self,
        args: &mut Value,
        at: &Observation<'_>,
        version: &CodeVersion,
        place: (FunctionIndex, Point),
    ) {
        args["version"] = version.id.to_string().into();
        args["point"] = point_name(at, version, place).into();
        add_source(args, self.locator.place(at.instance().module(), place.0, place.1));
    }

    fn retired(&mut self, at: &Observation<'_>, version: &CodeVersion, cause: Cause) -> io::Result<()> {
        let flow = self.new_flow();
        self.dying.insert(key(at, version), Dying { flow, released: false });
        self.flow_outside("version", flow)?;
        let args = json!({ "version": version.id.to_string(), "cause": cause });
        let track = Track::of(version.tier);
        self.slice(track, "version", name("retire", at, version.function), args)?;
        self.flow(track, "version", flow, Flow::Step)
    }

    fn released(&mut self, at: &Observation<'_>, version: &CodeVersion, cause: Cause) -> io::Result<()> {
        let args = json!({
            "version": version.id.to_string(),
            "code_bytes": version.code_bytes,
            "cause": cause,
        });
        self.slice(Track::of(version.tier), "version", name("release", at, version.function), args)?;
        self.released_flow(at, version)?;
        self.count_code(at)
    }

    /// The flow of a version whose code is gone continues to the end of its frame maps, if frames of it have not landed.
    fn released_flow(&mut self, at: &Observation<'_>, version: &CodeVersion) -> io::Result<()> {
        let is_last = !self.pending.contains_key(&key(at, version));
        let Some(dying) = self.dying.get_mut(&key(at, version)) else { return Ok(()) };
        dying.released = true;
        let flow = dying.flow;
        if is_last {
            self.dying.remove(&key(at, version));
        }
        self.flow(Track::of(version.tier), "version", flow, if is_last { Flow::End } else { Flow::Step })
    }

    fn new_flow(&mut self) -> u64 {
        self.flows += 1;
        self.flows
    }

    fn begin(&mut self, cat: &str, name: Cow<'_, str>, args: Option<Value>) -> io::Result<()> {
        let number = self.number_of(Track::current())?;
        self.open.entry(number).or_default().push(name.clone().into_owned());
        self.record(Track::current(), cat, "B", name, args)
    }

    /// The slice that has begun last on the track ends. The record has its name, by which some tools match the two.
    fn end(&mut self, cat: &str, args: Option<Value>) -> io::Result<()> {
        let number = self.number_of(Track::current())?;
        let name = self.open.entry(number).or_default().pop().unwrap_or_default();
        self.record(Track::current(), cat, "E", Cow::Owned(name), args)
    }

    fn count_code(&mut self, at: &Observation<'_>) -> io::Result<()> {
        let bytes = at.instance().code_statistics().live_bytes;
        self.counter("code", "code bytes", json!({ "bytes": bytes }))
    }

    fn count_slots(&mut self) -> io::Result<()> {
        let slots = self.slots.len();
        self.counter("frame", "hijacked slots", json!({ "slots": slots }))
    }

    fn counter(&mut self, cat: &str, name: &str, args: Value) -> io::Result<()> {
        self.record(Track::current(), cat, "C", Cow::Borrowed(name), Some(args))
    }

    fn instant(&mut self, track: Track, cat: &str, name: Cow<'_, str>, args: Value) -> io::Result<()> {
        self.record(track, cat, "i", name, Some(args))
    }

    /// A slice with room for a flow's end inside: flows bind to slices, not to instants.
    fn slice(&mut self, track: Track, cat: &str, name: Cow<'_, str>, args: Value) -> io::Result<()> {
        self.record(track, cat, "X", name, Some(args))
    }

    fn record(
        &mut self,
        track: Track,
        cat: &str,
        ph: &str,
        name: Cow<'_, str>,
        args: Option<Value>,
    ) -> io::Result<()> {
        let tid = self.number_of(track)?;
        let ts = self.now();
        // The next record is one nanosecond later at least, and inside of it.
        let dur = (ph == "X").then_some(2);
        let s = (ph == "i").then_some("t");
        self.put(&Record { dur, s, args, ..Record::new(name, cat, ph, ts, tid) })
    }

    /// Begins a flow in the slice that is open.
    fn flow_outside(&mut self, cat: &str, id: u64) -> io::Result<()> {
        let ts = self.now();
        self.flow_at(Track::current(), ts, cat, id, Flow::Start)
    }

    /// A part of a flow, in the slice that was just written to `track`.
    fn flow(&mut self, track: Track, cat: &str, id: u64, flow: Flow) -> io::Result<()> {
        self.last += 1;
        self.flow_at(track, self.last, cat, id, flow)
    }

    fn flow_at(&mut self, track: Track, ts: u64, cat: &str, id: u64, flow: Flow) -> io::Result<()> {
        let tid = self.number_of(track)?;
        let ph = match flow {
            Flow::Start => "s",
            Flow::Step => "t",
            Flow::End => "f",
        };
        self.put(&Record { id: Some(id), bp: Some("e"), ..Record::new(Cow::Borrowed(cat), cat, ph, ts, tid) })
    }

    /// The number of `track`, which is named when it is first met.
    fn number_of(&mut self, track: Track) -> io::Result<u32> {
        if let Some(&number) = self.tracks.get(&track) {
            return Ok(number);
        }
        let tid = self.tracks.len() as u32 + 1;
        self.tracks.insert(track, tid);
        if tid == 1 {
            let (name, args) = (Cow::Borrowed("process_name"), Some(json!({ "name": "osr-engine" })));
            self.put(&Record { args, ..Record::new(name, "__metadata", "M", 0, tid) })?;
        }
        let args = Some(json!({ "name": match track {
            Track::Native(_) => std::thread::current().name().unwrap_or("guest").to_owned(),
            Track::Tier(tier) => format!("{} tier", tier.name()),
        } }));
        let name = Cow::Borrowed("thread_name");
        self.put(&Record { args, ..Record::new(name, "__metadata", "M", 0, tid) })?;
        Ok(tid)
    }

    /// Nanoseconds since the trace began; each time more than before, so that the order is that of the file.
    fn now(&mut self) -> u64 {
        self.last = (self.began.elapsed().as_nanos() as u64).max(self.last + 2);
        self.last
    }

    fn put(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.out.write_all(if self.records == 0 { b"\n" } else { b",\n" })?;
        self.records += 1;
        Ok(serde_json::to_writer(&mut self.out, record)?)
    }
}

fn add_source(args: &mut Value, place: Option<SourcePlace>) {
    if let Some(place) = place {
        args["source"] = place.to_string().into();
    }
}

/// The tier that a frame has landed in.
fn tier_of(to: Option<Continuation>) -> Tier {
    to.map_or(Tier::Interpreter, |to| to.tier.into())
}

fn name<'a>(what: &str, at: &Observation<'_>, function: FunctionIndex) -> Cow<'a, str> {
    Cow::Owned(format!("{what} {}", at.instance().module().function(function).name))
}
