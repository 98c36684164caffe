//! Random bodies, against the reference: results, traps and their points, memory, globals; and resumed
//! from every frame state that the reference met.

use osr_ir::module::{FunctionKind, GlobalInitial};
use osr_ir::{
    BasicBlock, BinaryOp, Block, Body, ConstantExpression, Function, FunctionIndex, Global, GlobalIndex,
    Instruction, LoadOp, Memory, MemoryIndex, Module, ReferenceType, Register, Signature, StoreOp,
    Terminator, Type, UnaryOp, Value,
};

use super::reference::{Reference, Snapshot, all_operations, constant};
use super::{Answer, call, resume, thread};
use crate::Thread;

/// A small generator of numbers (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 11) as usize % limit
    }

    fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// Registers of each type: parameters first; the last are the fuel that ends loops, and what tests it.
const REGISTERS: [Type; 15] = [
    Type::I32,
    Type::I64,
    Type::F32,
    Type::F64,
    Type::I32,
    Type::I32,
    Type::I32,
    Type::I64,
    Type::F64,
    Type::F64,
    Type::F32,
    Type::I64,
    Type::I32,
    Type::I32,
    Type::I32,
];
const PARAMETERS: usize = 4;
/// How many bodies are tried.
const SEEDS: u64 = 1000;
const FUEL: usize = 12;

fn register(random: &mut Random, ty: Type) -> Register {
    let of_type: Vec<usize> = (0..FUEL).filter(|&r| REGISTERS[r] == ty).collect();
    Register::new(random.choose(&of_type))
}

fn value(random: &mut Random, ty: Type) -> Value {
    let small = [0u64, 1, 2, 3, 4, 8, 31, 100, u64::MAX, 0x8000_0000, 0x7fff_ffff, 1 << 63, 1 << 40];
    match ty {
        Type::F32 => Value::F32([0.0f32, -0.0, 1.0, -1.5, 4.0, 1e30, 0.1][random.below(7)].to_bits()),
        Type::F64 => Value::F64([0.0f64, -0.0, 1.0, -1.5, 4.0, 1e300, 0.1][random.below(7)].to_bits()),
        _ => constant(ty, random.choose(&small)),
    }
}

/// Payloads and signs of NaNs are not promised: leave out what would make them visible.
fn is_unary_allowed(op: UnaryOp) -> bool {
    use UnaryOp::*;
    !matches!(
        op,
        RefIsNull
            | ExternIsNull
            | ExnIsNull
            | I32ReinterpretF32
            | I64ReinterpretF64
            | F32ReinterpretI32
            | F64ReinterpretI64
            | F32Neg
            | F64Neg
    )
}

