//! Texts of bodies that are added to a module.
//!
//! What they name are things of that module, and bodies of their own. Functions are resolved as everywhere: those of the
//! module are taken for defined from the beginning.

use super::super::error::{Failure, ParseErrorKind, Span};
use super::super::lexer::Token;
use super::super::source::Offsets;
use super::Parser;
use crate::addition::Addition;
use crate::index::{FunctionIndex, SignatureIndex};
use crate::module::{Module, Signature};
use crate::redefinition::{Step, StepAction};

impl<'a> Parser<'a> {
    /// What reads bodies that are added to `module`.
    pub(in crate::text) fn adding_to(module: &'a Module, source: &'a str) -> Result<Parser<'a>, Failure> {
        let mut parser = Parser::new(source)?;
        let nowhere = Span { start: 0, end: 0 };
        for function in module.function_indices().chain(module.added_bodies()) {
            parser.functions.define(&module.function(function).name, nowhere, function)?;
        }
        parser.module.signatures.clone_from(&module.signatures);
        parser.to = Some(module);
        Ok(parser)
    }

    /// Reads the whole source. Returns what is added to `to`, and by body where its code is.
    pub(in crate::text) fn addition(
        mut self,
        to: &Module,
    ) -> Result<(Addition, Vec<Option<Offsets>>), Failure> {
        while self.token != Token::End {
            self.added_item()?;
        }
        self.uses.check(to)?;
        self.functions.resolve(&mut self.module)?;
        let mut addition = Addition::to(to);
        for (function, alternative) in self.module.functions.into_iter().zip(&self.module.alternatives) {
            addition.function(function, alternative.of);
        }
        self.module.state_maps.into_iter().for_each(|map| addition.map(map));
        for step in self.module.script {
            if let StepAction::Redefine(redefinition) = step.action {
                addition.set_redefinition(redefinition);
            }
        }
        Ok((addition, self.offsets))
    }

    fn added_item(&mut self) -> Result<(), Failure> {
        match self.token {
            Token::Word("body") => self.body_item(),
            Token::Word("map") => self.map_item(),
            Token::Word("redefine") => {
                let span = self.span;
                let action = StepAction::Redefine(self.redefinition()?);
                if !self.module.script.is_empty() {
                    return Err(span.error(ParseErrorKind::Duplicate("redefine")));
                }
                self.module.script.push(Step { call: 1, action });
                Ok(())
            }
            _ => Err(self.unexpected("body, map or redefine")),
        }
    }

    /// The index of the next function that is defined.
    pub(super) fn next_function(&self) -> FunctionIndex {
        let first = self.to.map_or(0, |module| module.next_body().index());
        FunctionIndex::new(first + self.module.functions.len())
    }

    /// The index of `signature`, which is written at `span`: a module has what is used, but nothing is added to it for a
    /// body.
    pub(super) fn intern(&mut self, signature: Signature, span: Span) -> Result<SignatureIndex, Failure> {
        match self.to {
            Some(module) if !module.signatures.contains(&signature) => {
                Err(span.error(ParseErrorKind::UnknownSignature(signature.to_string())))
            }
            _ => Ok(self.module.intern_signature(signature)),
        }
    }
}
