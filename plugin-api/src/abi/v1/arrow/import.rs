//! A batch read from anyone's Arrow C stream, whatever its chunks, offsets and widths.
//!
//! Every length is checked against what the stream itself says. What cannot be checked (that a buffer is as long as its
//! array claims) is the specification's promise, as with every Arrow consumer.

use std::ffi::{CStr, c_char, c_void};

use super::{ArrowArray, ArrowArrayStream, ArrowSchema};
use crate::abi::v1::error::broken;
use crate::{Batch, Column, Error, FieldType, Result, TextBuffer, Values};

/// How a column's values lie in its buffers.
#[derive(Clone, Copy, PartialEq)]
enum Layout {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    F32,
    F64,
    Bool,
    /// Variable length with 32-bit offsets; whether it is text.
    Narrow(bool),
    /// Variable length with 64-bit offsets; whether it is text.
    Wide(bool),
}

impl Layout {
    fn of(format: &str) -> Option<Self> {
        Some(match format {
            "c" => Self::I8,
            "C" => Self::U8,
            "s" => Self::I16,
            "S" => Self::U16,
            "i" => Self::I32,
            "I" => Self::U32,
            "l" => Self::I64,
            "f" => Self::F32,
            "g" => Self::F64,
            "b" => Self::Bool,
            "u" => Self::Narrow(true),
            "z" => Self::Narrow(false),
            "U" => Self::Wide(true),
            "Z" => Self::Wide(false),
            _ => return None,
        })
    }

    fn field_type(self) -> FieldType {
        match self {
            Self::F32 => FieldType::F32,
            Self::F64 => FieldType::F64,
            Self::Bool => FieldType::Bool,
            Self::Narrow(true) | Self::Wide(true) => FieldType::Text,
            Self::Narrow(false) | Self::Wide(false) => FieldType::Bytes,
            _ => FieldType::I64,
        }
    }
}

/// A column while its chunks arrive.
struct Growing {
    name: String,
    layout: Layout,
    valid: Vec<bool>,
    any_null: bool,
    /// For texts and bytes.
    bytes: Vec<u8>,
    offsets: Vec<u64>,
    /// For the rest.
    values: Values,
}

/// Some rows of one column's buffers.
struct Rows<'a> {
    array: &'a ArrowArray,
    /// First row, the offsets of array and parent added.
    first: usize,
    count: usize,
    column: &'a str,
}

impl ArrowArrayStream {
    /// Reads all chunks into one batch and releases the stream.
    ///
    /// # Errors
    /// The stream's own error, or what about it is not readable, naming the column.
    pub fn import(mut self) -> Result<Batch> {
        let mut columns = self.columns()?;
        let mut rows = 0;
        while let Some(chunk) = self.next_chunk()? {
            rows += append(&mut columns, &chunk)?;
        }
        let batch = Batch::new(
            columns
                .into_iter()
                .map(Growing::finish)
                .collect::<Result<_>>()?,
        )
        .map_err(|why| broken(why.message()))?;
        if batch.columns().is_empty() && rows > 0 {
            return Err(broken(format!("{rows} rows without a column")));
        }
        Ok(batch)
    }

    fn columns(&mut self) -> Result<Vec<Growing>> {
        let get_schema = self
            .get_schema
            .filter(|_| self.release.is_some())
            .ok_or_else(|| broken("an Arrow stream that was already released"))?;
        let mut schema = ArrowSchema::empty();
        // SAFETY: the stream is live, and the schema is ours to be filled in.
        let code = unsafe { get_schema(self, &raw mut schema) };
        self.check(code)?;
        if c_text(schema.format) != "+s" {
            let format = c_text(schema.format);
            return Err(broken(format!(
                "an Arrow stream of {format:?}, not of rows"
            )));
        }
        // SAFETY: by the specification `children` points to `n_children` schemas.
        let children = unsafe { pointers(schema.children, schema.n_children) }?;
        children.iter().map(|child| Growing::new(child)).collect()
    }

