//! Reads a package that nobody vouches for yet: bounded, and with every file held against the list that came first.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use codex_plugin_api::{Context, Error, Result};

use super::contents::{List, Listed, native_target};
use super::{Contents, LIST, Limits, MANIFEST};
use crate::digest::HashingReader;
use crate::entry::FileDigest;
use crate::native_library;

/// The largest window of the compression that a reader makes room for, as a power of two.
const WINDOW_LOG: u32 = 25;

/// Bytes of a tar block.
const BLOCK: u64 = 512;

/// Zeros that may stand after the last member: writers fill their last record.
const PADDING: u64 = 64 << 10;

/// A manifest is read into memory.
const MAX_MANIFEST: u64 = 1 << 20;

/// Checks a whole package and writes nothing. With `expected`, the archive must be exactly that one.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Data`] naming the archive, the member and what is wrong with it.
pub fn inspect(archive: &Path, expected: Option<&FileDigest>, limits: &Limits) -> Result<Contents> {
    read(archive, expected, limits, None)
}

/// Unpacks a package into an empty folder; every file is on disk when this returns. The digest is that of the bytes that
/// were unpacked, so nothing can be changed in between. After an error the folder holds whatever was written until then.
///
/// # Errors
/// Like [`inspect`]; [`codex_plugin_api::ErrorKind::Failed`] when a file cannot be written.
pub fn unpack(
    archive: &Path,
    expected: Option<&FileDigest>,
    into: &Path,
    limits: &Limits,
) -> Result<Contents> {
    read(archive, expected, limits, Some(into))
}

fn read(
    archive: &Path,
    expected: Option<&FileDigest>,
    limits: &Limits,
    into: Option<&Path>,
) -> Result<Contents> {
    let named = |error: Error| {
        let message = format!("package {}: {}", archive.display(), error.message());
        error.with_message(message)
    };
    let opened = File::open(archive).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (size, file) =
        opened.or_error(|| Error::data(format!("cannot read package {}", archive.display())))?;
    if size > limits.archive {
        return Err(named(Error::data(format!(
            "it has {size} bytes, and {} are allowed",
            limits.archive
        ))));
    }
    if let Some(expected) = expected
        && size != expected.size
    {
        return Err(named(other_bytes(expected, &format!("{size} bytes"))));
    }
    let mut source = BufReader::with_capacity(1 << 16, HashingReader::new(file.take(size)));
    let read = read_members(&mut source, size, limits, into);
    // Whatever went wrong inside, bytes that are not the signed ones are the reason to tell.
    let rest = io::copy(&mut source, &mut io::sink());
    let digest = source.into_inner().finish();
    if let Some(expected) = expected
        && digest != *expected
    {
        return Err(named(other_bytes(expected, &digest.sha256)));
    }
    let (files, manifest) = read.map_err(named)?;
    match rest {
        Ok(0) => Contents::new(digest, files, manifest).map_err(named),
        Ok(more) => Err(named(Error::data(format!(
            "{more} bytes follow the end of the archive"
        )))),
        Err(error) => Err(named(Error::failed("it cannot be read").because(&error))),
    }
}

fn other_bytes(expected: &FileDigest, found: &str) -> Error {
    Error::data(format!(
        "it is not the archive that was signed: expected {} bytes with SHA-256 {}, found {found}",
        expected.size, expected.sha256
    ))
    .hint("it was damaged or replaced on the way: fetch it again, and tell the registry if that does not help")
}

type Members = (BTreeMap<String, FileDigest>, Option<Vec<u8>>);

fn read_members(
    source: &mut impl io::BufRead,
    size: u64,
    limits: &Limits,
    into: Option<&Path>,
) -> Result<Members> {
    let bad = || Error::data("it is not an archive that codex-ml plugin pack wrote");
    let mut decoder = zstd::Decoder::with_buffer(source)
        .or_error(bad)?
        .single_frame();
    decoder.window_log_max(WINDOW_LOG).or_error(bad)?;
    // Nothing is ever taken beyond what the limits allow altogether, whatever the members say of themselves.
    let most = limits.unpacked + limits.list + (limits.files as u64 + 2) * 2 * BLOCK + PADDING;
    let mut archive = tar::Archive::new(decoder.take(most));
    let (mut files, mut manifest) = (BTreeMap::new(), None);
    {
        // Raw: extensions of the format, which change paths and sizes, are members of a type that is refused.
        let mut members = archive.entries().or_error(bad)?.raw(true);
        let list = match members.next() {
            Some(first) => read_list(first.or_error(bad)?, size, limits)?,
            None => return Err(bad()),
        };
        for listed in &list.files {
            let Some(member) = members.next() else {
                return Err(Error::data(format!(
                    "{:?} is listed and missing",
                    listed.path
                )));
            };
            let text = read_member(member.or_error(bad)?, listed, into)?;
            manifest = manifest.or(text);
            files.insert(listed.path.clone(), listed.digest());
        }
        if let Some(more) = members.next() {
            let path = more
                .map(|member| shown(&member.path_bytes()))
                .unwrap_or_default();
            return Err(Error::data(format!("member {path:?} is not in {LIST}")));
        }
    }
    only_zeros(&mut archive.into_inner().take(PADDING + 1))?;
    Ok((files, manifest))
}

