//! Looks into a library file without running it: format, processor, and the section that the plugin macro writes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use object::read::{ReadCache, ReadRef};
use object::{Architecture, BinaryFormat, FileKind, Object, ObjectKind, ObjectSection};

/// No stamp is larger; a section that claims more is not read.
const MAX_SECTION: u64 = 4 << 20;

/// What a library says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObjectFile {
    /// Its container format, which tells the system it is for.
    pub(super) format: BinaryFormat,
    /// The processor it is for.
    pub(super) architecture: Architecture,
    /// The bytes of the first of the sections that was asked for.
    pub(super) section: Option<Vec<u8>>,
}

/// Reads headers and one section; `Err` is the reason in one line.
pub(super) fn read(path: &Path, sections: &[&str]) -> Result<ObjectFile, String> {
    let mut file = File::open(path).map_err(|error| format!("the file cannot be read: {error}"))?;
    let length = file
        .metadata()
        .map_err(|error| format!("the file cannot be read: {error}"))?
        .len();
    let mut head = Vec::new();
    file.by_ref()
        .take(512)
        .read_to_end(&mut head)
        .map_err(|error| format!("the file cannot be read: {error}"))?;
    parse(&ReadCache::new(file), &head, length, sections)
}

fn parse<'data>(
    data: impl ReadRef<'data>,
    head: &[u8],
    length: u64,
    sections: &[&str],
) -> Result<ObjectFile, String> {
    if head.is_empty() {
        return Err("the file is empty".into());
    }
    match FileKind::parse(head) {
        Ok(FileKind::MachOFat32 | FileKind::MachOFat64) => {
            return Err(
                "it is a universal library; cut out one processor's with `lipo -thin`".into(),
            );
        }
        Ok(_) => {}
        // What cannot be text may still be a whole library of a kind that nobody here knows.
        Err(_) if is_text(head) => return Err("it is a text file, not a library".into()),
        Err(_) => return Err("it is not a library of any known format".into()),
    }
    let damaged = |error: object::Error| format!("the library is damaged or truncated: {error}");
    let file = object::File::parse(data).map_err(damaged)?;
    if file.kind() != ObjectKind::Dynamic {
        return Err(format!("it is no shared library but {:?}", file.kind()).to_lowercase());
    }
    let mut found = None;
    for section in file.sections() {
        if let Some((start, size)) = section.file_range()
            && start.checked_add(size).is_none_or(|end| end > length)
        {
            let name = section.name().unwrap_or("unnamed");
            return Err(format!(
                "the library is truncated: section {name} ends beyond its {length} bytes"
            ));
        }
        if found.is_none() && section.name().is_ok_and(|name| sections.contains(&name)) {
            if section.size() > MAX_SECTION {
                return Err(format!("its stamp claims {} bytes", section.size()));
            }
            found = Some(section.data().map_err(damaged)?.to_vec());
        }
    }
    Ok(ObjectFile {
        format: file.format(),
        architecture: file.architecture(),
        section: found,
    })
}

fn is_text(head: &[u8]) -> bool {
    let valid = match std::str::from_utf8(head) {
        Ok(_) => head.len(),
        Err(error) => error.valid_up_to(),
    };
    // The last character may have been cut in two.
    valid + 4 > head.len() && !head.contains(&0)
}

/// The container format of this system's libraries.
pub(super) const fn native_format() -> BinaryFormat {
    if cfg!(windows) {
        BinaryFormat::Pe
    } else if cfg!(target_vendor = "apple") {
        BinaryFormat::MachO
    } else {
        BinaryFormat::Elf
    }
}

/// This processor, where it is one that can be compared.
pub(super) fn native_architecture() -> Option<Architecture> {
    Some(match std::env::consts::ARCH {
        "x86_64" => Architecture::X86_64,
        "aarch64" => Architecture::Aarch64,
        "x86" => Architecture::I386,
        "arm" => Architecture::Arm,
        "riscv64" => Architecture::Riscv64,
        "powerpc64" => Architecture::PowerPc64,
        "s390x" => Architecture::S390x,
        "loongarch64" => Architecture::LoongArch64,
        _ => return None,
    })
}

/// The system and processor of a library in words (`windows x86_64`).
pub(super) fn target_words(format: BinaryFormat, architecture: Architecture) -> String {
    let system = match format {
        BinaryFormat::Elf => "linux",
        BinaryFormat::MachO => "macos",
        BinaryFormat::Pe | BinaryFormat::Coff => "windows",
        BinaryFormat::Wasm => "webassembly",
        _ => "an unknown system",
    };
    format!("{system} {}", format!("{architecture:?}").to_lowercase())
}
