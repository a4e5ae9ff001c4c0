//! The configuration files that are built into the binary, so that it works without a `configs` folder.

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../configs/", $path)))),*]
    };
}

/// Path below `configs/` and text.
pub(super) const FILES: &[(&str, &str)] = files![
    "default.yaml",
    "text.yaml",
    "masked.yaml",
    "embedding.yaml",
    "classification.yaml",
    "regression.yaml",
    "data/files.yaml",
    "data/grammar.yaml",
    "data/grammar-pairs.yaml",
    "data/grammar-labelled.yaml",
    "model/minilm-nano.yaml",
    "model/minilm-tiny.yaml",
    "model/minilm-small.yaml",
    "model/minilm-base.yaml",
    "model/minilm-l6-h384.yaml",
    "model/minilm-l12-h384.yaml",
    "model/gpt2-small.yaml",
    "model/bert-tiny.yaml",
    "tokenizer/bpe-512.yaml",
    "tokenizer/bpe-8k.yaml",
    "tokenizer/wordpiece-512.yaml",
    "tokenizer/wordpiece-8k.yaml",
    "training/minute.yaml",
    "training/minute-records.yaml",
    "training/long.yaml",
    "trackers/files.yaml",
    "trackers/none.yaml",
];

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use serde_json::Value;

    use super::*;

    /// The parameters of an architecture of the plugin minilm, a task's head not counted; `MiniLm`'s own tests compare
    /// such counts with what Transformers has.
    fn parameters(config: &Value, vocabulary: u64) -> u64 {
        let number = |key: &str| config[key].as_u64().unwrap();
        let (width, layers) = (number("hidden_size"), number("layers"));
        let positions = number("sequence_length") * width;
        let tokens = vocabulary * width;
        let square = 4 * width * width;
        let wide = 4 * width;
        let dense = square + 4 * width + 2 * width * wide + wide + width;
        match config["architecture"].as_str().unwrap() {
            "llama" => {
                let inner = (8 * width).div_ceil(3).next_multiple_of(32);
                let tied = config["tie_word_embeddings"] == true;
                let heads = if tied { 0 } else { tokens };
                tokens + heads + layers * (square + 3 * width * inner + 2 * width) + width
            }
            "gpt2" => tokens + positions + layers * (dense + 4 * width) + 2 * width,
            "bert" => tokens + positions + 4 * width + layers * (dense + 4 * width),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn comments_of_models_tell_how_large_they_are() {
        for (path, text) in FILES {
            if !path.starts_with("model/") {
                continue;
            }
            let comment: Vec<&str> = text.lines().next().unwrap().split(' ').collect();
            let before = |word: &str| {
                let at = comment.iter().position(|found| found.starts_with(word));
                comment[at.unwrap_or_else(|| panic!("{path} does not say {word}")) - 1]
            };
            let vocabulary: u64 = before("tokens").parse().unwrap();
            let told = before("million");
            let config: Value = crate::config::yaml::parse(text, path).unwrap().into_value();
            let millions = parameters(&config, vocabulary) as f64 / 1e6;
            let digits = told.split('.').nth(1).map_or(0, str::len);
            assert_eq!(format!("{millions:.digits$}"), told, "{path}");
        }
    }

    #[test]
    fn every_file_of_configs_is_built_in() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
        let mut on_disk = BTreeSet::new();
        for entry in std::fs::read_dir(&root).unwrap() {
            let path = entry.unwrap().path();
            let inside: Vec<_> = if path.is_dir() {
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path())
                    .collect()
            } else {
                vec![path]
            };
            for path in inside {
                let relative = path.strip_prefix(&root).unwrap();
                let parts: Vec<_> = relative.iter().map(|part| part.to_str().unwrap()).collect();
                on_disk.insert(parts.join("/"));
            }
        }
        let built_in: BTreeSet<String> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(built_in, on_disk);
    }
}
