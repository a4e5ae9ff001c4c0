use codex_plugin_api::ErrorKind;

use super::*;

/// The error of a file, split into what follows the folder, and the hint.
fn check(name: &'static str, bytes: &[u8], more: Value, message: &str, hint: &str) {
    let folder = Folder::new([(name, bytes)]);
    let error = refused(&folder.path(name), more);
    assert_eq!(error.message().replace(&folder.path(""), ""), message);
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(
        error.hint_text().is_some_and(|text| text.contains(hint)),
        "{:?}",
        error.hint_text()
    );
}

#[test]
fn files_without_rows() {
    for name in ["a.txt", "a.jsonl", "a.json", "a.csv"] {
        for bytes in [b"".as_slice(), b"\n", b" \n\n", b"\xEF\xBB\xBF"] {
            if name != "a.csv" || bytes != b" \n\n" {
                check(
                    name,
                    bytes,
                    json!({}),
                    &format!("{name} is empty"),
                    "file with content",
                );
            }
        }
    }
    check(
        "a.json",
        b" [ ] ",
        json!({}),
        "a.json is empty",
        "file with content",
    );
    check(
        "a.csv",
        b"a,b\n",
        json!({}),
        "a.csv has a header and no rows",
        "file with content",
    );
}

#[test]
fn broken_json() {
    let hint = "one JSON object";
    let good = "{\"a\": 1}\n".repeat(3);
    let lines = |bad: &str| format!("{good}{bad}\n{good}");
    check(
        "a.jsonl",
        lines("{\"a\": ").as_bytes(),
        json!({}),
        "a.jsonl, line 4: EOF while parsing a value (column 5)",
        hint,
    );
    check(
        "a.jsonl",
        lines("{\"a\" 1}").as_bytes(),
        json!({}),
        "a.jsonl, line 4: expected `:` (column 6)",
        hint,
    );
    check(
        "a.jsonl",
        lines("{} {}").as_bytes(),
        json!({}),
        "a.jsonl, line 4: trailing characters (column 4)",
        hint,
    );
    let error = {
        let folder = Folder::new([("a.jsonl", lines("\"text\""))]);
        refused(&folder.path("a.jsonl"), json!({}))
    };
    assert!(
        error
            .message()
            .contains("line 4: invalid type: string \"text\", expected a JSON object"),
        "{error}"
    );

    let check = |text: &str, message: &str| {
        let folder = Folder::new([("a.json", text)]);
        let error = refused(&folder.path("a.json"), json!({}));
        assert_eq!(
            error.message().replace(&folder.path(""), ""),
            message,
            "{text}"
        );
    };
    check(
        "[\n{\"a\": 1},\n{\"a\": [1}\n]",
        "a.json, line 3: expected `]` before `}`",
    );
    check(
        "[\n{\"a\": 1}\n{\"a\": 2}]",
        "a.json, line 3: expected a comma between the array's elements",
    );
    check(
        "[\n{\"a\": 1},\n3]",
        "a.json, line 3: expected a JSON object",
    );
    check(
        "[\n{\"a\": 1},\n{\"a\": \"2]",
        "a.json, line 3: the file ends within the object that starts here",
    );
    check(
        "[\n{\"a\": 1}\n",
        "a.json, line 3: the file ends before the array does",
    );
    check(
        "[{}]\n\nx",
        "a.json, line 3: something follows the end of the array",
    );
    check("[{},\n]", "a.json, line 2: expected a JSON object");
    check("[{},\n,{}]", "a.json, line 2: expected a JSON object");
    check(
        "{\n\"a\": 1,\n\"b\"; 2}",
        "a.json, line 3: expected `:` (column 4)",
    );
}

#[test]
fn broken_csv() {
    let hint = "mend the line";
    check(
        "a.csv",
        b"a,b\n1,2\n\"3\n4\",5\n6\n",
        json!({}),
        "a.csv, line 5: 1 values where the header has 2 columns",
        hint,
    );
    check(
        "a.csv",
        b"a,b\n1,2,3\n",
        json!({}),
        "a.csv, line 2: 3 values where the header has 2 columns",
        hint,
    );
    check(
        "a.csv",
        b"a,b,a\n1,2,3\n",
        json!({}),
        "a.csv, line 1: the header names column \"a\" twice",
        "first line",
    );
    let folder = Folder::new([("a.csv", "a,b\n1,2\n3,\"4\n5,6\n")]);
    let error = refused(&folder.path("a.csv"), json!({}));
    assert!(
        error
            .message()
            .ends_with("line 3: a quote opens in this row and never closes"),
        "{error}"
    );
    let error = refused(&folder.path("a.csv"), json!({ "delimiter": "ab" }));
    assert_eq!(
        (error.kind(), error.message()),
        (
            ErrorKind::Config,
            "delimiter \"ab\" is not one ASCII character"
        )
    );
}

