//! Lays defaults, group files, run files and the command line over each other.
//!
//! Order, later wins: the host's defaults, the group files that were picked, the default run, the run file, `key=value`.
//! Three rules keep a later choice from mixing with an earlier one: another `name` (or a `path`) starts a plugin's section
//! anew, `data.path` without a name means files, and `steps` and `epochs` put each other out.

use std::path::Path;

use codex_plugin_api::{Error, Result};
use serde_json::{Map, Value};

use super::groups::{ConfigText, GROUPS, Library, read_file};
use super::keys::RunConfig;
use super::origin::Origin;
use super::tree::{Assignment, Tree, assignments, spread};
use super::yaml::{self, Node, NodeKind};
use crate::plugins::nearest::nearest;

/// Sections that belong to one plugin each, and the host's keys in them that another plugin does not put out.
const SECTIONS: [(&str, &[&str]); 4] = [
    (
        "data",
        &[
            "name",
            "text_column",
            "text_pair_column",
            "anchor_column",
            "positive_column",
            "negative_column",
            "label_column",
            "validation_fraction",
        ],
    ),
    ("tokenizer", &["name", "training_bytes"]),
    ("model", &["name"]),
    ("adapter", &["name"]),
];

/// A parsed run file or command line: picks of group files, and values.
#[derive(Debug, Default)]
struct Layer {
    picks: Vec<(String, String)>,
    values: Vec<Assignment>,
}

/// Folds everything into one tree; nothing is checked against a schema yet.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Config`] for files that are not there or are not YAML, and overrides without `=`.
pub(super) fn fold(file: Option<&Path>, overrides: &[String]) -> Result<Tree> {
    let (found, found_path) = match file.map(open).transpose()? {
        Some((text, path)) => (Some(text), path),
        None => (None, None),
    };
    let library = Library::new(found_path.as_deref());
    let default = run_layer(&library.run("default")?)?;
    let file = match found {
        Some(text) => run_layer(&text)?,
        None => Layer::default(),
    };
    let command_line = override_layer(overrides)?;

    let mut tree = defaults();
    for group in GROUPS {
        let pick = |layer: &Layer| {
            let picked = layer.picks.iter().rev().find(|(of, _)| of == group);
            picked.map(|(_, name)| name.clone())
        };
        if let Some(name) = pick(&command_line)
            .or_else(|| pick(&file))
            .or_else(|| pick(&default))
        {
            let layer = group_layer(&library.group(group, &name)?, group)?;
            apply(&mut tree, layer, false)?;
        }
    }
    // What a ready-made run picks is a proposal, as the default run's picks are: a `path` still stands for something else.
    let own_file = found_path.is_some();
    let chosen = |section: &str| {
        let picked = |layer: &Layer| layer.picks.iter().any(|(group, _)| group == section);
        (own_file && picked(&file)) || picked(&command_line)
    };
    let (data_chosen, tokenizer_chosen) = (chosen("data"), chosen("tokenizer"));
    let touched = |section: &str| {
        let in_layer = |layer: &Layer| layer.values.iter().any(|value| value.path[0] == section);
        in_layer(&file) || in_layer(&command_line)
    };
    let tokenizer_chosen = tokenizer_chosen || touched("tokenizer");
    let named = file
        .values
        .iter()
        .any(|value| value.path == ["data", "name"]);

    apply(&mut tree, default.values, false)?;
    apply(&mut tree, file.values, !data_chosen)?;
    apply(&mut tree, command_line.values, !data_chosen && !named)?;
    if let Some(path) = tree.get("model.path").cloned()
        && !tokenizer_chosen
    {
        tree.clear_section("tokenizer", &["name", "training_bytes"]);
        let key = ["tokenizer".to_owned(), "path".to_owned()];
        tree.set(&key, path, Origin::Derived("model.path"));
    }
    Ok(tree)
}

/// The configuration of a run that is continued, with overrides on top.
///
/// # Errors
/// As [`fold`].
pub(super) fn fold_stored(config: &Path, overrides: &[String]) -> Result<Tree> {
    let text = read_file(config)?;
    let node = yaml::parse(&text.text, &text.label)?;
    let mut values = Vec::new();
    assignments(node, &[], &|_| Origin::Run(text.label.clone()), &mut values);
    let mut tree = defaults();
    apply(&mut tree, values, false)?;
    let layer = override_layer(overrides)?;
    let library = Library::default();
    for (group, name) in &layer.picks {
        let layer = group_layer(&library.group(group, name)?, group)?;
        apply(&mut tree, layer, false)?;
    }
    apply(&mut tree, layer.values, false)?;
    Ok(tree)
}

/// What `--config` names: a file, else a ready-made run.
fn open(file: &Path) -> Result<(ConfigText, Option<std::path::PathBuf>)> {
    if file.is_file() {
        return Ok((read_file(file)?, Some(file.to_path_buf())));
    }
    let as_name = file.to_str().filter(|name| !name.contains(['/', '\\']));
    match as_name {
        Some(name) => {
            let stem = name.strip_suffix(".yaml").unwrap_or(name);
            Ok((Library::new(None).run(stem)?, None))
        }
        None => Err(
            Error::config(format!("there is no config file {}", file.display()))
                .hint("`codex-ml config list` shows the ready-made ones"),
        ),
    }
}

fn defaults() -> Tree {
    // A struct of plain values always becomes a map.
    let values = match serde_json::to_value(RunConfig::default()) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    };
    Tree {
        values,
        ..Tree::default()
    }
}

