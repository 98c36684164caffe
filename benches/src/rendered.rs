//! Errors as people see them. What the user has typed is in them, and what is in files: only text reaches a terminal.

use std::fmt::{self, Display};
use std::io::{self, IsTerminal};

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use osr_ir::Shown;

/// An error whose words are nothing but text.
#[derive(Debug)]
struct Escaped<'e> {
    error: &'e dyn Diagnostic,
    help: Option<String>,
}

impl Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&escaped(self.error))
    }
}

impl std::error::Error for Escaped<'_> {}

impl Diagnostic for Escaped<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn Display>)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.error.labels()
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.error.source_code()
    }
}

/// `error`, on a terminal in colours.
pub(crate) fn rendered(error: &dyn Diagnostic) -> String {
    let plain = !io::stderr().is_terminal() || std::env::var_os("NO_COLOR").is_some();
    let mut theme = if plain { GraphicalTheme::unicode_nocolor() } else { GraphicalTheme::unicode() };
    theme.characters.error = "error:".into();
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_wrap_lines(false)
        .with_links(false)
        .without_cause_chain();
    let escaped = Escaped { error, help: error.help().map(self::escaped) };
    let mut text = String::new();
    match handler.render_report(&mut text, &escaped) {
        Ok(()) => text,
        Err(_) => format!("error: {escaped}\n"),
    }
}

/// The lines of `text`, each escaped.
fn escaped(text: impl Display) -> String {
    let text = text.to_string();
    let lines: Vec<String> = text.split('\n').map(|line| Shown::whole(line).to_string()).collect();
    lines.join("\n")
}

/// The text of a file, of which errors show a line. What is no text is replaced by as many bytes that are.
pub(crate) fn source(name: &str, text: &str) -> NamedSource<String> {
    let shown = |character: char| match character {
        '\n' | '\t' | '\r' => character.to_string(),
        character if character.is_control() => "?".repeat(character.len_utf8()),
        character => character.to_string(),
    };
    NamedSource::new(Shown(name).to_string(), text.chars().map(shown).collect())
}

#[cfg(test)]
mod tests {
    use super::{escaped, source};
    use miette::SourceCode;

    #[test]
    fn lines_stay_lines() {
        assert_eq!(escaped("a\u{1b}[31m\nb\u{202e}"), "a\\u{1b}[31m\nb\\u{202e}");
    }

    #[test]
    fn places_in_files_stay_where_they_are() {
        let text = "a\u{1b}\u{9b}b\n\tc";
        let source = source("x\u{1b}", text);
        assert_eq!(source.name(), "x\\u{1b}");
        let all = source.read_span(&(0..text.len()).into(), 0, 0).unwrap();
        assert_eq!(all.data(), b"a???b\n\tc");
    }
}
