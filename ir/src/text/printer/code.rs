//! Function bodies as text.

use std::fmt::{self, Display, Write};

use super::super::literal::write_value;
use super::redefinition::write_frames;
use super::{to_string, write_function_reference, write_signature};
use crate::body::{Body, Instruction, Terminator};
use crate::index::{Block, MemoryIndex, Register, SignatureIndex};
use crate::liveness::Liveness;
use crate::module::Module;
use crate::point::{Point, PointKind, Points, Position};
use crate::value::Value;

/// The column at which comments begin, unless the line is longer.
const COMMENT_COLUMN: usize = 40;

/// What the comments in a body say.
pub(super) struct BodyComments<'b> {
    pub(super) points: &'b Points,
    pub(super) liveness: &'b Liveness,
    pub(super) note: Option<&'b dyn Fn(Position) -> Option<String>>,
}

impl BodyComments<'_> {
    /// At the beginning of `block`.
    fn begin(&self, block: Block) -> Option<String> {
        let entry = (block.index() == Body::ENTRY).then(Points::entry);
        let point = entry.or(self.points.header(block)).or(self.points.guard(block))?;
        Some(describe(self.points, self.liveness, point))
    }

    /// At an instruction or terminator.
    fn at(&self, position: Position) -> Option<String> {
        let point = self.points.at(position.block, position.index);
        let point = point.map(|point| describe(self.points, self.liveness, point));
        let Some(note) = self.note else { return point };
        let parts = [Some(position.to_string()), note(position), point];
        Some(parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// Writes the blocks of `body`, with comments if there are any.
pub(super) fn write_body(
    out: &mut impl Write,
    module: &Module,
    body: &Body,
    comments: Option<BodyComments<'_>>,
) -> fmt::Result {
    let comments = comments.as_ref();
    let at =
        |block: Block, index: usize| comments.and_then(|comments| comments.at(Position { block, index }));
    for block in body.block_indices() {
        write_line(out, &format!("{block}:"), comments.and_then(|comments| comments.begin(block)))?;
        let basic_block = body.block(block);
        for (index, instruction) in basic_block.instructions.iter().enumerate() {
            let text = to_string(|line| write_instruction(line, module, instruction));
            write_line(out, &format!("  {text}"), at(block, index))?;
        }
        let text = terminator_text(module, &basic_block.terminator);
        write_line(out, &format!("  {text}"), at(block, basic_block.instructions.len()))?;
    }
    Ok(())
}

fn describe(points: &Points, liveness: &Liveness, point: Point) -> String {
    let kind = match points.kind(point) {
        PointKind::Entry => "entry",
        PointKind::LoopHeader => "loop header",
        PointKind::AfterCall => "after call",
        PointKind::Trap => "trap",
        PointKind::Guard => "guard",
    };
    format!("{point} {kind}, live: {}", list(liveness.at(point)))
}

fn write_line(out: &mut impl Write, line: &str, comment: Option<String>) -> fmt::Result {
    match comment {
        Some(comment) => writeln!(out, "{line:COMMENT_COLUMN$} ; {}", comment.trim_end()),
        None => writeln!(out, "{line}"),
    }
}

fn list<T: Display>(elements: &[T]) -> String {
    elements.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

fn terminator_text(module: &Module, terminator: &Terminator) -> String {
    match terminator {
        Terminator::Jump { target } => format!("jump {target}"),
        Terminator::Branch { condition, if_true, if_false } => {
            format!("branch {condition}, {if_true}, {if_false}")
        }
        Terminator::Switch { index, targets, default } => {
            format!("switch {index}, [{}], {default}", list(targets))
        }
        Terminator::Guard { condition, next, exit } => format!("guard {condition}, {next} else {exit}"),
        Terminator::Return { values } if values.is_empty() => "return".to_owned(),
        Terminator::Return { values } => format!("return {}", list(values)),
        Terminator::Unreachable => "unreachable".to_owned(),
        Terminator::TailCall { function, arguments } => {
            let mut text = "return_call ".to_owned();
            write_function_reference(&mut text, module, *function).expect("a string takes all text");
            text + &format!(" ({})", list(arguments))
        }
        Terminator::TailCallIndirect { table, signature, index, arguments } => {
            let mut text = format!("return_call_indirect {table} ");
            write_known_signature(&mut text, module, *signature).expect("a string takes all text");
            text + &format!(" [{index}] ({})", list(arguments))
        }
        Terminator::Deoptimize { frames } => {
            let mut text = "deoptimize ".to_owned();
            write_frames(&mut text, module, frames).expect("a string takes all text");
            text
        }
    }
}

fn write_instruction(out: &mut String, module: &Module, instruction: &Instruction) -> fmt::Result {
    use Instruction as I;
    let definitions = instruction.definitions();
    if !definitions.is_empty() {
        write!(out, "{} = ", list(definitions))?;
    }
    match instruction {
        I::Const { value: Value::NullFuncref, .. } => write!(out, "ref.null"),
        I::Const { value: Value::NullExnref, .. } => write!(out, "exn.null"),
        I::Const { value: Value::Externref(0), .. } => write!(out, "extern.null"),
        I::Const { value, .. } => {
            write!(out, "{}.const ", value.ty())?;
            write_value(out, *value)
        }
        I::Copy { src, .. } => write!(out, "copy {src}"),
        I::Unary { op, src, .. } => write!(out, "{} {src}", op.name()),
        I::Binary { op, lhs, rhs, .. } => write!(out, "{} {lhs}, {rhs}", op.name()),
        I::Select { condition, if_true, if_false, .. } => {
            write!(out, "select {condition}, {if_true}, {if_false}")
        }
        I::Load { memory, op, address, offset, .. } => {
            write!(out, "{} {}{}", op.name(), before(&[memory]), place(*address, *offset))
        }
        I::Store { memory, op, address, value, offset } => {
            write!(out, "{} {}{}, {value}", op.name(), before(&[memory]), place(*address, *offset))
        }
        I::GlobalGet { global, .. } => write!(out, "global.get {global}"),
        I::Vector { op, lane, operands, .. } if op.has_lane() => {
            write!(out, "{} {lane}, {}", op.name(), list(operands))
        }
        I::Vector { op, operands, .. } => write!(out, "{} {}", op.name(), list(operands)),
        I::Shuffle { lanes, lhs, rhs, .. } => {
            write!(out, "i8x16.shuffle ")?;
            write_value(out, Value::of_bytes(*lanes))?;
            write!(out, ", {lhs}, {rhs}")
        }
        I::GlobalSet { global, src } => write!(out, "global.set {global}, {src}"),
        I::RefFunc { function, .. } => {
            write!(out, "ref.func ")?;
            write_function_reference(out, module, *function)
        }
        I::Throw { tag } => write!(out, "throw {tag}"),
        I::ThrowRef { exception } => write!(out, "throw_ref {exception}"),
        I::TrapIf { condition, kind } => write!(out, "trap_if {condition}, \"{kind}\""),
        I::Interpret => write!(out, "interpret"),
        I::CaughtRef { .. } => write!(out, "caught_ref"),
        I::TableRefers { table, index, function, .. } => {
            write!(out, "table.refers {table}, {index}, ")?;
            write_function_reference(out, module, *function)
        }
        I::Call { function, arguments, .. } => {
            write!(out, "call ")?;
            write_function_reference(out, module, *function)?;
            write!(out, " ({})", list(arguments))
        }
        I::CallIndirect { table, signature, index, arguments, .. } => {
            write!(out, "call_indirect {table} ")?;
            write_known_signature(out, module, *signature)?;
            write!(out, " [{index}] ({})", list(arguments))
        }
        _ => write_bulk_instruction(out, instruction),
    }
}

/// A signature, or its number if there is none.
fn write_known_signature(out: &mut String, module: &Module, signature: SignatureIndex) -> fmt::Result {
    match module.signatures.get(signature.index()) {
        Some(signature) => write_signature(out, signature),
        None => write!(out, "{signature}"),
    }
}

/// Memory as a whole, tables and segments.
fn write_bulk_instruction(out: &mut String, instruction: &Instruction) -> fmt::Result {
    use Instruction as I;
    match instruction {
        I::MemorySize { memory: MemoryIndex::FIRST, .. } => write!(out, "memory.size"),
        I::MemorySize { memory, .. } => write!(out, "memory.size {memory}"),
        I::MemoryGrow { memory, delta, .. } => write!(out, "memory.grow {}{delta}", before(&[memory])),
        I::MemoryFill { memory, address, value, length } => {
            write!(out, "memory.fill {}{address}, {value}, {length}", before(&[memory]))
        }
        I::MemoryCopy { destination_memory, source_memory, destination, source, length } => {
            let memories = before(&[destination_memory, source_memory]);
            write!(out, "memory.copy {memories}{destination}, {source}, {length}")
        }
        I::MemoryInit { memory, segment, destination, source, length } => {
            write!(out, "memory.init {}{segment}, {destination}, {source}, {length}", before(&[memory]))
        }
        I::AtomicWait { memory, is_64, address, offset, expected, timeout, .. } => {
            let (bits, place) = (if *is_64 { 64 } else { 32 }, place(*address, *offset));
            write!(out, "memory.atomic.wait{bits} {}{place}, {expected}, {timeout}", before(&[memory]))
        }
        I::DataDrop { segment } => write!(out, "data.drop {segment}"),
        I::TableGet { table, index, .. } => write!(out, "table.get {table}, {index}"),
        I::TableSet { table, index, value } => write!(out, "table.set {table}, {index}, {value}"),
        I::TableSize { table, .. } => write!(out, "table.size {table}"),
        I::TableGrow { table, value, delta, .. } => write!(out, "table.grow {table}, {value}, {delta}"),
        I::TableFill { table, index, value, length } => {
            write!(out, "table.fill {table}, {index}, {value}, {length}")
        }
        I::TableCopy { destination_table, source_table, destination, source, length } => {
            write!(out, "table.copy {destination_table}, {source_table}, {destination}, {source}, {length}")
        }
        I::TableInit { table, segment, destination, source, length } => {
            write!(out, "table.init {table}, {segment}, {destination}, {source}, {length}")
        }
        I::ElementDrop { segment } => write!(out, "elem.drop {segment}"),
        _ => unreachable!("{instruction:?} is written by write_instruction"),
    }
}

/// The memories that an instruction names before its other operands: none if all are the first.
fn before(memories: &[&MemoryIndex]) -> String {
    if memories.iter().all(|&&memory| memory == MemoryIndex::FIRST) {
        return String::new();
    }
    memories.iter().map(|memory| format!("{memory}, ")).collect()
}

/// An address and what is added to it.
fn place(address: Register, offset: u32) -> String {
    if offset == 0 { address.to_string() } else { format!("{address} + {offset}") }
}
