//! Cleanup: what one pass of translation leaves behind is removed, and a body made of the rest.
//!
//! ```text
//!  graph   jumps threaded, chains of blocks merged, unreachable blocks dropped, source order
//!  usage   how often each register is read; locals that may be read before they are written start as zero
//!  dead    constants and copies that nothing reads
//!  build   the body, without the registers that nothing uses
//! ```
//!
//! Each takes time in proportion to the body (see [`usage`] for its bound); each instruction is read twice, and moved once.

mod build;
mod dead;
mod graph;
mod usage;

use std::ops::Range;

use super::code::Code;
use crate::body::Body;
use crate::value::Type;
use graph::Graph;
use usage::Usage;

/// The body that `code` is, with these registers, and by block where its instructions and its terminator come from, if that
/// is wanted. `locals` are the registers that start as zero; those before them are the parameters.
pub(super) fn clean(mut code: Code, registers: Vec<Type>, locals: Range<usize>) -> (Body, Vec<Vec<u32>>) {
    code.finish();
    let graph = Graph::simplify(&mut code);
    let mut usage = Usage::of(&code, &graph, registers.len(), locals.clone());
    let is_dead = dead::find(&code, &graph, &mut usage);
    build::body(code, &graph, &usage, &is_dead, (registers, locals.start))
}
