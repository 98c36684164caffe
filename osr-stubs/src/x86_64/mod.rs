//! The stubs for x86-64, System V.
//!
//! Conventions of all files here:
//! - assembly is Intel syntax; offsets come from `offset_of!`, never from counting;
//! - pictures show the stack with high addresses on top, one line per 8 bytes;
//! - every stub has call frame information for its whole length (`.cfi_*`), so that debuggers,
//!   profilers and system unwinders pass through. Naked functions get none from the compiler.
//!
//! | file | stubs |
//! |---|---|
//! | [`mod@enter`] | Rust into compiled code, and out again by return or by trap |
//! | [`mod@interpret`] | compiled code calls an interpreted function; a landed frame resumes there |
//! | [`mod@landing`] | a hijacked return arrives |
//! | [`mod@leave`] | a frame arrives that leaves retired code by itself |
//! | [`mod@guard`] | a frame arrives that leaves because a guard has failed |
//! | [`mod@unwind`] | an exception leaves frames, up to the one that catches |
//! | [`mod@barrier`] | a frame ends that is counted |
//! | [`mod@pad`] | a landing executes the pad of its call site |
//! | [`mod@exit`] | compiled code calls the runtime: polls and operations |
//! | [`mod@current`] | the thread's context in thread-local storage |
//! | [`mod@origins`] | no stub: what hijacked slots held, for unwinders |
//! | [`mod@here`] | where a Rust caller is on its stack |

pub mod barrier;
pub mod current;
pub mod enter;
pub mod exit;
pub mod guard;
pub mod here;
pub mod interpret;
pub mod landing;
pub mod leave;
mod macros;
pub mod origins;
pub mod pad;
pub mod unwind;

pub use barrier::barrier_pc;
pub use current::{current, set_current};
pub use enter::{enter, entry_return, faulted, unwind_to_entry};
pub use exit::{left_poll, poll, poll_registers, runtime_call};
pub use guard::{JUMP_BACK, failed_guard, left_guard};
pub use here::{Here, registers_here, visit_here};
pub use interpret::{enter_interpreter, resume_interpreter};
pub use landing::{any_frame_pc, landing_from_table, landing_pc};
pub use leave::{invalidated_pc, left_return};
pub use pad::run_pad;
pub use unwind::{return_caught, unwind};
