//! Network addresses, which are easier to read by hand than by an expression.

use codex_plugin_api::Result;

use super::Found;
use crate::check::{ipv4_length, ipv6_length};

/// Reports addresses under `rule`.
pub(super) fn search(found: &mut Found<'_>, rule: usize) -> Result<()> {
    let text = found.bytes();
    let mut done = 0;
    for place in separators(text) {
        if place < done {
            continue;
        }
        let address = match text[place] {
            b'.' => ipv4(text, place, done),
            _ => ipv6(text, place, done),
        };
        if let Some((start, end, confidence)) = address {
            done = end;
            found.push(rule, start..end, start..end, confidence)?;
        }
    }
    Ok(())
}

/// Every `.` and `:` that could be within an address.
fn separators(text: &[u8]) -> impl Iterator<Item = usize> {
    memchr::memchr2_iter(b'.', b':', text).filter(|&place| {
        let next = text.get(place + 1);
        if text[place] == b'.' {
            place > 0 && text[place - 1].is_ascii_digit() && next.is_some_and(u8::is_ascii_digit)
        } else {
            next.is_some_and(|&byte| byte == b':' || byte.is_ascii_hexdigit())
        }
    })
}

fn ipv4(text: &[u8], place: usize, done: usize) -> Option<(usize, usize, f32)> {
    let digits = text[done..place]
        .iter()
        .rev()
        .take(4)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let start = place - digits;
    let before = start.checked_sub(1).map(|place| text[place]);
    if before.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)) {
        return None;
    }
    let end = start + ipv4_length(&text[start..])?;
    // Four small numbers are as often a version.
    let small = text[start..end]
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .count()
        <= 5;
    Some((start, end, if small { 0.6 } else { 0.9 }))
}

fn ipv6(text: &[u8], place: usize, done: usize) -> Option<(usize, usize, f32)> {
    let digits = text[done..place]
        .iter()
        .rev()
        .take(5)
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    let start = place - digits;
    let before = start.checked_sub(1).map(|place| text[place]);
    if before.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_:.".contains(&byte)) {
        return None;
    }
    let rest = &text[start..(start + 64).min(text.len())];
    let length = ipv6_length(rest)?;
    let address = &rest[..length];
    let groups = address
        .iter()
        .filter(|byte| byte.is_ascii_hexdigit())
        .count();
    let next = text.get(start + length);
    // Slices (`x[::2]`) and paths of modules look like the shortest addresses.
    if groups <= 1 {
        let code = before.is_some_and(|byte| b"[(,<".contains(&byte))
            || next.is_some_and(|&byte| b"-<*{(".contains(&byte));
        return (!code).then_some((start, start + length, 0.5));
    }
    Some((start, start + length, 0.9))
}
