//! Bytes of tokens to text that can be shown: whole characters only, and nothing that may yet turn out to be the
//! beginning of a stop text.

/// The text of one continuation as it grows.
#[derive(Clone, Debug, Default)]
pub(super) struct TextStream {
    bytes: Vec<u8>,
    /// So many bytes were given out.
    shown: usize,
    stops: Vec<Vec<u8>>,
}

impl TextStream {
    pub(super) fn new(stops: &[String]) -> Self {
        Self {
            stops: stops.iter().map(|stop| stop.clone().into_bytes()).collect(),
            ..Self::default()
        }
    }

    /// Adds a token's bytes. When a stop text is complete, cuts it off with all that follows, and says so.
    pub(super) fn push(&mut self, token: &[u8]) -> bool {
        let before = self.bytes.len();
        self.bytes.extend_from_slice(token);
        let found = self.stops.iter().filter_map(|stop| {
            let from = (before + 1).saturating_sub(stop.len());
            let windows = self.bytes[from..].windows(stop.len());
            windows
                .into_iter()
                .position(|window| window == stop)
                .map(|at| from + at)
        });
        let cut = found.min();
        if let Some(at) = cut {
            self.bytes.truncate(at);
        }
        cut.is_some()
    }

    /// What can be shown by now and was not given out before.
    pub(super) fn ready(&mut self) -> String {
        let end = self.bytes.len() - self.held_back();
        let (text, used) = whole_characters(&self.bytes[self.shown.min(end)..end]);
        self.shown += used;
        text
    }

    /// All that was not given out before; nothing more will come.
    pub(super) fn rest(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.bytes[self.shown..]).into_owned();
        self.shown = self.bytes.len();
        text
    }

    /// The whole text.
    #[cfg(test)]
    pub(super) fn into_text(self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// How many bytes at the end may begin a stop text.
    fn held_back(&self) -> usize {
        let ending = |stop: &Vec<u8>| {
            (1..stop.len())
                .rev()
                .find(|&length| self.bytes.ends_with(&stop[..length]))
                .unwrap_or(0)
        };
        self.stops.iter().map(ending).max().unwrap_or(0)
    }
}

/// The text of all whole characters, and how many bytes they took. Bytes that no further byte can mend become U+FFFD.
fn whole_characters(mut bytes: &[u8]) -> (String, usize) {
    let (mut text, mut used) = (String::new(), 0);
    loop {
        match std::str::from_utf8(bytes) {
            Ok(rest) => {
                text.push_str(rest);
                return (text, used + bytes.len());
            }
            Err(error) => {
                let (valid, rest) = bytes.split_at(error.valid_up_to());
                text.push_str(&String::from_utf8_lossy(valid));
                used += valid.len();
                let Some(bad) = error.error_len() else {
                    return (text, used);
                };
                text.push(char::REPLACEMENT_CHARACTER);
                used += bad;
                bytes = &rest[bad..];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes tokens one by one; gives what each made ready, the rest, and whether a stop text came.
    fn stream(tokens: &[&[u8]], stops: &[&str]) -> (Vec<String>, bool) {
        let stops: Vec<String> = stops.iter().map(|&stop| stop.to_owned()).collect();
        let mut stream = TextStream::new(&stops);
        let (mut shown, mut stopped) = (Vec::new(), false);
        for token in tokens {
            stopped = stream.push(token);
            if stopped {
                break;
            }
            shown.push(stream.ready());
        }
        shown.push(stream.rest());
        assert_eq!(shown.concat(), stream.into_text());
        (shown, stopped)
    }

    #[test]
    fn incomplete_characters_wait() {
        let crab = "🦀".as_bytes();
        let (shown, _) = stream(&[b"a", &crab[..1], &crab[1..3], &crab[3..], b"b"], &[]);
        assert_eq!(shown, ["a", "", "", "🦀", "b", ""]);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_as_one_would_replace_them_at_once() {
        let (shown, _) = stream(&[b"a\xff", b"b\xf0\x9f", b"c", b"\xe2\x82"], &[]);
        assert_eq!(shown, ["a\u{fffd}", "b", "\u{fffd}c", "", "\u{fffd}"]);
    }

    #[test]
    fn stop_texts_are_never_shown() {
        for (tokens, stops, expected, stopped) in [
            (&["one", "\n", "two"][..], &["\n"][..], "one", true),
            (&["one EN", "D two"], &["END"], "one ", true),
            (&["one EN", "tity"], &["END"], "one ENtity", false),
            (&["abcabd"], &["abd"], "abc", true),
            (&["ab", "ab", "c"], &["abc"], "ab", true),
            (&["x", "stop now", "y"], &["now", "stop"], "x", true),
            (&["ends with EN"], &["END"], "ends with EN", false),
            (&["č", "á", "j"], &["á"], "č", true),
        ] {
            let bytes: Vec<&[u8]> = tokens.iter().map(|token| token.as_bytes()).collect();
            let (shown, found) = stream(&bytes, stops);
            assert_eq!(
                (shown.concat().as_str(), found),
                (expected, stopped),
                "{tokens:?}"
            );
        }
    }

    #[test]
    fn what_may_begin_a_stop_text_waits() {
        let (shown, _) = stream(&[b"one E", b"N", b"tity"], &["END"]);
        assert_eq!(shown, ["one ", "", "ENtity", ""]);
    }
}
