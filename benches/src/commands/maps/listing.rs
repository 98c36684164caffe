//! What is shown of a version: its instructions, and the frame maps and trap sites beside them.

use std::fmt;

use osr_engine::{
    CodeVersion, CompileError, EntryPoint, FrameMapEntry, Instance, Location, VirtualActivation,
};
use osr_ir::{Body, FunctionIndex, Locator, Module, Point, Points, Shown, Type, WordLayout};
use serde::Serialize;

use super::disassembly::disassemble;
use crate::number::show_all;

/// A version of a function.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct Listing {
    pub(in crate::commands) function: String,
    pub(in crate::commands) index: u32,
    pub(in crate::commands) signature: String,
    /// `function`, or the point where a continuation is entered.
    pub(in crate::commands) entry: String,
    /// Why it cannot be compiled; then there is nothing more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) refused: Option<String>,
    pub(in crate::commands) code_bytes: u32,
    pub(in crate::commands) frame_map_bytes: u64,
    pub(in crate::commands) unwind_bytes: u64,
    pub(in crate::commands) instructions: Vec<Line>,
}

/// An instruction (or a piece of data) with what is known of it.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct Line {
    pub(in crate::commands) offset: u32,
    pub(in crate::commands) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) trap: Option<TrapLine>,
    /// The frame map where control returns, if this is a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) frame_map: Option<FrameMap>,
}

#[derive(Debug, Serialize)]
pub(in crate::commands) struct TrapLine {
    pub(in crate::commands) kind: &'static str,
    pub(in crate::commands) point: String,
    /// Where in the WebAssembly module, and in its source, the point is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) place: Option<String>,
}

#[derive(Debug, Serialize)]
pub(in crate::commands) struct FrameMap {
    pub(in crate::commands) return_offset: u32,
    pub(in crate::commands) point: String,
    pub(in crate::commands) kind: &'static str,
    /// Block and instruction of the body.
    pub(in crate::commands) position: String,
    /// Where in the WebAssembly module, and in its source, the point is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) place: Option<String>,
    /// Of several activations that the frame stands for, which function and point, innermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::commands) activations: Vec<String>,
    pub(in crate::commands) values: Vec<LiveValue>,
}

/// A live register of the body.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct LiveValue {
    pub(in crate::commands) register: String,
    #[serde(rename = "type")]
    pub(in crate::commands) ty: &'static str,
    pub(in crate::commands) location: String,
}

impl Listing {
    /// The listing of `version`, which is of `instance`; `locator` finds its places.
    pub(in crate::commands) fn of(instance: &Instance, version: &CodeVersion, locator: &Locator) -> Listing {
        let module = instance.module();
        let function = module.function(version.function);
        let view = View { instance, version, locator };
        let points = instance.points(version.function);
        let code = version.code().expect("a version that nothing enters is not released");
        let line = |piece: super::disassembly::Piece| Line {
            offset: piece.offset,
            trap: view.trap_at(piece.offset),
            frame_map: view.frame_map_at(piece.end, &piece.text),
            text: piece.text,
        };
        Listing {
            function: function.name.clone(),
            index: version.function.as_u32(),
            signature: module.signature(function.signature).to_string(),
            entry: show_entry(version.entry, points),
            refused: None,
            code_bytes: version.code_bytes,
            frame_map_bytes: version.frame_map_bytes(),
            unwind_bytes: version.unwind_bytes(),
            instructions: disassemble(&code, instance.counters(version).collect())
                .into_iter()
                .map(line)
                .collect(),
        }
    }

    /// What is shown of a version of `function` that the compiler refuses.
    pub(super) fn refused(
        module: &Module,
        function: FunctionIndex,
        entry: EntryPoint,
        error: &CompileError,
    ) -> Listing {
        let defined = module.function(function);
        Listing {
            function: defined.name.clone(),
            index: function.as_u32(),
            signature: module.signature(defined.signature).to_string(),
            entry: show_entry(
                entry,
                &Points::of(defined.body().expect("only those with bodies are compiled")),
            ),
            refused: Some(error.to_string()),
            code_bytes: 0,
            frame_map_bytes: 0,
            unwind_bytes: 0,
            instructions: Vec::new(),
        }
    }

    fn sites(&self) -> usize {
        self.instructions.iter().filter(|line| line.frame_map.is_some()).count()
    }
}

fn show_entry(entry: EntryPoint, points: &Points) -> String {
    match entry.continues_at() {
        None => "function".to_owned(),
        Some(point) => format!("{point}, loop header {}", points.position(point).block),
    }
}

/// How much there is of several versions.
#[derive(Debug, Default)]
pub(super) struct Sum {
    versions: usize,
    code_bytes: u64,
    frame_map_bytes: u64,
    unwind_bytes: u64,
}

impl Sum {
    /// Whether nothing was added.
    pub(super) fn is_empty(&self) -> bool {
        self.versions == 0
    }

    /// How many versions were added.
    pub(super) fn versions(&self) -> usize {
        self.versions
    }

    /// Adds a version.
    pub(super) fn add(&mut self, listing: &Listing) {
        self.versions += 1;
        self.code_bytes += u64::from(listing.code_bytes);
        self.frame_map_bytes += listing.frame_map_bytes;
        self.unwind_bytes += listing.unwind_bytes;
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sum { versions, code_bytes: code, .. } = self;
        let share = |bytes: u64| format!("{bytes} ({:.1}%)", 100.0 * bytes as f64 / (*code).max(1) as f64);
        let (maps, unwind) = (share(self.frame_map_bytes), share(self.unwind_bytes));
        writeln!(
            formatter,
            "in all {versions} versions, {code} bytes of code, {maps} of frame maps, {unwind} of unwind rows"
        )
    }
}

