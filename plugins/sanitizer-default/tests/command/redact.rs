//! Clean copies: where they go, what they hold, what is refused.

use std::fs;

use codex_plugin_api::ErrorKind;
use codex_plugin_api::serde_json::json;

use super::bench::{Bench, MAIL, aws, github};

#[test]
fn a_folder_is_mirrored_with_everything_taken_out() {
    let bench = Bench::new();
    let (key, token) = (aws(), github());
    bench
        .write("in/a.txt", format!("key {key}\n"))
        .write(
            "in/b/c.json",
            format!("{{ \"t\" :\"{token}\", \"n\": 1.50 }}"),
        )
        .write(
            "in/b/d.ndjson",
            format!("{{\"m\": \"{MAIL}\"}}\n{{\"n\": 1}}\n"),
        )
        .write("in/e.csv", format!("a,b\r\n\"x \"\"{token}\"\"\",2\r\n"))
        .write("in/same.txt", b"nothing \xff here")
        .write("in/image.bin", b"\0\0");
    let ran = bench.run(
        "in",
        json!({"redact": true, "output-dir": bench.arg("out"), "json": true}),
    );
    let report = ran.json();
    assert_eq!(
        (&report["changed"], &report["unchanged"], &report["binary"]),
        (&json!(4), &json!(1), &json!(1))
    );
    assert_eq!(
        bench.files("out"),
        [
            "in/a.txt",
            "in/b/c.json",
            "in/b/d.ndjson",
            "in/e.csv",
            "in/same.txt"
        ]
    );
    for (name, expected) in [
        ("a.txt", "key [SECRET]\n"),
        ("b/c.json", "{ \"t\" :\"[SECRET]\", \"n\": 1.50 }"),
        ("b/d.ndjson", "{\"m\": \"[EMAIL_ADDRESS]\"}\n{\"n\": 1}\n"),
        ("e.csv", "a,b\r\n\"x \"\"[SECRET]\"\"\",2\r\n"),
    ] {
        assert_eq!(bench.read(&format!("out/in/{name}")), expected, "{name}");
    }
    assert_eq!(
        fs::read(bench.path("out/in/same.txt")).unwrap(),
        b"nothing \xff here"
    );
    assert_eq!(
        bench.read("in/a.txt"),
        format!("key {key}\n"),
        "the source stays"
    );
    // Redacting twice changes nothing.
    let again = bench.run(
        "out",
        json!({"redact": true, "output-dir": bench.arg("twice"), "json": true}),
    );
    assert_eq!(again.json()["changed"], 0);
}

#[cfg(unix)]
#[test]
fn in_place_keeps_permissions_bytes_and_what_has_nothing() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let bench = Bench::new();
    let content = [b"\xff ".as_slice(), aws().as_bytes(), b" \xe9\n"].concat();
    bench
        .write("in/a.sh", content)
        .write("in/same.txt", "nothing");
    fs::set_permissions(bench.path("in/a.sh"), fs::Permissions::from_mode(0o750)).unwrap();
    let before = fs::metadata(bench.path("in/same.txt")).unwrap().ino();
    let ran = bench.run(
        "in",
        json!({"redact": true, "in-place": true, "mode": "mask", "json": true}),
    );
    assert_eq!(
        (&ran.json()["changed"], &ran.json()["unchanged"]),
        (&json!(1), &json!(1))
    );
    let stars = "*".repeat(aws().len());
    let expected = [b"\xff ".as_slice(), stars.as_bytes(), b" \xe9\n"].concat();
    assert_eq!(fs::read(bench.path("in/a.sh")).unwrap(), expected);
    let mode = fs::metadata(bench.path("in/a.sh"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o750);
    assert_eq!(
        fs::metadata(bench.path("in/same.txt")).unwrap().ino(),
        before
    );
    assert_eq!(
        bench.files("in"),
        ["a.sh", "same.txt"],
        "no temporary file is left"
    );
}

#[test]
fn equal_values_have_equal_pseudonyms_under_one_key() {
    let bench = Bench::new();
    bench.write("a.txt", format!("{MAIL}\n{MAIL}\n"));
    bench.write("other", [9; 32]);
    let clean = |out: &str, key: &str| {
        let arguments = json!({
            "redact": true, "output-dir": bench.arg(out), "mode": "pseudonym", "key": bench.arg(key)
        });
        bench.run("a.txt", arguments).code();
        bench.read(&format!("{out}/a.txt"))
    };
    let (first, second, other) = (clean("1", ".key"), clean("2", ".key"), clean("3", "other"));
    assert!(first.starts_with("[EMAIL_ADDRESS:"), "{first}");
    let lines: Vec<&str> = first.lines().collect();
    assert_eq!(lines[0], lines[1]);
    assert_eq!(first, second);
    assert_ne!(first, other);
}

