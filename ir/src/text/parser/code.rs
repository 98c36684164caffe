//! Function bodies: registers, blocks and terminators.

use super::super::error::{Failure, ParseErrorKind, Span};
use super::super::lexer::Token;
use super::super::source::Offsets;
use super::Parser;
use super::names::Highest;
use crate::body::{BasicBlock, Body, Instruction, Terminator};
use crate::index::{Block, Register};
use crate::reference_type::ExactType;
use crate::value::Type;

/// A body that is being read.
pub(super) struct Code<'p, 'a> {
    pub(super) parser: &'p mut Parser<'a>,
    pub(super) body: Body,
    /// Where each line of its blocks begins.
    pub(super) offsets: Offsets,
    blocks: Highest,
}

/// The registers before an equals sign.
pub(super) struct Results {
    registers: Vec<Register>,
    span: Span,
}

impl Results {
    pub(super) fn into_registers(self) -> Vec<Register> {
        self.registers
    }

    /// The registers, if there are as many as `operation` assigns.
    pub(super) fn take<const N: usize>(self, operation: &str) -> Result<[Register; N], Failure> {
        let found = self.registers.len();
        self.registers.try_into().map_err(|_| {
            self.span.error(ParseErrorKind::ResultCount {
                operation: operation.to_owned(),
                expected: N,
                found,
            })
        })
    }
}

/// What one line of a block says.
enum Line {
    Instruction(Instruction),
    Terminator(Terminator),
}

impl<'p, 'a> Code<'p, 'a> {
    pub(super) fn new(parser: &'p mut Parser<'a>) -> Self {
        Code { parser, body: Body::default(), offsets: Vec::new(), blocks: Highest::default() }
    }

    /// The list of parameters, after its opening parenthesis.
    pub(super) fn parameters(&mut self) -> Result<Vec<ExactType>, Failure> {
        let mut parameters = Vec::new();
        if self.parser.accept(")")? {
            return Ok(parameters);
        }
        loop {
            let ty = self.declaration()?;
            parameters.push((ty, self.parser.referent()?));
            if !self.parser.accept(",")? {
                self.parser.expect(")")?;
                return Ok(parameters);
            }
        }
    }

    /// What stands between braces.
    pub(super) fn blocks(&mut self) -> Result<(), Failure> {
        self.parser.expect("{")?;
        if self.parser.peek_index('r').is_some() {
            self.declarations()?;
        }
        while !self.parser.accept("}")? {
            let next = self.body.blocks.len();
            self.parser.definition('b', next, "a block such as `b0`, or `}`")?;
            self.parser.expect(":")?;
            let block = self.block()?;
            self.body.blocks.push(block);
        }
        self.blocks.check('b', self.body.blocks.len())
    }

    /// One or more declarations of registers.
    fn declarations(&mut self) -> Result<(), Failure> {
        self.declaration()?;
        while self.parser.accept(",")? {
            self.declaration()?;
        }
        Ok(())
    }

    fn declaration(&mut self) -> Result<Type, Failure> {
        self.parser.definition('r', self.body.registers.len(), "a register such as `r0`")?;
        self.parser.expect(":")?;
        let ty = self.parser.ty()?;
        self.body.registers.push(ty);
        Ok(ty)
    }

    fn block(&mut self) -> Result<BasicBlock, Failure> {
        let mut instructions = Vec::new();
        self.offsets.push(Vec::new());
        loop {
            let offset = self.parser.span.start as u32;
            self.offsets.last_mut().expect("the block has a list").push(offset);
            match self.line()? {
                Line::Instruction(instruction) => instructions.push(instruction),
                Line::Terminator(terminator) => {
                    // It goes without saying that it is executed in the interpreter.
                    let is_deoptimized = matches!(terminator, Terminator::Deoptimize { .. });
                    if is_deoptimized && instructions.last() != Some(&Instruction::Interpret) {
                        instructions.push(Instruction::Interpret);
                        self.offsets.last_mut().expect("the block has a list").push(offset);
                    }
                    return Ok(BasicBlock { instructions, terminator });
                }
            }
        }
    }

