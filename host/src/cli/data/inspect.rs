//! `codex-ml data inspect`.

use codex_plugin_api::{Batch, Column, Field, Result, Values};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::cli::settings::{self, Setting};
use crate::data::{DataSource, Document, Documents, type_name};
use crate::exit::Exit;

/// How many documents are read for the lengths.
const SAMPLE: u64 = 1000;

/// How much of a value is shown.
const SHOWN_CHARACTERS: usize = 60;

/// Arguments of `data inspect`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  codex-ml data inspect notes.txt\n  codex-ml data inspect reviews.csv data.text_column=body\n  \
                  codex-ml data inspect grammar"
)]
pub(super) struct Args {
    /// A file, a folder (./NAME), or a dataset's name.
    #[arg(value_name = "NAME|PATH", value_hint = clap::ValueHint::AnyPath)]
    data: String,
    /// Show so many of the first rows.
    #[arg(long, value_name = "N", default_value_t = 3)]
    rows: u64,
    /// Keys of the dataset: data.KEY=VALUE (data. may be left out).
    #[arg(value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Report {
    dataset: String,
    documents: Option<u64>,
    text_column: Option<String>,
    fingerprint: String,
    columns: Vec<Value>,
    sample: Option<Sample>,
    rows: Vec<Value>,
}

/// Lengths of the first documents.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Sample {
    documents: u64,
    empty: u64,
    mean_bytes: f64,
    longest_bytes: u64,
    /// Bits per byte of the process that made the texts, where the dataset knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    bits_per_byte_floor: Option<f64>,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let mut settings = Setting::parse_all(&args.settings)?;
    for setting in &mut settings {
        if setting.data_key().is_none() {
            setting.key = format!("data.{}", setting.key);
        }
    }
    let mut source = DataSource::from_argument(&args.data)?;
    settings::apply_data(&mut source, &settings)?;
    let dataset = source.open_clean(app)?;
    let info = dataset.info()?;
    let first = dataset.read(0, args.rows)?;
    // Without a text column the rest is still worth seeing; why there is none is told beside it.
    let documents = match Documents::open(dataset, source.columns.text.as_deref()) {
        Ok(documents) => Some(documents),
        Err(error) => {
            let hint = error
                .hint_text()
                .map_or_else(String::new, |hint| format!(" ({hint})"));
            app.output.warn(format!("{error}{hint}"));
            None
        }
    };
    let sample = documents
        .as_ref()
        .map(|documents| documents.read(0, SAMPLE))
        .transpose()?;
    let report = Report {
        dataset: source.name.clone(),
        documents: documents.as_ref().map(Documents::len).or(info.rows),
        text_column: documents
            .as_ref()
            .map(|documents| documents.column().to_owned()),
        columns: info.fields.iter().map(column).collect(),
        fingerprint: info.fingerprint,
        sample: sample.as_deref().map(measure),
        rows: rows(&first),
    };
    if app.output.is_json() {
        app.output.value(&report)?;
    } else {
        show(&report, app)?;
    }
    Ok(Exit::Done)
}

fn show(report: &Report, app: &App) -> Result<()> {
    let fact = |name: &str, value: &str| app.output.line(format!("{name:<14} {value}"));
    let rows = report.documents.map(|rows| rows.to_string());
    fact("dataset", &report.dataset)?;
    fact("documents", rows.as_deref().unwrap_or("unknown"))?;
    fact(
        "text column",
        report.text_column.as_deref().unwrap_or("none"),
    )?;
    fact("fingerprint", &report.fingerprint)?;
    if let Some(sample) = &report.sample {
        let lengths = format!(
            "{:.0} bytes on average, {} at most, {} empty (of the first {})",
            sample.mean_bytes, sample.longest_bytes, sample.empty, sample.documents
        );
        fact("lengths", &lengths)?;
        if let Some(floor) = sample.bits_per_byte_floor {
            fact(
                "entropy floor",
                &format!("{floor:.4} bits per byte (of the same)"),
            )?;
        }
    }
    app.output.line("")?;
    let word = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let columns = report
        .columns
        .iter()
        .map(|column| [word(column, "name"), word(column, "type")]);
    app.output.table(["column", "type"], columns)?;
    for (index, row) in report.rows.iter().enumerate() {
        app.output.line(format!("\nrow {index}"))?;
        for (name, value) in row.as_object().into_iter().flatten() {
            app.output.line(format!("  {name}: {}", shorten(value)))?;
        }
    }
    Ok(())
}

