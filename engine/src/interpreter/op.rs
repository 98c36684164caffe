//! Pre-decoded operations: 16 bytes each, registers as 16-bit indices into the window.
//!
//! The enum and the [handlers](super::handlers) of the operations that come in families (arithmetic,
//! branches on a comparison, loads, stores) are both generated from one table of names,
//! [`with_operations`]. The names say what is fused into an operation:
//! - `..Immediate`: the right operand, or the value stored, is in the operation;
//! - `Branch..`: jumps if the comparison holds; `Loop..` the same to a loop header, counting it;
//!   `BranchNot..`: jumps unless it holds (floats: that is not the opposite comparison);
//! - `Step..`: adds a constant to a register, then loops if it compares;
//! - `..At`: a constant address; `..Indexed`: one that is `base + (index << shift) + offset`; `..Scaled`:
//!   one that is `(index << shift) + constant + offset`;
//! - `..Loaded`: the right operand is in memory.
//!
//! Targets are distances in bytes from the step of the operation itself.

use osr_ir::{BinaryOp, LoadOp, StoreOp, TrapKind, Type, UnaryOp};

use crate::instance::function::Counter;
use crate::tiering::Account;

/// A word of the window: a register.
pub(super) type Slot = u16;

/// Where the counter of a function is, which is executing.
#[derive(Clone, Copy, Debug)]
pub(super) struct CounterAddress(*const Counter);

// SAFETY: counters are shared by all threads.
unsafe impl Send for CounterAddress {}
// SAFETY: as above.
unsafe impl Sync for CounterAddress {}

impl CounterAddress {
    /// That of `counter`.
    pub(super) fn of(counter: &Counter) -> CounterAddress {
        CounterAddress(counter)
    }

    /// Counts one entry or back-edge.
    ///
    /// # Safety
    /// The instance that has the counter is there.
    #[inline(always)]
    pub(super) unsafe fn count(self) -> u32 {
        // SAFETY: the caller vouches for the instance, which never moves its functions' states.
        unsafe { (*self.0).count() }
    }

    /// Takes the last one back: it is counted elsewhere.
    ///
    /// # Safety
    /// As for [`Self::count`].
    pub(super) unsafe fn take_back(self) {
        // SAFETY: as in `count`.
        unsafe { (*self.0).take_back() }
    }
}

/// Where the account of a function is, which is executing.
#[derive(Clone, Copy, Debug)]
pub(super) struct AccountAddress(*const Account);

// SAFETY: accounts are shared by all threads.
unsafe impl Send for AccountAddress {}
// SAFETY: accounts are shared by all threads.
unsafe impl Sync for AccountAddress {}

impl AccountAddress {
    /// That of `account`.
    pub(super) fn of(account: &Account) -> AccountAddress {
        AccountAddress(account)
    }

    /// Charges so many instructions.
    ///
    /// # Safety
    /// The instance that has the account is there.
    #[inline(always)]
    pub(super) unsafe fn charge(self, work: u32) {
        // SAFETY: the caller vouches for the instance, which never moves its functions' states.
        unsafe { (*self.0).charge(1, work) }
    }
}

