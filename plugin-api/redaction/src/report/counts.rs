//! How often each rule found something, for a run's report.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use codex_plugin_api::Stage;
use serde::{Deserialize, Serialize};

use super::ReportedFinding;
use crate::Action;

/// How many findings of one rule met one action at one stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Where the texts were met.
    pub stage: Stage,
    /// The plugin of the rule.
    pub plugin: String,
    /// The rule.
    pub rule: String,
    /// What it finds.
    pub entity: String,
    /// What was done.
    pub action: Action,
    /// How many.
    pub count: u64,
}

/// Counts by stage, rule and action, in that order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    counts: BTreeMap<(usize, String, String, Action), Count>,
    /// Texts that were withheld or dropped because they could not be scanned.
    pub not_scanned: u64,
}

fn place(stage: Stage) -> usize {
    match stage {
        Stage::Ingest => 0,
        Stage::Prompt => 1,
        Stage::Output => 2,
        Stage::Log => 3,
        _ => 4,
    }
}

impl Counts {
    /// Adds findings.
    pub fn add<'a>(
        &mut self,
        stage: Stage,
        findings: impl IntoIterator<Item = &'a ReportedFinding>,
    ) {
        for finding in findings {
            let key = (
                place(stage),
                finding.plugin.clone(),
                finding.rule.clone(),
                finding.action,
            );
            let count = Count {
                stage,
                plugin: finding.plugin.clone(),
                rule: finding.rule.clone(),
                entity: finding.entity.clone(),
                action: finding.action,
                count: 0,
            };
            self.counts.entry(key).or_insert(count).count += 1;
        }
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.not_scanned += other.not_scanned;
        for (key, count) in &other.counts {
            match self.counts.entry(key.clone()) {
                Entry::Occupied(mut known) => known.get_mut().count += count.count,
                Entry::Vacant(free) => {
                    free.insert(count.clone());
                }
            }
        }
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.not_scanned == 0
    }

    /// Every rule that found something.
    pub fn list(&self) -> Vec<Count> {
        self.counts.values().cloned().collect()
    }
}
