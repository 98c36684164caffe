//! The verifier refuses one module for each reason it knows.

use osr_ir::verifier::{VerifyError, verify};
use osr_ir::{
    Block, FunctionIndex, FunctionKind, Instruction, Module, Register, SegmentMode, Signature, Terminator,
    Type, text,
};

fn parse(source: &str) -> Module {
    text::parse(source).unwrap_or_else(|error| panic!("{error}\n{source}"))
}

#[track_caller]
fn refuse(module: &Module, message: &str) -> VerifyError {
    let error = verify(module).expect_err("the module is wrong");
    assert_eq!(error.to_string(), message);
    error
}

#[track_caller]
fn check(source: &str, message: &str) -> VerifyError {
    refuse(&parse(source), message)
}

/// Checks that `code`, the blocks of a function, is refused. There is a bit of everything to refer to.
#[track_caller]
fn check_code(code: &str, message: &str) {
    let source = format!(
        "memory 1 global g0: i32 = 0 global g1: mut i64 = 0 table t0: 1
         import pair () -> (i32, i32) = \"\" \"\"
         function f (r0: i32, r1: i64) -> (i32) {{
           r2: i32, r3: i64, r4: f64, r5: funcref
           {code} }}"
    );
    check(&source, &format!("function `f`, {message}"));
}

/// A module with one function `f (r0: i32)`, after `change` has had its way.
fn changed(change: impl FnOnce(&mut Module)) -> Module {
    let mut module = parse("function f (r0: i32) { b0: r0 = copy r0 return }");
    change(&mut module);
    module
}

fn change_instruction(instruction: Instruction) -> Module {
    changed(|module| {
        let FunctionKind::Defined(body) = &mut module.functions[0].kind else { unreachable!() };
        body.blocks[0].instructions = vec![instruction];
    })
}

#[test]
fn functions_and_signatures() {
    let nothing = |m: &mut Module| m.signatures.push(m.signatures[0].clone());
    refuse(&changed(nothing), "signatures s0 and s1 are equal");
    refuse(&changed(|m| m.functions[0].name.clear()), "function f0 has no name");
    let twice = changed(|m| m.functions.push(m.functions[0].clone()));
    refuse(&twice, "functions f0 and f1 are both named `f`");
    refuse(&changed(|m| m.signatures.clear()), "function f0: there is no signature s0");
    let mut second = changed(|_| ());
    second.signatures.insert(0, Signature::new(vec![Type::I64], vec![]));
    refuse(&second, "function `f`: r0 is a parameter of type i64, but is declared as i32");
    second.signatures[0].parameters = vec![Type::I32, Type::I32];
    refuse(&second, "function `f`: r1 is a parameter of type i32, but is not declared");
    check("function f () { }", "function `f`: there is no entry block");
    check("signature s0 (funcref to s0)", "signature s0 mentions s0, which does not come before it");
    check(
        "signature s0 () signature s1 () -> (funcref to s2) signature s2 (i32)",
        "signature s1 mentions s2, which does not come before it",
    );
    check("signature s0 (i32 nonnull)", "signature s0 is of type i32, and cannot refer to anything");
    let of_nothing = (3, osr_ir::ReferenceType { is_non_null: true, ..Default::default() });
    let stray = changed(|m| m.signatures[0].references.extend([of_nothing]));
    refuse(&stray, "signature s0 is of type i32, and cannot refer to anything");
}

#[test]
fn memory_and_tables() {
    check("memory 2 1", "memory m0: the minimum 2 is above the maximum 1");
    check("memory 65537", "memory m0: 65537 pages are more than 65536");
    check("memory 0 65537", "memory m0: 65537 pages are more than 65536");
    check("memory 1 memory m1: 3 2", "memory m1: the minimum 3 is above the maximum 2");
    check("table t0: 0 table t1: 5 4", "table t1: the minimum 5 is above the maximum 4");
    assert_eq!(verify(&parse("memory 65536 65536 table t0: 4294967295")), Ok(()));
}

