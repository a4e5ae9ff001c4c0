//! `codex-ml generate` on what is not the usual folder or not the usual single prompt: bare decoders, several prompts.

use std::fs;

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::embed::reference_model;
use crate::first_steps::quick;

/// What a reference decoder's folder would be if only its trunk had been saved: no head, no prefix, another class.
fn bare(bench: &Bench, reference: &str, prefix: &str, class: &str) {
    let whole = format!("{reference}/whole");
    reference_model(bench, reference, &whole);
    let folder = format!("{reference}/bare");
    reference_model(bench, reference, &folder);
    let mut config: Value =
        serde_json::from_str(&bench.read(format!("{folder}/config.json"))).unwrap();
    config["architectures"] = json!([class]);
    bench.write(&format!("{folder}/config.json"), config.to_string());
    let file = bench.work().join(&folder).join("model.safetensors");
    let bytes = fs::read(&file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let trunk: Vec<(String, TensorView<'_>)> = tensors
        .tensors()
        .into_iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor)))
        .collect();
    assert!(trunk.len() > 10, "{} tensors of the trunk", trunk.len());
    fs::write(file, safetensors::serialize(trunk, None).unwrap()).unwrap();
}

fn continued(folder: &str) -> Vec<&str> {
    vec![
        "generate",
        "--model",
        folder,
        "--prompt",
        "t7 t40 t3",
        "--temperature",
        "0",
        "--max-new-tokens",
        "12",
        "--json",
    ]
}

#[test]
fn a_bare_gpt2_continues_texts_with_its_token_embedding_as_head() {
    let bench = Bench::new();
    bare(&bench, "gpt2-tiny", "transformer.", "GPT2Model");
    let whole = bench.run(&continued("gpt2-tiny/whole")).ok();
    let text = whole.json();
    assert!(text["tokens"].as_u64().unwrap() > 0, "{text}");
    let bare = bench.run(&continued("gpt2-tiny/bare")).ok();
    assert_eq!(bare.json(), text);
}

#[test]
fn a_decoder_without_a_head_of_its_own_does_not_continue_with_noise() {
    let bench = Bench::new();
    bare(&bench, "llama-tiny", "model.", "LlamaModel");
    bench.run(&continued("llama-tiny/whole")).ok();
    let mut plain = continued("llama-tiny/bare");
    plain.retain(|argument| *argument != "--json");
    bench
        .run(&plain)
        .fails(3, &["no language-modelling head"])
        .tells(&["training.task=causal-lm"]);
}

#[test]
fn several_prompts_at_once_are_continued_as_each_alone() {
    let bench = Bench::new();
    bench.run(&quick(&[])).ok();
    let prompts = [
        "The",
        "",
        "The cat sees the old dog and",
        "A",
        "The dog",
        "Where is the small",
    ];
    for temperature in ["0", "0.9"] {
        let generate = |prompts: &[&str]| -> Vec<Value> {
            let mut arguments = vec![
                "generate",
                "--model",
                "runs/quick/model",
                "--max-new-tokens",
                "40",
                "--temperature",
                temperature,
                "--seed",
                "3",
                "--json",
            ];
            arguments.extend(prompts.iter().flat_map(|prompt| ["--prompt", prompt]));
            let ran = bench.run(&arguments).ok();
            ran.stdout
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect()
        };
        let together = generate(&prompts);
        let alone: Vec<Value> = prompts
            .iter()
            .flat_map(|prompt| generate(&[prompt]))
            .collect();
        assert_eq!(together, alone, "temperature {temperature}");
        let texts: std::collections::BTreeSet<&str> = together
            .iter()
            .map(|completion| completion["text"].as_str().unwrap())
            .collect();
        assert!(
            texts.len() > prompts.len() / 2,
            "too alike to tell: {texts:?}"
        );
    }
}
