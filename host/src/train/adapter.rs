//! The adapter that a run trains: added to the model before the first step, and described for what people read.
//!
//! The plugin says which operations go where, the model runs and saves them. What is the host's here: that the base is
//! known and stays the same, and that a head which the base may lack is trained and saved with the adapter.

use std::fs;
use std::path::Path;

use codex_plugin_api::{Adapter, AdapterPlan, Error, ErrorKind, Model, Result, Site};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::checkpoint;
use super::report::grouped;
use crate::data::hex;
use crate::task::Task;

/// What the model calls it: the name that PEFT gives an adapter where nobody says otherwise.
pub(super) const NAME: &str = "default";

/// How many groups of sites a line names.
const NAMED: usize = 6;

/// What a run trains instead of the whole model.
#[derive(Clone, Debug)]
pub(super) struct Trained {
    /// The component's name.
    pub(super) name: String,
    /// Its keys with their defaults.
    pub(super) options: Value,
    /// The folder of the base, as the configuration has it.
    pub(super) base: String,
    /// The sites with operations, each once, in the plan's order.
    pub(super) sites: Vec<String>,
    /// The modules that train whole.
    pub(super) whole: Vec<String>,
    /// How many parameters train.
    pub(super) trainable: u64,
    /// How many there are, those of the adapter included.
    pub(super) parameters: u64,
}

impl Trained {
    /// Asks the adapter for its plan and adds it to the model. `model_name` is for errors.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming model and adapter where the model takes none, and the two plugins' own errors.
    pub(super) fn add(
        (name, options, adapter): (&str, Value, &dyn Adapter),
        (model_name, model): (&str, &mut dyn Model),
        base: &str,
        task: Task,
    ) -> Result<Self> {
        let refuse = |error: Error| match error.kind() {
            ErrorKind::Unsupported => takes_none(model_name, name, &error),
            _ => error,
        };
        let sites = model.sites().map_err(refuse)?;
        let mut plan = adapter.plan(&sites)?;
        if plan.operations.is_empty() && plan.modules_to_save.is_empty() {
            return Err(Error::config(format!(
                "adapter {name} adds nothing to model {model_name}, which has {} sites",
                sites.len()
            ))
            .hint(
                "say which sites it is for; the adapter's keys are in `codex-ml config schema`",
            ));
        }
        complete(&mut plan, &sites, task);
        model.add_adapter(NAME, &plan).map_err(refuse)?;
        let mut touched: Vec<String> = Vec::new();
        for operation in plan.operations {
            if !touched.contains(&operation.site) {
                touched.push(operation.site);
            }
        }
        Ok(Self {
            name: name.to_owned(),
            options,
            base: base.to_owned(),
            sites: touched,
            whole: plan.modules_to_save,
            trainable: 0,
            parameters: 0,
        })
    }

    /// Counts what trains, once training has begun.
    ///
    /// # Errors
    /// The model's.
    pub(super) fn count(&mut self, model: &dyn Model) -> Result<()> {
        (self.trainable, self.parameters) = (0, 0);
        for parameter in model.parameters()? {
            let size: u64 = parameter.shape.iter().product();
            self.parameters += size;
            if parameter.trainable {
                self.trainable += size;
            }
        }
        Ok(())
    }

    /// `24,576 of 1,234,567 parameters (1.99 %)`.
    pub(super) fn share(&self) -> String {
        let share = 100.0 * self.trainable as f64 / self.parameters.max(1) as f64;
        format!(
            "{} of {} parameters ({share:.2} %)",
            grouped(self.trainable),
            grouped(self.parameters)
        )
    }

    /// Where it works: `model.layers.*.self_attn.q_proj (4), model.layers.*.mlp.down_proj (4), classifier (whole)`.
    pub(super) fn places(&self) -> String {
        let mut groups = patterns(&self.sites);
        groups.extend(self.whole.iter().map(|module| format!("{module} (whole)")));
        let more = groups.len().saturating_sub(NAMED);
        groups.truncate(NAMED);
        if more > 0 {
            groups.push(format!("and {more} more"));
        }
        groups.join(", ")
    }

    /// For `environment.json`.
    pub(super) fn described(&self) -> Value {
        json!({
            "name": self.name,
            "options": self.options,
            "base": self.base,
            "sites": self.sites,
            "modules_to_save": self.whole,
            "trainable_parameters": self.trainable,
            "parameters": self.parameters,
        })
    }
}

