//! What executing code keeps at hand, and how one operation hands over to the next.
//!
//! An operation is executed by its *handler*, a function whose address precedes the operation in the
//! code. Everything that most operations need is in the arguments, which are the same for all handlers
//! and so stay in the same machine registers:
//!
//! ```text
//!    ip ──> | handler | operation |      window ──> | r0 | r1 | r2 ...      memory: base, bytes
//!           | handler | operation |
//!           | handler | operation |      activation ──> what is needed rarely
//! ```
//!
//! The last thing that a handler does is to call the next one. In an optimized build LLVM makes that
//! call a jump, since nothing of the handler's frame is left: this is *threaded* code, with an indirect
//! jump at the end of each operation. Rust promises no such thing. So where it does not happen
//! (`build.rs` decides by the level of optimization), a handler instead says in the activation what comes
//! next, and returns to a loop, in [`run`](super::execute::run), that calls it. All else is the same; the
//! loop is there in both cases, and goes round once in threaded code.
//!
//! For the jump to be possible, no handler may have anything in its native frame that outlives its
//! last call; and handlers return nothing, for then LLVM need not join their ends. What is large or rare
//! is in functions of its own: calls that are not last would have every way through the handler save
//! registers.

use std::cell::Cell;

use osr_ir::module::PAGE_BYTES;
use osr_ir::{FunctionIndex, TrapKind};

use super::code::HEADER_WORDS;
use super::op::{Op, Slot};
use super::{Outcome, calls, handlers, listed, lists};
use crate::instance::Instance;
use crate::instance::function::FunctionState;
use crate::thread::Thread;

/// Executes the operation at its first argument, and, in threaded code, those that follow.
pub(super) type Handler =
    unsafe fn(ip: *const Step, window: *mut u64, memory: Bounds, activation: &Activation<'_>);

/// An operation, with what executes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) handler: Handler,
    pub(super) op: Op,
}

impl Step {
    pub(super) fn new(op: Op) -> Step {
        Step { handler: handlers::handler(&op), op }
    }

    /// The same in code whose frames can be [seen](listed) from outside.
    pub(super) fn listed(op: Op) -> Step {
        Step { handler: listed::listed_handler(&op), op }
    }
}

/// Where execution continues, and the innermost frame there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Next {
    /// The operation; null if the activation is left.
    pub(super) ip: *const Step,
    /// The frame.
    pub(super) window: *mut u64,
}

impl Next {
    /// The activation is left.
    pub(super) const LEAVE: Next = Next { ip: std::ptr::null(), window: std::ptr::null_mut() };
}

/// Size and place of linear memory: what loads and stores check against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    base: *mut u8,
    bytes: u64,
}

impl Bounds {
    /// As they are now. Stale after anything that may have grown the memory.
    pub(super) fn of(thread: &Thread) -> Bounds {
        let memory = thread.instance().memory();
        Bounds {
            base: memory.map_or(std::ptr::null_mut(), |memory| memory.base()),
            bytes: memory.map_or(0, |memory| memory.bytes()),
        }
    }

    /// The size in pages.
    #[inline(always)]
    pub(super) fn pages(self) -> u64 {
        self.bytes / PAGE_BYTES
    }

    /// The place of a `T` at `address`, if it is in bounds. Addresses are below 2 to the 34.
    #[inline(always)]
    fn check<T>(self, address: u64) -> Option<*mut T> {
        (address + size_of::<T>() as u64 <= self.bytes)
            .then(|| self.base.wrapping_add(address as usize).cast())
    }
}

/// An activation of the interpreter.
#[derive(Debug)]
pub(super) struct Activation<'a> {
    pub(super) thread: &'a Thread,
    pub(super) instance: &'a Instance,
    /// The states of all functions of the instance.
    pub(super) functions: &'a [FunctionState],
    /// The window of the outermost frame.
    pub(super) base: *mut u64,
    /// The state of the outermost frame's function; of another body of it once the frame is carried.
    pub(super) function: Cell<*const FunctionState>,
    /// Entries plus back-edges that are executed before the policy is asked.
    pub(super) threshold: u32,
    /// One past the last word of the value stack.
    pub(super) end: *mut u64,
    /// As after the last operation that may have changed them.
    pub(super) memory: Cell<Bounds>,
    /// Where it continues, when a handler has returned. Of one that is [listed], meanwhile, the innermost frame that waits
    /// for what it has called.
    pub(super) next: Cell<Next>,
    /// How it ended, if not by returning.
    pub(super) outcome: Cell<Outcome>,
}

impl<'a> Activation<'a> {
    /// The activation ends with `outcome`.
    pub(super) fn leave(&self, outcome: Outcome) -> Next {
        self.outcome.set(outcome);
        Next::LEAVE
    }

