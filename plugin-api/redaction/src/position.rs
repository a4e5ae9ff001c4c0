//! Lines and columns of byte offsets, found by walking forward once.

/// A place in a text. Lines end with `\n`; a column counts characters (Unicode scalar values), so `\r` is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// Bytes before it.
    pub(crate) byte: u64,
    /// From 1.
    pub(crate) line: u64,
    /// From 1.
    pub(crate) column: u64,
}

impl Default for Position {
    fn default() -> Self {
        Self {
            byte: 0,
            line: 1,
            column: 1,
        }
    }
}

impl Position {
    /// The place behind `text`, which begins here.
    pub(crate) fn after(self, text: &str) -> Self {
        let byte = self.byte + text.len() as u64;
        let newlines = text.bytes().filter(|&byte| byte == b'\n').count() as u64;
        match text.rfind('\n') {
            Some(at) => Self {
                byte,
                line: self.line + newlines,
                column: text[at + 1..].chars().count() as u64 + 1,
            },
            None => Self {
                byte,
                line: self.line,
                column: self.column + text.chars().count() as u64,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_steps_do_not_matter() {
        let text = "žluť\r\nkůň 🦀 x\n\ny";
        for (needle, line, column) in [("ť", 1, 4), ("ůň", 2, 2), ("x", 2, 7), ("y", 4, 1)] {
            let at = text.find(needle).unwrap_or_default();
            let whole = Position::default().after(&text[..at]);
            assert_eq!(
                (whole.byte, whole.line, whole.column),
                (at as u64, line, column)
            );
            let steps = text[..at]
                .split_inclusive(|_: char| true)
                .fold(Position::default(), Position::after);
            assert_eq!(steps, whole);
        }
    }
}
