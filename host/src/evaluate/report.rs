//! What an evaluation found: as JSON, NDJSON, CSV and rows for a table. Where it is written is the caller's affair.

use std::fs;
use std::path::Path;

use codex_plugin_api::{Context, Direction, Error, Result};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::FLOOR;

/// One result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NamedScore {
    /// The score's name, unique in the report.
    pub name: String,
    /// Its value; NaN (null in JSON) when there was nothing to compute it from.
    pub value: f64,
    /// Which way is better.
    pub direction: Direction,
}

/// What an evaluation found. As JSON: `{"metrics": {name: value}, "tokens": …, "samples": …, "bytes": …}`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The scores in the metrics' order.
    pub metrics: Vec<NamedScore>,
    /// How many tokens were predicted by a language model, or read by another.
    pub tokens: u64,
    /// How many documents, pairs or labelled texts were scored, without empty ones.
    pub samples: u64,
    /// How many bytes of text they have.
    pub bytes: u64,
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Scores<'a>(&'a [NamedScore]);
        impl Serialize for Scores<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.iter().map(|score| (&score.name, score.value)))
            }
        }
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("metrics", &Scores(&self.metrics))?;
        map.serialize_entry("tokens", &self.tokens)?;
        map.serialize_entry("samples", &self.samples)?;
        map.serialize_entry("bytes", &self.bytes)?;
        map.end()
    }
}

impl Report {
    /// The value of a score.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.metrics
            .iter()
            .find(|score| score.name == name)
            .map(|score| score.value)
    }

    /// Name, value and better direction of every score, for people; the floor stands beside the bits per byte.
    pub fn rows(&self) -> Vec<[String; 3]> {
        let floor = self.value(FLOOR);
        let beside = self.value("bits_per_byte").is_some();
        let shown = self
            .metrics
            .iter()
            .filter(|score| score.name != FLOOR || !beside);
        let row = |score: &NamedScore| {
            let better = match score.direction {
                Direction::Higher => "higher",
                Direction::Lower => "lower",
            };
            let value = match floor.filter(|_| score.name == "bits_per_byte") {
                Some(floor) => format!(
                    "{} (floor {}, {:+.1} %)",
                    number(score.value),
                    number(floor),
                    100.0 * (score.value / floor - 1.0)
                ),
                None => number(score.value),
            };
            [score.name.clone(), value, better.to_owned()]
        };
        shown.map(row).collect()
    }

    /// Writes `report.json`, `report.ndjson` (one score a line) and `report.csv` into a folder, which is created.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Failed`] naming the file.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)
            .or_error(|| Error::failed(format!("cannot create the folder {}", folder.display())))?;
        let as_json = |error: serde_json::Error| {
            Error::failed("cannot write the report as JSON").because(&error)
        };
        let json = serde_json::to_string_pretty(self).map_err(as_json)? + "\n";
        let mut ndjson = String::new();
        for score in &self.metrics {
            ndjson += &(serde_json::to_string(score).map_err(as_json)? + "\n");
        }
        for (name, content) in [
            ("report.json", json.into_bytes()),
            ("report.ndjson", ndjson.into_bytes()),
            ("report.csv", self.csv()?),
        ] {
            write_whole(&folder.join(name), &content)?;
        }
        Ok(())
    }

    fn csv(&self) -> Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let failed = || Error::failed("cannot write the report as CSV");
        for score in &self.metrics {
            writer.serialize(score).or_error(failed)?;
        }
        writer
            .into_inner()
            .map_err(|error| failed().because(error.error()))
    }
}

fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    use std::io::Write as _;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let written = fs::File::create(&temporary).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    });
    written.or_error(|| Error::failed(format!("cannot write {}", path.display())))
}

/// A number with as many digits as people read: four after the point, more for small ones.
fn number(value: f64) -> String {
    if value.is_nan() {
        "–".to_owned()
    } else if value != 0.0 && value.abs() < 1e-3 {
        format!("{value:.3e}")
    } else {
        format!("{value:.4}")
    }
}
