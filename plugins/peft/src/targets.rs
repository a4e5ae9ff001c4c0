//! Which modules a configuration names, by PEFT's rules: endings of names in lists, regular expressions in texts and in the
//! keys of patterns.

use codex_plugin_api::{Error, Result};
use regex::Regex;
use serde_json::Value;

/// A PEFT pattern as a regular expression that must match from beginning to end.
fn expression(pattern: &str, whole: &str, key: &str) -> Result<Regex> {
    Regex::new(whole).map_err(|cause| {
        Error::data(format!(
            "{key} of adapter_config.json: {pattern:?} is not read as a regular expression"
        ))
        .because(&cause)
        .hint("give the names of the modules instead")
    })
}

fn texts(value: Option<&Value>) -> Option<Vec<&str>> {
    value?.as_array()?.iter().map(Value::as_str).collect()
}

/// `target_modules`, `exclude_modules` or `feedforward_modules`.
pub(crate) enum Names<'a> {
    List(Vec<&'a str>),
    Expression(Regex),
}

impl<'a> Names<'a> {
    /// What stands under `key`; `None` for nothing and for the word `all-linear`.
    pub(crate) fn of(config: &'a Value, key: &str) -> Result<Option<Self>> {
        let value = config.get(key);
        if let Some(pattern) = value.and_then(Value::as_str) {
            if pattern.eq_ignore_ascii_case("all-linear") {
                return Ok(None);
            }
            let whole = format!("^(?:{pattern})$");
            return expression(pattern, &whole, key).map(|found| Some(Self::Expression(found)));
        }
        Ok(texts(value).map(Self::List))
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Self::List(names) => names.iter().any(|one| {
                name.strip_suffix(one)
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }),
            Self::Expression(expression) => expression.is_match(name),
        }
    }

    /// As PEFT asks for feed-forward modules: without a look at where the last part begins.
    pub(crate) fn ends(&self, name: &str) -> bool {
        match self {
            Self::List(names) => names.iter().any(|one| name.ends_with(one)),
            Self::Expression(expression) => expression.is_match(name),
        }
    }
}

/// The layer that a name belongs to: the first number with two parts before it.
fn layer(name: &str) -> Option<u64> {
    name.split('.').skip(2).find_map(|part| part.parse().ok())
}

fn layers(config: &Value) -> Option<Vec<u64>> {
    match config.get("layers_to_transform")? {
        Value::Number(one) => one.as_u64().map(|one| vec![one]),
        Value::Array(many) if !many.is_empty() => {
            Some(many.iter().filter_map(Value::as_u64).collect())
        }
        _ => None,
    }
}

/// Whether the configuration adapts each of `names`; `None` where it does not name modules.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Data`] naming an expression that is not understood.
pub fn targets(config: &Value, names: &[&str]) -> Result<Option<Vec<bool>>> {
    let Some(wanted) = Names::of(config, "target_modules")? else {
        return Ok(None);
    };
    let excluded = Names::of(config, "exclude_modules")?;
    let saved = texts(config.get("modules_to_save")).unwrap_or_default();
    // As in PEFT, layers do not restrict a regular expression or a full name.
    let layers = layers(config);
    let chosen = |name: &&str| {
        let full = match &wanted {
            Names::List(list) => list.contains(name),
            Names::Expression(_) => true,
        };
        let in_layers = || match (&layers, full) {
            (Some(layers), false) => layer(name).is_some_and(|layer| layers.contains(&layer)),
            _ => true,
        };
        wanted.has(name)
            && in_layers()
            && !excluded.as_ref().is_some_and(|names| names.has(name))
            && !in_modules(&saved, name)
    };
    Ok(Some(names.iter().map(chosen).collect()))
}

/// Whether `name`, of a module or a parameter, is one of `modules`, lies inside one, or matches a pattern among them (`*`
/// stands for any text).
pub fn in_modules(modules: &[impl AsRef<str>], name: &str) -> bool {
    let path = format!(".{name}.");
    modules.iter().map(AsRef::as_ref).any(|module| {
        if module.contains('*') {
            matches(module, name)
        } else {
            path.contains(&format!(".{module}."))
        }
    })
}

/// Whether `*` in `pattern` can be replaced such that it is `text`.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    for piece in pieces {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// The number that the first fitting entry of `rank_pattern` or `alpha_pattern` gives for `site`.
fn pattern(config: &Value, key: &str, site: &str) -> Result<Option<f64>> {
    let Some(patterns) = config.get(key).and_then(Value::as_object) else {
        return Ok(None);
    };
    for (text, value) in patterns {
        let whole = format!("^(?:.*\\.)?(?:{text})$");
        if expression(text, &whole, key)?.is_match(site) {
            return number(value, key).map(Some);
        }
    }
    Ok(None)
}

