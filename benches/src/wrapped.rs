//! Lines of words, broken where a terminal ends.

use comfy_table::Table;

/// The columns of the terminal that standard error is; `None` if it is none.
pub(crate) fn columns_of_stderr() -> Option<usize> {
    Table::new().use_stderr().width().map(usize::from)
}

/// `line`, with line breaks between words if it is longer than `width`. Where it is indented, what follows is indented by two
/// columns more.
pub(crate) fn wrapped(line: &str, width: usize) -> String {
    if line.trim_end().chars().count() <= width {
        return line.to_owned();
    }
    let words = line.trim_start_matches(' ');
    let indentation = &line[..line.len() - words.len()];
    let following = format!("\n{indentation}{}", if indentation.is_empty() { "" } else { "  " });
    let mut text = indentation.to_owned();
    let mut column = indentation.len();
    let mut is_first = true;
    for word in words.split_inclusive(' ') {
        if !is_first && column + word.trim_end().chars().count() > width {
            text.truncate(text.trim_end().len());
            text += &following;
            column = following.len() - 1;
        }
        text += word;
        column += word.chars().count();
        is_first = false;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrapped("one two three\n", 7), "one two\nthree\n");
        assert_eq!(wrapped("one two three\n", 13), "one two three\n");
        assert_eq!(wrapped("immeasurable a b\n", 4), "immeasurable\na b\n");
        assert_eq!(wrapped("  one two three\n", 9), "  one two\n    three\n");
        assert_eq!(wrapped("  immeasurable\n", 4), "  immeasurable\n");
        assert_eq!(wrapped("\n", 4), "\n");
    }
}
