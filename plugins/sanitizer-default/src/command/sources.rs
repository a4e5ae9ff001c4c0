//! What is to be scanned: files, the files below folders, standard input, what git has staged.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use codex_plugin_api::{Error, HostRef, Result};
use codex_redaction::{Delimiter, Format};
use ignore::WalkBuilder;

use super::destination::stamp;
use super::settings::{FileFormat, Place, Settings};
use super::staged;

/// Where content comes from.
#[derive(Clone, Debug)]
pub(super) enum Content {
    File(PathBuf),
    Input,
    /// An object of git's, by its name.
    Blob(String),
}

/// One thing to scan.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) content: Content,
    /// How reports call it.
    pub(super) name: String,
    /// Its place below the folder of clean copies.
    pub(super) place: PathBuf,
    /// In bytes, where known.
    pub(super) size: u64,
    /// By which a file that was changed since is known.
    pub(super) stamp: Option<(u64, SystemTime)>,
    pub(super) format: FileFormat,
}

/// Everything to scan, and what was left out on the way.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) list: Vec<Source>,
    /// Links within folders: what they lead to may be anywhere.
    pub(super) links: u64,
    /// What could not be listed, with the reason.
    pub(super) unreadable: Vec<(String, String)>,
}

impl Source {
    pub(super) fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match &self.content {
            Content::File(path) => Box::new(File::open(path)?),
            Content::Input => Box::new(io::stdin()),
            Content::Blob(name) => Box::new(staged::open(name)?),
        })
    }

    /// As a file that can be read anywhere; what comes in a stream is put into one that has no name.
    pub(super) fn open_whole(&self) -> io::Result<File> {
        if let Content::File(path) = &self.content {
            return File::open(path);
        }
        let mut file = tempfile::tempfile()?;
        io::copy(&mut self.open()?, &mut file)?;
        Ok(file)
    }
}

/// Finds everything that the settings name.
///
/// # Errors
/// A path that does not exist, and whatever makes the list useless.
pub(super) fn find(settings: &Settings, host: &HostRef) -> Result<Sources> {
    let mut sources = Sources::default();
    if settings.staged {
        sources.list = staged::list(&settings.paths, settings.format)?;
        without_baselines(&mut sources, settings);
        return Ok(sources);
    }
    for given in &settings.paths {
        if given == "-" {
            sources.list.push(Source {
                content: Content::Input,
                name: "-".to_owned(),
                place: PathBuf::new(),
                size: 0,
                stamp: None,
                format: settings.format.unwrap_or(FileFormat::Text(Format::Plain)),
            });
            continue;
        }
        add(&mut sources, Path::new(given), settings, host)?;
    }
    without_baselines(&mut sources, settings);
    twice(&mut sources, settings)?;
    Ok(sources)
}

/// A baseline's salt and HMACs look like secrets, and are there to be read.
fn without_baselines(sources: &mut Sources, settings: &Settings) {
    for path in [&settings.baseline, &settings.write_baseline]
        .into_iter()
        .flatten()
    {
        let (name, whole) = (name_of(path), fs::canonicalize(path).ok());
        sources.list.retain(|source| {
            let same = match &source.content {
                Content::File(file) => whole.is_some() && fs::canonicalize(file).ok() == whole,
                Content::Input | Content::Blob(_) => source.name == name,
            };
            !same
        });
    }
}

fn add(sources: &mut Sources, given: &Path, settings: &Settings, host: &HostRef) -> Result<()> {
    let metadata = fs::metadata(given).map_err(|error| {
        let shown = super::shown(&given.display().to_string());
        Error::config(format!("cannot read {shown}"))
            .because(&error)
            .hint("give files, folders, or - for standard input")
    })?;
    if metadata.is_dir() {
        return walk(sources, given, settings, host);
    }
    if !metadata.is_file() {
        return Err(Error::config(format!(
            "{} is neither a file nor a folder",
            given.display()
        ))
        .hint("pipe it: codex-ml sanitize - < …"));
    }
    let link = fs::symlink_metadata(given).is_ok_and(|own| own.is_symlink());
    if link && settings.redact == Some(Place::Source) {
        return Err(Error::config(format!("{} is a link", given.display()))
            .hint("--in-place changes files; give the file it leads to"));
    }
    let place = given.file_name().map(PathBuf::from).unwrap_or_default();
    sources
        .list
        .push(file(given.to_owned(), place, Some(&metadata), settings));
    Ok(())
}

