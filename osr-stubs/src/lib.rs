//! All the assembly of osr-engine: how control enters compiled code, leaves it for the runtime, lands
//! in a rebuilt frame, and resumes.
//!
//! ```text
//!            enter                      exit (poll, runtime call, call of an interpreted function)
//!   Rust ───────────────> compiled code ───────────────────────────────────────────────> Rust
//!        <───────────────               <───────────────────────────────────────────────
//!          entry_return                              return, or, if hijacked: landing
//! ```
//!
//! One stub, one job; each file documents its stub with pictures of the stack.
//!
//! | stub | control comes from | and continues in |
//! |---|---|---|
//! | [`enter`](x86_64::enter()) | Rust | compiled code, which returns to [`entry_return`](x86_64::entry_return) |
//! | [`poll`](x86_64::poll) | a poll's cold block | the runtime, and back with every register preserved |
//! | [`left_poll`](x86_64::left_poll) | a hijacked frame at a back-edge that has stored its state | the runtime, then a landing |
//! | [`runtime_call`](x86_64::runtime_call) | an operation that compiled code leaves to the runtime | the runtime, and back |
//! | [`enter_interpreter`](x86_64::enter_interpreter) | a call of a function without code | the interpreter, or code that was just made |
//! | landing, at [`landing_pc`](x86_64::landing_pc) | a return through a hijacked slot | what the hook `land` returns |
//! | invalidated, at [`invalidated_pc`](x86_64::invalidated_pc) | a return to a call whose code was overwritten | a landing |
//! | [`left_return`](x86_64::left_return) | a frame whose code has found out that it is retired | a landing |
//! | [`failed_guard`](x86_64::failed_guard) | the exit of a guard that has failed | the exit, and [`left_guard`](x86_64::left_guard) |
//! | [`left_guard`](x86_64::left_guard) | a frame that has left at a guard | a landing |
//! | barrier, at [`barrier_pc`](x86_64::barrier_pc) | the end of a frame that is counted | where it would have returned to |
//! | [`run_pad`](x86_64::run_pad) | a landing whose state a pad stores | that pad, and the landing again |
//! | [`resume_interpreter`](x86_64::resume_interpreter) | a landing in the interpreter | the interpreter, which returns to the popped frame's caller |
//! | [`unwind`](x86_64::unwind()) | a call of the runtime that does not return | the frame that catches, or the innermost entry |
//! | [`unwind_to_entry`](x86_64::unwind_to_entry) | a trap | the innermost entry, which returns `false` |
//!
//! # The context
//!
//! The machine-visible part of a thread is [`Context`]: stack limit, memory base, call cells, the addresses of the stubs.
//! Compiled code and every stub have it in `rdi`, except the stubs that are *returned into*, or jumped to from where
//! code was returned into: by code that knows nothing of them. They find it in thread-local storage
//! ([`current`](x86_64::current())).
//!
//! Field offsets are `offset_of!` operands of the assembly; nothing is kept in step by hand:
//!
//! ```
//! use std::mem::offset_of;
//! use osr_stubs::{Context, NativeArguments, x86_64 as stubs};
//!
//! // Compiled code compares `rsp` with a field that it reaches by a short displacement.
//! assert!(offset_of!(Context, stack_limit) < 128);
//! // What a call is made of: five general registers beside the context, eight vector registers, the stack.
//! let arguments = NativeArguments { integer: [1, 2, 0, 0, 0], float: [0; 8], stack: std::ptr::null(), stack_words: 0 };
//! assert_eq!(arguments.integer.len(), 5);
//! // No guest code runs on this native thread.
//! assert!(stubs::current().is_null());
//! ```
//!
//! # What the stubs rely on
//!
//! The System V calling convention, frame pointers in compiled code, and that the [`Hooks`] never unwind. Each stub
//! has call frame information, so that unwinders pass through it, hijacked slots included.

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
compile_error!("osr-stubs supports x86-64 Linux only");

pub mod context;
pub mod x86_64;

pub use context::{
    CalleeSaved, Context, EntryRecord, Exit, Hooks, LandingRegisters, MemoryView, NativeArguments,
    NativeCall, NativeResults, POLL_REQUEST, PollRegisters, TableView,
};
