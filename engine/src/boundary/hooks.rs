//! The runtime's side of the stubs: what compiled code reaches when it calls out.

use osr_compiler::RuntimeOperation;
use osr_ir::{DataIndex, ElementIndex, FunctionIndex, MemoryIndex, Points, TableIndex, TagIndex, TrapKind};
use osr_stubs::{Context, Exit, Hooks, NativeCall};

use crate::instance::Instance;
use crate::interpreter::{self, Outcome, Start};
use crate::settings::Tier;
use crate::settings::mechanism::{Bookkeeping, Mechanism, RebuildTime};
use crate::thread::Thread;
use crate::thread::pending::Landed;
use crate::thread::trap::Innermost;
use crate::tiering;
use crate::transition::guard::failed;
use crate::transition::landing::{land, land_from_table, land_rebuilt};
use crate::transition::leave::leave;
use crate::transition::release::ended;
use crate::transition::state_pad::land_from_pad;
use crate::transition::unwinding::unwind;
use crate::transition::virtual_frames;

/// The functions that the stubs call, as `mechanism` has frames land.
pub(crate) fn of(mechanism: &Mechanism) -> Hooks {
    let land = match (mechanism.bookkeeping, mechanism.rebuild) {
        (Bookkeeping::FrameSlot | Bookkeeping::PcsInMap, _) => land_from_table,
        (Bookkeeping::Ledger, RebuildTime::AtLanding) => land,
        (Bookkeeping::Ledger, RebuildTime::AtOnce) => land_rebuilt,
    };
    Hooks {
        call,
        resume,
        land,
        land_from_pad,
        leave,
        guard: failed,
        ended,
        left_poll,
        faulted,
        poll,
        runtime,
        unwind,
    }
}

/// # Safety
/// Called by a stub: the context is the first field of a thread that is in the runtime.
unsafe fn thread_of<'a>(context: *mut Context) -> &'a Thread {
    // SAFETY: see above; the thread outlives the guest code that it executes.
    unsafe { &*context.cast::<Thread>() }
}

/// Compiled code calls a function that is not compiled.
unsafe extern "C" fn call(context: *mut Context, number: u32, call: *mut NativeCall) -> Exit {
    // SAFETY: the stub's arguments.
    let (thread, call) = unsafe { (thread_of(context), &mut *call) };
    match thread.instance().own_function(number) {
        Some(function) => call_own(thread, function, call),
        None => call_foreign(thread, number, call),
    }
}

/// Calls a function of the thread's instance: imported, or not compiled.
fn call_own(thread: &Thread, function: FunctionIndex, call: &mut NativeCall) -> Exit {
    let instance = thread.instance();
    thread.safepoint();
    if thread.fails(function, Points::entry()) {
        return trapped(thread, Innermost::Waits);
    }
    let signature = instance.module().function(function).signature;
    let window = thread.values().top();
    let is_imported = instance.imported_function(function).is_some();
    if !is_imported
        && instance.function(function).counter.count() >= instance.threshold(Tier::Interpreter)
        && let Some(code) = tiering::entry(thread, function)
    {
        call.code = code;
        return Exit::Enter;
    }
    let words = instance.window_words(function);
    if !thread.values().fits(window, words) || !thread.has_native_stack() {
        thread.set_trap(TrapKind::StackExhausted, function, Points::entry());
        return trapped(thread, Innermost::Waits);
    }
    // SAFETY: the window fits, and the stub has filled the arguments.
    unsafe { instance.layout(signature).read_arguments(&call.arguments, window) };
    let outcome = if is_imported {
        thread.values().set_top(window.wrapping_add(words));
        let done = thread.call_host(function, window);
        thread.values().set_top(window);
        if done { Outcome::Done } else { Outcome::Trap }
    } else if thread.reached(function, Points::entry()) {
        interpreter::run(thread, function, Start::Entry, window)
    } else {
        Outcome::Trap
    };
    hand_over(thread, function, outcome, window, call)
}

/// Calls a function of another instance, through a table.
#[cold]
fn call_foreign(thread: &Thread, number: u32, call: &mut NativeCall) -> Exit {
    let (caller, point) = thread.exit_point();
    thread.safepoint();
    if thread.fails(caller, point) {
        return trapped(thread, Innermost::Trapped);
    }
    let Some((instance, function)) = thread.foreign_function(number, caller, point) else {
        return trapped(thread, Innermost::Trapped);
    };
    let window = thread.values().top();
    let words = instance.window_words(function);
    if !thread.values().fits(window, words) || !thread.has_native_stack() {
        thread.set_trap(TrapKind::StackExhausted, caller, point);
        return trapped(thread, Innermost::Trapped);
    }
    let layout = instance.layout_of(function);
    // SAFETY: the window fits, and the stub has filled the arguments.
    unsafe { layout.read_arguments(&call.arguments, window) };
    thread.values().set_top(window.wrapping_add(words));
    // SAFETY: the arguments were written there just now.
    let done = unsafe { thread.call_foreign(&instance, function, window) };
    thread.values().set_top(window);
    if done {
        // SAFETY: the window begins with the results.
        unsafe { layout.write_results(window, &mut call.results, thread.results()) };
        Exit::Done
    } else {
        trapped(thread, Innermost::Waits)
    }
}

/// The stub is left with what is pending: it continues in [`unwind`].
#[cold]
fn trapped(thread: &Thread, innermost: Innermost) -> Exit {
    thread.set_innermost(innermost);
    Exit::Trap
}

