//! Other scanners over the same texts.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::corpus::Corpus;

/// Bytes that detect-secrets is given, which would need hours for all.
const LITTLE: usize = 1_000_000;
/// The kernel counts processor time in hundredths of a second.
const TICKS: f64 = 100.0;

/// Another scanner.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    program: PathBuf,
    arguments: &'static [&'static str],
    most: usize,
}

impl Peer {
    pub(crate) fn ripsecrets(program: PathBuf) -> Self {
        Self {
            name: "ripsecrets",
            program,
            arguments: &[],
            most: usize::MAX,
        }
    }

    /// Without asking the network whether what it found is valid.
    pub(crate) fn detect_secrets(program: PathBuf) -> Self {
        Self {
            name: "detect-secrets",
            program,
            arguments: &["scan", "--no-verify", "--all-files"],
            most: LITTLE,
        }
    }

    /// Megabytes in a second of processor time, start of the program included, and how many megabytes it was given.
    pub(crate) fn speed(&self, corpus: &Corpus) -> Result<(f64, f64), String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let file = folder.path().join(if corpus.name == "code" {
            "code.rs"
        } else {
            "prose.txt"
        });
        let length = corpus
            .text
            .floor_char_boundary(corpus.text.len().min(self.most));
        std::fs::write(&file, &corpus.text[..length]).map_err(|error| error.to_string())?;
        let before = children_time()?;
        self.run(folder.path(), &file)?;
        let megabytes = length as f64 / 1e6;
        Ok((megabytes / (children_time()? - before), megabytes))
    }

    fn run(&self, folder: &Path, file: &Path) -> Result<(), String> {
        let status = Command::new(&self.program)
            .args(self.arguments)
            .arg(file)
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(|error| format!("{}: {error}", self.program.display()))?;
        // Both end with 1 where they found something.
        match status.code() {
            Some(0 | 1) => Ok(()),
            _ => Err(format!("{} ended with {status}", self.program.display())),
        }
    }
}

/// Processor time in seconds of the children that ended.
fn children_time() -> Result<f64, String> {
    let stat = std::fs::read_to_string("/proc/self/stat")
        .map_err(|error| format!("/proc/self/stat: {error}"))?;
    // Behind the name, which may hold spaces, come the fields from the third on; the 16th and 17th are these.
    let fields: Vec<&str> = stat
        .rsplit(") ")
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect();
    let ticks = |field: usize| {
        fields
            .get(field - 3)
            .and_then(|text| text.parse::<f64>().ok())
    };
    let both = ticks(16).zip(ticks(17)).map(|(user, system)| user + system);
    both.map(|ticks| ticks / TICKS)
        .ok_or_else(|| "/proc/self/stat has no times of children".to_owned())
}
