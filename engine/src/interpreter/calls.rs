//! What handlers do out of line: calls that are not of interpreted code, leaving interpreted code, and
//! trapping.

use std::sync::atomic::Ordering;

use osr_ir::{FunctionIndex, FunctionKind, Instruction, Points, TrapKind};

use super::arrival::{come_back, go_on, is_due};
use super::code::Code;
use super::decode::decode;
use super::exceptions::unwind;
use super::lists::{AT_ONCE, gather, scatter};
use super::machine::{Activation, Bounds, Header, Next, Step};
use super::op::{Op, Slot};
use super::{backtrace, lists, runtime};
use crate::instance::Instance;
use crate::instance::function::FunctionState;
use crate::thread::Thread;
use crate::thread::trap::Innermost;
use crate::tiering;

/// The code of `function`, whose state is `state`.
#[inline(always)]
pub(super) fn code_of<'a>(
    instance: &'a Instance,
    state: &'a FunctionState,
    function: FunctionIndex,
) -> &'a Code {
    state.code(|| decode(instance, function))
}

/// The code of a function that is executing.
#[inline(always)]
pub(super) fn executing(state: &FunctionState) -> &Code {
    state.code(|| unreachable!("it was decoded before it began"))
}

/// Ends the activation with the trap `kind`, at the operation at `ip` of the function whose frame is at
/// `window`.
///
/// # Safety
/// There is such a frame of the activation.
#[cold]
#[inline(never)]
pub(super) unsafe fn trap(activation: &Activation<'_>, window: *mut u64, ip: *const Step, kind: TrapKind) {
    // SAFETY: the caller vouches for the frame.
    let next = unsafe { trapped(activation, window, ip, kind) };
    activation.next.set(next);
}

/// What comes after the trap `kind`: nothing, unless it is an exception that is caught. Otherwise like [`trap`].
///
/// # Safety
/// As for [`trap`].
pub(super) unsafe fn trapped(
    activation: &Activation<'_>,
    window: *mut u64,
    ip: *const Step,
    kind: TrapKind,
) -> Next {
    // SAFETY: the caller vouches for the frame.
    let code = executing(unsafe { activation.function_at(window) });
    activation.thread.set_trap(kind, code.function, code.trap_point(ip));
    // SAFETY: as above. An instruction that throws is one operation.
    unsafe { unwind(activation, window, ip.wrapping_add(1), Innermost::Trapped) }
}

/// Makes stack exhaustion at the entry of `function` pending.
#[cold]
#[inline(never)]
pub(super) fn exhausted(thread: &Thread, function: FunctionIndex) {
    thread.set_trap(TrapKind::StackExhausted, function, Points::entry());
}

/// A call, as an operation says.
#[derive(Clone, Copy)]
pub(super) struct Call {
    /// The register for a single result.
    dst: Slot,
    arguments: u16,
    /// The list of the arguments' registers.
    list: *const Step,
    /// The callee's window.
    window: *mut u64,
}

impl Call {
    /// The call at `ip`, in the frame at `window`.
    ///
    /// # Safety
    /// There is one, and such a frame.
    pub(super) unsafe fn at(ip: *const Step, window: *mut u64) -> Call {
        // SAFETY: the caller vouches for the operation.
        let (dst, arguments, operands, offset) = match unsafe { (*ip).op } {
            Op::Call { dst, arguments, window, .. } => (dst, arguments, 0, window),
            Op::CallIndirect { dst, arguments, window, .. } => (dst, arguments, 1, window),
            op => unreachable!("{op:?} is no call"),
        };
        let list = ip.wrapping_add(1 + operands);
        Call { dst, arguments, list, window: window.wrapping_add(offset as usize) }
    }

    /// Where it returns to.
    pub(super) fn behind(&self) -> *const Step {
        self.list.wrapping_add(lists::length(self.arguments).max(1))
    }
}

