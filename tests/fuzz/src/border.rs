//! A file on its way in: the gates, its manifest, its compilation. Whatever the bytes are, the host answers with a plugin
//! that is as it must be, or with a reason that is one line.

use std::cell::RefCell;
use std::fs;
use std::time::Duration;

use codex_plugin_api::{API_VERSION, Kind};
use serde_json::Value;
use wasmtime::component::Linker;
use wasmtime::{Store, StoreLimits, StoreLimitsBuilder};

use super::{engine, file};
use crate::plugins::gates::{self as gate, Passed, Stopped};
use crate::plugins::refusal::Refusal;
use crate::plugins::search::Candidate;

thread_local! {
    /// A folder whose one file holds what is tried.
    static FOLDER: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
}

/// A file goes through the gates, as a component or, by its name, as a library.
pub fn gates(bytes: &[u8]) {
    let _ = examine(bytes, "plugin.wasm");
    let library = format!("plugin{}", std::env::consts::DLL_SUFFIX);
    let _ = examine(bytes, &library);
}

/// A text is the manifest of a component that exports every kind.
pub fn manifest(text: &[u8]) {
    if let Ok(passed) = examine(&component(text), "plugin.wasm") {
        let again = examine(&component(text), "plugin.wasm");
        assert_eq!(again.ok(), Some(passed), "the same file, another answer");
    }
}

/// What passes the gates is compiled, linked with imports that only trap, and started within limits.
pub fn compile(bytes: &[u8]) {
    if file::parse(bytes).is_err() {
        return;
    }
    let Ok(component) = engine::compile(bytes, None) else {
        return;
    };
    let engine = component.engine();
    let mut linker = Linker::<StoreLimits>::new(engine);
    if linker.define_unknown_imports_as_traps(&component).is_err() {
        return;
    }
    let limits = StoreLimitsBuilder::new()
        .memory_size(16 << 20)
        .table_elements(10_000)
        .instances(50)
        .build();
    let mut store = Store::new(engine, limits);
    store.limiter(|limits| limits);
    store.set_epoch_deadline(engine::ticks(Duration::from_millis(50)));
    let _ = linker.instantiate(&mut store, &component);
}

fn examine(bytes: &[u8], name: &str) -> Result<Passed, Stopped> {
    FOLDER.with_borrow_mut(|folder| {
        let folder = folder.get_or_insert_with(|| tempfile::tempdir().expect("a folder"));
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("a file");
        let candidate = Candidate {
            path,
            is_folder: false,
        };
        let verdict = gate::examine(&candidate);
        check(&verdict.outcome);
        verdict.outcome
    })
}

/// What must hold whatever was examined. The index keeps the answer as JSON, so it must come back from there as it was.
fn check(outcome: &Result<Passed, Stopped>) {
    match outcome {
        Ok(passed) => {
            assert!(!passed.manifest.plugin.id.is_empty());
            assert!(!passed.manifest.components.is_empty());
            let all = serde_json::to_value(&passed.manifest).expect("it is kept");
            assert!(is_harmless(&all), "{:?}", passed.manifest);
            let kept = serde_json::to_vec(passed).expect("it is kept");
            let back: Passed = serde_json::from_slice(&kept).expect("it is read");
            assert_eq!(&back, passed, "the index changes it");
        }
        Err(stopped) => {
            let Refusal { reason, hint, .. } = &stopped.refusal;
            for line in [reason, hint] {
                assert!(!line.is_empty());
                assert!(!line.contains(char::is_control), "no single line: {line:?}");
            }
            let kept = serde_json::to_vec(stopped).expect("it is kept");
            let back: Stopped = serde_json::from_slice(&kept).expect("it is read");
            assert_eq!(&back, stopped, "the index changes it");
        }
    }
}

/// Whether no text in it moves the cursor.
fn is_harmless(value: &Value) -> bool {
    let text = |text: &String| !text.contains(|c: char| c.is_control() && c != '\t' && c != '\n');
    match value {
        Value::String(one) => text(one),
        Value::Array(values) => values.iter().all(is_harmless),
        Value::Object(entries) => entries
            .iter()
            .all(|(key, value)| text(key) && is_harmless(value)),
        _ => true,
    }
}

/// A component that consists of exports, which the gates read without following them, and a manifest.
fn component(manifest: &[u8]) -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    let mut exports = vec![Kind::ALL.len() as u8];
    for kind in Kind::ALL {
        let name = format!("codex:plugin/{kind}@{API_VERSION}");
        exports.extend([0, name.len() as u8]);
        exports.extend(name.as_bytes());
        // An instance, the first one, without a type of its own.
        exports.extend([5, 0, 0]);
    }
    section(&mut bytes, 11, &exports);
    let mut custom = vec![file::SECTION.len() as u8];
    custom.extend(file::SECTION.as_bytes());
    custom.extend(manifest);
    section(&mut bytes, 0, &custom);
    bytes
}

fn section(bytes: &mut Vec<u8>, id: u8, content: &[u8]) {
    bytes.push(id);
    let mut length = content.len();
    loop {
        let more = length > 127;
        bytes.push((length & 127) as u8 | u8::from(more) << 7);
        length >>= 7;
        if !more {
            break;
        }
    }
    bytes.extend(content);
}