fn instructions(random: &mut Random, into: &mut Vec<Instruction>, callee: Option<FunctionIndex>) {
    let (unary, binary) = all_operations();
    match random.below(20) {
        0..4 => {
            let ty = random.choose(&[Type::I32, Type::I64, Type::F32, Type::F64, Type::I32]);
            let (dst, value) = (register(random, ty), value(random, ty));
            into.push(Instruction::Const { dst, value });
        }
        4 => {
            let ty = random.choose(&[Type::I32, Type::I64, Type::F64]);
            let (dst, src) = (register(random, ty), register(random, ty));
            into.push(Instruction::Copy { dst, src });
        }
        5..7 => {
            let op = random.choose(unary);
            if is_unary_allowed(op) && (!op.may_trap() || random.below(4) == 0) {
                let (dst, src) = (register(random, op.result()), register(random, op.operands()[0]));
                into.push(Instruction::Unary { op, dst, src });
            }
        }
        7..13 => {
            use BinaryOp::*;
            let favoured = [I32Add, I32Shl, I32Mul, I32And, F64Mul, F64Add, F64Sub, I32Sub, I64Mul, I64Add];
            let op = if random.below(2) == 0 { random.choose(binary) } else { random.choose(&favoured) };
            if !matches!(op, F32Copysign | F64Copysign) && (!op.may_trap() || random.below(8) == 0) {
                let [lhs, rhs] = [0, 1].map(|operand| register(random, op.operands()[operand]));
                into.push(Instruction::Binary { op, dst: register(random, op.result()), lhs, rhs });
            }
        }
        13 => {
            let ty = random.choose(&[Type::I32, Type::I64, Type::F64]);
            let [if_true, if_false, dst] = [0; 3].map(|_| register(random, ty));
            into.push(Instruction::Select { dst, condition: register(random, Type::I32), if_true, if_false });
        }
        14..17 => access(random, into),
        17 => {
            let (dst, global) = (register(random, Type::I64), GlobalIndex::new(0));
            into.push(Instruction::GlobalGet { dst, global });
        }
        18 => {
            let (src, global) = (register(random, Type::I64), GlobalIndex::new(0));
            into.push(Instruction::GlobalSet { global, src });
        }
        _ => {
            let Some(function) = callee else { return };
            let types = [Type::I32, Type::I64, Type::F32, Type::F64];
            let arguments = types.map(|ty| register(random, ty)).to_vec();
            let results = types.map(|ty| register(random, ty)).to_vec();
            into.push(Instruction::Call { function, arguments, results });
        }
    }
}

/// A load or store, mostly in bounds: of a masked register, perhaps scaled and added.
fn access(random: &mut Random, into: &mut Vec<Instruction>) {
    let address = register(random, Type::I32);
    let mask = register(random, Type::I32);
    if random.below(4) > 0 {
        into.push(Instruction::Const { dst: mask, value: Value::I32(0xfff) });
        into.push(Instruction::Binary { op: BinaryOp::I32And, dst: address, lhs: address, rhs: mask });
    }
    if random.below(2) == 0 {
        let (shift, base) = (register(random, Type::I32), register(random, Type::I32));
        if random.below(2) == 0 {
            into.push(Instruction::Const { dst: shift, value: Value::I32(2) });
            into.push(Instruction::Binary { op: BinaryOp::I32Shl, dst: address, lhs: address, rhs: shift });
        }
        into.push(Instruction::Const { dst: base, value: Value::I32(1024) });
        if random.below(2) == 0 {
            into.push(Instruction::Copy { dst: base, src: mask });
        }
        into.push(Instruction::Binary { op: BinaryOp::I32Add, dst: address, lhs: base, rhs: address });
    }
    let offset = random.choose(&[0, 4, 1000]);
    if random.below(2) == 0 {
        let op = random.choose(LoadOp::ALL);
        if op.result() == Type::V128 {
            return;
        }
        let dst = register(random, op.result());
        into.push(Instruction::Load { memory: MemoryIndex::FIRST, op, dst, address, offset });
        if random.below(2) == 0 {
            let op = match op.result() {
                Type::I32 => BinaryOp::I32Add,
                Type::F64 => random.choose(&[BinaryOp::F64Sub, BinaryOp::F64Add, BinaryOp::F64Mul]),
                _ => return,
            };
            let operand = register(random, op.result());
            into.push(Instruction::Binary { op, dst: register(random, op.result()), lhs: operand, rhs: dst });
        }
    } else {
        let op = random.choose(StoreOp::ALL);
        if !op.result().is_float() && op.result() != Type::V128 {
            let value = register(random, op.result());
            into.push(Instruction::Store { memory: MemoryIndex::FIRST, op, address, value, offset });
        }
    }
}

