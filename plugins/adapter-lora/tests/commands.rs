//! The commands, with a model of two linear maps that a host of our own creates.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use codex_peft::{Base, Dtype, Folder, Part, Tensor, folder, key, load, parameters, weights};
use codex_plugin_adapter_lora::{Ia3, Lora, LoraCommand, RsLora};
use codex_plugin_api::{
    Adapter, AdapterPlan, Arguments, Command, Dataset, Error, FromConfig, Host, HostRef, Ids, Init,
    LogLevel, Metric, Model, ModelInfo, NoHost, Operation, Parameter, Result, Sanitizer,
    ScoreRequest, Scores, Site, TokenBatch, Tokenizer,
};
use serde_json::{Value, json};

/// Inputs and outputs of the two maps.
const WIDTH: usize = 12;

fn sites() -> Vec<Site> {
    ["first", "second"]
        .map(|name| Site {
            name: format!("h.0.{name}"),
            inputs: WIDTH as u64,
            outputs: WIDTH as u64,
            role: if name == "first" { "query" } else { "value" }.into(),
            layer: Some(0),
            transposed: name == "second",
        })
        .to_vec()
}

/// `first` and `second` of a folder, both as `[outputs, inputs]`; its embedding of a sequence is both applied to one-hot
/// vectors of its ids.
struct Maps {
    weights: BTreeMap<String, Vec<f32>>,
    adapters: BTreeMap<String, AdapterPlan>,
    active: Vec<String>,
}

fn turned(values: &[f32]) -> Vec<f32> {
    (0..WIDTH * WIDTH)
        .map(|at| values[(at % WIDTH) * WIDTH + at / WIDTH])
        .collect()
}

impl Maps {
    fn open(path: &Path) -> Result<Self> {
        let maps = weights::read(path)?
            .into_iter()
            .filter(|(name, _)| name.ends_with(".weight"))
            .map(|(name, tensor)| {
                let values = if name.contains("second") {
                    turned(&tensor.values)
                } else {
                    tensor.values
                };
                (name, values)
            })
            .collect();
        Ok(Self {
            weights: maps,
            adapters: BTreeMap::new(),
            active: Vec::new(),
        })
    }

    /// What an adapter adds to the map of a site.
    fn change(&self, adapter: &str, site: &str) -> Vec<f32> {
        let plan = &self.adapters[adapter];
        let mut sum = vec![0.0; WIDTH * WIDTH];
        let values = |init: &Init| match init {
            Init::Values { offset, length } => &plan.values[*offset as usize..][..*length as usize],
            other => panic!("{other:?}"),
        };
        for at in plan.operations.iter().filter(|at| at.site == site) {
            let Operation::LowRank {
                rank, scale, a, b, ..
            } = &at.operation
            else {
                panic!("{at:?}");
            };
            let (a, b, rank) = (values(a), values(b), *rank as usize);
            for (at, sum) in sum.iter_mut().enumerate() {
                let (row, column) = (at / WIDTH, at % WIDTH);
                *sum += (0..rank)
                    .map(|k| scale * b[row * rank + k] * a[k * WIDTH + column])
                    .sum::<f32>();
            }
        }
        sum
    }
}

