//! Whether a native library is one for the target that it is said to be for. Decided by the first bytes of the file, which
//! the system's own loader reads: everything else that a library says of itself is its author's word.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use codex_plugin_api::{Context, Error, Result};
use object::{BinaryFormat, Endianness, FileKind, elf, macho, pe};

/// As many bytes of a file's beginning are enough: only the DOS stub of Windows' libraries stands before the header.
pub const HEAD: usize = 4096;

const HINT: &str = "build it for that target, or name the target that it was built for";

/// The format of a target's libraries and the number of its processor in their header, as far as they are known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    format: BinaryFormat,
    machine: Option<u32>,
}

/// Holds the first bytes of a library, [`HEAD`] of them where there are as many, against a target triple. A triple of a
/// system that is not known here is taken at its word: no host that is known runs it.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Data`] with what the library is and what it should be.
pub fn check(head: &[u8], target: &str) -> Result<()> {
    let Some(format) = format_of(target) else {
        return Ok(());
    };
    let expected = Header {
        format,
        machine: machine_of(target, format),
    };
    let Some(found) = read(head) else {
        return Err(Error::data(format!("it is no library for {target}")).hint(HINT));
    };
    let same_machine = found.machine.is_some()
        && (expected.machine.is_none() || expected.machine == found.machine);
    if expected.format == found.format && same_machine {
        return Ok(());
    }
    Err(Error::data(format!(
        "it is a library for {}, not for {target}",
        words(found)
    ))
    .hint(HINT))
}

/// As [`check`], for a file.
///
/// # Errors
/// As [`check`]; [`codex_plugin_api::ErrorKind::Failed`] when the file cannot be read.
pub fn check_file(file: &Path, target: &str) -> Result<()> {
    let mut head = Vec::with_capacity(HEAD);
    File::open(file)
        .and_then(|opened| opened.take(HEAD as u64).read_to_end(&mut head))
        .or_error(|| Error::failed(format!("cannot read {}", file.display())))?;
    check(&head, target)
}

/// The format of a system's libraries, by the words of a triple.
fn format_of(target: &str) -> Option<BinaryFormat> {
    let has = |words: &[&str]| words.iter().any(|word| target.contains(word));
    if has(&["-windows"]) {
        Some(BinaryFormat::Pe)
    } else if has(&["-apple-"]) {
        Some(BinaryFormat::MachO)
    } else if has(&[
        "-linux", "-android", "bsd", "-illumos", "-solaris", "-fuchsia",
    ]) {
        Some(BinaryFormat::Elf)
    } else {
        None
    }
}

/// The number of a triple's processor in the header of a format.
fn machine_of(target: &str, format: BinaryFormat) -> Option<u32> {
    let processor = target.split('-').next().unwrap_or_default();
    let (elf, macho, pe) = match processor {
        "x86_64" | "x86_64h" => (
            elf::EM_X86_64,
            Some(macho::CPU_TYPE_X86_64),
            Some(pe::IMAGE_FILE_MACHINE_AMD64),
        ),
        "aarch64" | "arm64" | "arm64e" | "aarch64_be" => (
            elf::EM_AARCH64,
            Some(macho::CPU_TYPE_ARM64),
            Some(pe::IMAGE_FILE_MACHINE_ARM64),
        ),
        "i386" | "i586" | "i686" => (
            elf::EM_386,
            Some(macho::CPU_TYPE_X86),
            Some(pe::IMAGE_FILE_MACHINE_I386),
        ),
        "powerpc64" | "powerpc64le" => (elf::EM_PPC64, None, None),
        "powerpc" => (elf::EM_PPC, None, None),
        "s390x" => (elf::EM_S390, None, None),
        "loongarch64" => (elf::EM_LOONGARCH, None, None),
        other if other.starts_with("riscv") => (elf::EM_RISCV, None, None),
        other if other.starts_with("arm") || other.starts_with("thumb") => (
            elf::EM_ARM,
            Some(macho::CPU_TYPE_ARM),
            Some(pe::IMAGE_FILE_MACHINE_ARMNT),
        ),
        _ => return None,
    };
    match format {
        BinaryFormat::MachO => macho.map(|machine| machine.0),
        BinaryFormat::Pe => pe.map(|machine| u32::from(machine.0)),
        _ => Some(u32::from(elf.0)),
    }
}

/// What the header of a library says.
fn read(head: &[u8]) -> Option<Header> {
    let (format, machine) = match FileKind::parse(head).ok()? {
        FileKind::Elf32 => (
            BinaryFormat::Elf,
            elf_machine::<elf::FileHeader32<Endianness>>(head),
        ),
        FileKind::Elf64 => (
            BinaryFormat::Elf,
            elf_machine::<elf::FileHeader64<Endianness>>(head),
        ),
        FileKind::MachO32 => (
            BinaryFormat::MachO,
            macho_machine::<macho::MachHeader32<Endianness>>(head),
        ),
        FileKind::MachO64 => (
            BinaryFormat::MachO,
            macho_machine::<macho::MachHeader64<Endianness>>(head),
        ),
        FileKind::Pe32 | FileKind::Pe64 => (BinaryFormat::Pe, pe_machine(head)),
        // Universal libraries too: which of their processors is meant is not ours to say.
        _ => return None,
    };
    Some(Header { format, machine })
}

fn elf_machine<'data, H>(head: &'data [u8]) -> Option<u32>
where
    H: object::read::elf::FileHeader<Endian = Endianness> + 'data,
{
    let header = H::parse(head).ok()?;
    Some(u32::from(header.e_machine(header.endian().ok()?).0))
}

fn macho_machine<'data, H>(head: &'data [u8]) -> Option<u32>
where
    H: object::read::macho::MachHeader<Endian = Endianness> + 'data,
{
    let header = H::parse(head, 0).ok()?;
    Some(header.cputype(header.endian().ok()?).0)
}

/// The machine stands right behind the signature of the header that the DOS header points to.
fn pe_machine(head: &[u8]) -> Option<u32> {
    let at = pe::ImageDosHeader::parse(head).ok()?.nt_headers_offset() as usize + 4;
    let bytes = head.get(at..at.checked_add(2)?)?;
    Some(u32::from(u16::from_le_bytes([bytes[0], bytes[1]])))
}

/// A header in words (`linux aarch64`), a processor that is not known here by its number.
fn words(header: Header) -> String {
    let system = match header.format {
        BinaryFormat::MachO => "macos",
        BinaryFormat::Pe => "windows",
        _ => "linux",
    };
    let known = [
        "x86_64",
        "aarch64",
        "i686",
        "arm",
        "riscv64gc",
        "powerpc64",
        "powerpc",
        "s390x",
        "loongarch64",
    ];
    let processor = known
        .into_iter()
        .find(|name| header.machine.is_some() && machine_of(name, header.format) == header.machine);
    match (processor, header.machine) {
        (Some(name), _) => format!("{system} {}", name.trim_end_matches("gc")),
        (None, Some(number)) => format!("{system} and processor {number:#x}"),
        (None, None) => format!("{system} with a damaged header"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
