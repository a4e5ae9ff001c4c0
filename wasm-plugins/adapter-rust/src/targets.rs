//! Which sites are meant.

use codex_guest::types::{Error, Site};

/// The roles that IA3 scales; GPT-2 computes queries, keys and values in one map.
const USUAL: [&str; 4] = ["key", "value", "query-key-value", "up"];

/// The configuration.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Targets {
    /// Roles or endings of site names; none means the usual roles, as far as the model has them.
    targets: Option<Vec<String>>,
}

/// A role is a whole word, and so is the ending of a name: `c_attn` of `h.0.attn.c_attn`.
fn means(target: &str, site: &Site) -> bool {
    let ending = site.name.strip_suffix(target);
    site.role == target || ending.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

impl Targets {
    /// The sites that are meant, in the model's order.
    pub(crate) fn choose<'a>(&self, sites: &'a [Site]) -> Result<Vec<&'a Site>, Error> {
        let refuse = |what: String| {
            let known: Vec<String> = sites
                .iter()
                .map(|site| format!("{} ({})", site.name, site.role))
                .collect();
            let hint = match known.as_slice() {
                [] => "the model has no sites".to_owned(),
                _ => format!("the sites are {}", known.join(", ")),
            };
            Error::config(what).with_hint(hint)
        };
        let chosen = |targets: &[&str]| -> Vec<&'a Site> {
            sites
                .iter()
                .filter(|site| targets.iter().any(|target| means(target, site)))
                .collect()
        };
        let Some(targets) = &self.targets else {
            let found = chosen(&USUAL);
            return if found.is_empty() {
                Err(refuse(format!(
                    "no site has one of the roles {}",
                    USUAL.join(", ")
                )))
            } else {
                Ok(found)
            };
        };
        if targets.is_empty() {
            return Err(refuse("targets names no site".to_owned()));
        }
        for target in targets {
            if !sites.iter().any(|site| means(target, site)) {
                return Err(refuse(format!(
                    "no site has the role or the name {target:?}"
                )));
            }
        }
        Ok(chosen(
            &targets.iter().map(String::as_str).collect::<Vec<_>>(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sites(named: &[(&str, &str)]) -> Vec<Site> {
        let site = |&(name, role): &(&str, &str)| Site {
            name: name.to_owned(),
            inputs: 8,
            outputs: 8,
            role: role.to_owned(),
            layer: Some(0),
            transposed: false,
        };
        named.iter().map(site).collect()
    }

    fn llama() -> Vec<Site> {
        sites(&[
            ("layers.0.q_proj", "query"),
            ("layers.0.k_proj", "key"),
            ("layers.0.v_proj", "value"),
            ("layers.0.up_proj", "up"),
        ])
    }

    fn names(targets: Option<&[&str]>, sites: &[Site]) -> Result<Vec<String>, Error> {
        let targets = targets.map(|all| all.iter().map(|&one| one.to_owned()).collect());
        let chosen = Targets { targets }.choose(sites)?;
        Ok(chosen.into_iter().map(|site| site.name.clone()).collect())
    }

    #[test]
    fn the_usual_roles_are_those_of_the_paper() {
        let found = names(None, &llama()).expect("they are there");
        assert_eq!(
            found,
            ["layers.0.k_proj", "layers.0.v_proj", "layers.0.up_proj"]
        );
        let gpt2 = sites(&[("h.0.c_attn", "query-key-value"), ("h.0.c_proj", "output")]);
        assert_eq!(names(None, &gpt2).expect("it is there"), ["h.0.c_attn"]);
    }

    #[test]
    fn targets_are_roles_or_whole_endings() {
        let found = names(Some(&["query", "up_proj"]), &llama()).expect("they are there");
        assert_eq!(found, ["layers.0.q_proj", "layers.0.up_proj"]);
        assert!(
            names(Some(&["proj"]), &llama()).is_err(),
            "half a word is no ending"
        );
    }

    #[test]
    fn what_is_not_there_is_refused_with_what_is() {
        for targets in [Some(&["key", "gate"][..]), Some(&[]), None] {
            let others = sites(&[("zeta.first", "mixing"), ("zeta.key", "key2")]);
            let model = if targets.is_some() {
                llama()
            } else {
                others[..1].to_vec()
            };
            let error = names(targets, &model).expect_err("refused");
            let hint = error.hint.expect("a hint");
            assert!(model.iter().all(|site| hint.contains(&site.name)), "{hint}");
        }
        assert!(names(None, &[]).is_err());
    }
}
