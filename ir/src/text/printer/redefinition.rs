//! State maps and the script as text.

use std::fmt::{self, Write};

use super::super::literal::write_value;
use super::write_function_reference;
use crate::index::Register;
use crate::module::Module;
use crate::redefinition::{Redefinition, StepAction};
use crate::state_map::{Expression, ExpressionStep, MapEntry, ResumedFrame, StateMap};
use crate::value::Value;

/// Writes the state maps and the script of `module`.
pub(super) fn write_redefinitions(out: &mut impl Write, module: &Module) -> fmt::Result {
    module.state_maps.iter().try_for_each(|map| write_state_map(out, module, map))?;
    for step in &module.script {
        write!(out, "at {} ", step.call)?;
        match &step.action {
            StepAction::Invalidate => out.write_str("invalidate")?,
            StepAction::InvalidateFunctions(functions) => {
                for (position, &function) in functions.iter().enumerate() {
                    out.write_str(if position == 0 { "invalidate of " } else { ", " })?;
                    write_function_reference(out, module, function)?;
                }
            }
            StepAction::Redefine(redefinition) => write_redefinition(out, module, redefinition)?,
        }
        writeln!(out)?;
    }
    Ok(())
}

fn write_redefinition(out: &mut impl Write, module: &Module, redefinition: &Redefinition) -> fmt::Result {
    for (position, change) in redefinition.changes.iter().enumerate() {
        out.write_str(if position == 0 { "redefine " } else { ", " })?;
        write_function_reference(out, module, change.function)?;
        out.write_str(" to ")?;
        write_function_reference(out, module, change.body)?;
    }
    write!(out, " {}", redefinition.activations)
}

/// Writes one state map.
pub(super) fn write_state_map(out: &mut impl Write, module: &Module, map: &StateMap) -> fmt::Result {
    out.write_str("map ")?;
    write_function_reference(out, module, map.from)?;
    out.write_str(" to ")?;
    write_function_reference(out, module, map.to)?;
    writeln!(out, " {{")?;
    map.entries.iter().try_for_each(|entry| write_entry(out, entry))?;
    writeln!(out, "}}")
}

fn write_entry(out: &mut impl Write, entry: &MapEntry) -> fmt::Result {
    write!(out, "  {} to {}", entry.from, entry.to)?;
    write_values(out, &entry.values)?;
    writeln!(out)
}

/// Writes the frames that an activation becomes, in the middle of a line.
pub(super) fn write_frames(out: &mut impl Write, module: &Module, frames: &[ResumedFrame]) -> fmt::Result {
    writeln!(out, "{{")?;
    for ResumedFrame { body, point, values } in frames {
        out.write_str("    ")?;
        write_function_reference(out, module, *body)?;
        write!(out, " {point}")?;
        write_values(out, values)?;
        writeln!(out)?;
    }
    out.write_str("  }")
}

fn write_values(out: &mut impl Write, values: &[(Register, Expression)]) -> fmt::Result {
    for (position, (register, expression)) in values.iter().enumerate() {
        write!(out, "{}{register} = ", if position == 0 { ": " } else { ", " })?;
        write_expression(out, expression)?;
    }
    Ok(())
}

fn write_expression(out: &mut impl Write, expression: &Expression) -> fmt::Result {
    let is_simple = expression.0.len() == 1;
    for (position, step) in expression.0.iter().enumerate() {
        match (is_simple, position) {
            (true, _) => {}
            (false, 0) => out.write_char('(')?,
            (false, _) => out.write_char(' ')?,
        }
        match step {
            ExpressionStep::Register(register) => write!(out, "{register}")?,
            ExpressionStep::Constant(Value::NullFuncref) => out.write_str("ref.null")?,
            ExpressionStep::Constant(Value::NullExnref) => out.write_str("exn.null")?,
            ExpressionStep::Constant(Value::Externref(0)) => out.write_str("extern.null")?,
            ExpressionStep::Constant(value) => {
                write!(out, "{}.const ", value.ty())?;
                write_value(out, *value)?;
            }
            ExpressionStep::Unary(op) => out.write_str(op.name())?,
            ExpressionStep::Binary(op) => out.write_str(op.name())?,
        }
    }
    if is_simple { Ok(()) } else { out.write_char(')') }
}
