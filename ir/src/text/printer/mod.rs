//! The printer: a module as text that reads back as an equal module.
//!
//! - here: the entry points, and what stands at the top of a file;
//! - [`code`]: function bodies.
//!
//! It prints every module, also one that the verifier rejects: what is out of range is printed as its
//! number (`f7`), so that it can be looked at.

mod code;
mod redefinition;

use std::fmt::{self, Write};
use std::{iter, ptr};

use super::literal::{write_bytes, write_function_name, write_name, write_value};
use crate::body::{Body, Instruction, Terminator};
use crate::index::{FunctionIndex, MemoryIndex, SignatureIndex};
use crate::liveness::Liveness;
use crate::module::{
    ConstantExpression, ConstantStep, ExportItem, Function, FunctionKind, GlobalInitial, ImportName, Module,
    SegmentMode, Signature, list,
};
use crate::point::{Points, Position};
use crate::reference_type::{ReferenceType, Referent};
use crate::state_map::StateMap;
use crate::value::Type;
use code::{BodyComments, write_body};
use redefinition::{write_redefinitions, write_state_map};

/// Bytes of a data segment that are printed on one line.
const BYTES_PER_LINE: usize = 64;

/// `module` in the textual form.
pub fn print(module: &Module) -> String {
    module.to_string()
}

/// `module` in the textual form, with a comment at each [point](crate::point): its number, its kind,
/// and the registers that are live there.
///
/// # Panics
/// May panic if the verifier has not passed `module`.
pub fn print_with_points(module: &Module) -> String {
    to_string(|out| write_module(out, module, Some(Comments::POINTS)))
}

/// `module` in the textual form, with a comment at each instruction: its position, what `note` says of it, and what
/// [`print_with_points`] does.
///
/// # Panics
/// May panic if the verifier has not passed `module`.
pub fn print_annotated(module: &Module, note: &Note<'_>) -> String {
    to_string(|out| write_annotated(out, module, note))
}

/// Writes what [`print_annotated`] returns: of a large module that is more than one wants in memory.
///
/// # Errors
/// If `out` fails.
///
/// # Panics
/// May panic if the verifier has not passed `module`.
pub fn write_annotated(out: &mut impl Write, module: &Module, note: &Note<'_>) -> fmt::Result {
    write_module(out, module, Some(Comments { note: Some(note) }))
}

/// One function of `module` with comments as in [`print_annotated`].
///
/// # Panics
/// May panic if the verifier has not passed `module`.
pub fn print_function_annotated(module: &Module, function: FunctionIndex, note: &Note<'_>) -> String {
    to_string(|out| write_function(out, module, function, Some(Comments { note: Some(note) })))
}

/// One function of `module` with comments as in [`print_with_points`].
///
/// # Panics
/// May panic if the verifier has not passed `module`.
pub fn print_function(module: &Module, function: FunctionIndex) -> String {
    to_string(|out| write_function(out, module, function, Some(Comments::POINTS)))
}

/// The registers and blocks of `body`, which need not be a function's current body but whose indices
/// refer to `module`, with comments as in [`print_with_points`].
///
/// # Panics
/// May panic if `body` would not be verified as a body in `module`.
pub fn print_body(module: &Module, body: &Body) -> String {
    let (points, liveness) = analyses(body);
    to_string(|out| {
        write_registers(out, body, 0)?;
        write_body(out, module, body, Some(BodyComments { points: &points, liveness: &liveness, note: None }))
    })
}

/// A state map between bodies of `module`.
pub fn print_state_map(module: &Module, map: &StateMap) -> String {
    to_string(|out| write_state_map(out, module, map))
}

impl fmt::Display for Module {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_module(formatter, self, None)
    }
}

fn to_string(write: impl FnOnce(&mut String) -> fmt::Result) -> String {
    let mut text = String::new();
    write(&mut text).expect("a string takes all text");
    text
}

/// What is to be said of an instruction or terminator.
pub type Note<'n> = dyn Fn(FunctionIndex, Position) -> Option<String> + 'n;

/// What comments say: points, and notes of all instructions, if there are any.
#[derive(Clone, Copy)]
struct Comments<'n> {
    note: Option<&'n Note<'n>>,
}

