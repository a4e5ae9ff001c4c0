//! What every adapter promises, on each of the family.

use codex_plugin_adapter_lora::{Dora, Ia3, Lora, RsLora, Vera};
use codex_plugin_api::testing::check_adapter;
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
