//! JSON as it is written: what a terminal or a viewer may take for something else than text is escaped.
//!
//! Names in a module are any text. JSON escapes control characters up to U+001F itself, and no others; those that move text or
//! separate lines would get through. As `\uXXXX` they mean the same. They stand in strings only: elsewhere JSON is ASCII.

use std::io::{self, Write};

use osr_ir::Shown;
use serde::Serialize;

/// `value` in one line.
pub(crate) fn line(value: &impl Serialize) -> String {
    escaped(&serde_json::to_string(value).expect("our data has string keys"))
}

/// `value` with a line for each part.
pub(crate) fn pretty(value: &impl Serialize) -> String {
    escaped(&serde_json::to_string_pretty(value).expect("our data has string keys"))
}

/// Whether `character` is shown as it is, here and in messages.
pub(crate) fn is_plain(character: char) -> bool {
    let mut bytes = [0; 4];
    let text = &*character.encode_utf8(&mut bytes);
    matches!(character, ' '..='~') || Shown(text).to_string() == text
}

/// `json`, escaped.
fn escaped(json: &str) -> String {
    if json.bytes().all(|byte| byte < 0x7f) {
        return json.to_owned();
    }
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        // Line breaks are between values, not in strings.
        if character < '\u{7f}' || is_plain(character) {
            text.push(character);
        } else {
            // All of them take one unit.
            text += &format!("\\u{:04x}", u32::from(character));
        }
    }
    text
}

/// Escapes JSON that is written through it, to `W`.
#[derive(Debug)]
pub(crate) struct Escaping<W>(pub(crate) W);

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Characters come whole: what writes JSON writes strings.
        match std::str::from_utf8(bytes) {
            Ok(text) => self.0.write_all(escaped(text).as_bytes())?,
            Err(_) => self.0.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{Escaping, line};

    #[test]
    fn what_moves_text_is_escaped_and_means_the_same() {
        let moving = [
            '\u{7f}', '\u{80}', '\u{9f}', '\u{200e}', '\u{202a}', '\u{202e}', '\u{2028}', '\u{2029}',
            '\u{2066}', '\u{2069}',
        ];
        for character in moving {
            let name = format!("a{character}\u{e9}\u{1f600}\n");
            let written = line(&name);
            assert!(!written.contains(character) && written.contains("\u{e9}\u{1f600}\\n"), "{written}");
            assert_eq!(serde_json::from_str::<String>(&written).expect("it is JSON"), name);
            let mut through = Escaping(Vec::new());
            through.write_all(serde_json::to_string(&name).expect("text").as_bytes()).expect("memory");
            assert_eq!(String::from_utf8(through.0).expect("text"), written);
        }
    }
}
