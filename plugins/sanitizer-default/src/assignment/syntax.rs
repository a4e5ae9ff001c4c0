//! Operators between a name and its value, and where the value begins and ends.

use std::ops::Range;

/// Values are at most this long.
const LONGEST: usize = 512;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quote {
    /// Between quotation marks.
    Quoted,
    /// Between `>` and `<`.
    Element,
    /// Up to a space or a sign.
    Bare,
}

/// A value, as it is written.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) range: Range<usize>,
    pub(super) quote: Quote,
    /// It stands where configurations have values: behind a name that begins its line, or between `;` or `&`.
    pub(super) configured: bool,
}

/// Whether what follows a name can be an operator; the byte, to go by.
pub(super) fn may_follow(text: &[u8], at: usize) -> Option<u8> {
    text.get(at)
        .copied()
        .filter(|byte| b"\"'`\\])=: \t,|>?!&(%\n-".contains(byte))
}

fn skip(text: &[u8], mut at: usize, most: usize, set: &[u8]) -> usize {
    let end = (at + most).min(text.len());
    while at < end && set.contains(&text[at]) {
        at += 1;
    }
    at
}

/// Reads the operator and the value behind a name; `first` is the byte after the name.
pub(super) fn value(text: &[u8], name: &Range<usize>, first: u8) -> Option<Given> {
    let before = name.start.checked_sub(1).map(|place| text[place]);
    let quoted = before.is_some_and(|byte| b"\"'`".contains(&byte))
        || (first != b' ' && b"\"'`\\".contains(&first));
    let flag = text[name.clone()].starts_with(b"-");
    let closed = skip(text, name.end, 4, b"\"'`\\])");
    if let Some(at) = beside(text, closed) {
        return read(text, name, at, true);
    }
    let at = skip(text, closed, 24, b" \t");
    let operator = &text[at..(at + 4).min(text.len())];
    let width = match operator {
        [b'=' | b'!', b'=', b'=', ..] | [b'|', b'|', b'=', ..] | [b'%', b'3', b'D' | b'd', ..] => 3,
        [b'=' | b':' | b'!' | b'?' | b'+', b'=', ..]
        | [b'=', b'>', ..]
        | [b'|', b'|', ..]
        | [b':', b':', ..] => 2,
        [b'=' | b':', ..] => 1,
        // An element of XML, and no comparison: the name began it.
        [b'>', ..] if before == Some(b'<') => {
            return element(text, at + 1);
        }
        [b',', ..] if quoted => 1,
        [b'(', ..] if name_sets(&text[name.clone()]) => 1,
        _ if flag && at > name.end => 0,
        _ => return None,
    };
    let configured = flag
        || begins_line(text, name.start)
        || before.is_some_and(|byte| b";&?".contains(&byte))
        || (before == Some(b' ') && name.start > 1 && b";,&".contains(&text[name.start - 2]));
    read(text, name, typed(text, at + width)?, configured)
}

/// `setPassword(`, `withToken(`: names of functions that take the value.
fn name_sets(name: &[u8]) -> bool {
    let last = name
        .iter()
        .rposition(|&byte| byte == b'.')
        .map_or(name, |dot| &name[dot + 1..]);
    [&b"set"[..], b"with", b"password", b"add", b"Set", b"With"]
        .iter()
        .any(|start| last.starts_with(start))
}

/// The attribute or the line that holds the value of a name which is itself a value: `key="…" value="…"`.
fn beside(text: &[u8], at: usize) -> Option<usize> {
    let at = skip(text, at, 32, b" \t\r\n,{");
    let rest = &text[at..(at + 12).min(text.len())];
    let rest = rest.strip_prefix(b"\"").unwrap_or(rest);
    let offset = at + usize::from(text.get(at) == Some(&b'"'));
    let word = [&b"value"[..], b"Value", b"default", b"VALUE"]
        .into_iter()
        .find(|word| rest.starts_with(word))?;
    let at = skip(text, offset + word.len(), 12, b"\" \t");
    matches!(text.get(at), Some(b'=' | b':')).then_some(at + 1)
}

/// Passes over a type between a name and its value: `password: str = …`.
fn typed(text: &[u8], at: usize) -> Option<usize> {
    let start = skip(text, at, 24, b" \t");
    let line = &text[start..(start + 48).min(text.len())];
    let Some(end) = line
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric() && !b"_&<>[]:|?. '".contains(byte))
    else {
        return Some(at);
    };
    let kind = &line[..end];
    let is_type = line[end] == b'='
        && line.get(end + 1).is_some_and(|&byte| byte != b'=')
        && kind.ends_with(b" ")
        && kind.len() > 2
        && text.get(at.wrapping_sub(1)) == Some(&b':');
    Some(if is_type { start + end + 1 } else { at }).filter(|&at| at <= text.len())
}

