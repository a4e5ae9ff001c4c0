//! The dataset `arithmetic`: sentences about sums, differences and products, made as they are asked for.
//!
//! A row is a function of the configuration and its number, so any range costs the same, wherever it begins. The process is
//! uniform, so every row comes with the exact log-probability of its text, and reports can show how far a model is from
//! the best that any model could do. What crosses the border is here, the sentences are in `sentences.rs`.

mod sentences;

use codex_guest::types::{Column, ColumnValues, DatasetInfo, Error, Field, FieldType};
use codex_guest::{Component, TextsBuilder, pack};

use exports::codex::plugin::dataset::Guest;
use sentences::Sentences;

wit_bindgen::generate!({
    path: "../../plugin-api/wit/v1",
    world: "dataset-plugin",
    with: { "codex:plugin/types@1.0.0": codex_guest::types },
});

static DATASET: Component<Sentences> = Component::new();

const TEXT: &str = "text";
const LOG_PROBABILITY: &str = "log_probability";

/// Rows that one call gives at most: as many bytes as one call may hand over are the host's to decide.
const ROWS_A_CALL: u64 = 1 << 20;

struct Plugin;

export!(Plugin);

impl Guest for Plugin {
    fn create(name: String, config: String) -> Result<(), Error> {
        let dataset: Sentences = serde_json::from_str(&config)
            .map_err(|why| Error::config(format!("configuration of {name} is wrong: {why}")))?;
        dataset.check().map_err(Error::config)?;
        DATASET.set(dataset);
        Ok(())
    }

    fn info() -> Result<DatasetInfo, Error> {
        DATASET.with(|dataset| {
            let field = |name: &str, field_type| Field {
                name: name.to_owned(),
                field_type,
            };
            Ok(DatasetInfo {
                fields: vec![
                    field(TEXT, FieldType::Text),
                    field(LOG_PROBABILITY, FieldType::F64),
                ],
                rows: Some(dataset.rows),
                fingerprint: dataset.fingerprint(),
                text_column: Some(TEXT.to_owned()),
                log_probability_column: Some(LOG_PROBABILITY.to_owned()),
            })
        })
    }

    fn read(start: u64, count: u64) -> Result<Vec<Column>, Error> {
        DATASET.with(|dataset| {
            if count > ROWS_A_CALL && dataset.rows.saturating_sub(start) > ROWS_A_CALL {
                return Err(Error::failed(format!(
                    "{count} rows were asked for at once, and {ROWS_A_CALL} are the most"
                )));
            }
            let rows = start..start.saturating_add(count).min(dataset.rows).max(start);
            let log_probability = dataset.log_probability();
            let probabilities = rows.clone().map(|_| log_probability);
            let probabilities = pack(probabilities);
            let (mut texts, mut text) = (TextsBuilder::new(), String::new());
            for row in rows {
                text.clear();
                dataset.write(row, &mut text);
                texts.push(&text);
            }
            let column = |name: &str, values| Column {
                name: name.to_owned(),
                values,
                validity: None,
            };
            Ok(vec![
                column(TEXT, ColumnValues::Text(texts.build())),
                column(LOG_PROBABILITY, ColumnValues::F64(probabilities)),
            ])
        })
    }
}
