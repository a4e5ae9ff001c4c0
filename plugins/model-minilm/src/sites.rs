//! The places in a network where an adapter can add operations: every linear map, under the name of its saved module.

use codex_plugin_api::Site;

use crate::config::Architecture;
use crate::network::Network;

/// The role of a module by the last part of its name.
fn role(module: &str) -> Option<&'static str> {
    let (parent, last) = module.rsplit_once('.').unwrap_or(("", module));
    let after = |module: &str| parent.ends_with(module);
    Some(match last {
        "c_attn" => "query-key-value",
        "q_proj" | "query" => "query",
        "k_proj" | "key" => "key",
        "v_proj" | "value" => "value",
        "o_proj" => "output",
        "c_proj" if after("attn") => "output",
        "dense" if after("attention.output") => "output",
        "dense" if after("intermediate") => "up",
        "dense" if after("output") => "down",
        "dense" if after("transform") || after("pooler") => "head",
        "gate_proj" => "gate",
        "up_proj" | "c_fc" => "up",
        "down_proj" | "c_proj" => "down",
        "wte" | "embed_tokens" | "word_embeddings" => "embedding",
        "lm_head" | "score" | "classifier" => "head",
        _ => return None,
    })
}

/// All sites of `network`, in the order of its parameters.
pub(crate) fn of(network: &Network) -> Vec<Site> {
    let gpt2 = network.config.architecture == Architecture::Gpt2;
    let mut sites = Vec::new();
    for entry in network
        .parameters
        .entries()
        .iter()
        .filter(|entry| entry.reached)
    {
        let (Some(module), &[rows, columns]) =
            (entry.name.strip_suffix(".weight"), entry.shape.as_slice())
        else {
            continue;
        };
        let Some(role) = role(module) else {
            continue;
        };
        // An embedding maps ids, so its table is [inputs, outputs] as well.
        let table = role == "embedding";
        let transposed = table || (gpt2 && role != "head");
        let (inputs, outputs) = if transposed {
            (rows, columns)
        } else {
            (columns, rows)
        };
        sites.push(Site {
            name: module.to_owned(),
            inputs: inputs as u64,
            outputs: outputs as u64,
            role: role.to_owned(),
            layer: module.split('.').find_map(|part| part.parse().ok()),
            transposed,
        });
    }
    sites
}
