//! The data that compiled code, the stubs and the runtime share: everything here is `#[repr(C)]`, and
//! everyone gets at it by `offset_of!`.

use std::sync::atomic::{AtomicPtr, AtomicU64};

/// The value of [`Context::stack_limit`] that requests polls: every `rsp` is below it.
pub const POLL_REQUEST: u64 = u64::MAX;

/// The machine-visible part of a thread that runs guest code. Compiled code receives its address as
/// the first argument of every call.
#[repr(C)]
#[derive(Debug)]
pub struct Context {
    /// Compiled code takes its slow path where `rsp` is below this at function entry, and where this is
    /// [`POLL_REQUEST`] in loops. The real limit most of the time.
    pub stack_limit: AtomicU64,
    /// After a poll: whether the frame is to store its state, and to leave by
    /// [`Context::left_poll_stub`].
    pub leaving: u64,
    /// First byte of the first linear memory. It never moves: its address space is reserved.
    pub memory_base: *mut u8,
    /// Its pages now.
    pub memory_pages: *const AtomicU64,
    /// The globals, one word each: the value, or, of an imported mutable global, the address of its word.
    pub globals: *mut u64,
    /// The call cells: by function number, the code that new calls enter.
    pub cells: *const AtomicPtr<u8>,
    /// The tables.
    pub tables: *const TableView,
    /// Results that do not fit the machine's return registers, by position.
    pub results: *mut u64,
    /// Address of the `poll` stub.
    pub poll_stub: *const u8,
    /// Address of the `left_poll` stub.
    pub left_poll_stub: *const u8,
    /// Address of the `runtime_call` stub.
    pub runtime_stub: *const u8,
    /// Address of the `enter_interpreter` stub.
    pub interpreter_stub: *const u8,

    /// Address of the return slot that leads into the innermost compiled frame; 0 if there is none.
    /// Valid while the runtime executes.
    pub exit_slot: u64,
    /// The frame base (`rbp`) of that frame.
    pub exit_frame: u64,
    /// Frames whose code checks its returns leave it where their `rsp` is above this: the return slot that leads into the
    /// innermost frame of retired code; [`u64::MAX`] if there is none.
    pub return_limit: u64,
    /// Not 0: code that polls by a flag takes its slow path. The same request as [`POLL_REQUEST`].
    pub poll_flag: AtomicU64,
    /// The nearest entry from Rust into compiled code; null if there is none.
    pub entry: *const EntryRecord,
    /// Address of the `left_return` stub.
    pub left_return_stub: *const u8,
    /// Address of the `failed_guard` stub.
    pub failed_guard_stub: *const u8,
    /// How many guards hold up to the one that fails all the same. Only code that is to be stressed counts.
    pub guard_countdown: u64,

    /// Of a landing whose frame's own return slot is below this and hijacked, the departure tells the return predictor; 0 if
    /// none does. It is worth it, and safe for the returns further out, where more frames follow than the predictor holds.
    pub predicted_below: u64,
    /// What the landing stub saves and restores.
    pub landing: LandingRegisters,
    /// The runtime's side of the stubs.
    pub hooks: Hooks,
    /// The linear memories. Last, so that the fields that most code uses are near.
    pub memories: *const MemoryView,
}

/// A linear memory as compiled code sees it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct MemoryView {
    /// The first byte. It never moves.
    pub base: *mut u8,
    /// Pages now.
    pub pages: *const AtomicU64,
}

/// A table as compiled code sees it. Entries never move: their address space is reserved.
#[repr(C)]
#[derive(Debug)]
pub struct TableView {
    /// The first entry. An entry is a function reference: 0 is null, otherwise the function's number in
    /// the low half and its signature's number plus one in the high half. Numbers are those of the store.
    pub entries: *mut u64,
    /// Entries now.
    pub length: AtomicU64,
}

/// What the entry stub leaves on the stack, at the address in [`Context::entry`]: where the walk
/// continues beyond the Rust frames, and what a trap returns to.
#[repr(C)]
#[derive(Debug)]
pub struct EntryRecord {
    /// The next entry outwards.
    pub previous: *const EntryRecord,
    /// [`Context::exit_slot`] at the time of entry.
    pub exit_slot: u64,
    /// [`Context::exit_frame`] at the time of entry.
    pub exit_frame: u64,
}

/// Arguments by the place where System V passes them, after the context in `rdi`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct NativeArguments {
    /// `rsi`, `rdx`, `rcx`, `r8`, `r9`.
    pub integer: [u64; 5],
    /// `xmm0` to `xmm7`.
    pub float: [u64; 8],
    /// The words on the stack, first argument first.
    pub stack: *const u64,
    /// How many words there are on the stack.
    pub stack_words: u64,
}

/// The registers that carry results.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NativeResults {
    /// `rax`, `rdx`.
    pub integer: [u64; 2],
    /// `xmm0`, `xmm1`.
    pub float: [u64; 2],
}

/// A call from Rust of compiled code, or from compiled code of Rust.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct NativeCall {
    /// The arguments.
    pub arguments: NativeArguments,
    /// The results.
    pub results: NativeResults,
    /// For [`Exit::Continue`] and [`Exit::Enter`], and for calls from Rust: the code that is entered.
    pub code: *const u8,
    /// For [`Exit::Continue`]: the frame state that the code takes.
    pub state: *const u64,
}

