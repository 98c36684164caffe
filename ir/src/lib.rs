//! The intermediate representation of osr-engine: a typed register code.
//!
//! A [`Module`] holds functions, signatures, globals, tables, a linear memory and segments. A function
//! has a [`Body`] of basic blocks over typed virtual [registers](Register). Registers, not SSA, because
//! a *frame state* is registers at a point: interpreter frames, frame maps and state maps all speak it.
//!
//! ```text
//!  wasm/     .wasm, .wat  ──┐
//!                           ├──> Module ──> verifier ──> Points, Liveness ──> (engine)
//!  text/     .ir          ──┘
//! ```
//!
//! The words:
//! - [`point`]: numbered program positions where execution can be observed and resumed;
//! - [`liveness`]: the registers a frame state at each point must hold;
//! - [`verifier`]: what makes a module well formed. Everything after it may rely on it.
//!
//! This crate contains no unsafe code and knows nothing of machines.
#![forbid(unsafe_code)]

pub mod body;
pub mod index;
mod lazy_body;
pub mod liveness;
pub mod module;
pub mod operation;
pub mod point;
pub mod text;
pub mod trap;
pub mod value;
pub mod verifier;
pub mod wasm;

pub use body::{BasicBlock, Body, Instruction, Terminator};
pub use index::{
    Block, DataIndex, ElementIndex, FunctionIndex, GlobalIndex, Register, SignatureIndex, TableIndex,
};
pub use lazy_body::LazyBody;
pub use liveness::Liveness;
pub use module::{
    ConstantExpression, DataSegment, ElementSegment, Export, ExportItem, Function, FunctionKind, Global,
    GlobalInitial, ImportName, Memory, Module, SegmentMode, Signature, Table,
};
pub use operation::{BinaryOp, LoadOp, StoreOp, UnaryOp};
pub use point::{Point, PointKind, Points, Position};
pub use trap::TrapKind;
pub use value::{Type, Value};
