//! Constructs: `block`, `loop`, `if`, `else` and `end`; those that catch are in [`exceptions`](super::exceptions).
//!
//! Entries of the operand stack that lie below a construct stay as they are throughout it, so that its
//! ways out need not agree on them: an entry that is a local which the construct assigns is copied to
//! its slot before. Where ways meet, the values that they bring are in the slots of their heights.

use wasmparser::{BlockType, Operator};

use super::control::{Frame, FrameKind, FrameType};
use super::error::ImportError;
use super::function::Translator;
use super::operands::Operand;
use super::sections::value_type;
use crate::body::{Instruction, Terminator};
use crate::index::Block;

impl Translator<'_> {
    /// `block`.
    pub(super) fn block(&mut self, ty: BlockType) -> Result<(), ImportError> {
        self.construct_of(ty, Self::begin_block)
    }

    /// `loop`.
    pub(super) fn loops(&mut self, ty: BlockType) -> Result<(), ImportError> {
        self.construct_of(ty, Self::begin_loop)
    }

    /// `if`.
    pub(super) fn ifs(&mut self, ty: BlockType) -> Result<(), ImportError> {
        self.construct_of(ty, Self::begin_if)
    }

    fn construct_of(
        &mut self,
        ty: BlockType,
        begin: impl FnOnce(&mut Self, FrameType),
    ) -> Result<(), ImportError> {
        if self.control.is_reachable {
            begin(self, self.frame_type(ty)?);
        } else {
            self.control.skip();
        }
        Ok(())
    }

    /// Follows the nesting of other constructs; says whether `operator` is of one.
    pub(super) fn construct(&mut self, operator: &Operator<'_>) -> Result<bool, ImportError> {
        match *operator {
            Operator::TryTable { ref try_table } => {
                self.construct_of(try_table.ty, |this, ty| this.begin_try_table(try_table, ty))?;
            }
            Operator::Try { blockty } => self.construct_of(blockty, Self::begin_try)?,
            Operator::Catch { tag_index } => {
                if !self.control.is_skipped(false) {
                    self.begin_catch(Some(tag_index));
                }
            }
            Operator::CatchAll => {
                if !self.control.is_skipped(false) {
                    self.begin_catch(None);
                }
            }
            Operator::Delegate { relative_depth } => {
                if !self.control.is_skipped(true) {
                    self.delegate(relative_depth);
                }
            }
            Operator::Else => {
                if !self.control.is_skipped(false) {
                    self.begin_else();
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn frame_type(&self, ty: BlockType) -> Result<FrameType, ImportError> {
        Ok(match ty {
            BlockType::Empty => FrameType::Result(None),
            BlockType::Type(ty) => FrameType::Result(Some(value_type(ty, self.offset)?)),
            BlockType::FuncType(index) => FrameType::Signature(self.types[index as usize]),
        })
    }

    fn begin_block(&mut self, ty: FrameType) {
        let base = self.base_below(ty);
        self.save_assigned(base);
        let label = self.code.block();
        self.control.push(Frame { kind: FrameKind::Block, ty, base, label, is_label_used: false });
    }

    /// Control meets at the start of a loop, so its parameters have to be in their slots.
    fn begin_loop(&mut self, ty: FrameType) {
        let base = self.base_below(ty);
        self.save_assigned(base);
        let parameters = ty.parameters(self.module);
        let moves = self.moves(base, parameters.len());
        moves.into_iter().for_each(|instruction| self.code.emit(instruction));
        self.operands.truncate(base);
        self.operands.push_slots(parameters);
        let label = self.code.block();
        self.code.terminate(Terminator::Jump { target: label });
        self.code.start(label);
        self.control.push(Frame { kind: FrameKind::Loop, ty, base, label, is_label_used: false });
    }

    fn begin_if(&mut self, ty: FrameType) {
        let condition = self.pop_condition();
        let base = self.base_below(ty);
        self.save_assigned(base);
        let [then, otherwise, label] = std::array::from_fn(|_| self.code.block());
        self.code.terminate(condition.branch(then, otherwise));
        self.code.start(then);
        let kind = FrameKind::If { otherwise, parameters: self.operands.above(base).to_vec() };
        self.control.push(Frame { kind, ty, base, label, is_label_used: false });
    }

    fn begin_else(&mut self) {
        let mut frame = self.control.pop();
        self.meet(&mut frame);
        if let FrameKind::If { otherwise, parameters } = std::mem::replace(&mut frame.kind, FrameKind::Block)
        {
            self.start_with(otherwise, frame.base, parameters);
        }
        self.control.push(frame);
    }

    /// `end`.
    pub(super) fn end(&mut self) {
        if self.control.is_skipped(true) {
            return;
        }
        let mut frame = self.control.pop();
        match std::mem::replace(&mut frame.kind, FrameKind::Block) {
            FrameKind::Function => return self.end_function(frame),
            // Branches go to the start: here is only where the loop falls through.
            FrameKind::Loop => frame.is_label_used = false,
            FrameKind::Block
            | FrameKind::Try { legacy: None, .. }
            | FrameKind::Catch { dispatch: None, .. } => {}
            FrameKind::Try { dispatch, .. } | FrameKind::Catch { dispatch: Some(dispatch), .. } => {
                self.dispatch_outwards(&mut frame, dispatch, 0);
            }
            FrameKind::If { otherwise, parameters } => {
                self.meet(&mut frame);
                self.start_with(otherwise, frame.base, parameters);
            }
        }
        self.end_block(frame);
    }

    /// What follows the end of `frame`.
    pub(super) fn end_block(&mut self, mut frame: Frame) {
        if frame.is_label_used {
            self.meet(&mut frame);
            self.start_with(frame.label, frame.base, vec![]);
            self.operands.push_slots(frame.ty.results(self.module));
        } else if !self.control.is_reachable {
            self.operands.truncate(frame.base);
        }
    }

    fn end_function(&mut self, frame: Frame) {
        if self.control.is_reachable {
            let results = frame.ty.results(self.module).len();
            let (loads, terminator) = self.return_values(results);
            loads.into_iter().for_each(|instruction| self.code.emit(instruction));
            self.leave(terminator);
        }
    }

    /// Goes to the end of `frame` with its results, if control gets here.
    pub(super) fn meet(&mut self, frame: &mut Frame) {
        if self.control.is_reachable {
            frame.is_label_used = true;
            let moves = self.moves(frame.base, frame.ty.results(self.module).len());
            moves.into_iter().for_each(|instruction| self.code.emit(instruction));
            self.leave(Terminator::Jump { target: frame.label });
        }
    }

    /// Continues in `block`, with `entries` on the stack above `base`.
    pub(super) fn start_with(&mut self, block: Block, base: usize, entries: Vec<Operand>) {
        self.code.start(block);
        self.control.is_reachable = true;
        self.operands.truncate(base);
        entries.into_iter().for_each(|operand| self.operands.push(operand));
    }

    pub(super) fn base_below(&self, ty: FrameType) -> usize {
        self.operands.height() - ty.parameters(self.module).len()
    }

    /// Saves the entries below `base` whose local the construct assigns that begins here. Below the construct around it
    /// there are none any more: they were saved where that began.
    pub(super) fn save_assigned(&mut self, base: usize) {
        let entries = self.control.innermost_base()..base;
        if !self.operands.is_pending_in(entries.clone()) {
            return;
        }
        let (offset, code, assignments) = (self.offset, &mut self.code, &mut self.assignments);
        assignments.look_into(offset);
        self.operands.settle(
            entries,
            |local| assignments.assigns(offset, local),
            |dst, src| code.emit(Instruction::Copy { dst, src }),
        );
    }
}
