//! Addresses of crypto wallets.

use sha2::{Digest, Sha256};

use super::List;

pub(super) const CHECKS: List = &[("base58check", base58check), ("bech32", bech32)];

/// Base 58 whose last four bytes are the start of the double SHA-256 of what is before them.
fn base58check(text: &[u8]) -> bool {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    if text.len() > 128 {
        return false;
    }
    let mut bytes: Vec<u8> = Vec::with_capacity(text.len());
    for &byte in text {
        let Some(digit) = ALPHABET.iter().position(|&known| known == byte) else {
            return false;
        };
        let mut carry = digit as u32;
        for byte in bytes.iter_mut().rev() {
            carry += u32::from(*byte) * 58;
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
        while carry > 0 {
            bytes.insert(0, (carry & 0xff) as u8);
            carry >>= 8;
        }
    }
    let zeros = text.iter().take_while(|&&byte| byte == b'1').count();
    let mut whole = vec![0; zeros];
    whole.extend(bytes);
    let Some((body, check)) = whole.split_last_chunk::<4>() else {
        return false;
    };
    let hash = Sha256::digest(Sha256::digest(body));
    hash[..4] == check[..]
}

/// BIP 173 and BIP 350.
fn bech32(text: &[u8]) -> bool {
    const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const GENERATOR: [u32; 5] = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
    let lower = text.to_ascii_lowercase();
    let Some(border) = lower.iter().rposition(|&byte| byte == b'1') else {
        return false;
    };
    let (name, data) = (&lower[..border], &lower[border + 1..]);
    if name.is_empty() || data.len() < 6 {
        return false;
    }
    let mut values: Vec<u32> = name.iter().map(|byte| u32::from(byte >> 5)).collect();
    values.push(0);
    values.extend(name.iter().map(|byte| u32::from(byte & 31)));
    for &byte in data {
        let Some(value) = ALPHABET.iter().position(|&known| known == byte) else {
            return false;
        };
        values.push(value as u32);
    }
    let check = values.into_iter().fold(1u32, |check, value| {
        let top = check >> 25;
        let start = (check & 0x01ff_ffff) << 5 ^ value;
        GENERATOR
            .iter()
            .enumerate()
            .filter(|(bit, _)| top >> bit & 1 == 1)
            .fold(start, |check, (_, generator)| check ^ generator)
    });
    check == 1 || check == 0x2bc8_30a3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_addresses() {
        assert!(base58check(b"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"));
        assert!(!base58check(b"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb"));
        assert!(bech32(b"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"));
        assert!(!bech32(b"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5"));
    }
}