/// A landed frame resumes in the interpreter.
unsafe extern "C" fn resume(context: *mut Context, call: *mut NativeCall) -> Exit {
    // SAFETY: the stub's arguments.
    let (thread, call) = unsafe { (thread_of(context), &mut *call) };
    let window = thread.values().top();
    let (function, outcome) = match thread.take_landed() {
        Landed::Frame(function, point) => {
            (function, interpreter::run(thread, function, Start::Point(point), window))
        }
        Landed::Stacked(stacked) => (stacked.function, interpreter::run_stacked(thread, stacked, window)),
        Landed::Chain => virtual_frames::run(thread),
    };
    hand_over(thread, function, outcome, window, call)
}

/// Hands the outcome of an activation to the thunk that it was called from.
#[inline(always)]
fn hand_over(
    thread: &Thread,
    function: FunctionIndex,
    outcome: Outcome,
    window: *mut u64,
    call: &mut NativeCall,
) -> Exit {
    match outcome {
        Outcome::Done => {
            let layout = thread.instance().layout(thread.instance().module().function(function).signature);
            // SAFETY: the window begins with the results.
            unsafe { layout.write_results(window, &mut call.results, thread.results()) };
            Exit::Done
        }
        Outcome::Trap => trapped(thread, Innermost::Waits),
        Outcome::Continue { code, state } => {
            call.code = code;
            call.state = state;
            Exit::Continue
        }
    }
}

/// A frame that was hijacked at a poll has stored its state.
unsafe extern "C" fn left_poll(context: *mut Context) {
    // SAFETY: the stub's argument.
    unsafe { thread_of(context) }.left_poll();
}

/// Compiled code has faulted, and continues in a stub that drops it.
unsafe extern "C" fn faulted(context: *mut Context) {
    // SAFETY: the stub's argument.
    unsafe { thread_of(context) }.trap_of_fault();
}

/// A poll took its slow path: the stack is exhausted, or there is something to be done.
unsafe extern "C" fn poll(context: *mut Context, stack_pointer: u64) -> bool {
    // SAFETY: the stub's arguments.
    let thread = unsafe { thread_of(context) };
    if stack_pointer < thread.stack_limit() {
        let (function, point) = thread.exit_point();
        thread.set_trap(TrapKind::StackExhausted, function, point);
        thread.trap_leaves_compiled(Innermost::Trapped);
        return false;
    }
    let continues = thread.poll();
    if !continues {
        thread.trap_leaves_compiled(Innermost::Trapped);
    }
    continues
}

/// An operation of the runtime.
unsafe extern "C" fn runtime(
    context: *mut Context,
    a: u64,
    b: u64,
    c: u64,
    immediate: u64,
    operation: u64,
) -> i64 {
    // SAFETY: the stub's arguments.
    let thread = unsafe { thread_of(context) };
    let operation = RuntimeOperation::ALL[operation as usize];
    match operate(thread.instance(), operation, (a, b, c), immediate) {
        Ok(_) if thread.agenda().has_end() => {
            let (function, point) = thread.exit_point();
            thread.fails(function, point);
            thread.set_innermost(Innermost::Trapped);
            -1
        }
        Ok(result) => {
            thread.safepoint();
            i64::from(result)
        }
        Err(kind) => {
            let (function, point) = thread.exit_point();
            thread.set_trap(kind, function, point);
            thread.set_innermost(Innermost::Trapped);
            -1
        }
    }
}

fn operate(
    instance: &Instance,
    operation: RuntimeOperation,
    (a, b, c): (u64, u64, u64),
    immediate: u64,
) -> Result<u32, TrapKind> {
    use RuntimeOperation as R;
    let (high, low) = ((immediate >> 32) as usize, (immediate & 0xffff_ffff) as usize);
    let (memory, table) = (MemoryIndex::new, TableIndex::new);
    match operation {
        R::MemoryGrow => return Ok(instance.memory_grow(memory(low), a as u32)),
        R::MemoryFill => instance.memory_fill(memory(low), a as u32, b as u32, c as u32)?,
        R::MemoryCopy => instance.memory_copy((memory(high), memory(low)), a as u32, b as u32, c as u32)?,
        R::MemoryInit => {
            instance.memory_init(memory(high), DataIndex::new(low), a as u32, b as u32, c as u32)?;
        }
        R::DataDrop => instance.drop_data(DataIndex::new(low)),
        R::TableGrow => return Ok(instance.table_grow(table(low), a, b as u32)),
        R::TableFill => instance.table_fill(table(low), a as u32, b, c as u32)?,
        R::TableCopy => instance.table_copy((table(high), table(low)), a as u32, b as u32, c as u32)?,
        R::TableInit => {
            instance.table_init(table(high), ElementIndex::new(low), a as u32, b as u32, c as u32)?;
        }
        R::ElementDrop => instance.drop_elements(ElementIndex::new(low)),
        R::Throw => return Err(instance.throw(TagIndex::new(low))),
        R::ThrowRef => return Err(instance.throw_ref(a)),
        R::CaughtRef => return Ok(instance.caught_ref()),
        R::AtomicWait32 | R::AtomicWait64 => {
            let place = (memory(high), u64::from(a as u32) + low as u64);
            return instance.atomic_wait(operation == R::AtomicWait64, place, b, c as i64);
        }
    }
    Ok(0)
}
