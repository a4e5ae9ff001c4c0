//! A bench for one test: an empty home, cache and working folder, and the built binary to run there.
//! Shared by the end-to-end tests and the benchmark programs.
#![allow(clippy::unwrap_used, reason = "a test harness")]
#![allow(
    clippy::return_self_not_must_use,
    reason = "assertions in a chain end anywhere"
)]

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_path_buf()
}

/// The folder with the built host and first-party plugins; builds them on the first call.
pub fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        cargo(&["build", "--release", "--locked", "--workspace"], &root());
        target().join("release")
    })
}

/// The folder with the plugins of the workspace `tests/fixtures/<workspace>`; builds them on the first call.
pub fn fixtures(workspace: &str) -> PathBuf {
    static LOCK: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let guard = LOCK.lock();
    let out = target().join("fixtures");
    let folder = root().join("tests/fixtures").join(workspace);
    cargo(
        &[
            "build",
            "--release",
            "--locked",
            "--workspace",
            "--target-dir",
            out.to_str().unwrap(),
        ],
        &folder,
    );
    drop(guard);
    out.join("release")
}

/// A dynamic library's file name on this system.
pub fn library(name: &str) -> String {
    format!(
        "{}{}{}",
        std::env::consts::DLL_PREFIX,
        name.replace('-', "_"),
        std::env::consts::DLL_SUFFIX
    )
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Runs cargo and panics with its output when it fails.
pub fn cargo(arguments: &[&str], folder: &Path) {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "cargo {arguments:?} in {} failed:\n{text}",
        folder.display()
    );
}

/// An empty home, cache and working folder.
pub struct Bench {
    folder: tempdir::Folder,
}

mod tempdir {
    //! A temporary folder that goes when it is dropped.
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    pub(super) struct Folder(pub(super) PathBuf);

    impl Folder {
        pub(super) fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let name = format!(
                "codex-ml-test-{}-{}",
                std::process::id(),
                NEXT.fetch_add(1, Ordering::Relaxed)
            );
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&path).unwrap();
            Self(path.canonicalize().unwrap())
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

impl Bench {
    /// A new, empty bench.
    pub fn new() -> Self {
        let folder = tempdir::Folder::new();
        for name in ["home", "data", "cache", "work"] {
            fs::create_dir(folder.0.join(name)).unwrap();
        }
        Self { folder }
    }

    /// The working folder.
    pub fn work(&self) -> PathBuf {
        self.folder.0.join("work")
    }

    /// The folder that holds what the user installed.
    pub fn data(&self) -> PathBuf {
        self.folder.0.join("data")
    }

    /// Writes a file below the working folder; gives its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Reads a file below the working folder.
    pub fn read(&self, name: impl AsRef<Path>) -> String {
        let path = self.work().join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The binary, ready to run here.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command =
            Command::new(built().join(format!("codex-ml{}", std::env::consts::EXE_SUFFIX)));
        self.prepare(&mut command);
        command.args(arguments);
        command
    }

    /// Points a command at this bench.
    pub fn prepare(&self, command: &mut Command) {
        command
            .current_dir(self.work())
            .env("HOME", self.folder.0.join("home"))
            .env("CODEX_ML_DATA_DIR", self.data())
            .env("CODEX_ML_CACHE_DIR", self.folder.0.join("cache"))
            .env_remove("CODEX_ML_PLUGIN_PATH")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
    }

    /// Runs the binary to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::new(arguments, self.command(arguments).output().unwrap())
    }

    /// Runs the binary with something on standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut command = self.command(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A binary that refuses before it reads closes the pipe; that is its right.
        let _ = child.stdin.take().unwrap().write_all(input);
        Ran::new(arguments, child.wait_with_output().unwrap())
    }

    /// Starts the binary and returns at once.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// What a run of the binary left.
#[derive(Debug)]
pub struct Ran {
    /// The arguments, for messages.
    pub arguments: String,
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// What a finished process left.
    pub fn new<S: AsRef<OsStr>>(arguments: &[S], output: Output) -> Self {
        let words: Vec<_> = arguments
            .iter()
            .map(|word| word.as_ref().to_string_lossy())
            .collect();
        Self {
            arguments: words.join(" "),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asserts the exit code 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.code(0)
    }

    /// Asserts an exit code.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "codex-ml {}\n--- stdout\n{}\n--- stderr\n{}",
            self.arguments,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Asserts a failure: exit code, one `error:` line with all of `words`, and a `hint:` line.
    #[track_caller]
    pub fn fails(self, code: i32, words: &[&str]) -> Self {
        let ran = self.code(code);
        let error: Vec<&str> = ran
            .stderr
            .lines()
            .filter(|line| line.starts_with("error: "))
            .collect();
        assert_eq!(
            error.len(),
            1,
            "one error line is due: codex-ml {}\n{}",
            ran.arguments,
            ran.stderr
        );
        for word in words {
            assert!(
                error[0].contains(word),
                "{:?} lacks {word:?}: codex-ml {}",
                error[0],
                ran.arguments
            );
        }
        assert!(
            ran.stderr.contains("\nhint: "),
            "there is no hint: codex-ml {}\n{}",
            ran.arguments,
            ran.stderr
        );
        assert!(!ran.stderr.contains("panicked at"), "{}", ran.stderr);
        ran
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!(
                "codex-ml {} gave no JSON ({error}):\n{}",
                self.arguments, self.stdout
            )
        })
    }

    /// Asserts that standard output holds every word.
    #[track_caller]
    pub fn shows(self, words: &[&str]) -> Self {
        for word in words {
            assert!(
                self.stdout.contains(word),
                "codex-ml {} lacks {word:?}:\n{}",
                self.arguments,
                self.stdout
            );
        }
        self
    }

    /// Asserts that standard error holds every word.
    #[track_caller]
    pub fn tells(self, words: &[&str]) -> Self {
        for word in words {
            assert!(
                self.stderr.contains(word),
                "codex-ml {} lacks {word:?}:\n{}",
                self.arguments,
                self.stderr
            );
        }
        self
    }
}
