//! Rows as NumPy's `.npy`, version 1.0: 32-bit floats in little-endian order, row after row. The header names the number
//! of rows, which is known at the end; so it is written with room for any number, and once more when all rows are there.
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>

use std::io::{self, Seek, SeekFrom, Write};

use codex_plugin_api::Result;

use super::super::output_file::{OutputFile, write_error};
use super::{Rows, Sink};

/// Magic, version, length and dictionary together; a multiple of 64, so that the numbers are aligned.
const HEADER_BYTES: usize = 128;

/// Magic, version and length.
const BEFORE_DICTIONARY: usize = 10;

/// A file of rows.
pub(super) struct NpyFile {
    file: OutputFile,
    rows: u64,
    dimensions: usize,
}

impl NpyFile {
    pub(super) fn new(file: OutputFile, dimensions: usize) -> Result<Self> {
        let mut npy = Self {
            file,
            rows: 0,
            dimensions,
        };
        npy.checked(|file| file.file.write_all(&header(0, dimensions)))?;
        Ok(npy)
    }

    fn checked(&mut self, write: impl FnOnce(&mut Self) -> io::Result<()>) -> Result<()> {
        write(self).map_err(|error| write_error(self.file.path(), &error))
    }
}

impl Sink for NpyFile {
    fn write(&mut self, rows: &Rows<'_>) -> Result<()> {
        let bytes: Vec<u8> = rows
            .values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.checked(|npy| npy.file.write_all(&bytes))?;
        self.rows += rows.len() as u64;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        let header = header(self.rows, self.dimensions);
        self.checked(|npy| {
            npy.file.seek(SeekFrom::Start(0))?;
            npy.file.write_all(&header)
        })?;
        self.file.place()
    }
}

fn header(rows: u64, dimensions: usize) -> Vec<u8> {
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    let dictionary = (HEADER_BYTES - BEFORE_DICTIONARY) as u16;
    header.extend(dictionary.to_le_bytes());
    let shape =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {dimensions}), }}");
    header.extend(shape.bytes());
    header.resize(HEADER_BYTES - 1, b' ');
    header.push(b'\n');
    header
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_header_has_room_for_any_shape() {
        for (rows, dimensions) in [(0, 1), (3, 384), (u64::MAX, usize::MAX)] {
            let header = header(rows, dimensions);
            assert_eq!(header.len(), 128);
            let text = String::from_utf8_lossy(&header);
            let shape = format!("'shape': ({rows}, {dimensions}), }}");
            assert!(text.contains(&shape) && text.ends_with('\n'), "{text}");
        }
    }

    #[test]
    fn rows_follow_the_header_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.npy");
        let mut sink = Box::new(NpyFile::new(OutputFile::create(&path).unwrap(), 2).unwrap());
        for (first, values) in [(0, &[1.0, 2.0, 3.0, 4.0][..]), (2, &[5.0, -6.0])] {
            let rows = Rows {
                first,
                dimensions: 2,
                values,
                texts: None,
            };
            sink.write(&rows).unwrap();
        }
        sink.finish().unwrap();
        let bytes = fs::read(&path).unwrap();
        let (head, numbers) = bytes.split_at(128);
        assert_eq!(head, header(3, 2));
        let numbers: Vec<f32> = numbers
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
            .collect();
        assert_eq!(numbers, [1.0, 2.0, 3.0, 4.0, 5.0, -6.0]);
    }
}
