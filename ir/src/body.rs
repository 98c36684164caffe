//! Bodies: the register code of one function.
//!
//! ```text
//! function sum (r0: i32) -> (i32) {
//!   r1: i32, r2: i32
//! b0:
//!   r1 = i32.const 0
//!   jump b1
//! b1:                          ; a loop header
//!   r1 = i32.add r1, r0
//!   r2 = i32.const 1
//!   r0 = i32.sub r0, r2
//!   branch r0, b1, b2
//! b2:
//!   return r1
//! }
//! ```
//!
//! What the rest may rely on, once the verifier has passed: operands have the types that operations
//! ask for; a register is assigned on every path before it is read; the entry block (`b0`) has no
//! predecessors, so that a loop header is never the function's entry.

use crate::index::{
    Block, DataIndex, ElementIndex, FunctionIndex, GlobalIndex, MemoryIndex, Register, SignatureIndex,
    TableIndex, TagIndex,
};
use crate::operation::{BinaryOp, LoadOp, StoreOp, UnaryOp};
use crate::point::Position;
use crate::state_map::ResumedFrame;
use crate::trap::TrapKind;
use crate::value::{Type, Value};
use crate::vector::VectorOp;

/// The code of a function: typed registers and basic blocks. Block 0 is the entry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Body {
    /// The type of each register. The first ones are the parameters.
    pub registers: Vec<Type>,
    /// The blocks; control enters at the first.
    pub blocks: Vec<BasicBlock>,
}

impl Body {
    /// The entry block.
    pub const ENTRY: usize = 0;

    /// The block at `block`.
    pub fn block(&self, block: Block) -> &BasicBlock {
        &self.blocks[block.index()]
    }

    /// Where `block` ends: its terminator counts as its last instruction.
    pub fn end(&self, block: Block) -> Position {
        Position { block, index: self.block(block).instructions.len() }
    }

    /// The type of `register`.
    pub fn ty(&self, register: Register) -> Type {
        self.registers[register.index()]
    }

    /// The indices of all blocks, in order.
    pub fn block_indices(&self) -> impl DoubleEndedIterator<Item = Block> + use<> {
        (0..self.blocks.len()).map(Block::new)
    }

    /// Whether some block ends with a [tail call](Terminator::TailCall).
    pub fn has_tail_calls(&self) -> bool {
        self.blocks.iter().any(|block| block.terminator.is_tail_call())
    }

    /// Whether some block [ends in the interpreter](Terminator::is_interpreted), so that compiled code leaves for it.
    pub fn leaves_for_interpreter(&self) -> bool {
        self.blocks.iter().any(|block| block.terminator.is_interpreted())
    }

    /// Whether execution that continues behind the call at `position` does so in the interpreter.
    pub fn interprets_behind(&self, position: Position) -> bool {
        let instruction = self.blocks[position.block.index()].instructions.get(position.index);
        instruction == Some(&Instruction::Interpret)
    }

    /// Whether an exception that leaves the call at `position` is caught there, where `caught` says what was
    /// ([`Tag`](crate::Tag)).
    pub fn catches(&self, position: Position, caught: Option<GlobalIndex>) -> bool {
        let next = self.blocks[position.block.index()].instructions.get(position.index + 1);
        match (next, caught) {
            (Some(Instruction::GlobalGet { global, .. }), Some(caught)) => *global == caught,
            _ => false,
        }
    }

    /// Whether it accesses another memory than the first.
    pub fn accesses_further_memories(&self) -> bool {
        let instructions = self.blocks.iter().flat_map(|block| &block.instructions);
        instructions.filter_map(Instruction::accessed_memory).any(|memory| memory != MemoryIndex::FIRST)
    }

    /// Instructions and terminators in the body.
    pub fn instruction_count(&self) -> usize {
        self.blocks.iter().map(|block| block.instructions.len() + 1).sum()
    }
}

/// A straight run of instructions, left by one terminator.
#[derive(Clone, Debug, PartialEq)]
pub struct BasicBlock {
    /// Executed in order.
    pub instructions: Vec<Instruction>,
    /// How control leaves.
    pub terminator: Terminator,
}