/// The table of families. Calls `$apply` with it.
macro_rules! with_operations {
    ($apply:ident) => {
        $apply! {
            unary {
                I32Clz I32Ctz I32Popcnt I32Eqz I32Extend8S I32Extend16S
                I64Clz I64Ctz I64Popcnt I64Eqz I64Extend8S I64Extend16S I64Extend32S
                F32Abs F32Neg F32Ceil F32Floor F32Trunc F32Nearest F32Sqrt
                F64Abs F64Neg F64Ceil F64Floor F64Trunc F64Nearest F64Sqrt
                I32WrapI64 I64ExtendI32S
                I32TruncSatF32S I32TruncSatF32U I32TruncSatF64S I32TruncSatF64U
                I64TruncSatF32S I64TruncSatF32U I64TruncSatF64S I64TruncSatF64U
                F32ConvertI32S F32ConvertI32U F32ConvertI64S F32ConvertI64U
                F64ConvertI32S F64ConvertI32U F64ConvertI64S F64ConvertI64U
                F32DemoteF64 F64PromoteF32
            }
            partial_unary {
                I32TruncF32S I32TruncF32U I32TruncF64S I32TruncF64U
                I64TruncF32S I64TruncF32U I64TruncF64S I64TruncF64U
            }
            binary {
                I32Add I32AddImmediate, I32Sub I32SubImmediate, I32Mul I32MulImmediate,
                I32And I32AndImmediate, I32Or I32OrImmediate, I32Xor I32XorImmediate,
                I32Shl I32ShlImmediate, I32ShrS I32ShrSImmediate, I32ShrU I32ShrUImmediate,
                I32Rotl I32RotlImmediate, I32Rotr I32RotrImmediate,
                I32Eq I32EqImmediate, I32Ne I32NeImmediate, I32LtS I32LtSImmediate, I32LtU I32LtUImmediate,
                I32GtS I32GtSImmediate, I32GtU I32GtUImmediate, I32LeS I32LeSImmediate,
                I32LeU I32LeUImmediate, I32GeS I32GeSImmediate, I32GeU I32GeUImmediate,
                I64Add I64AddImmediate, I64Sub I64SubImmediate, I64Mul I64MulImmediate,
                I64And I64AndImmediate, I64Or I64OrImmediate, I64Xor I64XorImmediate,
                I64Shl I64ShlImmediate, I64ShrS I64ShrSImmediate, I64ShrU I64ShrUImmediate,
                I64Rotl I64RotlImmediate, I64Rotr I64RotrImmediate,
                I64Eq I64EqImmediate, I64Ne I64NeImmediate, I64LtS I64LtSImmediate, I64LtU I64LtUImmediate,
                I64GtS I64GtSImmediate, I64GtU I64GtUImmediate, I64LeS I64LeSImmediate,
                I64LeU I64LeUImmediate, I64GeS I64GeSImmediate, I64GeU I64GeUImmediate,
                F32Add F32AddImmediate, F32Sub F32SubImmediate, F32Mul F32MulImmediate,
                F32Div F32DivImmediate, F32Min F32MinImmediate, F32Max F32MaxImmediate,
                F32Copysign F32CopysignImmediate, F32Eq F32EqImmediate, F32Ne F32NeImmediate,
                F32Lt F32LtImmediate, F32Gt F32GtImmediate, F32Le F32LeImmediate, F32Ge F32GeImmediate,
                F64Add F64AddImmediate, F64Sub F64SubImmediate, F64Mul F64MulImmediate,
                F64Div F64DivImmediate, F64Min F64MinImmediate, F64Max F64MaxImmediate,
                F64Copysign F64CopysignImmediate, F64Eq F64EqImmediate, F64Ne F64NeImmediate,
                F64Lt F64LtImmediate, F64Gt F64GtImmediate, F64Le F64LeImmediate, F64Ge F64GeImmediate,
            }
            partial_binary {
                I32DivS I32DivSImmediate, I32DivU I32DivUImmediate,
                I32RemS I32RemSImmediate, I32RemU I32RemUImmediate,
                I64DivS I64DivSImmediate, I64DivU I64DivUImmediate,
                I64RemS I64RemSImmediate, I64RemU I64RemUImmediate,
            }
            left_immediate {
                I32Sub ImmediateI32Sub, I32Shl ImmediateI32Shl, I64Sub ImmediateI64Sub,
                I64Shl ImmediateI64Shl, F32Sub ImmediateF32Sub, F32Div ImmediateF32Div,
                F64Sub ImmediateF64Sub, F64Div ImmediateF64Div,
            }
            branch {
                I32Eq true integer BranchI32Eq BranchI32EqImmediate LoopI32Eq LoopI32EqImmediate,
                I32Ne true integer BranchI32Ne BranchI32NeImmediate LoopI32Ne LoopI32NeImmediate,
                I32LtS true integer BranchI32LtS BranchI32LtSImmediate LoopI32LtS LoopI32LtSImmediate,
                I32LtU true integer BranchI32LtU BranchI32LtUImmediate LoopI32LtU LoopI32LtUImmediate,
                I32GtS true integer BranchI32GtS BranchI32GtSImmediate LoopI32GtS LoopI32GtSImmediate,
                I32GtU true integer BranchI32GtU BranchI32GtUImmediate LoopI32GtU LoopI32GtUImmediate,
                I32LeS true integer BranchI32LeS BranchI32LeSImmediate LoopI32LeS LoopI32LeSImmediate,
                I32LeU true integer BranchI32LeU BranchI32LeUImmediate LoopI32LeU LoopI32LeUImmediate,
                I32GeS true integer BranchI32GeS BranchI32GeSImmediate LoopI32GeS LoopI32GeSImmediate,
                I32GeU true integer BranchI32GeU BranchI32GeUImmediate LoopI32GeU LoopI32GeUImmediate,
                I32And true integer BranchI32And BranchI32AndImmediate LoopI32And LoopI32AndImmediate,
                I32And false integer BranchNotI32And BranchNotI32AndImmediate LoopNotI32And LoopNotI32AndImmediate,
                I64Eq true integer BranchI64Eq BranchI64EqImmediate LoopI64Eq LoopI64EqImmediate,
                I64Ne true integer BranchI64Ne BranchI64NeImmediate LoopI64Ne LoopI64NeImmediate,
                I64LtS true integer BranchI64LtS BranchI64LtSImmediate LoopI64LtS LoopI64LtSImmediate,
                I64LtU true integer BranchI64LtU BranchI64LtUImmediate LoopI64LtU LoopI64LtUImmediate,
                I64GtS true integer BranchI64GtS BranchI64GtSImmediate LoopI64GtS LoopI64GtSImmediate,
                I64GtU true integer BranchI64GtU BranchI64GtUImmediate LoopI64GtU LoopI64GtUImmediate,
                I64LeS true integer BranchI64LeS BranchI64LeSImmediate LoopI64LeS LoopI64LeSImmediate,
                I64LeU true integer BranchI64LeU BranchI64LeUImmediate LoopI64LeU LoopI64LeUImmediate,
                I64GeS true integer BranchI64GeS BranchI64GeSImmediate LoopI64GeS LoopI64GeSImmediate,
                I64GeU true integer BranchI64GeU BranchI64GeUImmediate LoopI64GeU LoopI64GeUImmediate,
                F32Eq true single BranchF32Eq BranchF32EqImmediate LoopF32Eq LoopF32EqImmediate,
                F32Ne true single BranchF32Ne BranchF32NeImmediate LoopF32Ne LoopF32NeImmediate,
                F32Lt true single BranchF32Lt BranchF32LtImmediate LoopF32Lt LoopF32LtImmediate,
                F32Gt true single BranchF32Gt BranchF32GtImmediate LoopF32Gt LoopF32GtImmediate,
                F32Le true single BranchF32Le BranchF32LeImmediate LoopF32Le LoopF32LeImmediate,
                F32Ge true single BranchF32Ge BranchF32GeImmediate LoopF32Ge LoopF32GeImmediate,
                F32Lt false single BranchNotF32Lt BranchNotF32LtImmediate LoopNotF32Lt LoopNotF32LtImmediate,
                F32Gt false single BranchNotF32Gt BranchNotF32GtImmediate LoopNotF32Gt LoopNotF32GtImmediate,
                F32Le false single BranchNotF32Le BranchNotF32LeImmediate LoopNotF32Le LoopNotF32LeImmediate,
                F32Ge false single BranchNotF32Ge BranchNotF32GeImmediate LoopNotF32Ge LoopNotF32GeImmediate,
                F64Eq true double BranchF64Eq BranchF64EqImmediate LoopF64Eq LoopF64EqImmediate,
                F64Ne true double BranchF64Ne BranchF64NeImmediate LoopF64Ne LoopF64NeImmediate,
                F64Lt true double BranchF64Lt BranchF64LtImmediate LoopF64Lt LoopF64LtImmediate,
                F64Gt true double BranchF64Gt BranchF64GtImmediate LoopF64Gt LoopF64GtImmediate,
                F64Le true double BranchF64Le BranchF64LeImmediate LoopF64Le LoopF64LeImmediate,
                F64Ge true double BranchF64Ge BranchF64GeImmediate LoopF64Ge LoopF64GeImmediate,
                F64Lt false double BranchNotF64Lt BranchNotF64LtImmediate LoopNotF64Lt LoopNotF64LtImmediate,
                F64Gt false double BranchNotF64Gt BranchNotF64GtImmediate LoopNotF64Gt LoopNotF64GtImmediate,
                F64Le false double BranchNotF64Le BranchNotF64LeImmediate LoopNotF64Le LoopNotF64LeImmediate,
                F64Ge false double BranchNotF64Ge BranchNotF64GeImmediate LoopNotF64Ge LoopNotF64GeImmediate,
            }
            step {
                I32Ne StepI32Ne StepI32NeImmediate, I32LtS StepI32LtS StepI32LtSImmediate,
                I32LtU StepI32LtU StepI32LtUImmediate, I32GtS StepI32GtS StepI32GtSImmediate,
                I32GtU StepI32GtU StepI32GtUImmediate, I32LeS StepI32LeS StepI32LeSImmediate,
                I32GeS StepI32GeS StepI32GeSImmediate,
            }
            multiply_add {
                F32Add F32Mul F32MultiplyAdd, F64Add F64Mul F64MultiplyAdd,
                I32Add I32Mul I32MultiplyAdd, I64Add I64Mul I64MultiplyAdd,
                F64Sub F64Mul F64MultiplySubtract,
            }
            loaded {
                I32Add I32Load I32AddLoaded (u32), F64Add F64Load F64AddLoaded (u64),
                F64Sub F64Load F64SubLoaded (u64), F64Mul F64Load F64MulLoaded (u64),
            }
            load {
                Load8U Load8UAt Load8UIndexed Load8UScaled (u8 as u32),
                Load8S32 Load8S32At Load8S32Indexed Load8S32Scaled (i8 as i32),
                Load8S64 Load8S64At Load8S64Indexed Load8S64Scaled (i8 as i64),
                Load16U Load16UAt Load16UIndexed Load16UScaled (u16 as u32),
                Load16S32 Load16S32At Load16S32Indexed Load16S32Scaled (i16 as i32),
                Load16S64 Load16S64At Load16S64Indexed Load16S64Scaled (i16 as i64),
                Load32 Load32At Load32Indexed Load32Scaled (u32 as u32),
                Load32S64 Load32S64At Load32S64Indexed Load32S64Scaled (i32 as i64),
                Load64 Load64At Load64Indexed Load64Scaled (u64 as u64),
            }
            store {
                Store8 Store8At Store8Indexed Store8Scaled Store8Immediate (u8),
                Store16 Store16At Store16Indexed Store16Scaled Store16Immediate (u16),
                Store32 Store32At Store32Indexed Store32Scaled Store32Immediate (u32),
                Store64 Store64At Store64Indexed Store64Scaled Store64Immediate (u64),
            }
        }
    };
}
pub(super) use with_operations;

