//! A tree of values under dotted keys, with the origin of each.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::origin::Origin;
use super::yaml::{Node, NodeKind, join};

/// One value to set.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Assignment {
    /// Keys from the outermost to the innermost.
    pub(super) path: Vec<String>,
    /// The value; maps are spread into one assignment a key.
    pub(super) value: Value,
    /// Who sets it.
    pub(super) origin: Origin,
}

/// Spreads a node into assignments; `origin` is told the line of each value.
pub(super) fn assignments(
    node: Node,
    path: &[String],
    origin: &dyn Fn(u64) -> Origin,
    out: &mut Vec<Assignment>,
) {
    match node.kind {
        NodeKind::Map(entries) => {
            for (key, inner) in entries {
                assignments(inner, &[path, &[key]].concat(), origin, out);
            }
        }
        NodeKind::Leaf(value) => spread(value, path, &origin(node.line), out),
    }
}

/// Spreads a value into assignments of one origin.
pub(super) fn spread(value: Value, path: &[String], origin: &Origin, out: &mut Vec<Assignment>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                spread(inner, &[path, &[key]].concat(), origin, out);
            }
        }
        value => out.push(Assignment {
            path: path.to_vec(),
            value,
            origin: origin.clone(),
        }),
    }
}

/// Values and where they came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tree {
    pub(super) values: Map<String, Value>,
    /// By dotted path of the leaf; what is not here is a default.
    pub(super) origins: BTreeMap<String, Origin>,
}

impl Tree {
    /// The value at a dotted path, when there is one that is not null.
    pub(super) fn get(&self, path: &str) -> Option<&Value> {
        let mut parts = path.split('.');
        let mut at = self.values.get(parts.next()?)?;
        for part in parts {
            at = at.as_object()?.get(part)?;
        }
        (!at.is_null()).then_some(at)
    }

    /// Sets a value; what stood there, or stands in its way, goes.
    pub(super) fn set(&mut self, path: &[String], value: Value, origin: Origin) {
        let dotted = path.join(".");
        let below = format!("{dotted}.");
        self.origins
            .retain(|key, _| *key != dotted && !key.starts_with(&below));
        for end in 1..path.len() {
            self.origins.remove(&path[..end].join("."));
        }
        self.origins.insert(dotted, origin);
        let mut at = &mut self.values;
        let Some((last, parents)) = path.split_last() else {
            return;
        };
        for part in parents {
            let entry = at
                .entry(part.clone())
                .or_insert_with(|| Value::Object(Map::new()));
            if !entry.is_object() {
                *entry = Value::Object(Map::new());
            }
            let Value::Object(inner) = entry else { return };
            at = inner;
        }
        at.insert(last.clone(), value);
    }

    /// Takes all keys out of a section but those in `keep`.
    pub(super) fn clear_section(&mut self, section: &str, keep: &[&str]) {
        if let Some(Value::Object(map)) = self.values.get_mut(section) {
            map.retain(|key, _| keep.contains(&key.as_str()));
        }
        self.origins.retain(|path, _| {
            path.strip_prefix(section)
                .and_then(|rest| rest.strip_prefix('.'))
                .is_none_or(|rest| keep.contains(&rest))
        });
    }

    /// Where the value at a dotted path came from: else the nearest one around it, else the first one in it.
    pub(super) fn origin(&self, path: &str) -> &Origin {
        let mut at = path;
        loop {
            if let Some(origin) = self.origins.get(at) {
                return origin;
            }
            match at.rfind('.') {
                Some(end) => at = &at[..end],
                None => break,
            }
        }
        let below = format!("{path}.");
        let inside = self.origins.range(below.clone()..).next();
        inside
            .filter(|(key, _)| key.starts_with(&below))
            .map_or(&Origin::Default, |(_, origin)| origin)
    }
}

/// Every leaf below `value` by its dotted path; lists and empty maps are leaves.
pub(super) fn leaves(value: &Map<String, Value>, prefix: &str, out: &mut BTreeMap<String, Value>) {
    for (key, value) in value {
        let path = join(prefix, key);
        match value {
            Value::Object(inner) if !inner.is_empty() => leaves(inner, &path, out),
            value => {
                out.insert(path, value.clone());
            }
        }
    }
}
