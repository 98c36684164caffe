//! Observers that come with the engine.

pub mod explain;
pub(crate) mod shadow;
pub mod trace;