    fn next_chunk(&mut self) -> Result<Option<ArrowArray>> {
        let get_next = self
            .get_next
            .ok_or_else(|| broken("an Arrow stream that cannot be read"))?;
        let mut chunk = ArrowArray::empty();
        // SAFETY: the stream is live, and the array is ours to be filled in.
        let code = unsafe { get_next(self, &raw mut chunk) };
        self.check(code)?;
        Ok(chunk.release.is_some().then_some(chunk))
    }

    fn check(&mut self, code: i32) -> Result<()> {
        if code == 0 {
            return Ok(());
        }
        let text = self.get_last_error.map_or_else(String::new, |get| {
            // SAFETY: the stream is live; the text lives until its next call.
            c_text(unsafe { get(self) })
        });
        Err(broken(format!(
            "an Arrow stream that failed with code {code}: {text}"
        )))
    }
}

/// The text of a C string that lives at least as long as the struct it was found in; empty for null.
fn c_text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: by the specification a string that is not null ends with a zero.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

/// A list of pointers, none of them null, as references.
///
/// # Safety
/// `list` points to `count` valid pointers that live as long as `'a`.
unsafe fn pointers<'a, T>(list: *mut *mut T, count: i64) -> Result<Vec<&'a T>> {
    let count = length(count, "children")?;
    if count > 0 && list.is_null() {
        return Err(broken("an Arrow struct without its children"));
    }
    (0..count)
        .map(|index| {
            // SAFETY: the caller promises the list and what it points to.
            unsafe { (*list.add(index)).as_ref() }
                .ok_or_else(|| broken("an Arrow struct with a missing child"))
        })
        .collect()
}

fn length(number: i64, what: &str) -> Result<usize> {
    usize::try_from(number).map_err(|_| broken(format!("an Arrow struct with {number} {what}")))
}

/// Adds one chunk to the columns; gives its rows.
fn append(columns: &mut [Growing], chunk: &ArrowArray) -> Result<usize> {
    let (rows, first) = (
        length(chunk.length, "rows")?,
        length(chunk.offset, "as offset")?,
    );
    // SAFETY: by the specification `children` points to `n_children` arrays.
    let children = unsafe { pointers(chunk.children, chunk.n_children) }?;
    if children.len() != columns.len() {
        return Err(broken(format!(
            "{} columns in a chunk of a stream with {}",
            children.len(),
            columns.len()
        )));
    }
    let whole = Rows {
        array: chunk,
        first,
        count: rows,
        column: "the rows",
    };
    if whole
        .validity()?
        .is_some_and(|valid| valid.contains(&false))
    {
        return Err(broken("rows that are null as a whole"));
    }
    for (column, array) in columns.iter_mut().zip(children) {
        let name = column.name.clone();
        let end = first.checked_add(rows);
        if end.is_none_or(|end| end > length(array.length, "rows").unwrap_or(0)) {
            return Err(broken(format!(
                "column {name:?} with {} rows where {rows} from {first} are due",
                array.length
            )));
        }
        if !array.dictionary.is_null() {
            return Err(unreadable(&name, "dictionary"));
        }
        let offset = length(array.offset, "as offset")?;
        column.append(&Rows {
            array,
            first: offset
                .checked_add(first)
                .ok_or_else(|| broken(format!("column {name:?} with offset {offset}")))?,
            count: rows,
            column: &name,
        })?;
    }
    Ok(rows)
}

fn unreadable(column: &str, format: &str) -> Error {
    broken(format!(
        "column {column:?} in the Arrow format {format:?}, which is not read here"
    ))
    .hint("columns are text, bytes, integers up to 64 bits, floats or booleans; cast it first")
}

impl Growing {
    fn new(schema: &ArrowSchema) -> Result<Self> {
        let (name, format) = (c_text(schema.name), c_text(schema.format));
        if !schema.dictionary.is_null() {
            return Err(unreadable(&name, "dictionary"));
        }
        let layout = Layout::of(&format).ok_or_else(|| unreadable(&name, &format))?;
        let values = match layout.field_type() {
            FieldType::F32 => Values::F32(Vec::new()),
            FieldType::F64 => Values::F64(Vec::new()),
            FieldType::Bool => Values::Bool(Vec::new()),
            _ => Values::I64(Vec::new()),
        };
        Ok(Self {
            name,
            layout,
            valid: Vec::new(),
            any_null: false,
            bytes: Vec::new(),
            offsets: vec![0],
            values,
        })
    }

