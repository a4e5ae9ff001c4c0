//! A dataset: 60 numbered rows with a column of every type, some values null.

use std::sync::atomic::{AtomicU64, Ordering};

use codex_plugin_api::{Batch, Column, Dataset, DatasetInfo, Field, FieldType, Result, Values};

use super::{Fault, fresh, main_thread};

#[derive(Default)]
pub(crate) struct Numbers {
    pub(crate) fault: Fault,
    reads: AtomicU64,
}

impl Numbers {
    pub(crate) fn new(fault: Fault) -> Self {
        Self {
            fault,
            ..Self::default()
        }
    }
}

const ROWS: u64 = 60;

impl Dataset for Numbers {
    fn info(&self) -> Result<DatasetInfo> {
        let changing = if self.fault.is("stable info") {
            fresh()
        } else {
            1
        };
        Ok(DatasetInfo {
            fields: vec![
                Field::new("text", FieldType::Text),
                Field::new("bytes", FieldType::Bytes),
                Field::new("whole", FieldType::I64),
                Field::new("half", FieldType::F32),
                Field::new("log", FieldType::F64),
                Field::new("odd", FieldType::Bool),
            ],
            rows: Some(if self.fault.is("length") {
                ROWS + 1
            } else {
                ROWS
            }),
            fingerprint: format!("numbers-{changing}"),
            text_column: Some(
                if self.fault.is("columns exist") {
                    "txt"
                } else {
                    "text"
                }
                .into(),
            ),
            log_probability_column: Some("log".into()),
        })
    }

    fn read(&self, start: u64, count: u64) -> Result<Batch> {
        let before = self.reads.fetch_add(1, Ordering::Relaxed);
        let shift = u64::from(
            (self.fault.is("any order") && before > 0)
                || (self.fault.is("threads") && !main_thread()),
        );
        let end = start.saturating_add(count).min(ROWS);
        let rows = || (start..end).map(move |row| row + shift);
        if start >= end && self.fault.is("all columns") {
            return Ok(Batch::default());
        }
        let mut text = Column::text("text", rows().map(|n| "č".repeat(n as usize % 5)));
        text.validity = Some(rows().map(|n| n % 5 != 0).collect());
        let mut bytes = (Vec::new(), vec![0]);
        for n in rows() {
            bytes.0.extend(vec![n as u8; n as usize % 3]);
            bytes.1.push(bytes.0.len() as u64);
        }
        let mut whole = Column::new(
            "whole",
            Values::I64(
                rows()
                    .map(|n| if n % 7 == 0 { 0 } else { n as i64 - 30 })
                    .collect(),
            ),
        );
        whole.validity = Some(rows().map(|n| n % 7 != 0).collect());
        if whole.validity.iter().flatten().all(|valid| *valid) {
            whole.validity = None;
        }
        if text.validity.iter().flatten().all(|valid| *valid) {
            text.validity = None;
        }
        Batch::new(vec![
            text,
            Column::new("bytes", Values::Bytes(bytes.0, bytes.1)),
            whole,
            Column::new(
                "half",
                Values::F32(rows().map(|n| n as f32 / 2.0).collect()),
            ),
            Column::new(
                "log",
                Values::F64(rows().map(|n| -(n as f64).ln_1p()).collect()),
            ),
            Column::new("odd", Values::Bool(rows().map(|n| n % 2 == 1).collect())),
        ])
    }
}
