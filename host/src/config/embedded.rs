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
    "data/files.yaml",
    "data/grammar.yaml",
    "model/minilm-tiny.yaml",
    "model/minilm-small.yaml",
    "model/minilm-base.yaml",
    "model/gpt2-small.yaml",
    "tokenizer/bpe-512.yaml",
    "tokenizer/bpe-8k.yaml",
    "training/minute.yaml",
    "training/long.yaml",
    "trackers/files.yaml",
    "trackers/none.yaml",
];

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

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
