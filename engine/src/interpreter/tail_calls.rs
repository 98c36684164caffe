//! Tail calls: the callee's frame takes the place of the caller's.
//!
//! ```text
//!    | header | window of f: r0 r1 ... |            | header | window of g: arguments ... |
//!      where f returns to                             where g returns to: the same
//! ```
//!
//! The header stays as it is but for the function, so g returns to the caller of f, wherever that waits. If f was the
//! outermost frame of the activation, that is the thunk that called the interpreter, which owns the return slot: if g
//! is compiled, the thunk's frame is replaced by that of g. So nothing grows, whatever frames and slots there are.
//!
//! Compiled code leaves for this ([`osr_ir::Instruction::Interpret`]): its frame lands here first.

use osr_compiler::EntryPoint;
use osr_compiler::reference::referenced;
use osr_ir::{FunctionIndex, Points, TableIndex, TrapKind};

use super::arrival::{Arrival, enter, go_on, observe};
use super::calls::{code_of, executing, exhausted, has_single_result, tier_up, trapped};
use super::code::Code;
use super::lists::gather;
use super::machine::{Activation, Next, Step};
use super::op::Op;
use super::{Outcome, listed};
use crate::event::Continuation;
use crate::event::statistics::Place;
use crate::instance::function::FunctionState;
use crate::settings::destination::Destination;
use crate::settings::{CompiledTier, Tier};
use crate::thread::Thread;
use crate::tiering;

/// The arguments of a tail call: their words' registers.
#[derive(Clone, Copy)]
struct Arguments {
    list: *const Step,
    count: u16,
}

/// Makes the tail call at `ip` of the frame at `window`, the innermost.
///
/// # Safety
/// There is such a frame of the activation, and such an operation.
#[inline(never)]
pub(super) unsafe fn tail_call(activation: &Activation<'_>, window: *mut u64, ip: *const Step) -> Next {
    // SAFETY: the caller vouches for the operation.
    let (index, count) = match unsafe { (*ip).op } {
        Op::TailCall { arguments: count, function } => {
            let arguments = Arguments { list: ip.wrapping_add(1), count };
            // SAFETY: the caller vouches for the frame.
            return unsafe { replace(activation, window, FunctionIndex::new(function as usize), arguments) };
        }
        Op::TailCallIndirect { arguments, index } => (index, arguments),
        op => unreachable!("{op:?} is no tail call"),
    };
    // SAFETY: the operation says so.
    let (index, table) = unsafe { (*window.add(usize::from(index)) as u32, (*ip.add(1)).op) };
    let Op::Table { table, expected } = table else {
        unreachable!("an indirect call says which table it uses")
    };
    let reference = activation.instance.table_get(TableIndex::new(table as usize), index);
    let kind = match reference {
        Ok(reference) if (reference >> 32) as u32 == expected => {
            let number = referenced(reference).expect("a reference of that signature is not null");
            let arguments = Arguments { list: ip.wrapping_add(2), count };
            // SAFETY: the caller vouches for the frame.
            return unsafe {
                match activation.instance.own_function(number) {
                    Some(function) => replace(activation, window, function, arguments),
                    None => foreign(activation, window, ip, number, arguments),
                }
            };
        }
        Ok(0) => TrapKind::UninitializedElement,
        Ok(_) => TrapKind::IndirectCallTypeMismatch,
        Err(_) => TrapKind::UndefinedElement,
    };
    // SAFETY: the caller vouches for the frame.
    unsafe { trapped(activation, window, ip, kind) }
}

/// Continues with `function` in the place of the frame at `window`.
///
/// # Safety
/// There is such a frame of the activation, which has the arguments.
unsafe fn replace(
    activation: &Activation<'_>,
    window: *mut u64,
    function: FunctionIndex,
    arguments: Arguments,
) -> Next {
    let (thread, instance) = (activation.thread, activation.instance);
    let function = instance.entered_body(function);
    let state = instance.function(function);
    let code = code_of(instance, state, function);
    // SAFETY: the caller vouches for the frame.
    let scratch = window.wrapping_add(executing(unsafe { activation.function_at(window) }).frame_words);
    let count = usize::from(arguments.count);
    if !activation.fits(scratch, count) || !activation.fits(window, code.frame_words) {
        exhausted(thread, function);
        return activation.leave(Outcome::Trap);
    }
    // SAFETY: there is room for the arguments beyond the frame, and for the new frame in its place.
    unsafe {
        gather(arguments.list, arguments.count, window, scratch);
        scratch.copy_to(window, count);
        activation.set_function_at(window, state);
    }
    let next = Next { ip: code.entry(), window };
    thread.values().set_top(window.wrapping_add(code.frame_words));
    let Some(tier) = tier(activation, function, state, window.wrapping_add(code.frame_words)) else {
        return activation.leave(Outcome::Trap);
    };
    let to = tier.and_then(|tier| continuation(thread, code, tier, window));
    let arrival = to.map_or(Arrival::Stays, |to| enter(activation, code, to, window));
    // SAFETY: the frame is the innermost.
    unsafe { go_on(activation, next, arrival) }
}

