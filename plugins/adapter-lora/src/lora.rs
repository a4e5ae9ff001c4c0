//! LoRA (Hu et al. 2021), rsLoRA (Kalajdzievski 2023) and DoRA (Liu et al. 2024).

use std::collections::BTreeMap;

use codex_peft::{alpha_of, rank_of};
use codex_plugin_api::{
    Adapter, AdapterPlan, FromConfig, HostRef, Init, Operation, Result, Site, SiteOperation,
};
use serde_json::{Map, Value, json};

use crate::options::{LoraOptions, Start};
use crate::saved::{bias_word, common, whole};
use crate::targets::{Choice, means, modules_to_save, unknown};

/// The three differ in the scale and in whether rows are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    Lora,
    RsLora,
    Dora,
}

/// A low-rank pair scaled by alpha/rank.
#[derive(Debug)]
pub struct Lora(LoraOptions);

/// A low-rank pair scaled by alpha/√rank.
#[derive(Debug)]
pub struct RsLora(LoraOptions);

/// A low-rank pair and the norms of the rows.
#[derive(Debug)]
pub struct Dora(LoraOptions);

macro_rules! adapters {
    ($($name:ident),*) => {$(
        impl FromConfig for $name {
            type Config = LoraOptions;
            fn from_config(config: LoraOptions, _host: HostRef) -> Result<Self> {
                Ok(Self(config))
            }
        }
        impl Adapter for $name {
            fn plan(&self, sites: &[Site]) -> Result<AdapterPlan> {
                plan(&self.0, Variant::$name, sites)
            }
        }
    )*};
}

adapters!(Lora, RsLora, Dora);

/// Queries and values, as PEFT's mapping has them for GPT-2, Llama and BERT.
pub(crate) fn usual(site: &Site) -> bool {
    matches!(site.role.as_str(), "query" | "value" | "query-key-value")
}

/// What a pattern gives a site.
fn of_pattern<T: Copy>(patterns: &BTreeMap<String, T>, site: &Site, sites: &[Site]) -> Option<T> {
    let fits = |(pattern, _): &(&String, &T)| means(pattern, site, sites);
    patterns.iter().find(fits).map(|(_, value)| *value)
}

/// Refuses a pattern that fits no adapted site.
fn check_pattern<T: Copy>(
    key: &str,
    patterns: &BTreeMap<String, T>,
    chosen: &[&Site],
    sites: &[Site],
) -> Result<()> {
    let fits = |pattern: &str| chosen.iter().any(|site| means(pattern, site, sites));
    match patterns.keys().find(|pattern| !fits(pattern)) {
        Some(pattern) if !sites.iter().any(|site| means(pattern, site, sites)) => {
            Err(unknown(key, pattern, sites))
        }
        Some(pattern) => Err(codex_plugin_api::Error::config(format!(
            "{key}: {pattern:?} fits none of the sites that targets choose"
        ))
        .hint("add it to targets, or leave it out")),
        None => Ok(()),
    }
}

/// A site with its rank and alpha.
struct Sized<'a> {
    site: &'a Site,
    rank: u32,
    alpha: f64,
}

/// `rank_pattern` and `alpha_pattern` as PEFT reads them: the user's own where they say the same there, or else one entry a
/// site.
fn patterns(options: &LoraOptions, alpha: f64, sized: &[Sized<'_>]) -> Result<Map<String, Value>> {
    let mut config = Map::new();
    config.insert("r".into(), options.rank.into());
    config.insert("lora_alpha".into(), number(alpha));
    let alphas: Map<String, Value> = options
        .alpha_pattern
        .iter()
        .map(|(name, alpha)| (name.clone(), number(*alpha)))
        .collect();
    config.insert("rank_pattern".into(), json!(options.rank_pattern));
    config.insert("alpha_pattern".into(), Value::Object(alphas));
    let plain = |patterns: &[&String]| !patterns.iter().any(|pattern| pattern.contains('*'));
    let keys: Vec<&String> = options
        .rank_pattern
        .keys()
        .chain(options.alpha_pattern.keys())
        .collect();
    let as_given = Value::Object(config.clone());
    let mut same = plain(&keys);
    for one in sized {
        same = same
            && rank_of(&as_given, &one.site.name)? == one.rank
            && alpha_of(&as_given, &one.site.name)? == one.alpha;
    }
    if !same {
        let each = |differs: &dyn Fn(&Sized<'_>) -> Option<Value>| -> Value {
            sized
                .iter()
                .filter_map(|one| Some((one.site.name.clone(), differs(one)?)))
                .collect::<Map<String, Value>>()
                .into()
        };
        let ranks = each(&|one| (one.rank != options.rank).then(|| one.rank.into()));
        let alphas = each(&|one| (one.alpha != alpha).then(|| number(one.alpha)));
        config.insert("rank_pattern".into(), ranks);
        config.insert("alpha_pattern".into(), alphas);
    }
    Ok(config)
}

/// Whole numbers without a point, as PEFT writes an alpha.
pub(crate) fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        (value as i64).into()
    } else {
        value.into()
    }
}