#[test]
fn initializers() {
    check("global g0: i32 = null", "global g0: the initializer has type funcref, not i32");
    let mutable = "global g0: mut i32 = 0 global g1: i32 = g0";
    check(mutable, "global g1: the initializer reads g0, which is mutable");
    check("global g0: i32 = (1 i32.add)", "global g0: the initializer's operations do not leave one value");
    check("global g0: i32 = (1 2)", "global g0: the initializer's operations do not leave one value");
    check("global g0: i32 = ()", "global g0: the initializer's operations do not leave one value");
    check("global g0: i32 = (1 2 i64.add)", "global g0: the initializer has type i32, not i64");
    check(
        "global g0: i64 = 1 global g1: i32 = (g0 g0 i64.mul)",
        "global g1: the initializer has type i64, not i32",
    );
    check("global g0: i32 = g0", "global g0: the initializer reads g0, which is not an earlier global");
    let later = "global g0: i32 = g1 global g1: i32 = 0";
    check(later, "global g0: the initializer reads g1, which is not an earlier global");
    let wide = "global g0: i64 = 0 memory 1 data d0 at g0 \"\"";
    check(wide, "data segment d0: the initializer has type i64, not i32");
    let item = "global g0: i32 = 0 element e0 passive [null, g0]";
    check(item, "element segment e0: the initializer has type i32, not funcref");
    let offset = "table t0: 1 element e0 t0 at f [] import f () = \"\" \"\"";
    check(offset, "element segment e0: the initializer has type funcref, not i32");
}

#[test]
fn segments() {
    check("data d0 at 0 \"\"", "data segment d0: there is no memory m0");
    let mut module = parse("table t0: 0 element e0 t0 at 0 [] data d0 passive \"\"");
    module.data[0].mode = SegmentMode::Declared;
    refuse(&module, "data segment d0: only element segments can be declared");
    module.data.clear();
    module.tables.clear();
    refuse(&module, "element segment e0: there is no table t0");
}

#[test]
fn exports_and_start() {
    check("memory 0 export \"a\" memory export \"a\" memory", "there are two exports \"a\"");
    check("export \"a\" memory", "export \"a\": there is no memory m0");
    let mut module = parse(
        "global g0: i32 = 0 table t0: 0 import f () = \"\" \"\"
         export \"f\" function f export \"t\" table t0 export \"g\" global g0 start f",
    );
    assert_eq!(verify(&module), Ok(()));
    module.globals.clear();
    refuse(&module, "export \"g\": there is no global g0");
    module.tables.clear();
    refuse(&module, "export \"t\": there is no table t0");
    module.functions.clear();
    refuse(&module, "export \"f\": there is no function f0");
    module.exports.clear();
    refuse(&module, "start: there is no function f0");
    check("import f (i32) = \"\" \"\" start f", "start: `f` has parameters or results");
}

#[test]
fn types() {
    check_code("b0: r2 = i32.const 1 r4 = copy r2 return r2", "b0:1: r2 has type i32, not f64");
    check_code("b0: r2 = f64.const 1 return r0", "b0:0: r2 has type i32, not f64");
    check_code("b0: r2 = i32.add r0, r1 return r0", "b0:0: r1 has type i64, not i32");
    check_code("b0: r3 = i32.eqz r0 return r0", "b0:0: r3 has type i64, not i32");
    check_code("b0: r3 = select r0, r1, r0 return r0", "b0:0: r0 has type i32, not i64");
    check_code("b0: r2 = i32.load r1 return r0", "b0:0: r1 has type i64, not i32");
    check_code("b0: i64.store r0, r0 return r0", "b0:0: r0 has type i32, not i64");
    check_code("b0: r3 = global.get g0 return r0", "b0:0: r3 has type i64, not i32");
    check_code("b0: r3 = memory.grow r0 return r0", "b0:0: r3 has type i64, not i32");
    check_code("b0: memory.fill r0, r1, r0 return r0", "b0:0: r1 has type i64, not i32");
    check_code("b0: r2 = table.get t0, r0 return r0", "b0:0: r2 has type i32, not funcref");
    check_code("b0: table.set t0, r0, r0 return r0", "b0:0: r0 has type i32, not funcref");
    check_code("b0: r2 = ref.func f return r0", "b0:0: r2 has type i32, not funcref");
    check_code("b0: r3 = call f (r0, r1) return r0", "b0:0: r3 has type i64, not i32");
    check_code("b0: r2 = call_indirect t0 () -> (i32) [r1] () return r0", "b0:0: r1 has type i64, not i32");
    check_code("b0: branch r1, b1, b1 b1: return r0", "b0:0: r1 has type i64, not i32");
    check_code("b0: guard r1, b1 else b1 b1: return r0", "b0:0: r1 has type i64, not i32");
    check_code("b0: switch r1, [], b1 b1: return r0", "b0:0: r1 has type i64, not i32");
    check_code("b0: return r1", "b0:0: r1 has type i64, not i32");
}

