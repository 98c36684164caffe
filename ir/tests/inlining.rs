//! Inlining: what merged bodies look like, what their points mean, and what a budget allows.

use std::collections::BTreeSet;

use osr_ir::inlining::{InlineBudget, Inlined, check, inline};
use osr_ir::verifier::{verify, verify_function};
use osr_ir::{
    Body, Function, FunctionIndex, FunctionKind, Instruction, Liveness, MemoryIndex, Module, Point,
    PointKind, Points, Position, Register, Terminator, text, wasm,
};

const LARGE: InlineBudget = InlineBudget { callee: 1_000, growth: 5_000, depth: 6, recursion: 2 };

fn parse(source: &str) -> Module {
    let module = text::parse(source).unwrap_or_else(|error| panic!("{error}\n{source}"));
    verify(&module).unwrap_or_else(|error| panic!("{error}\n{source}"));
    module
}

/// What is inlined into `function`; what is must be well formed.
fn inlined(module: &Module, function: usize, budget: &InlineBudget, entries: bool) -> Option<Inlined> {
    let function = FunctionIndex::new(function);
    let body = module.function(function).body()?;
    let points = Points::of(body);
    let liveness = Liveness::of(body, &points);
    let inlined =
        inline(module, function, (&points, &liveness), budget, &|_, _| None, &BTreeSet::new(), entries)?;
    assert_eq!(check(module, &inlined), Ok(()));
    let kind = FunctionKind::Defined(inlined.body.clone().into());
    let merged = Function { kind, ..module.function(function).clone() };
    verify_function(module, &merged).unwrap_or_else(|error| panic!("{error}\n{:#?}", inlined.body));
    Some(inlined)
}

/// Each point of a merged body: its position, the chain of virtual frames there, and the live registers.
fn describe(inlined: &Inlined) -> Vec<String> {
    let Inlined { points, liveness, tree, .. } = inlined;
    let frame = |(frame, point)| format!("{}:{point}", tree.frame(frame).function);
    let chain = |point| tree.chain(point).map(frame).collect::<Vec<_>>().join(" < ");
    let line = |(point, kind, position)| {
        format!("{kind:?} {position} {} {:?} {}", chain(point), liveness.at(point), tree.words(point))
    };
    points.iter().map(line).collect()
}

const TWO_DEEP: &str = "
    memory 1
    function f (r0: i32, r1: i32) -> (i32) {
      r2: i32
      b0: r2 = call g (r1) r2 = i32.add r2, r0 return r2 }
    function g (r0: i32) -> (i32) {
      r1: i32
      b0: r1 = copy r0 jump b1
      b1: r1 = call h (r1) branch r1, b1, b2
      b2: r1 = i32.load r0 return r1 }
    function h (r0: i32) -> (i32) {
      r1: i32
      b0: r1 = i32.const 1 r0 = i32.div_u r0, r1 r1 = memory.grow r0 return r0 }";

#[test]
fn a_point_of_a_merged_body_is_one_of_each_activation() {
    let module = parse(TWO_DEEP);
    let inlined = inlined(&module, 0, &LARGE, false).expect("both calls are inlined");
    assert_eq!(inlined.body.registers.len(), 3 + 2 + 2);
    // f's registers are r0 to r2, g's r3 and r4, h's r5 and r6. What a call returns is not live while it lasts.
    assert_eq!(
        describe(&inlined),
        [
            "Entry b0:0 f0:p0 [r0, r1] 3",
            "LoopHeader b3:0 f1:p1 < f0:p1 [r0, r3, r4] 5",
            "Trap b5:0 f1:p3 < f0:p1 [r0, r3] 5",
            "Trap b6:1 f2:p1 < f1:p2 < f0:p1 [r0, r3, r5, r6] 7",
            "AfterCall b6:2 f2:p2 < f1:p2 < f0:p1 [r0, r3, r5] 7",
        ]
    );
    let words: Vec<usize> = (0..7).map(|register| inlined.tree.word(Register::new(register))).collect();
    assert_eq!(words, [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn entries_of_inlined_bodies_are_points_if_they_are_to_be() {
    let module = parse(TWO_DEEP);
    let inlined = inlined(&module, 0, &LARGE, true).expect("both calls are inlined");
    let lines = describe(&inlined);
    assert_eq!(lines.iter().filter(|line| line.starts_with("Entry")).count(), 3, "{lines:#?}");
    assert!(lines.contains(&"Entry b6:0 f2:p0 < f1:p2 < f0:p1 [r0, r3, r5] 7".to_owned()), "{lines:#?}");
}

#[test]
fn an_activation_of_the_function_alone_resumes_where_it_was() {
    let module = parse(
        "function f (r0: i32) -> (i32) {
           b0: r0 = call g (r0) r0 = memory.grow r0 r0 = call g (r0) jump b1
           b1: r0 = call g (r0) branch r0, b1, b2
           b2: return r0 }
         function g (r0: i32) -> (i32) { b0: r0 = i32.add r0, r0 return r0 }
         memory 1",
    );
    let inlined = inlined(&module, 0, &LARGE, false).expect("all calls are inlined");
    let points = Points::of(module.functions[0].body().expect("it is defined"));
    let next = |(point, _, _): (Point, PointKind, Position)| {
        let (block, index) = inlined.resume(point);
        inlined.body.block(block).instructions.get(index).cloned()
    };
    let resumes: Vec<Option<Instruction>> = points.iter().map(next).collect();
    let grow = Instruction::MemoryGrow {
        memory: MemoryIndex::FIRST,
        dst: Register::new(0),
        delta: Register::new(0),
    };
    let passed = |to: u32| Instruction::Copy { dst: Register::new(to as usize), src: Register::new(0) };
    let passes = |next: &Option<Instruction>| {
        inlined.tree.frames()[1..].iter().any(|frame| *next == Some(passed(frame.first)))
    };
    assert_eq!(resumes.len(), 6, "the entry, the loop header, behind four calls");
    assert!(passes(&resumes[0]), "the argument of the first call: {resumes:?}");
    assert_eq!(resumes[1], Some(grow));
    assert!(passes(&resumes[2]), "the argument of the second call: {resumes:?}");
    assert_eq!(resumes[3], None, "the jump behind the second call");
    assert!(passes(&resumes[4]), "the argument of the call in the loop: {resumes:?}");
    assert_eq!(resumes[5], None, "the branch behind that");
}

#[test]
fn several_results_and_no_results() {
    let module = parse(
        "function f (r0: i32, r1: i64) -> (i64, i32) {
           b0: call nothing () r0, r1 = call swap (r1, r0) return r1, r0 }
         function swap (r0: i64, r1: i32) -> (i32, i64) { b0: return r1, r0 }
         function nothing () { b0: return }",
    );
    let inlined = inlined(&module, 0, &LARGE, false).expect("both calls are inlined");
    assert_eq!(inlined.tree.frames().len(), 3);
    assert!(!inlined.body.blocks.iter().any(|block| block.instructions.iter().any(Instruction::is_call)));
}

#[test]
fn recursion_is_inlined_as_often_as_the_budget_says() {
    let module = parse(
        "function f (r0: i32) -> (i32) {
           r1: i32
           b0: branch r0, b1, b2
           b1: r1 = i32.const 1 r0 = i32.sub r0, r1 r0 = call f (r0) return r0
           b2: return r0 }",
    );
    for (recursion, depth, expected) in [(0, 9, 1), (1, 9, 2), (3, 9, 4), (3, 2, 3), (9, 0, 1)] {
        let budget = InlineBudget { recursion, depth, ..LARGE };
        let frames = inlined(&module, 0, &budget, false).map_or(1, |inlined| inlined.tree.frames().len());
        assert_eq!(frames, expected, "recursion {recursion}, depth {depth}");
    }
}