    /// The state of the function whose frame is at `window`.
    ///
    /// # Safety
    /// There is a frame of this activation.
    pub(super) unsafe fn function_at(&self, window: *mut u64) -> &'a FunctionState {
        if window == self.base {
            // SAFETY: one of `functions`.
            return unsafe { &*self.function.get() };
        }
        // SAFETY: the frame is not the outermost, so its call wrote the header.
        unsafe { &*(*Header::Function.of(window) as *const FunctionState) }
    }

    /// The frame at `window` continues as one of the function whose state is `state`.
    ///
    /// # Safety
    /// There is a frame of this activation.
    pub(super) unsafe fn set_function_at(&self, window: *mut u64, state: &'a FunctionState) {
        if window == self.base {
            return self.function.set(state);
        }
        // SAFETY: as in `function_at`.
        unsafe { *Header::Function.of(window) = std::ptr::from_ref(state) as u64 };
    }

    /// The state of the function with that index in the operation of a function that was verified.
    ///
    /// # Safety
    /// There is one.
    #[inline(always)]
    pub(super) unsafe fn function(&self, index: u32) -> &'a FunctionState {
        // SAFETY: the caller vouches for it.
        unsafe { self.functions.get_unchecked(index as usize) }
    }

    /// Whether `words` fit at `window`.
    #[inline(always)]
    pub(super) fn fits(&self, window: *mut u64, words: usize) -> bool {
        window.wrapping_add(words) <= self.end
    }
}

/// The words of a frame's header, which lies below its window.
#[derive(Clone, Copy, Debug)]
#[repr(usize)]
pub(super) enum Header {
    /// The register of the caller for a single result.
    Result = 1,
    /// The state of the frame's function.
    Function,
    /// The caller's window.
    Caller,
    /// The caller's operation behind the call.
    Resume,
}

const _: () = assert!(Header::Resume as usize == HEADER_WORDS, "the words are those of the header");

impl Header {
    /// Where the word is, below `window`.
    #[inline(always)]
    pub(super) fn of(self, window: *mut u64) -> *mut u64 {
        window.wrapping_sub(self as usize)
    }
}

/// What a handler was called with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine<'a> {
    pub(super) ip: *const Step,
    pub(super) window: *mut u64,
    pub(super) memory: Bounds,
    pub(super) activation: &'a Activation<'a>,
}

/// # Safety
/// Of all: `ip` is at an operation of the code of the function whose frame is at `window`, and is given
/// what this operation says: registers, distances, functions.
impl<'a> Machine<'a> {
    /// Reads a register.
    #[inline(always)]
    pub(super) unsafe fn get(self, slot: Slot) -> u64 {
        // SAFETY: the window has a word for each register.
        unsafe { *self.window.add(usize::from(slot)) }
    }

    /// Writes a register.
    #[inline(always)]
    pub(super) unsafe fn set(self, slot: Slot, value: u64) {
        // SAFETY: as for `get`.
        unsafe { *self.window.add(usize::from(slot)) = value }
    }

    /// Continues at `ip`.
    #[inline(always)]
    pub(super) unsafe fn go(self, ip: *const Step) {
        if cfg!(threaded) {
            // SAFETY: the handler is that of the operation.
            unsafe { ((*ip).handler)(ip, self.window, self.memory, self.activation) }
        } else {
            self.activation.next.set(Next { ip, window: self.window });
        }
    }

    /// Continues behind the operation.
    #[inline(always)]
    pub(super) unsafe fn next(self) {
        // SAFETY: every path of the code ends in an operation that has no next one.
        unsafe { self.go(self.ip.add(1)) }
    }

    /// Continues at a distance of `target` bytes.
    #[inline(always)]
    pub(super) unsafe fn jump(self, target: i32) {
        // SAFETY: decoding has resolved the distance.
        unsafe { self.go(self.ip.byte_offset(target as isize)) }
    }

    /// Continues at a distance of `target` bytes if `is_taken`, else behind the operation.
    #[inline(always)]
    pub(super) unsafe fn branch(self, is_taken: bool, target: i32) {
        // SAFETY: the operation says so.
        unsafe {
            if is_taken {
                self.jump(target)
            } else {
                // Not a conditional move: what follows would wait for the condition.
                std::hint::cold_path();
                self.next()
            }
        }
    }

    /// Goes to a loop header if `is_taken`, counting it: to what is behind its own operation, unless that
    /// has to be executed since the counter has expired. Else continues behind the operation.
    #[inline(always)]
    pub(super) unsafe fn loop_if(self, is_taken: bool, target: i32) {
        // SAFETY: the operation says so; what it goes to is a loop header.
        unsafe {
            if !is_taken {
                std::hint::cold_path();
                return self.next();
            }
            let header = self.ip.byte_offset(target as isize);
            let Op::LoopHeader { counter, .. } = (*header).op else { std::hint::unreachable_unchecked() };
            if counter.count() >= self.activation.threshold {
                std::hint::cold_path();
                // The operation counts, too.
                counter.take_back();
                return self.go(header);
            }
            self.go(header.add(1))
        }
    }

    /// The place of a `T` at `address`, if it is in bounds.
    #[inline(always)]
    pub(super) fn place<T>(self, address: u64) -> Option<*mut T> {
        self.memory.check(address)
    }

