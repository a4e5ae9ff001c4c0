//! Writes run events as CSV tables beside the run: `metrics/steps.csv` and `metrics/evaluations.csv`.
//!
//! The tables derive from the run's `events.ndjson`, which is the host's and stays the truth: when a run is resumed they
//! are made anew from it, so a killed and resumed run has the tables of one that was left alone.

mod row;
mod table;

use std::path::{Path, PathBuf};

use codex_plugin_api::serde_json::Value;
use codex_plugin_api::{Context, Error, FromConfig, HostRef, Result, RunInfo, Tracker};
use codex_plugin_api::{schemars, serde};

use row::{Kind, Row};
use table::Table;

codex_plugin_api::plugin! { tracker "files" => FilesTracker }

/// The run's own record of what happened.
const EVENTS: &str = "events.ndjson";

/// The configuration of `files`.
#[derive(
    Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(crate = "codex_plugin_api::serde", default, deny_unknown_fields)]
#[schemars(crate = "codex_plugin_api::schemars")]
pub struct FilesConfig {
    /// Where the tables go, relative to the run's folder and inside it.
    pub folder: String,
}

impl Default for FilesConfig {
    fn default() -> Self {
        Self {
            folder: "metrics".into(),
        }
    }
}

/// The component `files`.
pub struct FilesTracker {
    folder: String,
    tables: Option<Tables>,
}

struct Tables {
    steps: Table,
    evaluations: Table,
    /// Whether the host may still send events that the tables hold already: after a resume, until the first row.
    may_repeat: bool,
}

impl FromConfig for FilesTracker {
    type Config = FilesConfig;

    fn from_config(config: FilesConfig, _host: HostRef) -> Result<Self> {
        let inside =
            |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(':');
        if !config.folder.split(['/', '\\']).all(inside) {
            return Err(Error::config(format!(
                "folder {:?} is not a folder inside the run's folder",
                config.folder
            ))
            .hint("name a folder such as metrics, without .. and without a root"));
        }
        Ok(Self {
            folder: config.folder,
            tables: None,
        })
    }
}

impl Tracker for FilesTracker {
    fn start(&mut self, run: &RunInfo) -> Result<()> {
        let mut folder = PathBuf::from(&run.folder);
        folder.extend(self.folder.split(['/', '\\']));
        std::fs::create_dir_all(&folder)
            .or_error(|| Error::failed(format!("cannot create {}", folder.display())))?;
        let events = Path::new(&run.folder).join(EVENTS);
        let open = |kind: Kind| {
            let path = folder.join(kind.file());
            if run.resumed && events.is_file() {
                Table::from_events(path, kind, &events)
            } else if run.resumed {
                Table::continued(path)
            } else {
                Table::empty(path)
            }
        };
        let (steps, evaluations) = (open(Kind::Step)?, open(Kind::Evaluation)?);
        self.tables = Some(Tables {
            steps,
            evaluations,
            may_repeat: run.resumed,
        });
        Ok(())
    }

    fn events(&mut self, ndjson: &str) -> Result<()> {
        let tables = self.tables()?;
        for line in ndjson.lines().filter(|line| !line.trim().is_empty()) {
            let event: Value = codex_plugin_api::serde_json::from_str(line)
                .or_error(|| Error::data(format!("an event is not JSON: {line:.80}")))?;
            if let Some(row) = Row::of(&event) {
                tables.add(&row)?;
            }
        }
        tables.steps.flush()?;
        tables.evaluations.flush()
    }

    fn finish(&mut self) -> Result<()> {
        let Some(mut tables) = self.tables.take() else {
            return Ok(());
        };
        tables.steps.finish()?;
        tables.evaluations.finish()
    }
}

impl FilesTracker {
    fn tables(&mut self) -> Result<&mut Tables> {
        self.tables
            .as_mut()
            .ok_or_else(|| Error::failed("events came before the run started"))
    }
}

impl Tables {
    fn add(&mut self, row: &Row) -> Result<()> {
        if std::mem::take(&mut self.may_repeat)
            && let Some(step) = row.step
        {
            // A step comes before its own evaluations.
            let from = match row.kind {
                Kind::Step => step,
                Kind::Evaluation => step + 1,
            };
            self.steps.drop_from(from, None)?;
            self.evaluations.drop_from(from, Some(row))?;
        }
        match row.kind {
            Kind::Step => self.steps.add(row),
            Kind::Evaluation => self.evaluations.add(row),
        }
    }
}
