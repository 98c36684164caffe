//! The handlers: what each operation does.
//!
//! They are generated from one list of operations and what they do with the [`Machine`]; those that come
//! in families are generated from the same table of names as the operations themselves.

use std::sync::atomic::Ordering;

use osr_compiler::reference::referenced;
use osr_ir::{Point, TrapKind};

use super::machine::{Activation, Bounds, Handler, Machine, Step};
use super::numeric::{Word, word};
use super::op::{Op, immediate, with_operations};
use super::{arrival, calls, deoptimize, lists, tail_calls};

/// `dst = memory[address]`, where memory holds a `$memory` and the register a `$register`.
macro_rules! load {
    ($m:ident, $dst:ident = $memory:ident as $register:ident, $address:expr) => {{
        match $m.place::<$memory>($address) {
            Some(place) => {
                $m.set($dst, (place.read_unaligned() as $register).to_word());
                $m.next()
            }
            None => $m.trap(TrapKind::MemoryOutOfBounds),
        }
    }};
}

/// `memory[address] = value`, where memory holds a `$memory`.
macro_rules! store {
    ($m:ident, $value:expr => $memory:ident, $address:expr) => {{
        match $m.place::<$memory>($address) {
            Some(place) => {
                place.write_unaligned($value as $memory);
                $m.next()
            }
            None => $m.trap(TrapKind::MemoryOutOfBounds),
        }
    }};
}

/// `dst = result`, unless that is a trap.
macro_rules! attempt {
    ($m:ident, $dst:ident = $result:expr) => {
        match $result {
            Ok(value) => {
                $m.set($dst, value);
                $m.next()
            }
            Err(kind) => $m.trap(kind),
        }
    };
}

/// Defines a function for each operation, in which `$m` is the machine, and [`handler`].
macro_rules! define {
    ($m:ident; $($name:ident { $($field:ident),* } $body:block)*) => {
        #[allow(non_snake_case, reason = "named as the operations")]
        mod operations {
            use super::*;
            $(
                pub(super) unsafe fn $name(
                    ip: *const Step,
                    window: *mut u64,
                    memory: Bounds,
                    activation: &Activation<'_>,
                ) {
                    let $m = Machine { ip, window, memory, activation };
                    // SAFETY: `ip` starts in a function's code and goes from operation to operation as
                    // decoding laid them out; every path ends in one that leaves. Registers are those of the
                    // body, which the verifier checked to be its own, and the window of each frame fits:
                    // this is checked by `run` for the first one and before each call for the others. The
                    // words below a window that is not the outermost are the header that its call wrote.
                    // Memory is accessed where `Bounds` allows it; tables below their length.
                    unsafe {
                        let Op::$name { $($field,)* .. } = (*ip).op else { std::hint::unreachable_unchecked() };
                        $body
                    }
                }
            )*
        }

        /// The handler of `op`.
        pub(super) fn handler(op: &Op) -> Handler {
            match op {
                $(Op::$name { .. } => operations::$name,)*
                Op::Table { .. } | Op::Registers(_) => operand,
            }
        }
    };
}

/// The handler of what is no operation.
unsafe fn operand(_: *const Step, _: *mut u64, _: Bounds, _: &Activation<'_>) {
    unreachable!("an operand, not an operation")
}