fn column(field: &Field) -> Value {
    json!({"name": field.name, "type": type_name(field.field_type)})
}

fn measure(documents: &[Document]) -> Sample {
    let lengths = || documents.iter().map(|document| document.text.len() as u64);
    let bytes: u64 = lengths().sum();
    let known: Option<f64> = documents
        .iter()
        .filter(|document| !document.text.is_empty())
        .map(|document| document.log_probability)
        .sum();
    Sample {
        documents: documents.len() as u64,
        empty: lengths().filter(|&length| length == 0).count() as u64,
        mean_bytes: bytes as f64 / documents.len() as f64,
        longest_bytes: lengths().max().unwrap_or(0),
        bits_per_byte_floor: known
            .filter(|_| bytes > 0)
            .map(|nats| -nats / std::f64::consts::LN_2 / bytes as f64),
    }
}

/// The rows of a batch as JSON objects.
fn rows(batch: &Batch) -> Vec<Value> {
    let row = |index| {
        let entries = batch
            .columns()
            .iter()
            .map(|column| (column.name.clone(), value(column, index)));
        Value::Object(entries.collect::<Map<_, _>>())
    };
    (0..batch.rows()).map(row).collect()
}

fn value(column: &Column, index: usize) -> Value {
    if column.is_null(index) {
        return Value::Null;
    }
    match &column.values {
        Values::Text(texts) => texts.as_texts().get(index).into(),
        Values::I64(values) => values.get(index).copied().into(),
        Values::F32(values) => values.get(index).copied().into(),
        Values::F64(values) => values.get(index).copied().into(),
        Values::Bool(values) => values.get(index).copied().into(),
        Values::Bytes(_, offsets) => {
            let length = offsets
                .get(index..index + 2)
                .map_or(0, |pair| pair[1] - pair[0]);
            format!("{length} bytes").into()
        }
        _ => Value::Null,
    }
}

/// A value on one line of bounded length.
fn shorten(value: &Value) -> String {
    let text = match value {
        Value::String(text) => format!(
            "{:?}",
            text.chars().take(SHOWN_CHARACTERS).collect::<String>()
        ),
        other => return other.to_string(),
    };
    let cut = value
        .as_str()
        .is_some_and(|whole| whole.chars().count() > SHOWN_CHARACTERS);
    if cut { format!("{text}…") } else { text }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use codex_plugin_api::Dataset;

    use super::*;
    use crate::testing::MemoryDataset;

    #[test]
    fn rows_and_lengths_are_those_of_the_dataset() {
        let dataset = MemoryDataset {
            texts: vec![Some("abcd".into()), None, Some("č".into())],
            log_probabilities: Some(vec![
                -6.0 * std::f64::consts::LN_2,
                -9.0,
                -6.0 * std::f64::consts::LN_2,
            ]),
            knows_length: true,
            missing_rows: 0,
        };
        let batch = dataset.read(0, 2).unwrap();
        assert_eq!(rows(&batch)[0]["text"], json!("abcd"));
        assert_eq!(rows(&batch)[1]["text"], Value::Null);
        let documents = Documents::open(Box::new(dataset), None).unwrap();
        let sample = measure(&documents.read(0, 3).unwrap());
        let expected = Sample {
            documents: 3,
            empty: 1,
            mean_bytes: 2.0,
            longest_bytes: 4,
            bits_per_byte_floor: Some(2.0),
        };
        assert_eq!(sample, expected);
    }

    #[test]
    fn long_values_are_cut_on_a_character() {
        assert_eq!(
            shorten(&json!("č".repeat(99))).chars().count(),
            SHOWN_CHARACTERS + 3
        );
        assert_eq!(shorten(&json!("a\nb")), "\"a\\nb\"");
        assert_eq!(shorten(&Value::Null), "null");
    }
}
