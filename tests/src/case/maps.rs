//! Frame maps as text.
//!
//! What is shown is the same in every process: points, registers and offsets of the frame, constants. Code
//! offsets depend on the processor's features, so sites are numbered instead.

use std::fmt::Write;

use osr_engine::{CodeVersion, EntryPoint, FrameMapEntry, Instance, Location};
use osr_ir::{Body, Module, PointKind, Points};

use super::parse::Maps;
use super::value::print_word;
use crate::host::imports;

/// The frame maps of the function, entered at its entry and at each loop header.
pub(super) fn maps(module: &Module, maps: &Maps) -> String {
    let function = module.function(maps.function);
    let body = function.body().expect("only functions with bodies are asked for");
    let instance = match Instance::new(maps.settings.clone(), module.clone(), &imports()) {
        Ok(instance) => instance,
        Err(error) => return error.to_string(),
    };
    let points = Points::of(body);
    let headers = points.iter().filter(|(_, kind, _)| *kind == PointKind::LoopHeader);
    let entries = headers.map(|(point, ..)| EntryPoint::Continuation(point));
    let mut text = String::new();
    for entry in std::iter::once(EntryPoint::Function).chain(entries) {
        writeln!(text, "{}, entered at {entry}", function.name).expect("a string");
        match instance.compile(maps.function, maps.tier, entry) {
            Ok(version) => write_sites(&mut text, body, &points, &version),
            Err(error) => writeln!(text, "  {error}").expect("a string"),
        }
    }
    text
}

fn write_sites(text: &mut String, body: &Body, points: &Points, version: &CodeVersion) {
    let maps = &version.frame_maps;
    for (number, site) in maps.sites().enumerate() {
        let (kind, position) = (points.kind(site.point).name(), points.position(site.point));
        writeln!(text, "  site {number}: {} ({kind}, {position})", site.point).expect("a string");
        for entry in maps.entries(&site) {
            let (register, ty) = (entry.register, body.ty(entry.register));
            writeln!(text, "    {register}: {ty} = {}", location(body, version, entry)).expect("a string");
        }
    }
    if maps.sites().next().is_none() {
        writeln!(text, "  no sites").expect("a string");
    }
}

fn location(body: &Body, version: &CodeVersion, entry: FrameMapEntry) -> String {
    match entry.location {
        Location::Register(register) => format!("{register:?}").to_lowercase(),
        Location::FrameSlot(offset) => format!("[rbp{offset:+}]"),
        Location::Constant(n) => {
            format!("constant {}", print_word(body.ty(entry.register), version.frame_maps.constant(n)))
        }
        Location::Result(n) => format!("result {n} in the context"),
        Location::Pad => "pad".to_owned(),
    }
}
