//! Every numeric operation on its edge cases, from registers and with constants folded in.

use std::collections::HashSet;

use osr_ir::module::FunctionKind;
use osr_ir::{
    BasicBlock, BinaryOp, Block, Body, Function, FunctionIndex, Instruction, Module, Register, Signature,
    Terminator, TrapKind, Type, UnaryOp, Value,
};

use super::reference::constant;
use super::{call, thread};

const DIVIDE: Result<u64, TrapKind> = Err(TrapKind::IntegerDivideByZero);
const OVERFLOW: Result<u64, TrapKind> = Err(TrapKind::IntegerOverflow);
const INVALID: Result<u64, TrapKind> = Err(TrapKind::InvalidConversionToInteger);

fn s(value: f32) -> u64 {
    value.to_bits().into()
}

fn d(value: f64) -> u64 {
    value.to_bits()
}

fn i(value: i32) -> u64 {
    (value as u32).into()
}

fn l(value: i64) -> u64 {
    value as u64
}

/// A signalling NaN, and what it is when quiet.
const S_NAN: u64 = 0x7fa0_0000;
const S_QUIET: u64 = 0x7fe0_0000;
const D_NAN: u64 = 0x7ff4_0000_0000_0000;
const D_QUIET: u64 = 0x7ffc_0000_0000_0000;

/// `op`, its operands, and the result.
type Row = (&'static str, &'static [u64], Result<u64, TrapKind>);

