//! VeRA (Kopiczko et al. 2023): one random low-rank pair for all modules, and two trained vectors at each.

use codex_peft::SHARED_A;
use codex_plugin_api::{
    Adapter, AdapterPlan, FromConfig, HostRef, Init, Operation, Result, Site, SiteOperation,
};
use serde_json::{Value, json};

use crate::lora::{exact, usual};
use crate::options::VeraOptions;
use crate::saved::{bias_word, common, whole};
use crate::targets::{Choice, modules_to_save};

/// The word by which the sites share A and B: [`SHARED_A`] is its key.
const SHARED: &str = "vera";

/// A shared pair with trained vectors.
#[derive(Debug)]
pub struct Vera(VeraOptions);

impl FromConfig for Vera {
    type Config = VeraOptions;
    fn from_config(config: VeraOptions, _host: HostRef) -> Result<Self> {
        debug_assert_eq!(
            codex_peft::shared_key(SHARED, codex_peft::Part::A),
            SHARED_A
        );
        Ok(Self(config))
    }
}

/// He's uniform start for a matrix with `inputs` columns, as in PEFT.
fn he_uniform(inputs: u64) -> Init {
    Init::Uniform {
        bound: (6.0 / inputs.max(1) as f32).sqrt(),
    }
}

impl Adapter for Vera {
    fn plan(&self, sites: &[Site]) -> Result<AdapterPlan> {
        let options = &self.0;
        let modules = modules_to_save(options.modules_to_save.as_deref(), sites);
        let chosen = Choice {
            targets: options.targets.as_ref(),
            otherwise: &usual,
            layers: options.layers.as_deref(),
            saved: &modules,
        }
        .of(sites)?;
        let widest = chosen.iter().map(|site| site.inputs).max().unwrap_or(1);
        let operation = Operation::LowRank {
            rank: options.rank,
            scale: 1.0,
            dropout: options.dropout,
            a: he_uniform(widest),
            b: he_uniform(u64::from(options.rank)),
            train: false,
            shared: Some(SHARED.to_owned()),
            rank_scale: Some(Init::Constant {
                value: options.d_initial,
            }),
            output_scale: Some(Init::Constant { value: 0.0 }),
        };
        let mut config = common("VERA", &chosen, sites, &modules);
        for (key, value) in [
            ("r", json!(options.rank)),
            ("vera_dropout", json!(exact(options.dropout))),
            ("d_initial", json!(exact(options.d_initial))),
            ("bias", bias_word(options.bias, "vera_only").into()),
            ("save_projection", true.into()),
        ] {
            config.insert(key.to_owned(), value);
        }
        Ok(AdapterPlan {
            operations: chosen
                .iter()
                .map(|site| SiteOperation {
                    site: site.name.clone(),
                    operation: operation.clone(),
                })
                .collect(),
            modules_to_save: whole(modules, options.bias, &chosen),
            saved_config: Value::Object(config),
            values: Vec::new(),
        })
    }
}
