//! Somebody else's adapter, in the sandbox, trains through the same path.

use std::fs;

use serde_json::Value;

use super::{TUNE, formal_loss, with_base};
use crate::guests::put;

#[test]
fn an_adapter_in_the_sandbox_trains_like_a_native_one() {
    let bench = with_base();
    if !put(&bench, "wasm-plugins/adapter-rust") {
        return;
    }
    let settings: Vec<&str> = TUNE
        .into_iter()
        .filter(|word| !word.starts_with("adapter"))
        .chain(["adapter=ia3-scale", "training.learning_rate=3e-2"])
        .collect();
    bench
        .run(&settings)
        .ok()
        .tells(&["adapter ia3-scale for runs/base/model:", "k_proj"]);
    let config: Value =
        serde_json::from_str(&bench.read("runs/r/model/adapter_config.json")).unwrap();
    assert_eq!(config["peft_type"], "IA3");
    let alone = formal_loss(&bench, &["--model", "runs/base/model"]);
    let tuned = formal_loss(&bench, &["--model", "runs/r/model"]);
    assert!(
        tuned < 0.99 * alone,
        "the loss went from {alone} to {tuned}"
    );
    // What it left is used without it.
    fs::remove_dir_all(bench.data().join("plugins")).unwrap();
    assert_eq!(
        tuned.to_bits(),
        formal_loss(&bench, &["--model", "runs/r/model"]).to_bits()
    );

    if put(&bench, "wasm-plugins/adapter-rust") {
        let misspelt = [&settings[..], &["run.name=s", "adapter.targets=[keys]"]].concat();
        bench.run(&misspelt).fails(2, &["keys"]).tells(&["k_proj"]);
        assert!(!bench.work().join("runs/s").exists());
    }
}
