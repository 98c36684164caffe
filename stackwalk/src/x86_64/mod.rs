//! What is particular to x86-64 System V: frame-pointer chains, callee-saved registers, CFI rows.

mod cfi_row;
mod cfi_rows;
mod compact_rows;
mod frame_pointer;
mod registers;
pub(crate) mod step_rule;

pub use cfi_row::{CfiRow, Popped, Save};
pub use cfi_rows::CfiRows;
pub use compact_rows::CompactRows;
pub use frame_pointer::{FramePointerWalk, FrameRun};
pub use registers::{CalleeSaved, CalleeSavedRegs};
