//! Tokens of the textual form, one at a time.

use super::error::{Failure, ParseErrorKind, Span};
use super::literal;

/// A token. Names of things (`r0`, `b1`, `i32.add`, `fib`) are all words: the parser tells them apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// A letter, `_` or `$`, then also digits and dots.
    Word(&'a str),
    /// A number of any type, also `inf` and `nan`; not yet read.
    Number(&'a str),
    /// The bytes between quotes, escapes replaced.
    Bytes(Vec<u8>),
    /// One of [`SYMBOLS`].
    Symbol(&'static str),
    /// The end of the source.
    End,
}

/// Punctuation. Longer ones come before their prefixes.
const SYMBOLS: [&str; 11] = ["->", "(", ")", "[", "]", "{", "}", ",", ":", "=", "+"];

/// Reads tokens from a source.
pub(super) struct Lexer<'a> {
    source: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(source: &'a str) -> Lexer<'a> {
        Lexer { source, at: 0 }
    }

    /// The next token and where it is.
    pub(super) fn next(&mut self) -> Result<(Token<'a>, Span), Failure> {
        self.skip_blanks();
        let start = self.at;
        let token = self.token()?;
        Ok((token, Span { start, end: self.at }))
    }

    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with(';') {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn token(&mut self) -> Result<Token<'a>, Failure> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(Token::End) };
        if first == '"' {
            return self.string();
        }
        if let Some(length) = number_length(rest) {
            self.at += length;
            return Ok(Token::Number(&rest[..length]));
        }
        if is_word_start(first) {
            let length = word_length(rest);
            self.at += length;
            return Ok(Token::Word(&rest[..length]));
        }
        if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
            self.at += symbol.len();
            return Ok(Token::Symbol(symbol));
        }
        let span = Span { start: self.at, end: self.at + first.len_utf8() };
        Err(span.error(ParseErrorKind::UnexpectedCharacter(first)))
    }

    fn string(&mut self) -> Result<Token<'a>, Failure> {
        let start = self.at;
        let source = self.source.as_bytes();
        let mut bytes = Vec::new();
        self.at += 1;
        loop {
            match source.get(self.at) {
                None | Some(b'\n') => {
                    let span = Span { start, end: self.at };
                    return Err(span.error(ParseErrorKind::UnterminatedString));
                }
                Some(b'"') => break,
                Some(b'\\') => match literal::unescape(&source[self.at + 1..]) {
                    Some((byte, length)) => {
                        bytes.push(byte);
                        self.at += 1 + length;
                    }
                    None => {
                        let span = Span { start: self.at, end: self.at + 1 };
                        return Err(span.error(ParseErrorKind::BadEscape));
                    }
                },
                Some(byte) => {
                    bytes.push(*byte);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        Ok(Token::Bytes(bytes))
    }
}

/// Whether a word may begin with `character`.
fn is_word_start(character: char) -> bool {
    character.is_ascii_alphabetic() || matches!(character, '_' | '$')
}

fn word_length(text: &str) -> usize {
    let is_inside = |c: char| is_word_start(c) || c.is_ascii_digit() || c == '.';
    text.find(|c| !is_inside(c)).unwrap_or(text.len())
}

/// Whether `text` is one word, so that it can be a name without quotes.
pub(super) fn is_word(text: &str) -> bool {
    text.starts_with(is_word_start) && word_length(text) == text.len() && number_length(text).is_none()
}

/// The length of the number that `text` begins with, if it does: `-1`, `0xff`, `1.5e-7`, `-inf`,
/// `nan:0x400000`. Anything that sticks to it belongs to it, and is found out when it is read.
fn number_length(text: &str) -> Option<usize> {
    let sign = usize::from(text.starts_with('-'));
    let unsigned = &text[sign..];
    if let Some(payload) = unsigned.strip_prefix("nan:") {
        return Some(sign + 4 + word_length(payload));
    }
    let word = &unsigned[..word_length(unsigned)];
    if matches!(word, "inf" | "nan") {
        return Some(sign + 3);
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let is_hex = word.starts_with("0x");
    let exponent = word.len();
    let has_signed_exponent =
        !is_hex && word.ends_with(['e', 'E']) && unsigned[exponent..].starts_with(['+', '-']);
    let tail = if has_signed_exponent { 1 + word_length(&unsigned[exponent + 1..]) } else { 0 };
    Some(sign + exponent + tail)
}