impl Comments<'_> {
    const POINTS: Comments<'static> = Comments { note: None };
}

fn analyses(body: &Body) -> (Points, Liveness) {
    let points = Points::of(body);
    let liveness = Liveness::of(body, &points);
    (points, liveness)
}

fn write_module(out: &mut impl Write, module: &Module, comments: Option<Comments<'_>>) -> fmt::Result {
    let is_in_order = || signatures_in_text_order(module).into_iter().eq(0..module.signatures.len());
    if mentions_signatures(module) || !is_in_order() {
        for (i, signature) in module.signatures.iter().enumerate() {
            write!(out, "signature {} ", SignatureIndex::new(i))?;
            write_signature(out, signature)?;
            writeln!(out)?;
        }
    }
    write_state(out, module)?;
    write_segments(out, module)?;
    // Functions keep their order; the imports that come first stand before their uses.
    let is_import = |function: &&Function| matches!(function.kind, FunctionKind::Import(_));
    let imports = module.functions.iter().take_while(is_import).count();
    let mut functions = module.function_indices();
    let write = |out: &mut _, function| write_function(out, module, function, comments);
    functions.by_ref().take(imports).try_for_each(|import| write(out, import))?;
    write_exports(out, module)?;
    functions.try_for_each(|function| write(out, function))?;
    write_redefinitions(out, module)
}

/// Whether it is said by number what references are to.
fn mentions_signatures(module: &Module) -> bool {
    let globals = module.globals.iter().map(|global| global.reference);
    let tables = module.tables.iter().map(|table| table.reference);
    let signatures = module.signatures.iter().flat_map(|signature| signature.references.values().copied());
    let mut all = globals.chain(tables).chain(signatures);
    all.any(|reference| matches!(reference.referent, Referent::Function(_)))
}

/// The signatures in the order in which reading the functions would intern them, each once.
fn signatures_in_text_order(module: &Module) -> Vec<usize> {
    let mut seen = vec![false; module.signatures.len()];
    let mut order = Vec::new();
    let mut note = |signature: SignatureIndex| {
        if seen.get(signature.index()) == Some(&false) {
            seen[signature.index()] = true;
            order.push(signature.index());
        }
    };
    for function in &module.functions {
        note(function.signature);
        let blocks = function.body().map_or(&[][..], |body| &body.blocks);
        for block in blocks {
            for instruction in &block.instructions {
                if let Instruction::CallIndirect { signature, .. } = instruction {
                    note(*signature);
                }
            }
            if let Terminator::TailCallIndirect { signature, .. } = &block.terminator {
                note(*signature);
            }
        }
    }
    order
}

fn write_state(out: &mut impl Write, module: &Module) -> fmt::Result {
    for (i, memory) in module.memories.iter().enumerate() {
        out.write_str("memory ")?;
        if i > 0 {
            write!(out, "m{i}: ")?;
        }
        write_origin(out, memory.import.as_ref())?;
        out.write_str(if memory.is_shared { "shared " } else { "" })?;
        out.write_str(if memory.is_64 { "i64 " } else { "" })?;
        write_size(out, memory.minimum, memory.maximum)?;
        writeln!(out)?;
    }
    for (i, global) in module.globals.iter().enumerate() {
        let mutable = if global.mutable { "mut " } else { "" };
        write!(out, "global g{i}: {mutable}{} ", global.ty)?;
        write_referent(out, global.reference)?;
        out.write_str("= ")?;
        match &global.initial {
            GlobalInitial::Import(import) => {
                out.write_str("import ")?;
                write_import_name(out, import)?;
            }
            GlobalInitial::Expression(expression) => write_constant(out, module, expression)?,
        }
        writeln!(out)?;
    }
    for (i, table) in module.tables.iter().enumerate() {
        write!(out, "table t{i}: ")?;
        write_reference_type(out, table.ty)?;
        write_referent(out, table.reference)?;
        write_origin(out, table.import.as_ref())?;
        out.write_str(if table.is_64 { "i64 " } else { "" })?;
        write_size(out, table.minimum, table.maximum)?;
        if let Some(initial) = &table.initial {
            out.write_str(" = ")?;
            write_constant(out, module, initial)?;
        }
        writeln!(out)?;
    }
    for (i, tag) in module.tags.iter().enumerate() {
        write!(out, "tag x{i}: ")?;
        write_origin(out, tag.import.as_ref())?;
        let values: Vec<String> = tag.values.iter().map(|global| global.to_string()).collect();
        writeln!(out, "({})", values.join(", "))?;
    }
    match module.caught {
        Some(global) => writeln!(out, "caught {global}"),
        None => Ok(()),
    }
}

