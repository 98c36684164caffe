//! Alternatives, state maps and scripts: that bodies fit together, and that every mapping yields a whole frame state.

use std::collections::HashSet;

use thiserror::Error;

use super::error::{Item, VerifyError};
use crate::addition::Addition;
use crate::body::{Body, Instruction, Terminator};
use crate::index::{FunctionIndex, Register};
use crate::liveness::Liveness;
use crate::module::{ConstantExpression, ExportItem, GlobalInitial, Module, SegmentMode};
use crate::point::{Point, PointKind, Points};
use crate::redefinition::{Alternative, Change, Redefinition, StepAction};
use crate::state_map::{Expression, ExpressionStep, MapEntry, StateMap};
use crate::value::Type;

/// Why an entry of a state map is wrong.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EntryError {
    /// There is no such point in the old body.
    #[error("the old body has no such point")]
    NoOldPoint,
    /// There is no such point in the new body.
    #[error("the new body has no {0}")]
    NoNewPoint(Point),
    /// A body has vectors, and the values of a map are words.
    #[error("a body has registers of type v128, and such activations are not carried: leave the entry out")]
    Vectors,
    /// Execution does not resume at the point of the old body.
    #[error("that is a point of the old body at which execution does not resume")]
    OldNotResumable,
    /// Execution does not resume at the point of the new body.
    #[error("{0} of the new body is a point at which execution does not resume")]
    NewNotResumable(Point),
    /// The point of the old body has two entries.
    #[error("that point has a second entry")]
    Twice,
    /// The new body has no such register.
    #[error("the new body has no {0}")]
    NoNewRegister(Register),
    /// A register of the new body has two values.
    #[error("{0} of the new body has two values")]
    TwoValues(Register),
    /// A register has a value that the call assigns for which the frame waits.
    #[error("{0} is what the call returns that the frame waits for, and needs no value")]
    Returned(Register),
    /// A register that is read later has no value.
    #[error("{register} of the new body is live at {point}, and has no value")]
    NoValue {
        /// The register.
        register: Register,
        /// The point of the new body.
        point: Point,
    },
    /// An expression reads a register that the state does not hold.
    #[error("the value of {target} reads {register}, which is not live there in the old body")]
    NotLive {
        /// The register of the new body.
        target: Register,
        /// The register of the old body.
        register: Register,
    },
    /// An expression has another type than its register.
    #[error("the value of {target} has type {found}, not {expected}")]
    Type {
        /// The register of the new body.
        target: Register,
        /// Its type.
        expected: Type,
        /// The type of the expression, or of an operand in it.
        found: Type,
    },
    /// The steps of an expression do not leave one value.
    #[error("the steps of the value of {0} do not leave one value")]
    Unbalanced(Register),
    /// An expression may trap.
    #[error("the value of {target} may trap: `{operation}` does for some operands")]
    MayTrap {
        /// The register of the new body.
        target: Register,
        /// The operation.
        operation: &'static str,
    },
}

/// Checks what `module` says of redefinition. All bodies must have been verified.
pub(super) fn verify(module: &Module) -> Result<(), VerifyError> {
    verify_alternatives(module)?;
    let mut pairs = HashSet::new();
    for map in &module.state_maps {
        verify_state_map(module, map)?;
        if !pairs.insert((map.from, map.to)) {
            let (from, to) = (name(module, map.from), name(module, map.to));
            return Err(VerifyError::DuplicateStateMap { from, to });
        }
    }
    let mut last = 0;
    for step in &module.script {
        if step.call <= last {
            return Err(VerifyError::ScriptOrder { call: step.call, last });
        }
        last = step.call;
        match &step.action {
            StepAction::Invalidate => {}
            StepAction::InvalidateFunctions(functions) => verify_invalidated(module, functions)?,
            StepAction::Redefine(redefinition) => verify_redefinition(module, redefinition)?,
        }
    }
    Ok(())
}

