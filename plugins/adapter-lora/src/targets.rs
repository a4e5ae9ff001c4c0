//! From targets as a user writes them to sites.

use codex_peft::{in_modules, matches};
use codex_plugin_api::{Error, Result, Site};

use crate::options::Targets;

/// The word for every linear map but embeddings and the output layer, as in PEFT.
pub(crate) const ALL_LINEAR: &str = "all-linear";
/// What PEFT saves with the adapter of a sequence classifier.
pub(crate) const CLASSIFIERS: [&str; 2] = ["classifier", "score"];

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Whether `target` is the end of a site's name from a part on, or a pattern that it fits.
pub(crate) fn named(target: &str, site: &Site) -> bool {
    if target.contains('*') {
        return matches(target, &site.name);
    }
    site.name
        .strip_suffix(target)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Whether `target` means a site among `sites`: by its name, or, where it is no name of any, by its role.
pub(crate) fn means(target: &str, site: &Site, sites: &[Site]) -> bool {
    named(target, site) || (site.role == target && !sites.iter().any(|other| named(target, other)))
}

/// Whether a site is neither an embedding nor the layer that gives logits or classes.
fn is_inner(site: &Site) -> bool {
    let output = matches!(last(&site.name), "lm_head" | "classifier" | "score");
    site.role != "embedding" && !(site.role == "head" && output)
}

/// The sites that there are: those of one layer stand for all.
fn listed(sites: &[Site]) -> String {
    let first = sites.iter().filter_map(|site| site.layer).min();
    let names: Vec<String> = sites
        .iter()
        .filter(|site| site.layer.is_none() || site.layer == first)
        .map(|site| format!("{} ({})", site.name, site.role))
        .collect();
    let layers = sites.iter().filter_map(|site| site.layer).max();
    match (layers, first) {
        _ if names.is_empty() => "the model has no sites".to_owned(),
        (Some(last), Some(first)) if last > first => {
            format!(
                "the sites are {}, and so on up to layer {last}",
                names.join(", ")
            )
        }
        _ => format!("the sites are {}", names.join(", ")),
    }
}

/// The error for a target that means no site: the nearest name first, then all.
pub(crate) fn unknown(key: &str, target: &str, sites: &[Site]) -> Error {
    let near = sites
        .iter()
        .flat_map(|site| [last(&site.name), site.role.as_str(), site.name.as_str()])
        .map(|name| (strsim::jaro_winkler(name, target), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|x, y| x.0.total_cmp(&y.0))
        .map(|(_, name)| format!("did you mean {name:?}? "));
    Error::config(format!("{key}: the model has no site {target:?}")).hint(format!(
        "{}{}",
        near.unwrap_or_default(),
        listed(sites)
    ))
}

/// The modules to save: those asked for, or else the head of a sequence classifier.
pub(crate) fn modules_to_save(asked: Option<&[String]>, sites: &[Site]) -> Vec<String> {
    if let Some(asked) = asked {
        return asked.to_vec();
    }
    let there = |name: &str| sites.iter().any(|site| site.name == name);
    CLASSIFIERS
        .into_iter()
        .filter(|name| there(name))
        .map(str::to_owned)
        .collect()
}

/// Refuses layers that the model does not have.
fn check_layers(layers: Option<&[u32]>, sites: &[Site]) -> Result<()> {
    let Some(layers) = layers else {
        return Ok(());
    };
    let there = |layer: &u32| sites.iter().any(|site| site.layer == Some(*layer));
    if let Some(layer) = layers.iter().find(|layer| !there(layer)) {
        let last = sites.iter().filter_map(|site| site.layer).max();
        let error = Error::config(format!("layers: the model has no layer {layer}"));
        return Err(match last {
            Some(last) => error.hint(format!("its layers are 0 to {last}; {}", listed(sites))),
            None => error.hint(listed(sites)),
        });
    }
    Ok(())
}

/// Which sites an adapter changes.
pub(crate) struct Choice<'a> {
    /// What the user asked for.
    pub(crate) targets: Option<&'a Targets>,
    /// What is meant where nothing was asked for.
    pub(crate) otherwise: &'a dyn Fn(&Site) -> bool,
    /// Only these layers.
    pub(crate) layers: Option<&'a [u32]>,
    /// Modules that train whole, and so are not adapted.
    pub(crate) saved: &'a [String],
}

impl Choice<'_> {
    /// The sites, in the model's order; at least one.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] naming the target or the layer that is not there, with the sites that are.
    pub(crate) fn of<'s>(&self, sites: &'s [Site]) -> Result<Vec<&'s Site>> {
        check_layers(self.layers, sites)?;
        let targets = self.targets.map(Targets::as_slice);
        for target in targets.unwrap_or_default() {
            let known = target == ALL_LINEAR || sites.iter().any(|site| means(target, site, sites));
            if !known {
                return Err(unknown("targets", target, sites));
            }
        }
        let wanted = |site: &Site| match targets {
            None => (self.otherwise)(site),
            Some(targets) => targets.iter().any(|target| {
                if target == ALL_LINEAR {
                    is_inner(site)
                } else {
                    means(target, site, sites)
                }
            }),
        };
        let in_layers = |site: &Site| {
            self.layers
                .is_none_or(|layers| site.layer.is_some_and(|layer| layers.contains(&layer)))
        };
        let chosen: Vec<&Site> = sites
            .iter()
            .filter(|site| wanted(site) && in_layers(site) && !in_modules(self.saved, &site.name))
            .collect();
        if chosen.is_empty() {
            let what = match targets {
                None => "the usual targets are not sites of this model",
                Some(_) => "targets, layers and modules_to_save leave no site to adapt",
            };
            return Err(Error::config(what).hint(format!("set targets; {}", listed(sites))));
        }
        Ok(chosen)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
