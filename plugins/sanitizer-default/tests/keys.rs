//! Private keys and tokens that are longer than a finding: all of them is found, also by who never sees all of them.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use codex_plugin_api::{Sanitizer, Stage};
use codex_plugin_sanitizer_default::{Config, DefaultSanitizer};
use codex_redaction::{Key, Policy, Sanitizers, Stream, StreamOptions};

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// So many characters that look like the base64 of random bytes, the same in every run.
fn noise(length: usize, seed: u64) -> String {
    let mut state = seed;
    (0..length)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(BASE64[(state >> 58) as usize])
        })
        .collect()
}

fn lines(data: &str, width: usize, between: &str) -> String {
    let rows: Vec<&str> = data
        .as_bytes()
        .chunks(width)
        .map(|row| std::str::from_utf8(row).unwrap())
        .collect();
    rows.join(between)
}

/// Base64 once more, padded.
fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for bytes in text.as_bytes().chunks(3) {
        let mut group = [0; 3];
        group[..bytes.len()].copy_from_slice(bytes);
        let value = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for place in 0..4 {
            let digit = BASE64[(value >> (18 - 6 * place)) as usize & 63];
            encoded.push(if place <= bytes.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    encoded
}

/// Keys of `length` characters in every form, each with what must not pass.
fn keys(length: usize) -> Vec<(&'static str, String)> {
    let data = noise(length, length as u64);
    let pem = |label: &str, width: usize, between: &str| {
        let body = lines(&data, width, between);
        format!("-----BEGIN {label}-----{between}{body}{between}-----END {label}-----")
    };
    let plain = pem("RSA PRIVATE KEY", 64, "\n");
    vec![
        ("PEM", plain.clone()),
        ("PKCS 8 with CRLF", pem("PRIVATE KEY", 64, "\r\n")),
        ("OpenSSH", pem("OPENSSH PRIVATE KEY", 70, "\n")),
        ("in a string", pem("EC PRIVATE KEY", 64, "\\n")),
        ("indented", pem("RSA PRIVATE KEY", 64, "\n      ")),
        ("in pieces of a program", pem("RSA PRIVATE KEY", 64, "\\n\" +\n    \"")),
        ("encrypted", pem("RSA PRIVATE KEY", 64, "\n").replacen(
            "-----\n",
            "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\n",
            1,
        )),
        ("OpenPGP", format!(
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\n\n{}\n=8xQN\n-----END PGP PRIVATE KEY BLOCK-----",
            lines(&data, 64, "\n")
        )),
        ("PuTTY", format!(
            "PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\nComment: box\nPublic-Lines: 2\n{}\nPrivate-Lines: {}\n{}\nPrivate-MAC: 00",
            lines(&noise(100, 3), 64, "\n"),
            length.div_ceil(64),
            lines(&data, 64, "\n")
        )),
        ("encoded", encode(&plain)),
        ("encoded in lines", lines(&encode(&plain), 76, "\n")),
        ("web token", format!(
            "eyJhbGciOiJSUzI1NiJ9.{}.{}",
            encode(&format!("{{\"sub\":\"{}\"}}", &data[..length / 2])).trim_end_matches('='),
            noise(342, 7).replace(['+', '/'], "x")
        )),
    ]
}

fn sanitizers(config: &Config) -> Arc<Sanitizers> {
    let sanitizer: Arc<dyn Sanitizer> = Arc::new(DefaultSanitizer::new(config).unwrap());
    let key = Key::new(b"at least sixteen bytes").unwrap();
    let policy = Policy::from_yaml("version: 1\nmode: remove\n", "test").unwrap();
    Arc::new(Sanitizers::new(vec![("default".into(), sanitizer)], policy, key).unwrap())
}

fn streamed(sanitizers: &Arc<Sanitizers>, text: &str) -> String {
    let options = StreamOptions {
        step: 40,
        ..StreamOptions::generated()
    };
    let mut stream = Stream::new(Arc::clone(sanitizers), Stage::Output, None, options);
    let mut out = String::new();
    stream.push(text.as_bytes(), &mut out).unwrap();
    stream.finish(&mut out).unwrap();
    out
}

/// What of `secret` is left in `text`, by rows of 24 characters.
fn left(secret: &str, text: &str) -> usize {
    let rows = secret.as_bytes().chunks_exact(24);
    rows.map(|row| std::str::from_utf8(row).unwrap())
        .filter(|row| text.contains(row))
        .count()
}

const LEAD: &str = "The box is opened as follows, and nobody else is to know of it.\n\n";
const TAIL: &str = "\n\nThat is all there is to say about the box and what is in it.\n";

#[test]
fn nothing_of_a_long_key_passes_in_a_stream_or_as_a_whole() {
    let small = Config {
        max_span: Some(256),
        ..Config::default()
    };
    for config in [Config::default(), small] {
        let all = sanitizers(&config);
        for length in [400, 1600, 3200] {
            for (form, secret) in keys(length) {
                if form == "web token" && config.max_span.is_some() {
                    continue;
                }
                // What PuTTY's files have before the private lines is public.
                let private = secret.rsplit("Private-Lines").next().unwrap();
                let text = format!("{LEAD}{secret}{TAIL}");
                for out in [streamed(&all, &text), cleaned(&all, &text)] {
                    assert_eq!(left(private, &out), 0, "{form} of {length}: {out}");
                    assert!(
                        out.starts_with(LEAD) && out.ends_with(TAIL),
                        "{form}: {out}"
                    );
                }
            }
        }
    }
}

fn cleaned(sanitizers: &Sanitizers, text: &str) -> String {
    let texts = [text].into_iter().collect::<codex_plugin_api::TextBuffer>();
    let cleaned = sanitizers
        .clean(texts.as_texts(), Stage::Output, None)
        .unwrap();
    cleaned[0].text(text).unwrap().to_owned()
}

/// Neither border is in sight then, so the width of the lines decides.
#[test]
fn the_longest_keys_do_not_pass_in_the_forms_of_their_tools() {
    let all = sanitizers(&Config::default());
    let forms = [
        "PEM",
        "PKCS 8 with CRLF",
        "OpenSSH",
        "OpenPGP",
        "encoded",
        "in a string",
        "indented",
    ];
    for (form, secret) in keys(12_700) {
        if !forms.contains(&form) {
            continue;
        }
        let text = format!("{LEAD}{secret}{TAIL}");
        assert_eq!(left(&secret, &streamed(&all, &text)), 0, "{form}");
        assert_eq!(left(&secret, &cleaned(&all, &text)), 0, "{form}");
    }
}

#[test]
fn what_only_looks_like_a_key_passes() {
    let all = sanitizers(&Config::default());
    for length in [400, 1600, 2400] {
        let body = lines(&noise(length, 11), 64, "\n");
        let texts = [
            format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----"),
            format!("-----BEGIN PGP MESSAGE-----\n\n{body}\n=8xQN\n-----END PGP MESSAGE-----"),
            format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----"),
            format!("data:image/png;base64,{}", noise(length, 13)),
            lines(&noise(length, 17), 76, "\n"),
            encode(&format!(
                "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----",
                &body[..body.len().min(1600)]
            )),
        ];
        for text in texts {
            let text = format!("{LEAD}{text}{TAIL}");
            assert_eq!(streamed(&all, &text), text);
            assert_eq!(cleaned(&all, &text), text);
        }
    }
}

#[test]
fn findings_are_short_enough_to_wait_for() {
    assert_eq!(
        DefaultSanitizer::new(&Config::default())
            .unwrap()
            .max_span(),
        1024
    );
    let most = |bytes| Config {
        max_span: Some(bytes),
        ..Config::default()
    };
    let small = DefaultSanitizer::new(&most(100)).unwrap();
    assert_eq!(small.max_span(), 100);
    let error = DefaultSanitizer::new(&most(63)).unwrap_err();
    assert_eq!(error.message(), "max_span is 63");
}

/// A stream sees 256 bytes before what it decides, and twice `max_span` more behind.
#[test]
fn a_part_of_a_key_is_known_wherever_it_is_cut_off() {
    let sanitizer = DefaultSanitizer::new(&Config::default()).unwrap();
    for (form, secret) in keys(3000) {
        if ["in pieces of a program", "web token"].contains(&form) {
            continue;
        }
        let text = format!("{LEAD}{secret}{TAIL}");
        let first = text
            .rfind("Private-Lines:")
            .map_or(LEAD.len(), |place| place + 20);
        let last = text
            .rfind("\nPrivate-MAC")
            .unwrap_or(LEAD.len() + secret.len());
        for open in (first..last).step_by(3) {
            for behind in [1000, 2304, 2305 + open % 64] {
                let start = open.saturating_sub(256);
                let window = &text[start..(open + behind).min(text.len())];
                let spans = sanitizer.engine().scan(window, None).unwrap();
                let is_known = spans
                    .iter()
                    .any(|span| (span.start..span.end).contains(&(open - start)));
                assert!(is_known, "{form} at {open} {behind}: {window}");
            }
        }
    }
}

#[test]
fn a_first_line_of_any_length_does_no_harm() {
    let sanitizer = DefaultSanitizer::new(&Config::default()).unwrap();
    for length in 0..300 {
        for between in [1, 20, 64, 200] {
            let text = format!("{}\n{}x", "a".repeat(length), " ".repeat(between));
            assert!(sanitizer.engine().scan(&text, None).unwrap().is_empty());
        }
    }
}