impl Model for Maps {
    fn info(&self) -> Result<ModelInfo> {
        Ok(ModelInfo {
            architecture: "maps".into(),
            parameters: 2 * (WIDTH * WIDTH) as u64,
            vocab_size: WIDTH as u32,
            max_sequence_length: 8,
            hidden_size: WIDTH as u32,
            tasks: vec!["embedding".into()],
            device: "cpu".into(),
            precision: "f32".into(),
        })
    }
    fn parameters(&self) -> Result<Vec<Parameter>> {
        Ok(Vec::new())
    }
    fn score(&mut self, _batch: &TokenBatch<'_>, _request: ScoreRequest) -> Result<Scores> {
        Err(Error::unsupported("scoring"))
    }
    fn save(&self, folder: &str) -> Result<()> {
        std::fs::write(format!("{folder}/config.json"), "{}").unwrap();
        let maps = sites().into_iter().map(|site| {
            let name = format!("{}.weight", site.name);
            let values = &self.weights[&name];
            let values = if site.transposed {
                turned(values)
            } else {
                values.clone()
            };
            (name, Tensor::new([WIDTH, WIDTH], values))
        });
        write_weights(Path::new(folder), maps.collect());
        Ok(())
    }
    fn embed(&mut self, sequences: Ids<'_>) -> Result<Vec<f32>> {
        let mut all = Vec::new();
        for ids in sequences.iter() {
            let mut sum = [0.0; WIDTH];
            for site in sites() {
                let map = &self.weights[&format!("{}.weight", site.name)];
                let changes: Vec<_> = self
                    .active
                    .iter()
                    .map(|name| self.change(name, &site.name))
                    .collect();
                for (row, sum) in sum.iter_mut().enumerate() {
                    for id in ids {
                        let at = row * WIDTH + *id as usize;
                        *sum += map[at] + changes.iter().map(|change| change[at]).sum::<f32>();
                    }
                }
            }
            all.extend(sum);
        }
        Ok(all)
    }
    fn sites(&self) -> Result<Vec<Site>> {
        Ok(sites())
    }
    fn load_adapter(&mut self, name: &str, folder: &str) -> Result<()> {
        let loaded = load(&Folder::read(Path::new(folder))?, &sites())?;
        self.adapters.insert(name.into(), loaded.plan);
        Ok(())
    }
    fn activate_adapters(&mut self, names: &[String], _weights: &[f32]) -> Result<()> {
        self.active = names.to_vec();
        Ok(())
    }
    fn merge_adapter(&mut self, name: &str, _merged: bool) -> Result<f64> {
        let mut largest = 0.0_f64;
        for site in sites() {
            let change = self.change(name, &site.name);
            let map = self
                .weights
                .get_mut(&format!("{}.weight", site.name))
                .unwrap();
            for (weight, change) in map.iter_mut().zip(change) {
                *weight += change;
                largest = largest.max(f64::from(change.abs()));
            }
        }
        self.active.retain(|other| other != name);
        Ok(largest)
    }
}

/// Creates the model above and keeps what is printed.
#[derive(Default)]
struct Here(Mutex<String>);

impl Host for Here {
    fn log(&self, _level: LogLevel, _message: &str) {}
    fn progress(&self, _label: &str, _done: u64, _total: u64) {}
    fn threads(&self) -> usize {
        1
    }
    fn interrupted(&self) -> bool {
        false
    }
    fn print(&self, text: &str) -> Result<()> {
        self.0.lock().unwrap().push_str(text);
        Ok(())
    }
    fn read_file(&self, path: &str, _offset: u64, _length: u64) -> Result<Vec<u8>> {
        Err(Error::denied(path))
    }
    fn create_model(&self, name: &str, config: &Value) -> Result<Box<dyn Model>> {
        assert_eq!(name, "maps");
        Ok(Box::new(Maps::open(Path::new(
            config["path"].as_str().unwrap(),
        ))?))
    }
    fn create_tokenizer(&self, name: &str, config: &Value) -> Result<Box<dyn Tokenizer>> {
        NoHost.create_tokenizer(name, config)
    }
    fn create_dataset(&self, name: &str, config: &Value) -> Result<Box<dyn Dataset>> {
        NoHost.create_dataset(name, config)
    }
    fn create_metric(&self, name: &str, config: &Value) -> Result<Box<dyn Metric>> {
        NoHost.create_metric(name, config)
    }
    fn create_sanitizer(&self, name: &str, config: &Value) -> Result<Box<dyn Sanitizer>> {
        NoHost.create_sanitizer(name, config)
    }
    fn create_adapter(&self, name: &str, config: &Value) -> Result<Box<dyn Adapter>> {
        NoHost.create_adapter(name, config)
    }
}

fn text(arguments: Value) -> Result<String> {
    let host = Arc::new(Here::default());
    let held: HostRef = Arc::clone(&host) as HostRef;
    let code = LoraCommand.run(&Arguments(arguments.as_object().unwrap().clone()), &held)?;
    assert_eq!(code, 0);
    let text = host.0.lock().unwrap().clone();
    Ok(text)
}

fn json_of(mut arguments: Value) -> Value {
    arguments["json"] = true.into();
    serde_json::from_str(&text(arguments).unwrap()).unwrap()
}

fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(next).collect()
}