/// Adds what the plan's author could not know: the task, and the head of a task whose base may not have one. A head that
/// neither trained nor was saved would be another one whenever the adapter is loaded.
fn complete(plan: &mut AdapterPlan, sites: &[Site], task: Task) {
    let mut heads = Vec::new();
    if matches!(task, Task::Classification | Task::Regression) {
        for site in sites.iter().filter(|site| site.role == "head") {
            let names = |module: &String| {
                let rest = site.name.strip_suffix(module.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            };
            let adapted = plan.operations.iter().any(|it| it.site == site.name);
            if !adapted && !plan.modules_to_save.iter().any(names) {
                plan.modules_to_save.push(site.name.clone());
                heads.push(Value::from(site.name.clone()));
            }
        }
    }
    let Value::Object(saved) = &mut plan.saved_config else {
        return;
    };
    match saved.get_mut("modules_to_save") {
        None if plan.modules_to_save.is_empty() => {}
        None => {
            saved.insert("modules_to_save".into(), json!(plan.modules_to_save));
        }
        // Where the plugin has said which they are, the plan may hold more: patterns of biases, which are no modules to
        // PEFT.
        Some(said) => match said.as_array_mut() {
            Some(modules) => modules.extend(heads),
            None if heads.is_empty() => {}
            None => *said = Value::Array(heads),
        },
    }
    // PEFT's words; it has none for masked language models.
    let word = match task {
        Task::CausalLm => "CAUSAL_LM",
        Task::MaskedLm => return,
        Task::Embedding => "FEATURE_EXTRACTION",
        Task::Classification | Task::Regression => "SEQ_CLS",
    };
    let known = saved.get("task_type");
    if known.is_none_or(Value::is_null) {
        saved.insert("task_type".into(), json!(word));
    }
}

/// The error for a model that takes no adapters, or not this one.
fn takes_none(model: &str, adapter: &str, error: &Error) -> Error {
    Error::config(format!(
        "model {model} does not take adapter {adapter}: {}",
        error.message()
    ))
    .hint(error.hint_text().unwrap_or(
        "leave `adapter` out to train the whole model, or choose another model or adapter",
    ))
}

/// Names with their numbers replaced by `*`, and how many each stands for.
fn patterns(names: &[String]) -> Vec<String> {
    let mut found: Vec<(String, usize)> = Vec::new();
    for name in names {
        let parts = name.split('.').map(|part| {
            let number = part.bytes().all(|byte| byte.is_ascii_digit());
            if number { "*" } else { part }
        });
        let pattern = parts.collect::<Vec<_>>().join(".");
        match found.iter_mut().find(|(known, _)| *known == pattern) {
            Some((_, count)) => *count += 1,
            None => found.push((pattern, 1)),
        }
    }
    found
        .into_iter()
        .map(|(pattern, count)| match count {
            1 => pattern,
            _ => format!("{pattern} ({count})"),
        })
        .collect()
}

/// A digest of the base's files, by which a run that is continued knows it again: a checkpoint holds the adapter alone.
/// Subfolders and pages of text say nothing of the weights.
///
/// # Errors
/// [`ErrorKind::Data`] naming what cannot be read.
pub(super) fn base_fingerprint(folder: &Path) -> Result<String> {
    let failed = |path: &Path, error: &std::io::Error| {
        Error::data(format!("cannot read {}: {error}", path.display()))
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, &error))? {
        let path = entry.map_err(|error| failed(folder, &error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_file() && !name.starts_with('.') && !name.ends_with(".md") {
            files.push((name.into_owned(), path));
        }
    }
    files.sort();
    let mut sha = Sha256::new();
    for (name, path) in files {
        let digest = checkpoint::sha256(&path).map_err(|error| failed(&path, &error))?;
        sha.update(format!("{name} {digest}\n"));
    }
    Ok(hex(&sha.finalize()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use codex_plugin_api::{Init, Operation, SiteOperation};

    use super::*;

    fn site(name: &str, role: &str) -> Site {
        Site {
            name: name.into(),
            inputs: 4,
            outputs: 4,
            role: role.into(),
            layer: None,
            transposed: false,
        }
    }

    fn plan(sites: &[&str], whole: &[&str]) -> AdapterPlan {
        let start = Init::Constant { value: 1.0 };
        let operation = |site: &&str| SiteOperation {
            site: (*site).to_owned(),
            operation: Operation::ScaleOutput {
                start: start.clone(),
                train: true,
            },
        };
        AdapterPlan {
            operations: sites.iter().map(operation).collect(),
            modules_to_save: whole.iter().map(|&name| name.to_owned()).collect(),
            saved_config: json!({"peft_type": "IA3"}),
            values: Vec::new(),
        }
    }

    #[test]
    fn a_head_is_trained_and_saved_with_the_adapter_where_the_task_has_one() {
        let sites = [
            site("bert.encoder.layer.0.query", "query"),
            site("bert.pooler.dense", "head"),
            site("classifier", "head"),
        ];
        for (task, touched, whole, expected, task_type) in [
            (
                Task::Classification,
                "bert.encoder.layer.0.query",
                &[][..],
                &["bert.pooler.dense", "classifier"][..],
                Some("SEQ_CLS"),
            ),
            (
                Task::Regression,
                "classifier",
                &["dense"],
                &["dense"],
                Some("SEQ_CLS"),
            ),
            (
                Task::Classification,
                "bert.pooler.dense",
                &["x"],
                &["x", "classifier"],
                Some("SEQ_CLS"),
            ),
            (Task::MaskedLm, "bert.encoder.layer.0.query", &[], &[], None),
            (Task::CausalLm, "classifier", &[], &[], Some("CAUSAL_LM")),
            (
                Task::Embedding,
                "classifier",
                &[],
                &[],
                Some("FEATURE_EXTRACTION"),
            ),
        ] {
            let mut plan = plan(&[touched], whole);
            complete(&mut plan, &sites, task);
            assert_eq!(plan.modules_to_save, expected, "{task}");
            assert_eq!(
                plan.saved_config.get("task_type").and_then(Value::as_str),
                task_type,
                "{task}"
            );
            let saved = plan.saved_config.get("modules_to_save");
            assert_eq!(saved.is_some(), !expected.is_empty());
        }
        // Where the plugin names the modules, only the head comes to them, and no pattern of biases.
        for (said, expected) in [
            (Value::Null, json!(["bert.pooler.dense", "classifier"])),
            (
                json!(["x"]),
                json!(["x", "bert.pooler.dense", "classifier"]),
            ),
        ] {
            let mut biased = plan(&["bert.encoder.layer.0.query"], &["x", "*.bias"]);
            biased.saved_config["modules_to_save"] = said;
            complete(&mut biased, &sites, Task::Classification);
            assert_eq!(biased.saved_config["modules_to_save"], expected);
            assert_eq!(
                biased.modules_to_save,
                ["x", "*.bias", "bert.pooler.dense", "classifier"]
            );
        }
        let mut biased = plan(&["classifier"], &["*.bias"]);
        biased.saved_config["modules_to_save"] = Value::Null;
        complete(&mut biased, &sites, Task::CausalLm);
        assert_eq!(biased.saved_config["modules_to_save"], Value::Null);
        // What the plugin says of the task stays, and a plan that nobody else reads stays without.
        let mut own = plan(&["classifier"], &[]);
        own.saved_config["task_type"] = json!("MINE");
        complete(&mut own, &sites, Task::CausalLm);
        assert_eq!(own.saved_config["task_type"], "MINE");
        own.saved_config = Value::Null;
        complete(&mut own, &sites, Task::CausalLm);
        assert_eq!(own.saved_config, Value::Null);
    }

    #[test]
    fn places_are_short() {
        let name = |layer: usize, module: &str| format!("h.{layer}.{module}");
        let mut trained = Trained {
            name: "lora".into(),
            options: Value::Null,
            base: "base".into(),
            sites: (0..3).map(|layer| name(layer, "q")).collect(),
            whole: vec!["classifier".into()],
            trainable: 12_288,
            parameters: 1_228_800,
        };
        assert_eq!(trained.places(), "h.*.q (3), classifier (whole)");
        assert_eq!(trained.share(), "12,288 of 1,228,800 parameters (1.00 %)");
        trained.sites = "abcdefgh"
            .chars()
            .map(|letter| letter.to_string())
            .collect();
        assert_eq!(trained.places(), "a, b, c, d, e, f, and 3 more");
    }

    #[test]
    fn a_base_is_known_by_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("config.json", "{}");
        write("model.safetensors", "abc");
        let before = base_fingerprint(folder.path()).unwrap();
        write("README.md", "a card");
        write(".cache", "x");
        fs::create_dir(folder.path().join("onnx")).unwrap();
        assert_eq!(base_fingerprint(folder.path()).unwrap(), before);
        write("model.safetensors", "abd");
        assert_ne!(base_fingerprint(folder.path()).unwrap(), before);
        let error = base_fingerprint(&folder.path().join("none")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
    }
}
