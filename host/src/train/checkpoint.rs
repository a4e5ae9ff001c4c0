//! Checkpoints: everything that a run needs to go on as if it had not stopped, whole or not there, checked on the way in.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use codex_plugin_api::{Error, Model, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::durable::{Scratch, io_error, probe, remove_folder, write_file, written};
use crate::data::hex;

const STATE: &str = "state.json";
const MANIFEST: &str = "manifest.json";
const PREFIX: &str = "step-";
/// What begins the name of a checkpoint that a resumed run found bad.
const REJECTED: &str = ".rejected-";

/// What the loop does next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Next {
    /// Train a step.
    #[default]
    Step,
    /// Look whether the step that was trained asks for an evaluation or a checkpoint.
    Evaluation,
    /// Tell that this checkpoint is there.
    Announcement,
}

/// A named value; `None` stands for one that is not a number.
pub(super) type Scores = Vec<(String, Option<f64>)>;

/// A checkpoint with a low validation loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Best {
    pub(super) step: u64,
    pub(super) loss: f64,
    pub(super) scores: Scores,
}

/// Where a run stands, beside the model's own state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// The last step that was trained.
    pub(super) step: u64,
    /// Tokens seen so far.
    pub(super) tokens: u64,
    /// How long `events.ndjson` was.
    pub(super) events_bytes: u64,
    pub(super) next: Next,
    /// The best checkpoints, best first.
    pub(super) best: Vec<Best>,
    /// The lowest validation loss for early stopping, and how many evaluations ago it was.
    pub(super) lowest: Option<f64>,
    pub(super) evaluations_without_progress: u32,
    pub(super) stopped_early: bool,
    /// What the last evaluation found.
    pub(super) scores: Scores,
}

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    files: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    bytes: u64,
    sha256: String,
}

/// The folder's name of a step's checkpoint.
pub(super) fn name(step: u64) -> String {
    format!("{PREFIX}{step:08}")
}

/// Writes a checkpoint; those that are there stay untouched until it is whole.
pub(super) fn write(checkpoints: &Path, model: &dyn Model, state: &State) -> Result<()> {
    let scratch = Scratch::new(checkpoints, &name(state.step))?;
    let folder = scratch.path();
    written(model.export_state(&path_text(folder)?))?;
    probe();
    let json = serde_json::to_vec_pretty(state)
        .map_err(|error| Error::failed("cannot write down the run's state").because(&error))?;
    write_file(&folder.join(STATE), &json)?;
    let mut files = BTreeMap::new();
    describe(folder, "", &mut files)?;
    let manifest = Manifest { format: 1, files };
    let json = serde_json::to_vec_pretty(&manifest)
        .map_err(|error| Error::failed("cannot write down the manifest").because(&error))?;
    write_file(&folder.join(MANIFEST), &json)?;
    scratch.place(&checkpoints.join(name(state.step)))
}

/// Every checkpoint that is there, by step, oldest first.
pub(super) fn list(checkpoints: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let failed = |error: io::Error| io_error("read", checkpoints, &error);
    let mut found = Vec::new();
    for entry in fs::read_dir(checkpoints).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let step = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_prefix(PREFIX)?.parse().ok());
        if let Some(step) = step.filter(|_| path.is_dir()) {
            found.push((step, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Compares every file with the manifest and reads the state.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Data`] naming the file that is missing, truncated or changed, with both digests.
pub(super) fn verify(folder: &Path) -> Result<State> {
    let manifest: Manifest = read_json(&folder.join(MANIFEST))?;
    let mut found = BTreeMap::new();
    describe(folder, "", &mut found)?;
    found.remove(MANIFEST);
    for (file, expected) in &manifest.files {
        let path = folder.join(file);
        match found.get(file) {
            None => return Err(Error::data(format!("{} is missing", path.display()))),
            Some(found) if found.bytes != expected.bytes => {
                return Err(Error::data(format!(
                    "{} has {} bytes where {} were written (sha-256 {} instead of {})",
                    path.display(),
                    found.bytes,
                    expected.bytes,
                    found.sha256,
                    expected.sha256
                )));
            }
            Some(found) if found != expected => {
                return Err(Error::data(format!(
                    "{} is not what was written: sha-256 {} instead of {}",
                    path.display(),
                    found.sha256,
                    expected.sha256
                )));
            }
            Some(_) => {}
        }
    }
    if !manifest.files.contains_key(STATE) {
        return Err(Error::data(format!(
            "{} does not list {STATE}",
            folder.join(MANIFEST).display()
        )));
    }
    read_json(&folder.join(STATE))
}

/// Moves a checkpoint out of the way that must not be taken for one.
pub(super) fn reject(folder: &Path) -> Result<()> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let aside = folder.with_file_name(format!("{REJECTED}{name}"));
    remove_folder(&aside)?;
    fs::rename(folder, &aside).map_err(|error| io_error("rename", folder, &error))
}

/// Writes the names `last` and `best`, and removes what is neither among the `keep_last` newest nor among the best.
pub(super) fn publish(checkpoints: &Path, state: &State, keep_last: u32) -> Result<()> {
    write_file(
        &checkpoints.join("last"),
        format!("{}\n", name(state.step)).as_bytes(),
    )?;
    if let Some(best) = state.best.first() {
        write_file(
            &checkpoints.join("best"),
            format!("{}\n", name(best.step)).as_bytes(),
        )?;
    }
    let all = list(checkpoints)?;
    let old = all.len().saturating_sub(keep_last as usize);
    for (step, folder) in &all[..old] {
        if !state.best.iter().any(|best| best.step == *step) {
            remove_folder(folder)?;
        }
    }
    Ok(())
}

/// A path as plugins take it.
pub(super) fn path_text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Error::config(format!("the path {} is not UTF-8", path.display()))
            .hint("choose another run.dir")
    })
}

fn describe(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Entry>) -> Result<()> {
    let failed = |path: &Path, error: &io::Error| {
        let error = io_error("read", path, error);
        Error::data(error.message())
    };
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, &error))? {
        let path = entry.map_err(|error| failed(folder, &error))?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{prefix}{file}");
        if path.is_dir() {
            describe(&path, &format!("{name}/"), files)?;
        } else {
            let entry = digest(&path).map_err(|error| failed(&path, &error))?;
            files.insert(name, entry);
        }
    }
    Ok(())
}

/// SHA-256 of a file, in hexadecimal.
pub(super) fn sha256(path: &Path) -> io::Result<String> {
    digest(path).map(|entry| entry.sha256)
}

fn digest(path: &Path) -> io::Result<Entry> {
    let mut file = File::open(path)?;
    let (mut sha, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        sha.update(&buffer[..read]);
    }
    Ok(Entry {
        bytes,
        sha256: hex(&sha.finalize()),
    })
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T> {
    let text = fs::read(path)
        .map_err(|error| Error::data(format!("cannot read {}: {error}", path.display())))?;
    serde_json::from_slice(&text)
        .map_err(|error| Error::data(format!("{} is damaged: {error}", path.display())))
}