fn name(module: &Module, function: FunctionIndex) -> String {
    module.known_function(function).map_or_else(|| function.to_string(), |known| known.name.clone())
}

fn verify_alternatives(module: &Module) -> Result<(), VerifyError> {
    if module.alternatives.is_empty() {
        return Ok(());
    }
    let mut seen = HashSet::new();
    for alternative in &module.alternatives {
        let is_in_order = seen.iter().all(|&before| before < alternative.body);
        verify_alternative(module, *alternative, is_in_order)?;
        seen.insert(alternative.body);
    }
    each_mention(module, |user, function| {
        if seen.contains(&function) {
            return Err(VerifyError::NamesAlternative { user, name: name(module, function) });
        }
        Ok(())
    })
}

fn verify_alternative(
    module: &Module,
    Alternative { body, of }: Alternative,
    is_in_order: bool,
) -> Result<(), VerifyError> {
    let error = |why| VerifyError::Alternative { name: name(module, body), of: name(module, of), why };
    let [first, second] = [body, of].map(|function| module.known_function(function));
    let (Some(first), Some(second)) = (first, second) else {
        return Err(error("one of them does not exist"));
    };
    if !first.is_defined() || !second.is_defined() {
        Err(error("an imported function has no bodies"))
    } else if first.signature != second.signature {
        Err(error("they have different signatures"))
    } else if module.function_of(of) != of {
        Err(error("that is an alternative itself"))
    } else if !is_in_order {
        Err(error("alternatives are listed once, in the order of the functions"))
    } else {
        Ok(())
    }
}

/// Checks that `addition` can be added to `module`, which has been verified: what is in it is as [`verify`] would have it if it
/// had been there from the start.
pub(crate) fn verify_addition(module: &Module, addition: &Addition) -> Result<(), VerifyError> {
    let module = &module.with_addition(addition);
    super::verify_functions(module)?;
    for body in addition.indices() {
        let function = module.function(body);
        verify_alternative(module, Alternative { body, of: module.function_of(body) }, true)?;
        super::verify_function(module, function)?;
        super::frames::verify_frames_of(module, function)?;
        function.body().map_or(Ok(()), |code| {
            each_mention_in(code, |mentioned| match module.function_of(mentioned) == mentioned {
                true => Ok(()),
                false => {
                    let name = name(module, mentioned);
                    Err(VerifyError::NamesAlternative { user: Item::Function(body), name })
                }
            })
        })?;
    }
    for map in addition.maps() {
        verify_state_map(module, map)?;
        if module.state_maps.iter().filter(|other| (other.from, other.to) == (map.from, map.to)).count() > 1 {
            let (from, to) = (name(module, map.from), name(module, map.to));
            return Err(VerifyError::DuplicateStateMap { from, to });
        }
    }
    addition.redefinition().map_or(Ok(()), |redefinition| verify_redefinition(module, redefinition))
}

/// Calls `visit` with each function that something calls or refers to by its name.
fn each_mention(
    module: &Module,
    mut visit: impl FnMut(Item, FunctionIndex) -> Result<(), VerifyError>,
) -> Result<(), VerifyError> {
    use crate::index::{DataIndex, ElementIndex, GlobalIndex, TableIndex};
    let mut constant = |user: Item, expression: &ConstantExpression| match expression {
        ConstantExpression::Function(function) => visit(user, *function),
        _ => Ok(()),
    };
    for (number, global) in module.globals.iter().enumerate() {
        if let GlobalInitial::Expression(expression) = &global.initial {
            constant(Item::Global(GlobalIndex::new(number)), expression)?;
        }
    }
    for (number, table) in module.tables.iter().enumerate() {
        table
            .initial
            .iter()
            .try_for_each(|initial| constant(Item::Table(TableIndex::new(number)), initial))?;
    }
    for (number, data) in module.data.iter().enumerate() {
        if let SegmentMode::Active { offset, .. } = &data.mode {
            constant(Item::Data(DataIndex::new(number)), offset)?;
        }
    }
    for (number, element) in module.elements.iter().enumerate() {
        let user = || Item::Element(ElementIndex::new(number));
        element.items.iter().try_for_each(|item| constant(user(), item))?;
    }
    for export in &module.exports {
        if let ExportItem::Function(function) = export.item {
            visit(Item::Export(export.name.clone()), function)?;
        }
    }
    module.start.map_or(Ok(()), |start| visit(Item::Start, start))?;
    for (number, function) in module.functions.iter().enumerate() {
        let Some(body) = function.body() else { continue };
        each_mention_in(body, |mentioned| visit(Item::Function(FunctionIndex::new(number)), mentioned))?;
    }
    Ok(())
}

