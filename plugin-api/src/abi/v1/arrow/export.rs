//! A batch given away as an Arrow C stream of one chunk. The buffers move; nothing but booleans is rewritten.

use std::ffi::{CString, c_char, c_int, c_void};

use super::{ArrowArray, ArrowArrayStream, ArrowSchema, NULLABLE};
use crate::abi::v1::guard::guarded;
use crate::{Batch, Column, FieldType, Values};

/// What the stream owns until it is released.
struct StreamOwner {
    fields: Vec<(String, FieldType)>,
    /// The rows and their number, until they were given away.
    rest: Option<(Vec<Column>, usize)>,
}

/// What a schema owns: its strings, its children (as boxes) and the list of pointers to them.
struct SchemaOwner {
    strings: [CString; 2],
    children: Vec<*mut ArrowSchema>,
}

/// What an array owns: the memory that its buffers point into, and its children as in [`SchemaOwner`].
struct ArrayOwner {
    _values: Option<Values>,
    _bitmaps: Vec<Vec<u8>>,
    buffers: Vec<*const c_void>,
    children: Vec<*mut ArrowArray>,
}

impl ArrowArrayStream {
    /// Gives a batch away.
    pub fn export(batch: Batch) -> Self {
        let fields = batch
            .columns()
            .iter()
            .map(|column| (column.name.clone(), column.values.field_type()))
            .collect();
        let rows = batch.rows();
        let owner = StreamOwner {
            fields,
            rest: Some((batch.into_columns(), rows)),
        };
        Self {
            get_schema: Some(get_schema),
            get_next: Some(get_next),
            get_last_error: Some(get_last_error),
            release: Some(release_stream),
            private_data: Box::into_raw(Box::new(owner)).cast(),
        }
    }
}

// SAFETY of the callbacks: the specification promises that `stream` (`schema`, `array`) is one that this file filled in
// and that was not released, that `out` may be written, and that no two threads call at once.

unsafe extern "C" fn get_schema(stream: *mut ArrowArrayStream, out: *mut ArrowSchema) -> c_int {
    let made = guarded(|| {
        // SAFETY: see above.
        let owner = unsafe { &*(*stream).private_data.cast::<StreamOwner>() };
        let children = owner
            .fields
            .iter()
            .map(|(name, field_type)| schema(format_of(*field_type), name, NULLABLE, Vec::new()))
            .collect();
        Ok(schema("+s", "", 0, children))
    });
    // SAFETY: see above; `out` is not initialised, so it is overwritten without a drop.
    made.map_or(FAILED, |schema| unsafe {
        out.write(schema);
        0
    })
}

unsafe extern "C" fn get_next(stream: *mut ArrowArrayStream, out: *mut ArrowArray) -> c_int {
    let made = guarded(|| {
        // SAFETY: see above.
        let owner = unsafe { &mut *(*stream).private_data.cast::<StreamOwner>() };
        let Some((columns, rows)) = owner.rest.take() else {
            return Ok(ArrowArray::empty());
        };
        let children = columns.into_iter().map(column_array).collect();
        Ok(array(
            rows,
            0,
            None,
            Vec::new(),
            vec![std::ptr::null()],
            children,
        ))
    });
    // SAFETY: see above; `out` is not initialised, so it is overwritten without a drop.
    made.map_or(FAILED, |array| unsafe {
        out.write(array);
        0
    })
}

/// `EIO`: nothing here fails but by a panic.
const FAILED: c_int = 5;

unsafe extern "C" fn get_last_error(_stream: *mut ArrowArrayStream) -> *const c_char {
    c"the rows could not be exported".as_ptr()
}

unsafe extern "C" fn release_stream(stream: *mut ArrowArrayStream) {
    let _ = guarded(|| {
        // SAFETY: see above; the owner came from a box, and clearing `release` keeps it from being taken twice.
        unsafe {
            drop(Box::from_raw((*stream).private_data.cast::<StreamOwner>()));
            (*stream).release = None;
        }
        Ok(())
    });
}

/// The format string of the specification.
fn format_of(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::Text => "U",
        FieldType::Bytes => "Z",
        FieldType::I64 => "l",
        FieldType::F32 => "f",
        FieldType::F64 => "g",
        FieldType::Bool => "b",
    }
}

