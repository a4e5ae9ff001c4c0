//! The dataset `{{name}}`: sums of two numbers, `3 + 4 = 7`, made when they are read.
//!
//! The host calls `create` first. Every component has an instance of its own, so a `static` is its state and nobody else's.

wit_bindgen::generate!({ path: "wit", world: "dataset-plugin" });

use std::sync::{Mutex, MutexGuard, PoisonError};

use codex::plugin::types::{Column, ColumnValues, DatasetInfo, Error, Field, FieldType, Texts};
use exports::codex::plugin::dataset::Guest;

struct {{Type}} {
    rows: u64,
    below: u64,
}

static DATASET: Mutex<{{Type}}> = Mutex::new({{Type}} { rows: 0, below: 1 });

fn dataset() -> MutexGuard<'static, {{Type}}> {
    DATASET.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A row's text: a function of its place, so that any row can be read first.
fn sum(row: u64, below: u64) -> String {
    let mut z = row.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^= z >> 27;
    let (a, b) = ((z & 0xffff_ffff) % below, (z >> 32) % below);
    format!("{a} + {b} = {}", a + b)
}

impl Guest for {{Type}} {
    /// The configuration was checked against `plugin.toml`, and its defaults are filled in.
    fn create(_name: String, config: String) -> Result<(), Error> {
        let config: serde_json::Value = serde_json::from_str(&config).unwrap_or_default();
        let mut dataset = dataset();
        dataset.rows = config["rows"].as_u64().unwrap_or(5000);
        dataset.below = config["below"].as_u64().unwrap_or(10);
        Ok(())
    }
    fn info() -> Result<DatasetInfo, Error> {
        let dataset = dataset();
        let field = |name: &str, field_type| Field { name: name.into(), field_type };
        Ok(DatasetInfo {
            fields: vec![field("text", FieldType::Text), field("log_probability", FieldType::F64)],
            rows: Some(dataset.rows),
            // Equal fingerprints promise equal rows: change the number when the rows change.
            fingerprint: format!("{{name}}-1-{}-{}", dataset.rows, dataset.below),
            text_column: Some("text".into()),
            log_probability_column: Some("log_probability".into()),
        })
    }
    fn read(start: u64, count: u64) -> Result<Vec<Column>, Error> {
        let dataset = dataset();
        let rows = start.min(dataset.rows)..start.saturating_add(count).min(dataset.rows);
        // Both numbers are drawn uniformly, so how likely each text is is known, and reports show the entropy floor.
        let log_probability = -2.0 * (dataset.below as f64).ln();
        // Numbers cross packed: little-endian, one behind the other.
        let (mut bytes, mut offsets, mut scores) = (vec![], 0_u64.to_le_bytes().to_vec(), vec![]);
        for row in rows {
            bytes.extend(sum(row, dataset.below).into_bytes());
            offsets.extend((bytes.len() as u64).to_le_bytes());
            scores.extend(log_probability.to_le_bytes());
        }
        let column = |name: &str, values| Column { name: name.into(), values, validity: None };
        Ok(vec![
            column("text", ColumnValues::Text(Texts { bytes, offsets })),
            column("log_probability", ColumnValues::F64(scores)),
        ])
    }
}

export!({{Type}});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_right() {
        assert_eq!(sum(0, 1), "0 + 0 = 0");
        for row in 0..100 {
            let text = sum(row, 20);
            let numbers: Vec<u64> = text.split([' ', '+', '=']).filter_map(|word| word.parse().ok()).collect();
            assert_eq!(numbers[0] + numbers[1], numbers[2], "{text}");
        }
    }
}
