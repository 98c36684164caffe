//! What is shown of a version: its instructions, and the frame maps and trap sites beside them.

use std::fmt;

use osr_engine::{CodeVersion, EntryPoint, FrameMapEntry, Location, Site};
use osr_ir::{Body, Module, Points};
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
        let entry = match version.entry {
            EntryPoint::Function => "function".to_owned(),
            EntryPoint::Continuation(point) => {
                format!("{point}, loop header {}", points.position(point).block)
            }
        };
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
            entry,
            code_bytes: version.code_bytes,
            frame_map_bytes: version.frame_map_bytes(),
            unwind_bytes: version.unwind_bytes(),
            instructions: disassemble(&code).into_iter().map(line).collect(),
        }
    }

    /// How much there is of `listings` in all, in a line.
    pub(super) fn sum(listings: &[Listing]) -> String {
        let sum = |of: fn(&Listing) -> u64| listings.iter().map(of).sum::<u64>();
        let code = sum(|listing| u64::from(listing.code_bytes));
        let share = |bytes: u64| format!("{bytes} ({:.1}%)", 100.0 * bytes as f64 / code.max(1) as f64);
        let (maps, unwind) = (sum(|listing| listing.frame_map_bytes), sum(|listing| listing.unwind_bytes));
        format!(
            "in all {} versions, {code} bytes of code, {} of frame maps, {} of unwind rows\n",
            listings.len(),
            share(maps),
            share(unwind)
        )
    }

    fn sites(&self) -> usize {
        self.instructions.iter().filter(|line| line.frame_map.is_some()).count()
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
        writeln!(formatter, "{function} (f{index}) {signature}, entered at: {entry}")?;
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
