//! What of an event becomes a row.

use codex_plugin_api::serde_json::{Map, Value};

/// Which table a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Step,
    Evaluation,
}

impl Kind {
    /// The table's file.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Step => "steps.csv",
            Self::Evaluation => "evaluations.csv",
        }
    }
}

/// Cells by column, in the event's order but with the step (and split) first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) step: Option<u64>,
    pub(crate) cells: Vec<(String, String)>,
}

impl Row {
    /// The row of an event; `None` for events that belong in no table, known or not.
    pub(crate) fn of(event: &Value) -> Option<Self> {
        let kind = match event["event"].as_str()? {
            "step" => Kind::Step,
            "evaluation" => Kind::Evaluation,
            _ => return None,
        };
        let fields = event.as_object()?;
        let mut cells = Vec::with_capacity(fields.len());
        for first in ["step", "split"] {
            if let Some(value) = fields.get(first) {
                cells.push((first.to_owned(), text(value)));
            }
        }
        collect(fields, "", kind, &mut cells);
        Some(Self {
            kind,
            step: event["step"].as_u64(),
            cells,
        })
    }

    pub(crate) fn cell(&self, column: &str) -> &str {
        self.cells
            .iter()
            .find(|(name, _)| name == column)
            .map_or("", |(_, text)| text)
    }
}

fn collect(
    fields: &Map<String, Value>,
    prefix: &str,
    kind: Kind,
    cells: &mut Vec<(String, String)>,
) {
    for (name, value) in fields {
        if prefix.is_empty() && ["event", "step", "split"].contains(&name.as_str()) {
            continue;
        }
        match value {
            // One column a metric, by its own name.
            Value::Object(metrics)
                if kind == Kind::Evaluation && prefix.is_empty() && name == "metrics" =>
            {
                for (metric, value) in metrics {
                    let taken = cells.iter().any(|(column, _)| column == metric)
                        || fields.contains_key(metric);
                    let column = if taken {
                        format!("metrics.{metric}")
                    } else {
                        metric.clone()
                    };
                    cells.push((column, text(value)));
                }
            }
            Value::Object(inner) => collect(inner, &format!("{prefix}{name}."), kind, cells),
            value => cells.push((format!("{prefix}{name}"), text(value))),
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use codex_plugin_api::serde_json::json;

    #[test]
    fn events_become_cells() {
        let event = json!({"event": "evaluation", "time": "t", "step": 4, "split": "validation",
                           "metrics": {"loss": 1.5, "time": 2, "nan": null}, "more": {"a": {"b": true}}, "list": [1, 2]});
        let row = Row::of(&event).unwrap();
        let cells: Vec<_> = row
            .cells
            .iter()
            .map(|(name, text)| format!("{name}={text}"))
            .collect();
        assert_eq!(
            cells,
            [
                "step=4",
                "split=validation",
                "time=t",
                "loss=1.5",
                "metrics.time=2",
                "nan=",
                "more.a.b=true",
                "list=[1,2]"
            ]
        );
        for other in [
            json!({"event": "checkpoint", "step": 3}),
            json!({"step": 3}),
            json!([]),
            json!({"event": 7}),
        ] {
            assert_eq!(Row::of(&other), None);
        }
    }
}
