//! The dispatch loop.
//!
//! One `match` over all operations, which compiles to one jump table; where execution is (`ip`), the
//! frame (`window`), the function's state and the bounds of memory stay in machine registers. Nothing in
//! the loop allocates, and what is rare or large is out of line, in [`calls`] and [`runtime`].
//!
//! A call of interpreted code writes the header of the callee's frame and goes on there; a return reads
//! it back. Only calls that leave the interpreter use the native stack, and only before those is the
//! value stack's top brought up to date. Traps leave the loop with their kind; where the operation stands
//! in the body is looked up then.

use std::sync::atomic::Ordering;

use osr_ir::{FunctionIndex, Point, TrapKind};

use super::calls::{self, Arrival, code_of, executing};
use super::numeric::{Word, word};
use super::op::{Op, Slot, immediate, with_operations};
use super::{Outcome, Start, runtime};
use crate::function::FunctionState;
use crate::settings::Tier;
use crate::table::referenced;
use crate::thread::Thread;

/// Executes `function` from `start` in the frame at `window`, as the base of an activation. The value
/// stack's top is on return what it was.
pub(crate) fn run(thread: &Thread, function: FunctionIndex, start: Start, window: *mut u64) -> Outcome {
    let instance = thread.instance();
    let state = instance.function(function);
    let code = code_of(instance, state, function);
    if !thread.values().fits(window, code.frame_words) {
        calls::exhausted(thread, function);
        return Outcome::Trap;
    }
    let first = match start {
        Start::Entry => code.entry(),
        Start::Point(point) => code.start(point),
    };
    let top = thread.values().top();
    // SAFETY: the window fits, and the caller put there what the function reads from `start` on.
    let outcome = unsafe { dispatch(thread, state, first, window) };
    thread.values().set_top(top);
    outcome
}

/// Size and place of linear memory: what loads and stores check against.
#[derive(Clone, Copy)]
struct Bounds {
    base: *mut u8,
    bytes: u64,
}

impl Bounds {
    /// As they are now. Stale after anything that may have grown the memory.
    #[inline(always)]
    fn of(thread: &Thread) -> Bounds {
        let memory = thread.instance().memory();
        Bounds {
            base: memory.map_or(std::ptr::null_mut(), |memory| memory.base()),
            bytes: memory.map_or(0, |memory| memory.bytes()),
        }
    }

    /// The place of a `T` at `address`, if it is in bounds. Addresses are below 2 to the 34.
    #[inline(always)]
    fn check<T>(self, address: u64) -> Option<*mut T> {
        (address + size_of::<T>() as u64 <= self.bytes)
            .then(|| self.base.wrapping_add(address as usize).cast())
    }
}

/// Copies the words of `count` registers, listed from `list` on, to `to`. Gives the operation behind
/// the list.
///
/// # Safety
/// `list` is a list of `count` registers of the window `from`; `to` has room for them.
#[inline(always)]
unsafe fn gather(mut list: *const Op, count: u16, from: *const u64, mut to: *mut u64) -> *const Op {
    let mut left = usize::from(count);
    while left > 0 {
        // SAFETY: the caller vouches for the list.
        let Op::Registers(registers) = (unsafe { &*list }) else { unreachable!("a list of registers") };
        for &register in registers.iter().take(left) {
            // SAFETY: the caller vouches for both places.
            unsafe {
                *to = *from.add(usize::from(register));
                to = to.add(1);
            }
        }
        left -= left.min(registers.len());
        list = list.wrapping_add(1);
    }
    list
}

/// Copies `count` words at `from` to the registers of `window` that are listed from `list` on. Gives
/// the operation behind the list.
///
/// # Safety
/// As for [`gather`], with the directions exchanged.
#[inline(never)]
unsafe fn scatter(mut list: *const Op, count: u16, mut from: *const u64, window: *mut u64) -> *const Op {
    let mut left = usize::from(count);
    while left > 0 {
        // SAFETY: the caller vouches for the list.
        let Op::Registers(registers) = (unsafe { &*list }) else { unreachable!("a list of registers") };
        for &register in registers.iter().take(left) {
            // SAFETY: the caller vouches for both places.
            unsafe {
                *window.add(usize::from(register)) = *from;
                from = from.add(1);
            }
        }
        left -= left.min(registers.len());
        list = list.wrapping_add(1);
    }
    list
}

