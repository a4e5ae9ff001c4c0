//! What every adapter promises, on each of the family.

use std::path::Path;

use codex_plugin_adapter_lora::{Dora, Ia3, Lora, LoraCommand, RsLora, Vera};
use codex_plugin_api::Manifest;
use codex_plugin_api::testing::{check_adapter, check_command};
use serde_json::json;

#[test]
fn adapters_keep_their_promises() {
    check_adapter::<Lora>(json!({}));
    check_adapter::<Lora>(json!({
        "targets": "all-linear", "rank": 3, "alpha": 0.1, "dropout": 0.1, "bias": "lora_only", "init": "pissa",
    }));
    check_adapter::<RsLora>(json!({"targets": ["c_attn", "down"], "layers": [1]}));
    check_adapter::<Dora>(json!({"modules_to_save": ["lm_head"], "bias": "all"}));
    check_adapter::<Ia3>(json!({}));
    check_adapter::<Vera>(json!({"rank": 4}));
}

#[test]
fn the_command_keeps_its_promises() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/adapters");
    for name in ["lora-gpt2", "dora-llama", "ia3-llama"] {
        let adapter = golden
            .join(name)
            .join("adapter")
            .to_string_lossy()
            .into_owned();
        let arguments = json!({"subcommand": "inspect", "adapter": adapter});
        check_command::<LoraCommand>(serde_json::Value::Null, arguments);
    }
}

#[test]
fn the_manifest_is_whole() {
    let manifest = Manifest::parse(include_str!("../plugin.toml"), "plugin.toml");
    assert!(manifest.is_ok(), "{manifest:?}");
}