fn write_weights(path: &Path, tensors: BTreeMap<String, Tensor>) {
    let place = tempfile::tempdir().unwrap();
    let whole = Folder {
        config: json!({}),
        tensors,
        metadata: BTreeMap::new(),
    };
    whole.write(place.path(), Dtype::F32).unwrap();
    std::fs::copy(
        place.path().join("adapter_model.safetensors"),
        path.join("model.safetensors"),
    )
    .unwrap();
}

fn string(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Folders below one that is removed at the end.
struct Folders(tempfile::TempDir);

impl Folders {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn model(&self, name: &str, seed: u32) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("config.json"), "{}").unwrap();
        std::fs::write(path.join("tokenizer.json"), "a tokenizer").unwrap();
        std::fs::write(path.join("codex_ml.json"), r#"{"model": {"name": "maps"}}"#).unwrap();
        let mut tensors: BTreeMap<_, _> = sites()
            .iter()
            .enumerate()
            .map(|(index, site)| {
                let values = numbers(seed + index as u32, WIDTH * WIDTH);
                (
                    format!("{}.weight", site.name),
                    Tensor::new([WIDTH, WIDTH], values),
                )
            })
            .collect();
        tensors.insert(
            "h.0.norm.bias".into(),
            Tensor::new([2], vec![0.0, seed as f32]),
        );
        write_weights(&path, tensors);
        path
    }

    fn adapter<T: FromConfig + Adapter>(&self, name: &str, options: Value) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(&path).unwrap();
        let adapter =
            T::from_config(serde_json::from_value(options).unwrap(), NoHost::shared()).unwrap();
        let plan = adapter.plan(&sites()).unwrap();
        let tensors = parameters(&plan, &sites())
            .unwrap()
            .into_iter()
            .enumerate()
            .map(|(index, one)| {
                let values = numbers(99 + index as u32, one.len());
                (one.key.clone(), Tensor::new(one.shape, values))
            })
            .collect();
        folder(&plan, &sites(), tensors, &Base::default())
            .unwrap()
            .write(&path, Dtype::F32)
            .unwrap();
        path
    }
}

/// The change that an adapter's folder makes at each site, by the model above.
fn changes(path: &Path) -> Vec<Vec<f32>> {
    let mut maps = Maps {
        weights: BTreeMap::new(),
        adapters: BTreeMap::new(),
        active: Vec::new(),
    };
    maps.load_adapter("it", &string(path)).unwrap();
    sites()
        .iter()
        .map(|site| maps.change("it", &site.name))
        .collect()
}

fn distance(x: &[f32], y: &[f32]) -> f64 {
    x.iter()
        .zip(y)
        .map(|(x, y)| f64::from(x - y).powi(2))
        .sum::<f64>()
        .sqrt()
}

#[test]
fn merging_gives_a_model_of_its_own() {
    let folders = Folders::new();
    let model = folders.model("model", 1);
    let adapters = [
        folders.adapter::<Lora>("one", json!({"rank": 2, "alpha": 1})),
        folders.adapter::<RsLora>("two", json!({"rank": 4, "targets": ["second"]})),
    ];
    let output = folders.path("merged");
    let arguments = json!({
        "subcommand": "merge", "model": string(&model), "output": string(&output),
        "adapter": adapters.each_ref().map(|path| string(path)),
    });
    let said = json_of(arguments.clone());
    assert!(
        said["largest_logit_difference"].as_f64().unwrap() < 1e-5,
        "{said}"
    );
    assert!(
        said["largest_weight_change"].as_f64().unwrap() > 0.1,
        "{said}"
    );
    assert!(
        said["largest_output_change"].as_f64().unwrap() > 0.1,
        "{said}"
    );
    assert_eq!(said["copied"], json!(["tokenizer.json", "codex_ml.json"]));
    assert_eq!(
        std::fs::read_to_string(output.join("tokenizer.json")).unwrap(),
        "a tokenizer"
    );

    let (before, after) = (Maps::open(&model).unwrap(), Maps::open(&output).unwrap());
    let (one, two) = (changes(&adapters[0]), changes(&adapters[1]));
    for (index, site) in sites().iter().enumerate() {
        let name = format!("{}.weight", site.name);
        let sum: Vec<f32> = (0..WIDTH * WIDTH)
            .map(|at| before.weights[&name][at] + one[index][at] + two[index][at])
            .collect();
        assert!(distance(&sum, &after.weights[&name]) < 1e-5, "{name}");
    }

    let error = text(arguments).unwrap_err();
    assert!(error.message().contains("is there already"), "{error}");
    let swapped = json!({"subcommand": "merge", "model": string(&adapters[0]), "adapter": [string(&model)], "output": "x"});
    let error = text(swapped).unwrap_err();
    assert!(
        error
            .hint_text()
            .unwrap()
            .contains("it is an adapter's folder"),
        "{error:?}"
    );
}