fn integer_rows() -> Vec<(&'static str, Vec<u64>, Result<u64, TrapKind>)> {
    let min = i(i32::MIN);
    let long_min = l(i64::MIN);
    vec![
        ("i32.clz", vec![0], Ok(32)),
        ("i32.clz", vec![1], Ok(31)),
        ("i32.ctz", vec![0], Ok(32)),
        ("i32.ctz", vec![min], Ok(31)),
        ("i32.popcnt", vec![i(-1)], Ok(32)),
        ("i32.eqz", vec![0], Ok(1)),
        ("i32.eqz", vec![min], Ok(0)),
        ("i32.extend8_s", vec![0x180], Ok(i(-128))),
        ("i32.extend16_s", vec![0x1_8000], Ok(i(-32768))),
        ("i64.clz", vec![0], Ok(64)),
        ("i64.clz", vec![1 << 32], Ok(31)),
        ("i64.ctz", vec![0], Ok(64)),
        ("i64.ctz", vec![1 << 40], Ok(40)),
        ("i64.popcnt", vec![u64::MAX], Ok(64)),
        ("i64.eqz", vec![0], Ok(1)),
        ("i64.eqz", vec![1 << 32], Ok(0)),
        ("i64.extend8_s", vec![0x80], Ok(l(-128))),
        ("i64.extend16_s", vec![0x8000], Ok(l(-32768))),
        ("i64.extend32_s", vec![0x8000_0000], Ok(l(i32::MIN.into()))),
        ("i32.wrap_i64", vec![0xffff_ffff_0000_0001], Ok(1)),
        ("i64.extend_i32_s", vec![i(-1)], Ok(l(-1))),
        ("i64.extend_i32_u", vec![i(-1)], Ok(0xffff_ffff)),
        ("i32.add", vec![i(-1), 1], Ok(0)),
        ("i32.sub", vec![0, 1], Ok(i(-1))),
        ("i32.mul", vec![0x10000, 0x10000], Ok(0)),
        ("i32.div_s", vec![i(-7), 2], Ok(i(-3))),
        ("i32.div_s", vec![1, 0], DIVIDE),
        ("i32.div_s", vec![min, i(-1)], OVERFLOW),
        ("i32.div_u", vec![i(-7), 2], Ok(0x7fff_fffc)),
        ("i32.div_u", vec![1, 0], DIVIDE),
        ("i32.rem_s", vec![i(-7), 2], Ok(i(-1))),
        ("i32.rem_s", vec![min, i(-1)], Ok(0)),
        ("i32.rem_s", vec![1, 0], DIVIDE),
        ("i32.rem_u", vec![i(-7), 2], Ok(1)),
        ("i32.rem_u", vec![1, 0], DIVIDE),
        ("i32.and", vec![12, 10], Ok(8)),
        ("i32.or", vec![12, 10], Ok(14)),
        ("i32.xor", vec![12, 10], Ok(6)),
        ("i32.shl", vec![1, 33], Ok(2)),
        ("i32.shr_s", vec![min, 31], Ok(i(-1))),
        ("i32.shr_s", vec![i(-8), 33], Ok(i(-4))),
        ("i32.shr_u", vec![min, 31], Ok(1)),
        ("i32.rotl", vec![0x8000_0001, 1], Ok(3)),
        ("i32.rotl", vec![1, 32], Ok(1)),
        ("i32.rotr", vec![1, 33], Ok(min)),
        ("i32.eq", vec![1, 1], Ok(1)),
        ("i32.ne", vec![1, 1], Ok(0)),
        ("i32.lt_s", vec![i(-1), 1], Ok(1)),
        ("i32.lt_u", vec![i(-1), 1], Ok(0)),
        ("i32.gt_s", vec![i(-1), 1], Ok(0)),
        ("i32.gt_u", vec![i(-1), 1], Ok(1)),
        ("i32.le_s", vec![1, 1], Ok(1)),
        ("i32.le_u", vec![i(-1), 1], Ok(0)),
        ("i32.ge_s", vec![i(-1), 1], Ok(0)),
        ("i32.ge_u", vec![1, 1], Ok(1)),
        ("i64.add", vec![u64::MAX, 1], Ok(0)),
        ("i64.sub", vec![0, 1], Ok(u64::MAX)),
        ("i64.mul", vec![1 << 32, 1 << 32], Ok(0)),
        ("i64.div_s", vec![l(-7), 2], Ok(l(-3))),
        ("i64.div_s", vec![1, 0], DIVIDE),
        ("i64.div_s", vec![long_min, l(-1)], OVERFLOW),
        ("i64.div_u", vec![l(-1), 2], Ok(l(i64::MAX))),
        ("i64.div_u", vec![1, 0], DIVIDE),
        ("i64.rem_s", vec![long_min, l(-1)], Ok(0)),
        ("i64.rem_s", vec![l(-7), 2], Ok(l(-1))),
        ("i64.rem_s", vec![1, 0], DIVIDE),
        ("i64.rem_u", vec![l(-1), 10], Ok(5)),
        ("i64.rem_u", vec![1, 0], DIVIDE),
        ("i64.and", vec![12, 10], Ok(8)),
        ("i64.or", vec![12, 10], Ok(14)),
        ("i64.xor", vec![12, 10], Ok(6)),
        ("i64.shl", vec![1, 65], Ok(2)),
        ("i64.shl", vec![1, 1 << 32], Ok(1)),
        ("i64.shr_s", vec![long_min, 63], Ok(u64::MAX)),
        ("i64.shr_u", vec![long_min, 63], Ok(1)),
        ("i64.rotl", vec![long_min | 1, 1], Ok(3)),
        ("i64.rotr", vec![1, 65], Ok(long_min)),
        ("i64.eq", vec![1 << 32, 0], Ok(0)),
        ("i64.ne", vec![1 << 32, 0], Ok(1)),
        ("i64.lt_s", vec![long_min, 0], Ok(1)),
        ("i64.lt_u", vec![long_min, 0], Ok(0)),
        ("i64.gt_s", vec![long_min, 0], Ok(0)),
        ("i64.gt_u", vec![long_min, 0], Ok(1)),
        ("i64.le_s", vec![1, 1], Ok(1)),
        ("i64.le_u", vec![2, 1], Ok(0)),
        ("i64.ge_s", vec![1, 1], Ok(1)),
        ("i64.ge_u", vec![long_min, 1], Ok(1)),
        ("ref.is_null", vec![0], Ok(1)),
        ("ref.is_null", vec![1 << 32], Ok(0)),
        ("extern.is_null", vec![0], Ok(1)),
        ("extern.is_null", vec![7], Ok(0)),
        ("exn.is_null", vec![0], Ok(1)),
        ("exn.is_null", vec![7], Ok(0)),
    ]
}

