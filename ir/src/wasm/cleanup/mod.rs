//! Cleanup: what one pass of translation leaves behind is removed.
//!
//! ```text
//!  graph      jumps threaded, chains of blocks merged, unreachable blocks dropped, source order
//!  zero       locals that may be read before they are written start as zero
//!  dead       constants and copies that nothing reads
//!  registers  registers that nothing uses
//! ```
//!
//! Each pass takes time in proportion to the body (see [`zero`] for its bound).

mod dead;
mod graph;
mod registers;
mod zero;

use std::ops::Range;

use crate::body::Body;
use crate::index::Block;

/// Cleans `body`. `layout` is the order of its blocks, `locals` the registers that start as zero; the
/// registers before them are the parameters.
pub(super) fn clean(mut body: Body, layout: &[Block], locals: Range<usize>) -> Body {
    graph::simplify(&mut body, layout);
    zero::initialize(&mut body, locals.clone());
    dead::remove(&mut body);
    registers::compact(&mut body, locals.start);
    body
}