#[test]
fn nothing_is_left_where_merging_fails() {
    let folders = Folders::new();
    let model = folders.model("model", 1);
    let output = folders.path("merged");
    let arguments = json!({
        "subcommand": "merge", "model": string(&model), "adapter": [string(&folders.path("none"))], "output": string(&output),
    });
    let error = text(arguments).unwrap_err();
    assert!(error.message().contains("none"), "{error}");
    let mut left: Vec<_> = std::fs::read_dir(folders.0.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["model"]);
}

#[test]
fn the_difference_of_two_models_is_an_adapter() {
    let folders = Folders::new();
    let (base, tuned) = (folders.model("base", 1), folders.model("tuned", 50));
    let extract = |rank: u32, name: &str| {
        let output = folders.path(name);
        let said = json_of(json!({
            "subcommand": "extract", "base": string(&base), "tuned": string(&tuned), "output": string(&output), "rank": rank,
        }));
        (said, output)
    };
    // At full rank nothing is lost, and more than full is no more.
    for (rank, name) in [(WIDTH as u32, "full"), (20, "more")] {
        let (said, output) = extract(rank, name);
        assert!(said["error"].as_f64().unwrap() < 1e-6, "{said}");
        let (before, after) = (Maps::open(&base).unwrap(), Maps::open(&tuned).unwrap());
        for (site, change) in sites().iter().zip(changes(&output)) {
            let name = format!("{}.weight", site.name);
            let sum: Vec<f32> = before.weights[&name]
                .iter()
                .zip(&change)
                .map(|(x, y)| x + y)
                .collect();
            assert!(distance(&sum, &after.weights[&name]) < 1e-4, "{name}");
        }
        let read = Folder::read(&output).unwrap();
        assert_eq!(
            read.metadata["codex_ml.base"],
            weights::hash(&base).unwrap()
        );
        assert_eq!(read.config["base_model_name_or_path"], string(&base));
        assert_eq!(
            said["not_in_the_adapter"],
            json!([{"parameter": "h.0.norm.bias", "largest_difference": 49.0}])
        );
    }
    let (said, output) = extract(3, "small");
    let error = said["error"].as_f64().unwrap();
    assert!(error > 0.05 && error < 1.0, "{said}");
    let full = changes(&folders.path("full"));
    let norm = |all: &[Vec<f32>]| {
        all.iter()
            .map(|one| distance(one, &[0.0; WIDTH * WIDTH]).powi(2))
            .sum::<f64>()
    };
    let lost: f64 = full
        .iter()
        .zip(changes(&output))
        .map(|(x, y)| distance(x, &y).powi(2))
        .sum();
    assert!(((lost / norm(&full)).sqrt() - error).abs() < 1e-4);
}

