//! Real files in temporary folders, opened and read as the host does it.

/// What must be refused, and how.
mod failures;
/// JSON, CSV and Parquet.
mod tables;
/// Plain text: pieces, line ends, encodings.
mod text;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use codex_plugin_api::serde_json::{Value, json};
use codex_plugin_api::{
    Adapter, Batch, Column, Dataset, Error, Host, HostRef, LogLevel, Metric, Model, NoHost, Result,
    Sanitizer, Tokenizer, Values,
};
use tempfile::TempDir;

use crate::{Config, FilesDataset};

/// A host that keeps what is logged.
#[derive(Default)]
struct Recorder {
    lines: Mutex<Vec<(LogLevel, String)>>,
}

impl Host for Recorder {
    fn log(&self, level: LogLevel, message: &str) {
        self.lines.lock().unwrap().push((level, message.to_owned()));
    }
    fn progress(&self, _label: &str, _done: u64, _total: u64) {}
    fn threads(&self) -> usize {
        1
    }
    fn interrupted(&self) -> bool {
        false
    }
    fn print(&self, text: &str) -> Result<()> {
        NoHost.print(text)
    }
    fn read_file(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
        NoHost.read_file(path, offset, length)
    }
    fn create_tokenizer(&self, name: &str, config: &Value) -> Result<Box<dyn Tokenizer>> {
        NoHost.create_tokenizer(name, config)
    }
    fn create_model(&self, name: &str, config: &Value) -> Result<Box<dyn Model>> {
        NoHost.create_model(name, config)
    }
    fn create_dataset(&self, name: &str, config: &Value) -> Result<Box<dyn Dataset>> {
        NoHost.create_dataset(name, config)
    }
    fn create_metric(&self, name: &str, config: &Value) -> Result<Box<dyn Metric>> {
        NoHost.create_metric(name, config)
    }
    fn create_sanitizer(&self, name: &str, config: &Value) -> Result<Box<dyn Sanitizer>> {
        NoHost.create_sanitizer(name, config)
    }
    fn create_adapter(&self, name: &str, config: &Value) -> Result<Box<dyn Adapter>> {
        NoHost.create_adapter(name, config)
    }
}

/// A temporary folder with some files.
struct Folder(TempDir);