/// One operation. Registers are read before any is written.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "fields are named as in WebAssembly's own descriptions")]
pub enum Instruction {
    /// `dst = value`
    Const { dst: Register, value: Value },
    /// `dst = src`
    Copy { dst: Register, src: Register },
    /// `dst = op src`
    Unary { op: UnaryOp, dst: Register, src: Register },
    /// `dst = op lhs, rhs`
    Binary { op: BinaryOp, dst: Register, lhs: Register, rhs: Register },
    /// `dst = op operands`, as many as the operation has, of lane number `lane` if it is [of one](VectorOp::has_lane);
    /// otherwise that is 0
    Vector { op: VectorOp, lane: u8, dst: Register, operands: Vec<Register> },
    /// `dst =` the bytes of `lhs` and `rhs` that `lanes` counts: from 0 those of `lhs`, from 16 those of `rhs`
    Shuffle { lanes: [u8; 16], dst: Register, lhs: Register, rhs: Register },
    /// `dst = condition != 0 ? if_true : if_false`
    Select { dst: Register, condition: Register, if_true: Register, if_false: Register },
    /// `dst = memory[address + offset]`; the sum does not wrap.
    Load { memory: MemoryIndex, op: LoadOp, dst: Register, address: Register, offset: u32 },
    /// `memory[address + offset] = value`; the sum does not wrap.
    Store { memory: MemoryIndex, op: StoreOp, address: Register, value: Register, offset: u32 },
    /// `dst = global`
    GlobalGet { dst: Register, global: GlobalIndex },
    /// `global = src`
    GlobalSet { global: GlobalIndex, src: Register },
    /// `dst =` pages of a linear memory
    MemorySize { memory: MemoryIndex, dst: Register },
    /// Grow a linear memory by `delta` pages; `dst` is the old size, or -1.
    MemoryGrow { memory: MemoryIndex, dst: Register, delta: Register },
    /// Set `length` bytes at `address` to the low byte of `value`.
    MemoryFill { memory: MemoryIndex, address: Register, value: Register, length: Register },
    /// Copy `length` bytes between memories (or within one; ranges may overlap).
    MemoryCopy {
        destination_memory: MemoryIndex,
        source_memory: MemoryIndex,
        destination: Register,
        source: Register,
        length: Register,
    },
    /// Copy `length` bytes from a data segment.
    MemoryInit {
        memory: MemoryIndex,
        segment: DataIndex,
        destination: Register,
        source: Register,
        length: Register,
    },
    /// Empty a data segment.
    DataDrop { segment: DataIndex },
    /// Wait until there is a notification at `address + offset`, if `expected` is there, of 32 bits or 64; `timeout` is in
    /// nanoseconds. `dst` is 1 if something else is there, 2 after the timeout.
    AtomicWait {
        memory: MemoryIndex,
        is_64: bool,
        dst: Register,
        address: Register,
        offset: u32,
        expected: Register,
        timeout: Register,
    },
    /// `dst = table[index]`
    TableGet { table: TableIndex, dst: Register, index: Register },
    /// `table[index] = value`
    TableSet { table: TableIndex, index: Register, value: Register },
    /// `dst =` entries of the table
    TableSize { table: TableIndex, dst: Register },
    /// `dst = table[index]` refers to `function` `? 1 : 0`; 0 also where there is no such entry.
    TableRefers { table: TableIndex, dst: Register, index: Register, function: FunctionIndex },
    /// Grow by `delta` entries of `value`; `dst` is the old size, or -1.
    TableGrow { table: TableIndex, dst: Register, value: Register, delta: Register },
    /// Set `length` entries at `index` to `value`.
    TableFill { table: TableIndex, index: Register, value: Register, length: Register },
    /// Copy `length` entries between tables (or within one; ranges may overlap).
    TableCopy {
        destination_table: TableIndex,
        source_table: TableIndex,
        destination: Register,
        source: Register,
        length: Register,
    },
    /// Copy `length` entries from an element segment.
    TableInit {
        table: TableIndex,
        segment: ElementIndex,
        destination: Register,
        source: Register,
        length: Register,
    },
    /// Empty an element segment.
    ElementDrop { segment: ElementIndex },
    /// `dst =` a reference to `function`
    RefFunc { dst: Register, function: FunctionIndex },
    /// Throw an exception of `tag` with the values in its [globals](crate::Tag).
    Throw { tag: TagIndex },
    /// Throw `exception` once more.
    ThrowRef { exception: Register },
    /// `dst =` a reference to the exception that was caught last
    CaughtRef { dst: Register },
    /// Trap as `kind` says if `condition` is not zero.
    TrapIf { condition: Register, kind: TrapKind },
    /// Nothing, in the interpreter. Compiled code leaves here: the activation continues behind this in the interpreter.
    Interpret,
    /// `results = function(arguments)`
    Call { function: FunctionIndex, arguments: Vec<Register>, results: Vec<Register> },
    /// `results = table[index](arguments)`, if that function has `signature`.
    CallIndirect {
        table: TableIndex,
        signature: SignatureIndex,
        index: Register,
        arguments: Vec<Register>,
        results: Vec<Register>,
    },
}

