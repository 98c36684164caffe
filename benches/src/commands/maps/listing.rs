//! What is shown of a version: its instructions, and the frame maps and trap sites beside them.

use std::fmt;

use osr_engine::{CodeVersion, CompileError, EntryPoint, FrameMapEntry, Location, Site};
use osr_ir::{Body, FunctionIndex, Module, Points, Shown};
use serde::Serialize;

use super::disassembly::disassemble;
use crate::number::{show, show_signature};

/// A version of a function.
#[derive(Debug, Serialize)]
pub(super) struct Listing {
    function: String,
    index: u32,
    signature: String,
    /// `function`, or the point where a continuation is entered.
    entry: String,
    /// Why it cannot be compiled; then there is nothing more.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    code_bytes: u32,
    frame_map_bytes: u64,
    unwind_bytes: u64,
    instructions: Vec<Line>,
}

/// An instruction (or a piece of data) with what is known of it.
#[derive(Debug, Serialize)]
struct Line {
    offset: u32,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    trap: Option<TrapLine>,
    /// The frame map where control returns, if this is a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    frame_map: Option<FrameMap>,
}

#[derive(Debug, Serialize)]
struct TrapLine {
    kind: &'static str,
    point: String,
}

#[derive(Debug, Serialize)]
struct FrameMap {
    return_offset: u32,
    point: String,
    kind: &'static str,
    /// Block and instruction of the body.
    position: String,
    values: Vec<LiveValue>,
}

/// A live register of the body.
#[derive(Debug, Serialize)]
struct LiveValue {
    register: String,
    #[serde(rename = "type")]
    ty: &'static str,
    location: String,
}

impl Listing {
    /// The listing of `version`, which is of a function of `module`.
    pub(super) fn of(module: &Module, version: &CodeVersion) -> Listing {
        let function = module.function(version.function);
        let view = View { body: function.body().expect("versions are of defined functions"), version };
        let points = Points::of(view.body);
        let code = version.code().expect("a version that nothing enters is not released");
        let line = |piece: super::disassembly::Piece| Line {
            offset: piece.offset,
            trap: view.trap_at(piece.offset),
            frame_map: view.frame_map_at(piece.end, &piece.text, &points),
            text: piece.text,
        };
        Listing {
            function: function.name.clone(),
            index: version.function.as_u32(),
            signature: show_signature(module.signature(function.signature)),
            entry: show_entry(version.entry, &points),
            refused: None,
            code_bytes: version.code_bytes,
            frame_map_bytes: version.frame_map_bytes(),
            unwind_bytes: version.unwind_bytes(),
            instructions: disassemble(&code).into_iter().map(line).collect(),
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
            signature: show_signature(module.signature(defined.signature)),
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
    match entry {
        EntryPoint::Function => "function".to_owned(),
        EntryPoint::Continuation(point) => {
            format!("{point}, loop header {}", points.position(point).block)
        }
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

/// A version with its body.
struct View<'v> {
    body: &'v Body,
    version: &'v CodeVersion,
}

impl View<'_> {
    fn trap_at(&self, offset: u32) -> Option<TrapLine> {
        let site = self.version.trap_sites.iter().find(|site| site.offset == offset)?;
        Some(TrapLine { kind: site.kind.name(), point: site.point.to_string() })
    }

    fn frame_map_at(&self, end: u32, text: &str, points: &Points) -> Option<FrameMap> {
        let maps = &self.version.frame_maps;
        let site = &maps.site(maps.find(end).filter(|_| text.starts_with("call"))? as u32);
        Some(self.frame_map(site, points))
    }

    fn frame_map(&self, site: &Site, points: &Points) -> FrameMap {
        let maps = &self.version.frame_maps;
        let value = |entry: FrameMapEntry| {
            let ty = self.body.registers[entry.register.index()];
            let location = match entry.location {
                Location::Register(register) => format!("{register:?}").to_lowercase(),
                Location::FrameSlot(offset) if offset < 0 => format!("[rbp-{:#x}]", offset.unsigned_abs()),
                Location::FrameSlot(offset) => format!("[rbp+{offset:#x}]"),
                Location::Constant(n) => format!("constant {}", show(ty, maps.constant(n))),
                Location::Result(n) => format!("result word {n}"),
                Location::Pad => "pad".to_owned(),
            };
            LiveValue { register: entry.register.to_string(), ty: ty.name(), location }
        };
        FrameMap {
            return_offset: site.return_offset,
            point: site.point.to_string(),
            kind: points.kind(site.point).name(),
            position: points.position(site.point).to_string(),
            values: maps.entries(site).map(value).collect(),
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
            Some(TrapLine { kind, point }) => {
                writeln!(formatter, "{:<44} ; {point} trap: {kind}", self.text)?
            }
            None => writeln!(formatter, "{}", self.text)?,
        }
        let Some(FrameMap { return_offset, point, kind, position, values }) = &self.frame_map else {
            return Ok(());
        };
        writeln!(formatter, "        -> {return_offset:04x} {point} ({kind}, {position})")?;
        for LiveValue { register, ty, location } in values {
            writeln!(formatter, "           {register:<5} {ty:<7} {location}")?;
        }
        Ok(())
    }
}