#[test]
fn what_is_executed_often_for_its_size_is_inlined_first() {
    let module = parse(
        "function f (r0: i32) -> (i32) {
           b0: r0 = call small (r0) jump b1
           b1: r0 = call large (r0) branch r0, b1, b2
           b2: return r0 }
         function small (r0: i32) -> (i32) { b0: r0 = i32.add r0, r0 return r0 }
         function large (r0: i32) -> (i32) {
           b0: r0 = i32.add r0, r0 r0 = i32.add r0, r0 r0 = i32.add r0, r0 return r0 }",
    );
    let functions = |budget: InlineBudget| -> Vec<usize> {
        let inlined = inlined(&module, 0, &budget, false);
        let frames = inlined.iter().flat_map(|inlined| &inlined.tree.frames()[1..]);
        frames.map(|frame| frame.function.index()).collect()
    };
    assert_eq!(functions(LARGE), [2, 1], "the loop's call comes first");
    assert_eq!(functions(InlineBudget { growth: 5, ..LARGE }), [2]);
    assert_eq!(functions(InlineBudget { growth: 3, ..LARGE }), [1]);
    assert_eq!(functions(InlineBudget { callee: 3, ..LARGE }), [1]);
    assert_eq!(functions(InlineBudget { callee: 1, ..LARGE }), []);
}

#[test]
fn a_callee_that_cannot_return_is_not_inlined() {
    let module = parse(
        "function f () { b0: call forever () call fails () return }
         function forever () { b0: jump b1 b1: jump b1 b2: return }
         function fails () { b0: unreachable }",
    );
    assert!(inlined(&module, 0, &LARGE, false).is_none());
}

#[test]
fn what_is_not_of_the_bodies_is_found() {
    let module = parse(TWO_DEEP);
    let sound = inlined(&module, 0, &LARGE, false).expect("both calls are inlined");
    let changes: [&dyn Fn(&mut Body); 5] = [
        &|body| drop(body.blocks[0].instructions.pop()),
        &|body| {
            body.blocks[0]
                .instructions
                .insert(0, Instruction::MemorySize { memory: MemoryIndex::FIRST, dst: Register::new(2) })
        },
        &|body| body.blocks[0].terminator = Terminator::Unreachable,
        &|body| body.blocks[5].instructions.truncate(1),
        &|body| body.blocks[6].instructions.swap(0, 1),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut wrong = sound.clone();
        change(&mut wrong.body);
        assert!(check(&module, &wrong).is_err(), "change {number} is not found");
    }
}

#[test]
fn the_functions_of_programs() {
    let mut frames = 0;
    for folder in ["wasm", "wasm-ssa"] {
        let folder = format!("{}/../tests/programs/{folder}", env!("CARGO_MANIFEST_DIR"));
        for file in std::fs::read_dir(folder).expect("the folder is there") {
            let bytes = std::fs::read(file.expect("it can be listed").path()).expect("it can be read");
            let Ok(module) = wasm::import(&bytes) else { continue };
            for function in 0..module.functions.len() {
                let inlined = inlined(&module, function, &LARGE, function % 2 == 0);
                frames += inlined.map_or(0, |inlined| inlined.tree.frames().len());
            }
        }
    }
    assert!(frames > 1_000, "{frames} virtual frames");
}
