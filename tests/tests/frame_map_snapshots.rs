//! Frame maps of representative functions, as snapshots.
//!
//! What is shown is stable across machines: points, locations by offset from the frame base, constants.
//! Code offsets depend on the processor's features, so sites are numbered instead. After an intended
//! change, review and accept with `INSTA_UPDATE=always cargo test -p osr-tests --test frame_map_snapshots`.

use std::fmt::Write;

use osr_engine::{CodeVersion, CompiledTier, EntryPoint, Instance, Location, Settings};
use osr_ir::{Module, PointKind, Points};
use osr_tests::host::imports;
use osr_tests::program::folder_of_programs;

/// The frame maps of `version`, one site after the other.
fn render(module: &Module, version: &CodeVersion) -> String {
    let body = module.function(version.function).body().expect("compiled from a body");
    let points = Points::of(body);
    let maps = &version.frame_maps;
    let mut text = String::new();
    for (number, site) in maps.sites().enumerate() {
        let kind = match points.kind(site.point) {
            PointKind::Entry => "entry",
            PointKind::LoopHeader => "loop header",
            PointKind::AfterCall => "after call",
            PointKind::Trap => "trap",
        };
        writeln!(text, "site {number}: {} {kind}, {}", site.point, points.position(site.point))
            .expect("a string");
        for entry in maps.entries(&site) {
            let location = match entry.location {
                Location::FrameSlot(offset) => format!("[frame base {offset:+}]"),
                Location::Constant(n) => format!("constant {:#x}", maps.constant(n)),
                Location::Register(register) => format!("{register:?}"),
                Location::Result(n) => format!("result {n} in the context"),
                Location::Pad => "pad".to_owned(),
            };
            let ty = body.ty(entry.register);
            writeln!(text, "  {}: {ty} = {location}", entry.register).expect("a string");
        }
    }
    text
}

/// Compiles `function` of `module` for each of its entries that can be compiled, and renders them.
fn snapshot(module: Module, function: &str) -> String {
    let instance = Instance::new(Settings::default(), module, &imports()).expect("an instance");
    let module = instance.module();
    let index = module.function_indices().find(|&index| module.function(index).name == function);
    let index = index.unwrap_or_else(|| panic!("there is a function {function}"));
    let points = Points::of(module.function(index).body().expect("defined"));
    let headers = points.iter().filter(|(_, kind, _)| *kind == PointKind::LoopHeader);
    let entries = headers.map(|(point, ..)| EntryPoint::Continuation(point));
    let mut text = String::new();
    for entry in std::iter::once(EntryPoint::Function).chain(entries) {
        let version = instance.compile(index, CompiledTier::Optimized, entry).expect("it compiles");
        let name = match entry {
            EntryPoint::Function => "entered at the function".to_owned(),
            EntryPoint::Continuation(point) => format!("entered at {point}"),
        };
        writeln!(text, "{function}, {name}").expect("a string");
        text += &render(module, &version);
    }
    text
}

fn case(name: &str) -> Module {
    let text = std::fs::read_to_string(folder_of_programs().join("ir").join(name)).expect("a case");
    osr_ir::text::parse(&text).expect("a valid case")
}

fn program(name: &str) -> Module {
    let bytes = std::fs::read(folder_of_programs().join("wasm").join(name)).expect("a program");
    osr_ir::wasm::import(&bytes).expect("a valid program")
}

#[test]
fn constants_that_live_across_calls() {
    insta::assert_snapshot!(snapshot(case("constants.ir"), "run"));
}

#[test]
fn results_beyond_the_return_registers() {
    insta::assert_snapshot!(snapshot(case("many-results.ir"), "run"));
}

#[test]
fn a_loop_with_two_headers() {
    insta::assert_snapshot!(snapshot(case("irreducible.ir"), "run"));
}

#[test]
fn a_recursion() {
    insta::assert_snapshot!(snapshot(program("fib.wasm"), "fib"));
}

#[test]
fn values_of_all_kinds_across_a_call() {
    insta::assert_snapshot!(snapshot(program("deep-recursion.wasm"), "descend_mixed"));
}