    /// The address `register + offset`.
    #[inline(always)]
    pub(super) unsafe fn offset(self, address: Slot, offset: u32) -> u64 {
        // SAFETY: the operation says so.
        unsafe { u64::from(self.get(address) as u32) + u64::from(offset) }
    }

    /// The address `base + (index << shift)`, 32 bits, `+ offset`.
    #[inline(always)]
    pub(super) unsafe fn indexed(self, base: Slot, index: Slot, shift: u16, offset: u32) -> u64 {
        // SAFETY: the operation says so.
        unsafe {
            let scaled = (self.get(index) as u32) << (u32::from(shift) & 31);
            u64::from((self.get(base) as u32).wrapping_add(scaled)) + u64::from(offset)
        }
    }

    /// The address `(index << shift) + by`, 32 bits, `+ offset`.
    #[inline(always)]
    pub(super) unsafe fn scaled(self, index: Slot, shift: u16, by: u32, offset: u32) -> u64 {
        // SAFETY: the operation says so.
        unsafe {
            let scaled = (self.get(index) as u32) << (u32::from(shift) & 31);
            u64::from(scaled.wrapping_add(by)) + u64::from(offset)
        }
    }

    /// Leaves with the trap `kind`, of this operation.
    #[inline(always)]
    pub(super) unsafe fn trap(self, kind: TrapKind) {
        std::hint::cold_path();
        // SAFETY: the frame is one of the activation.
        unsafe { calls::trap(self.activation, self.window, self.ip, kind) }
    }

    /// Continues as something that is out of line said, which may have grown the memory.
    #[inline(always)]
    pub(super) unsafe fn resume(self, next: Next) {
        if next.ip.is_null() {
            return self.activation.next.set(next);
        }
        let memory = self.activation.memory.get();
        // SAFETY: as what was out of line said.
        unsafe { Machine { window: next.window, memory, ..self }.go(next.ip) }
    }

    /// Calls `function` with the registers in the list at `list`, its frame being `window` words from this
    /// one. Out of line is all but the call, with few arguments, of interpreted code that is there already.
    /// `dst` reads the register for a single result, late: nothing more has to be held until then.
    #[inline(always)]
    pub(super) unsafe fn call(
        self,
        function: u32,
        list: *const Step,
        window: u32,
        arguments: u16,
        dst: impl FnOnce() -> Slot,
    ) {
        let activation = self.activation;
        // SAFETY: the operation says so. That the callee's frame fits is checked before it is touched, and
        // frames have room for all the words that are copied at once.
        unsafe {
            let state = activation.function(function);
            let callee = self.window.add(window as usize);
            if usize::from(arguments) > lists::AT_ONCE
                || state.has_compiled()
                || state.counter.count() >= activation.threshold
            {
                std::hint::cold_path();
                return call_out_of_line(self.ip, self.window, self.memory, activation, function);
            }
            let code = state.existing_code().filter(|code| activation.fits(callee, code.frame_words));
            let Some(code) = code else {
                std::hint::cold_path();
                return call_out_of_line(self.ip, self.window, self.memory, activation, function);
            };
            lists::copy_first(list, self.window, callee);
            *Header::Resume.of(callee) = list.add(1) as u64;
            *Header::Caller.of(callee) = self.window as u64;
            *Header::Function.of(callee) = std::ptr::from_ref(state) as u64;
            *Header::Result.of(callee) = u64::from(dst());
            Machine { window: callee, ..self }.go(code.entry())
        }
    }

    /// Leaves the innermost frame, whose results are taken care of.
    #[inline(always)]
    pub(super) unsafe fn leave(self) {
        if self.window == self.activation.base {
            return self.activation.next.set(Next::LEAVE);
        }
        // SAFETY: it is not the outermost frame, so its call wrote the header.
        unsafe {
            let ip = *Header::Resume.of(self.window) as *const Step;
            let window = *Header::Caller.of(self.window) as *mut u64;
            Machine { window, ..self }.go(ip)
        }
    }

    /// Leaves the innermost frame, with one result.
    #[inline(always)]
    pub(super) unsafe fn leave_with(self, result: u64) {
        // SAFETY: as for `leave`; a window has room for the results.
        unsafe {
            if self.window == self.activation.base {
                *self.window = result;
                return self.activation.next.set(Next::LEAVE);
            }
            let ip = *Header::Resume.of(self.window) as *const Step;
            let window = *Header::Caller.of(self.window) as *mut u64;
            *window.add(*Header::Result.of(self.window) as usize) = result;
            Machine { window, ..self }.go(ip)
        }
    }
}

/// The calls that [`Machine::call`] does not make.
///
/// # Safety
/// As for the handler of the call that is at `ip`. That the function was counted, too.
#[inline(never)]
unsafe fn call_out_of_line(
    ip: *const Step,
    window: *mut u64,
    memory: Bounds,
    activation: &Activation<'_>,
    function: u32,
) {
    let function = FunctionIndex::new(function as usize);
    // SAFETY: the caller vouches for the operation and the frame.
    unsafe {
        Machine { ip, window, memory, activation }.resume(calls::call(activation, window, ip, function))
    }
}