/// A version of an instance.
struct View<'v> {
    instance: &'v Instance,
    version: &'v CodeVersion,
    locator: &'v Locator,
}

impl View<'_> {
    fn trap_at(&self, offset: u32) -> Option<TrapLine> {
        let (function, site) = self.version.trap_site(self.version.start + u64::from(offset))?;
        let mut point = site.point.to_string();
        if function != self.version.function {
            point = format!("{point} of {}", self.name(function));
        }
        Some(TrapLine { kind: site.kind.name(), point, place: self.place(function, site.point) })
    }

    fn place(&self, function: FunctionIndex, point: Point) -> Option<String> {
        Some(self.locator.place(self.instance.module(), function, point)?.to_string())
    }

    fn frame_map_at(&self, end: u32, text: &str) -> Option<FrameMap> {
        let site = self.version.frame_maps.find(end).filter(|_| text.starts_with("call"))?;
        Some(self.frame_map(site as u32))
    }

    fn name(&self, function: FunctionIndex) -> String {
        Shown(&self.instance.module().function(function).name).to_string()
    }

    fn body(&self, function: FunctionIndex) -> &Body {
        self.instance.module().function(function).body().expect("versions are of defined functions")
    }

    /// The name and the type of a word of the state of `chain`.
    fn register(&self, chain: &[VirtualActivation], word: usize) -> (String, Type) {
        let outwards = chain.iter().position(|activation| activation.offset <= word);
        let number = outwards.expect("every word is a register of some activation");
        let VirtualActivation { function, offset, .. } = chain[number];
        let words = WordLayout::of(self.body(function).registers.iter().copied());
        let register = words.value_at(word - offset);
        let ty = self.body(function).registers[register];
        let half = match (ty.words(), word - offset - words.first(register)) {
            (1, _) => "",
            (_, 0) => " low",
            _ => " high",
        };
        match chain.len() {
            1 => (format!("r{register}{half}"), ty),
            activations => (format!("v{}.r{register}{half}", activations - 1 - number), ty),
        }
    }

    fn frame_map(&self, number: u32) -> FrameMap {
        let maps = &self.version.frame_maps;
        let site = maps.site(number);
        let chain = self.instance.activations(self.version, number);
        let points = self.instance.points(chain[0].function);
        let name = |activation: &VirtualActivation| {
            format!("{} {}", self.name(activation.function), activation.point)
        };
        let activations = if chain.len() > 1 { chain.iter().map(name).collect() } else { Vec::new() };
        let value = |entry: FrameMapEntry| {
            let (register, ty) = self.register(&chain, entry.register.index());
            let location = match entry.location {
                Location::Register(register) => format!("{register:?}").to_lowercase(),
                Location::FrameSlot(offset) if offset < 0 => format!("[rbp-{:#x}]", offset.unsigned_abs()),
                Location::FrameSlot(offset) => format!("[rbp+{offset:#x}]"),
                Location::Constant(n) => {
                    format!("constant {}", show_all(&[ty], &[maps.constant(n)]).join(""))
                }
                Location::Result(n) => format!("result word {n}"),
                Location::Pad => "pad".to_owned(),
            };
            LiveValue { register, ty: ty.name(), location }
        };
        FrameMap {
            return_offset: site.return_offset,
            point: site.point.to_string(),
            kind: points.kind(site.point).name(),
            position: points.position(site.point).to_string(),
            place: self.place(chain[0].function, site.point),
            activations,
            values: maps.entries(&site).map(value).collect(),
        }
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Listing { function, index, signature, entry, code_bytes, frame_map_bytes, unwind_bytes, .. } =
            self;
        writeln!(formatter, "{} (f{index}) {signature}, entered at: {entry}", Shown(function))?;
        if let Some(why) = &self.refused {
            return writeln!(formatter, "cannot be compiled: {why}");
        }
        writeln!(
            formatter,
            "{code_bytes} bytes of code, {} sites, {frame_map_bytes} bytes of frame maps, {unwind_bytes} of unwind rows",
            self.sites()
        )?;
        self.instructions.iter().try_for_each(|line| line.fmt(formatter))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "  {:04x}  ", self.offset)?;
        match &self.trap {
            Some(TrapLine { kind, point, place }) => {
                write!(formatter, "{:<44} ; {point} trap: {kind}", self.text)?;
                place.iter().try_for_each(|place| write!(formatter, ", {place}"))?;
                writeln!(formatter)?
            }
            None => writeln!(formatter, "{}", self.text)?,
        }
        let Some(FrameMap { return_offset, point, kind, position, place, activations, values }) =
            &self.frame_map
        else {
            return Ok(());
        };
        let place = place.as_ref().map_or(String::new(), |place| format!(", {place}"));
        writeln!(formatter, "        -> {return_offset:04x} {point} ({kind}, {position}{place})")?;
        if !activations.is_empty() {
            writeln!(formatter, "           {}", activations.join(" < "))?;
        }
        for LiveValue { register, ty, location } in values {
            writeln!(formatter, "           {register:<5} {ty:<7} {location}")?;
        }
        Ok(())
    }
}
