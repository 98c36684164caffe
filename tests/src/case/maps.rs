//! Frame maps as text.
//!
//! What is shown is the same in every process: points, registers and offsets of the frame, constants. Code
//! offsets depend on the processor's features, so sites are numbered instead.

use std::fmt::Write;

use osr_engine::{CodeVersion, EntryPoint, FrameMapEntry, Instance, Location, VirtualActivation};
use osr_ir::{FunctionIndex, Module, PointKind, Points, Register, Type, WordLayout};

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
            Ok(version) => write_sites(&mut text, &instance, &version),
            Err(error) => writeln!(text, "  {error}").expect("a string"),
        }
    }
    text
}

fn write_sites(text: &mut String, instance: &Instance, version: &CodeVersion) {
    let maps = &version.frame_maps;
    for (number, site) in (0..).zip(maps.sites()) {
        // Innermost first. Of several, each has a line, and its registers have its name.
        let chain = instance.activations(version, number);
        for (further, activation) in chain.iter().enumerate() {
            let VirtualActivation { function, point, .. } = *activation;
            let points = instance.points(function);
            let (kind, position) = (points.kind(point).name(), points.position(point));
            let head = if further == 0 { format!("site {number}") } else { "  called by".to_owned() };
            let name =
                if chain.len() > 1 { format!(" of {}", name(instance, function)) } else { String::new() };
            writeln!(text, "  {head}: {point}{name} ({kind}, {position})").expect("a string");
        }
        for entry in maps.entries(&site) {
            let word = entry.register.index();
            let owner = chain.iter().find(|activation| activation.offset <= word).expect("it has all words");
            let body = instance.module().function(owner.function).body().expect("it is defined");
            let words = WordLayout::of(body.registers.iter().copied());
            let register = Register::new(words.value_at(word - owner.offset));
            let ty = body.ty(register);
            let name =
                if chain.len() > 1 { format!("{}.", name(instance, owner.function)) } else { String::new() };
            writeln!(text, "    {name}{register}: {ty} = {}", location(ty, version, entry))
                .expect("a string");
        }
    }
    if maps.sites().next().is_none() {
        writeln!(text, "  no sites").expect("a string");
    }
}

fn name(instance: &Instance, function: FunctionIndex) -> &str {
    &instance.module().function(function).name
}

fn location(ty: Type, version: &CodeVersion, entry: FrameMapEntry) -> String {
    match entry.location {
        Location::Register(register) => format!("{register:?}").to_lowercase(),
        Location::FrameSlot(offset) => format!("[rbp{offset:+}]"),
        Location::Constant(n) => {
            format!("constant {}", print_word(ty, version.frame_maps.constant(n)))
        }
        Location::Result(n) => format!("result {n} in the context"),
        Location::Pad => "pad".to_owned(),
    }
}