pub(crate) mod tests {
    use super::*;

    fn site(name: &str, inputs: u64, outputs: u64, role: &str) -> Site {
        Site {
            name: name.into(),
            inputs,
            outputs,
            role: role.into(),
            layer: name.split('.').find_map(|part| part.parse().ok()),
            transposed: name.starts_with("transformer.h"),
        }
    }

    fn block(path: &str, modules: &[(&str, u64, u64, &str)]) -> Vec<Site> {
        (0..2)
            .flat_map(|layer| {
                modules.iter().map(move |(module, inputs, outputs, role)| {
                    site(&format!("{path}.{layer}.{module}"), *inputs, *outputs, role)
                })
            })
            .collect()
    }

    pub(crate) fn llama() -> Vec<Site> {
        let mut sites = vec![site("model.embed_tokens", 100, 32, "embedding")];
        sites.extend(block(
            "model.layers",
            &[
                ("self_attn.q_proj", 32, 32, "query"),
                ("self_attn.k_proj", 32, 16, "key"),
                ("self_attn.v_proj", 32, 16, "value"),
                ("self_attn.o_proj", 32, 32, "output"),
                ("mlp.gate_proj", 32, 88, "gate"),
                ("mlp.up_proj", 32, 88, "up"),
                ("mlp.down_proj", 88, 32, "down"),
            ],
        ));
        sites.push(site("lm_head", 32, 100, "head"));
        sites
    }

    pub(crate) fn gpt2() -> Vec<Site> {
        block(
            "transformer.h",
            &[
                ("attn.c_attn", 32, 96, "query-key-value"),
                ("attn.c_proj", 32, 32, "output"),
                ("mlp.c_fc", 32, 128, "up"),
                ("mlp.c_proj", 128, 32, "down"),
            ],
        )
    }

