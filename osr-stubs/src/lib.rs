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
//! One stub, one job; each file documents its stub with pictures of the stack. The machine-visible
//! part of a thread is [`Context`]; every stub finds it in `rdi`, except [`landing`](x86_64::landing),
//! which is *returned into* by code that has no idea of it, and so finds it in thread-local storage.
//!
//! What the stubs rely on: System V calling convention, frame pointers in compiled code, and that the
//! [`Hooks`] never unwind.

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
compile_error!("osr-stubs supports x86-64 Linux only");

pub mod context;
pub mod x86_64;

pub use context::{
    CalleeSaved, Context, EntryRecord, Exit, Hooks, LandingRegisters, NativeArguments, NativeCall,
    NativeResults, POLL_REQUEST, TableView,
};
