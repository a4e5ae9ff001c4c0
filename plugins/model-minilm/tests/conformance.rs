//! The contract of the kind, by the API's own checks.
#![allow(clippy::print_stdout, reason = "a failing test names its architecture")]

use codex_plugin_api::serde_json::json;
use codex_plugin_api::testing::check_model;
use codex_plugin_model_minilm::MiniLm;

#[test]
fn every_architecture_conforms_in_every_task() {
    for (architecture, tasks) in [
        (
            "gpt2",
            &["causal-lm", "embedding", "classification", "regression"][..],
        ),
        (
            "llama",
            &["causal-lm", "embedding", "classification", "regression"],
        ),
        (
            "bert",
            &["masked-lm", "embedding", "classification", "regression"],
        ),
    ] {
        for &task in tasks {
            println!("{architecture} for {task}");
            check_model::<MiniLm>(json!({
                "architecture": architecture,
                "task": task,
                "labels": if task == "classification" { json!(3) } else { json!(null) },
                "vocab_size": 64,
                "hidden_size": 16,
                "layers": 2,
                "heads": 2,
                "sequence_length": 32,
                "seed": 3,
            }));
        }
    }
}
