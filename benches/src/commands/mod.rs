//! The commands that work on programs. (Those that measure are the experiments of the laboratory.)

pub(crate) mod maps;
pub(crate) mod run;
pub(crate) mod shrink;
pub(crate) mod soak;
