#![allow(clippy::unwrap_used, reason = "tests")]

use codex_plugin_api::Kind;

use super::*;

/// The smallest component.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

fn manifest(kinds: &[Kind], permissions: &str) -> (String, Manifest) {
    let mut text =
        "[plugin]\nid = \"shout\"\nversion = \"0.1.0\"\napi = \"1\"\ndescription = \"ř\"\n"
            .to_owned();
    for kind in kinds {
        let entry = format!("[[component]]\nkind = \"{kind}\"\nname = \"loud\"\n");
        text.push_str(&entry);
    }
    text.push_str(permissions);
    let manifest = Manifest::parse(&text, "plugin.toml").unwrap();
    (text, manifest)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_manifest_goes_in_and_comes_out_whatever_its_length() {
    let (text, _) = manifest(&[Kind::Metric], "");
    for padding in [0, 1, 100, 127, 128, 20_000] {
        let text = format!("{text}# {}\n", "č".repeat(padding));
        let plugin = embed(COMPONENT.to_vec(), &text);
        assert_eq!(
            file::parse(&plugin).unwrap().manifest.as_deref(),
            Some(text.as_str())
        );
        Validator::new_with_features(WasmFeatures::default())
            .validate_all(&plugin)
            .unwrap();
    }
}

#[test]
fn lengths_are_leb128() {
    for (value, bytes) in [
        (0, &[0][..]),
        (127, &[127]),
        (128, &[0x80, 1]),
        (624_485, &[0xe5, 0x8e, 0x26]),
    ] {
        assert_eq!(length(value), bytes);
    }
}

#[test]
fn every_kind_of_the_manifest_is_exported() {
    let (text, manifest) = manifest(&[Kind::Metric, Kind::Command], "");
    let metric = "codex:plugin/metric@1.0.0";
    check_exports(&names(&["codex:plugin/command@1.0.0", metric]), &manifest).unwrap();
    let error = check_exports(&names(&[metric]), &manifest).unwrap_err();
    assert_eq!(
        error.message(),
        "plugin.toml names a command, but the code exports no codex:plugin/command@1.0.0; it exports codex:plugin/metric@1.0.0"
    );
    assert!(error.hint_text().unwrap().contains("world command-plugin"));
    // Another version is another interface.
    let error = check_exports(&names(&["codex:plugin/metric@2.0.0"]), &manifest).unwrap_err();
    assert!(
        error.message().starts_with("plugin.toml names a metric"),
        "{error}"
    );
    let error = check(&embed(COMPONENT.to_vec(), &text), &manifest, Wasi::Refused).unwrap_err();
    assert!(error.message().ends_with("it exports nothing"), "{error}");
}

#[test]
fn imports_need_the_permission_that_the_manifest_asks_for() {
    let (_, none) = manifest(&[Kind::Metric], "");
    let imports = names(&[
        "codex:plugin/types@1.0.0",
        "codex:plugin/host@1.0.0",
        "codex:plugin/terminal@1.0.0",
        "codex:plugin/files@1.2.0",
    ]);
    let error = check_imports(&imports, &none.permissions, Wasi::Refused).unwrap_err();
    assert_eq!(
        error.message(),
        "the code imports terminal, files, but plugin.toml does not ask for them"
    );
    let hint = error.hint_text().unwrap();
    let (_, lines) = hint.split_once('\n').unwrap();
    // What the hint says to add is what mends it.
    let (_, asking) = manifest(&[Kind::Metric], &format!("[permissions]\n{lines}\n"));
    check_imports(&imports, &asking.permissions, Wasi::Refused).unwrap();
}

#[test]
fn the_line_of_every_permission_asks_for_it() {
    for import in &IMPORTS {
        let (_, asking) = manifest(
            &[Kind::Metric],
            &format!("[permissions]\n{}\n", import.line),
        );
        assert!((import.asked)(&asking.permissions), "{}", import.interface);
        let others = IMPORTS
            .iter()
            .filter(|other| (other.asked)(&asking.permissions));
        assert_eq!(others.count(), 1, "{}", import.interface);
        assert!(
            !(import.asked)(&Permissions::default()),
            "{}",
            import.interface
        );
    }
}

#[test]
fn other_imports_are_refused_and_wasi_is_pythons_alone() {
    let permissions = Permissions::default();
    for name in [
        "codex:plugin/files@2.0.0",
        "codex:plugin/gpu@1.0.0",
        "codex:pluginx/files@1.0.0",
        "somebody:else/x",
    ] {
        for wasi in [Wasi::Allowed, Wasi::Refused] {
            let error = check_imports(&names(&[name]), &permissions, wasi).unwrap_err();
            assert!(error.message().contains(name), "{error}");
        }
    }
    let wasi = names(&["wasi:clocks/wall-clock@0.2.0"]);
    check_imports(&wasi, &permissions, Wasi::Allowed).unwrap();
    check_imports(&wasi, &permissions, Wasi::Refused).unwrap_err();
}

#[test]
fn what_a_module_cannot_import_is_named() {
    let import = |module: &str, name: &str| {
        let mut entry = vec![1, module.len() as u8];
        entry.extend(module.as_bytes());
        entry.push(name.len() as u8);
        entry.extend(name.as_bytes());
        entry.extend([0, 0]);
        let mut bytes = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0".to_vec();
        bytes.extend([2, entry.len() as u8]);
        bytes.extend(entry);
        bytes
    };
    let error = encode(&import("wasi_snapshot_preview1", "fd_write")).unwrap_err();
    assert!(
        error
            .message()
            .ends_with("fd_write of wasi_snapshot_preview1"),
        "{error}"
    );
    assert!(error.hint_text().unwrap().contains("printf"));
    let ours = import("codex:plugin/host@1.0.0", "interrupted");
    assert_eq!(foreign_imports(&ours).unwrap(), [] as [String; 0]);
    // A module that no world was bound into.
    let error = encode(b"\0asm\x01\0\0\0").and_then(|bytes| {
        let (text, manifest) = manifest(&[Kind::Metric], "");
        check(&embed(bytes, &text), &manifest, Wasi::Refused)
    });
    assert!(error.is_err());
    encode(b"junk").unwrap_err();
}
