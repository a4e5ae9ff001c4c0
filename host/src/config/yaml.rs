//! YAML in and out: values with the line each stands on, and text with a comment behind each value.
//! What a value means is the affair of [`super`].

use std::fmt::Write as _;

use codex_plugin_api::{Error, Result};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

/// A value and where it stands in its text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Line from 1; 0 when unknown.
    pub(super) line: u64,
    /// What it is.
    pub(super) kind: NodeKind,
}

/// A scalar, list or map; only maps keep lines inside, because only their entries can be overridden one by one.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum NodeKind {
    /// A scalar or a whole list.
    Leaf(Value),
    /// A map in the order of the text.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The value without its lines.
    pub(super) fn into_value(self) -> Value {
        match self.kind {
            NodeKind::Leaf(value) => value,
            NodeKind::Map(entries) => Value::Object(
                entries
                    .into_iter()
                    .map(|(key, node)| (key, node.into_value()))
                    .collect(),
            ),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let spanned = Spanned::<NodeKind>::deserialize(deserializer)?;
        Ok(Self {
            line: spanned.referenced.line(),
            kind: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for NodeKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = NodeKind;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a YAML value")
    }
    fn visit_unit<E>(self) -> std::result::Result<NodeKind, E> {
        Ok(NodeKind::Leaf(Value::Null))
    }
    fn visit_none<E>(self) -> std::result::Result<NodeKind, E> {
        Ok(NodeKind::Leaf(Value::Null))
    }
    fn visit_some<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<NodeKind, D::Error> {
        NodeKind::deserialize(deserializer)
    }
    fn visit_bool<E>(self, value: bool) -> std::result::Result<NodeKind, E> {
        Ok(NodeKind::Leaf(value.into()))
    }
    fn visit_i64<E>(self, value: i64) -> std::result::Result<NodeKind, E> {
        Ok(NodeKind::Leaf(value.into()))
    }
    fn visit_u64<E>(self, value: u64) -> std::result::Result<NodeKind, E> {
        Ok(NodeKind::Leaf(value.into()))
    }
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> std::result::Result<NodeKind, E> {
        serde_json::Number::from_f64(value)
            .map(|number| NodeKind::Leaf(Value::Number(number)))
            .ok_or_else(|| E::custom("a number must be finite"))
    }
    fn visit_str<E>(self, value: &str) -> std::result::Result<NodeKind, E> {
        Ok(NodeKind::Leaf(value.into()))
    }
    fn visit_string<E>(self, value: String) -> std::result::Result<NodeKind, E> {
        Ok(NodeKind::Leaf(value.into()))
    }
    fn visit_seq<A: SeqAccess<'de>>(
        self,
        mut access: A,
    ) -> std::result::Result<NodeKind, A::Error> {
        let mut items = Vec::new();
        while let Some(node) = access.next_element::<Node>()? {
            items.push(node.into_value());
        }
        Ok(NodeKind::Leaf(Value::Array(items)))
    }
    fn visit_map<A: MapAccess<'de>>(
        self,
        mut access: A,
    ) -> std::result::Result<NodeKind, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, node)) = access.next_entry::<String, Node>()? {
            entries.push((key, node));
        }
        Ok(NodeKind::Map(entries))
    }
}

/// Parses a document; an empty one is an empty map. `name` is what errors call it.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Config`] with the line.
pub(super) fn parse(text: &str, name: &str) -> Result<Node> {
    let node = read(text).map_err(|error| {
        let place = error
            .location()
            .map_or_else(String::new, |location| format!(" line {}", location.line()));
        let mut lines = error.to_string();
        if let Some(end) = lines.find('\n') {
            lines.truncate(end);
        }
        Error::config(format!("{name}{place} is not YAML: {lines}"))
            .hint("check indentation, colons and quotes on that line")
    })?;
    Ok(match node {
        None
        | Some(Node {
            kind: NodeKind::Leaf(Value::Null),
            ..
        }) => Node {
            line: 1,
            kind: NodeKind::Map(Vec::new()),
        },
        Some(node) => node,
    })
}

/// Parses the value of an override; what is not YAML by itself is text (`data.path=C:\a: b`).
pub(crate) fn parse_value(text: &str) -> Value {
    if text.is_empty() {
        return Value::String(String::new());
    }
    read(text).map_or_else(
        |_| Value::String(text.to_owned()),
        |node| node.map_or(Value::Null, Node::into_value),
    )
}

/// YAML 1.2: `yes`, `no`, `on` and `off` are text.
fn read(text: &str) -> std::result::Result<Option<Node>, serde_saphyr::Error> {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options)
}

/// Writes a map as block YAML; `comment` gives what stands behind the value at a dotted path.
pub(super) fn write(
    value: &Map<String, Value>,
    comment: &dyn Fn(&str) -> Option<String>,
) -> String {
    let mut lines = Vec::new();
    collect(value, "", 0, comment, &mut lines);
    // Comments stand in one column, unless a long value would push them all out of sight.
    let column = lines
        .iter()
        .map(|(line, _)| line.chars().count())
        .filter(|&width| width <= 48)
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for (line, comment) in lines {
        match comment {
            Some(comment) => {
                let _ = writeln!(text, "{line:column$}  # {comment}");
            }
            None => {
                let _ = writeln!(text, "{line}");
            }
        }
    }
    text
}

