//! Transitions: how frames of compiled code are replaced while they are active.

pub(crate) mod hijack;
pub(crate) mod invalidation;
pub(crate) mod landing;
pub(crate) mod landing_tables;
mod pc_cache;
pub(crate) mod poll_exit;
mod rebuild;
pub(crate) mod release;
pub(crate) mod safepoint;
pub(crate) mod sparse;
pub(crate) mod stack_scan;
pub(crate) mod state_pad;
