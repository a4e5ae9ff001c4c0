//! What an adapter's folder and a model do not have in common, as one error.

use std::collections::BTreeSet;

use codex_plugin_api::{Error, Result};

use crate::Base;
use crate::parameters::PlanParameter;

/// How many of a kind are named.
const SHOWN: usize = 3;

#[derive(Default)]
pub(super) struct Difference {
    /// Modules that the adapter changes and the model lacks.
    pub(super) absent: BTreeSet<String>,
    /// Keys that should be in the folder.
    pub(super) missing: Vec<String>,
    /// Keys that nothing asks for.
    pub(super) extra: Vec<String>,
    shapes: Vec<String>,
}

fn some<'a>(count: usize, what: &str, names: impl Iterator<Item = &'a String>) -> Option<String> {
    let shown: Vec<&str> = names.take(SHOWN).map(String::as_str).collect();
    let more = if count > SHOWN { ", …" } else { "" };
    (count > 0).then(|| format!("{count} {what} ({}{more})", shown.join(", ")))
}

impl Difference {
    pub(super) fn misshapen(&mut self, parameter: &PlanParameter, shape: &[usize]) {
        let expected = &parameter.shape;
        self.shapes
            .push(format!("{} is {shape:?}, not {expected:?}", parameter.key));
    }

    pub(super) fn check(&self, base: &Base) -> Result<()> {
        let parts: Vec<String> = [
            some(
                self.absent.len(),
                "modules that the model lacks",
                self.absent.iter(),
            ),
            some(self.missing.len(), "tensors missing", self.missing.iter()),
            some(
                self.shapes.len(),
                "tensors of another shape",
                self.shapes.iter(),
            ),
            some(self.extra.len(), "tensors too many", self.extra.iter()),
        ]
        .into_iter()
        .flatten()
        .collect();
        if parts.is_empty() {
            return Ok(());
        }
        let error = Error::data(format!(
            "the adapter does not match the model: {}",
            parts.join("; ")
        ));
        Err(match &base.path {
            Some(path) => error.hint(format!("it was made for {path}; load it with that model")),
            None => error.hint("load it with the model that it was trained on"),
        })
    }
}
