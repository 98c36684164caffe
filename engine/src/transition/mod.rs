//! Transitions: how frames of compiled code are replaced while they are active.

mod dispatch;
mod dropped;
mod exit_link;
pub(crate) mod guard;
pub(crate) mod guest_frames;
pub(crate) mod hijack;
pub(crate) mod invalidation;
pub(crate) mod invalidation_point;
pub(crate) mod landing;
pub(crate) mod landing_tables;
pub(crate) mod leave;
mod pc_cache;
pub(crate) mod poll_exit;
mod rebuild;
pub(crate) mod redefinition;
pub(crate) mod release;
pub(crate) mod return_check;
pub(crate) mod safepoint;
pub(crate) mod sparse;
pub(crate) mod stack_scan;
pub(crate) mod state_pad;
pub(crate) mod unwinding;
pub(crate) mod virtual_frames;
