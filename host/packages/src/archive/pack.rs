//! Writes a package: the same bytes for the same input.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use codex_plugin_api::{Context, Error, Result};

use super::contents::{List, Listed};
use super::{Content, Contents, FORMAT, LIST, Limits, Member, inspect};
use crate::digest::HashingReader;
use crate::entry::FileDigest;

/// Part of the format: another level would make other bytes. High enough for a library to be a third of its size, low
/// enough for 20 MB to take a second or two.
const LEVEL: i32 = 12;

/// What was written.
#[derive(Clone, Debug)]
pub struct Packed {
    /// What a reader will find.
    pub contents: Contents,
}

/// Packs files into `to`, which is replaced at once or not at all. The package is read again before it gets its name, so
/// what nobody could unpack is not written.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Data`] when a reader would refuse the package, [`codex_plugin_api::ErrorKind::Failed`]
/// when a file cannot be read or written.
pub fn pack(members: &[Member], to: &Path) -> Result<Packed> {
    let mut sorted = BTreeMap::new();
    for member in members {
        if sorted
            .insert(member.path.as_str(), &member.content)
            .is_some()
        {
            return Err(Error::data(format!(
                "path {:?} is there twice",
                member.path
            )));
        }
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let failed = || Error::failed(format!("cannot write {}", to.display()));
    let mut file = tempfile::NamedTempFile::new_in(folder).or_error(failed)?;
    write(&sorted, file.as_file_mut())
        .map_err(|error| error.context(failed().message().to_owned()))?;
    let contents = inspect(file.path(), None, &Limits::default())?;
    readable_by_others(file.as_file()).or_error(failed)?;
    file.as_file().sync_all().or_error(failed)?;
    file.persist(to).or_error(failed)?;
    Ok(Packed { contents })
}

fn write(members: &BTreeMap<&str, &Content>, file: &mut File) -> Result<()> {
    let mut listed = Vec::with_capacity(members.len());
    for (path, content) in members {
        let digest = match content {
            Content::Bytes(bytes) => FileDigest::of(bytes),
            Content::File(file) => FileDigest::of_file(file)?,
        };
        listed.push(Listed {
            path: (*path).to_owned(),
            size: digest.size,
            sha256: digest.sha256,
        });
    }
    let list = List {
        format: FORMAT,
        files: listed,
    };
    let text =
        serde_json::to_vec(&list).or_error(|| Error::failed(format!("cannot write {LIST}")))?;
    let io = |what: &str| Error::failed(format!("cannot pack {what}"));
    let mut encoder = zstd::Encoder::new(BufWriter::new(file), LEVEL).or_error(|| io(LIST))?;
    encoder.include_checksum(true).or_error(|| io(LIST))?;
    let mut tar = tar::Builder::new(encoder);
    append(&mut tar, LIST, text.len() as u64, text.as_slice()).or_error(|| io(LIST))?;
    for (file, content) in list.files.iter().zip(members.values()) {
        let written = match content {
            Content::Bytes(bytes) => append(&mut tar, &file.path, file.size, bytes.as_slice()),
            Content::File(source) => File::open(source)
                .and_then(|source| append(&mut tar, &file.path, file.size, source)),
        };
        let digest = written.or_error(|| io(&file.path))?;
        if digest != file.digest() {
            return Err(io(&file.path).hint("it changed while it was read: try again"));
        }
    }
    let finished = || tar.into_inner()?.finish()?.into_inner()?.flush();
    finished().or_error(|| io(LIST))
}

/// Adds a member without anything that depends on the machine.
fn append(
    tar: &mut tar::Builder<impl Write>,
    path: &str,
    size: u64,
    content: impl Read,
) -> io::Result<FileDigest> {
    let mut header = tar::Header::new_ustar();
    header.set_path(path)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    let mut reader = HashingReader::new(content.take(size));
    tar.append(&header, &mut reader)?;
    Ok(reader.finish())
}

/// Temporary files are their owner's only; a package is made to be given away.
fn readable_by_others(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}