fn schema(format: &str, name: &str, flags: i64, children: Vec<ArrowSchema>) -> ArrowSchema {
    // A C string ends at its first zero; no column that a user can name has one.
    let c_string = |text: &str| CString::new(text.replace('\0', "")).unwrap_or_default();
    let mut owner = Box::new(SchemaOwner {
        strings: [c_string(format), c_string(name)],
        children: children
            .into_iter()
            .map(|child| Box::into_raw(Box::new(child)))
            .collect(),
    });
    ArrowSchema {
        format: owner.strings[0].as_ptr(),
        name: owner.strings[1].as_ptr(),
        metadata: std::ptr::null(),
        flags,
        n_children: owner.children.len() as i64,
        children: owner.children.as_mut_ptr(),
        dictionary: std::ptr::null_mut(),
        release: Some(release_schema),
        private_data: Box::into_raw(owner).cast(),
    }
}

unsafe extern "C" fn release_schema(schema: *mut ArrowSchema) {
    // SAFETY: see above; each child is a box whose drop releases it unless it was moved out.
    unsafe {
        let owner = Box::from_raw((*schema).private_data.cast::<SchemaOwner>());
        for &child in &owner.children {
            drop(Box::from_raw(child));
        }
        (*schema).release = None;
    }
}

/// One column as an array of its own.
fn column_array(column: Column) -> ArrowArray {
    let rows = column.values.len();
    let nulls = column
        .validity
        .as_ref()
        .map_or(0, |valid| valid.iter().filter(|valid| !**valid).count());
    let mut bitmaps = Vec::new();
    let mut buffers = vec![std::ptr::null()];
    if nulls > 0
        && let Some(valid) = &column.validity
    {
        bitmaps.push(pack(valid));
        buffers[0] = bitmaps[0].as_ptr().cast();
    }
    let mut values = column.values;
    match &mut values {
        Values::Text(texts) => {
            let texts = texts.as_texts();
            buffers.push(texts.offsets().as_ptr().cast());
            buffers.push(texts.bytes().as_ptr().cast());
        }
        Values::Bytes(bytes, offsets) => {
            if offsets.is_empty() {
                offsets.push(0);
            }
            buffers.push(offsets.as_ptr().cast());
            buffers.push(bytes.as_ptr().cast());
        }
        Values::I64(numbers) => buffers.push(numbers.as_ptr().cast()),
        Values::F32(numbers) => buffers.push(numbers.as_ptr().cast()),
        Values::F64(numbers) => buffers.push(numbers.as_ptr().cast()),
        Values::Bool(flags) => {
            let packed = pack(flags);
            buffers.push(packed.as_ptr().cast());
            bitmaps.push(packed);
        }
    }
    // Moving a vector leaves its heap memory, which the pointers go to, where it is.
    array(rows, nulls, Some(values), bitmaps, buffers, Vec::new())
}

/// Bits, least significant first.
fn pack(flags: &[bool]) -> Vec<u8> {
    flags
        .chunks(8)
        .map(|chunk| {
            chunk
                .iter()
                .enumerate()
                .fold(0, |byte, (bit, &flag)| byte | u8::from(flag) << bit)
        })
        .collect()
}

fn array(
    rows: usize,
    nulls: usize,
    values: Option<Values>,
    bitmaps: Vec<Vec<u8>>,
    buffers: Vec<*const c_void>,
    children: Vec<ArrowArray>,
) -> ArrowArray {
    let mut owner = Box::new(ArrayOwner {
        _values: values,
        _bitmaps: bitmaps,
        buffers,
        children: children
            .into_iter()
            .map(|child| Box::into_raw(Box::new(child)))
            .collect(),
    });
    ArrowArray {
        length: rows as i64,
        null_count: nulls as i64,
        offset: 0,
        n_buffers: owner.buffers.len() as i64,
        n_children: owner.children.len() as i64,
        buffers: owner.buffers.as_mut_ptr(),
        children: owner.children.as_mut_ptr(),
        dictionary: std::ptr::null_mut(),
        release: Some(release_array),
        private_data: Box::into_raw(owner).cast(),
    }
}

unsafe extern "C" fn release_array(array: *mut ArrowArray) {
    // SAFETY: see above; each child is a box whose drop releases it unless it was moved out.
    unsafe {
        let owner = Box::from_raw((*array).private_data.cast::<ArrayOwner>());
        for &child in &owner.children {
            drop(Box::from_raw(child));
        }
        (*array).release = None;
    }
}
