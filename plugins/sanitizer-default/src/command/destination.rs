//! Clean copies. A file is written beside its place, flushed and renamed, so that it is there whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::time::SystemTime;

use codex_plugin_api::{Context, Error, Result};

use super::columns;
use super::piece::{Scanned, Splice};
use super::scanning::Scan;
use super::settings::{FileFormat, Place};
use super::sources::{Content, Source};

/// What became of a file's clean copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// Something was taken out.
    Changed,
    /// It is as it was.
    Same,
    /// It is not written, and why.
    Not(String),
}

/// Checks the place before anything is scanned.
///
/// # Errors
/// Config: the folder for copies has something in it.
pub(super) fn check(place: Option<&Place>) -> Result<()> {
    let Some(Place::Folder(folder)) = place else {
        return Ok(());
    };
    match fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(
                Error::config(format!("the folder {} is not empty", folder.display()))
                    .hint("give --output-dir a new folder: nothing is written over"),
            ),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => {
            Err(Error::config(format!("cannot write into {}", folder.display())).because(&error))
        }
    }
}

/// Writes what passes of a scanned file.
///
/// # Errors
/// When it cannot be read or written, with the path.
pub(super) fn write(
    source: &Source,
    scanned: &Scanned,
    place: &Place,
    scan: &Scan<'_>,
) -> Result<Written> {
    let Content::File(path) = &source.content else {
        return Ok(Written::Not("it is no file".to_owned()));
    };
    if columns::blocks(scanned) {
        return Ok(Written::Not("the policy blocks a finding in it".to_owned()));
    }
    if scanned.dropped {
        return Ok(Written::Not("the policy drops it".to_owned()));
    }
    let table = source.format == FileFormat::Parquet;
    let changes = if table {
        columns::changes(scanned)
    } else {
        !scanned.edits.is_empty()
    };
    let target = match place {
        Place::Folder(folder) => folder.join(&source.place),
        Place::Source if !changes => return Ok(Written::Same),
        Place::Source | Place::Output => path.clone(),
    };
    let failed = || Error::failed(format!("cannot write {}", target.display()));
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if matches!(place, Place::Folder(_)) {
        fs::create_dir_all(folder).or_error(failed)?;
    }
    // Readable by the user alone until it has the permissions of the file it stands for.
    let mut temporary = tempfile::Builder::new()
        .prefix(".sanitize-")
        .tempfile_in(folder)
        .or_error(failed)?;
    if table && changes {
        let output = temporary.reopen().or_error(failed)?;
        columns::write(path, &source.name, scan, output)?;
    } else {
        copy(path, &scanned.edits, temporary.as_file_mut()).or_error(failed)?;
    }
    let metadata = fs::metadata(path).or_error(failed)?;
    if stamp(&metadata) != source.stamp {
        return Ok(Written::Not("it changed while it was read".to_owned()));
    }
    let file = temporary.as_file();
    file.set_permissions(metadata.permissions())
        .and_then(|()| file.sync_all())
        .or_error(failed)?;
    match place {
        Place::Folder(_) => temporary.persist_noclobber(&target),
        Place::Source | Place::Output => temporary.persist(&target),
    }
    .or_error(failed)?;
    // The rename itself is on the disk once its folder is; not every system can flush one.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(if changes {
        Written::Changed
    } else {
        Written::Same
    })
}

/// What a file that nobody wrote to keeps.
pub(super) fn stamp(metadata: &fs::Metadata) -> Option<(u64, SystemTime)> {
    let modified = metadata.modified().ok()?;
    Some((metadata.len(), modified))
}

/// Copies a file with its splices, byte for byte elsewhere.
fn copy(path: &Path, edits: &[Splice], output: &mut File) -> io::Result<()> {
    let mut input = BufReader::new(File::open(path)?);
    let mut output = io::BufWriter::new(output);
    let mut at = 0;
    for (range, text) in edits {
        pass(&mut input, range.start - at, &mut output)?;
        pass(&mut input, range.end - range.start, &mut io::sink())?;
        output.write_all(text.as_bytes())?;
        at = range.end;
    }
    io::copy(&mut input, &mut output)?;
    output.flush()
}

fn pass(input: &mut impl Read, bytes: u64, output: &mut impl Write) -> io::Result<()> {
    let passed = io::copy(&mut input.by_ref().take(bytes), output)?;
    if passed < bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// Content that passes piece by piece as text. A splice may reach beyond its piece, and a piece may end within a character.
#[derive(Debug, Default)]
pub(super) struct Splicer {
    /// What of the content is done with.
    passed: u64,
    /// The beginning of a character.
    partial: Vec<u8>,
}

impl Splicer {
    /// What passes of the next bytes, which begin at `at`.
    pub(super) fn next(&mut self, bytes: &[u8], at: u64, edits: &[Splice]) -> String {
        let mut out = std::mem::take(&mut self.partial);
        if self.passed == 0 && at > 0 {
            // Only a byte order mark is left out of the first piece.
            out.extend("\u{feff}".bytes());
        }
        self.passed = self.passed.max(at);
        let end = at + bytes.len() as u64;
        let own = |from: u64, to: u64| &bytes[(from - at) as usize..(to - at) as usize];
        for (range, text) in edits {
            let start = range.start.min(end);
            if self.passed < start {
                out.extend_from_slice(own(self.passed, start));
            }
            out.extend_from_slice(text.as_bytes());
            self.passed = self.passed.max(range.end);
        }
        if self.passed < end {
            out.extend_from_slice(own(self.passed, end));
            self.passed = end;
        }
        let tail = out.utf8_chunks().last().map_or(0, |last| {
            let invalid = last.invalid();
            let whole = std::str::from_utf8(invalid).map_err(|error| error.error_len());
            if whole == Err(None) { invalid.len() } else { 0 }
        });
        self.partial = out.split_off(out.len() - tail);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// What is left at the end of the content.
    pub(super) fn rest(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.partial)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splices_and_characters_cross_the_borders_of_pieces() {
        let text = "\u{10d}ty\u{159}i joe@example.org \u{1f980} and more";
        let bytes = text.as_bytes();
        let at = text.find("joe").unwrap_or_default() as u64;
        let edit: Splice = (at..at + 15, "[E]".to_owned());
        let expected = text.replace("joe@example.org", "[E]");
        for size in 1..bytes.len() {
            let mut splicer = Splicer::default();
            let mut out = String::new();
            for (number, piece) in bytes.chunks(size).enumerate() {
                let from = (number * size) as u64;
                let own = from..from + piece.len() as u64;
                let edits: Vec<Splice> = own
                    .contains(&edit.0.start)
                    .then(|| edit.clone())
                    .into_iter()
                    .collect();
                out += &splicer.next(piece, from, &edits);
            }
            out += &splicer.rest();
            assert_eq!(out, expected, "pieces of {size}");
        }
    }

    #[test]
    fn what_is_no_utf8_passes_as_a_mark_and_a_byte_order_mark_stays() {
        let mut splicer = Splicer::default();
        let mut out = splicer.next(b"a\xffb\xf0\x9f", 3, &[]);
        out += &splicer.rest();
        assert_eq!(out, "\u{feff}a\u{fffd}b\u{fffd}");
    }
}
