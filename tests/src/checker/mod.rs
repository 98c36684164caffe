//! The checker of frame maps: verifies every map of a version by means independent of the compiler's.
//!
//! ```text
//!   code ──machine.rs──> instructions, calls, stores ──┐
//!                                                      ├─> segments between sites ──┐
//!   body ──graph.rs────> liveness, next points ────────┼────────────────────────────┼─> violations
//!   frame maps, constants ──(what is checked)──────────┴─> each site by itself ─────┘
//! ```
//!
//! It reads the machine code and the body. It uses nothing of the compiler, not its liveness, not its
//! lists of call sites, not its frame layout. What is claimed of a version without violations:
//!
//! - **Sites.** The call instructions that control can reach are exactly those that have a site. Of a poll
//!   whose frame is left elsewhere, everything is claimed of that place.
//! - **Registers.** A site's entries are the registers that some path from its point reads before it
//!   writes them, each once, as wide as its type.
//! - **Places.** Results of the call itself, and only they, are where System V (or, beyond its registers,
//!   the context) returns them. Slots lie in the frame, below the saved frame pointer, apart from saved
//!   registers and from each other; a slot is one register's in all of the version, and no instruction
//!   writes only part of it or beyond it.
//! - **Flow.** Where the code goes from one site to the next, the body goes from the one's point to the
//!   other's.
//! - **Slots.** On every path of the code from the entry to a site, a slot that its map names was written,
//!   and written again after the last site at which the register was elsewhere or dead, or after which
//!   every path of the body assigns it. The lattice: per slot, *written since the last site on all paths*
//!   or *not*; the join is *not*.
//! - **Allocated values.** Where a map says that a value is wherever the register allocator keeps it: that
//!   is a register which callees preserve, or, at a poll, any, or a part of the frame. If no path of the body from the site
//!   before changes the register, and the code moves what was at its place there to its place here, it
//!   is this register's value that arrives. See [`Traced`] for how many could be followed so far.
//! - **Constants.** What a map calls constant holds that constant on every path of the body from the site
//!   before, as constant propagation (unvisited, one constant, anything) finds it; at a poll where the optimizer knew it, only
//!   that it does not find another one.
//!
//! Of a version with inlined bodies, all of that is claimed of the body that they make together ([`Subject::merged`]); a site's
//! entries are the registers that the activations need there, each by itself.
//!
//! Registers are words there, as in frame maps: a vector is two, of which all of this is claimed one by one. Where the frame
//! leaves for a tail call, which the interpreter makes, is a call like any other.
//!
//! Not claimed: anything of how the exit of a guard is reached; that a value that was computed since the site before is the
//! register's, nor anything of
//! what a pad stores (there, the landing of cross-checked state recording compares, which see); that what was written into a slot is the register's value (running says that: the tests
//! of landings compare results, with dead slots poisoned), and that values which only some paths assign
//! are written on just those.

mod constants;
mod graph;
mod leaving;
mod machine;
mod merged;
mod places;
mod segments;
mod tracing;

use std::borrow::Cow;
use std::fmt;

use osr_engine::{CodeVersion, CompiledTier, EntryPoint, FrameMapEntry, Location, StateRecording};
use osr_ir::{Body, FunctionIndex, Module, Point, PointKind, Points, Register};

use merged::Waiting;
pub use tracing::Traced;

/// What is checked: a version, taken apart so that tests can break it.
#[derive(Clone, Debug)]
pub struct Subject<'m> {
    /// The module.
    pub module: &'m Module,
    /// The function that it is a version of.
    pub function: FunctionIndex,
    /// The tier that made it.
    pub tier: CompiledTier,
    /// Where it is entered.
    pub entry: EntryPoint,
    /// How its calls record the frame state.
    pub recording: StateRecording,
    /// Its code.
    pub code: Vec<u8>,
    /// Its sites.
    pub sites: Vec<SiteMap>,
    /// Its constants.
    pub constants: Vec<u64>,
    /// The body.
    body: Cow<'m, Body>,
    waiting: Waiting,
}

/// A site with its frame map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteMap {
    /// The return PC, from the start of the code.
    pub return_offset: u32,
    /// Where execution resumes.
    pub point: Point,
    /// Whether it is at a poll, rather than at a call of the body.
    pub is_poll: bool,
    /// Whether it is at a poll whose values are wherever the register allocator has them, in any register.
    pub is_in_place: bool,
    /// The frame state.
    pub entries: Vec<FrameMapEntry>,
}