macro_rules! define {
    (
        unary { $($unary:ident)* }
        partial_unary { $($partial_unary:ident)* }
        binary { $($binary:ident $binary_immediate:ident,)* }
        partial_binary { $($partial:ident $partial_immediate:ident,)* }
        left_immediate { $($left_op:ident $left:ident,)* }
        branch { $($branch_op:ident $holds:literal $kind:ident
            $branch:ident $branch_immediate:ident $loop:ident $loop_immediate:ident,)* }
        step { $($step_op:ident $step:ident $step_immediate:ident,)* }
        multiply_add { $($sum:ident $product:ident $multiply_add:ident,)* }
        loaded { $($loaded_op:ident $loaded_by:ident $loaded:ident ($loaded_memory:ident),)* }
        load { $($load:ident $load_at:ident $load_indexed:ident $load_scaled:ident ($memory:ident as $register:ident),)* }
        store { $($store:ident $store_at:ident $store_indexed:ident $store_scaled:ident $store_immediate:ident ($stored:ident),)* }
    ) => {
        /// An operation, or a word of operands that follows one.
        #[derive(Clone, Copy, Debug)]
        #[repr(u16)]
        #[allow(missing_docs, reason = "families are explained at the module's head")]
        pub(super) enum Op {
            $($unary { dst: Slot, src: Slot },)*
            $($partial_unary { dst: Slot, src: Slot },)*
            $($binary { dst: Slot, lhs: Slot, rhs: Slot },)*
            $($binary_immediate { dst: Slot, lhs: Slot, immediate: u64 },)*
            $($partial { dst: Slot, lhs: Slot, rhs: Slot },)*
            $($partial_immediate { dst: Slot, lhs: Slot, immediate: u64 },)*
            $($left { dst: Slot, rhs: Slot, immediate: u64 },)*
            $($branch { lhs: Slot, rhs: Slot, target: i32 },)*
            $($branch_immediate { lhs: Slot, immediate: i32, target: i32 },)*
            $($loop { lhs: Slot, rhs: Slot, target: i32 },)*
            $($loop_immediate { lhs: Slot, immediate: i32, target: i32 },)*
            $($step { dst: Slot, src: Slot, rhs: Slot, by: i32, target: i32 },)*
            $($step_immediate { dst: Slot, src: Slot, immediate: i16, by: i32, target: i32 },)*
            $($multiply_add { dst: Slot, a: Slot, b: Slot, c: Slot },)*
            $($loaded { dst: Slot, lhs: Slot, address: Slot, by: u32, offset: u32 },)*
            $($load { dst: Slot, address: Slot, offset: u32 },)*
            $($load_at { dst: Slot, address: u64 },)*
            $($load_indexed { dst: Slot, base: Slot, index: Slot, shift: u16, offset: u32 },)*
            $($load_scaled { dst: Slot, index: Slot, shift: u16, by: u32, offset: u32 },)*
            $($store { address: Slot, value: Slot, offset: u32 },)*
            $($store_at { value: Slot, address: u64 },)*
            $($store_indexed { value: Slot, base: Slot, index: Slot, shift: u16, offset: u32 },)*
            $($store_scaled { value: Slot, index: Slot, shift: u16, by: u32, offset: u32 },)*
            $($store_immediate { address: Slot, offset: u32, immediate: u64 },)*

            Const { dst: Slot, value: u64 },
            Copy { dst: Slot, src: Slot },
            /// Two copies, one after the other.
            Copy2 { dst: Slot, src: Slot, dst2: Slot, src2: Slot },
            /// Two additions of small constants, one after the other.
            I32AddImmediate2 { dst: Slot, lhs: Slot, dst2: Slot, lhs2: Slot, by: i16, by2: i16 },
            /// `dst = src * factor + by`, 32 bits.
            I32MultiplyAddImmediate { dst: Slot, src: Slot, factor: u32, by: u32 },
            Select { dst: Slot, condition: Slot, if_true: Slot, if_false: Slot },
            /// `dst = c - a * b`, rounded twice.
            F64SubtractProduct { dst: Slot, a: Slot, b: Slot, c: Slot },
            /// `dst = base + (index << shift)`, 32 bits.
            ShiftAdd { dst: Slot, base: Slot, index: Slot, shift: u16 },
            GlobalGet { dst: Slot, global: u32 },
            GlobalSet { src: Slot, global: u32 },
            MemorySize { dst: Slot },
            /// Any other instruction that calls no guest code: by number in [`Code`](super::Code).
            Runtime { instruction: u32 },

            Jump { target: i32 },
            /// A jump to a loop header, counting it.
            Loop { target: i32 },
            /// Begins a loop header. The `Loop..` operations count for it and continue behind it.
            LoopHeader { point: u32, counter: CounterAddress },
            /// A long way has led here, of so many instructions that are not charged yet.
            Passage { work: u32, account: AccountAddress },
            /// `count + 1` `Jump`s follow, of which the last is the default.
            Switch { index: Slot, count: u32 },
            Unreachable {},
            TrapIf { condition: Slot, kind: TrapKind },

            /// `Registers` of the arguments follow, at least one. The callee's window is `window` words from this one;
            /// `dst` is for a single result.
            Call { dst: Slot, arguments: u16, function: u32, window: u32 },
            /// `Table`, then `Registers` of the arguments follow, at least one.
            CallIndirect { dst: Slot, arguments: u16, index: Slot, window: u32 },
            /// `Registers` of the arguments follow, at least one. The callee's frame takes the place of this one.
            TailCall { arguments: u16, function: u32 },
            /// `Table`, then `Registers` of the arguments follow, at least one.
            TailCallIndirect { arguments: u16, index: Slot },
            /// The frame becomes those that the end of the block says.
            Deoptimize { block: u32 },
            /// Which table an indirect call uses, and what the upper half of a reference must be.
            Table { table: u32, expected: u32 },
            /// Seven more entries of a list of registers.
            Registers([Slot; 7]),
            /// Copies results from `window` words beyond to the `Registers` that follow.
            Results { count: u16, window: u32 },
            Return0 {},
            Return1 { src: Slot },
            /// Returns the `Registers` that follow, by way of the words from `scratch` on.
            Return { count: u16, scratch: u32 },

            /// All of an imported function's code: calls the host with the window as it is.
            Host {},
        }

        impl Op {
            /// `dst = op src`.
            pub(super) fn unary(op: UnaryOp, dst: Slot, src: Slot) -> Op {
                match op {
                    $(UnaryOp::$unary => Op::$unary { dst, src },)*
                    $(UnaryOp::$partial_unary => Op::$partial_unary { dst, src },)*
                    UnaryOp::RefIsNull | UnaryOp::ExternIsNull | UnaryOp::ExnIsNull => Op::I64Eqz { dst, src },
                    // The word stays the same: its upper half is zero where the type has 32 bits.
                    UnaryOp::I64ExtendI32U
                    | UnaryOp::I32ReinterpretF32
                    | UnaryOp::I64ReinterpretF64
                    | UnaryOp::F32ReinterpretI32
                    | UnaryOp::F64ReinterpretI64 => Op::Copy { dst, src },
                }
            }

            /// `dst = op lhs, rhs`.
            pub(super) fn binary(op: BinaryOp, dst: Slot, lhs: Slot, rhs: Slot) -> Op {
                match op {
                    $(BinaryOp::$binary => Op::$binary { dst, lhs, rhs },)*
                    $(BinaryOp::$partial => Op::$partial { dst, lhs, rhs },)*
                }
            }

            /// `dst = op lhs, immediate`.
            pub(super) fn binary_immediate(op: BinaryOp, dst: Slot, lhs: Slot, immediate: u64) -> Op {
                match op {
                    $(BinaryOp::$binary => Op::$binary_immediate { dst, lhs, immediate },)*
                    $(BinaryOp::$partial => Op::$partial_immediate { dst, lhs, immediate },)*
                }
            }

            /// `dst = op immediate, rhs`, if there is such an operation.
            pub(super) fn left_immediate(op: BinaryOp, dst: Slot, immediate: u64, rhs: Slot) -> Option<Op> {
                match op {
                    $(BinaryOp::$left_op => Some(Op::$left { dst, rhs, immediate }),)*
                    _ => None,
                }
            }

            /// A branch, to a loop header if `counts`, that is taken if `op lhs, rhs` is not zero as
            /// `holds` says. The target is not set.
            pub(super) fn branch(op: BinaryOp, holds: bool, counts: bool, lhs: Slot, rhs: Slot) -> Option<Op> {
                let target = 0;
                match (op, holds, counts) {
                    $((BinaryOp::$branch_op, $holds, false) => Some(Op::$branch { lhs, rhs, target }),)*
                    $((BinaryOp::$branch_op, $holds, true) => Some(Op::$loop { lhs, rhs, target }),)*
                    _ => None,
                }
            }

            /// As [`Op::branch`], comparing with an encoded [`immediate`].
            pub(super) fn branch_immediate(
                op: BinaryOp,
                holds: bool,
                counts: bool,
                lhs: Slot,
                immediate: i32,
            ) -> Option<Op> {
                let target = 0;
                match (op, holds, counts) {
                    $((BinaryOp::$branch_op, $holds, false) => Some(Op::$branch_immediate { lhs, immediate, target }),)*
                    $((BinaryOp::$branch_op, $holds, true) => Some(Op::$loop_immediate { lhs, immediate, target }),)*
                    _ => None,
                }
            }

            /// `dst = src + by`, then a branch to a loop header if `op dst, rhs`. No target yet.
            pub(super) fn step(op: BinaryOp, dst: Slot, src: Slot, by: i32, rhs: Slot) -> Option<Op> {
                match op {
                    $(BinaryOp::$step_op => Some(Op::$step { dst, src, rhs, by, target: 0 }),)*
                    _ => None,
                }
            }

            /// As [`Op::step`], comparing with a constant.
            pub(super) fn step_immediate(op: BinaryOp, dst: Slot, src: Slot, by: i32, immediate: i16) -> Option<Op> {
                match op {
                    $(BinaryOp::$step_op => Some(Op::$step_immediate { dst, src, immediate, by, target: 0 }),)*
                    _ => None,
                }
            }

            /// `dst = sum (product a, b), c`, if there is such an operation.
            pub(super) fn multiply_add(sum: BinaryOp, product: BinaryOp, [dst, a, b, c]: [Slot; 4]) -> Option<Op> {
                match (sum, product) {
                    $((BinaryOp::$sum, BinaryOp::$product) => Some(Op::$multiply_add { dst, a, b, c }),)*
                    _ => None,
                }
            }

            /// `dst = op lhs, memory[address + by + offset]`, where `by` wraps, if there is such an operation.
            pub(super) fn loaded(op: BinaryOp, load: LoadOp, dst: Slot, lhs: Slot, at: (Slot, u32, u32)) -> Option<Op> {
                let (address, by, offset) = at;
                match (op, load) {
                    $((BinaryOp::$loaded_op, LoadOp::$loaded_by) => {
                        Some(Op::$loaded { dst, lhs, address, by, offset })
                    })*
                    _ => None,
                }
            }

            /// The distance that a branch goes.
            pub(super) fn target_mut(&mut self) -> Option<&mut i32> {
                match self {
                    $(Op::$branch { target, .. }
                    | Op::$branch_immediate { target, .. }
                    | Op::$loop { target, .. }
                    | Op::$loop_immediate { target, .. } => Some(target),)*
                    $(Op::$step { target, .. } | Op::$step_immediate { target, .. } => Some(target),)*
                    Op::Jump { target } | Op::Loop { target } => Some(target),
                    _ => None,
                }
            }
        }
    };
}
with_operations!(define);

