//! Properties of random modules: texts round-trip, nothing panics, and the analyses agree with oracles
//! that follow paths one position at a time.

mod support;

use std::collections::{BTreeSet, HashSet};
use std::fmt::Debug;

use osr_ir::inlining::CallTargets;
use osr_ir::verifier::{VerifyError, verify, verify_function};
use osr_ir::{
    Block, Body, Function, FunctionKind, InlineBudget, Liveness, Module, PointKind, Points, Position,
    Register, inlining, text,
};
use proptest::prelude::*;
use support::{Shape, module};

fn tape() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..600)
}

fn bodies(module: &Module) -> impl Iterator<Item = (usize, &Body)> {
    let signatures = &module.signatures;
    let functions = module.functions.iter();
    functions.filter_map(|f| Some((signatures[f.signature.index()].parameters.len(), f.body()?)))
}

/// The positions that follow `at`.
fn successors(body: &Body, at: Position) -> Vec<Position> {
    let block = body.block(at.block);
    if at.index < block.instructions.len() {
        return vec![Position { index: at.index + 1, ..at }];
    }
    let mut next = Vec::new();
    block.terminator.each_successor(|block| next.push(Position { block, index: 0 }));
    next
}

/// Whether some path from `start` reads `register` before it writes it.
fn is_live(body: &Body, start: Position, register: Register) -> bool {
    let mut seen = vec![start];
    let mut work = vec![start];
    while let Some(at) = work.pop() {
        let block = body.block(at.block);
        let (mut reads, mut writes) = (false, false);
        match block.instructions.get(at.index) {
            Some(instruction) => {
                instruction.each_use(|read| reads |= read == register);
                writes = instruction.definitions().contains(&register);
            }
            None => block.terminator.each_use(|read| reads |= read == register),
        }
        if reads {
            return true;
        }
        for next in successors(body, at) {
            if !writes && !seen.contains(&next) {
                seen.push(next);
                work.push(next);
            }
        }
    }
    false
}

/// Where execution resumes at a point.
fn resumption(kind: PointKind, position: Position) -> Position {
    match kind {
        PointKind::AfterCall => Position { index: position.index + 1, ..position },
        _ => position,
    }
}

fn check_liveness(body: &Body) -> Result<(), TestCaseError> {
    let points = Points::of(body);
    let liveness = Liveness::of(body, &points);
    let registers = || (0..body.registers.len()).map(Register::new);
    for (point, kind, position) in points.iter() {
        let start = resumption(kind, position);
        let expected: Vec<Register> = registers().filter(|r| is_live(body, start, *r)).collect();
        prop_assert_eq!(liveness.at(point), &expected[..], "{} at {}", point, position);
    }
    Ok(())
}

/// The blocks that lie on a cycle that avoids all loop headers: there must be none.
fn blocks_on_unobserved_cycles(body: &Body, points: &Points) -> Vec<Block> {
    let is_plain = |block: &Block| points.header(*block).is_none();
    let step = |from: Block| {
        let mut next = Vec::new();
        body.block(from).terminator.each_successor(|block| next.push(block));
        next.retain(is_plain);
        next
    };
    let mut reached = vec![Block::new(Body::ENTRY)];
    for i in 0.. {
        let Some(&block) = reached.get(i) else { break };
        body.block(block).terminator.each_successor(|next| {
            if !reached.contains(&next) {
                reached.push(next);
            }
        });
    }
    let returns = |block: &Block| {
        let mut work = step(*block);
        let mut seen = work.clone();
        while let Some(at) = work.pop() {
            for next in step(at) {
                if !seen.contains(&next) {
                    seen.push(next);
                    work.push(next);
                }
            }
        }
        seen.contains(block)
    };
    reached.into_iter().filter(is_plain).filter(returns).collect()
}

