//! What is done with code that Cranelift has emitted: it is read, some of it is overwritten, and what is not needed goes.
//!
//! ```text
//!   compared_in_memory   a load and a comparison become a comparison with memory
//!   epilogue             frames are popped without reading rbp back
//!   disassembly          blocks and instructions, by iced-x86
//!   poll_sites           where idle polls are overwritten
//!   poll_exits           cold code of polls becomes a frame map of the poll (exit_state)
//!   frame_words          words of the frame that nothing accesses go, the others have short addresses
//!   near_call            calls of words near the code
//!   tightening           blocks that nothing reaches go, branches become short
//! ```

pub(crate) mod compared_in_memory;
pub(crate) mod disassembly;
pub(crate) mod encoding;
pub(crate) mod epilogue;
pub(crate) mod exit_state;
pub(crate) mod frame_words;
pub(crate) mod near_access;
pub(crate) mod near_polls;
pub(crate) mod poll_exits;
pub(crate) mod poll_sites;
pub(crate) mod tightening;
