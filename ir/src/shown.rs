//! Names as people see them: on one line, and as nothing but text.

use std::fmt::{self, Write};

/// A name of a module, or a message that contains some, to be shown to people. A module may call its functions
/// anything: what would end the line, move the cursor or reorder the text is escaped, as `\u{1b}` is, and names that
/// fill screens are cut.
///
/// ```
/// use osr_ir::Shown;
/// assert_eq!(Shown("f<é>").to_string(), "f<é>");
/// assert_eq!(Shown("\u{1b}[2J\n").to_string(), r"\u{1b}[2J\n");
/// assert!(Shown(&"x".repeat(5_000)).to_string().ends_with("xxx (+ 4000 more)"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a str);

impl Shown<'_> {
    /// Characters that are shown; of longer names also how many more there are.
    pub const LIMIT: usize = 1_000;

    /// All of `text`, escaped likewise.
    pub fn whole(text: &str) -> impl fmt::Display {
        fmt::from_fn(move |formatter| {
            text.chars().try_for_each(|character| write_plain(formatter, character))
        })
    }
}

fn write_plain(formatter: &mut fmt::Formatter<'_>, character: char) -> fmt::Result {
    match character {
        character if is_plain(character) => formatter.write_char(character),
        character => write!(formatter, "{}", character.escape_default()),
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().take(Shown::LIMIT).try_for_each(|character| write_plain(formatter, character))?;
        match self.0.chars().skip(Shown::LIMIT).count() {
            0 => Ok(()),
            more => write!(formatter, " (+ {more} more)"),
        }
    }
}

/// Whether a terminal shows `character`, and does nothing else.
fn is_plain(character: char) -> bool {
    let reorders =
        matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let separates = matches!(character, '\u{2028}' | '\u{2029}');
    !(character.is_control() || reorders || separates)
}

#[cfg(test)]
mod tests {
    use super::Shown;

    #[test]
    fn what_moves_text_is_escaped() {
        for (name, shown) in [
            ("a b\tc", r"a b\tc"),
            ("\u{9b}31m", r"\u{9b}31m"),
            ("\u{202e}gnp", r"\u{202e}gnp"),
            ("\u{2028}", r"\u{2028}"),
            ("std::vec<int>", "std::vec<int>"),
        ] {
            assert_eq!(Shown(name).to_string(), shown);
        }
    }
}