/// Replaces, removes or repeats a piece of `text` at characters.
fn mutate(text: &str, edits: &[(usize, usize, u8)]) -> String {
    const PIECES: [&str; 16] = [
        "",
        "{",
        "}",
        "(",
        "r0",
        "r99",
        "b0:",
        "\"",
        "\\",
        "-",
        "nan:",
        "99999999999",
        ";",
        ",",
        "=",
        "\u{e9}",
    ];
    let mut characters: Vec<char> = text.chars().collect();
    for &(at, length, choice) in edits {
        let start = at % (characters.len() + 1);
        let end = (start + length).min(characters.len());
        let removed: Vec<char> = characters[start..end].to_vec();
        let piece = match PIECES.get(usize::from(choice)) {
            Some(piece) => piece.chars().collect(),
            None => [removed.clone(), removed].concat(),
        };
        characters.splice(start..end, piece);
    }
    characters.into_iter().collect()
}

/// `count` tapes of a fixed pseudo-random sequence.
fn tapes(count: u64) -> impl Iterator<Item = Vec<u8>> {
    let mix = |x: u64| (x ^ x >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let byte = move |i: u64| (mix(mix(i.wrapping_mul(0x9e37_79b9_7f4a_7c15))) >> 40) as u8;
    (0..count).map(move |tape| (0..600).map(|i| byte(tape * 600 + i)).collect())
}

#[test]
fn the_generator_makes_everything() {
    let (mut instructions, mut terminators, mut errors) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut assigned = 0;
    for tape in tapes(3000) {
        let module = module(&tape, Shape::Valid);
        for block in bodies(&module).flat_map(|(_, body)| &body.blocks) {
            instructions.extend(block.instructions.iter().map(std::mem::discriminant));
            terminators.insert(std::mem::discriminant(&block.terminator));
        }
        assigned += usize::from(verify(&support::module(&tape, Shape::Unassigned)).is_ok());
        match verify(&support::module(&tape, Shape::Wild)) {
            Ok(()) => errors.insert("none".to_owned()),
            Err(VerifyError::Code { error, .. }) => errors.insert(variant(&error)),
            Err(error) => errors.insert(variant(&error)),
        };
    }
    assert_eq!((instructions.len(), terminators.len()), (29, 6), "kinds of instructions and terminators");
    assert!((100..2900).contains(&assigned), "{assigned} of 3000 assign before they read");
    assert!(errors.len() >= 14, "only {errors:?}");
}

/// The name of an enum's variant.
fn variant(error: &impl Debug) -> String {
    format!("{error:?}").split(['(', ' ']).next().unwrap_or_default().to_owned()
}

proptest! {
    #[test]
    fn valid_modules_round_trip(tape in tape()) {
        let module = module(&tape, Shape::Valid);
        prop_assert_eq!(verify(&module), Ok(()));
        let printed = text::print(&module);
        let parsed = text::parse(&printed).map_err(|error| TestCaseError::fail(format!("{error}\n{printed}")))?;
        prop_assert_eq!(&parsed, &module);
        prop_assert_eq!(text::print(&parsed), printed);
        prop_assert_eq!(text::parse(&text::print_with_points(&module)).unwrap(), module);
    }

    #[test]
    fn liveness_agrees_with_paths(tape in tape()) {
        for (_, body) in bodies(&module(&tape, Shape::Unassigned)) {
            check_liveness(body)?;
        }
    }

    #[test]
    fn assignment_agrees_with_paths(tape in tape()) {
        let module = module(&tape, Shape::Unassigned);
        let entry = Position { block: Block::new(Body::ENTRY), index: 0 };
        let all_assigned = bodies(&module).all(|(parameters, body)| {
            (parameters..body.registers.len()).all(|r| !is_live(body, entry, Register::new(r)))
        });
        let found = verify(&module);
        prop_assert_eq!(found.is_ok(), all_assigned, "{:?}", found);
    }

    #[test]
    fn every_cycle_has_a_loop_header(tape in tape()) {
        for (_, body) in bodies(&module(&tape, Shape::Valid)) {
            prop_assert_eq!(blocks_on_unobserved_cycles(body, &Points::of(body)), Vec::new());
        }
    }

    #[test]
    fn what_is_inlined_is_well_formed(
        tape in tape(),
        entries in any::<bool>(),
        (targets, has_others) in (0..=3_usize, any::<bool>()),
        speculates in any::<bool>(),
    ) {
        let module = module(&tape, Shape::Valid);
        let budget = InlineBudget { callee: 200, growth: 1_000, depth: 4, recursion: 1 };
        let functions = module.function_indices().take(targets).collect();
        let targets = CallTargets { functions, has_others };
        let targets = |_, _| Some(&targets);
        let points_of = if speculates { Points::speculative } else { Points::of };
        for function in module.function_indices() {
            let Some(body) = module.function(function).body() else { continue };
            let points = points_of(body);
            let liveness = Liveness::of(body, &points);
            let known = (&points, &liveness);
            let inlined = inlining::inline(&module, function, known, &budget, &targets, &BTreeSet::new(), entries);
            let Some(inlined) = inlined else { continue };
            prop_assert_eq!(inlining::check(&module, &inlined), Ok(()));
            let kind = FunctionKind::Defined(inlined.body.clone().into());
            let merged = Function { kind, ..module.function(function).clone() };
            prop_assert_eq!(verify_function(&module, &merged), Ok(()));
            for (point, kind, position) in inlined.points.iter() {
                let start = resumption(kind, position);
                let is_live = |register: &Register| is_live(&inlined.body, start, *register);
                let read = (0..inlined.body.registers.len()).map(Register::new).filter(is_live);
                let live = inlined.liveness.at(point);
                prop_assert!(read.into_iter().all(|register| live.contains(&register)), "{point}");
            }
        }
    }

    #[test]
    fn the_verifier_takes_any_module(tape in tape()) {
        let module = module(&tape, Shape::Wild);
        let printed = text::print(&module);
        match verify(&module) {
            Ok(()) => prop_assert_eq!(text::parse(&printed).unwrap(), module),
            Err(VerifyError::Code { .. }) => {
                // What the parser resolves may be what is wrong: then it says so.
                let _ = text::parse(&printed);
            }
            Err(_) => {}
        }
    }

    #[test]
    fn the_parser_takes_any_text(source in "\\PC*", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = text::parse(&source);
        let _ = text::parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn the_parser_takes_any_tokens(
        tokens in prop::collection::vec("function|\\{|\\}|\\(|\\)|r0|b0|:|,|=|i32|call|null|g0|[0-9]|\"a\"|\\[|\\]|->|return", 0..80),
    ) {
        let _ = text::parse(&tokens.join(" "));
    }

    #[test]
    fn the_parser_takes_mutated_texts(
        tape in tape(),
        edits in prop::collection::vec((any::<usize>(), 0usize..8, 0u8..24), 1..6),
    ) {
        let printed = text::print(&module(&tape, Shape::Valid));
        let mutated = mutate(&printed, &edits);
        match text::parse(&mutated) {
            Ok(module) => {
                if verify(&module).is_ok() {
                    prop_assert_eq!(text::parse(&text::print(&module)).unwrap(), module);
                }
            }
            Err(error) => {
                prop_assert!(error.line >= 1 && error.column >= 1);
                prop_assert!(error.span.offset() + error.span.len() <= mutated.len());
                let report = format!("{:?}", miette::Report::new(error));
                prop_assert!(!report.is_empty());
            }
        }
    }

    #[test]
    fn constants_keep_their_bits(random in any::<u64>(), is_special in any::<bool>()) {
        // Random bits are rarely infinite or NaN, in either half.
        let bits = if is_special { random | 0x7ff0_0000_7f80_0000 } else { random };
        let source = |ty: &str, value: String| format!("global g0: {ty} = {value}\n");
        for value in [osr_ir::Value::F64(bits), osr_ir::Value::F32(bits as u32), osr_ir::Value::I64(bits as i64)] {
            let initial = osr_ir::ConstantExpression::Value(value);
            let initial = osr_ir::GlobalInitial::Expression(initial);
            let global = osr_ir::Global { ty: value.ty(), reference: Default::default(), mutable: false, initial };
            let module = Module { globals: vec![global], ..Module::default() };
            let printed = text::print(&module);
            let literal = printed.trim_end().rsplit(' ').next().unwrap().to_owned();
            prop_assert_eq!(&printed, &source(value.ty().name(), literal));
            prop_assert_eq!(text::parse(&printed).unwrap(), module);
        }
    }
}