fn run_layer(text: &ConfigText) -> Result<Layer> {
    let node = yaml::parse(&text.text, &text.label)?;
    let NodeKind::Map(entries) = node.kind else {
        return Err(
            Error::config(format!("{} is not a map of keys", text.label))
                .hint("write one `key: value` a line"),
        );
    };
    let origin = |line| Origin::File {
        file: text.label.clone(),
        line,
    };
    let mut layer = Layer::default();
    for (key, node) in entries {
        match node {
            node if key == "defaults" => {
                let line = node.line;
                layer.picks = picks(&node.into_value(), &text.label, line)?;
            }
            Node {
                kind: NodeKind::Leaf(Value::String(name)),
                ..
            } if GROUPS.contains(&key.as_str()) => layer.picks.push((key, name)),
            node => assignments(node, &[key], &origin, &mut layer.values),
        }
    }
    Ok(layer)
}

fn picks(defaults: &Value, label: &str, line: u64) -> Result<Vec<(String, String)>> {
    let wrong = || {
        Error::config(format!(
            "`defaults` of {label}:{line} is {defaults}, which is not a list of picks"
        ))
        .hint("write it as\ndefaults:\n  - model: minilm-small")
    };
    let mut picks = Vec::new();
    for item in defaults.as_array().ok_or_else(wrong)? {
        for (group, name) in item.as_object().ok_or_else(wrong)? {
            if !GROUPS.contains(&group.as_str()) {
                let error = Error::config(format!("there is no group `{group}` ({label}:{line})"));
                return Err(match nearest(group, GROUPS) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error.hint(format!("the groups are {}", GROUPS.join(", "))),
                });
            }
            picks.push((group.clone(), name.as_str().ok_or_else(wrong)?.to_owned()));
        }
    }
    Ok(picks)
}

fn group_layer(text: &ConfigText, group: &str) -> Result<Vec<Assignment>> {
    let node = yaml::parse(&text.text, &text.label)?;
    let file = text.label.strip_prefix("built-in ").map_or_else(
        || text.label.clone(),
        |path| path.trim_end_matches(".yaml").to_owned(),
    );
    let mut values = Vec::new();
    let origin = |line| Origin::Group {
        file: file.clone(),
        line,
    };
    assignments(node, &[group.to_owned()], &origin, &mut values);
    Ok(values)
}

fn override_layer(overrides: &[String]) -> Result<Layer> {
    let mut layer = Layer::default();
    for text in overrides {
        let (key, value) = text.split_once('=').ok_or_else(|| {
            Error::config(format!("{text:?} is not a setting"))
                .hint("a setting is key=value, for example training.steps=100")
        })?;
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err(Error::config(format!("{key:?} is not a key (in {text:?})"))
                .hint("a key is words between points, for example training.steps"));
        }
        match yaml::parse_value(value) {
            Value::String(name) if GROUPS.contains(&key) => {
                layer.picks.push((key.to_owned(), name));
            }
            value => spread(value, &path, &Origin::CommandLine, &mut layer.values),
        }
    }
    Ok(layer)
}

/// Lays one layer over the tree. `path_means_files`: whether `data.path` alone chooses the dataset `files`.
fn apply(tree: &mut Tree, mut layer: Vec<Assignment>, path_means_files: bool) -> Result<()> {
    name_adapter(&mut layer);
    let sets = |section: &str, key: &str| {
        // Of two settings of the same key in one layer the last one counts.
        let found = layer
            .iter()
            .rev()
            .find(|value| value.path == [section, key]);
        found.filter(|value| !value.value.is_null())
    };
    let only_path = sets("data", "path").is_some() && sets("data", "name").is_none();
    for (section, keep) in SECTIONS {
        let other_name = sets(section, "name")
            .is_some_and(|value| tree.get(&format!("{section}.name")) != Some(&value.value));
        if other_name || sets(section, "path").is_some() {
            tree.clear_section(section, keep);
        }
    }
    if only_path && path_means_files {
        let key = ["data".to_owned(), "name".to_owned()];
        tree.set(&key, "files".into(), Origin::Derived("data.path"));
    }
    match (sets("training", "steps"), sets("training", "epochs")) {
        (Some(steps), Some(epochs)) => {
            return Err(Error::config(format!(
                "both `training.steps` ({}) and `training.epochs` ({}) are set ({})",
                steps.value, epochs.value, epochs.origin
            ))
            .hint("leave one of them out"));
        }
        (Some(_), None) => put_out(tree, "epochs", "training.steps"),
        (None, Some(_)) => put_out(tree, "steps", "training.epochs"),
        (None, None) => {}
    }
    for Assignment {
        path,
        value,
        origin,
    } in layer
    {
        tree.set(&path, value, origin);
    }
    Ok(())
}

/// `adapter=lora` is short for `adapter.name=lora`, so that `adapter.rank=8` beside it adds to it in either order.
fn name_adapter(layer: &mut [Assignment]) {
    for Assignment { path, value, .. } in layer {
        if *path == ["adapter"] && value.is_string() {
            path.push("name".to_owned());
        }
    }
}

fn put_out(tree: &mut Tree, key: &str, by: &'static str) {
    if tree.get(&format!("training.{key}")).is_some() {
        let path = ["training".to_owned(), key.to_owned()];
        tree.set(&path, Value::Null, Origin::Derived(by));
    }
}