const _: () = assert!(size_of::<Op>() == 16, "an operation has two words");

/// Where a load or store finds its address.
#[derive(Clone, Copy, Debug)]
pub(super) enum Address {
    /// `register + offset`.
    Register(Slot, u32),
    /// A constant, offset included.
    Constant(u64),
    /// `base + (index << shift)`, 32 bits, `+ offset`.
    Indexed {
        /// The register that is added unshifted.
        base: Slot,
        /// The register that is shifted.
        index: Slot,
        /// By how much.
        shift: u16,
        /// The constant that is added without wrapping.
        offset: u32,
    },
    /// `(index << shift) + by`, 32 bits, `+ offset`.
    Scaled {
        /// The register that is shifted.
        index: Slot,
        /// By how much.
        shift: u16,
        /// The constant that is added, wrapping.
        by: u32,
        /// The constant that is added without wrapping.
        offset: u32,
    },
}

macro_rules! access {
    ($place:expr, $operand:ident, $register:ident $at:ident $indexed:ident $scaled:ident) => {
        match $place {
            Address::Register(address, offset) => Op::$register { $operand, address, offset },
            Address::Constant(address) => Op::$at { $operand, address },
            Address::Indexed { base, index, shift, offset } => {
                Op::$indexed { $operand, base, index, shift, offset }
            }
            Address::Scaled { index, shift, by, offset } => {
                Op::$scaled { $operand, index, shift, by, offset }
            }
        }
    };
}