fn read_list(mut member: tar::Entry<'_, impl Read>, archive: u64, limits: &Limits) -> Result<List> {
    let path = check_header(&member)?;
    if path != LIST {
        return Err(Error::data(format!(
            "it begins with {path:?} instead of {LIST}"
        )));
    }
    if member.size() > limits.list {
        return Err(Error::data(format!(
            "{LIST} has {} bytes, and {} are allowed",
            member.size(),
            limits.list
        )));
    }
    let mut bytes = Vec::new();
    member
        .read_to_end(&mut bytes)
        .or_error(|| Error::data(format!("{LIST} is cut off")))?;
    List::parse(&bytes, archive, limits)
}

/// Reads one member and holds it against the list; gives the bytes of the manifest.
fn read_member(
    member: tar::Entry<'_, impl Read>,
    listed: &Listed,
    into: Option<&Path>,
) -> Result<Option<Vec<u8>>> {
    let path = check_header(&member)?;
    if path != listed.path {
        return Err(Error::data(format!(
            "member {path:?} stands where {LIST} has {:?}",
            listed.path
        )));
    }
    if member.size() != listed.size {
        return Err(Error::data(format!(
            "{path:?} has {} bytes, and {} in {LIST}",
            member.size(),
            listed.size
        )));
    }
    let cut = || Error::data(format!("{path:?} is cut off"));
    let mut reader = HashingReader::new(Beginning::of(member));
    let mut text = None;
    if path == MANIFEST {
        if listed.size > MAX_MANIFEST {
            return Err(Error::data(format!(
                "{MANIFEST} has {} bytes, and {MAX_MANIFEST} are allowed",
                listed.size
            )));
        }
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).or_error(cut)?;
        if let Some(folder) = into {
            create(folder, &path, |file| file.write_all(&bytes))?;
        }
        text = Some(bytes);
    } else if let Some(folder) = into {
        create(folder, &path, |file| io::copy(&mut reader, file).map(drop))?;
    } else {
        io::copy(&mut reader, &mut io::sink()).or_error(cut)?;
    }
    let (digest, member) = reader.into_parts();
    if digest != listed.digest() {
        return Err(Error::data(format!(
            "{path:?} is not the file that {LIST} describes"
        )));
    }
    if let Some(target) = native_target(&path) {
        native_library::check(&member.bytes, target).map_err(|error| {
            let message = format!("{path:?}: {}", error.message());
            error.with_message(message)
        })?;
    }
    Ok(text)
}

/// Keeps the first bytes of what is read.
struct Beginning<R> {
    inner: R,
    bytes: Vec<u8>,
}

impl<R> Beginning<R> {
    fn of(inner: R) -> Self {
        Self {
            inner,
            bytes: Vec::new(),
        }
    }
}

impl<R: Read> Read for Beginning<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let wanted = (native_library::HEAD - self.bytes.len()).min(count);
        self.bytes.extend_from_slice(&buffer[..wanted]);
        Ok(count)
    }
}

/// The path of a member that is a regular file.
fn check_header(member: &tar::Entry<'_, impl Read>) -> Result<String> {
    let header = member.header();
    let path = shown(&member.path_bytes());
    if header.entry_type() != tar::EntryType::Regular {
        return Err(Error::data(format!(
            "member {path:?} is no regular file: {}",
            kind(header.entry_type())
        )));
    }
    if header.entry_size().ok() != Some(member.size()) {
        return Err(Error::data(format!(
            "member {path:?} does not say its size"
        )));
    }
    String::from_utf8(member.path_bytes().into_owned())
        .map_err(|_| Error::data(format!("member {path:?} has a path that is not UTF-8")))
}

fn kind(entry: tar::EntryType) -> String {
    match entry {
        tar::EntryType::Link => "a hard link".into(),
        tar::EntryType::Symlink => "a symbolic link".into(),
        tar::EntryType::Directory => "a folder".into(),
        tar::EntryType::Char | tar::EntryType::Block | tar::EntryType::Fifo => "a device".into(),
        other => format!("type {:?}", char::from(other.as_byte())),
    }
}

fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).chars().take(200).collect()
}

fn only_zeros(rest: &mut impl Read) -> Result<()> {
    let mut bytes = Vec::new();
    rest.read_to_end(&mut bytes)
        .or_error(|| Error::data("its end is damaged"))?;
    if bytes.len() as u64 > PADDING || bytes.iter().any(|byte| *byte != 0) {
        return Err(Error::data("something follows the last member"));
    }
    Ok(())
}

/// Creates a file at a path that was checked, in a folder that was empty; nothing is ever followed or replaced.
fn create(folder: &Path, path: &str, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
    let place = folder.join(path);
    let created = || {
        place.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        let mut file = File::create_new(&place)?;
        fill(&mut file)?;
        file.sync_all()
    };
    created().or_error(|| Error::failed(format!("cannot write {path:?}")))
}