/// The tier of the code that calls of `function` enter, if it is compiled or is to be now. `top` is the first free word.
/// None: a trap is pending.
fn tier(
    activation: &Activation<'_>,
    function: FunctionIndex,
    state: &FunctionState,
    top: *mut u64,
) -> Option<Option<CompiledTier>> {
    let thread = activation.thread;
    let compiled = || {
        let has_code = |tier: &CompiledTier| state.code_at(*tier, EntryPoint::Function).is_some();
        CompiledTier::ALL.into_iter().rev().find(has_code)
    };
    match compiled() {
        Some(tier) => thread.reached(function, Points::entry()).then_some(Some(tier)),
        None if state.counter.count() < activation.threshold => Some(None),
        None => {
            let code = tier_up(thread, function, top)?;
            // Otherwise it was told already.
            let tells = code.is_null() || thread.reached(function, Points::entry());
            tells.then(|| if code.is_null() { None } else { compiled() })
        }
    }
}

/// The code of that tier that continues with the frame at `window`, which is at its entry.
fn continuation(thread: &Thread, code: &Code, tier: CompiledTier, window: *mut u64) -> Option<Continuation> {
    if !thread.has_native_stack() {
        return None;
    }
    let entry = Points::entry();
    let (address, tier) = tiering::landing(thread, code.function, entry, Destination::Compiled(tier))?;
    thread.count(|transitions| transitions.tier_up += 1);
    thread.count_move(Tier::Interpreter, tier.into(), Place::Entry);
    let to = Continuation { tier, code: address as u64 };
    observe(thread, code.function, entry, window, to);
    Some(to)
}

/// Calls the function of that number, which is one of another instance, for the operation at `ip` of the frame at `window`,
/// and returns what it returns. The native stack grows: the other instance has a thread of its own.
///
/// # Safety
/// There is such a frame of the activation, which has the arguments.
#[cold]
unsafe fn foreign(
    activation: &Activation<'_>,
    window: *mut u64,
    ip: *const Step,
    number: u32,
    arguments: Arguments,
) -> Next {
    let thread = activation.thread;
    // SAFETY: the caller vouches for the frame.
    let caller = executing(unsafe { activation.function_at(window) });
    let point = caller.trap_point(ip);
    let Some((instance, function)) = thread.foreign_function(number, caller.function, point) else {
        return activation.leave(Outcome::Trap);
    };
    let (scratch, words) = (window.wrapping_add(caller.frame_words), instance.transfer_words(function));
    if !thread.has_native_stack() || !activation.fits(scratch, words) {
        thread.set_trap(TrapKind::StackExhausted, caller.function, point);
        return activation.leave(Outcome::Trap);
    }
    // SAFETY: the frame is one of the activation. It does not wait, as its callee takes its place.
    activation.next.set(unsafe { listed::caller(activation, window) });
    thread.values().set_top(scratch.wrapping_add(words));
    let single = has_single_result(&instance, function);
    let results = instance.layout_of(function).results.len();
    // SAFETY: there is room for arguments and results, and a window has room for its own function's, which are as many.
    let is_done = unsafe {
        gather(arguments.list, arguments.count, window, scratch);
        let is_done = thread.call_foreign(&instance, function, scratch);
        scratch.copy_to(window, results);
        is_done
    };
    match (is_done, window == activation.base) {
        (true, true) => activation.leave(Outcome::Done),
        (false, true) => activation.leave(Outcome::Trap),
        // SAFETY: it is not the outermost frame, and it has ended.
        (true, false) => unsafe { go_on(activation, Next { ip, window }, Arrival::Returned { single }) },
        // SAFETY: as above.
        (false, false) => unsafe { go_on(activation, Next { ip, window }, Arrival::Trapped) },
    }
}
