//! `--explain=html`: IR, code, frame maps, versions and transitions as one page, each linked to the others.
//!
//! ```text
//!   function  its IR ────────────── a point <───────┬─────────────────┐
//!   version   its code ── a frame map, at a point ──┘                 │
//!   transition, in order: a version, a point, another version ────────┘
//! ```
//!
//! Code is disassembled when it is made: it may be freed the moment after. What is kept is bounded.

mod html;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use osr_engine::explain::Explanation;
use osr_engine::{CodeVersion, Continuation, Event, Observation, Observer, Replacement};
use osr_ir::{FunctionIndex, Locator, Point, Position, text};

use crate::commands::maps::listing::Listing;

/// Versions of a function whose code is kept.
const SHOWN_VERSIONS: usize = 6;

/// Versions whose code is kept, in all.
const ALL_VERSIONS: usize = 400;

/// Transitions that are kept.
const SHOWN_TRANSITIONS: usize = 2_000;

/// Collects what the page shows beside the explanation.
#[derive(Debug, Default)]
pub(super) struct Page {
    state: Mutex<State>,
    locator: Locator,
}

#[derive(Debug, Default)]
struct State {
    functions: BTreeMap<FunctionIndex, Shown>,
    transitions: Vec<Transition>,
    further_transitions: u64,
    versions: usize,
    /// The versions that have begun at these addresses last.
    code: HashMap<u64, u64>,
}

/// A function that was compiled.
#[derive(Debug, Default)]
struct Shown {
    name: String,
    ir: String,
    /// Of its versions, the first ones, by number.
    listings: BTreeMap<u64, Listing>,
}

/// Something that happened to code or to a frame.
#[derive(Debug)]
struct Transition {
    safepoint: u64,
    what: &'static str,
    /// The version that it happened to, or to whose frame.
    version: Option<u64>,
    /// Where.
    place: Option<(FunctionIndex, Point)>,
    /// The version that came of it.
    to: Option<u64>,
    /// Why, or what more there is to say.
    note: String,
}

impl Page {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The page, with what `explanation` says of each version. `title` says what was run.
    pub(super) fn html(&self, title: &str, explanation: &Explanation) -> String {
        html::page(title, &self.state(), explanation)
    }

    /// Keeps the code of `version`, and the IR of its function.
    fn compiled(&self, at: &Observation<'_>, version: &CodeVersion) {
        let module = at.instance().module();
        let mut state = self.state();
        state.code.insert(version.start, version.id.0);
        let has_room = state.versions < ALL_VERSIONS;
        let function = state.functions.entry(version.function).or_insert_with(|| {
            let note = |function: FunctionIndex, position: Position| {
                Some(self.locator.place_at(module, function, position)?.to_string())
            };
            let ir = text::print_function_annotated(module, version.function, &note);
            let name = module.function(version.function).name.clone();
            Shown { name, ir, listings: BTreeMap::new() }
        });
        if has_room && function.listings.len() < SHOWN_VERSIONS {
            let listing = Listing::of(at.instance(), version, &self.locator);
            function.listings.insert(version.id.0, listing);
            state.versions += 1;
        }
    }
}

impl State {
    fn add(&mut self, at: &Observation<'_>, transition: Transition) {
        if self.transitions.len() == SHOWN_TRANSITIONS {
            self.further_transitions += 1;
            return;
        }
        self.transitions.push(Transition { safepoint: at.transitions().safepoints, ..transition });
    }

    /// The version that is continued in.
    fn version_of(&self, to: Option<Continuation>) -> Option<u64> {
        self.code.get(&to?.code).copied()
    }
}

impl Observer for Page {
    fn observe(&self, at: &Observation<'_>, event: &Event<'_>) {
        if let Event::Compiled { version, .. } = event {
            self.compiled(at, version);
        }
        let mut state = self.state();
        if let Some(transition) = transition(&state, event) {
            state.add(at, transition);
        }
    }
}

/// What is shown of `event`, if it is a transition.
fn transition(state: &State, event: &Event<'_>) -> Option<Transition> {
    let of = |what, version: &CodeVersion, note: String| Transition {
        safepoint: 0,
        what,
        version: Some(version.id.0),
        place: None,
        to: None,
        note,
    };
    let frame = |what, version: &CodeVersion, place| Transition {
        place: Some(place),
        ..of(what, version, String::new())
    };
    let interpreter =
        |to: Option<u64>| if to.is_none() { "the interpreter".to_owned() } else { String::new() };
    Some(match *event {
        Event::Compiled { version, cause, .. } => of("compile", version, cause.to_string()),
        Event::TieredUp { to, state: frame, .. } => Transition {
            safepoint: 0,
            what: "tier up",
            version: None,
            place: Some((frame.function, frame.point)),
            to: state.version_of(Some(to)),
            note: String::new(),
        },
        Event::GuardFailed { version, guard, is_forced } => Transition {
            place: Some((guard.function, guard.point)),
            note: if is_forced { "made to".to_owned() } else { guard.reason.name().to_owned() },
            ..of("guard fails", version, String::new())
        },
        Event::ExitLinked { version, guard, to, .. } => {
            Transition { to: Some(to.id.0), ..frame("link exit", version, (guard.function, guard.point)) }
        }
        Event::Landed { version, to, state: landed, .. } => {
            let to = state.version_of(to);
            let note = interpreter(to);
            Transition { to, note, ..frame("land", version, (landed.function, landed.point)) }
        }
        Event::Continued { version, to, state: continued, .. } => {
            let to = state.version_of(to);
            Transition {
                safepoint: 0,
                what: "continue",
                version: Some(version.0),
                place: Some((continued.function, continued.point)),
                note: interpreter(to),
                to,
            }
        }
        Event::Hijacked { version, function, point, .. } => frame("hijack", version, (function, point)),
        Event::Dropped { version, function, point, .. } => frame("drop", version, (function, point)),
        Event::Restored { version, function, point, .. } => frame("restore", version, (function, point)),
        Event::Retired { version, cause } => of("retire", version, cause.to_string()),
        Event::Released { version, .. } => of("release", version, String::new()),
        Event::ReplacementBegan { replacement, cause } => Transition {
            safepoint: 0,
            what: match replacement {
                Replacement::Invalidation => "INVALIDATE",
                Replacement::Hijack => "HIJACK",
                Replacement::Redefinition => "REDEFINE",
            },
            version: None,
            place: None,
            to: None,
            note: cause.to_string(),
        },
        _ => return None,
    })
}