impl Folder {
    fn new<B: AsRef<[u8]>>(files: impl IntoIterator<Item = (&'static str, B)>) -> Self {
        let folder = Self(TempDir::new().unwrap());
        for (name, bytes) in files {
            let path = folder.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

/// The configuration for one path with some more keys.
fn config(path: &str, more: Value) -> Config {
    let mut all = json!({ "path": path });
    for (key, value) in more.as_object().into_iter().flatten() {
        all[key] = value.clone();
    }
    codex_plugin_api::serde_json::from_value(all).unwrap()
}

fn open(path: &str, more: Value) -> Result<FilesDataset> {
    FilesDataset::open(&config(path, more), &NoHost::shared())
}

fn open_recording(path: &str, more: Value) -> (Result<FilesDataset>, Vec<(LogLevel, String)>) {
    let recorder = Arc::new(Recorder::default());
    let host: HostRef = Arc::clone(&recorder) as HostRef;
    let result = FilesDataset::open(&config(path, more), &host);
    let lines = recorder.lines.lock().unwrap().clone();
    (result, lines)
}

fn refused(path: &str, more: Value) -> Error {
    match open(path, more) {
        Ok(dataset) => panic!("opened with {} rows", dataset.len()),
        Err(error) => error,
    }
}

/// A value as JSON, so that expectations are short to write.
fn value(column: &Column, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match &column.values {
        Values::Text(texts) => texts.as_texts().get(row).unwrap().into(),
        Values::Bytes(bytes, offsets) => {
            bytes[offsets[row] as usize..offsets[row + 1] as usize].into()
        }
        Values::I64(values) => values[row].into(),
        Values::F32(values) => values[row].into(),
        Values::F64(values) => values[row].into(),
        Values::Bool(values) => values[row].into(),
        other => panic!("{other:?}"),
    }
}

fn rows(batch: &Batch) -> Vec<Value> {
    (0..batch.rows())
        .map(|row| {
            batch
                .columns()
                .iter()
                .map(|column| value(column, row))
                .collect()
        })
        .collect()
}

fn texts(dataset: &FilesDataset) -> Vec<String> {
    let batch = dataset.read(0, dataset.len()).unwrap();
    let Values::Text(texts) = &batch.columns()[0].values else {
        panic!("no text")
    };
    texts.as_texts().iter().map(str::to_owned).collect()
}

/// Every chunking, forwards and backwards, and from several threads at once, gives the same rows. Returns them.
fn same_in_any_chunking(dataset: &FilesDataset) -> Vec<Value> {
    let whole = rows(&dataset.read(0, u64::MAX).unwrap());
    assert_eq!(whole.len() as u64, dataset.len());
    let check = |size: usize| {
        let mut starts: Vec<usize> = (0..whole.len()).step_by(size).collect();
        if size % 2 == 1 {
            starts.reverse();
        }
        for start in starts {
            let part = rows(&dataset.read(start as u64, size as u64).unwrap());
            assert_eq!(
                part,
                whole[start..(start + size).min(whole.len())],
                "from {start}, {size} rows"
            );
        }
    };
    std::thread::scope(|scope| {
        for size in [1, 2, 3, 7, 64, whole.len()] {
            scope.spawn(move || check(size));
        }
    });
    assert_eq!(dataset.read(dataset.len(), 9).unwrap().rows(), 0);
    assert_eq!(
        dataset.read(u64::MAX, 9).unwrap().columns().len(),
        dataset.info().unwrap().fields.len()
    );
    whole
}

fn is_inside(path: &str, folder: &Path) -> bool {
    Path::new(path).starts_with(folder)
}

#[test]
fn a_folder_is_read_by_name_without_hidden_and_binary_files() {
    let folder = Folder::new([
        ("b.txt", b"second\n".as_slice()),
        ("a.txt", b"first\n"),
        ("sub/c.md", b"third\n"),
        (".hidden", b"never\n"),
        (".git/config", b"never\n"),
        ("empty.txt", b""),
        ("picture.bin", b"\x89PNG\0\0\0\0"),
    ]);
    let root = folder.path("");
    let (dataset, log) = open_recording(&root, json!({}));
    assert_eq!(texts(&dataset.unwrap()), ["first", "second", "third"]);
    assert!(
        log.iter()
            .any(|(level, line)| *level == LogLevel::Info && line.contains("2 empty or binary")),
        "{log:?}"
    );
    assert!(is_inside(&folder.path("a.txt"), folder.0.path()));
}

#[test]
fn a_list_keeps_its_order() {
    let folder = Folder::new([
        ("a.txt", "first"),
        ("b.txt", "second"),
        ("more/c.txt", "third"),
    ]);
    let paths = json!([
        folder.path("b.txt"),
        folder.path("more"),
        folder.path("a.txt")
    ]);
    let config = codex_plugin_api::serde_json::from_value(json!({ "path": paths })).unwrap();
    let dataset = FilesDataset::open(&config, &NoHost::shared()).unwrap();
    assert_eq!(texts(&dataset), ["second", "third", "first"]);
    same_in_any_chunking(&dataset);
}

#[test]
fn the_fingerprint_is_of_content_and_options_and_not_of_names() {
    let folder = Folder::new([
        ("a.txt", "one\n\ntwo"),
        ("b.txt", "one\n\ntwo"),
        ("c.txt", "one\n\ntwo."),
    ]);
    let fingerprint = |name: &str, more: Value| {
        open(&folder.path(name), more)
            .unwrap()
            .info()
            .unwrap()
            .fingerprint
    };
    let a = fingerprint("a.txt", json!({}));
    assert_eq!(a, fingerprint("b.txt", json!({})));
    assert_ne!(a, fingerprint("c.txt", json!({})));
    assert_ne!(a, fingerprint("a.txt", json!({ "document": "line" })));
    assert_eq!(a.len(), "files-".len() + 64);
}

#[test]
fn conforms() {
    let folder = Folder::new([
        ("a.txt", "one\n\ntwo\n\nthree\n".to_owned()),
        (
            "a.jsonl",
            "{\"text\": \"x\", \"n\": 1}\n{\"text\": null}\n".repeat(50),
        ),
        (
            "a.csv",
            format!("text,n,ok\n{}", "x,1.5,true\n,,\n".repeat(50)),
        ),
    ]);
    for name in ["a.txt", "a.jsonl", "a.csv"] {
        codex_plugin_api::testing::check_dataset::<FilesDataset>(
            json!({ "path": folder.path(name) }),
        );
    }
}
