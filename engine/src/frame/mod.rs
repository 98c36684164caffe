//! Frames of compiled code: how values travel in calls, and where a frame state is at each call.

pub(crate) mod calling_convention;
pub(crate) mod frame_map;