macro_rules! define_all {
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
        define! { m;
            $($unary { dst, src } {
                m.set(dst, word::$unary(m.get(src)));
                m.next()
            })*
            $($partial_unary { dst, src } { attempt!(m, dst = word::$partial_unary(m.get(src))) })*
            $($binary { dst, lhs, rhs } {
                m.set(dst, word::$binary(m.get(lhs), m.get(rhs)));
                m.next()
            }
            $binary_immediate { dst, lhs, immediate } {
                m.set(dst, word::$binary(m.get(lhs), immediate));
                m.next()
            })*
            $($partial { dst, lhs, rhs } { attempt!(m, dst = word::$partial(m.get(lhs), m.get(rhs))) }
            $partial_immediate { dst, lhs, immediate } {
                attempt!(m, dst = word::$partial(m.get(lhs), immediate))
            })*
            $($left { dst, rhs, immediate } {
                m.set(dst, word::$left_op(immediate, m.get(rhs)));
                m.next()
            })*
            $($branch { lhs, rhs, target } {
                m.branch((word::$branch_op(m.get(lhs), m.get(rhs)) != 0) == $holds, target)
            }
            $branch_immediate { lhs, immediate, target } {
                m.branch((word::$branch_op(m.get(lhs), immediate::$kind(immediate)) != 0) == $holds, target)
            }
            $loop { lhs, rhs, target } {
                m.loop_if((word::$branch_op(m.get(lhs), m.get(rhs)) != 0) == $holds, target)
            }
            $loop_immediate { lhs, immediate, target } {
                m.loop_if((word::$branch_op(m.get(lhs), immediate::$kind(immediate)) != 0) == $holds, target)
            })*
            $($step { dst, src, rhs, by } {
                let value = word::I32Add(m.get(src), immediate::integer(by));
                m.set(dst, value);
                let Op::$step { target, .. } = (*m.ip).op else { std::hint::unreachable_unchecked() };
                m.loop_if(word::$step_op(value, m.get(rhs)) != 0, target)
            }
            $step_immediate { dst, src, immediate, by } {
                let value = word::I32Add(m.get(src), immediate::integer(by));
                m.set(dst, value);
                let Op::$step_immediate { target, .. } = (*m.ip).op else { std::hint::unreachable_unchecked() };
                m.loop_if(word::$step_op(value, immediate::integer(immediate.into())) != 0, target)
            })*
            $($multiply_add { dst, a, b, c } {
                m.set(dst, word::$sum(word::$product(m.get(a), m.get(b)), m.get(c)));
                m.next()
            })*
            $($loaded { dst, lhs, address, by, offset } {
                match m.place::<$loaded_memory>(m.scaled(address, 0, by, offset)) {
                    Some(place) => {
                        m.set(dst, word::$loaded_op(m.get(lhs), place.read_unaligned().to_word()));
                        m.next()
                    }
                    None => m.trap(TrapKind::MemoryOutOfBounds),
                }
            })*
            $($load { dst, address, offset } {
                load!(m, dst = $memory as $register, m.offset(address, offset))
            }
            $load_at { dst, address } { load!(m, dst = $memory as $register, address) }
            $load_indexed { dst, base, index, shift, offset } {
                load!(m, dst = $memory as $register, m.indexed(base, index, shift, offset))
            }
            $load_scaled { dst, index, shift, by, offset } {
                load!(m, dst = $memory as $register, m.scaled(index, shift, by, offset))
            })*
            $($store { address, value, offset } {
                store!(m, m.get(value) => $stored, m.offset(address, offset))
            }
            $store_at { value, address } { store!(m, m.get(value) => $stored, address) }
            $store_indexed { value, base, index, shift, offset } {
                store!(m, m.get(value) => $stored, m.indexed(base, index, shift, offset))
            }
            $store_scaled { value, index, shift, by, offset } {
                store!(m, m.get(value) => $stored, m.scaled(index, shift, by, offset))
            }
            $store_immediate { address, offset, immediate } {
                store!(m, immediate => $stored, m.offset(address, offset))
            })*
            Const { dst, value } {
                m.set(dst, value);
                m.next()
            }
            Copy { dst, src } {
                m.set(dst, m.get(src));
                m.next()
            }
            Copy2 { dst, src, dst2, src2 } {
                m.set(dst, m.get(src));
                m.set(dst2, m.get(src2));
                m.next()
            }
            I32AddImmediate2 { dst, lhs, dst2, lhs2, by, by2 } {
                m.set(dst, word::I32Add(m.get(lhs), immediate::integer(by.into())));
                m.set(dst2, word::I32Add(m.get(lhs2), immediate::integer(by2.into())));
                m.next()
            }
            I32MultiplyAddImmediate { dst, src, factor, by } {
                m.set(dst, word::I32Add(word::I32Mul(m.get(src), factor.into()), by.into()));
                m.next()
            }
            Select { dst, condition, if_true, if_false } {
                let (if_true, if_false) = (m.get(if_true), m.get(if_false));
                m.set(dst, if m.get(condition) as u32 != 0 { if_true } else { if_false });
                m.next()
            }
            F64SubtractProduct { dst, a, b, c } {
                m.set(dst, word::F64Sub(m.get(c), word::F64Mul(m.get(a), m.get(b))));
                m.next()
            }
            ShiftAdd { dst, base, index, shift } {
                m.set(dst, m.indexed(base, index, shift, 0));
                m.next()
            }
            GlobalGet { dst, global } {
                m.set(dst, m.activation.instance.globals()[global as usize].load(Ordering::Relaxed));
                m.next()
            }
            GlobalSet { src, global } {
                m.activation.instance.globals()[global as usize].store(m.get(src), Ordering::Relaxed);
                m.next()
            }
            MemorySize { dst } {
                m.set(dst, m.memory.pages());
                m.next()
            }
            Runtime { instruction } {
                m.resume(calls::run_instruction(m.activation, m.window, m.ip, instruction))
            }

            Jump { target } { m.jump(target) }
            Loop { target } { m.loop_if(true, target) }
            LoopHeader { point, counter } {
                if counter.count() < m.activation.threshold {
                    return m.next();
                }
                let next = arrival::at_header(m.activation, m.window, m.ip, Point::new(point as usize));
                m.resume(next)
            }
            Passage { work, account } {
                account.charge(work);
                m.next()
            }
            Switch { index, count } {
                let case = m.ip.add(1 + (m.get(index) as u32).min(count) as usize);
                let Op::Jump { target } = (*case).op else { std::hint::unreachable_unchecked() };
                m.go(case.byte_offset(target as isize))
            }
            Unreachable {} { m.trap(TrapKind::Unreachable) }
            TrapIf { condition, kind } {
                if m.get(condition) as u32 == 0 { m.next() } else { m.trap(kind) }
            }

            Call { arguments, function, window } {
                m.call(function, m.ip.add(1), window, arguments, || {
                    let Op::Call { dst, .. } = (*m.ip).op else { std::hint::unreachable_unchecked() };
                    dst
                })
            }
            CallIndirect { arguments, index, window } {
                let Op::Table { table, expected } = (*m.ip.add(1)).op else { std::hint::unreachable_unchecked() };
                let view = &m.activation.instance.table_views()[table as usize];
                let index = u64::from(m.get(index) as u32);
                if index >= view.length.load(Ordering::Relaxed) {
                    return m.trap(TrapKind::UndefinedElement);
                }
                let reference = *view.entries.add(index as usize);
                if (reference >> 32) as u32 != expected {
                    return m.trap(match reference {
                        0 => TrapKind::UninitializedElement,
                        _ => TrapKind::IndirectCallTypeMismatch,
                    });
                }
                let number = referenced(reference).unwrap_unchecked();
                let Some(function) = m.activation.instance.own_function(number) else {
                    std::hint::cold_path();
                    return m.resume(calls::call_foreign(m.activation, m.window, m.ip, number));
                };
                m.call(function.as_u32(), m.ip.add(2), window, arguments, || {
                    let Op::CallIndirect { dst, .. } = (*m.ip).op else { std::hint::unreachable_unchecked() };
                    dst
                })
            }
            TailCall {} { m.resume(tail_calls::tail_call(m.activation, m.window, m.ip)) }
            TailCallIndirect {} { m.resume(tail_calls::tail_call(m.activation, m.window, m.ip)) }
            Deoptimize { block } { m.resume(deoptimize::deoptimize(m.activation, m.window, block)) }
            Results { count, window } {
                m.go(lists::scatter(m.ip.add(1), count, m.window.add(window as usize), m.window))
            }
            Return0 {} { m.leave() }
            Return1 { src } { m.leave_with(m.get(src)) }
            Return { count, scratch } {
                lists::gather_results(m.ip.add(1), count, m.window, scratch);
                m.leave()
            }
            Host {} { m.resume(calls::host(m.activation, m.window, m.ip)) }
        }
    };
}
with_operations!(define_all);
