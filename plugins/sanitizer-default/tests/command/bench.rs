//! A folder, a host that records, and values that no tool takes for live ones: they are put together here.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use codex_plugin_api::serde_json::{Map, Value, json};
use codex_plugin_api::testing::RecordingHost;
use codex_plugin_api::{Arguments, Command, Error, HostRef, LogLevel};
use codex_plugin_sanitizer_default::SanitizeCommand;

/// An access key of Amazon's form.
pub(crate) fn aws() -> String {
    ["AK", "IA", "Z2XK7QLM", "4RT5WN3P"].concat()
}

/// A token of GitHub's form.
pub(crate) fn github() -> String {
    ["gh", "p_", "Zk3vQ8mT1xR6bN9cY2wL", "5hF7jD4sG0pA3eUa"].concat()
}

pub(crate) const MAIL: &str = "joe.doe@mail.example.net";

/// What a call came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Result<i32, Error>,
    pub(crate) output: String,
    pub(crate) log: Vec<(LogLevel, String)>,
}

impl Ran {
    /// The exit code of a call that did not fail.
    pub(crate) fn code(&self) -> i32 {
        match &self.code {
            Ok(code) => *code,
            Err(error) => panic!("{error}\n{:?}", self.log),
        }
    }

    pub(crate) fn error(&self) -> &Error {
        match &self.code {
            Err(error) => error,
            Ok(code) => panic!("code {code}: {}", self.output),
        }
    }

    pub(crate) fn json(&self) -> Value {
        self.code();
        codex_plugin_api::serde_json::from_str(&self.output).unwrap()
    }

    /// Findings of a report in lines.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.code();
        let lines = self.output.lines();
        lines
            .map(|line| codex_plugin_api::serde_json::from_str(line).unwrap())
            .collect()
    }

    pub(crate) fn logged(&self, words: &str) -> bool {
        self.log.iter().any(|(_, line)| line.contains(words))
    }
}

pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The path as an argument.
    pub(crate) fn arg(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Every file below a folder, by its path from there.
    pub(crate) fn files(&self, name: &str) -> Vec<String> {
        fn list(root: &Path, folder: &Path, found: &mut Vec<String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    list(root, &path, found);
                } else {
                    let path = path.strip_prefix(root).unwrap();
                    found.push(path.to_str().unwrap().to_owned());
                }
            }
        }
        let mut found = Vec::new();
        let root = self.path(name);
        list(&root, &root, &mut found);
        found.sort();
        found
    }

    /// Runs the command on a path, with a key and a policy of its own unless the arguments bring others.
    pub(crate) fn run(&self, path: &str, arguments: Value) -> Ran {
        let mut all = json!({"path": [self.arg(path)]});
        merge(&mut all, arguments);
        self.run_with(all)
    }

    pub(crate) fn run_with(&self, arguments: Value) -> Ran {
        self.run_on(&Arc::new(RecordingHost::default()), arguments)
    }

    pub(crate) fn run_on(&self, host: &Arc<RecordingHost>, arguments: Value) -> Ran {
        self.write(".key", [7; 32]);
        self.write(".policy.yaml", "version: 1\n");
        let mut all = json!({"key": self.arg(".key"), "policy": self.arg(".policy.yaml")});
        merge(&mut all, arguments);
        let held: HostRef = Arc::clone(host) as HostRef;
        Ran {
            code: run(all, &held),
            output: host.output(),
            log: host.lines(),
        }
    }
}

pub(crate) fn run(arguments: Value, host: &HostRef) -> Result<i32, Error> {
    let map: Map<String, Value> = arguments.as_object().unwrap().clone();
    SanitizeCommand.run(&Arguments(map), host)
}

fn merge(all: &mut Value, more: Value) {
    for (name, value) in more.as_object().unwrap() {
        all[name] = value.clone();
    }
}
