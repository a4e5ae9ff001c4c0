//! Text from standard input, for commands that take `-` or no argument.

use std::io::{self, Read};

use codex_plugin_api::{Context, Error, Result};

/// All of standard input as text.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Data`] naming the byte where it is not UTF-8.
pub(super) fn read_text() -> Result<String> {
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .or_error(|| Error::failed("cannot read standard input"))?;
    decode(bytes)
}

/// As [`read_text`], without one line break at the end, which `echo` adds and nobody means.
///
/// # Errors
/// As [`read_text`], and [`codex_plugin_api::ErrorKind::Data`] when there is no text.
pub(super) fn read_prompt() -> Result<String> {
    let text = without_line_break(read_text()?);
    if text.is_empty() {
        return Err(Error::data("standard input is empty")
            .hint("write the text there, or give it as an argument"));
    }
    Ok(text)
}

fn decode(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        Error::data(format!(
            "standard input is not UTF-8 at byte {}",
            error.utf8_error().valid_up_to()
        ))
        .hint("convert it first, for example with `iconv -f WINDOWS-1252 -t UTF-8`")
    })
}

fn without_line_break(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use codex_plugin_api::ErrorKind;

    use super::*;

    #[test]
    fn broken_text_is_named_by_its_byte() {
        let error = decode(b"ab\xffcd".to_vec()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.message().ends_with("at byte 2"), "{error}");
        assert_eq!(decode("č".into()).unwrap(), "č");
    }

    #[test]
    fn one_line_break_goes() {
        for (given, expected) in [
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a\n\n", "a\n"),
            ("a", "a"),
            ("\n", ""),
        ] {
            assert_eq!(without_line_break(given.into()), expected);
        }
    }
}