/// Calls `function` for the operation at `ip` of the frame at `window`, where it may be compiled code, or
/// become it, or be interpreted for the first time.
///
/// # Safety
/// There is such a frame of the activation, the operation is a call. If the callee has no compiled code,
/// it was counted, unless there are more than [`AT_ONCE`] arguments.
#[inline(never)]
pub(super) unsafe fn call(
    activation: &Activation<'_>,
    window: *mut u64,
    ip: *const Step,
    function: FunctionIndex,
) -> Next {
    let state = activation.instance.function(function);
    // SAFETY: the caller vouches for the operation.
    let call = unsafe { Call::at(ip, window) };
    let mut native = state.compiled.load(Ordering::Acquire).cast_const();
    if native.is_null() {
        let is_counted = usize::from(call.arguments) <= AT_ONCE;
        let count = if is_counted { state.counter.value() } else { state.counter.count() };
        if count >= activation.threshold {
            let Some(code) = tier_up(activation.thread, function, call.window) else {
                // SAFETY: the caller vouches for the frame and its call.
                return unsafe { backtrace::callee_trapped(activation, window, call.behind()) };
            };
            native = code;
        }
    }
    // SAFETY: the call is that of the frame.
    unsafe {
        if native.is_null() {
            enter(activation, window, call, function, state)
        } else {
            call_native(activation, window, call, function, native)
        }
    }
}

/// Enters interpreted code of `function`.
///
/// # Safety
/// The call is one of the frame at `window`.
unsafe fn enter(
    activation: &Activation<'_>,
    window: *mut u64,
    call: Call,
    function: FunctionIndex,
    state: &FunctionState,
) -> Next {
    let code = code_of(activation.instance, state, function);
    let callee = call.window;
    if !activation.fits(callee, code.frame_words) {
        exhausted(activation.thread, function);
        // SAFETY: the caller vouches for the frame and its call.
        return unsafe { backtrace::callee_trapped(activation, window, call.behind()) };
    }
    // SAFETY: the callee's frame fits, and there is a header's room between the frames.
    unsafe {
        *Header::Resume.of(callee) = gather(call.list, call.arguments, window, callee) as u64;
        *Header::Caller.of(callee) = window as u64;
        *Header::Function.of(callee) = std::ptr::from_ref(state) as u64;
        *Header::Result.of(callee) = u64::from(call.dst);
    }
    Next { ip: code.entry(), window: callee }
}

/// Calls compiled code of `function`. The caller's frame may continue in better code then.
///
/// # Safety
/// The call is one of the frame at `window`; `code` is code of `function`.
unsafe fn call_native(
    activation: &Activation<'_>,
    window: *mut u64,
    call: Call,
    function: FunctionIndex,
    code: *const u8,
) -> Next {
    let thread = activation.thread;
    let callee = call.window;
    if !has_room(thread, function, callee) {
        // SAFETY: the caller vouches for the frame and its call.
        return unsafe { backtrace::callee_trapped(activation, window, call.behind()) };
    }
    // SAFETY: there is room for the arguments and for the results; the register is one of the frame.
    let mut ip = unsafe { gather(call.list, call.arguments, window, callee) };
    if !thread.call_native(function, code, callee) {
        // SAFETY: the caller vouches for the frame and its call.
        return unsafe { unwind(activation, window, ip, Innermost::Waits) };
    }
    if has_single_result(activation.instance, function) {
        // SAFETY: as above.
        unsafe { *window.add(usize::from(call.dst)) = *callee };
    }
    activation.memory.set(Bounds::of(thread));
    // SAFETY: the frame is the activation's.
    unsafe {
        if activation.function_at(window).counter.value() < activation.threshold {
            return Next { ip, window };
        }
        if let Op::Results { count, window: offset } = (*ip).op {
            ip = scatter(ip.add(1), count, window.add(offset as usize), window);
        }
        go_on(activation, Next { ip, window }, come_back(activation, ip, window))
    }
}

