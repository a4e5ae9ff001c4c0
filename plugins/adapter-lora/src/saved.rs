//! The parts of `adapter_config.json` that all adapters of the family have, and the biases and modules that train whole.

use codex_plugin_api::Site;
use serde_json::{Map, Value, json};

use crate::options::Bias;
use crate::targets::{CLASSIFIERS, named};

/// The last `count` parts of a name.
fn ending(name: &str, count: usize) -> &str {
    let parts = name.rmatch_indices('.').nth(count - 1);
    parts.map_or(name, |(at, _)| &name[at + 1..])
}

/// The shortest end of a site's name that only sites of `chosen` have.
///
/// `dense` alone is never one: BERT has modules of this name that are not among the sites of every model. Nor is one that
/// begins with a number: PEFT asks for some names without a look at where a part begins, and 1.mlp is the end of 11.mlp.
fn shortest<'a>(site: &'a Site, chosen: &[&Site], sites: &[Site]) -> &'a str {
    let is_chosen = |other: &&Site| chosen.iter().any(|one| one.name == other.name);
    let least = if ending(&site.name, 1) == "dense" {
        2
    } else {
        1
    };
    (least..=3)
        .map(|count| ending(&site.name, count))
        .take_while(|end| !end.starts_with(|c: char| c.is_ascii_digit()))
        .find(|end| {
            sites
                .iter()
                .filter(|other| named(end, other))
                .all(|other| is_chosen(&other))
        })
        .unwrap_or(&site.name)
}

/// The shortest names by which PEFT finds `chosen` among `sites` and nothing else.
pub(crate) fn names(chosen: &[&Site], sites: &[Site]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for site in chosen {
        let name = shortest(site, chosen, sites);
        if !names.iter().any(|other| other == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// What PEFT calls the task, by the model's sites: it opens the adapter of a classifier with the head among the modules to
/// save.
fn task_type(sites: &[Site], saved: &[String]) -> Value {
    if saved
        .iter()
        .any(|module| CLASSIFIERS.contains(&module.as_str()))
    {
        return "SEQ_CLS".into();
    }
    let has_head = sites
        .iter()
        .any(|site| CLASSIFIERS.contains(&site.name.as_str()));
    let decoder = ["transformer.h.", "model.layers."];
    let is_decoder = |site: &Site| decoder.iter().any(|path| site.name.starts_with(path));
    if !has_head && sites.iter().any(is_decoder) {
        return "CAUSAL_LM".into();
    }
    Value::Null
}

/// The keys that every type of adapter has.
pub(crate) fn common(
    peft_type: &str,
    chosen: &[&Site],
    sites: &[Site],
    modules_to_save: &[String],
) -> Map<String, Value> {
    let saved = match modules_to_save {
        [] => Value::Null,
        modules => json!(modules),
    };
    let keys = json!({
        "peft_type": peft_type,
        "task_type": task_type(sites, modules_to_save),
        "target_modules": names(chosen, sites),
        "modules_to_save": saved,
        "fan_in_fan_out": chosen.iter().all(|site| site.transposed),
    });
    keys.as_object().cloned().unwrap_or_default()
}

/// PEFT's word for the biases that train; its word for those of adapted modules has the type of adapter in it.
pub(crate) fn bias_word(bias: Bias, only: &str) -> &str {
    match bias {
        Bias::None => "none",
        Bias::All => "all",
        Bias::LoraOnly => only,
    }
}

/// Modules to save and, beside them, the biases that train: as patterns and names of parameters, which a model need not have.
pub(crate) fn whole(modules_to_save: Vec<String>, bias: Bias, chosen: &[&Site]) -> Vec<String> {
    let mut all = modules_to_save;
    match bias {
        Bias::None => {}
        Bias::All => all.push("*.bias".to_owned()),
        Bias::LoraOnly => all.extend(chosen.iter().map(|site| format!("{}.bias", site.name))),
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::tests::{bert, gpt2};

    fn check(sites: &[Site], chosen: impl Fn(&Site) -> bool, expected: &[&str]) {
        let chosen: Vec<&Site> = sites.iter().filter(|site| chosen(site)).collect();
        assert_eq!(names(&chosen, sites), expected);
    }

    #[test]
    fn names_are_as_short_as_they_can_be() {
        check(&gpt2(), |site| site.name.ends_with("c_proj"), &["c_proj"]);
        check(&gpt2(), |site| site.role == "down", &["mlp.c_proj"]);
        check(
            &gpt2(),
            |site| site.role == "down" && site.layer == Some(1),
            &["transformer.h.1.mlp.c_proj"],
        );
        check(
            &bert(),
            |site| site.role == "output",
            &["attention.output.dense"],
        );
        check(&bert(), |site| site.role == "up", &["intermediate.dense"]);
        // By its ending alone it would be the one within attention as well.
        check(
            &bert(),
            |site| site.role == "down",
            &[
                "bert.encoder.layer.0.output.dense",
                "bert.encoder.layer.1.output.dense",
            ],
        );
    }
}