/// Calls `visit` with each function that `body` calls or refers to.
fn each_mention_in(
    body: &Body,
    mut visit: impl FnMut(FunctionIndex) -> Result<(), VerifyError>,
) -> Result<(), VerifyError> {
    for block in &body.blocks {
        for instruction in &block.instructions {
            if let Instruction::Call { function, .. }
            | Instruction::RefFunc { function, .. }
            | Instruction::TableRefers { function, .. } = instruction
            {
                visit(*function)?;
            }
        }
        if let Terminator::TailCall { function, .. } = block.terminator {
            visit(function)?;
        }
    }
    Ok(())
}

/// Checks that `functions` are such as have code: functions of `module` that are defined, not bodies of others.
fn verify_invalidated(module: &Module, functions: &[FunctionIndex]) -> Result<(), VerifyError> {
    for &function in functions {
        let error = |why| VerifyError::Invalidated { function: name(module, function), why };
        match module.known_function(function) {
            None => return Err(error("there is no such function")),
            Some(known) if !known.is_defined() => return Err(error("it is imported")),
            Some(_) if module.function_of(function) != function => {
                return Err(error("it is a further body of a function: name the function"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Checks that `redefinition` changes functions of `module` to bodies of theirs.
pub fn verify_redefinition(module: &Module, redefinition: &Redefinition) -> Result<(), VerifyError> {
    let mut seen = HashSet::new();
    for &Change { function, body } in &redefinition.changes {
        let error =
            |why| VerifyError::Change { function: name(module, function), body: name(module, body), why };
        let Some(defined) = module.known_function(function) else {
            return Err(error("there is no such function"));
        };
        if !defined.is_defined() {
            return Err(error("it is imported"));
        }
        if module.function_of(body) != function {
            return Err(error("that is no body of it"));
        }
        if !seen.insert(function) {
            return Err(error("it is changed twice"));
        }
    }
    Ok(())
}

/// Checks that `map` leads from one body of a function of `module` to another, and that each entry yields a whole frame
/// state. The bodies must have been verified.
pub fn verify_state_map(module: &Module, map: &StateMap) -> Result<(), VerifyError> {
    let names = || (name(module, map.from), name(module, map.to));
    let defined = |function: FunctionIndex| module.known_function(function).and_then(|known| known.body());
    let (Some(old), Some(new)) = (defined(map.from), defined(map.to)) else {
        let (from, to) = names();
        return Err(VerifyError::StateMapBodies { from, to });
    };
    if map.from == map.to || module.function_of(map.from) != module.function_of(map.to) {
        let (from, to) = names();
        return Err(VerifyError::StateMapBodies { from, to });
    }
    let sides = [old, new].map(Side::of);
    let mut seen = HashSet::new();
    for entry in &map.entries {
        let twice = !seen.insert(entry.from);
        let checked = if twice { Err(EntryError::Twice) } else { verify_entry(&sides, entry) };
        checked.map_err(|error| {
            let (from, to) = names();
            VerifyError::StateMap { from, to, point: entry.from, error }
        })?;
    }
    Ok(())
}

/// What is known of one of the two bodies.
pub(super) struct Side<'m> {
    pub(super) types: &'m [Type],
    pub(super) points: Points,
    liveness: Liveness,
}

impl<'m> Side<'m> {
    /// Of `body`, which has been verified.
    pub(super) fn of(body: &'m Body) -> Side<'m> {
        let points = Points::of(body);
        let liveness = Liveness::of(body, &points);
        Side { types: &body.registers, points, liveness }
    }

    pub(super) fn resumes_at(&self, point: Point) -> bool {
        self.points.kind(point) != PointKind::Trap
    }
}

fn verify_entry([old, new]: &[Side<'_>; 2], entry: &MapEntry) -> Result<(), EntryError> {
    if [old, new].iter().any(|side| side.types.contains(&Type::V128)) {
        return Err(EntryError::Vectors);
    }
    if !old.points.contains(entry.from) {
        return Err(EntryError::NoOldPoint);
    }
    if !new.points.contains(entry.to) {
        return Err(EntryError::NoNewPoint(entry.to));
    }
    if !old.resumes_at(entry.from) {
        return Err(EntryError::OldNotResumable);
    }
    if !new.resumes_at(entry.to) {
        return Err(EntryError::NewNotResumable(entry.to));
    }
    let is_live = |register: Register| old.liveness.at(entry.from).binary_search(&register).is_ok();
    let type_of = |register: Register| is_live(register).then(|| old.types[register.index()]);
    verify_values(new, entry.to, &[], &entry.values, &type_of)
}

/// Checks that `values` are a whole state at `point` of the body `new`, but for the registers `later`, which are assigned
/// before it continues there. Expressions are over the registers that `type_of` knows.
pub(super) fn verify_values(
    new: &Side<'_>,
    point: Point,
    later: &[Register],
    values: &[(Register, Expression)],
    type_of: TypeOf<'_>,
) -> Result<(), EntryError> {
    let mut assigned = HashSet::new();
    for (target, expression) in values {
        let Some(&expected) = new.types.get(target.index()) else {
            return Err(EntryError::NoNewRegister(*target));
        };
        if later.contains(target) {
            return Err(EntryError::Returned(*target));
        }
        if !assigned.insert(*target) {
            return Err(EntryError::TwoValues(*target));
        }
        let found = verify_expression(type_of, *target, expression)?;
        if found != expected {
            return Err(EntryError::Type { target: *target, expected, found });
        }
    }
    let is_missing = |live: &&Register| !assigned.contains(live) && !later.contains(live);
    let missing = new.liveness.at(point).iter().find(is_missing);
    missing.map_or(Ok(()), |&register| Err(EntryError::NoValue { register, point }))
}

/// The type of a register, if an expression may read it.
pub(super) type TypeOf<'t> = &'t dyn Fn(Register) -> Option<Type>;

/// The type of the value of `target`.
fn verify_expression(
    type_of: TypeOf<'_>,
    target: Register,
    expression: &Expression,
) -> Result<Type, EntryError> {
    let mut stack: Vec<Type> = Vec::new();
    for step in &expression.0 {
        let (operands, result, trapping): (&[Type], Type, Option<&'static str>) = match step {
            ExpressionStep::Register(register) => {
                let ty = type_of(*register);
                (&[], ty.ok_or(EntryError::NotLive { target, register: *register })?, None)
            }
            ExpressionStep::Constant(value) => (&[], value.ty(), None),
            ExpressionStep::Unary(op) => (op.operands(), op.result(), op.may_trap().then(|| op.name())),
            ExpressionStep::Binary(op) => (op.operands(), op.result(), op.may_trap().then(|| op.name())),
        };
        if let Some(operation) = trapping {
            return Err(EntryError::MayTrap { target, operation });
        }
        for &expected in operands.iter().rev() {
            match stack.pop() {
                Some(found) if found == expected => {}
                Some(found) => return Err(EntryError::Type { target, expected, found }),
                None => return Err(EntryError::Unbalanced(target)),
            }
        }
        stack.push(result);
    }
    match stack[..] {
        [ty] => Ok(ty),
        _ => Err(EntryError::Unbalanced(target)),
    }
}
