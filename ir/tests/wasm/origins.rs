//! Source maps: what is at the offset of an instruction is what it was made from; and lines of the source.

use std::path::{Path, PathBuf};

use osr_ir::{
    Body, FunctionIndex, Instruction, Locator, Module, PointKind, Points, Position, SourceLine, Terminator,
    text, wasm,
};

fn programs(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/programs").join(folder)
}

/// Whether an operator that begins with `opcode` becomes what is at `position`, which is a point.
fn is_made_from(body: &Body, position: Position, opcode: u8) -> bool {
    let block = body.block(position.block);
    match block.instructions.get(position.index) {
        None => block.terminator == Terminator::Unreachable && opcode == 0x00,
        Some(Instruction::Call { .. }) => opcode == 0x10,
        Some(Instruction::CallIndirect { .. }) => opcode == 0x11,
        Some(Instruction::Load { .. }) => (0x28..=0x35).contains(&opcode) || opcode == 0xfd,
        Some(Instruction::Store { .. }) => (0x36..=0x3e).contains(&opcode) || opcode == 0xfd,
        Some(Instruction::MemoryGrow { .. }) => opcode == 0x40,
        // Division, remainder, truncation.
        Some(Instruction::Binary { .. }) => matches!(opcode, 0x6d..=0x70 | 0x7f..=0x82),
        Some(Instruction::Unary { .. }) => matches!(opcode, 0xa8..=0xab | 0xae..=0xb1),
        // Bulk operations have a prefix, table operations not all.
        Some(_) => matches!(opcode, 0xfc | 0x25 | 0x26),
    }
}

fn check(module: &Module, bytes: &[u8]) -> usize {
    let mut checked = 0;
    for function in module.function_indices() {
        let Some(body) = module.function(function).body() else {
            assert_eq!(module.origin.source_map(function), None, "an imported function comes from nowhere");
            continue;
        };
        let map = module.origin.source_map(function).expect("the module is binary");
        for block in body.block_indices() {
            let end = body.block(block).instructions.len();
            assert!(map.offset(Position { block, index: end }).is_some(), "every terminator has an offset");
            assert_eq!(map.offset(Position { block, index: end + 1 }), None, "nothing comes after it");
        }
        for (_, kind, position) in Points::of(body).iter() {
            if matches!(kind, PointKind::AfterCall | PointKind::Trap) {
                let offset = map.offset(position).expect("every instruction has an offset");
                let opcode = bytes[offset as usize];
                assert!(is_made_from(body, position, opcode), "{function} {position}: {opcode:#x}");
                checked += 1;
            }
        }
    }
    checked
}

#[test]
fn offsets_are_those_of_the_operators() {
    let mut checked = 0;
    for folder in ["wasm", "wasm-ssa", "wasi", "debug"] {
        for entry in std::fs::read_dir(programs(folder)).expect("the folder is there") {
            let path = entry.expect("it can be read").path();
            if path.extension().is_some_and(|extension| extension == "wasm") {
                let bytes = std::fs::read(&path).expect("it can be read");
                checked += check(&wasm::import(&bytes).expect("it is valid"), &bytes);
            }
        }
    }
    assert!(checked > 3000, "only {checked} points were checked");
}

#[test]
fn dwarf_sections_say_lines() {
    let bytes = std::fs::read(programs("debug/bank.wasm")).expect("it can be read");
    let module = wasm::import(&bytes).expect("it is valid");
    let source = std::fs::read_to_string(programs("debug/c/bank.c")).expect("it can be read");
    let line_of = |text: &str| source.lines().position(|line| line.contains(text)).expect("it is there") + 1;
    let locator = Locator::default();
    let lines = |name: &str| {
        let function = module.function_indices().find(|&index| module.function(index).name == name);
        let function = function.expect("the module names it");
        let points = Points::of(module.function(function).body().expect("it is defined"));
        let calls =
            points.iter().filter(|(_, kind, _)| matches!(kind, PointKind::AfterCall | PointKind::Trap));
        let place = |point| locator.place(&module, function, point).expect("the module is binary");
        calls
            .map(|(point, ..)| place(point).line.expect("there are DWARF sections"))
            .collect::<Vec<SourceLine>>()
    };
    let [division] = &*lines("share") else { panic!("{:?}", lines("share")) };
    assert_eq!((division.file_name(), division.line as usize), ("bank.c", line_of("whole / parts")));
    let spend: Vec<usize> = lines("spend").iter().map(|line| line.line as usize).collect();
    assert_eq!(spend, [line_of("share(100, left)"), line_of("spend(left - price")]);
    assert_eq!(lines("pay").len(), 1);
}

const LINES: &str = r#"(module
  (func (export "f") (param i32) (result i32)
    local.get 0
    call $g
    i32.const 3
    i32.div_s)
  (func $g))"#;

/// The file and the lines, from 1, of calls and of what may trap in function 0.
fn places(module: &Module) -> Vec<String> {
    let (locator, function) = (Locator::default(), FunctionIndex::new(0));
    let points = Points::of(module.function(function).body().expect("it is defined"));
    let places = points.iter().filter(|(_, kind, _)| matches!(kind, PointKind::AfterCall | PointKind::Trap));
    let place = |point| locator.place(module, function, point).expect("the file is known").line;
    places.map(|(point, ..)| place(point).expect("it has lines").to_string()).collect()
}

#[test]
fn texts_have_lines() {
    let module = wasm::import_text_file("folder/lines.wat", LINES).expect("it is valid");
    assert_eq!(places(&module), ["lines.wat:4:5", "lines.wat:6:5"]);
    let printed = text::print(&module);
    let module = text::parse_file("folder/lines.ir", &printed).expect("it reads back");
    let line_of = |part: &str| printed.lines().position(|line| line.contains(part)).expect("it is there") + 1;
    let expected = ["call ", "i32.div_s "].map(|part| {
        let line = printed.lines().nth(line_of(part) - 1).expect("it is there");
        format!("lines.ir:{}:{}", line_of(part), line.len() - line.trim_start().len() + 1)
    });
    assert_eq!(places(&module), expected);
}

/// Two modules, one locator.
#[test]
fn locators_tell_modules_apart() {
    let locator = Locator::default();
    let place = |module: &Module| locator.place(module, FunctionIndex::new(0), osr_ir::Point::new(0));
    for name in ["first.wat", "second.wat"] {
        let module = wasm::import_text_file(name, LINES).expect("it is valid");
        let line = place(&module).and_then(|place| place.line).expect("it has lines");
        assert_eq!(line.file_name(), name);
    }
}

#[test]
fn what_made_a_module_does_not_tell_it_from_another() {
    let module = wasm::import_text("(module (func (export \"f\") (unreachable)))").expect("it is valid");
    let again = osr_ir::text::parse(&osr_ir::text::print(&module)).expect("it reads back");
    assert_eq!(module, again);
    assert!(module.origin.source_map(osr_ir::FunctionIndex::new(0)).is_some());
    assert_eq!(again.origin.source_map(osr_ir::FunctionIndex::new(0)), None);
}
