use super::*;
use crate::keys::SecretKey;

fn entry(name: &str, version: &str) -> String {
    format!(
        r#"{{"name":"{name}","version":"{version}","api":"^1","components":[["metric","x"]],"archive":{{"size":1,"sha256":"{0}"}},"artifacts":{{"wasm":{{"path":"artifacts/wasm/{name}.wasm","size":1,"sha256":"{0}"}}}}}}"#,
        "0".repeat(64)
    )
}

fn line(text: &str, key: &SecretKey) -> String {
    let signature = key.sign(text.as_bytes(), "").unwrap();
    serde_json::to_string(&Line {
        entry: Some(text.into()),
        signature,
        key: Some(key.public().text()),
        rotation: None,
    })
    .unwrap()
}

fn rotation(name: &str, old: &SecretKey, signer: &SecretKey, new: &SecretKey) -> String {
    let rotation = Rotation {
        name: name.into(),
        old_key_id: old.public().id(),
        new_key: new.public().text(),
    };
    let text = serde_json::to_string(&rotation).unwrap();
    let signature = signer.sign(text.as_bytes(), "").unwrap();
    serde_json::to_string(&Line {
        rotation: Some(text),
        signature,
        ..Line::default()
    })
    .unwrap()
}

#[test]
fn a_name_belongs_to_its_first_key_until_that_key_hands_it_over() {
    let [root, a, b, c] = std::array::from_fn(|_| SecretKey::generate().unwrap());
    let parse = |lines: &[String]| {
        Index::parse("shout", lines.join("\n").as_bytes(), &root.public().text())
    };
    let (one, two) = (entry("shout", "1.0.0"), entry("shout", "2.0.0"));
    let index = parse(&[
        line(&one, &a),
        rotation("shout", &a, &a, &b),
        line(&two, &b),
        line(&entry("shout", "3.0.0"), &root),
    ])
    .unwrap();
    assert_eq!(index.owner, Some(b.public().text()));
    let keys: Vec<&str> = index
        .entries
        .iter()
        .map(|entry| entry.key_id.as_str())
        .collect();
    assert_eq!(keys, [a.public().id(), b.public().id(), root.public().id()]);
    index
        .entries
        .iter()
        .for_each(|entry| entry.verify().unwrap());
    // What the registry published first is the registry's, until it hands the name over.
    let index = parse(&[
        line(&one, &root),
        rotation("shout", &root, &root, &a),
        line(&two, &a),
    ])
    .unwrap();
    assert_eq!(index.owner, Some(a.public().text()));
    let error = parse(&[line(&one, &root), line(&two, &a)]).unwrap_err();
    assert!(error.message().contains("belongs to key"), "{error}");
    for (lines, words) in [
        (
            vec![line(&one, &a), line(&two, &b)],
            "line 2: version 2.0.0 is signed with key",
        ),
        (
            vec![
                line(&one, &a),
                rotation("shout", &a, &a, &b),
                line(&two, &a),
            ],
            "line 3: version 2.0.0 is signed with key",
        ),
        (
            vec![line(&one, &a), rotation("shout", &a, &c, &b)],
            "line 2: the signature was made with key",
        ),
        (
            vec![line(&one, &a), rotation("other", &a, &a, &b)],
            "for another plugin or another key",
        ),
        (
            vec![line(&one, &a), rotation("shout", &b, &a, &b)],
            "for another plugin or another key",
        ),
        (vec![rotation("shout", &a, &a, &b)], "before any version"),
    ] {
        let error = parse(&lines).unwrap_err();
        assert!(error.message().contains(words), "{error} lacks {words}");
    }
}

#[test]
fn lines_that_are_wrong_are_named() {
    let key = SecretKey::generate().unwrap();
    let root = key.public().text();
    let good = line(&entry("shout", "1.0.0"), &key);
    for (text, words) in [
        (
            line(&entry("other", "1.0.0"), &key),
            "line 1: the entry is for \"other\"",
        ),
        (
            format!("{good}\n{good}"),
            "line 2: version 1.0.0 is there already",
        ),
        (
            format!("{good}\n{}", line(&entry("shout", "1.0.0+b"), &key)),
            "version 1.0.0+b is there already",
        ),
        (
            format!(
                "{}\n{}",
                line(&entry("shout", "1.0.0-A"), &key),
                line(&entry("shout", "1.0.0-a"), &key)
            ),
            "1.0.0-a is there already",
        ),
        ("{".into(), "line 1: it is no JSON object"),
        ("[1]".into(), "line 1: it is no JSON object"),
        (
            r#"{"signature":"x"}"#.into(),
            "neither a version with its key nor a rotation",
        ),
        (line("{}", &key), "the entry is damaged"),
        (
            format!("{good}\n{}", "x".repeat(MAX_LINE + 1)),
            "line 2: 1048577 bytes",
        ),
        ("\n".repeat(MAX_LINES), "more than 100000 lines"),
        (good.replace(&root, "RWabc"), "is not a public key"),
    ] {
        let error = Index::parse("shout", text.as_bytes(), &root).unwrap_err();
        assert!(error.message().contains(words), "{error} lacks {words}");
    }
    let error = Index::parse("shout", &vec![b'x'; MAX_INDEX as usize + 1], &root).unwrap_err();
    assert!(
        error
            .message()
            .contains("67108865 bytes, and 67108864 are allowed"),
        "{error}"
    );
}

#[test]
fn a_changed_entry_fails_its_signature() {
    let key = SecretKey::generate().unwrap();
    let text = line(&entry("shout", "1.0.0"), &key).replace("1.0.0", "1.0.1");
    let index = Index::parse("shout", text.as_bytes(), &key.public().text()).unwrap();
    let error = index.entries[0].verify().unwrap_err();
    assert!(
        error
            .message()
            .starts_with("shout 1.0.1: the signature by key"),
        "{error}"
    );
}

#[test]
fn a_version_of_a_later_time_is_passed_over() {
    let key = SecretKey::generate().unwrap();
    let later = entry("shout", "2.0.0").replace("\"metric\"", "\"collective\"");
    let text = [line(&entry("shout", "1.0.0"), &key), line(&later, &key)].join("\n");
    let index = Index::parse("shout", text.as_bytes(), &key.public().text()).unwrap();
    assert_eq!(index.entries.len(), 1);
    assert!(
        index.unreadable[0].starts_with("line 2, version 2.0.0: unknown variant `collective`"),
        "{:?}",
        index.unreadable
    );
}