#[test]
fn a_lower_rank_is_the_nearest_and_the_configuration_follows() {
    let folders = Folders::new();
    for (name, adapter) in [
        (
            "lora",
            folders.adapter::<Lora>(
                "lora",
                json!({"rank": 6, "alpha": 3, "rank_pattern": {"second": 2}}),
            ),
        ),
        (
            "rslora",
            folders.adapter::<RsLora>("rslora", json!({"rank": 6, "alpha": 3})),
        ),
    ] {
        for rank in [6, 3, 1] {
            let output = folders.path(&format!("{name}-{rank}"));
            let said = json_of(json!({
                "subcommand": "convert", "adapter": string(&adapter), "output": string(&output), "dtype": "f32", "rank": rank,
            }));
            let (before, after) = (changes(&adapter), changes(&output));
            let mut lost = 0.0;
            let mut norm = 0.0;
            for (x, y) in before.iter().zip(&after) {
                lost += distance(x, y).powi(2);
                norm += distance(x, &[0.0; WIDTH * WIDTH]).powi(2);
            }
            let error = said["error"].as_f64().unwrap();
            assert!(
                ((lost / norm).sqrt() - error).abs() < 1e-5,
                "{name} {rank}: {said}"
            );
            assert_eq!(error == 0.0, rank == 6, "{name} {rank}: {said}");
            let ranks: Vec<usize> = Folder::read(&output)
                .unwrap()
                .tensors
                .iter()
                .filter(|(name, _)| name.contains("lora_A"))
                .map(|(_, tensor)| tensor.shape[0])
                .collect();
            let second = if name == "lora" { 2 } else { 6 };
            assert_eq!(ranks, [rank, rank.min(second)]);
        }
    }
    let scales = folders.adapter::<Ia3>("ia3", json!({}));
    let arguments = json!({"subcommand": "convert", "adapter": string(&scales), "output": string(&folders.path("x")), "rank": 1});
    let error = text(arguments).unwrap_err();
    assert!(
        error
            .message()
            .contains("only adapters of PEFT's type LORA"),
        "{error}"
    );
    assert!(!folders.path("x").exists());
}

#[test]
fn other_numbers_are_written_and_the_rounding_is_shown() {
    let folders = Folders::new();
    let adapter = folders.adapter::<Lora>("lora", json!({"rank": 2}));
    let mut roundings = Vec::new();
    for dtype in ["f32", "f16", "bf16"] {
        let output = folders.path(dtype);
        let said = json_of(json!({
            "subcommand": "convert", "adapter": string(&adapter), "output": string(&output), "dtype": dtype,
        }));
        roundings.push(said["largest_rounding"].as_f64().unwrap());
        assert_eq!(
            Folder::read(&output).unwrap().config,
            Folder::read(&adapter).unwrap().config
        );
    }
    assert!(
        roundings[0] == 0.0 && roundings[1] > 0.0 && roundings[1] < roundings[2],
        "{roundings:?}"
    );
}

#[test]
fn an_adapter_shows_what_it_touches() {
    let folders = Folders::new();
    let adapter = folders.adapter::<Lora>("lora", json!({"rank": 2, "alpha": 4}));
    let arguments = json!({"subcommand": "inspect", "adapter": string(&adapter)});
    let said = json_of(arguments.clone());
    assert_eq!(
        (&said["type"], &said["parameters"]),
        (&json!("LoRA"), &json!(4 * 2 * WIDTH))
    );
    for (module, change) in said["modules"]
        .as_array()
        .unwrap()
        .iter()
        .zip(changes(&adapter))
    {
        assert_eq!(
            (&module["rank"], &module["scale"]),
            (&json!(2), &json!(2.0))
        );
        let norm = distance(&change, &[0.0; WIDTH * WIDTH]);
        assert!(
            (module["norm"].as_f64().unwrap() - norm).abs() < 1e-4 * norm,
            "{module}"
        );
        let largest = module["largest_singular_value"].as_f64().unwrap();
        assert!(
            largest > norm / 2.0_f64.sqrt() - 1e-4 && largest < norm,
            "{module}"
        );
    }
    let shown = text(arguments).unwrap();
    for word in [
        "LoRA for an unnamed model",
        "h.0.first",
        "h.0.second",
        "norm",
    ] {
        assert!(shown.contains(word), "{shown}");
    }
    let scales = folders.adapter::<Ia3>("ia3", json!({}));
    let said = json_of(json!({"subcommand": "inspect", "adapter": string(&scales)}));
    assert!(
        said["modules"][0]["largest_distance_of_factors_from_1"]
            .as_f64()
            .unwrap()
            > 1.0,
        "{said}"
    );

    let mut broken = Folder::read(&adapter).unwrap();
    broken.tensors.remove(&key("h.0.first", Part::A));
    broken.write(&adapter, Dtype::F32).unwrap();
    let error = text(json!({"subcommand": "inspect", "adapter": string(&adapter)})).unwrap_err();
    assert!(
        error.message().contains("h.0.first has no matching pair"),
        "{error}"
    );
}
