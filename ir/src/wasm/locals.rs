//! Locals: their types, and which of them a stretch of code assigns.
//!
//! The operand stack holds `local.get` lazily, and a control construct must know which such entries to
//! copy before it begins: those whose local is assigned inside. The first time that there is such an entry, one pass over the
//! operators records every assignment and the extent of every construct; each question is then a binary search.

use wasmparser::{FunctionBody, Operator};

use super::error::ImportError;
use super::sections::value_type;
use crate::index::Register;
use crate::value::Type;

/// Appends the types of the declared locals of `body` to `types`.
pub(super) fn declared(body: &FunctionBody<'_>, types: &mut Vec<Type>) -> Result<(), ImportError> {
    let mut reader = body.get_locals_reader()?;
    for _ in 0..reader.get_count() {
        let offset = reader.original_position();
        let (count, ty) = reader.read()?;
        types.extend(std::iter::repeat_n(value_type(ty, offset)?, count as usize));
    }
    Ok(())
}

/// Where a function assigns its locals. Positions are byte offsets of operators.
pub(super) struct Assignments {
    /// Local and position of each `local.set` and `local.tee`, sorted.
    assigned: Vec<(u32, u64)>,
    /// Position and end of each `block`, `loop`, `if`, `try` and `try_table`, sorted.
    extents: Vec<(u64, u64)>,
    /// Positions of each `try` of which something caught is thrown once more, sorted.
    rethrown: Vec<u64>,
}

impl Assignments {
    /// Reads the operators of `body`, which is valid.
    pub(super) fn of(body: &FunctionBody<'_>) -> Assignments {
        Assignments::read(body).expect("validation has read the same operators")
    }

    fn read(body: &FunctionBody<'_>) -> Result<Assignments, ImportError> {
        let mut assigned = Vec::new();
        let mut extents = Vec::new();
        let mut open = Vec::new();
        let mut rethrown = Vec::new();
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            let (operator, offset) = reader.read_with_offset()?;
            match operator {
                Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                    assigned.push((local_index, offset));
                }
                Operator::Block { .. }
                | Operator::Loop { .. }
                | Operator::If { .. }
                | Operator::TryTable { .. }
                | Operator::Try { .. } => {
                    open.push(extents.len());
                    extents.push((offset, offset));
                }
                Operator::Rethrow { relative_depth } => {
                    let named: usize = open[open.len() - 1 - relative_depth as usize];
                    rethrown.push(extents[named].0);
                }
                // The function's own `end` closes nothing that was opened.
                Operator::End | Operator::Delegate { .. } => {
                    if let Some(construct) = open.pop() {
                        extents[construct].1 = offset;
                    }
                }
                _ => {}
            }
        }
        assigned.sort_unstable();
        rethrown.sort_unstable();
        Ok(Assignments { assigned, extents, rethrown })
    }

    /// Whether something that the `try` at `start` has caught is thrown once more.
    pub(super) fn is_rethrown(&self, start: u64) -> bool {
        self.rethrown.binary_search(&start).is_ok()
    }

    /// Whether the construct that begins at `start` assigns `local`.
    pub(super) fn within(&self, start: u64, local: Register) -> bool {
        let Ok(construct) = self.extents.binary_search_by_key(&start, |extent| extent.0) else {
            return false;
        };
        let end = self.extents[construct].1;
        let first = self.assigned.partition_point(|&known| known < (local.as_u32(), start));
        self.assigned.get(first).is_some_and(|&(found, at)| found == local.as_u32() && at < end)
    }
}
