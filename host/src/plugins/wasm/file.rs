//! What a built plugin says of itself, read without compiling it: its manifest in a custom section, the interfaces that
//! it exports and imports.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use wasmparser::{Encoding, Parser, Payload};

/// The custom section that holds the text of `plugin.toml`.
pub(in crate::plugins) const SECTION: &str = "codex-plugin";

/// No plugin is larger; a Python guest has some 20 MB.
const MOST: u64 = 512 << 20;
/// No manifest is larger.
const MOST_MANIFEST: usize = 1 << 20;

/// A component as its file describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::plugins) struct ComponentFile {
    /// The text of its manifest, where it has one.
    pub(in crate::plugins) manifest: Option<String>,
    /// The names of what it exports and imports.
    pub(in crate::plugins) exports: Vec<String>,
    pub(in crate::plugins) imports: Vec<String>,
}

/// Whether a file begins like a module or component.
pub(in crate::plugins) fn is_wasm(head: &[u8]) -> bool {
    head.starts_with(b"\0asm")
}

/// The bytes of a file; `Err` is the reason in one line.
pub(in crate::plugins) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("the file cannot be read: {error}");
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if length > MOST {
        return Err(format!("it has {length} bytes, more than {MOST}"));
    }
    let mut bytes = Vec::with_capacity(length as usize);
    file.take(MOST).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// What a file of these bytes says of itself; `Err` is the reason in one line why it is no plugin.
pub(in crate::plugins) fn parse(bytes: &[u8]) -> Result<ComponentFile, String> {
    if bytes.is_empty() {
        return Err("the file is empty".into());
    }
    if !is_wasm(bytes) {
        return Err("it is no WebAssembly file".into());
    }
    let damaged = |error: wasmparser::BinaryReaderError| {
        format!("the component is damaged or truncated: {}", error.message())
    };
    let mut found = ComponentFile::default();
    let mut parser = Parser::new(0);
    let mut at = 0;
    loop {
        let (consumed, payload) = match parser.parse(&bytes[at..], true).map_err(damaged)? {
            wasmparser::Chunk::Parsed { consumed, payload } => (consumed, payload),
            wasmparser::Chunk::NeedMoreData(_) => return Err("the component is truncated".into()),
        };
        at += consumed;
        match payload {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } => {
                return Err(
                    "it is a module, not a component; build it with codex-ml plugin build".into(),
                );
            }
            // What lies inside is the compiler's affair.
            Payload::ModuleSection {
                unchecked_range, ..
            }
            | Payload::ComponentSection {
                unchecked_range, ..
            } => {
                if unchecked_range.end > bytes.len() {
                    return Err("the component is truncated".into());
                }
                at = unchecked_range.end;
            }
            Payload::CustomSection(section) if section.name() == SECTION => {
                if found.manifest.is_some() {
                    return Err("it holds two manifests".into());
                }
                if section.data().len() > MOST_MANIFEST {
                    return Err(format!(
                        "its manifest claims {} bytes",
                        section.data().len()
                    ));
                }
                let text = std::str::from_utf8(section.data())
                    .map_err(|_| "its manifest is not UTF-8".to_owned())?;
                found.manifest = Some(text.to_owned());
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    found
                        .imports
                        .push(import.map_err(damaged)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    found
                        .exports
                        .push(export.map_err(damaged)?.name.name.to_owned());
                }
            }
            Payload::End(_) => return Ok(found),
            _ => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";

    fn custom(name: &str, content: &[u8]) -> Vec<u8> {
        let size = 1 + name.len() + content.len();
        let mut bytes = vec![
            0,
            (size & 127) as u8 | 128,
            (size >> 7) as u8,
            name.len() as u8,
        ];
        bytes.extend(name.as_bytes());
        bytes.extend(content);
        bytes
    }

    #[test]
    fn the_outermost_manifest_counts_and_nested_ones_do_not() {
        let module = [b"\0asm\x01\0\0\0".to_vec(), custom(SECTION, b"inner")].concat();
        let mut bytes = HEADER.to_vec();
        bytes.extend([1, module.len() as u8]);
        bytes.extend(&module);
        bytes.extend(custom(SECTION, b"outer"));
        let found = parse(&bytes).unwrap();
        assert_eq!(found.manifest.as_deref(), Some("outer"));
    }

    #[test]
    fn what_is_no_component_is_refused_with_its_reason() {
        let two = [HEADER, &custom(SECTION, b"a"), &custom(SECTION, b"b")].concat();
        let bad_text = [HEADER, &custom(SECTION, &[0xff])].concat();
        for (bytes, word) in [
            (&b""[..], "empty"),
            (b"hello", "no WebAssembly"),
            (b"\0asm\x01\0\0\0", "a module, not a component"),
            (b"\0asm\x0d\0", "truncated"),
            (b"\0asm\x63\0\x01\0", "damaged or truncated"),
            (&[HEADER, &[1, 100, 0]].concat(), "truncated"),
            (
                &[HEADER, &[0, 0xff, 0xff, 0xff, 0xff, 0x0f]].concat(),
                "truncated",
            ),
            (&two, "two manifests"),
            (&bad_text, "not UTF-8"),
        ] {
            let error = parse(bytes).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