const F32: &[Row] = &[
    ("f32.abs", &[0xffa0_0000], Ok(S_NAN)),
    ("f32.neg", &[S_NAN], Ok(0xffa0_0000)),
    ("f32.neg", &[0], Ok(0x8000_0000)),
    ("f32.ceil", &[S_NAN], Ok(S_QUIET)),
    ("f32.floor", &[S_NAN], Ok(S_QUIET)),
    ("f32.trunc", &[S_NAN], Ok(S_QUIET)),
    ("f32.nearest", &[S_NAN], Ok(S_QUIET)),
    ("f32.sqrt", &[S_NAN], Ok(S_QUIET)),
    ("f32.add", &[S_NAN, 0], Ok(S_QUIET)),
    ("f32.sub", &[S_NAN, 0], Ok(S_QUIET)),
    ("f32.mul", &[S_NAN, 0], Ok(S_QUIET)),
    ("f32.div", &[S_NAN, 0], Ok(S_QUIET)),
    ("f32.min", &[S_NAN, 0], Ok(S_QUIET)),
    ("f32.max", &[0, S_NAN], Ok(S_QUIET)),
    ("f32.min", &[0, 0x8000_0000], Ok(0x8000_0000)),
    ("f32.min", &[0x8000_0000, 0], Ok(0x8000_0000)),
    ("f32.max", &[0, 0x8000_0000], Ok(0)),
    ("f32.max", &[0x8000_0000, 0], Ok(0)),
    ("f32.copysign", &[S_NAN, 0x8000_0000], Ok(0xffa0_0000)),
    ("f32.copysign", &[0xbf80_0000, 0], Ok(0x3f80_0000)),
    ("f32.eq", &[0, 0x8000_0000], Ok(1)),
    ("f32.eq", &[S_NAN, S_NAN], Ok(0)),
    ("f32.ne", &[S_NAN, S_NAN], Ok(1)),
    ("f32.lt", &[S_NAN, 0], Ok(0)),
    ("f32.gt", &[S_NAN, 0], Ok(0)),
    ("f32.le", &[S_NAN, 0], Ok(0)),
    ("f32.ge", &[S_NAN, 0], Ok(0)),
    ("f32.demote_f64", &[D_NAN], Ok(S_QUIET)),
    ("f64.promote_f32", &[S_NAN], Ok(D_QUIET)),
    ("i32.reinterpret_f32", &[S_NAN], Ok(S_NAN)),
    ("f32.reinterpret_i32", &[S_NAN], Ok(S_NAN)),
    ("i64.reinterpret_f64", &[D_NAN], Ok(D_NAN)),
    ("f64.reinterpret_i64", &[D_NAN], Ok(D_NAN)),
    ("f64.abs", &[0xfff4_0000_0000_0000], Ok(D_NAN)),
    ("f64.neg", &[D_NAN], Ok(0xfff4_0000_0000_0000)),
    ("f64.ceil", &[D_NAN], Ok(D_QUIET)),
    ("f64.floor", &[D_NAN], Ok(D_QUIET)),
    ("f64.trunc", &[D_NAN], Ok(D_QUIET)),
    ("f64.nearest", &[D_NAN], Ok(D_QUIET)),
    ("f64.sqrt", &[D_NAN], Ok(D_QUIET)),
    ("f64.add", &[D_NAN, 0], Ok(D_QUIET)),
    ("f64.sub", &[D_NAN, 0], Ok(D_QUIET)),
    ("f64.mul", &[D_NAN, 0], Ok(D_QUIET)),
    ("f64.div", &[D_NAN, 0], Ok(D_QUIET)),
    ("f64.min", &[D_NAN, 0], Ok(D_QUIET)),
    ("f64.max", &[0, D_NAN], Ok(D_QUIET)),
    ("f64.min", &[0, 1 << 63], Ok(1 << 63)),
    ("f64.max", &[1 << 63, 0], Ok(0)),
    ("f64.copysign", &[D_NAN, 1 << 63], Ok(0xfff4_0000_0000_0000)),
    ("f64.eq", &[0, 1 << 63], Ok(1)),
    ("f64.eq", &[D_NAN, D_NAN], Ok(0)),
    ("f64.ne", &[D_NAN, D_NAN], Ok(1)),
    ("f64.lt", &[D_NAN, 0], Ok(0)),
    ("f64.gt", &[D_NAN, 0], Ok(0)),
    ("f64.le", &[D_NAN, 0], Ok(0)),
    ("f64.ge", &[D_NAN, 0], Ok(0)),
    ("i32.trunc_f32_s", &[S_NAN], INVALID),
    ("i32.trunc_f32_u", &[S_NAN], INVALID),
    ("i32.trunc_f64_s", &[D_NAN], INVALID),
    ("i32.trunc_f64_u", &[D_NAN], INVALID),
    ("i64.trunc_f32_s", &[S_NAN], INVALID),
    ("i64.trunc_f32_u", &[S_NAN], INVALID),
    ("i64.trunc_f64_s", &[D_NAN], INVALID),
    ("i64.trunc_f64_u", &[D_NAN], INVALID),
    ("i32.trunc_sat_f32_s", &[S_NAN], Ok(0)),
    ("i64.trunc_sat_f64_u", &[D_NAN], Ok(0)),
];

