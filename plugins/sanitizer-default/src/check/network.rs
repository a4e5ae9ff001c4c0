//! Addresses of networks.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::List;

pub(super) const CHECKS: List = &[("mac", mac)];

/// A hardware address that is neither all zeros nor a broadcast.
fn mac(text: &[u8]) -> bool {
    let digits: Vec<u8> = text
        .iter()
        .filter(|byte| byte.is_ascii_hexdigit())
        .map(u8::to_ascii_lowercase)
        .collect();
    digits.len() == 12 && digits.windows(2).any(|pair| pair[0] != pair[1])
}

/// How many bytes of `text`, which begins with a digit, are an IPv4 address with its prefix length, if any.
pub(crate) fn ipv4_length(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    for part in 0..4 {
        let start = at;
        while at < text.len() && at - start < 4 && text[at].is_ascii_digit() {
            at += 1;
        }
        if part < 3 {
            if text.get(at) != Some(&b'.') {
                return None;
            }
            at += 1;
        }
    }
    let address = std::str::from_utf8(&text[..at]).ok()?;
    address.parse::<Ipv4Addr>().ok()?;
    (!text.get(at).is_some_and(|&byte| is_word(byte))).then(|| with_prefix(text, at, 32))
}

/// How many bytes of `text` are an IPv6 address, with its zone and prefix length, if any.
pub(crate) fn ipv6_length(text: &[u8]) -> Option<usize> {
    let run = text
        .iter()
        .position(|byte| !byte.is_ascii_hexdigit() && !b":.".contains(byte))
        .unwrap_or(text.len())
        .min(46);
    let mut end = run;
    // A full stop or a colon after the address belongs to the sentence.
    while end > 2 && (text[end - 1] == b'.' || (text[end - 1] == b':' && text[end - 2] != b':')) {
        end -= 1;
    }
    let address = std::str::from_utf8(&text[..end]).ok()?;
    if !is_ipv6(address) || text.get(run).is_some_and(|&byte| is_word(byte)) {
        return None;
    }
    if text.get(end) == Some(&b'%') {
        let zone = text[end + 1..]
            .iter()
            .take(16)
            .take_while(|byte| byte.is_ascii_alphanumeric())
            .count();
        if zone > 0 {
            return Some(end + 1 + zone);
        }
    }
    Some(with_prefix(text, end, 128))
}

/// Also the forms with an IPv4 address behind fewer groups than the standard has (`::ffff:0:1.2.3.4`).
fn is_ipv6(address: &str) -> bool {
    address.parse::<Ipv6Addr>().is_ok()
}

/// Includes a prefix length that is possible.
fn with_prefix(text: &[u8], end: usize, most: u32) -> usize {
    if text.get(end) != Some(&b'/') {
        return end;
    }
    let digits = text[end + 1..]
        .iter()
        .take(4)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let length = std::str::from_utf8(&text[end + 1..end + 1 + digits])
        .ok()
        .and_then(|length| length.parse::<u32>().ok());
    match length {
        Some(length)
            if length <= most
                && !text
                    .get(end + 1 + digits)
                    .is_some_and(|&byte| is_word(byte)) =>
        {
            end + 1 + digits
        }
        _ => end,
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_what_only_looks_like_one() {
        assert_eq!(ipv4_length(b"192.168.1.1."), Some(11));
        assert_eq!(ipv4_length(b"10.0.0.0/8 "), Some(10));
        assert_eq!(ipv4_length(b"10.0.0.0/123"), Some(8));
        assert_eq!(ipv4_length(b"192.168.1.256"), None);
        assert_eq!(ipv6_length(b"fe80::1%eth0"), Some(12));
        assert_eq!(ipv6_length(b"2001:db8::/32."), Some(13));
        assert_eq!(ipv6_length(b"::ffff:192.168.1.1]"), Some(18));
        assert_eq!(ipv6_length(b"12:34:56"), None);
        assert_eq!(ipv6_length(b"2001::db8::1"), None);
    }
}