/// How the runtime leaves the thunk that called it.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The function is done; its results are in the call's [`NativeResults`].
    Done = 0,
    /// A trap: everything up to the nearest entry is dropped.
    Trap = 1,
    /// The thunk's frame is replaced: [`NativeCall::code`] continues with [`NativeCall::state`].
    Continue = 2,
    /// The thunk's frame is replaced: [`NativeCall::code`] is called with the very arguments that the
    /// thunk was called with. Not for a landing, which has none.
    Enter = 3,
}

/// Registers that a callee must preserve, with the frame pointer: `rbx`, `r12` to `r15`, `rbp`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CalleeSaved {
    /// `rbx`.
    pub rbx: u64,
    /// `r12`.
    pub r12: u64,
    /// `r13`.
    pub r13: u64,
    /// `r14`.
    pub r14: u64,
    /// `r15`.
    pub r15: u64,
    /// `rbp`.
    pub rbp: u64,
}

/// The registers of a landing: saved on arrival, changed by the runtime, loaded on departure.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct LandingRegisters {
    /// What the callee returned. On arrival only.
    pub results: NativeResults,
    /// On arrival as the callee left them, on departure as the popped frame's caller expects them.
    pub callee_saved: CalleeSaved,
    /// On arrival the stack pointer after the return (the hijacked slot is one word below); on
    /// departure the address of the popped frame's own return slot.
    pub stack_pointer: u64,
    /// The frame state for the code that is jumped to. On departure only.
    pub state: u64,
    /// The pad that `run_pad` executes.
    pub pad: u64,
    /// On arrival through a landing table, the PC of the entry that was returned to. The runtime clears it.
    pub table_entry: u64,
    /// Where a frame has left its code by itself: the return PC of the call at which its frame map holds. On arrival
    /// only.
    pub pc: u64,
    /// Where a guard has failed, its number in its version. On arrival only.
    pub guard: u64,
    /// Where a frame is left at a poll, what is in the registers that only polls preserve. The stubs do not know it.
    pub poll: PollRegisters,
}

/// The registers that carry neither results nor must be preserved by a callee: `rcx`, `rsi`, `rdi`, `r8` to `r11`, `xmm2` to
/// `xmm15`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct PollRegisters {
    /// In the order in which they are named.
    pub integer: [u64; 7],
    /// The low halves.
    pub float: [u64; 14],
}

/// The functions of the runtime that the stubs call. None of them may unwind.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Hooks {
    /// Compiled code called the function of that number, which is not compiled (interpreted, or the host's)
    /// or another instance's.
    pub call: unsafe extern "C" fn(context: *mut Context, number: u32, call: *mut NativeCall) -> Exit,
    /// A landing in the interpreter continues.
    pub resume: unsafe extern "C" fn(context: *mut Context, call: *mut NativeCall) -> Exit,
    /// A hijacked slot was returned through. Gives the code to jump to.
    pub land: unsafe extern "C" fn(context: *mut Context) -> *const u8,
    /// A pad has stored what the frame map does not say; the landing goes on. Gives the code to jump to.
    pub land_from_pad: unsafe extern "C" fn(context: *mut Context) -> *const u8,
    /// A frame has left its code by itself, at [`LandingRegisters::pc`]. Gives the code to jump to.
    pub leave: unsafe extern "C" fn(context: *mut Context) -> *const u8,
    /// Guard [`LandingRegisters::guard`] of the version has failed that [`LandingRegisters::pc`] is in. Gives the code to
    /// jump to.
    pub guard: unsafe extern "C" fn(context: *mut Context) -> *const u8,
    /// A frame ended by `slot`, where a barrier stood. Gives the PC to continue at.
    pub ended: unsafe extern "C" fn(context: *mut Context, slot: u64) -> u64,
    /// A frame that was hijacked at a poll has stored its state: nothing executes its code any more.
    pub left_poll: unsafe extern "C" fn(context: *mut Context),
    /// Compiled code has faulted. What it is in is about to be dropped, up to the nearest entry.
    pub faulted: unsafe extern "C" fn(context: *mut Context),
    /// A poll took its slow path. False: trap.
    pub poll: unsafe extern "C" fn(context: *mut Context, stack_pointer: u64) -> bool,
    /// An operation of the runtime: three operands, an immediate, and its number. The low half is the
    /// result; negative: trap.
    pub runtime: unsafe extern "C" fn(
        context: *mut Context,
        a: u64,
        b: u64,
        c: u64,
        immediate: u64,
        operation: u64,
    ) -> i64,
    /// What the runtime was called for is left by a trap or an exception. Gives the code to jump to:
    /// [`return_caught`](crate::x86_64::return_caught) with [`LandingRegisters::stack_pointer`] at the slot of a frame and its
    /// registers, or [`unwind_to_entry`](crate::x86_64::unwind_to_entry).
    pub unwind: unsafe extern "C" fn(context: *mut Context) -> *const u8,
}