/// Executes from `ip` on, in the frame at `base`, until that frame is left.
///
/// # Safety
/// `ip` is a place in the code of the function of `state` at which execution may start; its window
/// fits at `base` and holds the registers that are live there.
unsafe fn dispatch<'a>(
    thread: &'a Thread,
    mut state: &'a FunctionState,
    mut ip: *const Op,
    base: *mut u64,
) -> Outcome {
    let instance = thread.instance();
    // Where each arrival is observed, each is out of line.
    let threshold = if thread.wants_points() { 0 } else { instance.threshold(Tier::Interpreter) };
    let mut window = base;
    let mut memory = Bounds::of(thread);

    macro_rules! get {
        ($slot:expr) => {
            *window.add(usize::from($slot))
        };
    }
    macro_rules! set {
        ($slot:expr, $value:expr) => {
            *window.add(usize::from($slot)) = $value
        };
    }
    macro_rules! next {
        () => {
            ip = ip.add(1)
        };
    }
    // Leaves the operation with a trap.
    macro_rules! trap {
        ($kind:expr) => {
            break $kind
        };
    }
    macro_rules! attempt {
        ($result:expr) => {
            match $result {
                Ok(value) => value,
                Err(kind) => trap!(kind),
            }
        };
    }
    macro_rules! place {
        ($ty:ty, $address:expr) => {
            match memory.check::<$ty>($address) {
                Some(place) => place,
                None => trap!(TrapKind::MemoryOutOfBounds),
            }
        };
    }
    // The addresses that an operation may have.
    macro_rules! offset {
        ($address:expr, $offset:expr) => {
            u64::from(get!($address) as u32) + u64::from($offset)
        };
    }
    macro_rules! indexed {
        ($base:expr, $index:expr, $shift:expr, $offset:expr) => {{
            let scaled = (get!($index) as u32) << (u32::from($shift) & 31);
            u64::from((get!($base) as u32).wrapping_add(scaled)) + u64::from($offset)
        }};
    }
    macro_rules! scaled {
        ($index:expr, $shift:expr, $by:expr, $offset:expr) => {{
            let scaled = (get!($index) as u32) << (u32::from($shift) & 31);
            u64::from(scaled.wrapping_add($by)) + u64::from($offset)
        }};
    }
    // Goes to a loop header, counting it: to what is behind its own operation, unless that has to be
    // executed since the count is up.
    macro_rules! arrive {
        ($target:expr) => {{
            let header = ip.byte_offset($target as isize);
            ip = if state.count() >= threshold { header } else { header.add(1) };
        }};
    }
    // Leaves the innermost frame, whose results are taken care of: gives the register for a single one.
    macro_rules! pop {
        () => {{
            let header = window.cast_const();
            ip = *header.sub(4) as *const Op;
            state = &*(*header.sub(2) as *const FunctionState);
            window = *header.sub(3) as *mut u64;
            *header.sub(1) as Slot
        }};
    }
    // What becomes of the innermost frame, which may have found better code.
    macro_rules! go_on {
        ($arrival:expr) => {{
            match $arrival {
                Arrival::Stays => {}
                Arrival::Leaves(code) => return Outcome::Continue { code, state: window },
                Arrival::Returned { single } => {
                    let result = *window;
                    let dst = pop!();
                    if single {
                        set!(dst, result);
                    }
                }
                Arrival::Trapped => return Outcome::Trap,
            }
            memory = Bounds::of(thread);
        }};
    }
    macro_rules! call {
        ($function:expr, $dst:expr, $arguments:expr, $list:expr, $offset:expr) => {{
            let function = $function;
            let callee = window.add($offset as usize);
            let callee_state = instance.function(function);
            let mut native = callee_state.compiled.load(Ordering::Acquire).cast_const();
            if native.is_null() && callee_state.count() >= threshold {
                native = calls::tier_up(thread, function, callee);
            }
            if native.is_null() {
                let code = code_of(instance, callee_state, function);
                if !thread.values().fits(callee, code.frame_words) {
                    calls::exhausted(thread, function);
                    return Outcome::Trap;
                }
                *callee.sub(4) = gather($list, $arguments, window, callee) as u64;
                *callee.sub(3) = window as u64;
                *callee.sub(2) = std::ptr::from_ref(state) as u64;
                *callee.sub(1) = u64::from($dst);
                (window, state, ip) = (callee, callee_state, code.entry());
            } else {
                if !calls::has_room(thread, function, callee) {
                    return Outcome::Trap;
                }
                ip = gather($list, $arguments, window, callee);
                let result = window.add(usize::from($dst));
                if !calls::call_native(thread, function, native, callee, result) {
                    return Outcome::Trap;
                }
                memory = Bounds::of(thread);
                if state.counter.load(Ordering::Relaxed) >= threshold {
                    if let Op::Results { count, window: offset } = *ip {
                        ip = scatter(ip.add(1), count, window.add(offset as usize), window);
                    }
                    go_on!(calls::come_back(thread, state, ip, window, window == base));
                }
            }
        }};
    }
    macro_rules! step {
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
            match *ip {
                $(Op::$unary { dst, src } => {
                    set!(dst, word::$unary(get!(src)));
                    next!();
                })*
                $(Op::$partial_unary { dst, src } => {
                    set!(dst, attempt!(word::$partial_unary(get!(src))));
                    next!();
                })*
                $(Op::$binary { dst, lhs, rhs } => {
                    set!(dst, word::$binary(get!(lhs), get!(rhs)));
                    next!();
                }
                Op::$binary_immediate { dst, lhs, immediate } => {
                    set!(dst, word::$binary(get!(lhs), immediate));
                    next!();
                })*
                $(Op::$partial { dst, lhs, rhs } => {
                    set!(dst, attempt!(word::$partial(get!(lhs), get!(rhs))));
                    next!();
                }
                Op::$partial_immediate { dst, lhs, immediate } => {
                    set!(dst, attempt!(word::$partial(get!(lhs), immediate)));
                    next!();
                })*
                $(Op::$left { dst, rhs, immediate } => {
                    set!(dst, word::$left_op(immediate, get!(rhs)));
                    next!();
                })*
                $(Op::$branch { lhs, rhs, target } => {
                    if (word::$branch_op(get!(lhs), get!(rhs)) != 0) == $holds {
                        ip = ip.byte_offset(target as isize);
                    } else {
                        next!();
                    }
                }
                Op::$branch_immediate { lhs, immediate, target } => {
                    if (word::$branch_op(get!(lhs), immediate::$kind(immediate)) != 0) == $holds {
                        ip = ip.byte_offset(target as isize);
                    } else {
                        next!();
                    }
                }
                Op::$loop { lhs, rhs, target } => {
                    if (word::$branch_op(get!(lhs), get!(rhs)) != 0) == $holds {
                        arrive!(target);
                    } else {
                        next!();
                    }
                }
                Op::$loop_immediate { lhs, immediate, target } => {
                    if (word::$branch_op(get!(lhs), immediate::$kind(immediate)) != 0) == $holds {
                        arrive!(target);
                    } else {
                        next!();
                    }
                })*
                $(Op::$step { dst, src, rhs, by, target } => {
                    let value = word::I32Add(get!(src), immediate::integer(by));
                    set!(dst, value);
                    if word::$step_op(value, get!(rhs)) != 0 {
                        arrive!(target);
                    } else {
                        next!();
                    }
                }
                Op::$step_immediate { dst, src, immediate, by, target } => {
                    let value = word::I32Add(get!(src), immediate::integer(by));
                    set!(dst, value);
                    if word::$step_op(value, immediate::integer(immediate.into())) != 0 {
                        arrive!(target);
                    } else {
                        next!();
                    }
                })*
                $(Op::$multiply_add { dst, a, b, c } => {
                    set!(dst, word::$sum(word::$product(get!(a), get!(b)), get!(c)));
                    next!();
                })*
                $(Op::$loaded { dst, lhs, address, by, offset } => {
                    let place = place!($loaded_memory, scaled!(address, 0u16, by, offset));
                    set!(dst, word::$loaded_op(get!(lhs), place.read_unaligned().to_word()));
                    next!();
                })*
                $(Op::$load { dst, address, offset } => {
                    let place = place!($memory, offset!(address, offset));
                    set!(dst, (place.read_unaligned() as $register).to_word());
                    next!();
                }
                Op::$load_at { dst, address } => {
                    let place = place!($memory, address);
                    set!(dst, (place.read_unaligned() as $register).to_word());
                    next!();
                }
                Op::$load_indexed { dst, base, index, shift, offset } => {
                    let place = place!($memory, indexed!(base, index, shift, offset));
                    set!(dst, (place.read_unaligned() as $register).to_word());
                    next!();
                }
                Op::$load_scaled { dst, index, shift, by, offset } => {
                    let place = place!($memory, scaled!(index, shift, by, offset));
                    set!(dst, (place.read_unaligned() as $register).to_word());
                    next!();
                })*
                $(Op::$store { address, value, offset } => {
                    place!($stored, offset!(address, offset)).write_unaligned(get!(value) as $stored);
                    next!();
                }
                Op::$store_at { value, address } => {
                    place!($stored, address).write_unaligned(get!(value) as $stored);
                    next!();
                }
                Op::$store_indexed { value, base, index, shift, offset } => {
                    place!($stored, indexed!(base, index, shift, offset)).write_unaligned(get!(value) as $stored);
                    next!();
                }
                Op::$store_scaled { value, index, shift, by, offset } => {
                    place!($stored, scaled!(index, shift, by, offset)).write_unaligned(get!(value) as $stored);
                    next!();
                }
                Op::$store_immediate { address, offset, immediate } => {
                    place!($stored, offset!(address, offset)).write_unaligned(immediate as $stored);
                    next!();
                })*
                Op::Const { dst, value } => {
                    set!(dst, value);
                    next!();
                }
                Op::Copy { dst, src } => {
                    set!(dst, get!(src));
                    next!();
                }
                Op::Copy2 { dst, src, dst2, src2 } => {
                    set!(dst, get!(src));
                    set!(dst2, get!(src2));
                    next!();
                }
                Op::I32AddImmediate2 { dst, lhs, dst2, lhs2, by, by2 } => {
                    set!(dst, word::I32Add(get!(lhs), immediate::integer(by.into())));
                    set!(dst2, word::I32Add(get!(lhs2), immediate::integer(by2.into())));
                    next!();
                }
                Op::I32MultiplyAddImmediate { dst, src, factor, by } => {
                    set!(dst, word::I32Add(word::I32Mul(get!(src), factor.into()), by.into()));
                    next!();
                }
                Op::Select { dst, condition, if_true, if_false } => {
                    let chosen = if get!(condition) as u32 != 0 { if_true } else { if_false };
                    set!(dst, get!(chosen));
                    next!();
                }
                Op::F64SubtractProduct { dst, a, b, c } => {
                    set!(dst, word::F64Sub(get!(c), word::F64Mul(get!(a), get!(b))));
                    next!();
                }
                Op::ShiftAdd { dst, base, index, shift } => {
                    set!(dst, indexed!(base, index, shift, 0u32));
                    next!();
                }
                Op::GlobalGet { dst, global } => {
                    set!(dst, instance.globals()[global as usize].load(Ordering::Relaxed));
                    next!();
                }
                Op::GlobalSet { src, global } => {
                    instance.globals()[global as usize].store(get!(src), Ordering::Relaxed);
                    next!();
                }
                Op::MemorySize { dst } => {
                    set!(dst, memory.bytes / osr_ir::module::PAGE_BYTES);
                    next!();
                }
                Op::Runtime { instruction } => {
                    let instruction = &executing(state).instructions[instruction as usize];
                    attempt!(runtime::execute(instance, instruction, window));
                    memory = Bounds::of(thread);
                    next!();
                }
                Op::Jump { target } => ip = ip.byte_offset(target as isize),
                Op::Loop { target } => arrive!(target),
                Op::LoopHeader { point } => {
                    next!();
                    if state.count() >= threshold {
                        let point = Point::new(point as usize);
                        go_on!(calls::arrive(thread, state, point, window, window == base));
                    }
                }
                Op::Switch { index, count } => {
                    ip = ip.add(1 + (get!(index) as u32).min(count) as usize);
                    let Op::Jump { target } = *ip else { unreachable!("a jump per case") };
                    ip = ip.byte_offset(target as isize);
                }
                Op::Unreachable => trap!(TrapKind::Unreachable),
                Op::Call { dst, arguments, function, window: offset } => {
                    call!(FunctionIndex::new(function as usize), dst, arguments, ip.add(1), offset);
                }
                Op::CallIndirect { dst, arguments, index, window: offset } => {
                    let Op::Table { table, expected } = *ip.add(1) else { unreachable!("the call's table") };
                    let view = &instance.table_views()[table as usize];
                    let index = u64::from(get!(index) as u32);
                    if index >= view.length.load(Ordering::Relaxed) {
                        trap!(TrapKind::UndefinedElement);
                    }
                    let reference = *view.entries.add(index as usize);
                    if (reference >> 32) as u32 != expected {
                        trap!(match reference {
                            0 => TrapKind::UninitializedElement,
                            _ => TrapKind::IndirectCallTypeMismatch,
                        });
                    }
                    let number = referenced(reference).unwrap_unchecked();
                    match instance.own_function(number) {
                        Some(function) => call!(function, dst, arguments, ip.add(2), offset),
                        None => {
                            let callee = window.add(offset as usize);
                            let Some(foreign) = calls::foreign(thread, state, ip, number, callee) else {
                                return Outcome::Trap;
                            };
                            ip = gather(ip.add(2), arguments, window, callee);
                            if !foreign.call(thread, callee, window.add(usize::from(dst))) {
                                return Outcome::Trap;
                            }
                            memory = Bounds::of(thread);
                        }
                    }
                }
                Op::Results { count, window: offset } => {
                    ip = scatter(ip.add(1), count, window.add(offset as usize), window);
                }
                Op::Return0 => {
                    if window == base {
                        return Outcome::Done;
                    }
                    pop!();
                }
                Op::Return1 { src } => {
                    let result = get!(src);
                    if window == base {
                        *window = result;
                        return Outcome::Done;
                    }
                    let dst = pop!();
                    set!(dst, result);
                }
                Op::Return { count, scratch } => {
                    let scratch = window.add(scratch as usize);
                    gather(ip.add(1), count, window, scratch);
                    scratch.copy_to(window, usize::from(count));
                    if window == base {
                        return Outcome::Done;
                    }
                    pop!();
                }
                Op::Host => {
                    let function = executing(state).function;
                    if !calls::has_room(thread, function, window) || !thread.call_host(function, window) {
                        return Outcome::Trap;
                    }
                    memory = Bounds::of(thread);
                    next!();
                }
                Op::Table { .. } | Op::Registers(_) => unreachable!("an operand, not an operation"),
            }
        };
    }

    // SAFETY: `ip` starts in a function's code and goes from operation to operation as decoding laid
    // them out; every path ends in one that leaves. Registers are those of the body, which the verifier
    // checked to be its own, and the window of each frame fits: this is checked by `run` for the first
    // one and before each call for the others. The words below a window that is not `base` are the
    // header that its call wrote. Memory is accessed where `Bounds` allows it; tables below their
    // length. Function states live as long as the instance.
    let kind = unsafe {
        loop {
            with_operations!(step)
        }
    };
    calls::trap(thread, state, ip, kind);
    Outcome::Trap
}
