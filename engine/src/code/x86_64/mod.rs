//! What the engine knows of compiled code on x86-64.

pub(crate) mod callee_saves;
pub(crate) mod checked_entry;
pub(crate) mod entry_stub;
pub(crate) mod jump_stub;
pub(crate) mod landing_entries;
pub(crate) mod linked_exit;