    fn line(&mut self) -> Result<Line, Failure> {
        let results = self.results()?;
        let (name, span) = self.parser.word("an instruction or a terminator")?;
        let terminator = match name {
            "jump" => Terminator::Jump { target: self.target()? },
            "branch" => self.branch()?,
            "switch" => self.switch()?,
            "guard" => self.guard()?,
            "return" => Terminator::Return { values: self.returned()? },
            "unreachable" => Terminator::Unreachable,
            "return_call" => {
                let function = self.parser.function()?;
                Terminator::TailCall { function, arguments: self.arguments()? }
            }
            "return_call_indirect" => {
                let (table, signature, index) = self.indirect_callee()?;
                Terminator::TailCallIndirect { table, signature, index, arguments: self.arguments()? }
            }
            "deoptimize" => Terminator::Deoptimize { frames: self.parser.resumed_frames()? },
            _ => return self.instruction(name, span, results).map(Line::Instruction),
        };
        let [] = results.take(name)?;
        Ok(Line::Terminator(terminator))
    }

    fn results(&mut self) -> Result<Results, Failure> {
        let span = self.parser.span;
        let mut registers = Vec::new();
        if self.parser.peek_index('r').is_some() {
            registers.push(self.register()?);
            while self.parser.accept(",")? {
                registers.push(self.register()?);
            }
            self.parser.expect("=")?;
        }
        Ok(Results { registers, span })
    }

    fn branch(&mut self) -> Result<Terminator, Failure> {
        let condition = self.register()?;
        self.parser.expect(",")?;
        let if_true = self.target()?;
        self.parser.expect(",")?;
        Ok(Terminator::Branch { condition, if_true, if_false: self.target()? })
    }

    fn switch(&mut self) -> Result<Terminator, Failure> {
        let index = self.register()?;
        self.parser.expect(",")?;
        self.parser.expect("[")?;
        let blocks = &mut self.blocks;
        let targets = self.parser.list_until("]", |parser| target(parser, blocks))?;
        self.parser.expect(",")?;
        Ok(Terminator::Switch { index, targets, default: self.target()? })
    }

    fn guard(&mut self) -> Result<Terminator, Failure> {
        let condition = self.register()?;
        self.parser.expect(",")?;
        let next = self.target()?;
        if !self.parser.accept_word("else")? {
            return Err(self.parser.unexpected("`else`"));
        }
        Ok(Terminator::Guard { condition, next, exit: self.target()? })
    }

    fn returned(&mut self) -> Result<Vec<Register>, Failure> {
        let mut values = Vec::new();
        if self.parser.peek_index('r').is_some() {
            values.push(self.register()?);
            while self.parser.accept(",")? {
                values.push(self.register()?);
            }
        }
        Ok(values)
    }

    fn target(&mut self) -> Result<Block, Failure> {
        target(self.parser, &mut self.blocks)
    }

    /// A mention of a register.
    pub(super) fn register(&mut self) -> Result<Register, Failure> {
        register(self.parser, self.body.registers.len())
    }

    /// `N` registers with commas between.
    pub(super) fn registers<const N: usize>(&mut self) -> Result<[Register; N], Failure> {
        let mut registers = [Register::new(0); N];
        for (i, slot) in registers.iter_mut().enumerate() {
            if i > 0 {
                self.parser.expect(",")?;
            }
            *slot = self.register()?;
        }
        Ok(registers)
    }

    /// Registers in parentheses.
    pub(super) fn arguments(&mut self) -> Result<Vec<Register>, Failure> {
        let count = self.body.registers.len();
        self.parser.expect("(")?;
        self.parser.list_until(")", |parser| register(parser, count))
    }

    /// `+` and an offset, or 0.
    pub(super) fn displacement(&mut self) -> Result<u32, Failure> {
        if self.parser.accept("+")? { self.parser.u32() } else { Ok(0) }
    }

    /// A number that is left to be read as a constant.
    pub(super) fn number(&mut self) -> Result<(&'a str, Span), Failure> {
        let Token::Number(text) = self.parser.token else { return Err(self.parser.unexpected("a number")) };
        let (_, span) = self.parser.advance()?;
        Ok((text, span))
    }
}

fn register(parser: &mut Parser<'_>, count: usize) -> Result<Register, Failure> {
    let (index, span) = parser.index('r', "a register such as `r0`")?;
    if index >= count {
        return Err(span.error(ParseErrorKind::Undefined(format!("r{index}"))));
    }
    Ok(Register::new(index))
}

fn target(parser: &mut Parser<'_>, blocks: &mut Highest) -> Result<Block, Failure> {
    let (index, span) = parser.index('b', "a block such as `b0`")?;
    blocks.note(index, span);
    Ok(Block::new(index))
}
