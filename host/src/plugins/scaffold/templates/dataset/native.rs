//! The dataset `{{name}}`: sums of two numbers, `3 + 4 = 7`, made when they are read.

use codex_plugin_api::schemars::JsonSchema;
use codex_plugin_api::serde::Deserialize;
use codex_plugin_api::{
    Batch, Column, Dataset, DatasetInfo, Field, FieldType, FromConfig, HostRef, Result, Values,
};

/// What a user may set, as `data.rows=…` or in a config file.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "codex_plugin_api::serde", default, deny_unknown_fields)]
#[schemars(crate = "codex_plugin_api::schemars")]
struct Config {
    /// How many sums there are.
    rows: u64,
    /// Both numbers are below this.
    #[schemars(range(min = 1, max = 1_000_000))]
    below: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { rows: 5000, below: 10 }
    }
}

struct {{Type}}(Config);

impl FromConfig for {{Type}} {
    type Config = Config;
    fn from_config(config: Config, _host: HostRef) -> Result<Self> {
        Ok(Self(config))
    }
}

/// A row's text: a function of its place, so that any row can be read first.
fn sum(row: u64, below: u64) -> String {
    let mut z = row.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^= z >> 27;
    let (a, b) = ((z & 0xffff_ffff) % below, (z >> 32) % below);
    format!("{a} + {b} = {}", a + b)
}

impl Dataset for {{Type}} {
    fn info(&self) -> Result<DatasetInfo> {
        Ok(DatasetInfo {
            fields: vec![Field::new("text", FieldType::Text), Field::new("log_probability", FieldType::F64)],
            rows: Some(self.0.rows),
            // Equal fingerprints promise equal rows: change the number when the rows change.
            fingerprint: format!("{{name}}-1-{}-{}", self.0.rows, self.0.below),
            text_column: Some("text".into()),
            log_probability_column: Some("log_probability".into()),
        })
    }
    fn read(&self, start: u64, count: u64) -> Result<Batch> {
        let rows = start.min(self.0.rows)..start.saturating_add(count).min(self.0.rows);
        // Both numbers are drawn uniformly, so how likely each text is is known, and reports show the entropy floor.
        let log_probability = -2.0 * (self.0.below as f64).ln();
        Batch::new(vec![
            Column::text("text", rows.clone().map(|row| sum(row, self.0.below))),
            Column::new("log_probability", Values::F64(rows.map(|_| log_probability).collect())),
        ])
    }
}

codex_plugin_api::plugin! { dataset "{{name}}" => {{Type}} }

#[cfg(test)]
mod tests {
    use super::*;
    use codex_plugin_api::serde_json::json;
    use codex_plugin_api::testing;

    #[test]
    fn it_keeps_the_contract_of_a_dataset() {
        testing::check_dataset::<{{Type}}>(json!({"rows": 300, "below": 20}));
    }

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
