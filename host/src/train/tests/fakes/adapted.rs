//! A table that takes adapters: operations `bias` on its one site, trained while the table itself stays.

use std::fs;
use std::path::Path;

use codex_plugin_api::{
    Adapter, AdapterPlan, Error, GradientSummary, Init, Loss, Model, ModelInfo, Operation,
    OptimizerStep, Parameter, Result, ScoreRequest, Scores, Site, SiteOperation, TokenBatch,
    TrainingPass, TrainingSettings,
};
use serde_json::{Value, json};

use super::{CONTEXTS, IDS, Table, bytes, numbers};

/// The site that the table has.
pub(crate) const SITE: &str = "layers.0.output";

/// A bias for the sites in `targets`, all when absent.
pub(super) struct BiasAdapter(pub(super) Value);

impl Adapter for BiasAdapter {
    fn plan(&self, sites: &[Site]) -> Result<AdapterPlan> {
        let targets: Vec<&str> = match self.0["targets"].as_array() {
            Some(targets) => targets.iter().filter_map(Value::as_str).collect(),
            None => sites.iter().map(|site| site.name.as_str()).collect(),
        };
        for target in &targets {
            if !sites.iter().any(|site| site.name == *target) {
                return Err(Error::config(format!("there is no site {target:?}"))
                    .hint(format!("the sites are {}", sites[0].name)));
            }
        }
        let operation = |site: &str| SiteOperation {
            site: site.to_owned(),
            operation: Operation::Bias {
                start: Init::Constant { value: 0.0 },
                train: true,
            },
        };
        Ok(AdapterPlan {
            operations: targets.into_iter().map(operation).collect(),
            saved_config: json!({"peft_type": "BIAS"}),
            ..AdapterPlan::default()
        })
    }
}

/// The table of a folder, with a bias on every row once an adapter was added.
pub(super) struct Adapted {
    table: Table,
    path: String,
    saved_config: Value,
    bias: Option<Vec<f64>>,
    momentum: Vec<f64>,
    gradient: Vec<f64>,
}

impl Adapted {
    pub(super) fn new(mut table: Table, path: &str) -> Self {
        table.weights = numbers(&Path::new(path).join("weights"));
        Self {
            table,
            path: path.to_owned(),
            saved_config: Value::Null,
            bias: None,
            momentum: vec![0.0; IDS],
            gradient: vec![0.0; IDS],
        }
    }

    /// Lets the table work with its biased weights.
    fn biased<T>(&mut self, work: impl FnOnce(&mut Table) -> T) -> T {
        let kept = self.table.weights.clone();
        for (at, weight) in self.table.weights.iter_mut().enumerate() {
            *weight += self.bias.as_ref().map_or(0.0, |bias| bias[at % IDS]);
        }
        let done = work(&mut self.table);
        self.table.weights = kept;
        done
    }

    fn bias(&self) -> Result<&[f64]> {
        let bias = self.bias.as_deref();
        bias.ok_or_else(|| Error::config("there is no adapter"))
    }
}

impl Model for Adapted {
    fn info(&self) -> Result<ModelInfo> {
        self.table.info()
    }
    fn parameters(&self) -> Result<Vec<Parameter>> {
        let parameter = |name: &str, size, trainable| Parameter {
            name: name.into(),
            shape: vec![size],
            dtype: "f64".into(),
            trainable,
        };
        Ok(vec![
            parameter("table", (CONTEXTS * IDS) as u64, self.bias.is_none()),
            parameter("bias", IDS as u64, self.bias.is_some()),
        ])
    }
    fn score(&mut self, batch: &TokenBatch<'_>, request: ScoreRequest) -> Result<Scores> {
        self.biased(|table| table.score(batch, request))
    }
    fn save(&self, _folder: &str) -> Result<()> {
        Err(Error::failed("the base must not be saved"))
    }
    fn begin_training(&mut self, settings: &TrainingSettings) -> Result<()> {
        self.bias()?;
        self.table.begin_training(settings)
    }
    fn forward_backward(&mut self, batch: &TokenBatch<'_>, pass: &TrainingPass) -> Result<Loss> {
        let loss = self.biased(|table| table.forward_backward(batch, pass))?;
        for (at, value) in self.table.gradient.iter_mut().enumerate() {
            self.gradient[at % IDS] += std::mem::take(value);
        }
        Ok(loss)
    }
    fn gradients(&mut self) -> Result<Vec<GradientSummary>> {
        Ok(vec![GradientSummary {
            name: "bias".into(),
            norm: 1.0,
            received: true,
        }])
    }
    fn optimizer_step(&mut self, step: &OptimizerStep) -> Result<f64> {
        let bias = self.bias.as_mut().unwrap();
        for (at, value) in bias.iter_mut().enumerate() {
            self.momentum[at] = 0.9 * self.momentum[at] + std::mem::take(&mut self.gradient[at]);
            *value -= step.learning_rate * self.momentum[at];
        }
        Ok(1.0)
    }
    fn export_state(&self, folder: &str) -> Result<()> {
        fs::write(format!("{folder}/adapter.bin"), bytes(self.bias()?)).unwrap();
        fs::write(format!("{folder}/optimizer.bin"), bytes(&self.momentum)).unwrap();
        Ok(())
    }
    fn import_state(&mut self, folder: &str) -> Result<()> {
        self.bias = Some(numbers(&Path::new(folder).join("adapter.bin")));
        self.momentum = numbers(&Path::new(folder).join("optimizer.bin"));
        Ok(())
    }
    fn sites(&self) -> Result<Vec<Site>> {
        Ok(vec![Site {
            name: SITE.into(),
            inputs: CONTEXTS as u64,
            outputs: IDS as u64,
            role: "output".into(),
            layer: Some(0),
            transposed: false,
        }])
    }
    fn add_adapter(&mut self, name: &str, plan: &AdapterPlan) -> Result<()> {
        assert_eq!((name, plan.operations.len()), ("default", 1));
        self.saved_config = plan.saved_config.clone();
        self.bias = Some(vec![0.0; IDS]);
        Ok(())
    }
    fn save_adapter(&self, name: &str, folder: &str) -> Result<()> {
        assert_eq!(name, "default");
        let mut config = self.saved_config.clone();
        config["base_model_name_or_path"] = json!(self.path);
        fs::write(format!("{folder}/adapter_config.json"), config.to_string()).unwrap();
        fs::write(format!("{folder}/bias"), bytes(self.bias()?)).unwrap();
        Ok(())
    }
}