fn body(random: &mut Random, callee: Option<FunctionIndex>) -> Body {
    let count = 2 + random.below(4);
    // Block 0 is the entry, 1 the exit; then pairs of a block of code and one that chooses the next.
    let code = |n: usize| Block::new(2 + 2 * n);
    let mut entry = Vec::new();
    for (index, &ty) in REGISTERS.iter().enumerate().skip(PARAMETERS) {
        let value = if index == FUEL { Value::I32(12) } else { value(random, ty) };
        entry.push(Instruction::Const { dst: Register::new(index), value });
    }
    let values = (0..FUEL).map(Register::new).collect();
    let mut blocks = vec![
        BasicBlock { instructions: entry, terminator: Terminator::Jump { target: code(0) } },
        BasicBlock { instructions: vec![], terminator: Terminator::Return { values } },
    ];
    let is_tested_first = random.below(2) == 0;
    for n in 0..count {
        let mut instructions = Vec::new();
        for _ in 0..random.below(12) {
            self::instructions(random, &mut instructions, callee);
        }
        let condition = burn(random, &mut instructions, is_tested_first);
        let (exit, choice) = (Block::new(1), Block::new(3 + 2 * n));
        let again = if random.below(2) == 0 { code(n) } else { choice };
        blocks.push(BasicBlock {
            instructions,
            terminator: Terminator::Branch { condition, if_true: again, if_false: exit },
        });
        blocks.push(choose_next(random, || code(0), count));
    }
    Body { registers: REGISTERS.to_vec(), blocks }
}

/// Takes one off the fuel; returns the register that says whether there was, or is, any.
fn burn(random: &mut Random, into: &mut Vec<Instruction>, is_tested_first: bool) -> Register {
    let (fuel, number) = (Register::new(FUEL), Register::new(FUEL + 1));
    let constant = |into: &mut Vec<Instruction>, value| {
        into.push(Instruction::Const { dst: number, value: Value::I32(value) });
    };
    if is_tested_first {
        let condition = Register::new(FUEL + 2);
        constant(into, 0);
        let op = BinaryOp::I32Ne;
        into.push(Instruction::Binary { op, dst: condition, lhs: fuel, rhs: number });
        constant(into, -1);
        into.push(Instruction::Binary { op: BinaryOp::I32Add, dst: fuel, lhs: fuel, rhs: number });
        return condition;
    }
    constant(into, 1);
    into.push(Instruction::Binary { op: BinaryOp::I32Sub, dst: fuel, lhs: fuel, rhs: number });
    if random.below(2) == 0 {
        constant(into, 0);
        let op = random.choose(&[BinaryOp::I32Ne, BinaryOp::I32GtS]);
        into.push(Instruction::Binary { op, dst: number, lhs: fuel, rhs: number });
        return number;
    }
    fuel
}

fn choose_next(random: &mut Random, first: impl Fn() -> Block, count: usize) -> BasicBlock {
    let target = |random: &mut Random| Block::new(first().index() + 2 * random.below(count));
    let (one, two) = (target(random), target(random));
    let mut instructions = Vec::new();
    let terminator = match random.below(3) {
        0 => Terminator::Jump { target: one },
        1 => {
            let targets = vec![two, target(random)];
            Terminator::Switch { index: register(random, Type::I32), targets, default: one }
        }
        _ => {
            let comparisons: Vec<BinaryOp> = BinaryOp::ALL
                .iter()
                .copied()
                .filter(|op| op.result() == Type::I32 && !op.may_trap())
                .collect();
            let op = random.choose(&comparisons);
            let condition = register(random, Type::I32);
            let [lhs, rhs] = [0, 1].map(|operand| register(random, op.operands()[operand]));
            if random.below(2) == 0 {
                instructions.push(Instruction::Const { dst: rhs, value: value(random, op.operands()[1]) });
            }
            instructions.push(Instruction::Binary { op, dst: condition, lhs, rhs });
            Terminator::Branch { condition, if_true: one, if_false: two }
        }
    };
    BasicBlock { instructions, terminator }
}