fn float_rows() -> Vec<(&'static str, Vec<u64>, Result<u64, TrapKind>)> {
    vec![
        ("f32.ceil", vec![s(-0.5)], Ok(s(-0.0))),
        ("f32.floor", vec![s(-0.5)], Ok(s(-1.0))),
        ("f32.trunc", vec![s(-1.5)], Ok(s(-1.0))),
        ("f32.nearest", vec![s(2.5)], Ok(s(2.0))),
        ("f32.nearest", vec![s(-0.5)], Ok(s(-0.0))),
        ("f32.sqrt", vec![s(4.0)], Ok(s(2.0))),
        ("f64.ceil", vec![d(-0.5)], Ok(d(-0.0))),
        ("f64.floor", vec![d(1.5)], Ok(d(1.0))),
        ("f64.trunc", vec![d(-0.5)], Ok(d(-0.0))),
        ("f64.nearest", vec![d(3.5)], Ok(d(4.0))),
        ("f64.sqrt", vec![d(2.0)], Ok(d(std::f64::consts::SQRT_2))),
        ("f32.add", vec![s(1.5), s(2.0)], Ok(s(3.5))),
        ("f64.sub", vec![d(1.5), d(2.0)], Ok(d(-0.5))),
        ("f64.div", vec![d(1.0), d(-0.0)], Ok(d(f64::NEG_INFINITY))),
        ("f64.min", vec![d(1.0), d(-2.0)], Ok(d(-2.0))),
        ("f64.max", vec![d(1.0), d(-2.0)], Ok(d(1.0))),
        ("f64.lt", vec![d(-1.0), d(1.0)], Ok(1)),
        ("f32.gt", vec![s(-1.0), s(1.0)], Ok(0)),
        ("f32.le", vec![s(1.0), s(1.0)], Ok(1)),
        ("f64.ge", vec![d(1.0), d(1.0)], Ok(1)),
        ("i32.trunc_f32_s", vec![s(-2147483648.0)], Ok(i(i32::MIN))),
        ("i32.trunc_f32_s", vec![s(2147483648.0)], OVERFLOW),
        ("i32.trunc_f32_u", vec![s(-0.9)], Ok(0)),
        ("i32.trunc_f32_u", vec![s(-1.0)], OVERFLOW),
        ("i32.trunc_f32_u", vec![s(4294967296.0)], OVERFLOW),
        ("i32.trunc_f64_s", vec![d(-2147483648.9)], Ok(i(i32::MIN))),
        ("i32.trunc_f64_s", vec![d(-2147483649.0)], OVERFLOW),
        ("i32.trunc_f64_s", vec![d(2147483647.9)], Ok(i(i32::MAX))),
        ("i32.trunc_f64_u", vec![d(4294967295.9)], Ok(0xffff_ffff)),
        ("i32.trunc_f64_u", vec![d(f64::INFINITY)], OVERFLOW),
        ("i64.trunc_f32_s", vec![s(-9223372036854775808.0)], Ok(l(i64::MIN))),
        ("i64.trunc_f32_s", vec![s(9223372036854775808.0)], OVERFLOW),
        ("i64.trunc_f32_u", vec![s(18446744073709551616.0)], OVERFLOW),
        ("i64.trunc_f64_s", vec![d(9223372036854775808.0)], OVERFLOW),
        ("i64.trunc_f64_u", vec![d(9223372036854775808.0)], Ok(1 << 63)),
        ("i64.trunc_f64_u", vec![d(-1.0)], OVERFLOW),
        ("i32.trunc_sat_f32_s", vec![s(1e30)], Ok(i(i32::MAX))),
        ("i32.trunc_sat_f32_u", vec![s(-1e30)], Ok(0)),
        ("i32.trunc_sat_f64_s", vec![d(-1e30)], Ok(i(i32::MIN))),
        ("i32.trunc_sat_f64_u", vec![d(1e30)], Ok(0xffff_ffff)),
        ("i64.trunc_sat_f32_s", vec![s(-1e30)], Ok(l(i64::MIN))),
        ("i64.trunc_sat_f32_u", vec![s(1e30)], Ok(u64::MAX)),
        ("i64.trunc_sat_f64_s", vec![d(1e30)], Ok(l(i64::MAX))),
        ("f32.convert_i32_s", vec![i(-1)], Ok(s(-1.0))),
        ("f32.convert_i32_u", vec![i(-1)], Ok(s(4294967296.0))),
        ("f32.convert_i64_s", vec![l(-1)], Ok(s(-1.0))),
        ("f32.convert_i64_u", vec![0x8000_0080_0000_0001], Ok(s(9223373136366403584.0))),
        ("f64.convert_i32_s", vec![i(-1)], Ok(d(-1.0))),
        ("f64.convert_i32_u", vec![i(-1)], Ok(d(4294967295.0))),
        ("f64.convert_i64_s", vec![l(i64::MIN)], Ok(d(-9223372036854775808.0))),
        ("f64.convert_i64_u", vec![u64::MAX], Ok(d(18446744073709551616.0))),
    ]
}

