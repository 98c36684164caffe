//! The parser: one token of lookahead, no recursion, one pass.
//!
//! - here: the tools, what reads one token or a list;
//! - [`names`]: references to things that may be defined further down;
//! - [`items`]: what stands at the top of a file;
//! - [`code`]: function bodies; [`operation`]: one instruction;
//! - [`redefinition`]: further bodies, state maps, the script;
//! - [`addition`]: a text of bodies that are added to a module.

mod addition;
mod code;
mod items;
mod names;
mod operation;
mod redefinition;

use super::error::{Failure, ParseErrorKind, Span};
use super::lexer::{Lexer, Token};
use super::literal;
use super::source::Offsets;
use crate::module::Module;
use crate::value::Type;
use names::{FunctionNames, Uses};

/// What reads a module.
pub(super) struct Parser<'a> {
    source: &'a str,
    lexer: Lexer<'a>,
    /// The token not yet read.
    token: Token<'a>,
    /// Where it is.
    span: Span,
    module: Module,
    /// By function of the module, where its code is.
    offsets: Vec<Option<Offsets>>,
    functions: FunctionNames,
    uses: Uses,
    /// What the source is an addition to, if it is one.
    to: Option<&'a Module>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(source: &'a str) -> Result<Parser<'a>, Failure> {
        let mut lexer = Lexer::new(source);
        let (token, span) = lexer.next()?;
        Ok(Parser {
            source,
            lexer,
            token,
            span,
            module: Module::default(),
            offsets: Vec::new(),
            functions: FunctionNames::default(),
            uses: Uses::default(),
            to: None,
        })
    }

    /// Takes the token.
    fn advance(&mut self) -> Result<(Token<'a>, Span), Failure> {
        let (token, span) = self.lexer.next()?;
        Ok((std::mem::replace(&mut self.token, token), std::mem::replace(&mut self.span, span)))
    }

    /// The failure that the token is not `expected`.
    fn unexpected(&self, expected: impl Into<String>) -> Failure {
        let found = match &self.token {
            Token::End => "the end of the file".to_owned(),
            Token::Bytes(_) => "a string".to_owned(),
            _ => format!("`{}`", &self.source[self.span.start..self.span.end]),
        };
        self.span.error(ParseErrorKind::Expected { expected: expected.into(), found })
    }

    /// Takes the token if it is `symbol`.
    fn accept(&mut self, symbol: &'static str) -> Result<bool, Failure> {
        let found = self.token == Token::Symbol(symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    /// Takes the token if it is the word `keyword`.
    fn accept_word(&mut self, keyword: &str) -> Result<bool, Failure> {
        let found = self.token == Token::Word(keyword);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), Failure> {
        if self.accept(symbol)? { Ok(()) } else { Err(self.unexpected(format!("`{symbol}`"))) }
    }

    fn word(&mut self, expected: &'static str) -> Result<(&'a str, Span), Failure> {
        let Token::Word(word) = self.token else { return Err(self.unexpected(expected)) };
        let (_, span) = self.advance()?;
        Ok((word, span))
    }

    fn bytes(&mut self) -> Result<(Vec<u8>, Span), Failure> {
        if !matches!(self.token, Token::Bytes(_)) {
            return Err(self.unexpected("a string"));
        }
        match self.advance()? {
            (Token::Bytes(bytes), span) => Ok((bytes, span)),
            _ => unreachable!("the token was a string"),
        }
    }

    /// A quoted name.
    fn name(&mut self) -> Result<String, Failure> {
        let (bytes, span) = self.bytes()?;
        String::from_utf8(bytes).map_err(|_| span.error(ParseErrorKind::NameNotUtf8))
    }

    /// The name of a function, quoted or not.
    fn function_name(&mut self) -> Result<(String, Span), Failure> {
        let span = self.span;
        if matches!(self.token, Token::Bytes(_)) {
            return Ok((self.name()?, span));
        }
        let (word, span) = self.word("the name of a function")?;
        if literal::is_reserved(word) {
            return Err(span.error(ParseErrorKind::ReservedName(word.to_owned())));
        }
        Ok((word.to_owned(), span))
    }

    fn u32(&mut self) -> Result<u32, Failure> {
        let Token::Number(text) = self.token else { return Err(self.unexpected("a number")) };
        let (_, span) = self.advance()?;
        literal::read_u32(text).map_err(|kind| span.error(kind))
    }

    /// The number of the token if it is `prefix` and a number, as `3` of `r3`.
    fn peek_index(&self, prefix: char) -> Option<&'a str> {
        let Token::Word(word) = self.token else { return None };
        let digits = word.strip_prefix(prefix)?;
        let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        is_number.then_some(digits)
    }

    /// A reference such as `r3`.
    fn index(&mut self, prefix: char, expected: &'static str) -> Result<(usize, Span), Failure> {
        let Some(digits) = self.peek_index(prefix) else { return Err(self.unexpected(expected)) };
        let (_, span) = self.advance()?;
        match digits.parse::<u32>() {
            Ok(index) => Ok((index as usize, span)),
            Err(_) => Err(span.error(ParseErrorKind::NotU32(digits.to_owned()))),
        }
    }

    /// The definition of number `next`, such as `r3`.
    fn definition(&mut self, prefix: char, next: usize, expected: &'static str) -> Result<(), Failure> {
        let found = self.index(prefix, expected)?;
        if found.0 == next {
            return Ok(());
        }
        let (expected, found_text) = (format!("{prefix}{next}"), format!("{prefix}{}", found.0));
        Err(found.1.error(ParseErrorKind::OutOfOrder { expected, found: found_text }))
    }

    fn ty(&mut self) -> Result<Type, Failure> {
        let ty = match self.token {
            Token::Word(word) => Type::from_name(word),
            _ => None,
        };
        let Some(ty) = ty else { return Err(self.unexpected("a type")) };
        self.advance()?;
        Ok(ty)
    }

    /// Zero or more elements with commas between, up to and with the symbol `close`.
    fn list_until<T>(
        &mut self,
        close: &'static str,
        mut element: impl FnMut(&mut Self) -> Result<T, Failure>,
    ) -> Result<Vec<T>, Failure> {
        let mut elements = Vec::new();
        if self.accept(close)? {
            return Ok(elements);
        }
        loop {
            elements.push(element(self)?);
            if !self.accept(",")? {
                self.expect(close)?;
                return Ok(elements);
            }
        }
    }
}
