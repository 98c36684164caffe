//! What commands and experiments run: programs, the functions they import, calls of them, sessions.

pub(crate) mod added;
pub(crate) mod call;
pub(crate) mod compiled;
pub(crate) mod entry;
pub(crate) mod host;
pub(crate) mod load;
mod native_stack;
pub(crate) mod refused;
pub(crate) mod schedule_file;
pub(crate) mod session;
pub(crate) mod step;
pub(crate) mod suite;
pub(crate) mod trapped;
