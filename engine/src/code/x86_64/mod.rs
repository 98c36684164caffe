//! What the engine knows of compiled code on x86-64.

pub(crate) mod callee_saves;
