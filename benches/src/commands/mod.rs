//! The commands that work on programs, or on the command line itself. (Those that measure are the experiments of the laboratory.)

pub(crate) mod completions;
pub(crate) mod ir;
pub(crate) mod man;
pub(crate) mod maps;
pub(crate) mod run;
pub(crate) mod shrink;
pub(crate) mod soak;
pub(crate) mod why;