/// How A and B of a site start.
fn starts(start: Start, rank: u32, site: &Site) -> (Init, Init) {
    let zero = Init::Constant { value: 0.0 };
    match start {
        Start::Default => (Init::KaimingUniform, zero),
        Start::Gaussian => (
            Init::Normal {
                std: 1.0 / rank as f32,
            },
            zero,
        ),
        Start::Pissa => (Init::PrincipalSingular, Init::PrincipalSingular),
        Start::ZeroB => (
            Init::Normal {
                std: 1.0 / (site.inputs as f32).sqrt(),
            },
            zero,
        ),
    }
}

fn operations(options: &LoraOptions, variant: Variant, sized: &[Sized<'_>]) -> Vec<SiteOperation> {
    let mut all = Vec::new();
    for Sized { site, rank, alpha } in sized {
        let divisor = match variant {
            Variant::RsLora => f64::from(*rank).sqrt(),
            _ => f64::from(*rank),
        };
        let (a, b) = starts(options.init, *rank, site);
        let mut add = |operation| {
            all.push(SiteOperation {
                site: site.name.clone(),
                operation,
            });
        };
        add(Operation::LowRank {
            rank: *rank,
            scale: (alpha / divisor) as f32,
            dropout: options.dropout,
            a,
            b,
            train: true,
            shared: None,
            rank_scale: None,
            output_scale: None,
        });
        if variant == Variant::Dora {
            add(Operation::Magnitude {
                start: Init::WeightNorm,
                train: true,
            });
        }
    }
    all
}

fn plan(options: &LoraOptions, variant: Variant, sites: &[Site]) -> Result<AdapterPlan> {
    let modules = modules_to_save(options.modules_to_save.as_deref(), sites);
    let chosen = Choice {
        targets: options.targets.as_ref(),
        otherwise: &usual,
        layers: options.layers.as_deref(),
        saved: &modules,
    }
    .of(sites)?;
    check_pattern("rank_pattern", &options.rank_pattern, &chosen, sites)?;
    check_pattern("alpha_pattern", &options.alpha_pattern, &chosen, sites)?;
    if options.rank_pattern.values().any(|rank| *rank == 0) {
        return Err(
            codex_plugin_api::Error::config("rank_pattern holds a rank of 0")
                .hint("a rank is at least 1"),
        );
    }
    let alpha = options.alpha.unwrap_or_else(|| f64::from(options.rank));
    let sized: Vec<Sized<'_>> = chosen
        .iter()
        .map(|site| {
            let rank = of_pattern(&options.rank_pattern, site, sites).unwrap_or(options.rank);
            // A site with a rank of its own keeps the scale only if its alpha follows where none was set.
            let other = options.alpha.unwrap_or_else(|| f64::from(rank));
            let alpha = of_pattern(&options.alpha_pattern, site, sites).unwrap_or(other);
            Sized { site, rank, alpha }
        })
        .collect();
    let mut config = common("LORA", &chosen, sites, &modules);
    config.extend(patterns(options, alpha, &sized)?);
    let start = match options.init {
        Start::Default | Start::ZeroB => true.into(),
        Start::Gaussian => "gaussian".into(),
        Start::Pissa => Value::from("pissa"),
    };
    config.insert("init_lora_weights".into(), start);
    config.insert("lora_dropout".into(), json!(exact(options.dropout)));
    config.insert("bias".into(), bias_word(options.bias, "lora_only").into());
    config.insert("use_rslora".into(), (variant == Variant::RsLora).into());
    config.insert("use_dora".into(), (variant == Variant::Dora).into());
    Ok(AdapterPlan {
        operations: operations(options, variant, &sized),
        modules_to_save: whole(modules, options.bias, &chosen),
        saved_config: Value::Object(config),
        values: Vec::new(),
    })
}

/// The shortest decimal number that stands for an f32: 0.1, not 0.10000000149.
pub(crate) fn exact(value: f32) -> f64 {
    value
        .to_string()
        .parse()
        .unwrap_or_else(|_| f64::from(value))
}