/// A module whose only function applies `instruction` to parameters, and to constants where some are given.
fn module(types: &[Type], result: Type, instruction: Instruction, constants: &[Option<u64>]) -> Module {
    let mut module = Module::default();
    let signature = Signature::new(types.to_vec(), vec![result]);
    let signature = module.intern_signature(signature);
    let mut instructions: Vec<Instruction> = (types.iter().zip(constants).enumerate())
        .filter_map(|(register, (&ty, word))| {
            let (dst, value) = (Register::new(register), constant(ty, (*word)?));
            Some(Instruction::Const { dst, value })
        })
        .collect();
    instructions.push(instruction);
    let result_register = Register::new(types.len());
    let terminator = Terminator::Return { values: vec![result_register] };
    let registers = types.iter().copied().chain([result]).collect();
    let body = Body { registers, blocks: vec![BasicBlock { instructions, terminator }] };
    module.functions.push(Function { name: "f".into(), signature, kind: FunctionKind::Defined(body.into()) });
    module
}

fn check(name: &str, operands: &[u64], expected: Result<u64, TrapKind>) {
    let register = Register::new;
    let (types, result, instruction) = match (UnaryOp::from_name(name), BinaryOp::from_name(name)) {
        (Some(op), _) => {
            let instruction = Instruction::Unary { op, dst: register(1), src: register(0) };
            (op.operands(), op.result(), instruction)
        }
        (_, Some(op)) => {
            let (lhs, rhs) = (register(0), register(1));
            (op.operands(), op.result(), Instruction::Binary { op, dst: register(2), lhs, rhs })
        }
        _ => panic!("{name} is no operation"),
    };
    for folded in 0..1 << operands.len() {
        let constants: Vec<Option<u64>> =
            operands.iter().enumerate().map(|(n, &word)| (folded >> n & 1 == 1).then_some(word)).collect();
        if types[0].is_reference() && folded > 0 {
            continue;
        }
        let thread = thread(module(types, result, instruction.clone(), &constants));
        let answer = call(&thread, FunctionIndex::new(0), operands).map(|words| words[0]);
        let answer = answer.map_err(|(kind, ..)| kind);
        assert_eq!(answer, expected, "{name} {operands:x?}, constants {constants:x?}: {answer:x?}");
    }
}