impl Op {
    /// `dst = memory[address]`.
    pub(super) fn load(op: LoadOp, dst: Slot, address: Address) -> Op {
        use LoadOp as L;
        match op {
            L::I32Load8U | L::I64Load8U => access!(address, dst, Load8U Load8UAt Load8UIndexed Load8UScaled),
            L::I32Load8S => access!(address, dst, Load8S32 Load8S32At Load8S32Indexed Load8S32Scaled),
            L::I64Load8S => access!(address, dst, Load8S64 Load8S64At Load8S64Indexed Load8S64Scaled),
            L::I32Load16U | L::I64Load16U => {
                access!(address, dst, Load16U Load16UAt Load16UIndexed Load16UScaled)
            }
            L::I32Load16S => access!(address, dst, Load16S32 Load16S32At Load16S32Indexed Load16S32Scaled),
            L::I64Load16S => access!(address, dst, Load16S64 Load16S64At Load16S64Indexed Load16S64Scaled),
            L::I32Load | L::F32Load | L::I64Load32U => {
                access!(address, dst, Load32 Load32At Load32Indexed Load32Scaled)
            }
            L::I64Load32S => access!(address, dst, Load32S64 Load32S64At Load32S64Indexed Load32S64Scaled),
            L::I64Load | L::F64Load => access!(address, dst, Load64 Load64At Load64Indexed Load64Scaled),
            L::V128Load | L::V128Load32Zero | L::V128Load64Zero => {
                unreachable!("vectors are loaded as they are")
            }
        }
    }