/// Whether only spaces, comment signs and words like `export` are before a name on its line.
fn begins_line(text: &[u8], start: usize) -> bool {
    let line: Vec<u8> = text[..start]
        .iter()
        .rev()
        .take(48)
        .take_while(|&&byte| byte != b'\n')
        .copied()
        .collect();
    if line.len() == 48 {
        return false;
    }
    let lead: Vec<u8> = line.into_iter().rev().collect();
    let lead = lead.trim_ascii();
    lead.is_empty()
        || [
            &b"export"[..],
            b"set",
            b"SET",
            b"ENV",
            b"-",
            b"#",
            b"//",
            b"$",
            b"- export",
            b"ARG",
            b"--",
            b"\"",
            b"'",
            b"*",
            b"-e",
            b"REM SET",
            b"setx",
            b"RUN export",
            b"- \"",
            b"- '",
            b"#export",
            b"# export",
            b";",
            b"env:",
            b"$env:",
        ]
        .contains(&lead)
}

fn element(text: &[u8], start: usize) -> Option<Given> {
    let length = text[start..(start + LONGEST).min(text.len())]
        .iter()
        .position(|&byte| byte == b'<' || byte == b'\n')?;
    (text[start + length] == b'<').then(|| Given {
        range: start..start + length,
        quote: Quote::Element,
        configured: true,
    })
}

/// Reads what begins at `at`, behind the operator.
fn read(text: &[u8], name: &Range<usize>, at: usize, configured: bool) -> Option<Given> {
    let mut at = skip(text, at, 24, b" \t");
    // A value may stand on the next line, in quotation marks.
    if matches!(text.get(at), Some(b'\n' | b'\r')) {
        let next = skip(text, at, 48, b" \t\r\n");
        if !matches!(text.get(next), Some(b'"' | b'\'')) {
            return None;
        }
        at = next;
    }
    at = skip(text, at, 2, b"(@[");
    if text
        .get(at)
        .is_some_and(|byte| b"bBrRuUfL$@".contains(byte))
        && matches!(text.get(at + 1), Some(b'"' | b'\''))
    {
        // The letter or sign says how the text is read; `$'…'` and `@"…"` as well.
        at += 1;
    }
    let escapes = skip(text, at, 3, b"\\") - at;
    match text.get(at + escapes) {
        Some(&mark @ (b'"' | b'\'' | b'`')) => {
            quoted(text, at + escapes + 1, mark, escapes, configured)
        }
        Some(b'&') if text[at..].starts_with(b"&quot;") => {
            let start = at + 6;
            let length =
                memchr::memmem::find(&text[start..(start + LONGEST).min(text.len())], b"&quot;")?;
            Some(Given {
                range: start..start + length,
                quote: Quote::Quoted,
                configured,
            })
        }
        Some(_) => bare(text, name, at, configured),
        None => None,
    }
}

fn quoted(
    text: &[u8],
    mut start: usize,
    mark: u8,
    escapes: usize,
    configured: bool,
) -> Option<Given> {
    // Two marks are an empty text, three open a long one; a mark within marks (`"'x'"`) belongs to another language.
    match skip(text, start, 2, &[mark]) - start {
        1 => return None,
        marks => start += marks,
    }
    let mut mark = mark;
    if let Some(&inner @ (b'"' | b'\'')) = text.get(start)
        && inner != mark
    {
        mark = inner;
        start += 1;
    }
    let end = (start + LONGEST).min(text.len());
    let mut at = start;
    while at < end && text[at] != b'\n' {
        if text[at] == b'\\' && escapes == 0 {
            at += 2;
            continue;
        }
        if text[at] == mark {
            // In a text that is itself quoted, the closing mark is escaped as the opening one was.
            let stop = at.saturating_sub(escapes).max(start);
            return Some(Given {
                range: start..stop,
                quote: Quote::Quoted,
                configured,
            });
        }
        at += 1;
    }
    None
}

fn bare(text: &[u8], name: &Range<usize>, start: usize, configured: bool) -> Option<Given> {
    let in_url = name.start > 0 && b"?&".contains(&text[name.start - 1]);
    let between = |byte: u8| {
        byte.is_ascii_whitespace()
            || byte == b';'
            || (in_url && b"&#\"'<>)`".contains(&byte))
            || b"\"'`<>".contains(&byte)
    };
    let end = (start + LONGEST).min(text.len());
    let mut stop = text[start..end]
        .iter()
        .position(|&byte| between(byte))
        .map_or(end, |length| start + length);
    while stop > start && b",)]}\\".contains(&text[stop - 1]) {
        stop -= 1;
    }
    // Lists without spaces: the value ends where the next begins.
    if let Some(comma) = text[start..stop].iter().position(|&byte| byte == b',') {
        stop = start + comma;
    }
    (stop > start).then_some(Given {
        range: start..stop,
        quote: Quote::Bare,
        configured,
    })
}