fn write_segments(out: &mut impl Write, module: &Module) -> fmt::Result {
    for (i, data) in module.data.iter().enumerate() {
        write!(out, "data d{i} ")?;
        write_mode(out, module, &data.mode, |&memory| match memory {
            MemoryIndex::FIRST => String::new(),
            memory => format!("{memory} "),
        })?;
        let mut lines = data.bytes.chunks(BYTES_PER_LINE);
        write_bytes(out, lines.next().unwrap_or_default())?;
        for line in lines {
            out.write_str("\n  ")?;
            write_bytes(out, line)?;
        }
        writeln!(out)?;
    }
    for (i, element) in module.elements.iter().enumerate() {
        write!(out, "element e{i} ")?;
        write_mode(out, module, &element.mode, |table| format!("{table} "))?;
        write_reference_type(out, element.ty)?;
        out.write_char('[')?;
        for (i, item) in element.items.iter().enumerate() {
            out.write_str(if i == 0 { "" } else { ", " })?;
            write_constant(out, module, item)?;
        }
        writeln!(out, "]")?;
    }
    Ok(())
}

/// What a table or segment holds, and a blank; nothing if it is function references.
fn write_reference_type(out: &mut impl Write, ty: Type) -> fmt::Result {
    if ty == Type::Funcref { Ok(()) } else { write!(out, "{ty} ") }
}

/// What references are to, and a blank; nothing if that is not known.
fn write_referent(out: &mut impl Write, reference: ReferenceType) -> fmt::Result {
    if reference == ReferenceType::default() { Ok(()) } else { write!(out, "{reference} ") }
}

fn write_mode<Target>(
    out: &mut impl Write,
    module: &Module,
    mode: &SegmentMode<Target>,
    target_text: impl FnOnce(&Target) -> String,
) -> fmt::Result {
    match mode {
        SegmentMode::Active { target, offset } => {
            write!(out, "{}at ", target_text(target))?;
            write_constant(out, module, offset)?;
            out.write_char(' ')
        }
        SegmentMode::Passive => out.write_str("passive "),
        SegmentMode::Declared => out.write_str("declared "),
    }
}

fn write_exports(out: &mut impl Write, module: &Module) -> fmt::Result {
    for export in &module.exports {
        out.write_str("export ")?;
        write_name(out, &export.name)?;
        match export.item {
            ExportItem::Function(function) => {
                out.write_str(" function ")?;
                write_function_reference(out, module, function)?;
            }
            ExportItem::Global(global) => write!(out, " global {global}")?,
            ExportItem::Table(table) => write!(out, " table {table}")?,
            ExportItem::Memory(MemoryIndex::FIRST) => out.write_str(" memory")?,
            ExportItem::Memory(memory) => write!(out, " memory {memory}")?,
            ExportItem::Tag(tag) => write!(out, " tag {tag}")?,
        }
        writeln!(out)?;
    }
    if let Some(start) = module.start {
        out.write_str("start ")?;
        write_function_reference(out, module, start)?;
        writeln!(out)?;
    }
    Ok(())
}

