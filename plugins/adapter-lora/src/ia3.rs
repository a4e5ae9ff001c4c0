//! IA3 (Liu et al. 2022): what modules give, or what feed-forward modules take, scaled by a trained vector.

use codex_plugin_api::{
    Adapter, AdapterPlan, FromConfig, HostRef, Init, Operation, Result, Site, SiteOperation,
};
use serde_json::{Value, json};

use crate::options::{Ia3Options, Targets};
use crate::saved::{common, names};
use crate::targets::{Choice, means, modules_to_save, unknown};

/// Trained vectors at outputs and inputs.
#[derive(Debug)]
pub struct Ia3(Ia3Options);

impl FromConfig for Ia3 {
    type Config = Ia3Options;
    fn from_config(config: Ia3Options, _host: HostRef) -> Result<Self> {
        Ok(Self(config))
    }
}

/// The last map of a feed-forward part. PEFT's name for BERT's, `output.dense`, is attention's as well.
fn is_feed_forward(site: &Site) -> bool {
    site.role == "down" || site.name.ends_with(".output.dense")
}

fn usual(site: &Site) -> bool {
    matches!(site.role.as_str(), "key" | "value" | "query-key-value") || is_feed_forward(site)
}

/// Which of the chosen sites are scaled at their input.
fn at_input<'a>(
    asked: Option<&Targets>,
    chosen: &[&'a Site],
    sites: &[Site],
) -> Result<Vec<&'a Site>> {
    let Some(asked) = asked.map(Targets::as_slice) else {
        return Ok(chosen
            .iter()
            .copied()
            .filter(|site| is_feed_forward(site))
            .collect());
    };
    for target in asked {
        if !chosen.iter().any(|site| means(target, site, sites)) {
            return Err(unknown("feedforward", target, sites));
        }
    }
    let wanted = |site: &&&Site| asked.iter().any(|target| means(target, site, sites));
    Ok(chosen.iter().filter(wanted).copied().collect())
}

impl Adapter for Ia3 {
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
        let inputs = at_input(options.feedforward.as_ref(), &chosen, sites)?;
        let operations = chosen
            .iter()
            .map(|site| {
                let (start, train) = (Init::Constant { value: 1.0 }, true);
                let operation = if inputs.iter().any(|other| other.name == site.name) {
                    Operation::ScaleInput { start, train }
                } else {
                    Operation::ScaleOutput { start, train }
                };
                SiteOperation {
                    site: site.name.clone(),
                    operation,
                }
            })
            .collect();
        let mut config = common("IA3", &chosen, sites, &modules);
        // PEFT wants each among the targets, so both are named at the same length.
        let target_modules = config.get("target_modules").cloned().unwrap_or_default();
        let mut short = names(&inputs, sites);
        if !short.iter().all(|name| contains(&target_modules, name)) {
            short = inputs.iter().map(|site| site.name.clone()).collect();
            let all: Vec<&str> = chosen.iter().map(|site| site.name.as_str()).collect();
            config.insert("target_modules".into(), json!(all));
        }
        config.insert("feedforward_modules".into(), json!(short));
        Ok(AdapterPlan {
            operations,
            modules_to_save: modules,
            saved_config: Value::Object(config),
            values: Vec::new(),
        })
    }
}

fn contains(list: &Value, name: &str) -> bool {
    list.as_array()
        .is_some_and(|list| list.iter().any(|one| one == name))
}
