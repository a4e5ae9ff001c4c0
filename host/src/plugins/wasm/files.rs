//! Folders of tokenizers and models, which cross the border as lists of files: a guest sees no path.

use std::fs;
use std::path::Path;

use codex_plugin_api::{Context, Error, Result};
use serde_json::Value;

use super::bindings::codex::plugin::types;

/// Files that a guest may give or get at once.
const MOST: usize = 1000;

/// The files directly in the folder that a configuration's `path` names; none without one.
pub(super) fn of_config(config: &Value) -> Result<Vec<types::File>> {
    match config.get("path").and_then(Value::as_str) {
        Some(path) => read(path),
        None => Ok(Vec::new()),
    }
}

/// The files directly in a folder.
pub(super) fn read(folder: &str) -> Result<Vec<types::File>> {
    let failed = || Error::data(format!("cannot read folder {folder}"));
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).or_error(failed)? {
        let path = entry.or_error(failed)?.path();
        let (Some(name), true) = (
            path.file_name().and_then(|name| name.to_str()),
            path.is_file(),
        ) else {
            continue;
        };
        if files.len() == MOST {
            return Err(Error::data(format!(
                "folder {folder} holds more than {MOST} files"
            )));
        }
        let content =
            fs::read(&path).or_error(|| Error::data(format!("cannot read {}", path.display())))?;
        files.push(types::File {
            name: name.to_owned(),
            content,
        });
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// Writes what a guest gave into an existing folder, and nowhere else.
pub(super) fn write(folder: &str, files: &[types::File]) -> Result<()> {
    if files.len() > MOST {
        return Err(Error::data(format!(
            "{} files came, more than {MOST}",
            files.len()
        )));
    }
    for (index, file) in files.iter().enumerate() {
        if !is_plain(&file.name) {
            return Err(Error::data(format!(
                "{:?} is no plain name of a file",
                file.name
            )));
        }
        if files[..index]
            .iter()
            .any(|other| other.name.eq_ignore_ascii_case(&file.name))
        {
            return Err(Error::data(format!("file {:?} came twice", file.name)));
        }
        let path = Path::new(folder).join(&file.name);
        fs::write(&path, &file.content)
            .or_error(|| Error::failed(format!("cannot write {}", path.display())))?;
    }
    Ok(())
}

/// A name that leads nowhere else on any system.
fn is_plain(name: &str) -> bool {
    let character = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=100).contains(&name.len()) && !name.starts_with('.') && name.chars().all(character)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn file(name: &str) -> types::File {
        types::File {
            name: name.into(),
            content: name.into(),
        }
    }

    #[test]
    fn files_come_back_as_they_were_written_and_names_cannot_climb() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        write(path, &[file("b.bin"), file("a.json")]).unwrap();
        let names: Vec<String> = read(path)
            .unwrap()
            .into_iter()
            .map(|file| file.name)
            .collect();
        assert_eq!(names, ["a.json", "b.bin"]);
        for bad in ["../up", "/etc/passwd", "", ".hidden", "a/b", "a\\b", "c:d"] {
            let error = write(path, &[file(bad)]).unwrap_err();
            assert!(error.message().contains("no plain name"), "{error}");
        }
        let error = write(path, &[file("x"), file("X")]).unwrap_err();
        assert!(error.message().contains("twice"), "{error}");
    }
}