fn module(random: &mut Random) -> Module {
    let mut module = Module::default();
    let parameters = REGISTERS[..PARAMETERS].to_vec();
    let all = Signature::new(parameters.clone(), REGISTERS[..FUEL].to_vec());
    let few = Signature::new(parameters.clone(), parameters);
    let (all, few) = (module.intern_signature(all), module.intern_signature(few));
    let mut callee = body(random, None);
    callee.blocks[1].terminator = Terminator::Return { values: [4, 1, 10, 3].map(Register::new).to_vec() };
    let bodies = [("f", all, body(random, Some(FunctionIndex::new(1)))), ("g", few, callee)];
    for (name, signature, body) in bodies {
        let kind = FunctionKind::Defined(body.into());
        module.functions.push(Function { name: name.into(), signature, kind });
    }
    module.memories.push(Memory {
        minimum: 1,
        maximum: Some(1),
        is_64: false,
        is_shared: false,
        import: None,
    });
    let initial = GlobalInitial::Expression(ConstantExpression::Value(Value::I64(7)));
    module.globals.push(Global {
        ty: Type::I64,
        reference: ReferenceType::default(),
        mutable: true,
        initial,
    });
    module
}

/// With NaNs made equal.
fn canonical(module: &Module, answer: Answer) -> Answer {
    let types = &module.signature_of(FunctionIndex::new(0)).results;
    let nan = |(word, ty): (u64, &Type)| match ty {
        Type::F32 if f32::from_bits(word as u32).is_nan() => u64::from(f32::NAN.to_bits()),
        Type::F64 if f64::from_bits(word).is_nan() => f64::NAN.to_bits(),
        _ => word,
    };
    answer.map(|words| words.into_iter().zip(types).map(nan).collect())
}

fn set_state(thread: &Thread, memory: &[u8], globals: &[u64]) {
    assert!(thread.instance().memory().expect("a memory").write(0, memory));
    for (global, &word) in thread.instance().globals().iter().zip(globals) {
        global.store(word, std::sync::atomic::Ordering::Relaxed);
    }
}

fn state(thread: &Thread) -> (Vec<u8>, u64) {
    let memory = thread.instance().memory().expect("a memory").read(0, 65_536).expect("a page");
    (memory, thread.instance().global(GlobalIndex::new(0)))
}

fn check_resume(thread: &Thread, module: &Module, snapshot: &Snapshot, expected: &Answer) {
    let function = FunctionIndex::new(0);
    set_state(thread, &snapshot.memory, &snapshot.globals);
    let live = thread.instance().analysis(function).liveness.at(snapshot.point);
    let live: Vec<(usize, u64)> =
        live.iter().map(|register| (register.index(), snapshot.registers[register.index()])).collect();
    let resumed = resume(thread, function, snapshot.point, &live);
    let resumed = resumed.map(|words| canonical(module, Ok(words)).expect("results"));
    assert_eq!(resumed.as_ref(), expected.as_ref().ok(), "resumed at {}\n{module}", snapshot.point);
}

#[test]
fn random_bodies_do_what_they_say_from_every_point() {
    let mut traps = 0u64;
    for seed in 1..SEEDS {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let module = module(&mut random);
        let arguments = [random.next() & 0xffff_ffff, random.next(), 0x3f80_0000, 2.5f64.to_bits()];
        let mut reference = Reference::new(&module, vec![0; 65_536], vec![7]);
        let expected = canonical(&module, reference.call(FunctionIndex::new(0), &arguments));
        traps += u64::from(expected.is_err());
        let thread = thread(module.clone());
        let got = canonical(&module, call(&thread, FunctionIndex::new(0), &arguments));
        assert_eq!(got, expected, "seed {seed}\n{module}");
        let end = (reference.memory.clone(), reference.globals[0]);
        assert!(state(&thread) == end, "memory and globals of seed {seed}\n{module}");
        for snapshot in &reference.snapshots {
            check_resume(&thread, &module, snapshot, &expected);
            assert!(state(&thread) == end, "memory and globals of seed {seed}\n{module}");
        }
    }
    assert!((SEEDS / 50..SEEDS / 2).contains(&traps), "{traps} of the bodies trap");
}
