//! Address space: what the guest and the interpreter store into.

pub(crate) mod linear_memory;
pub(crate) mod occupancy;
pub(crate) mod process;
pub(crate) mod reservation;
pub(crate) mod saved_memory;
pub(crate) mod table;
pub(crate) mod value_stack;
