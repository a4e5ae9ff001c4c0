//! From the configured paths to a list of files and their formats. Opens nothing; reading is the formats' work.

use std::fs;
use std::path::{Path, PathBuf};

use codex_plugin_api::{Context, Error, Result};

use crate::config::{Config, Format};

/// A file to read, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// Never [`Format::Auto`].
    pub format: Format,
    /// Whether the user named the file itself, so that skipping it would be a surprise.
    pub named: bool,
}

/// Lists the files of `config.path`, folders in the order of their file names.
///
/// # Errors
/// Data: a path that does not exist, a folder without usable files, or files of different formats.
pub fn files(config: &Config) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for path in config.path.iter() {
        let path = Path::new(path);
        let metadata = fs::metadata(path).map_err(|cause| missing(path, &cause))?;
        if metadata.is_dir() {
            let mut paths = Vec::new();
            walk(path, &mut paths)?;
            let before = found.len();
            found.extend(paths.into_iter().filter_map(|path| {
                let format = by_extension(&path);
                let wanted = match config.format {
                    Format::Auto => true,
                    wanted => format == wanted,
                };
                wanted.then_some(Found {
                    path,
                    format,
                    named: false,
                })
            }));
            if found.len() == before {
                let what = match config.format {
                    Format::Auto => "file that is not hidden".to_owned(),
                    format => format!("{} file", format.word()),
                };
                return Err(
                    Error::data(format!("folder {} holds no {what}", path.display()))
                        .hint("put files there, or point data.path at a file"),
                );
            }
        } else {
            let format = match config.format {
                Format::Auto => by_extension(path),
                format => format,
            };
            found.push(Found {
                path: path.to_owned(),
                format,
                named: true,
            });
        }
    }
    if found.is_empty() {
        return Err(Error::config("path is an empty list")
            .hint("name at least one file or folder in data.path"));
    }
    let first = &found[0];
    if let Some(other) = found.iter().find(|file| file.format != first.format) {
        return Err(Error::data(format!(
            "files of different formats: {} is {}, {} is {}",
            first.path.display(),
            first.format.word(),
            other.path.display(),
            other.format.word()
        ))
        .hint(format!(
            "set data.format to {} or {} to take one kind",
            first.format.word(),
            other.format.word()
        )));
    }
    Ok(found)
}

fn by_extension(path: &Path) -> Format {
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or("")
        .to_ascii_lowercase();
    match extension.as_str() {
        "jsonl" | "ndjson" | "json" => Format::Jsonl,
        "csv" | "tsv" => Format::Csv,
        "parquet" | "pq" => Format::Parquet,
        _ => Format::Text,
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let unreadable = || Error::data(format!("cannot list folder {}", folder.display()));
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).or_error(unreadable)? {
        let entry = entry.or_error(unreadable)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            entries.push(entry);
        }
    }
    // By name, so that every machine and file system gives the same rows.
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().or_error(unreadable)?;
        if kind.is_dir() {
            walk(&entry.path(), files)?;
        } else if kind.is_file() || (kind.is_symlink() && entry.path().is_file()) {
            // A link to a folder is not followed: it could lead back here.
            files.push(entry.path());
        }
    }
    Ok(())
}

fn missing(path: &Path, cause: &std::io::Error) -> Error {
    if cause.kind() != std::io::ErrorKind::NotFound {
        return crate::handle::unreadable(path, cause);
    }
    let error = Error::data(format!("no file or folder {}", path.display()));
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let Ok(entries) = fs::read_dir(folder) else {
        let there = folder
            .ancestors()
            .find(|folder| folder.is_dir())
            .unwrap_or(Path::new("."));
        return error.hint(format!(
            "folder {} does not exist; {} does",
            folder.display(),
            there.display()
        ));
    };
    let mut similar: Vec<(f64, String)> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .map(|other| (strsim::jaro_winkler(&name, &other.to_lowercase()), other))
        .filter(|(likeness, _)| *likeness > 0.8)
        .collect();
    similar.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let names: Vec<String> = similar
        .into_iter()
        .take(3)
        .map(|(_, other)| folder.join(other).display().to_string())
        .collect();
    if names.is_empty() {
        error.hint(format!(
            "folder {} has nothing of a similar name",
            folder.display()
        ))
    } else {
        error.hint(format!("did you mean {}?", names.join(" or ")))
    }
}
