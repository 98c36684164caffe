//! What the code looks like: no copies that nothing needs, no blocks that only jump, and the copies
//! that are needed.

use osr_ir::{Body, Instruction, Module, Register, Terminator};

use crate::{body, import};

fn copies(body: &Body) -> usize {
    let instructions = body.blocks.iter().flat_map(|block| &block.instructions);
    instructions.filter(|instruction| matches!(instruction, Instruction::Copy { .. })).count()
}

/// The blocks of the first function, as the textual form has them.
fn blocks(module: &Module) -> String {
    let text = module.to_string();
    let from = text.find("b0:").expect("an entry block");
    text[from..].split("\n}").next().expect("a body").trim_end().to_owned()
}

#[test]
fn a_counting_loop_has_no_copies() {
    let module = import(
        "(module (func (param i32) (result i32) (local i32)
            loop
                (local.set 1 (i32.add (local.get 1) (local.get 0)))
                (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))
            end
            local.get 1))",
    );
    let expected = "\
b0:
  r1 = i32.const 0
  jump b1
b1:
  r1 = i32.add r1, r0
  r2 = i32.const 1
  r0 = i32.sub r0, r2
  branch r0, b1, b2
b2:
  return r1";
    assert_eq!(blocks(&module), expected);
}

#[test]
fn a_swap_of_locals_saves_one() {
    let body = body(
        "(module (func (param i32 i32) (result i32 i32)
            local.get 0 local.get 1 local.set 0 local.set 1 local.get 0 local.get 1))",
    );
    assert_eq!(copies(&body), 3);
}

#[test]
fn an_old_value_is_saved_before_the_instruction_that_replaces_it() {
    let module = import(
        "(module (func (param i32) (result i32)
            local.get 0
            (local.set 0 (i32.add (local.get 0) (i32.const 1)))
            local.get 0
            i32.mul))",
    );
    let expected = "\
b0:
  r3 = i32.const 1
  r1 = copy r0
  r0 = i32.add r0, r3
  r1 = i32.mul r1, r0
  return r1";
    assert_eq!(normalized(&blocks(&module)), normalized(expected));
}

/// Register numbers in the order of their first mention: how temporaries are numbered is no promise.
fn normalized(text: &str) -> String {
    let mut known: Vec<String> = Vec::new();
    let words = text.split_inclusive([' ', ',', '\n']).map(|word| {
        let name = word.trim_end_matches([' ', ',', '\n']);
        if !name.starts_with('r') || name[1..].parse::<u32>().is_err() {
            return word.to_owned();
        }
        let number = known.iter().position(|found| found == name).unwrap_or_else(|| {
            known.push(name.to_owned());
            known.len() - 1
        });
        word.replacen(name, &format!("r{number}"), 1)
    });
    words.collect()
}

#[test]
fn entries_below_a_construct_are_saved_only_if_it_assigns_them() {
    let source = |inner: &str| {
        format!(
            "(module (func (param i32 i32) (result i32)
                local.get 0 (if (local.get 1) (then {inner})) local.get 0 i32.add))"
        )
    };
    assert_eq!(copies(&body(&source("(local.set 1 (i32.const 3))"))), 0);
    assert_eq!(copies(&body(&source("(local.set 0 (i32.const 3))"))), 1);
}

#[test]
fn negated_conditions_swap_the_targets() {
    let body = body(
        "(module (func (param i32) (result i32)
            (if (i32.eqz (local.get 0)) (then (return (i32.const 1)))) (i32.const 2)))",
    );
    assert!(body.blocks[0].instructions.is_empty(), "{body:?}");
    let zero = Register::new(0);
    assert!(matches!(body.blocks[0].terminator, Terminator::Branch { condition, .. } if condition == zero));
}

#[test]
fn a_loop_that_is_never_repeated_is_no_block() {
    let body = body("(module (func (param i32) (result i32) loop (result i32) local.get 0 end))");
    assert_eq!(body.blocks.len(), 1);
    assert_eq!(body.instruction_count(), 1);
}

#[test]
fn no_block_only_jumps_and_the_entry_has_no_predecessor() {
    let body = body(
        "(module (func (param i32)
            loop
                block block block
                    local.get 0 br_table 0 1 2 3
                end br 2 end br 1 end
                (local.set 0 (i32.const 5))
                br 0
            end))",
    );
    for block in &body.blocks[1..] {
        let only_jumps = block.instructions.is_empty() && matches!(block.terminator, Terminator::Jump { .. });
        assert!(!only_jumps, "{body:?}");
    }
    for block in &body.blocks {
        block.terminator.each_successor(|target| assert_ne!(target.index(), Body::ENTRY));
    }
}

#[test]
fn names_come_from_the_section_the_export_the_import_or_the_index() {
    let module = import(
        r#"(module
            (import "env" "log" (func)) (import "env" "log" (func))
            (func $named) (func (export "exported")) (func) (func $log) (func $f4))"#,
    );
    let names: Vec<_> = module.functions.iter().map(|function| function.name.as_str()).collect();
    assert_eq!(names, ["log", "log.2", "named", "exported", "f4", "log.3", "f4.2"]);
}
