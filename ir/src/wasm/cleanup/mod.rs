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

use super::offsets::Offsets;
use crate::body::Body;
use crate::index::Block;

/// Cleans `body`, and `offsets` with it. `layout` is the order of its blocks, `locals` the registers that start as zero; the
/// registers before them are the parameters.
pub(super) fn clean(
    mut body: Body,
    mut offsets: Offsets,
    layout: &[Block],
    locals: Range<usize>,
) -> (Body, Offsets) {
    graph::simplify(&mut body, &mut offsets, layout);
    zero::initialize(&mut body, &mut offsets, locals.clone());
    dead::remove(&mut body, &mut offsets);
    registers::compact(&mut body, locals.start);
    (body, offsets)
}
