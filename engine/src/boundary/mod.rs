//! The boundary between guest and host: what the stubs call, and what the machine reports.

pub(crate) mod fault;
pub(crate) mod hooks;
pub(crate) mod shadow_stack;
mod signal_text;
mod spawn;
mod x86_64;
