//! Executes bodies instruction by instruction, as they are written, and notes every frame state of the
//! outermost function. Shares nothing with the interpreter but the functions on numbers.

use osr_ir::{
    BinaryOp, Body, FunctionIndex, Instruction, LoadOp, Module, Point, PointKind, Points, Register,
    Terminator, TrapKind, UnaryOp, Value,
};

use super::Answer;
use crate::interpreter::numeric::{evaluate_binary, evaluate_unary};

/// The outermost function's registers, and the module's state, at a point.
pub(super) struct Snapshot {
    pub(super) point: Point,
    pub(super) registers: Vec<u64>,
    pub(super) memory: Vec<u8>,
    pub(super) globals: Vec<u64>,
}

/// A module with its state.
pub(super) struct Reference<'a> {
    module: &'a Module,
    pub(super) memory: Vec<u8>,
    pub(super) globals: Vec<u64>,
    pub(super) snapshots: Vec<Snapshot>,
    depth: usize,
}

/// A function that executes: its points, and the registers.
struct Frame<'a> {
    body: &'a Body,
    points: Points,
    registers: Vec<u64>,
    name: &'a str,
}

impl<'a> Reference<'a> {
    /// `module`, whose memory and globals start as these.
    pub(super) fn new(module: &'a Module, memory: Vec<u8>, globals: Vec<u64>) -> Reference<'a> {
        Reference { module, memory, globals, snapshots: Vec::new(), depth: 0 }
    }

    /// Calls `function`.
    pub(super) fn call(&mut self, function: FunctionIndex, arguments: &[u64]) -> Answer {
        let defined = self.module.function(function);
        let body = defined.body().expect("a defined function");
        let mut registers = arguments.to_vec();
        registers.resize(body.registers.len(), 0);
        let mut frame = Frame { body, points: Points::of(body), registers, name: &defined.name };
        self.depth += 1;
        let answer = self.execute(&mut frame);
        self.depth -= 1;
        answer
    }

    fn execute(&mut self, frame: &mut Frame<'a>) -> Answer {
        let body = frame.body;
        self.note(frame, Points::entry());
        let mut block = osr_ir::Block::new(0);
        loop {
            if let Some(header) = frame.points.header(block) {
                self.note(frame, header);
            }
            for (index, instruction) in body.block(block).instructions.iter().enumerate() {
                let point = frame.points.at(block, index);
                let trap = |kind| (kind, frame.name.to_owned(), point.expect("a point"));
                match self.step(frame, instruction) {
                    Ok(values) => {
                        let defined = instruction.definitions().iter().zip(values);
                        defined.for_each(|(register, value)| frame.registers[register.index()] = value);
                    }
                    Err(Failure::Here(kind)) => return Err(trap(kind)),
                    Err(Failure::Callee(answer)) => return Err(answer),
                }
                if let Some(point) = point
                    && frame.points.kind(point) == PointKind::AfterCall
                {
                    self.note(frame, point);
                }
            }
            let get = |register: &Register| frame.registers[register.index()];
            block = match &body.block(block).terminator {
                Terminator::Jump { target } => *target,
                Terminator::Branch { condition, if_true, if_false }
                | Terminator::Guard { condition, next: if_true, exit: if_false } => {
                    if get(condition) as u32 != 0 { *if_true } else { *if_false }
                }
                Terminator::Switch { index, targets, default } => {
                    *targets.get(get(index) as u32 as usize).unwrap_or(default)
                }
                Terminator::Return { values } => return Ok(values.iter().map(get).collect()),
                Terminator::TailCall { .. }
                | Terminator::TailCallIndirect { .. }
                | Terminator::Deoptimize { .. } => {
                    unreachable!("no module of these tests has such")
                }
                Terminator::Unreachable => {
                    let index = body.block(block).instructions.len();
                    let point = frame.points.at(block, index).expect("a point");
                    return Err((TrapKind::Unreachable, frame.name.to_owned(), point));
                }
            };
        }
    }

    fn note(&mut self, frame: &Frame<'_>, point: Point) {
        if self.depth == 1 && self.snapshots.len() < 400 {
            let (registers, memory) = (frame.registers.clone(), self.memory.clone());
            self.snapshots.push(Snapshot { point, registers, memory, globals: self.globals.clone() });
        }
    }

    fn step(&mut self, frame: &Frame<'_>, instruction: &Instruction) -> Result<Vec<u64>, Failure> {
        use Instruction as I;
        let get = |register: &Register| frame.registers[register.index()];
        let value = match instruction {
            I::Const { value, .. } => value.to_bits(),
            I::Copy { src, .. } => get(src),
            I::Unary { op, src, .. } => evaluate_unary(*op, get(src)).map_err(Failure::Here)?,
            I::Binary { op, lhs, rhs, .. } => {
                evaluate_binary(*op, get(lhs), get(rhs)).map_err(Failure::Here)?
            }
            I::Select { condition, if_true, if_false, .. } => {
                if get(condition) as u32 != 0 {
                    get(if_true)
                } else {
                    get(if_false)
                }
            }
            I::Load { op, address, offset, .. } => self.load(*op, get(address), *offset)?,
            I::Store { op, address, value, offset, .. } => {
                let at = self.place(get(address), *offset, op.bytes())?;
                let bytes = get(value).to_le_bytes();
                let count = op.bytes() as usize;
                self.memory[at..at + count].copy_from_slice(&bytes[..count]);
                return Ok(vec![]);
            }
            I::GlobalGet { global, .. } => self.globals[global.index()],
            I::GlobalSet { global, src } => {
                self.globals[global.index()] = get(src);
                return Ok(vec![]);
            }
            I::MemorySize { .. } => self.memory.len() as u64 / 65_536,
            I::Call { function, arguments, .. } => {
                let arguments: Vec<u64> = arguments.iter().map(get).collect();
                return self.call(*function, &arguments).map_err(Failure::Callee);
            }
            other => panic!("{other:?} is not in the reference"),
        };
        Ok(vec![value])
    }

    fn place(&self, address: u64, offset: u32, bytes: u32) -> Result<usize, Failure> {
        let at = u64::from(address as u32) + u64::from(offset);
        let fits = at + u64::from(bytes) <= self.memory.len() as u64;
        if fits { Ok(at as usize) } else { Err(Failure::Here(TrapKind::MemoryOutOfBounds)) }
    }

    fn load(&self, op: LoadOp, address: u64, offset: u32) -> Result<u64, Failure> {
        use LoadOp::*;
        let at = self.place(address, offset, op.bytes())?;
        let mut bytes = [0; 8];
        let count = op.bytes() as usize;
        bytes[..count].copy_from_slice(&self.memory[at..at + count]);
        let word = u64::from_le_bytes(bytes);
        Ok(match op {
            I32Load8S => u64::from(i32::from(word as i8) as u32),
            I32Load16S => u64::from(i32::from(word as i16) as u32),
            I64Load8S => i64::from(word as i8) as u64,
            I64Load16S => i64::from(word as i16) as u64,
            I64Load32S => i64::from(word as i32) as u64,
            _ => word,
        })
    }
}

/// Why an instruction gave nothing.
enum Failure {
    Here(TrapKind),
    Callee((TrapKind, String, Point)),
}

/// The bits of a constant of the type that an operand has.
pub(super) fn constant(ty: osr_ir::Type, word: u64) -> Value {
    match ty {
        osr_ir::Type::I32 => Value::I32(word as i32),
        osr_ir::Type::I64 => Value::I64(word as i64),
        osr_ir::Type::F32 => Value::F32(word as u32),
        osr_ir::Type::F64 => Value::F64(word),
        osr_ir::Type::V128 => Value::V128([word; 2]),
        osr_ir::Type::Funcref => Value::NullFuncref,
        osr_ir::Type::Externref => Value::Externref(word),
        osr_ir::Type::Exnref => Value::NullExnref,
    }
}

/// All operations, for tests that go through them.
pub(super) fn all_operations() -> (&'static [UnaryOp], &'static [BinaryOp]) {
    (UnaryOp::ALL, BinaryOp::ALL)
}
