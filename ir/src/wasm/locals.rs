//! Locals: their types, and which of them a stretch of code assigns.
//!
//! The operand stack holds `local.get` lazily, and a control construct must know which such entries to copy before it
//! begins: those whose local is assigned inside. Where there is one, the operators of the construct are read ahead. In deeply
//! nested code that might be done again and again; so after some such [scans](Assignments::look_into) one pass over the function
//! records every assignment and the extent of every construct, and each question is then a binary search.

use std::ops::Range;

use wasmparser::{BinaryReader, FunctionBody, Operator, OperatorsReader, VisitOperator, VisitSimdOperator};

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

/// Operators are read ahead until so many times the function's bytes have been.
const MOST_SCANNED: u64 = 4;

/// Where a function assigns its locals.
pub(super) struct Assignments<'m> {
    body: FunctionBody<'m>,
    /// Bytes that were read ahead.
    scanned: u64,
    /// Scans so far.
    scans: u32,
    /// Per local, the last scan that has met an assignment of it.
    met: Vec<u32>,
    /// Made when it is asked for.
    everywhere: Option<Everywhere>,
}

impl<'m> Assignments<'m> {
    /// Those of `body`, which is valid and has so many locals, parameters included.
    pub(super) fn of(body: FunctionBody<'m>, locals: usize) -> Assignments<'m> {
        Assignments { body, scanned: 0, scans: 0, met: vec![0; locals], everywhere: None }
    }

    /// The next questions are about the construct that begins at `start`.
    pub(super) fn look_into(&mut self, start: u64) {
        let Range { start: first, end } = self.body.range();
        if self.scanned > MOST_SCANNED * (end - first) {
            self.everywhere();
            return;
        }
        self.scans += 1;
        let bytes = &self.body.as_bytes()[(start - first) as usize..];
        let mut reader = OperatorsReader::new(BinaryReader::new(bytes, start));
        let mut scan = Scan { met: &mut self.met, number: self.scans, depth: 0 };
        loop {
            reader.visit_operator(&mut scan).expect(VALIDATED);
            if scan.depth == 0 {
                break;
            }
        }
        self.scanned += reader.original_position() - start;
    }

    /// Whether the construct at `start`, which was looked into, assigns `local`.
    pub(super) fn assigns(&self, start: u64, local: Register) -> bool {
        match &self.everywhere {
            Some(everywhere) => everywhere.within(start, local),
            None => self.met[local.index()] == self.scans,
        }
    }

    /// Whether something that the `try` at `start` has caught is thrown once more.
    pub(super) fn is_rethrown(&mut self, start: u64) -> bool {
        self.everywhere().rethrown.binary_search(&start).is_ok()
    }

    fn everywhere(&mut self) -> &Everywhere {
        self.everywhere.get_or_insert_with(|| Everywhere::of(&self.body).expect(VALIDATED))
    }
}

const VALIDATED: &str = "validation has read the same operators";

/// Reads a construct ahead.
struct Scan<'s> {
    met: &'s mut [u32],
    number: u32,
    /// Constructs that are open.
    depth: u32,
}

/// What a scan does at an operator.
macro_rules! scan {
    ($self:ident LocalSet $local:ident) => {
        $self.met[$local as usize] = $self.number
    };
    ($self:ident LocalTee $local:ident) => {
        $self.met[$local as usize] = $self.number
    };
    ($self:ident Block $ty:ident) => {
        $self.depth += 1
    };
    ($self:ident Loop $ty:ident) => {
        $self.depth += 1
    };
    ($self:ident If $ty:ident) => {
        $self.depth += 1
    };
    ($self:ident Try $ty:ident) => {
        $self.depth += 1
    };
    ($self:ident TryTable $table:ident) => {
        $self.depth += 1
    };
    ($self:ident Delegate $depth:ident) => {
        $self.depth -= 1
    };
    ($self:ident End) => {
        $self.depth -= 1
    };
    ($self:ident $op:ident $($field:ident)*) => {};
}

macro_rules! visit {
    ($(@$proposal:ident $op:ident $({ $($field:ident: $ty:ty),* })? => $visit:ident $arity:tt)*) => {
        $(
            #[allow(unused_variables, reason = "most operators are only passed")]
            fn $visit(&mut self $($(, $field: $ty)*)?) {
                scan!(self $op $($($field)*)?);
            }
        )*
    };
}

impl<'a> VisitOperator<'a> for Scan<'_> {
    type Output = ();

    fn simd_visitor(&mut self) -> Option<&mut dyn VisitSimdOperator<'a, Output = ()>> {
        Some(self)
    }

    wasmparser::for_each_visit_operator!(visit);
}

impl<'a> VisitSimdOperator<'a> for Scan<'_> {
    wasmparser::for_each_visit_simd_operator!(visit);
}

/// Where a function assigns its locals, all of it. Positions are byte offsets of operators.
struct Everywhere {
    /// Local and position of each `local.set` and `local.tee`, sorted.
    assigned: Vec<(u32, u64)>,
    /// Position and end of each `block`, `loop`, `if`, `try` and `try_table`, sorted.
    extents: Vec<(u64, u64)>,
    /// Positions of each `try` of which something caught is thrown once more, sorted.
    rethrown: Vec<u64>,
}

impl Everywhere {
    fn of(body: &FunctionBody<'_>) -> Result<Everywhere, ImportError> {
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
        Ok(Everywhere { assigned, extents, rethrown })
    }

    /// Whether the construct that begins at `start` assigns `local`.
    fn within(&self, start: u64, local: Register) -> bool {
        let Ok(construct) = self.extents.binary_search_by_key(&start, |extent| extent.0) else {
            return false;
        };
        let end = self.extents[construct].1;
        let first = self.assigned.partition_point(|&known| known < (local.as_u32(), start));
        self.assigned.get(first).is_some_and(|&(found, at)| found == local.as_u32() && at < end)
    }
}
