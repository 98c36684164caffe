//! References to things that may be defined further down.
//!
//! Numbered things are used by their number at once; at the end each kind is checked to have as many
//! members as were used. Functions are named: a name gets a provisional index where it is first
//! mentioned, and all indices are replaced when every function is known.

use std::collections::HashMap;

use super::super::error::{Failure, ParseErrorKind, Span};
use crate::body::{Instruction, Terminator};
use crate::index::FunctionIndex;
use crate::module::{ConstantExpression, ExportItem, FunctionKind, GlobalInitial, Module, SegmentMode};
use crate::redefinition::StepAction;

/// The highest number used of one kind, and where.
#[derive(Default)]
pub(super) struct Highest(Option<(usize, Span)>);

impl Highest {
    /// Notes a use.
    pub(super) fn note(&mut self, index: usize, span: Span) {
        if self.0.is_none_or(|(highest, _)| index > highest) {
            self.0 = Some((index, span));
        }
    }

    /// Checks that all that was used is among the `count` that are defined.
    pub(super) fn check(&self, prefix: char, count: usize) -> Result<(), Failure> {
        match self.0 {
            Some((index, span)) if index >= count => {
                Err(span.error(ParseErrorKind::Undefined(format!("{prefix}{index}"))))
            }
            _ => Ok(()),
        }
    }
}

/// Uses of a module's numbered things.
#[derive(Default)]
pub(super) struct Uses {
    pub(super) signatures: Highest,
    pub(super) globals: Highest,
    pub(super) tables: Highest,
    pub(super) memories: Highest,
    pub(super) data: Highest,
    pub(super) elements: Highest,
    pub(super) tags: Highest,
}

impl Uses {
    /// Checks that `module` has all that was used.
    pub(super) fn check(&self, module: &Module) -> Result<(), Failure> {
        self.signatures.check('s', module.signatures.len())?;
        self.globals.check('g', module.globals.len())?;
        self.tables.check('t', module.tables.len())?;
        self.memories.check('m', module.memories.len())?;
        self.data.check('d', module.data.len())?;
        self.elements.check('e', module.elements.len())?;
        self.tags.check('x', module.tags.len())
    }
}

/// The names of functions, mentioned or defined.
#[derive(Default)]
pub(super) struct FunctionNames {
    names: Vec<Name>,
    by_name: HashMap<String, usize>,
}

struct Name {
    first_mention: Span,
    definition: Option<FunctionIndex>,
}

impl FunctionNames {
    /// The provisional index of `name`, mentioned at `span`.
    pub(super) fn mention(&mut self, name: String, span: Span) -> FunctionIndex {
        let next = self.names.len();
        let provisional = *self.by_name.entry(name).or_insert(next);
        if provisional == next {
            self.names.push(Name { first_mention: span, definition: None });
        }
        FunctionIndex::new(provisional)
    }

    /// Gives `name` its final index.
    pub(super) fn define(&mut self, name: &str, span: Span, index: FunctionIndex) -> Result<(), Failure> {
        let provisional = self.mention(name.to_owned(), span);
        let definition = &mut self.names[provisional.index()].definition;
        if definition.is_some() {
            return Err(span.error(ParseErrorKind::DuplicateFunction(name.to_owned())));
        }
        *definition = Some(index);
        Ok(())
    }

    /// Replaces the provisional indices in `module` by the final ones.
    pub(super) fn resolve(&self, module: &mut Module) -> Result<(), Failure> {
        let undefined = self.names.iter().position(|name| name.definition.is_none());
        if let Some(undefined) = undefined {
            let name = self.by_name.iter().find(|(_, index)| **index == undefined);
            let name = name.map(|(name, _)| name.clone()).expect("each index has a name");
            return Err(self.names[undefined].first_mention.error(ParseErrorKind::UnknownFunction(name)));
        }
        each_function_index(module, |function| {
            *function = self.names[function.index()].definition.expect("all are defined");
        });
        Ok(())
    }
}

/// Calls `visit` for each place in `module` that holds a function's index.
fn each_function_index(module: &mut Module, mut visit: impl FnMut(&mut FunctionIndex)) {
    let mut visit_expression = |expression: &mut ConstantExpression| {
        if let ConstantExpression::Function(function) = expression {
            visit(function);
        }
    };
    for global in &mut module.globals {
        if let GlobalInitial::Expression(expression) = &mut global.initial {
            visit_expression(expression);
        }
    }
    for table in &mut module.tables {
        table.initial.iter_mut().for_each(&mut visit_expression);
    }
    for data in &mut module.data {
        if let SegmentMode::Active { offset, .. } = &mut data.mode {
            visit_expression(offset);
        }
    }
    for element in &mut module.elements {
        if let SegmentMode::Active { offset, .. } = &mut element.mode {
            visit_expression(offset);
        }
        element.items.iter_mut().for_each(&mut visit_expression);
    }
    for export in &mut module.exports {
        if let ExportItem::Function(function) = &mut export.item {
            visit(function);
        }
    }
    module.start.iter_mut().for_each(&mut visit);
    for alternative in &mut module.alternatives {
        visit(&mut alternative.body);
        visit(&mut alternative.of);
    }
    for map in &mut module.state_maps {
        visit(&mut map.from);
        visit(&mut map.to);
    }
    for step in &mut module.script {
        match &mut step.action {
            StepAction::Invalidate => {}
            StepAction::InvalidateFunctions(functions) => functions.iter_mut().for_each(&mut visit),
            StepAction::Redefine(redefinition) => {
                for change in &mut redefinition.changes {
                    visit(&mut change.function);
                    visit(&mut change.body);
                }
            }
        }
    }
    for function in &mut module.functions {
        let FunctionKind::Defined(body) = &mut function.kind else { continue };
        for block in &mut body.blocks {
            for instruction in &mut block.instructions {
                match instruction {
                    Instruction::Call { function, .. }
                    | Instruction::RefFunc { function, .. }
                    | Instruction::TableRefers { function, .. } => visit(function),
                    _ => {}
                }
            }
            match &mut block.terminator {
                Terminator::TailCall { function, .. } => visit(function),
                Terminator::Deoptimize { frames } => {
                    frames.iter_mut().for_each(|frame| visit(&mut frame.body));
                }
                _ => {}
            }
        }
    }
}
