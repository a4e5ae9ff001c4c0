//! What every dataset promises.

use super::report::{Report, ensure, numbers};
use crate::{Batch, Dataset, Error, FieldType, Result};

/// As many rows as checks read at most.
const ROWS: u64 = 200;

/// Rows `start .. start + count` of columns already read.
fn part(whole: &Batch, start: u64, count: u64, dataset: &dyn Dataset, how: &str) -> Result<()> {
    let batch = dataset.read(start, count)?;
    let end = (start + count).min(whole.rows() as u64);
    let expected = end.saturating_sub(start) as usize;
    ensure(batch.rows() == expected, || {
        format!(
            "rows {start}..+{count} {how}: {} rows, not {expected}",
            batch.rows()
        )
    })?;
    for (column, all) in batch.columns().iter().zip(whole.columns()) {
        for row in 0..expected {
            let (here, there) = (
                format!("{:?}", value(&column.values, row)),
                format!("{:?}", value(&all.values, row + start as usize)),
            );
            let same = here == there && column.is_null(row) == all.is_null(row + start as usize);
            ensure(same, || {
                format!(
                    "row {} of column {:?} {how} is {here}, not {there}",
                    start as usize + row,
                    column.name
                )
            })?;
        }
    }
    Ok(())
}

/// One value, comparable.
#[derive(Debug)]
#[allow(dead_code, reason = "compared by what it prints")]
enum One<'a> {
    Text(Option<&'a str>),
    Bytes(&'a [u8]),
    I64(i64),
    F32(u32),
    F64(u64),
    Bool(bool),
}

fn value(values: &crate::Values, row: usize) -> One<'_> {
    use crate::Values;
    match values {
        Values::Text(texts) => One::Text(texts.as_texts().get(row)),
        Values::Bytes(bytes, offsets) => {
            One::Bytes(&bytes[offsets[row] as usize..offsets[row + 1] as usize])
        }
        Values::I64(values) => One::I64(values[row]),
        Values::F32(values) => One::F32(values[row].to_bits()),
        Values::F64(values) => One::F64(values[row].to_bits()),
        Values::Bool(values) => One::Bool(values[row]),
    }
}

/// Checks what `create` creates; every instance must be over the same rows.
pub fn dataset(create: &mut dyn FnMut() -> Result<Box<dyn Dataset>>) -> Report {
    let mut report = Report::default();

    report.check("its description is the same at every call", || {
        let (dataset, other) = (create()?, create()?);
        let info = dataset.info()?;
        ensure(info == dataset.info()?, || {
            "it changes within one instance".to_owned()
        })?;
        ensure(info == other.info()?, || {
            "two instances of one configuration differ (the fingerprint, most often)".to_owned()
        })?;
        ensure(!info.fingerprint.is_empty(), || {
            "there is no fingerprint".to_owned()
        })
    });
    report.check("the columns that it names exist", || {
        let info = create()?.info()?;
        for (role, name, due) in [
            ("text_column", &info.text_column, FieldType::Text),
            (
                "log_probability_column",
                &info.log_probability_column,
                FieldType::F64,
            ),
        ] {
            let Some(name) = name else { continue };
            let field = info.fields.iter().find(|field| field.name == *name);
            ensure(field.is_some_and(|field| field.field_type == due), || {
                format!("{role} is {name:?}, which is no {due:?} column")
            })?;
        }
        ensure(!info.fields.is_empty(), || "there is no column".to_owned())
    });
    report.check("every batch has the promised columns", || {
        let dataset = create()?;
        let info = dataset.info()?;
        for (start, count) in [(0, 1), (0, 0), (3, 2), (u64::MAX, 1)] {
            let batch = dataset.read(start, count)?;
            let fits = batch.columns().len() == info.fields.len()
                && batch
                    .columns()
                    .iter()
                    .zip(&info.fields)
                    .all(|(column, field)| {
                        column.name == field.name && column.values.field_type() == field.field_type
                    });
            ensure(fits, || format!("those of rows {start}..+{count} differ"))?;
            ensure(batch.rows() as u64 <= count, || {
                format!("{} rows where {count} were asked for", batch.rows())
            })?;
        }
        Ok(())
    });
    report.check("how rows are asked for does not change them", || {
        let dataset = create()?;
        let whole = dataset.read(0, ROWS)?;
        let rows = whole.rows() as u64;
        for row in (0..rows).rev() {
            part(&whole, row, 1, &*dataset, "read one by one, backwards")?;
        }
        let mut next = numbers(11);
        for _ in 0..40 {
            let start = next() % rows.max(1);
            let count = (next() % 17).min(rows - start.min(rows));
            part(&whole, start, count, &*dataset, "read anywhere")?;
        }
        part(&whole, 0, rows, &*create()?, "read by another instance")
    });
    report.check("it ends where it says", || {
        let dataset = create()?;
        for start in [u64::MAX, u64::MAX - 1] {
            let rows = dataset.read(start, 2)?.rows();
            ensure(rows == 0, || format!("{rows} rows from row {start} on"))?;
        }
        let Some(rows) = dataset.info()?.rows else {
            return Ok(());
        };
        for (start, count, expected) in [
            (rows, 10, 0),
            (rows.saturating_sub(1), 10, rows.min(1)),
            (rows.saturating_sub(3), 3, rows.min(3)),
            (rows.saturating_add(5), 1, 0),
        ] {
            let found = dataset.read(start, count)?.rows() as u64;
            ensure(found == expected, || {
                format!(
                    "{found} rows from {start}..+{count}, not {expected}: it says it has {rows}"
                )
            })?;
        }
        Ok(())
    });
    report.check("several threads read the same rows", || {
        let dataset = create()?;
        let whole = dataset.read(0, ROWS)?;
        let (dataset, whole) = (&*dataset, &whole);
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..4_u64)
                .map(|seed| {
                    scope.spawn(move || {
                        let mut next = numbers(seed);
                        for _ in 0..25 {
                            let rows = whole.rows() as u64;
                            let start = next() % rows.max(1);
                            let count = (next() % 9).min(rows - start.min(rows));
                            part(whole, start, count, dataset, "read by several threads")?;
                        }
                        Ok(())
                    })
                })
                .collect();
            readers.into_iter().try_for_each(|reader| {
                reader
                    .join()
                    .map_err(|_| Error::failed("a reading thread panicked"))?
            })
        })
    });
    report
}
