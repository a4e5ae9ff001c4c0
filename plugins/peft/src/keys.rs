//! PEFT's names for the tensors of an adapter.

use codex_plugin_api::{Operation, SiteOperation};

/// What the wrapped model is called in PEFT's keys.
pub(crate) const PREFIX: &str = "base_model.model.";
/// The word for which shared matrices have PEFT's own names.
pub(crate) const VERA: &str = "vera";

/// The A that all sites of a VeRA adapter share: `[rank, widest input]`.
pub const SHARED_A: &str = "base_model.vera_A";
/// The B that all sites of a VeRA adapter share: `[widest output, rank]`.
pub const SHARED_B: &str = "base_model.vera_B";

/// A tensor of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// `[rank, inputs]`
    A,
    /// `[outputs, rank]`
    B,
    /// `[rank]`
    RankScale,
    /// `[outputs]`
    OutputScale,
    /// `[outputs, 1]`
    ScaleOutput,
    /// `[1, inputs]`
    ScaleInput,
    /// `[outputs]`
    Magnitude,
    /// `[outputs]`
    Bias,
}

impl Part {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::A => "lora_A",
            Self::B => "lora_B",
            Self::RankScale => "vera_lambda_d",
            Self::OutputScale => "vera_lambda_b",
            Self::ScaleOutput | Self::ScaleInput => "ia3_l",
            Self::Magnitude => "lora_magnitude_vector",
            Self::Bias => "base_layer",
        }
    }

    /// What stands behind the word.
    fn tail(self) -> &'static str {
        match self {
            Self::A | Self::B => ".weight",
            Self::Bias => ".bias",
            _ => "",
        }
    }
}

/// The key of a part at a site.
pub fn key(site: &str, part: Part) -> String {
    numbered_key(site, part, 0)
}

/// The key of the part of the `count + 1`-th operation at a site that would have the same one. PEFT has no such
/// adapters, so only we read these.
pub(crate) fn numbered_key(site: &str, part: Part, count: usize) -> String {
    let (word, tail) = (part.word(), part.tail());
    match count {
        0 => format!("{PREFIX}{site}.{word}{tail}"),
        _ => format!("{PREFIX}{site}.{word}.{count}{tail}"),
    }
}

/// The key of A or B that the sites with the word `shared` have in common.
pub fn shared_key(shared: &str, part: Part) -> String {
    let letter = if part == Part::A { 'A' } else { 'B' };
    format!("base_model.{shared}_{letter}")
}

/// The key of a base parameter that is saved whole. PEFT moves the bias of a module that it adapts one level down.
pub fn whole_key(parameter: &str, operations: &[SiteOperation]) -> String {
    if let Some(module) = parameter.strip_suffix(".bias") {
        let adapted = operations
            .iter()
            .any(|at| at.site == module && !matches!(at.operation, Operation::Bias { .. }));
        if adapted {
            return key(module, Part::Bias);
        }
    }
    format!("{PREFIX}{parameter}")
}

/// The module that a tensor adapts, where its key has the form of a part at a site.
pub fn site_of(key: &str) -> Option<&str> {
    let path = key.strip_prefix(PREFIX)?;
    [
        ".lora_A",
        ".lora_B",
        ".lora_magnitude_vector",
        ".lora_embedding_A",
        ".lora_embedding_B",
        ".ia3_l",
        ".vera_lambda_b",
        ".vera_lambda_d",
    ]
    .iter()
    .find_map(|word| {
        let (site, rest) = path.rsplit_once(word)?;
        (rest.is_empty() || rest.starts_with('.')).then_some(site)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use codex_plugin_api::Init;

    #[test]
    fn keys_are_those_of_peft() {
        let site = "transformer.h.0.attn.c_attn";
        for (part, tail) in [
            (Part::A, "lora_A.weight"),
            (Part::B, "lora_B.weight"),
            (Part::Magnitude, "lora_magnitude_vector"),
            (Part::ScaleInput, "ia3_l"),
            (Part::ScaleOutput, "ia3_l"),
            (Part::RankScale, "vera_lambda_d"),
            (Part::OutputScale, "vera_lambda_b"),
            (Part::Bias, "base_layer.bias"),
        ] {
            let key = key(site, part);
            assert_eq!(key, format!("base_model.model.{site}.{tail}"));
            assert_eq!(site_of(&key), (part != Part::Bias).then_some(site));
        }
        assert_eq!(shared_key(VERA, Part::A), SHARED_A);
        assert_eq!(shared_key(VERA, Part::B), SHARED_B);
    }

    #[test]
    fn a_bias_lies_deeper_where_its_module_is_adapted() {
        let operations = [SiteOperation {
            site: "h.0.attn".into(),
            operation: Operation::Magnitude {
                start: Init::WeightNorm,
                train: true,
            },
        }];
        let key = |name| whole_key(name, &operations);
        assert_eq!(
            key("h.0.attn.bias"),
            "base_model.model.h.0.attn.base_layer.bias"
        );
        assert_eq!(key("h.0.ln.bias"), "base_model.model.h.0.ln.bias");
        assert_eq!(key("score.weight"), "base_model.model.score.weight");
    }
}
