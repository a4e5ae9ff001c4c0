//! `docs/configuration.md`: every key of the host with its type, default and meaning, written from the schema.

use std::fmt::Write as _;

use serde_json::Value;

use super::groups::{GROUPS, Library};
use super::schema::host_schema;
use super::yaml::join;

const HEAD: &str = "# Configuration

<!-- Generated from host/src/config by `CODEX_ML_WRITE_DOCS=1 cargo test --release -p codex-ml`. Do not edit. -->

A run is told what to do by YAML. Later layers win: the host's defaults, the group files that were picked, the run file,
`key=value` on the command line.

```yaml
# my-run.yaml
defaults:                # picks configs/<group>/<name>.yaml, or the built-in file of that name
  - model: minilm-small
  - training: long
data:
  path: texts/
training:
  learning_rate: 5.0e-4
```

```sh
codex-ml train --config my-run.yaml model=minilm-tiny training.batch_size=32
codex-ml config show --config my-run.yaml     # every value and where it came from
codex-ml config schema                        # JSON Schema, with the keys of the installed plugins
```

A value on the command line is YAML (`training.betas='[0.9, 0.95]'`). Another `name`, or a `path`, starts a plugin's section
anew; `data.path` alone means the dataset `files`; `model.path` alone also takes the tokenizer from there. With `-m`,
`training.learning_rate=1e-3,3e-3` trains once with each value.

## Keys

The sections `data`, `tokenizer` and `model`, and the entries of `adapter`, `sanitizers`, `metrics` and `trackers`, also take
the keys of the plugin they name: `codex-ml config schema` shows those.

| key | type | default | meaning |
|---|---|---|---|
";

/// The page.
pub fn reference() -> String {
    let schema = host_schema();
    let mut page = HEAD.to_owned();
    rows(&schema, &schema, "", &mut page);
    page.push_str("\n## Built-in files\n\n| pick | what it is |\n|---|---|\n");
    let built_in = Library::default().list();
    for group in GROUPS.iter().map(|group| Some(*group)).chain([None]) {
        for listed in &built_in {
            if listed.group.as_deref() == group {
                let pick = match group {
                    Some(group) => format!("{group}={}", listed.name),
                    None => format!("--config {}", listed.name),
                };
                let _ = writeln!(page, "| `{pick}` | {} |", listed.description);
            }
        }
    }
    page
}

fn rows(document: &Value, schema: &Value, prefix: &str, page: &mut String) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (key, property) in properties.into_iter().flatten() {
        let path = join(prefix, key);
        let target = behind(document, property);
        let text = |schema: &Value| {
            let text = schema.get("description").and_then(Value::as_str);
            text.map(|text| text.replace('\n', " ").replace('|', "\\|"))
        };
        let meaning = text(property).or_else(|| text(target)).unwrap_or_default();
        if target.get("properties").is_some() {
            let optional = property.get("anyOf").is_some();
            let default = if optional { "absent" } else { "" };
            let _ = writeln!(page, "| `{path}` | map | {default} | {meaning} |");
            rows(document, target, &path, page);
            continue;
        }
        let default = property.get("default").filter(|value| !value.is_null());
        let default = default.map_or_else(|| "absent".to_owned(), |value| format!("`{value}`"));
        let _ = writeln!(
            page,
            "| `{path}` | {} | {default} | {meaning} |",
            type_word(document, property)
        );
        for (word, meaning) in choices(target) {
            let _ = writeln!(page, "| | `{word}` | | {meaning} |");
        }
    }
}

fn behind<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let target = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|reference| document.pointer(reference.trim_start_matches('#')));
    if let Some(target) = target {
        return target;
    }
    let options = schema.get("anyOf").and_then(Value::as_array);
    options
        .into_iter()
        .flatten()
        .find(|option| option.get("type") != Some(&Value::from("null")))
        .map_or(schema, |option| behind(document, option))
}

fn choices(schema: &Value) -> Vec<(&str, &str)> {
    let options = schema.get("oneOf").and_then(Value::as_array);
    options
        .into_iter()
        .flatten()
        .filter_map(|option| {
            let meaning = option.get("description").and_then(Value::as_str);
            Some((option.get("const")?.as_str()?, meaning.unwrap_or_default()))
        })
        .collect()
}

fn type_word(document: &Value, property: &Value) -> String {
    let target = behind(document, property);
    if target.get("oneOf").is_some() {
        return "one of".to_owned();
    }
    if target.get("anyOf").is_some() || target.get("$ref").is_some() {
        return "component".to_owned();
    }
    let types: Vec<&str> = match target.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => vec!["component"],
    };
    let words: Vec<&str> = types
        .into_iter()
        .filter(|word| *word != "null")
        .map(|word| match word {
            "string" => "text",
            "boolean" => "true or false",
            "array" => "list",
            "object" => "map",
            other => other,
        })
        .collect();
    words.join(" or ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_page_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
        let page = reference();
        if std::env::var_os("CODEX_ML_WRITE_DOCS").is_some() {
            std::fs::write(&path, &page).unwrap();
        }
        let on_disk = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            on_disk == page,
            "docs/configuration.md is stale: run the tests once with CODEX_ML_WRITE_DOCS=1"
        );
    }

    #[test]
    fn every_key_is_explained() {
        for line in reference().lines().filter(|line| line.starts_with("| `")) {
            let meaning = line.trim_end_matches(" |").rsplit(" | ").next().unwrap();
            assert!(meaning.len() > 8, "{line}");
        }
    }
}
