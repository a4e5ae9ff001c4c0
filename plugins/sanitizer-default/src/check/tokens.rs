//! Structures and checksums of tokens.

use data_encoding::{BASE64, BASE64URL_NOPAD};

use super::List;

pub(super) const CHECKS: List = &[
    ("github-crc32", github_crc32),
    ("jwt", jwt),
    ("jwt-header", jwt_header),
    ("base64", base64),
    ("pem", pem),
    ("discord", discord),
    ("not-all-same", not_all_same),
];

/// `PREFIX_` + 30 characters + the CRC-32 of those in base 62, six digits long: GitHub, npm.
fn github_crc32(text: &[u8]) -> bool {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let Some(start) = text.iter().rposition(|&byte| byte == b'_') else {
        return false;
    };
    let Some((body, check)) = text[start + 1..].split_last_chunk::<6>() else {
        return false;
    };
    let mut crc = crc32fast::hash(body);
    let mut expected = [b'0'; 6];
    for digit in expected.iter_mut().rev() {
        *digit = DIGITS[(crc % 62) as usize];
        crc /= 62;
    }
    check == &expected
}

/// Header and payload are JSON objects in base64url; the payload of a long token may be cut off.
fn jwt(text: &[u8]) -> bool {
    let mut parts = text.split(|&byte| byte == b'.');
    let begins_object = |part: &[u8]| {
        let start = &part[..part.len().min(64) / 4 * 4];
        BASE64URL_NOPAD
            .decode(start)
            .is_ok_and(|json| json.starts_with(b"{"))
    };
    parts.next().is_some_and(is_object) && parts.next().is_some_and(begins_object)
}

/// The header alone is a JSON object with an algorithm; encrypted tokens have no payload to read.
fn jwt_header(text: &[u8]) -> bool {
    let header = text.split(|&byte| byte == b'.').next().unwrap_or_default();
    is_object(header)
}

fn is_object(part: &[u8]) -> bool {
    let part = part
        .strip_suffix(b"==")
        .or(part.strip_suffix(b"="))
        .unwrap_or(part);
    BASE64URL_NOPAD
        .decode(part)
        .is_ok_and(|json| json.starts_with(b"{") && json.ends_with(b"}") && json.is_ascii_or_utf8())
}

trait Readable {
    fn is_ascii_or_utf8(&self) -> bool;
}

impl Readable for Vec<u8> {
    fn is_ascii_or_utf8(&self) -> bool {
        std::str::from_utf8(self).is_ok_and(|text| !text.contains('\0'))
    }
}

/// Base64 of either alphabet, padded or not.
pub(crate) fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let text = text
        .strip_suffix(b"==")
        .or(text.strip_suffix(b"="))
        .unwrap_or(text);
    let standard: Vec<u8> = text
        .iter()
        .map(|&byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        })
        .collect();
    let padding = &b"=="[..(4 - standard.len() % 4) % 4 % 3];
    BASE64.decode(&[&standard[..], padding].concat()).ok()
}

fn base64(text: &[u8]) -> bool {
    decode_base64(text).is_some()
}

/// What is between the borders of a PEM block is mostly base64.
fn pem(text: &[u8]) -> bool {
    let body: Vec<u8> = text
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.contains(&b':') && !line.windows(5).any(|part| part == b"-----"))
        .flatten()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let good = body
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric() || b"+/=\\\"',".contains(byte))
        .count();
    body.len() >= 32 && good * 20 >= body.len() * 19
}

/// A Discord token begins with the digits of the account's number in base64.
fn discord(text: &[u8]) -> bool {
    let first = text.split(|&byte| byte == b'.').next().unwrap_or_default();
    decode_base64(first).is_some_and(|id| id.len() >= 15 && id.iter().all(u8::is_ascii_digit))
}

/// Placeholders are often one character again and again.
fn not_all_same(text: &[u8]) -> bool {
    let tail = &text[text.len().min(text.len() / 3)..];
    tail.windows(2).any(|pair| pair[0] != pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_of_tokens() {
        assert!(github_crc32(b"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"));
        assert!(!github_crc32(b"ghp_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18"));
        assert!(jwt(b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"));
        assert!(!jwt(b"eyJhbGciOiJIUzI1NiJ9.c2ln.c2ln"));
        assert_eq!(decode_base64(b"aGk"), Some(b"hi".to_vec()));
        assert_eq!(decode_base64(b"aGk="), Some(b"hi".to_vec()));
        assert!(!base64(b"a"));
    }
}