/// Calls the function of that number, which is one of another instance, for the indirect call at `ip` of the
/// frame at `window`.
///
/// # Safety
/// There is such a frame of the activation, whose operation there is such a call.
#[cold]
#[inline(never)]
pub(super) unsafe fn call_foreign(
    activation: &Activation<'_>,
    window: *mut u64,
    ip: *const Step,
    number: u32,
) -> Next {
    let thread = activation.thread;
    // SAFETY: the caller vouches for the frame and the operation.
    let (caller, call) = unsafe { (executing(activation.function_at(window)), Call::at(ip, window)) };
    let (caller, point) = (caller.function, caller.trap_point(ip));
    let Some((instance, function)) = thread.foreign_function(number, caller, point) else {
        // SAFETY: the caller vouches for the frame.
        return unsafe { backtrace::trapped(activation, window) };
    };
    let words = instance.transfer_words(function);
    if !thread.has_native_stack() || !activation.fits(call.window, words) {
        thread.set_trap(TrapKind::StackExhausted, caller, point);
        // SAFETY: the caller vouches for the frame.
        return unsafe { backtrace::trapped(activation, window) };
    }
    thread.values().set_top(call.window.wrapping_add(words));
    // SAFETY: there is room for the arguments and for the results; the register is one of the frame.
    unsafe {
        let ip = gather(call.list, call.arguments, window, call.window);
        if !thread.call_foreign(&instance, function, call.window) {
            return unwind(activation, window, ip, Innermost::Waits);
        }
        if has_single_result(&instance, function) {
            *window.add(usize::from(call.dst)) = *call.window;
        }
        activation.memory.set(Bounds::of(thread));
        Next { ip, window }
    }
}

/// Calls the host's function whose whole frame is at `window`, at the operation at `ip`.
///
/// # Safety
/// There is such a frame of the activation.
#[inline(never)]
pub(super) unsafe fn host(activation: &Activation<'_>, window: *mut u64, ip: *const Step) -> Next {
    let thread = activation.thread;
    // SAFETY: the caller vouches for the frame.
    let function = executing(unsafe { activation.function_at(window) }).function;
    let next = ip.wrapping_add(1);
    if !has_room(thread, function, window) || !thread.call_host(function, window) {
        // SAFETY: the caller vouches for the frame.
        return unsafe { unwind(activation, window, next, Innermost::Trapped) };
    }
    activation.memory.set(Bounds::of(thread));
    Next { ip: next, window }
}

/// Executes an instruction of the runtime: that of the operation at `ip` with this number.
///
/// # Safety
/// There is such an operation of the function whose frame is at `window`.
#[inline(never)]
pub(super) unsafe fn run_instruction(
    activation: &Activation<'_>,
    window: *mut u64,
    ip: *const Step,
    instruction: u32,
) -> Next {
    // SAFETY: the caller vouches for the frame.
    unsafe {
        let code = executing(activation.function_at(window));
        let instruction = &code.instructions[instruction as usize];
        let instance = activation.instance;
        let words = &instance.analysis(code.function).words;
        let stored = match instruction {
            Instruction::GlobalSet { global, .. } if instance.kept_globals().may_be_kept(*global) => {
                Some((*global, instance.global(*global)))
            }
            _ => None,
        };
        if let Err(kind) = runtime::execute(instance, instruction, words, window) {
            return trapped(activation, window, ip, kind);
        }
        if let Some((global, before)) = stored
            && instance.global(global) != before
        {
            activation.thread.global_changed(global);
        }
    }
    activation.memory.set(Bounds::of(activation.thread));
    Next { ip: ip.wrapping_add(1), window }
}

/// Asks for compiled code of `function`, which has been entered often; null if it is interpreted. `top` is the
/// first free word. None: a trap is pending.
#[cold]
#[inline(never)]
pub(super) fn tier_up(thread: &Thread, function: FunctionIndex, top: *mut u64) -> Option<*const u8> {
    if matches!(thread.instance().module().function(function).kind, FunctionKind::Import(_)) {
        return Some(std::ptr::null());
    }
    thread.values().set_top(top);
    let code = is_due(thread, thread.instance().function(function)).then(|| tiering::entry(thread, function));
    match code.flatten() {
        Some(code) => Some(code),
        None => thread.reached(function, Points::entry()).then(std::ptr::null),
    }
}

/// Whether a call of `function` from outside finds room for its words at `window` and on the native
/// stack; otherwise that is pending as a trap.
#[inline(never)]
fn has_room(thread: &Thread, function: FunctionIndex, window: *mut u64) -> bool {
    let words = thread.instance().transfer_words(function);
    let has_room = thread.has_native_stack() && thread.values().fits(window, words);
    if has_room {
        thread.values().set_top(window.wrapping_add(words));
    } else {
        exhausted(thread, function);
    }
    has_room
}

/// Whether `function` has exactly one result, of one word.
pub(super) fn has_single_result(instance: &Instance, function: FunctionIndex) -> bool {
    instance.layout_of(function).results.len() == 1
}