impl Instruction {
    /// Whether this calls other guest code or the runtime, so that the world outside can observe the
    /// frame: there is a [point](crate::point) after it.
    pub fn is_call(&self) -> bool {
        use Instruction as I;
        matches!(
            self,
            I::Call { .. }
                | I::CallIndirect { .. }
                | I::Throw { .. }
                | I::ThrowRef { .. }
                | I::CaughtRef { .. }
                | I::Interpret
                | I::MemoryGrow { .. }
                | I::MemoryFill { .. }
                | I::MemoryCopy { .. }
                | I::MemoryInit { .. }
                | I::DataDrop { .. }
                | I::AtomicWait { .. }
                | I::TableGrow { .. }
                | I::TableFill { .. }
                | I::TableCopy { .. }
                | I::TableInit { .. }
                | I::ElementDrop { .. }
        )
    }

    /// Whether this may trap by itself, without calling anything.
    pub fn may_trap(&self) -> bool {
        match self {
            Instruction::Unary { op, .. } => op.may_trap(),
            Instruction::Binary { op, .. } => op.may_trap(),
            Instruction::Load { .. }
            | Instruction::Store { .. }
            | Instruction::TableGet { .. }
            | Instruction::TableSet { .. }
            | Instruction::TrapIf { .. } => true,
            _ => false,
        }
    }

    /// Whether this does nothing but define its one register.
    pub fn only_defines(&self) -> bool {
        use Instruction as I;
        let is_pure = matches!(
            self,
            I::Const { .. }
                | I::Copy { .. }
                | I::Unary { .. }
                | I::Binary { .. }
                | I::Vector { .. }
                | I::Shuffle { .. }
                | I::Select { .. }
                | I::GlobalGet { .. }
                | I::MemorySize { .. }
                | I::TableSize { .. }
                | I::TableRefers { .. }
                | I::RefFunc { .. }
        );
        is_pure && !self.may_trap()
    }

    /// The memory that code accesses here by itself, without calling the runtime.
    pub fn accessed_memory(&self) -> Option<MemoryIndex> {
        use Instruction as I;
        match *self {
            I::Load { memory, .. } | I::Store { memory, .. } | I::MemorySize { memory, .. } => Some(memory),
            _ => None,
        }
    }

    /// What is passed, if this calls guest code.
    pub fn arguments(&self) -> Option<&[Register]> {
        match self {
            Instruction::Call { arguments, .. } | Instruction::CallIndirect { arguments, .. } => {
                Some(arguments)
            }
            _ => None,
        }
    }
}

