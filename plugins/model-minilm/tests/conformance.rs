//! The contract of the kind, by the API's own checks.
#![allow(clippy::print_stdout, reason = "a failing test names its architecture")]

use codex_plugin_api::serde_json::json;
use codex_plugin_api::testing::check_model;
use codex_plugin_model_minilm::MiniLm;

#[test]
fn both_architectures_conform() {
    for architecture in ["gpt2", "llama"] {
        println!("{architecture}");
        check_model::<MiniLm>(json!({
            "architecture": architecture,
            "vocab_size": 64,
            "hidden_size": 16,
            "layers": 2,
            "heads": 2,
            "sequence_length": 32,
            "seed": 3,
        }));
    }
}