    /// `memory[address] = value`.
    pub(super) fn store(op: StoreOp, address: Address, value: Slot) -> Op {
        match op.bytes() {
            1 => access!(address, value, Store8 Store8At Store8Indexed Store8Scaled),
            2 => access!(address, value, Store16 Store16At Store16Indexed Store16Scaled),
            4 => access!(address, value, Store32 Store32At Store32Indexed Store32Scaled),
            _ => access!(address, value, Store64 Store64At Store64Indexed Store64Scaled),
        }
    }

    /// `memory[address + offset] = immediate`.
    pub(super) fn store_immediate(op: StoreOp, address: Slot, offset: u32, immediate: u64) -> Op {
        match op.bytes() {
            1 => Op::Store8Immediate { address, offset, immediate },
            2 => Op::Store16Immediate { address, offset, immediate },
            4 => Op::Store32Immediate { address, offset, immediate },
            _ => Op::Store64Immediate { address, offset, immediate },
        }
    }
}

/// Constants that a branch compares with, in 32 bits: integers sign-extended, doubles as singles.
pub(super) mod immediate {
    use super::Type;

    /// The encoding of the constant `word` of type `ty`, if it has one.
    pub(in crate::interpreter) fn encode(ty: Type, word: u64) -> Option<i32> {
        match ty {
            Type::I32 | Type::F32 => Some(word as u32 as i32),
            Type::I64 | Type::Funcref | Type::Externref | Type::Exnref => i32::try_from(word as i64).ok(),
            Type::V128 => None,
            Type::F64 => {
                let single = f64::from_bits(word) as f32;
                let is_exact = f64::from(single).to_bits() == word && !single.is_nan();
                is_exact.then_some(single.to_bits() as i32)
            }
        }
    }

    /// The word of an integer constant: for 32-bit operations the lower half counts.
    #[inline(always)]
    pub(in crate::interpreter) fn integer(immediate: i32) -> u64 {
        i64::from(immediate) as u64
    }

    /// The word of an `f32` constant.
    #[inline(always)]
    pub(in crate::interpreter) fn single(immediate: i32) -> u64 {
        u64::from(immediate as u32)
    }

    /// The word of an `f64` constant.
    #[inline(always)]
    pub(in crate::interpreter) fn double(immediate: i32) -> u64 {
        f64::from(f32::from_bits(immediate as u32)).to_bits()
    }
}
