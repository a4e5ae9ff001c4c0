//! What a model gives for sequences of ids, as JSON, for those who compare with another program: reads one object on standard
//! input, prints one. `cargo run --release -p codex-plugin-model-minilm --example outputs < request.json`
//!
//! `{"path": FOLDER, "task": "causal-lm", "sequences": [[…]], "token_types": [[…]], "want": ["logits", …], "greedy": N,
//! "adapters": [FOLDER, …], "save": FOLDER}`. `want` holds `logits` (a row an id), `embeddings`, `sequence_outputs` (a row a
//! sequence each); `greedy` continues every sequence with N ids; `adapters` are applied beside the model; `save` writes the
//! model again.
#![allow(clippy::print_stdout, reason = "a program that reports")]

use std::error::Error;

use codex_plugin_api::serde_json::{Map, Value, json};
use codex_plugin_api::{Ids, Model, Result, ScoreRequest, TokenBatch, serde_json};
use codex_plugin_model_minilm::{MiniLm, Settings};

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let request: Value = serde_json::from_reader(std::io::stdin().lock())?;
    let mut settings = json!({"path": request["path"]});
    for key in ["task", "precision"] {
        if let Some(value) = request.get(key) {
            settings[key] = value.clone();
        }
    }
    let settings: Settings = serde_json::from_value(settings)?;
    let mut model = MiniLm::new(&settings, 2)?;
    let adapters: Vec<String> =
        serde_json::from_value(request.get("adapters").cloned().unwrap_or(json!([])))?;
    for folder in &adapters {
        model.load_adapter(folder, folder)?;
    }
    if !adapters.is_empty() {
        model.activate_adapters(&adapters, &vec![1.0; adapters.len()])?;
    }
    let sequences: Vec<Vec<u32>> = serde_json::from_value(request["sequences"].clone())?;
    let ids = sequences.concat();
    let mut offsets = vec![0];
    offsets.extend(sequences.iter().scan(0, |end, sequence| {
        *end += sequence.len() as u64;
        Some(*end)
    }));
    let sequences = Ids::new(&ids, &offsets)?;
    let token_types = match request.get("token_types") {
        Some(Value::Array(_)) => {
            serde_json::from_value::<Vec<Vec<u32>>>(request["token_types"].clone())?.concat()
        }
        _ => Vec::new(),
    };
    let batch = TokenBatch {
        token_types: (!token_types.is_empty()).then_some(&token_types),
        ..TokenBatch::new(sequences)
    };
    let mut answer = Map::new();
    answer.insert("info".into(), serde_json::to_value(model.info()?)?);
    for want in request["want"].as_array().into_iter().flatten() {
        let want = want.as_str().unwrap_or_default();
        let (values, rows) = match want {
            "logits" => (model.logits(sequences)?, ids.len()),
            "embeddings" => (model.embed(sequences)?, sequences.len()),
            "sequence_outputs" => (sequence_outputs(&mut model, &batch)?, sequences.len()),
            other => return Err(format!("nothing is called {other:?}").into()),
        };
        let width = values.len() / rows.max(1);
        let table: Vec<&[f32]> = values.chunks(width.max(1)).collect();
        answer.insert(want.to_owned(), json!(table));
    }
    if let Some(count) = request["greedy"].as_u64() {
        let continued: Result<Vec<Vec<u32>>> = sequences
            .iter()
            .map(|start| greedy(&mut model, start, count))
            .collect();
        answer.insert("greedy".into(), json!(continued?));
    }
    if let Some(folder) = request["save"].as_str() {
        std::fs::create_dir_all(folder)?;
        model.save(folder)?;
    }
    println!("{}", Value::Object(answer));
    Ok(())
}

fn sequence_outputs(model: &mut MiniLm, batch: &TokenBatch<'_>) -> Result<Vec<f32>> {
    // Scores need targets; the outputs do not depend on them.
    let labels = vec![0.0; batch.sequences.len()];
    let batch = TokenBatch {
        sequence_labels: Some(&labels),
        ..*batch
    };
    let request = ScoreRequest {
        sequence_outputs: true,
        ..ScoreRequest::default()
    };
    Ok(model.score(&batch, request)?.sequence_outputs)
}

/// The likeliest id after each, from the cache.
fn greedy(model: &mut MiniLm, start: &[u32], count: u64) -> Result<Vec<u32>> {
    let session = model.open_session()?;
    let mut unread = start.to_vec();
    let mut found = Vec::new();
    for _ in 0..count {
        let offsets = [0, unread.len() as u64];
        let logits = model.extend_sessions(&[session], Ids::new(&unread, &offsets)?)?;
        let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        let id = best.map_or(0, |(id, _)| id as u32);
        found.push(id);
        unread = vec![id];
    }
    model.close_session(session)?;
    Ok(found)
}
