//! Further bodies of functions, state maps, and the script.

use super::super::error::{Failure, ParseErrorKind};
use super::super::lexer::Token;
use super::super::literal;
use super::Parser;
use crate::index::Register;
use crate::operation::{BinaryOp, UnaryOp};
use crate::point::Point;
use crate::redefinition::{Alternative, Change, OldActivations, Redefinition, Step, StepAction};
use crate::state_map::{Expression, ExpressionStep, MapEntry, ResumedFrame, StateMap};
use crate::value::{Type, Value};

impl Parser<'_> {
    /// `body NAME of NAME` and what a function has.
    pub(super) fn body_item(&mut self) -> Result<(), Failure> {
        self.advance()?;
        let (name, span) = self.defined_name()?;
        let body = self.functions.mention(name.clone(), span);
        self.expect_word("of", "`of`")?;
        let of = self.function()?;
        self.module.alternatives.push(Alternative { body, of });
        self.definition_of(name)
    }

    /// `map NAME to NAME { entries }`.
    pub(super) fn map_item(&mut self) -> Result<(), Failure> {
        self.advance()?;
        let from = self.function()?;
        self.expect_word("to", "`to`")?;
        let to = self.function()?;
        self.expect("{")?;
        let mut entries = Vec::new();
        while !self.accept("}")? {
            entries.push(self.entry()?);
        }
        self.module.state_maps.push(StateMap { from, to, entries });
        Ok(())
    }

    fn entry(&mut self) -> Result<MapEntry, Failure> {
        let from = self.point()?;
        self.expect_word("to", "`to`")?;
        let to = self.point()?;
        Ok(MapEntry { from, to, values: self.values()? })
    }

    /// `{`, the frames that an activation becomes, innermost first, and `}`.
    pub(super) fn resumed_frames(&mut self) -> Result<Vec<ResumedFrame>, Failure> {
        self.expect("{")?;
        let mut frames = Vec::new();
        while !self.accept("}")? {
            let body = self.function()?;
            let point = self.point()?;
            frames.push(ResumedFrame { body, point, values: self.values()? });
        }
        Ok(frames)
    }

    /// `:` and the values of registers, or nothing.
    fn values(&mut self) -> Result<Vec<(Register, Expression)>, Failure> {
        let mut values = Vec::new();
        if self.accept(":")? {
            loop {
                let (register, _) = self.index('r', "a register such as `r0`")?;
                self.expect("=")?;
                values.push((Register::new(register), self.expression()?));
                if !self.accept(",")? {
                    break;
                }
            }
        }
        Ok(values)
    }

    fn point(&mut self) -> Result<Point, Failure> {
        let (index, _) = self.index('p', "a point such as `p0`")?;
        Ok(Point::new(index))
    }

    fn expression(&mut self) -> Result<Expression, Failure> {
        let mut steps = Vec::new();
        if self.accept("(")? {
            while !self.accept(")")? {
                steps.push(self.expression_step()?);
            }
        } else {
            steps.push(self.expression_step()?);
        }
        Ok(Expression(steps.into()))
    }

    fn expression_step(&mut self) -> Result<ExpressionStep, Failure> {
        if self.peek_index('r').is_some() {
            let (register, _) = self.index('r', "a register")?;
            return Ok(ExpressionStep::Register(Register::new(register)));
        }
        let (name, span) = self.word("a register, a constant or an operation")?;
        match name {
            "ref.null" => return Ok(ExpressionStep::Constant(Value::NullFuncref)),
            "exn.null" => return Ok(ExpressionStep::Constant(Value::NullExnref)),
            "extern.null" => return Ok(ExpressionStep::Constant(Value::Externref(0))),
            _ => {}
        }
        if let Some(op) = UnaryOp::from_name(name) {
            return Ok(ExpressionStep::Unary(op));
        }
        if let Some(op) = BinaryOp::from_name(name) {
            return Ok(ExpressionStep::Binary(op));
        }
        let Some(ty) = name.strip_suffix(".const").and_then(Type::from_name) else {
            return Err(span.error(ParseErrorKind::UnknownOperation(name.to_owned())));
        };
        let Token::Number(text) = self.token else { return Err(self.unexpected("a number")) };
        let (_, span) = self.advance()?;
        let value = literal::read_value(text, ty).map_err(|kind| span.error(kind))?;
        Ok(ExpressionStep::Constant(value))
    }

    /// `at NUMBER` and what happens then.
    pub(super) fn step_item(&mut self) -> Result<(), Failure> {
        self.advance()?;
        let call = u64::from(self.u32()?);
        let action = match self.token {
            Token::Word("invalidate") => self.invalidation()?,
            Token::Word("redefine") => StepAction::Redefine(self.redefinition()?),
            _ => return Err(self.unexpected("`invalidate` or `redefine`")),
        };
        self.module.script.push(Step { call, action });
        Ok(())
    }

    /// Which code is invalidated: that of the functions that are named, or all.
    fn invalidation(&mut self) -> Result<StepAction, Failure> {
        self.advance()?;
        if !self.accept_word("of")? {
            return Ok(StepAction::Invalidate);
        }
        let mut functions = vec![self.function()?];
        while self.accept(",")? {
            functions.push(self.function()?);
        }
        Ok(StepAction::InvalidateFunctions(functions))
    }

    /// `redefine` and the bodies that functions are changed to.
    pub(super) fn redefinition(&mut self) -> Result<Redefinition, Failure> {
        self.advance()?;
        let mut changes = Vec::new();
        loop {
            let function = self.function()?;
            self.expect_word("to", "`to`")?;
            changes.push(Change { function, body: self.function()? });
            if !self.accept(",")? {
                break;
            }
        }
        let word = if let Token::Word(word) = self.token { word } else { "" };
        let known = OldActivations::ALL.into_iter().find(|activations| activations.name() == word);
        let names = "`run_out`, `invalidate`, `carry` or `carry_all`";
        let activations = known.ok_or_else(|| self.unexpected(names))?;
        self.advance()?;
        Ok(Redefinition { changes, activations })
    }

    fn expect_word(&mut self, keyword: &str, expected: &str) -> Result<(), Failure> {
        if self.accept_word(keyword)? { Ok(()) } else { Err(self.unexpected(expected)) }
    }
}
