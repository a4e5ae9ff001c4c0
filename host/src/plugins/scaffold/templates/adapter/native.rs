//! The adapter `{{name}}`: LoRA (Hu et al. 2021) on queries and values. It answers once, with data; the model computes.

use codex_plugin_api::schemars::JsonSchema;
use codex_plugin_api::serde::Deserialize;
use codex_plugin_api::serde_json::json;
use codex_plugin_api::{
    Adapter, AdapterPlan, Error, FromConfig, HostRef, Init, Operation, Result, Site, SiteOperation,
};

/// The same words in every architecture; GPT-2 computes queries, keys and values in one map.
const ROLES: [&str; 3] = ["query", "value", "query-key-value"];

/// What a user may set, as `adapter.rank=4` or in a config file.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "codex_plugin_api::serde", default, deny_unknown_fields)]
#[schemars(crate = "codex_plugin_api::schemars")]
struct Config {
    /// Inner width of the added maps.
    #[schemars(range(min = 1))]
    rank: u32,
    /// The added maps are scaled by alpha / rank.
    alpha: f32,
}

impl Default for Config {
    fn default() -> Self {
        Self { rank: 8, alpha: 16.0 }
    }
}

struct {{Type}}(Config);

impl FromConfig for {{Type}} {
    type Config = Config;
    fn from_config(config: Config, _host: HostRef) -> Result<Self> {
        Ok(Self(config))
    }
}

impl Adapter for {{Type}} {
    fn plan(&self, sites: &[Site]) -> Result<AdapterPlan> {
        let Config { rank, alpha } = self.0;
        let chosen: Vec<&Site> = sites.iter().filter(|site| ROLES.contains(&site.role.as_str())).collect();
        if chosen.is_empty() {
            let known: Vec<&str> = sites.iter().map(|site| site.name.as_str()).collect();
            return Err(Error::config(format!("no site is one of {}", ROLES.join(", ")))
                .hint(format!("the sites are {}", known.join(", "))));
        }
        let low_rank = Operation::LowRank {
            rank,
            scale: alpha / rank as f32,
            dropout: 0.0,
            a: Init::KaimingUniform,
            // Beginning at 0, it changes nothing until it has learned.
            b: Init::Constant { value: 0.0 },
            train: true,
            shared: None,
            rank_scale: None,
            output_scale: None,
        };
        let modules: Vec<&str> = chosen.iter().map(|site| site.name.as_str()).collect();
        let saved_config = json!({"peft_type": "LORA", "r": rank, "lora_alpha": alpha, "target_modules": modules});
        let operations = chosen.iter().map(|site| SiteOperation { site: site.name.clone(), operation: low_rank.clone() });
        Ok(AdapterPlan { operations: operations.collect(), saved_config, ..AdapterPlan::default() })
    }
}

codex_plugin_api::plugin! { adapter "{{name}}" => {{Type}} }

#[cfg(test)]
mod tests {
    use super::*;
    use codex_plugin_api::testing;

    #[test]
    fn it_keeps_the_contract_of_an_adapter() {
        testing::check_adapter::<{{Type}}>(json!({"rank": 4}));
    }

    #[test]
    fn keys_are_left_alone() {
        let site = |name: &str, role: &str| -> Site {
            let (name, role) = (name.into(), role.into());
            Site { name, inputs: 8, outputs: 8, role, layer: Some(0), transposed: false }
        };
        let plan = {{Type}}(Config::default()).plan(&[site("q", "query"), site("k", "key")]).unwrap();
        assert_eq!(plan.operations.len(), 1);
        assert_eq!(plan.operations[0].site, "q");
    }
}