    /// A classifier, so with a pooler and a head.
    pub(crate) fn bert() -> Vec<Site> {
        let mut sites = block(
            "bert.encoder.layer",
            &[
                ("attention.self.query", 32, 32, "query"),
                ("attention.self.key", 32, 32, "key"),
                ("attention.self.value", 32, 32, "value"),
                ("attention.output.dense", 32, 32, "output"),
                ("intermediate.dense", 32, 64, "up"),
                ("output.dense", 64, 32, "down"),
            ],
        );
        sites.push(site("bert.pooler.dense", 32, 32, "head"));
        sites.push(site("classifier", 32, 3, "head"));
        sites
    }

    fn check(sites: &[Site], targets: &[&str], layers: Option<&[u32]>, expected: &[&str]) {
        let targets = Targets::Many(targets.iter().map(|target| (*target).to_owned()).collect());
        let chosen = Choice {
            targets: Some(&targets),
            otherwise: &|_| false,
            layers,
            saved: &["classifier".to_owned()],
        }
        .of(sites)
        .unwrap();
        let names: Vec<&str> = chosen.iter().map(|site| site.name.as_str()).collect();
        assert_eq!(names, expected, "{targets:?}");
    }

    #[test]
    fn targets_are_endings_patterns_and_roles() {
        check(
            &gpt2(),
            &["c_attn"],
            None,
            &["transformer.h.0.attn.c_attn", "transformer.h.1.attn.c_attn"],
        );
        check(
            &gpt2(),
            &["mlp.c_proj"],
            Some(&[1]),
            &["transformer.h.1.mlp.c_proj"],
        );
        check(
            &gpt2(),
            &["transformer.h.0.*", "down"],
            None,
            &[
                "transformer.h.0.attn.c_attn",
                "transformer.h.0.attn.c_proj",
                "transformer.h.0.mlp.c_fc",
                "transformer.h.0.mlp.c_proj",
                "transformer.h.1.mlp.c_proj",
            ],
        );
        check(
            &llama(),
            &["query"],
            Some(&[0]),
            &["model.layers.0.self_attn.q_proj"],
        );
        check(&llama(), &["lm_head"], None, &["lm_head"]);
    }

    #[test]
    fn all_linear_leaves_out_what_peft_leaves_out() {
        let count = |sites: &[Site]| {
            let targets = Targets::One(ALL_LINEAR.into());
            let choice = Choice {
                targets: Some(&targets),
                otherwise: &|_| false,
                layers: None,
                saved: &[],
            };
            choice.of(sites).unwrap().len()
        };
        assert_eq!(count(&llama()), 14);
        assert_eq!(count(&gpt2()), 8);
        // The pooler is among PEFT's, too.
        assert_eq!(count(&bert()), 13);
    }

    #[test]
    fn what_is_not_there_is_named_with_what_is() {
        let error = |targets: &[&str], layers: Option<&[u32]>| {
            let targets =
                Targets::Many(targets.iter().map(|target| (*target).to_owned()).collect());
            let choice = Choice {
                targets: Some(&targets),
                otherwise: &|_| false,
                layers,
                saved: &[],
            };
            let error = choice.of(&llama()).unwrap_err();
            assert_eq!(error.kind(), codex_plugin_api::ErrorKind::Config);
            format!("{error} | {}", error.hint_text().unwrap())
        };
        let said = error(&["q_prj"], None);
        for word in [
            "targets: the model has no site \"q_prj\"",
            "did you mean \"q_proj\"?",
            "model.layers.0.mlp.down_proj (down)",
            "up to layer 1",
            "lm_head (head)",
        ] {
            assert!(said.contains(word), "{said:?} lacks {word:?}");
        }
        assert!(!error(&["xyz"], None).contains("did you mean"));
        assert!(error(&["proj"], None).contains("no site \"proj\""));
        assert!(error(&["q_proj"], Some(&[2])).contains("no layer 2"));
        assert!(error(&["lm_head"], Some(&[0])).contains("leave no site"));
        assert!(error(&[], None).contains("leave no site"));
    }
}
