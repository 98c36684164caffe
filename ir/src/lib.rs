//! The intermediate representation of osr-engine: a typed register code, and what is known of it.
//!
//! A *transition* takes an activation of a function out of one body of code and continues it in another: in the
//! interpreter, in code of another tier. Both have to agree on what an activation is. Here is where they do:
//! it is a *frame state*, the values of *registers* at a *point*. Registers and not SSA values, because
//! interpreter frames, frame maps and state maps then all speak of the same things.
//!
//! ```text
//!  wasm/     .wasm, .wat  ──┐
//!                           ├──> Module ──> verifier ──> VerifiedModule ──> Points, Liveness ──> (engine)
//!  text/     .ir          ──┘
//! ```
//!
//! # Modules and bodies
//!
//! A [`Module`] holds functions, signatures, globals, tables, a linear memory and segments: what
//! WebAssembly calls a module, and with the same meaning. A defined function has a [`Body`] of basic blocks over
//! typed virtual [registers](Register); the first registers are the parameters. An [`Instruction`] reads
//! registers and then writes some; a [`Terminator`] says which block is next.
//!
//! Modules are made by [`wasm::import`] and [`wasm::import_text`] from WebAssembly, and by [`text::parse`] from
//! this crate's own [textual form](text), in which they are printed, too. A WebAssembly module has far more
//! code than a run executes, so its bodies are [made on first use](LazyBody).
//!
//! # Verification
//!
//! The [`verifier`] says what makes a module well formed: above all, that on every path a register is assigned
//! before it is read, so that a frame state can be written down anywhere. It is done once, and a
//! [`VerifiedModule`] is the proof. Everything after may rely on it.
//!
//! # Points and liveness
//!
//! [`Points`] are the numbered positions of a body where execution can be observed and resumed: its entry, each
//! loop header, and after each call. Where an instruction may trap there is one, too, so that a trap can say
//! where it happened. [`Liveness`] tells, for each [`Point`], which registers a frame state must hold: those
//! that are read before they are written again. Both are functions of the body alone. So two tiers that compile
//! the same body mean the same by "point 3 with `r0` and `r1`", whatever their code looks like.
//!
//! ```
//! use osr_ir::{Liveness, Points, VerifiedModule, text};
//!
//! let module = text::parse(
//!     "function sum (r0: i32) -> (i32) {   ; r0 + (r0 - 1) + .. + 1
//!        r1: i32, r2: i32
//!      b0: r1 = i32.const 0
//!          jump b1
//!      b1: r1 = i32.add r1, r0
//!          r2 = i32.const 1
//!          r0 = i32.sub r0, r2
//!          branch r0, b1, b2
//!      b2: return r1 }",
//! )?;
//! let module = VerifiedModule::new(module)?;
//! let body = module.functions[0].body().expect("it is not imported");
//!
//! let points = Points::of(body);
//! let liveness = Liveness::of(body, &points);
//! let lines: Vec<String> = points
//!     .iter()
//!     .map(|(point, kind, position)| format!("{point} {kind:?} at {position}: {:?}", liveness.at(point)))
//!     .collect();
//! assert_eq!(lines, [
//!     "p0 Entry at b0:0: [r0]",
//!     // What an activation in the loop is: two registers. `r2` is written before it is read.
//!     "p1 LoopHeader at b1:0: [r0, r1]",
//! ]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Inlining
//!
//! [`inlining`] makes one body of a function and of functions that it calls. Its points are those of the bodies that it was
//! made of: an [`InlineTree`] says, for each, which activations there would be without inlining, and where each is.
//!
//! # What may be relied on
//!
//! This crate contains no unsafe code and knows nothing of machines. Whatever bytes or text it is handed, it
//! returns a module or an error that says where; it does not panic.
#![forbid(unsafe_code)]

pub mod addition;
pub mod body;
mod body_source;
mod declarations;
pub mod default_map;
pub mod frequency;
pub mod index;
pub mod inlining;
mod lazy_body;
pub mod liveness;
pub mod module;
mod operands;
pub mod operation;
pub mod origin;
pub mod point;
pub mod redefinition;
pub mod reference_type;
mod shown;
pub mod state_map;
pub mod text;
pub mod trap;
pub mod value;
pub mod vector;
pub mod verifier;
pub mod wasm;
pub mod word_layout;

pub use addition::{AddedBodies, Addition, AdditionError};
pub use body::{BasicBlock, Body, Instruction, Terminator};

pub use index::{
    Block, DataIndex, ElementIndex, FunctionIndex, GlobalIndex, MemoryIndex, Register, SignatureIndex,
    TableIndex, TagIndex,
};
pub use inlining::{InlineBudget, InlineTree, Inlined};
pub use lazy_body::LazyBody;
pub use liveness::Liveness;
pub use module::{
    ConstantExpression, ConstantStep, DataSegment, ElementSegment, Export, ExportItem, Function,
    FunctionKind, Global, GlobalInitial, ImportName, Memory, Module, SegmentMode, Signature, Table, Tag,
};
pub use operation::{BinaryOp, LoadOp, StoreOp, UnaryOp};
pub use origin::{Locator, Origin, SourceLine, SourceMap, SourcePlace};
pub use point::{Point, PointKind, Points, Position};
pub use redefinition::{Alternative, Change, OldActivations, Redefinition, Step, StepAction};
pub use reference_type::{ExactType, ReferenceType, Referent};
pub use shown::Shown;
pub use state_map::{Expression, ExpressionStep, MapEntry, ResumedFrame, StateMap};
pub use trap::TrapKind;
pub use value::{Type, Value};
pub use vector::VectorOp;
pub use verifier::VerifiedModule;
pub use word_layout::WordLayout;