#[test]
fn lists() {
    check_code("b0: r2 = call f (r0) return r0", "b0:0: 1 arguments, not 2");
    check_code("b0: call f (r0, r1) return r0", "b0:0: 0 results, not 1");
    check_code("b0: r2, r2 = call pair () return r0", "b0:0: r2 is assigned twice");
    check_code("b0: return", "b0:0: 0 returned values, not 1");
}

#[test]
fn globals_memory_and_blocks() {
    check_code("b0: global.set g0, r0 return r0", "b0:0: g0 is not mutable");
    check_code("b0: jump b1 b1: branch r0, b1, b0", "b1:0: the entry block cannot be a target");
    // Also where the jump is never reached.
    check_code("b0: return r0 b1: jump b0", "b1:0: the entry block cannot be a target");
    check(
        "function f () { r0: i32 b0: r0 = memory.size return }",
        "function `f`, b0:0: there is no memory m0",
    );
    check(
        "function f (r0: i32) { b0: r0 = i32.load r0 return }",
        "function `f`, b0:0: there is no memory m0",
    );
    assert_eq!(verify(&parse("data d0 passive \"\" function f () { b0: data.drop d0 return }")), Ok(()));
}

#[test]
fn indices_in_code() {
    let r0 = Register::new(0);
    let no = |module: &Module, what: &str| {
        refuse(module, &format!("function `f`, b0:0: there is no {what}"));
    };
    no(&change_instruction(Instruction::Copy { dst: r0, src: Register::new(1) }), "register r1");
    no(&change_instruction(Instruction::Copy { dst: Register::new(9), src: r0 }), "register r9");
    let function = FunctionIndex::new(1);
    no(&change_instruction(Instruction::RefFunc { dst: r0, function }), "function f1");
    let call = Instruction::Call { function, arguments: vec![], results: vec![] };
    no(&change_instruction(call), "function f1");
    no(&change_instruction(parse_instruction("r0 = global.get g0")), "global g0");
    no(&change_instruction(parse_instruction("r0 = table.size t0")), "table t0");
    no(&change_instruction(parse_instruction("data.drop d0")), "data segment d0");
    no(&change_instruction(parse_instruction("elem.drop e0")), "element segment e0");
    let mut module = change_instruction(parse_instruction("call_indirect t0 (i64) [r0] ()"));
    module.tables = parse("table t0: 1").tables;
    no(&module, "signature s1");
    let block = changed(|module| {
        let FunctionKind::Defined(body) = &mut module.functions[0].kind else { unreachable!() };
        body.blocks[0].terminator = Terminator::Jump { target: Block::new(1) };
    });
    refuse(&block, "function `f`, b0:1: there is no block b1");
}

/// An instruction that refers to the first of its kind.
fn parse_instruction(code: &str) -> Instruction {
    let module = parse(&format!(
        "global g0: i32 = 0 table t0: 1 data d0 passive \"\" element e0 passive []
         function f (r0: i32) {{ b0: {code} return }}"
    ));
    module.functions[0].body().unwrap().blocks[0].instructions[0].clone()
}

#[test]
fn assignment() {
    check_code("b0: return r2", "b0:0: r2 may be read before it is assigned");
    check_code("b0: r2 = i32.add r2, r0 return r2", "b0:0: r2 may be read before it is assigned");
    // Assigned on one of two paths.
    let diamond = "b0: branch r0, b1, b2 b1: r2 = copy r0 jump b3 b2: jump b3 b3: r3 = copy r1 return r2";
    check_code(diamond, "b3:1: r2 may be read before it is assigned");
    // Assigned in the loop, read at its head.
    let cycle = "b0: jump b1 b1: r0 = i32.eqz r2 r2 = copy r0 branch r0, b1, b2 b2: return r2";
    check_code(cycle, "b1:0: r2 may be read before it is assigned");
    let fine = [
        "b0: branch r0, b1, b2 b1: r1 = copy r0 jump b3 b2: r1 = copy r0 jump b3 b3: return r1",
        "b0: jump b1 b1: r1 = copy r0 branch r1, b1, b2 b2: return r1",
        // Never reached: never read.
        "b0: return r0 b1: return r1 b2: jump b1",
    ];
    for code in fine {
        let module = parse(&format!("function f (r0: i32) -> (i32) {{ r1: i32 {code} }}"));
        assert_eq!(verify(&module), Ok(()), "{code}");
    }
}