fn number(value: &Value, key: &str) -> Result<f64> {
    value.as_f64().ok_or_else(|| {
        Error::data(format!(
            "{key} of adapter_config.json holds {value}, not a number"
        ))
    })
}

/// The rank that a LoRA configuration gives a site.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Data`] naming the key that is missing or malformed.
pub fn rank_of(config: &Value, site: &str) -> Result<u32> {
    let rank = match pattern(config, "rank_pattern", site)? {
        Some(rank) => rank,
        None => number(config.get("r").unwrap_or(&Value::Null), "r")?,
    };
    if rank < 1.0 || rank.fract() != 0.0 || rank > f64::from(u32::MAX) {
        return Err(Error::data(format!(
            "adapter_config.json gives {site} the rank {rank}, not a whole number of at least 1"
        )));
    }
    Ok(rank as u32)
}

/// The alpha that a LoRA configuration gives a site.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Data`] naming the key that is missing or malformed.
pub fn alpha_of(config: &Value, site: &str) -> Result<f64> {
    match pattern(config, "alpha_pattern", site)? {
        Some(alpha) => Ok(alpha),
        None => number(
            config.get("lora_alpha").unwrap_or(&Value::Null),
            "lora_alpha",
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    const NAMES: [&str; 6] = [
        "model.layers.0.self_attn.q_proj",
        "model.layers.1.self_attn.q_proj",
        "model.layers.0.mlp.up_proj",
        "model.layers.1.mlp.up_proj",
        "lm_head",
        "score",
    ];

    fn chosen(config: &Value) -> Vec<&'static str> {
        let found = targets(config, &NAMES).unwrap().unwrap();
        let pairs = NAMES.iter().zip(found);
        pairs
            .filter_map(|(name, yes)| yes.then_some(*name))
            .collect()
    }

    #[test]
    fn lists_name_endings_and_texts_are_expressions() {
        assert_eq!(chosen(&json!({"target_modules": ["q_proj"]})), NAMES[..2]);
        assert_eq!(chosen(&json!({"target_modules": ["proj"]})), [""; 0]);
        assert_eq!(
            chosen(&json!({"target_modules": "model.*_proj", "exclude_modules": ["up_proj"]})),
            NAMES[..2]
        );
        assert_eq!(
            chosen(&json!({"target_modules": ["q_proj", "score"], "modules_to_save": ["score"]})),
            NAMES[..2]
        );
        assert_eq!(
            chosen(&json!({"target_modules": ["q_proj", "up_proj"], "layers_to_transform": [1]})),
            [NAMES[1], NAMES[3]]
        );
        assert_eq!(
            chosen(
                &json!({"target_modules": ["q_proj", "model.layers.0.mlp.up_proj"], "layers_to_transform": 1})
            ),
            NAMES[1..3]
        );
        assert_eq!(
            targets(&json!({"target_modules": "all-linear"}), &NAMES).unwrap(),
            None
        );
        let error = targets(&json!({"target_modules": "(?=a)"}), &NAMES).unwrap_err();
        assert!(error.message().contains("target_modules") && error.message().contains("(?=a)"));
    }

    #[test]
    fn patterns_are_expressions_on_endings() {
        let config = json!({
            "r": 4, "rank_pattern": {"up_proj": 2, "layers.0.*": 8}, "lora_alpha": 16, "alpha_pattern": {"^q": 1.5},
        });
        let ranks: Vec<_> = NAMES
            .iter()
            .map(|name| rank_of(&config, name).unwrap())
            .collect();
        assert_eq!(ranks, [8, 4, 2, 2, 4, 4]);
        assert_eq!(alpha_of(&config, NAMES[0]).unwrap(), 16.0);
        assert!(
            rank_of(&json!({"r": 0}), "x")
                .unwrap_err()
                .message()
                .contains("rank 0")
        );
        assert!(
            alpha_of(&json!({}), "x")
                .unwrap_err()
                .message()
                .contains("lora_alpha")
        );
    }

    #[test]
    fn modules_are_whole_parts_of_a_path() {
        let check = |module: &str, name| in_modules(&[module], name);
        assert!(check("score", "score.weight"));
        assert!(check("pooler", "bert.pooler.dense.bias"));
        assert!(check("*.bias", "bert.pooler.dense.bias"));
        assert!(check("h.*.attn.*", "h.0.attn.c_attn"));
        assert!(!check("pool", "bert.pooler.dense.bias"));
        assert!(!check("*.bias", "bert.bias.weight"));
        assert!(!check("h.*.attn", "h.0.attn.c_attn"));
    }
}