/// How control leaves a block.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "fields say what they are")]
pub enum Terminator {
    /// Go to `target`.
    Jump { target: Block },
    /// Go to `if_true` if `condition` is not zero, else to `if_false`.
    Branch { condition: Register, if_true: Block, if_false: Block },
    /// Go to `targets[index]`, or to `default` if `index` (unsigned) is beyond them.
    Switch { index: Register, targets: Vec<Block>, default: Block },
    /// Go to `next` if `condition` is not zero, else to `exit`: a branch that speculates. Optimized code has nothing for
    /// `exit`, unless it gets there in another way: it leaves, and the activation continues at the [point] of `exit` in
    /// another tier.
    ///
    /// [point]: crate::PointKind::Guard
    Guard { condition: Register, next: Block, exit: Block },
    /// Leave the function.
    Return { values: Vec<Register> },
    /// Trap: [`Unreachable`](crate::TrapKind::Unreachable).
    Unreachable,
    /// Leave the function by a call: `function(arguments)` takes the place of the frame, and its results are returned. Right
    /// behind [`Instruction::Interpret`], so that compiled code never gets here.
    TailCall { function: FunctionIndex, arguments: Vec<Register> },
    /// The same of `table[index]`, if that function has `signature`.
    TailCallIndirect {
        table: TableIndex,
        signature: SignatureIndex,
        index: Register,
        arguments: Vec<Register>,
    },
    /// The activation becomes others, innermost first, each at a point of some body: the frame state that a guard leads to
    /// which exits here, of one activation or of several that were inlined. Each but the innermost waits for the results of
    /// the one before; what the outermost returns is returned. Right behind [`Instruction::Interpret`], so that compiled
    /// code never gets here.
    Deoptimize { frames: Vec<ResumedFrame> },
}

impl Terminator {
    /// Whether this is executed in the interpreter only, right behind [`Instruction::Interpret`].
    pub fn is_interpreted(&self) -> bool {
        self.is_tail_call() || matches!(self, Terminator::Deoptimize { .. })
    }

    /// Whether this leaves the function by a call.
    pub fn is_tail_call(&self) -> bool {
        matches!(self, Terminator::TailCall { .. } | Terminator::TailCallIndirect { .. })
    }

    /// Calls `visit` for each block that control may go to; a block may be visited more than once.
    pub fn each_successor(&self, mut visit: impl FnMut(Block)) {
        match self {
            Terminator::Jump { target } => visit(*target),
            Terminator::Branch { if_true, if_false, .. } => {
                visit(*if_true);
                visit(*if_false);
            }
            Terminator::Guard { next, exit, .. } => {
                visit(*next);
                visit(*exit);
            }
            Terminator::Switch { targets, default, .. } => {
                targets.iter().for_each(|target| visit(*target));
                visit(*default);
            }
            Terminator::Return { .. }
            | Terminator::Unreachable
            | Terminator::TailCall { .. }
            | Terminator::TailCallIndirect { .. }
            | Terminator::Deoptimize { .. } => {}
        }
    }

    /// How many blocks [`each_successor`](Self::each_successor) visits.
    pub(crate) fn successor_count(&self) -> usize {
        match self {
            Terminator::Jump { .. } => 1,
            Terminator::Branch { .. } | Terminator::Guard { .. } => 2,
            Terminator::Switch { targets, .. } => targets.len() + 1,
            Terminator::Return { .. }
            | Terminator::TailCall { .. }
            | Terminator::TailCallIndirect { .. }
            | Terminator::Deoptimize { .. }
            | Terminator::Unreachable => 0,
        }
    }

    /// The one that it visits as number `n`, of so many.
    pub(crate) fn successor(&self, n: usize) -> Block {
        match self {
            Terminator::Jump { target } => *target,
            Terminator::Branch { if_true: first, if_false: second, .. }
            | Terminator::Guard { next: first, exit: second, .. } => [*first, *second][n],
            Terminator::Switch { targets, default, .. } => targets.get(n).copied().unwrap_or(*default),
            Terminator::Return { .. }
            | Terminator::TailCall { .. }
            | Terminator::TailCallIndirect { .. }
            | Terminator::Deoptimize { .. }
            | Terminator::Unreachable => unreachable!("nothing follows"),
        }
    }

    /// The same, where `visit` may have control go elsewhere.
    pub fn each_successor_mut(&mut self, mut visit: impl FnMut(&mut Block)) {
        match self {
            Terminator::Jump { target } => visit(target),
            Terminator::Branch { if_true, if_false, .. } => [if_true, if_false].into_iter().for_each(visit),
            Terminator::Guard { next, exit, .. } => [next, exit].into_iter().for_each(visit),
            Terminator::Switch { targets, default, .. } => {
                targets.iter_mut().chain([default]).for_each(visit);
            }
            Terminator::Return { .. }
            | Terminator::Unreachable
            | Terminator::TailCall { .. }
            | Terminator::TailCallIndirect { .. }
            | Terminator::Deoptimize { .. } => {}
        }
    }
}