    fn append(&mut self, rows: &Rows<'_>) -> Result<()> {
        let validity = rows.validity()?;
        let is_null = |index: usize| validity.as_ref().is_some_and(|valid| !valid[index]);
        match (&mut self.values, self.layout) {
            (_, Layout::Narrow(_)) => {
                let offsets = rows.numbers::<i32>(1, rows.count + 1)?;
                self.append_bytes(rows, &offsets, is_null)?;
            }
            (_, Layout::Wide(_)) => {
                let offsets = rows.numbers::<i64>(1, rows.count + 1)?;
                self.append_bytes(rows, &offsets, is_null)?;
            }
            (Values::F32(all), _) => extend(all, rows.numbers::<f32>(1, rows.count)?, is_null),
            (Values::F64(all), _) => extend(all, rows.numbers::<f64>(1, rows.count)?, is_null),
            (Values::Bool(all), _) => extend(all, rows.bits(1)?, is_null),
            (Values::I64(all), Layout::I64) => {
                extend(all, rows.numbers::<i64>(1, rows.count)?, is_null);
            }
            (Values::I64(all), Layout::I8) => {
                extend(all, rows.numbers::<i8>(1, rows.count)?, is_null);
            }
            (Values::I64(all), Layout::U8) => {
                extend(all, rows.numbers::<u8>(1, rows.count)?, is_null);
            }
            (Values::I64(all), Layout::I16) => {
                extend(all, rows.numbers::<i16>(1, rows.count)?, is_null);
            }
            (Values::I64(all), Layout::U16) => {
                extend(all, rows.numbers::<u16>(1, rows.count)?, is_null);
            }
            (Values::I64(all), Layout::U32) => {
                extend(all, rows.numbers::<u32>(1, rows.count)?, is_null);
            }
            (Values::I64(all), _) => extend(all, rows.numbers::<i32>(1, rows.count)?, is_null),
            (Values::Text(_) | Values::Bytes(..), _) => {
                return Err(broken(format!("column {:?} twice over", self.name)));
            }
        }
        match validity {
            Some(valid) => {
                self.any_null |= valid.contains(&false);
                self.valid.extend(valid);
            }
            None => self.valid.resize(self.valid.len() + rows.count, true),
        }
        Ok(())
    }

    fn append_bytes<O: Copy + TryInto<usize> + std::fmt::Display>(
        &mut self,
        rows: &Rows<'_>,
        offsets: &[O],
        is_null: impl Fn(usize) -> bool,
    ) -> Result<()> {
        let wrong = |offset: O| {
            broken(format!(
                "column {:?} with offset {offset} out of order",
                rows.column
            ))
        };
        let mut ends = Vec::with_capacity(offsets.len());
        for &offset in offsets {
            let end: usize = offset.try_into().map_err(|_| wrong(offset))?;
            if ends.last().is_some_and(|&last| last > end) {
                return Err(wrong(offset));
            }
            ends.push(end);
        }
        let (Some(&first), Some(&last)) = (ends.first(), ends.last()) else {
            return Ok(());
        };
        let bytes = rows.slice::<u8>(2, first, last - first)?;
        self.offsets.reserve(rows.count);
        let no_null = !(0..rows.count).any(&is_null);
        let base = self.bytes.len();
        if no_null {
            self.bytes.extend_from_slice(bytes);
            self.offsets
                .extend(ends[1..].iter().map(|end| (base + end - first) as u64));
            return Ok(());
        }
        for (index, pair) in ends.windows(2).enumerate() {
            if !is_null(index) {
                self.bytes
                    .extend_from_slice(&bytes[pair[0] - first..pair[1] - first]);
            }
            self.offsets.push(self.bytes.len() as u64);
        }
        Ok(())
    }