fn write_function(
    out: &mut impl Write,
    module: &Module,
    index: FunctionIndex,
    comments: Option<Comments<'_>>,
) -> fmt::Result {
    let function = module.function(index);
    let unknown = Signature::default();
    let signature = module.signatures.get(function.signature.index()).unwrap_or(&unknown);
    match &function.kind {
        FunctionKind::Import(import) => {
            out.write_str("import ")?;
            write_function_name(out, &function.name)?;
            out.write_char(' ')?;
            write_signature(out, signature)?;
            out.write_str(" = ")?;
            write_import_name(out, import)?;
            writeln!(out)
        }
        FunctionKind::Defined(body) => {
            let of = alternative_of(module, function);
            out.write_str(if of.is_some() { "body " } else { "function " })?;
            write_function_name(out, &function.name)?;
            if let Some(of) = of {
                out.write_str(" of ")?;
                write_function_reference(out, module, of)?;
            }
            out.write_str(" (")?;
            for (i, parameter) in signature.exact_parameters().enumerate() {
                write!(out, "{}r{i}: {}", if i == 0 { "" } else { ", " }, list(iter::once(parameter)))?;
            }
            out.write_char(')')?;
            write_results(out, signature)?;
            writeln!(out, " {{")?;
            write_registers(out, body, signature.parameters.len())?;
            let Some(Comments { note }) = comments else {
                write_body(out, module, body, None)?;
                return writeln!(out, "}}");
            };
            let (points, liveness) = analyses(body);
            let note = note.map(|note| move |position| note(index, position));
            let note = note.as_ref().map(|note| note as &dyn Fn(Position) -> Option<String>);
            write_body(out, module, body, Some(BodyComments { points: &points, liveness: &liveness, note }))?;
            writeln!(out, "}}")
        }
    }
}

/// What `function` is a further body of, if it is one.
fn alternative_of(module: &Module, function: &Function) -> Option<FunctionIndex> {
    let is_it =
        |body: &FunctionIndex| module.known_function(*body).is_some_and(|body| ptr::eq(body, function));
    let alternatives = module.alternatives.iter().map(|alternative| alternative.body);
    alternatives.chain(module.added_bodies()).find(is_it).map(|body| module.function_of(body))
}

/// Declares the registers from number `first` on, several on a line.
fn write_registers(out: &mut impl Write, body: &Body, first: usize) -> fmt::Result {
    const PER_LINE: usize = 8;
    let declared = body.registers.iter().enumerate().skip(first);
    for (i, ty) in declared {
        let separator = match (i - first, (i - first) % PER_LINE) {
            (0, _) => "  ",
            (_, 0) => ",\n  ",
            _ => ", ",
        };
        write!(out, "{separator}r{i}: {ty}")?;
    }
    if body.registers.len() > first { writeln!(out) } else { Ok(()) }
}

fn write_origin(out: &mut impl Write, import: Option<&ImportName>) -> fmt::Result {
    let Some(import) = import else { return Ok(()) };
    out.write_str("import ")?;
    write_import_name(out, import)?;
    out.write_char(' ')
}

fn write_import_name(out: &mut impl Write, import: &ImportName) -> fmt::Result {
    write_name(out, &import.module)?;
    out.write_char(' ')?;
    write_name(out, &import.name)
}

fn write_size(out: &mut impl Write, minimum: u32, maximum: Option<u32>) -> fmt::Result {
    match maximum {
        Some(maximum) => write!(out, "{minimum} {maximum}"),
        None => write!(out, "{minimum}"),
    }
}

fn write_constant(out: &mut impl Write, module: &Module, expression: &ConstantExpression) -> fmt::Result {
    match expression {
        ConstantExpression::Value(value) => write_value(out, *value),
        ConstantExpression::Global(global) => write!(out, "{global}"),
        ConstantExpression::Function(function) => write_function_reference(out, module, *function),
        ConstantExpression::Arithmetic(steps) => {
            for (position, step) in steps.iter().enumerate() {
                out.write_char(if position == 0 { '(' } else { ' ' })?;
                match step {
                    ConstantStep::Value(value) => write_value(out, *value)?,
                    ConstantStep::Global(global) => write!(out, "{global}")?,
                    ConstantStep::Operation(operation) => out.write_str(operation.name())?,
                }
            }
            out.write_char(')')
        }
    }
}

fn write_function_reference(out: &mut impl Write, module: &Module, function: FunctionIndex) -> fmt::Result {
    match module.known_function(function) {
        Some(Function { name, .. }) => write_function_name(out, name),
        None => write!(out, "{function}"),
    }
}

fn write_signature(out: &mut impl Write, signature: &Signature) -> fmt::Result {
    write!(out, "({})", list(signature.exact_parameters()))?;
    write_results(out, signature)
}

fn write_results(out: &mut impl Write, signature: &Signature) -> fmt::Result {
    match signature.results.is_empty() {
        true => Ok(()),
        false => write!(out, " -> ({})", list(signature.exact_results())),
    }
}