fn collect(
    map: &Map<String, Value>,
    prefix: &str,
    depth: usize,
    comment: &dyn Fn(&str) -> Option<String>,
    lines: &mut Vec<(String, Option<String>)>,
) {
    for (key, value) in map {
        let path = join(prefix, key);
        let indent = "  ".repeat(depth);
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                lines.push((format!("{indent}{}:", scalar_text(key)), None));
                collect(inner, &path, depth + 1, comment, lines);
            }
            value => lines.push((
                format!("{indent}{}: {}", scalar_text(key), flow(value)),
                comment(&path),
            )),
        }
    }
}

/// A dotted path one level deeper.
pub(super) fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() {
        key.to_owned()
    } else {
        format!("{prefix}.{key}")
    }
}

fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => scalar_text(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let entries: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{}: {}", scalar_text(key), flow(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

/// Text as a YAML scalar: plain where no reader could take it for anything else, else in JSON's double quotes.
fn scalar_text(text: &str) -> String {
    let plain = text
        .starts_with(|first: char| first.is_ascii_alphabetic() || "/._".contains(first))
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./*+@".contains(c))
        && matches!(read(text), Ok(Some(Node { kind: NodeKind::Leaf(read), .. })) if read == text)
        && !["y", "n", "yes", "no", "on", "off"].contains(&text.to_ascii_lowercase().as_str());
    if plain {
        text.to_owned()
    } else {
        Value::String(text.to_owned()).to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_are_those_of_the_values() {
        let node = parse(
            "# first\nseed: 1\n\ntraining:\n  steps: 7 # why\n  betas: [0.9, 0.95]\n",
            "x",
        )
        .unwrap();
        let NodeKind::Map(entries) = node.kind else {
            panic!("not a map")
        };
        assert_eq!(entries[0].1.line, 2);
        let NodeKind::Map(training) = &entries[1].1.kind else {
            panic!("not a map")
        };
        assert_eq!(
            training[0].1,
            Node {
                line: 5,
                kind: NodeKind::Leaf(json!(7))
            }
        );
        assert_eq!(training[1].1.kind, NodeKind::Leaf(json!([0.9, 0.95])));
    }

    #[test]
    fn override_values_are_yaml() {
        for (text, value) in [
            ("1e-3", json!(0.001)),
            ("12", json!(12)),
            ("-4", json!(-4)),
            ("true", json!(true)),
            ("null", json!(null)),
            ("", json!("")),
            ("abc", json!("abc")),
            ("\"12\"", json!("12")),
            (
                "[lm, {name: rouge, n: 2}]",
                json!(["lm", {"name": "rouge", "n": 2}]),
            ),
            ("{a: 1}", json!({"a": 1})),
            ("some/file.txt", json!("some/file.txt")),
            ("a: b: c", json!("a: b: c")),
            ("[open", json!("[open")),
            ("čaj", json!("čaj")),
            ("y", json!("y")),
            ("no", json!("no")),
        ] {
            assert_eq!(parse_value(text), value, "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let value = json!({
            "seed": 3, "rate": 3e-4, "tiny": 1e-12, "big": 18_446_744_073_709_551_615_u64, "off": false, "none": null,
            "texts": ["yes", "no", "1", "1e5", "null", "~", "", " a", "a: b", "# c", "it's", "čaj", "line\nbreak", "tab\t",
                      "*x", "&y", "!z", "%w", "@v", "-", "- u", "?", "[", "{", "0x10", "1_000", "2024-01-01", "<<", "=", ".5", ".inf"],
            "empty": {}, "list": [], "nested": {"a.b": 1, "deep": {"x": [{"name": "lm", "k": [1, 2]}]}}, "y": "n"
        });
        let text = write(value.as_object().unwrap(), &|path| {
            Some(format!("from {path}"))
        });
        assert_eq!(parse(&text, "x").unwrap().into_value(), value, "{text}");
        assert!(text.contains("# from nested.deep.x"), "{text}");
    }

    #[test]
    fn broken_yaml_names_file_and_line() {
        let error = parse("seed: 1\ntraining: [1,\n", "runs/x.yaml").unwrap_err();
        assert!(error.message().starts_with("runs/x.yaml line "), "{error}");
        assert!(!error.message().contains('\n'), "{error}");
        let error = parse("seed: 1\nseed: 2\n", "x.yaml").unwrap_err();
        assert!(error.message().contains("line 2"), "{error}");
        assert!(
            parse("a: .nan", "x")
                .unwrap_err()
                .message()
                .contains("finite")
        );
        assert_eq!(parse("", "x").unwrap().into_value(), json!({}));
        assert_eq!(
            parse("# only a comment\n", "x").unwrap().into_value(),
            json!({})
        );
    }
}