    fn finish(self) -> Result<Column> {
        let values = match self.layout.field_type() {
            FieldType::Text => TextBuffer::from_parts(self.bytes, self.offsets)
                .map(Values::Text)
                .map_err(|why| broken(format!("column {:?}: {why}", self.name)))?,
            FieldType::Bytes => Values::Bytes(self.bytes, self.offsets),
            _ => self.values,
        };
        Ok(Column {
            name: self.name,
            values,
            validity: self.any_null.then_some(self.valid),
        })
    }
}

/// Adds numbers, zero where they are null.
fn extend<S, T: From<S> + Default>(
    all: &mut Vec<T>,
    numbers: Vec<S>,
    is_null: impl Fn(usize) -> bool,
) {
    all.extend(numbers.into_iter().enumerate().map(|(index, number)| {
        if is_null(index) {
            T::default()
        } else {
            T::from(number)
        }
    }));
}

/// Types whose every bit pattern is a value, so that they can be read from any buffer that is long enough.
trait Plain: Copy + Default {}
impl Plain for u8 {}
impl Plain for i8 {}
impl Plain for u16 {}
impl Plain for i16 {}
impl Plain for u32 {}
impl Plain for i32 {}
impl Plain for i64 {}
impl Plain for f32 {}
impl Plain for f64 {}

impl<'a> Rows<'a> {
    fn buffer(&self, index: usize) -> Result<*const c_void> {
        if index >= length(self.array.n_buffers, "buffers")? || self.array.buffers.is_null() {
            return Err(broken(format!(
                "column {:?} without buffer {index}",
                self.column
            )));
        }
        // SAFETY: by the specification `buffers` points to `n_buffers` pointers.
        Ok(unsafe { *self.array.buffers.add(index) })
    }

    /// `count` values of a buffer from the rows' first on, copied: the source need not be aligned.
    fn numbers<T: Plain>(&self, index: usize, count: usize) -> Result<Vec<T>> {
        let mut numbers = vec![T::default(); count];
        if self.count == 0 {
            // The specification lets an array without rows have no offsets at all.
            return Ok(numbers);
        }
        let bytes = count * size_of::<T>();
        let source = self.slice::<u8>(index, self.first * size_of::<T>(), bytes)?;
        // SAFETY: both are `bytes` long, and the type is made of any bits.
        unsafe {
            std::ptr::copy_nonoverlapping(source.as_ptr(), numbers.as_mut_ptr().cast(), bytes);
        }
        Ok(numbers)
    }

    fn bits(&self, index: usize) -> Result<Vec<bool>> {
        if self.count == 0 {
            return Ok(Vec::new());
        }
        let first = self.first / 8;
        let last = (self.first + self.count - 1) / 8;
        let bytes = self.slice::<u8>(index, first, last - first + 1)?;
        Ok((self.first..self.first + self.count)
            .map(|bit| bytes[bit / 8 - first] >> (bit % 8) & 1 == 1)
            .collect())
    }

    /// Bytes of a buffer. `T` is a single byte, so nothing is ever misaligned.
    fn slice<T: Plain>(&self, index: usize, start: usize, count: usize) -> Result<&'a [T]> {
        const { assert!(size_of::<T>() == 1) }
        if count == 0 {
            return Ok(&[]);
        }
        let buffer = self.buffer(index)?;
        if buffer.is_null() {
            return Err(broken(format!(
                "column {:?} with {} rows and no buffer {index}",
                self.column, self.count
            )));
        }
        // SAFETY: by the specification the buffer is long enough for offset, length and offsets that the array states,
        // and lives as long as the array.
        Ok(unsafe { std::slice::from_raw_parts(buffer.cast::<T>().add(start), count) })
    }

    fn validity(&self) -> Result<Option<Vec<bool>>> {
        if self.array.null_count == 0 || self.count == 0 || self.buffer(0)?.is_null() {
            return Ok(None);
        }
        self.bits(0).map(Some)
    }
}
