use super::*;

fn no_password() -> Result<String> {
    Err(Error::config("no password was expected"))
}

#[test]
fn a_signature_holds_for_its_bytes_and_its_key_only() {
    let (key, other) = (
        SecretKey::generate().unwrap(),
        SecretKey::generate().unwrap(),
    );
    let signature = key.sign(b"text", "test").unwrap();
    key.public().verify(b"text", &signature).unwrap();
    verify(&key.public().text(), b"text", &signature).unwrap();
    for (key, text, signature, words) in [
        (
            key.public(),
            &b"texT"[..],
            signature.clone(),
            "does not belong to these bytes",
        ),
        (other.public(), b"text", signature.clone(), "not with key"),
        (
            key.public(),
            b"text",
            signature.replace("test", "tesT"),
            "does not belong",
        ),
        (key.public(), b"text", String::new(), "damaged"),
        (
            key.public(),
            b"text",
            format!("{signature}more\n"),
            "damaged",
        ),
        (key.public(), b"text", "a\nb\nc\nd\n".into(), "damaged"),
        (key.public(), b"text", "x".repeat(10_000), "damaged"),
    ] {
        let error = key.verify(text, &signature).unwrap_err();
        assert!(error.message().contains(words), "{error} lacks {words}");
        assert_eq!(error.kind(), codex_plugin_api::ErrorKind::Denied);
    }
}

#[test]
fn every_changed_byte_of_a_signature_is_noticed() {
    let key = SecretKey::generate().unwrap();
    let signature = key.sign(b"text", "test").unwrap();
    let signed_from = signature.find('\n').unwrap() + 1;
    for place in signed_from..signature.len() {
        let mut bytes = signature.clone().into_bytes();
        if bytes[place].is_ascii_whitespace() {
            continue;
        }
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(
            key.public().verify(b"text", &changed).is_err(),
            "byte {place}"
        );
    }
}

#[test]
fn key_files_are_written_once_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys/default.key");
    let public = SecretKey::create(&path, None).unwrap();
    let key = SecretKey::read(&path, no_password).unwrap();
    assert_eq!(key.public(), &public);
    let text = fs::read_to_string(path.with_extension("pub")).unwrap();
    assert_eq!(PublicKey::parse(&text).unwrap(), public);
    assert_eq!(
        PublicKey::read(path.with_extension("pub").to_str().unwrap()).unwrap(),
        public
    );
    assert_eq!(PublicKey::read(&public.text()).unwrap(), public);
    let error = SecretKey::create(&path, None).unwrap_err();
    assert!(error.message().ends_with("exists already"), "{error}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0);
    }
}

#[test]
fn a_protected_key_opens_with_its_password_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("author.key");
    SecretKey::create(&path, Some("correct horse")).unwrap();
    let open = |password: &str| SecretKey::read(&path, || Ok(password.to_owned()));
    let key = open("correct horse").unwrap();
    let signature = key.sign(b"x", "").unwrap();
    key.public().verify(b"x", &signature).unwrap();
    let error = open("wrong").unwrap_err();
    assert!(
        error.message().contains("cannot open the secret key"),
        "{error}"
    );
    let error = SecretKey::read(&path, no_password).unwrap_err();
    assert_eq!(error.message(), "no password was expected");
}

#[test]
fn what_is_no_key_is_named() {
    for text in ["", "RW", "hello", &"R".repeat(56), &"R".repeat(5000)] {
        let error = PublicKey::parse(text).unwrap_err();
        assert!(error.message().contains("is not a public key"), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, text, words) in [
        ("empty", String::new(), "holds no secret key"),
        (
            "line",
            "untrusted comment: x\nAAAA\n".into(),
            "holds no secret key",
        ),
        ("big", "x".repeat(5000), "it has 5000 bytes"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let error = SecretKey::read(&path, no_password).unwrap_err();
        assert!(error.message().contains(words), "{error} lacks {words}");
    }
}

#[test]
fn a_secret_key_is_never_shown() {
    let key = SecretKey::generate().unwrap();
    assert_eq!(
        format!("{key:?}"),
        format!("SecretKey({})", key.public().id())
    );
}