fn walk(sources: &mut Sources, root: &Path, settings: &Settings, host: &HostRef) -> Result<()> {
    let looked = !settings.no_ignore;
    let mut walk = WalkBuilder::new(root);
    walk.hidden(!settings.hidden)
        .parents(looked)
        .ignore(looked)
        .git_ignore(looked)
        .git_global(looked)
        .git_exclude(looked)
        // Ignore files hold in folders that are no repository, too: copies of one, and data beside them.
        .require_git(false)
        .follow_links(false)
        .sort_by_file_name(std::ffi::OsStr::cmp);
    let clean = match &settings.redact {
        Some(Place::Folder(folder)) => fs::canonicalize(folder).ok(),
        _ => None,
    };
    walk.filter_entry(move |entry| {
        let copies = clean.as_ref().is_some_and(|clean| {
            entry.file_type().is_some_and(|kind| kind.is_dir())
                && fs::canonicalize(entry.path()).is_ok_and(|path| path == *clean)
        });
        entry.file_name() != ".git" && !copies
    });
    let base = root
        .components()
        .next_back()
        .and_then(|last| match last {
            Component::Normal(name) => Some(PathBuf::from(name)),
            _ => None,
        })
        .unwrap_or_default();
    for entry in walk.build() {
        if host.interrupted() {
            return Err(Error::interrupted());
        }
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let told = super::shown(&error.to_string());
                sources.unreadable.push((name_of(root), told));
                continue;
            }
        };
        let Some(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_symlink() {
            sources.links += 1;
        } else if kind.is_file() {
            let below = entry.path().strip_prefix(root).unwrap_or(entry.path());
            let place = base.join(below);
            let metadata = entry.metadata().ok();
            let path = entry.into_path();
            sources
                .list
                .push(file(path, place, metadata.as_ref(), settings));
        }
    }
    Ok(())
}

fn file(
    path: PathBuf,
    place: PathBuf,
    metadata: Option<&fs::Metadata>,
    settings: &Settings,
) -> Source {
    Source {
        name: name_of(&path),
        format: settings.format.unwrap_or_else(|| format_of(&path)),
        content: Content::File(path),
        place,
        size: metadata.map_or(0, fs::Metadata::len),
        stamp: metadata.and_then(stamp),
    }
}

/// A path as reports and baselines know it, on every system and however it was given.
fn name_of(path: &Path) -> String {
    // A leading `./` says nothing.
    let parts = path.components();
    let rest: PathBuf = parts
        .skip_while(|part| *part == Component::CurDir)
        .collect();
    let name = rest.to_string_lossy();
    if cfg!(windows) {
        name.replace('\\', "/")
    } else {
        name.into_owned()
    }
}

/// The format that a file's name promises.
pub(super) fn format_of(path: &Path) -> FileFormat {
    let extension = path.extension().and_then(|extension| extension.to_str());
    FileFormat::Text(match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("json" | "ipynb" | "webmanifest" | "geojson") => Format::Json,
        Some("ndjson" | "jsonl") => Format::Ndjson,
        Some("csv") => Format::Csv {
            delimiter: Delimiter::Comma,
        },
        Some("tsv") => Format::Csv {
            delimiter: Delimiter::Tab,
        },
        Some("parquet") => return FileFormat::Parquet,
        _ => Format::Plain,
    })
}

/// A file that was given twice is scanned once; two files with one place for their copies are an error.
fn twice(sources: &mut Sources, settings: &Settings) -> Result<()> {
    let mut names = std::collections::HashSet::new();
    sources
        .list
        .retain(|source| names.insert(source.name.clone()));
    if !matches!(settings.redact, Some(Place::Folder(_))) {
        return Ok(());
    }
    let mut places = std::collections::HashMap::new();
    for source in &sources.list {
        if let Some(other) = places.insert(&source.place, &source.name) {
            return Err(Error::config(format!(
                "{other} and {} have one place below --output-dir, {}",
                source.name,
                source.place.display()
            ))
            .hint("give the folder that holds both, or redact them in two calls"));
        }
    }
    Ok(())
}