#[test]
fn columns_that_do_not_exist() {
    let hint = "did you mean \"text\"? the columns are id, text";
    let folder = Folder::new([("a.csv", "id,text\n1,x\n")]);
    for more in [
        json!({ "text_column": "txt" }),
        json!({ "columns": ["id", "txt"] }),
    ] {
        let error = refused(&folder.path("a.csv"), more);
        assert!(
            error.message().ends_with("a.csv has no column \"txt\""),
            "{error}"
        );
        assert_eq!(error.hint_text(), Some(hint));
    }
}

#[test]
fn paths_that_lead_nowhere() {
    let folder = Folder::new([("stories.txt", "x"), ("other.csv", "y")]);
    let error = refused(&folder.path("storys.txt"), json!({}));
    assert_eq!(
        error.message(),
        format!("no file or folder {}", folder.path("storys.txt"))
    );
    assert_eq!(
        error.hint_text(),
        Some(format!("did you mean {}?", folder.path("stories.txt")).as_str())
    );
    let error = refused(&folder.path("none/of/this.txt"), json!({}));
    assert!(
        error.hint_text().unwrap().contains("does not exist"),
        "{:?}",
        error.hint_text()
    );
    let error = refused(&folder.path(""), json!({ "format": "parquet" }));
    assert!(
        error.message().ends_with("holds no parquet file"),
        "{error}"
    );

    let empty = Folder::new([(".hidden", "x")]);
    let error = refused(&empty.path(""), json!({}));
    assert!(
        error
            .message()
            .ends_with("holds no file that is not hidden"),
        "{error}"
    );
    let hollow = Folder::new([("a.txt", "\n"), ("b.bin", "\0")]);
    let error = refused(&hollow.path(""), json!({}));
    assert!(
        error
            .message()
            .ends_with("holds no file with text in it (2 empty or binary)"),
        "{error}"
    );
    let none: Config = codex_plugin_api::serde_json::from_value(json!({ "path": [] })).unwrap();
    assert_eq!(
        FilesDataset::open(&none, &NoHost::shared())
            .err()
            .unwrap()
            .kind(),
        ErrorKind::Config
    );
}

#[test]
fn encodings_that_do_not_fit() {
    let folder = Folder::new([("a.txt", b"PK\x03\x04\0\0text".as_slice())]);
    let error = refused(&folder.path("a.txt"), json!({}));
    assert!(
        error
            .message()
            .ends_with("a.txt looks binary: byte 4 is zero"),
        "{error}"
    );
    for word in ["utf8000", "iso-2022-jp", "replacement"] {
        let error = refused(&folder.path("a.txt"), json!({ "encoding": word }));
        assert_eq!(
            (error.kind(), error.message()),
            (
                ErrorKind::Config,
                format!("unknown encoding {word:?}").as_str()
            )
        );
    }
}

#[test]
fn a_file_that_changes_is_noticed() {
    type Change = fn(&str);
    let changes: [(&str, Change); 3] = [
        ("grown", |path| {
            fs::write(path, "one\n\ntwo\n\nthree\n").unwrap();
        }),
        ("truncated", |path| fs::write(path, "on").unwrap()),
        ("touched", |path| {
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH)
                .unwrap();
        }),
    ];
    for (what, change) in changes {
        let folder = Folder::new([("a.txt", "one\n\ntwo\n")]);
        let path = folder.path("a.txt");
        let dataset = open(&path, json!({})).unwrap();
        assert_eq!(dataset.read(1, 1).unwrap().rows(), 1);
        change(&path);
        let error = dataset.read(1, 1).unwrap_err();
        assert_eq!(
            error.message(),
            format!("{path} changed while it was in use"),
            "{what}"
        );
        assert_eq!(error.kind(), ErrorKind::Data);
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new([("a.txt", "x")]);
    let path = folder.path("a.txt");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&path).is_ok() {
        // The superuser may read everything; the message's words are then all there is to check.
        let error = crate::handle::unreadable(
            Path::new(&path),
            &std::io::ErrorKind::PermissionDenied.into(),
        );
        assert_eq!(
            error.message(),
            format!("cannot read {path}: permission denied")
        );
        return;
    }
    assert_eq!(
        refused(&path, json!({})).message(),
        format!("cannot read {path}: permission denied")
    );
}