#[test]
fn operations_on_their_edges() {
    let rows = F32.iter().map(|&(name, operands, result)| (name, operands.to_vec(), result));
    let rows: Vec<_> = rows.chain(integer_rows()).chain(float_rows()).collect();
    let mut missing: HashSet<&str> = UnaryOp::ALL.iter().map(|op| op.name()).collect();
    missing.extend(BinaryOp::ALL.iter().map(|op| op.name()));
    for (name, operands, expected) in &rows {
        missing.remove(name);
        check(name, operands, *expected);
    }
    assert!(missing.is_empty(), "without a row: {missing:?}");
}

/// A module whose function computes `instruction` and throws the result away, that many times.
fn repeated(types: &[Type], result: Type, instruction: Instruction, times: i32) -> Module {
    let mut module = module(types, result, instruction, &vec![None; types.len()]);
    let FunctionKind::Defined(body) = &mut module.functions[0].kind else { unreachable!("it has a body") };
    let [count, one] = [0, 1].map(|n| Register::new(body.registers.len() + n));
    body.registers.extend([Type::I32, Type::I32]);
    let jump = Terminator::Jump { target: Block::new(1) };
    let constants = [(count, times), (one, 1)]
        .map(|(dst, value)| Instruction::Const { dst, value: Value::I32(value) })
        .to_vec();
    let mut looped = body.blocks.remove(0);
    looped.instructions.push(Instruction::Binary { op: BinaryOp::I32Sub, dst: count, lhs: count, rhs: one });
    let leave = std::mem::replace(
        &mut looped.terminator,
        Terminator::Branch { condition: count, if_true: Block::new(1), if_false: Block::new(2) },
    );
    body.blocks = vec![
        BasicBlock { instructions: constants, terminator: jump },
        looped,
        BasicBlock { instructions: Vec::new(), terminator: leave },
    ];
    module
}

/// In threaded code each operation ends in a jump. Were it a call, this many would not fit the stack.
#[test]
fn no_operation_leaves_anything_on_the_native_stack() {
    const TIMES: i32 = 60_000;
    const STACK: usize = 512 << 10;
    let register = Register::new;
    let unary = UnaryOp::ALL.iter().map(|&op| {
        let instruction = Instruction::Unary { op, dst: register(1), src: register(0) };
        (op.operands(), op.result(), instruction)
    });
    let binary = BinaryOp::ALL.iter().map(|&op| {
        let (lhs, rhs) = (register(0), register(1));
        (op.operands(), op.result(), Instruction::Binary { op, dst: register(2), lhs, rhs })
    });
    let one = |ty: &Type| match ty {
        Type::F32 => u64::from(1f32.to_bits()),
        Type::F64 => 1f64.to_bits(),
        Type::V128 => unreachable!("of operations on vectors"),
        Type::Funcref | Type::Externref | Type::Exnref => 0,
        Type::I32 | Type::I64 => 1,
    };
    std::thread::scope(|scope| {
        let execute = || {
            for (types, result, instruction) in unary.chain(binary) {
                let thread = thread(repeated(types, result, instruction, TIMES));
                let operands: Vec<u64> = types.iter().map(one).collect();
                call(&thread, FunctionIndex::new(0), &operands).expect("it does not trap");
            }
        };
        std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, execute).expect("a thread");
    });
}