#[test]
fn what_the_policy_drops_or_blocks_is_not_written_and_said() {
    let bench = Bench::new();
    bench.write(
        "p.yaml",
        "version: 1\nactions:\n- {entities: [secret], action: drop}\n",
    );
    bench.write(
        "in/a.ndjson",
        format!("{{\"k\": \"{}\"}}\n{{\"k\": 1}}\n", aws()),
    );
    bench.write("in/b.csv", format!("x\n{}\n", aws()));
    bench.write("in/c.txt", aws());
    let clean = |out: &str| {
        bench.run(
            "in",
            json!({"redact": true, "output-dir": bench.arg(out), "policy": bench.arg("p.yaml")}),
        )
    };
    let ran = clean("out");
    assert!(
        ran.error().message().contains("c.txt: the policy drops it"),
        "{}",
        ran.error()
    );
    assert_eq!(ran.error().kind(), ErrorKind::Data);
    assert_eq!(bench.files("out"), ["in/a.ndjson", "in/b.csv"]);
    assert_eq!(bench.read("out/in/a.ndjson"), "{\"k\": 1}\n");
    assert_eq!(bench.read("out/in/b.csv"), "x\n");
    bench.write(
        "p.yaml",
        "version: 1\nactions:\n- {entities: [secret], action: block}\n",
    );
    let ran = clean("blocked");
    assert!(
        ran.error()
            .message()
            .starts_with("3 files were not written"),
        "{}",
        ran.error()
    );
    assert!(
        ran.logged("c.txt is not written: the policy blocks a finding in it"),
        "{:?}",
        ran.log
    );
    assert!(!bench.path("blocked").exists());
    // Listed they are all the same.
    let ran = bench.run(
        "in",
        json!({"policy": bench.arg("p.yaml"), "report": "ndjson"}),
    );
    assert!(ran.lines().iter().all(|found| found["action"] == "block"));
    assert_eq!(ran.lines().len(), 3);
}

#[test]
fn a_place_that_cannot_be_written_to_is_named() {
    let bench = Bench::new();
    bench.write("in/a.txt", aws()).write("file", "");
    let out = bench.arg("file/out");
    let ran = bench.run("in", json!({"redact": true, "output-dir": out}));
    assert!(
        ran.error().message().contains("file/out"),
        "{}",
        ran.error()
    );
    assert_eq!(bench.read("in/a.txt"), aws());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_a_device_stays_one() {
    let bench = Bench::new();
    bench.write("a.txt", aws());
    let ran = bench.run("a.txt", json!({"output": "/dev/full"}));
    assert!(
        ran.error().message().contains("cannot write /dev/full"),
        "{}",
        ran.error()
    );
    let file = fs::metadata("/dev/full").unwrap().file_type();
    assert!(!file.is_file(), "the device was replaced");
}

#[cfg(unix)]
#[test]
fn a_folder_that_may_not_be_written_to_leaves_the_file_as_it_was() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new();
    bench.write("in/a.txt", aws());
    fs::set_permissions(bench.path("in"), fs::Permissions::from_mode(0o555)).unwrap();
    let may = fs::write(bench.path("in/probe"), "").is_ok();
    let ran = bench.run("in/a.txt", json!({"redact": true, "in-place": true}));
    fs::set_permissions(bench.path("in"), fs::Permissions::from_mode(0o755)).unwrap();
    if may {
        // Who may write everywhere (root) cannot be refused.
        ran.code();
        return;
    }
    assert!(
        ran.error().message().contains("cannot write"),
        "{}",
        ran.error()
    );
    assert_eq!(bench.read("in/a.txt"), aws());
}

#[test]
fn two_files_with_one_place_are_refused() {
    let bench = Bench::new();
    bench.write("a/x.txt", aws()).write("b/x.txt", aws());
    let ran = bench.run_with(json!({
        "path": [bench.arg("a/x.txt"), bench.arg("b/x.txt")], "redact": true, "output-dir": bench.arg("out")
    }));
    assert!(
        ran.error().message().contains("have one place"),
        "{}",
        ran.error()
    );
}

#[test]
fn copies_within_the_source_are_not_scanned_again() {
    let bench = Bench::new();
    bench.write("in/a.txt", aws());
    fs::create_dir(bench.path("in/out")).unwrap();
    let ran = bench.run(
        "in",
        json!({"redact": true, "output-dir": bench.arg("in/out"), "json": true}),
    );
    assert_eq!(ran.json()["files"], 1);
    assert_eq!(bench.files("in"), ["a.txt", "out/in/a.txt"]);
}