impl<'m> Subject<'m> {
    /// `version`, of a function of `module`. Its code must not be released.
    ///
    /// # Panics
    /// If it is.
    pub fn of(module: &'m Module, version: &CodeVersion) -> Subject<'m> {
        let maps = &version.frame_maps;
        let body = module.function(version.function).body().expect("compiled from a body");
        let named =
            maps.sites().flat_map(|site| maps.entries(&site)).filter_map(|entry| match entry.location {
                Location::Constant(n) => Some(n + 1),
                _ => None,
            });
        Subject {
            module,
            function: version.function,
            tier: version.tier,
            entry: version.entry,
            recording: version.recording,
            code: version.code().expect("code that is not released"),
            sites: site_maps(version, &Points::of(body)),
            constants: (0..named.max().unwrap_or(0)).map(|n| maps.constant(n)).collect(),
            body: Cow::Borrowed(body),
            waiting: Waiting::new(),
        }
    }

    /// Whether `site` finds its values in slots that were written for it, rather than where the register
    /// allocator keeps them.
    fn stores(&self, site: &SiteMap) -> bool {
        !site.is_in_place && (self.recording == StateRecording::Slots || site.point == Points::entry())
    }

    /// Makes no-operations of all stores to the slot at `offset` from the frame base; whether there were
    /// any. Damage, for tests of the checker.
    pub fn blank_stores(&mut self, offset: i32) -> bool {
        let Ok(machine) = machine::Machine::read(&self.code) else { return false };
        let stores =
            machine.steps.iter().filter(|(_, step)| step.write().is_some_and(|(at, _)| at == offset));
        let ranges: Vec<_> = stores.map(|(&start, step)| start as usize..step.end as usize).collect();
        ranges.iter().for_each(|range| self.code[range.clone()].fill(0x90));
        !ranges.is_empty()
    }

    /// The body.
    fn body(&self) -> &Body {
        &self.body
    }
}

/// The sites of `version`, whose points are some of `points`.
fn site_maps(version: &CodeVersion, points: &Points) -> Vec<SiteMap> {
    let maps = &version.frame_maps;
    let site = |(number, site): (u32, osr_engine::Site)| SiteMap {
        return_offset: site.return_offset,
        point: site.point,
        is_poll: !points.contains(site.point) || points.kind(site.point) != PointKind::AfterCall,
        is_in_place: version.is_in_place(number),
        entries: maps.entries(&site).collect(),
    };
    (0..).zip(maps.sites()).map(site).collect()
}

/// A claim that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The return offset of the site, if it is about one.
    pub site: Option<u32>,
    /// What is wrong.
    pub kind: ViolationKind,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.site {
            Some(offset) => write!(formatter, "site {offset:#x}: {:?}", self.kind),
            None => write!(formatter, "{:?}", self.kind),
        }
    }
}

/// What can be wrong with the frame maps of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViolationKind {
    /// The code at this offset is not what the checker can read.
    Unreadable(u32),
    /// A call returns to this offset, which has no site, or more than one.
    CallWithoutSite(u32),
    /// A site where no call returns.
    SiteWithoutCall,
    /// The body has no such point, or execution cannot resume there.
    NoSuchPoint(Point),
    /// A register that is live has no entry.
    MissingRegister(Register),
    /// A register that is dead has an entry, or one that is live has two.
    NeedlessRegister(Register),
    /// An entry is not as wide as its register.
    Width(Register),
    /// A result of the call is not where the call leaves it, or something else is said to be there.
    ResultPlace(Register),
    /// A slot is not inside the frame, or not aligned.
    OutsideFrame(Register),
    /// A slot overlaps a saved register.
    OverlapsSaved(Register),
    /// Slots of two registers overlap.
    OverlapsSlot(Register, Register),
    /// The instruction at this offset writes a part of the register's slot, or more than it.
    PartialWrite(Register, u32),
    /// The register does not hold that constant.
    NotConstant(Register),
    /// The place holds other registers' values of the site at this return offset, not this one's, which
    /// nothing has changed since.
    Mistaken(Register, u32),
    /// From the site at this return offset (or from the entry) the body does not go here.
    Flow(Option<u32>),
    /// From the site at this return offset (or from the entry) control comes without writing the slot,
    /// though it does not hold the register's value there.
    StaleSlot(Register, Option<u32>),
}

/// Every claim about `subject` that does not hold.
pub fn check(subject: &Subject<'_>) -> Vec<Violation> {
    check_and_trace(subject).0
}

/// The same, and how many of the allocator's values could be followed.
pub fn check_and_trace(subject: &Subject<'_>) -> (Vec<Violation>, Traced) {
    let mut machine = match machine::Machine::read(&subject.code) {
        Ok(machine) => machine,
        Err(offset) => {
            let unreadable = Violation { site: None, kind: ViolationKind::Unreadable(offset) };
            return (vec![unreadable], Traced::default());
        }
    };
    let mut subject = subject.clone();
    leaving::move_sites(&mut subject, &mut machine);
    let subject = &subject;
    let graph = graph::Graph::of(subject.body());
    let mut violations = Violations::default();
    places::check_sites(subject, &machine, &mut violations);
    places::check_registers(subject, &graph, &mut violations);
    places::check_locations(subject, &graph, &machine, &mut violations);
    if violations.found.is_empty() {
        // Segments are between sites whose calls and points are right.
        let traced = segments::check(subject, &graph, &machine, &mut violations);
        return (violations.found, traced);
    }
    (violations.found, Traced::default())
}

/// Collects what does not hold.
#[derive(Debug, Default)]
struct Violations {
    found: Vec<Violation>,
}

impl Violations {
    fn add(&mut self, site: impl Into<Option<u32>>, kind: ViolationKind) {
        self.found.push(Violation { site: site.into(), kind });
    }

    fn unless(&mut self, holds: bool, site: u32, kind: ViolationKind) {
        if !holds {
            self.add(site, kind);
        }
    }
}
