//! The model card: `README.md` of an export, as Hugging Face shows it. Everything in it is a fact of the run or of the
//! folder that was written; nothing names a place on the machine that trained.

mod adapted;

use std::fmt::Write as _;
use std::path::Path;

use codex_plugin_api::{Context, Error, ModelInfo, Result};
use serde::Serialize;
use serde_json::Value;

pub(super) use self::adapted::Adapted;
use super::report::grouped;

/// What the card tells.
pub(super) struct Facts<'a> {
    /// The run's name.
    pub(super) name: &'a str,
    /// The task's word.
    pub(super) task: &'a str,
    /// What the model says of itself.
    pub(super) model: &'a ModelInfo,
    /// The first of `architectures` in `config.json`; `None` where the folder has no such file.
    pub(super) class: Option<&'a str>,
    /// Whether sentence-transformers opens the folder.
    pub(super) sentences: bool,
    /// The `data` section of the configuration.
    pub(super) data: &'a Value,
    /// What was counted: documents, tokens, fingerprints.
    pub(super) counted: &'a Value,
    /// How many optimizer steps made the weights.
    pub(super) step: u64,
    /// The seed.
    pub(super) seed: u64,
    /// What the evaluation of these weights found.
    pub(super) scores: &'a [(String, Option<f64>)],
    /// The plugins in use, as `environment.json` lists them.
    pub(super) plugins: &'a [Value],
    /// What was trained instead of the whole model.
    pub(super) adapter: Option<Adapted<'a>>,
}

#[derive(Serialize)]
struct FrontMatter<'a> {
    library_name: &'a str,
    pipeline_tag: &'a str,
    tags: Vec<&'a str>,
}

impl Facts<'_> {
    /// The whole card.
    ///
    /// # Errors
    /// None for facts that are text.
    pub(super) fn card(&self) -> Result<String> {
        let front = serde_saphyr::to_string(&self.front_matter())
            .or_error(|| Error::failed("cannot write the model card's front matter"))?;
        let mut card = format!("---\n{}\n---\n\n# {}\n", front.trim(), plain(self.name));
        // Writing to a String cannot fail.
        let what = match &self.adapter {
            Some(adapter) => adapter.introduced(),
            None => "A model".to_owned(),
        };
        let _ = write!(
            card,
            "\n{what} of the architecture `{}` for the task `{}`, trained with codex-ml {}.\n\n| | |\n|---|---|\n",
            plain(&self.model.architecture),
            plain(self.task),
            env!("CARGO_PKG_VERSION"),
        );
        for (name, value) in self.rows() {
            let _ = writeln!(card, "| {name} | {value} |");
        }
        if !self.scores.is_empty() {
            card.push_str("\n## Results on held-out documents\n\n| metric | value |\n|---|---|\n");
            for (name, value) in self.scores {
                let value = value.map_or_else(|| "–".to_owned(), |value| format!("{value:.6}"));
                let _ = writeln!(card, "| {} | {value} |", plain(name));
            }
        }
        card.push_str("\n## Use\n");
        for (language, text) in self.uses() {
            let _ = write!(card, "\n```{language}\n{text}\n```\n");
        }
        Ok(card)
    }

    fn front_matter(&self) -> FrontMatter<'_> {
        let pipeline_tag = match self.task {
            "masked-lm" => "fill-mask",
            "embedding" if self.sentences => "sentence-similarity",
            "embedding" => "feature-extraction",
            "classification" | "regression" => "text-classification",
            _ => "text-generation",
        };
        let mut tags = vec!["codex-ml", self.model.architecture.as_str(), self.task];
        if self.sentences {
            tags.push("sentence-transformers");
        }
        if let Some(adapter) = &self.adapter {
            tags.extend(adapter.tags());
        }
        FrontMatter {
            library_name: match (self.sentences, self.class) {
                _ if self.adapter.as_ref().is_some_and(Adapted::is_peft) => "peft",
                _ if self.adapter.is_some() => "codex-ml",
                (true, _) => "sentence-transformers",
                (false, Some(_)) => "transformers",
                (false, None) => "codex-ml",
            },
            pipeline_tag,
            tags,
        }
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let count = |key: &str| self.counted[key].as_u64();
        let mut rows = self.adapter.as_ref().map_or_else(Vec::new, Adapted::rows);
        rows.extend([
            ("parameters", grouped(self.model.parameters)),
            ("vocabulary", grouped(u64::from(self.model.vocab_size))),
            ("width", grouped(u64::from(self.model.hidden_size))),
            (
                "longest sequence",
                format!("{} tokens", grouped(self.model.max_sequence_length.into())),
            ),
            ("computed in", plain(&self.model.precision)),
        ]);
        let mut data = vec![format!("`{}`", plain(&data_name(self.data)))];
        for (key, word) in [("train_documents", "documents"), ("tokens", "tokens")] {
            data.extend(count(key).map(|number| format!("{} {word}", grouped(number))));
        }
        rows.push(("trained on", data.join(", ")));
        if let Some(fingerprint) = self.counted["train_fingerprint"].as_str() {
            rows.push((
                "fingerprint of the data",
                format!("`{}`", plain(fingerprint)),
            ));
        }
        if let Some(held) = count("validation_documents").filter(|&held| held > 0) {
            rows.push(("held out", format!("{} documents", grouped(held))));
        }
        rows.push(("optimizer steps", grouped(self.step)));
        rows.push(("seed", self.seed.to_string()));
        let plugins: Vec<String> = self
            .plugins
            .iter()
            .filter_map(|plugin| Some((plugin["id"].as_str()?, plugin["version"].as_str()?)))
            .map(|(id, version)| format!("{} {}", plain(id), plain(version)))
            .collect();
        if !plugins.is_empty() {
            rows.push(("plugins", plugins.join(", ")));
        }
        rows
    }

    /// What to type, by the language of each piece.
    fn uses(&self) -> Vec<(&'static str, String)> {
        let own = match self.task {
            "causal-lm" => "codex-ml generate --model . --prompt \"The\"",
            "embedding" => "echo \"a text\" | codex-ml embed --model .",
            _ => "codex-ml evaluate --model .",
        };
        let mut uses = vec![("sh", own.to_owned())];
        if self.sentences {
            uses.push((
                "python",
                "from sentence_transformers import SentenceTransformer\n\n\
                 model = SentenceTransformer(\".\")\nprint(model.encode([\"a text\"]).shape)"
                    .to_owned(),
            ));
        }
        let class = match (self.task, self.class) {
            (_, None) => return uses,
            ("causal-lm", _) => "AutoModelForCausalLM",
            ("masked-lm", _) => "AutoModelForMaskedLM",
            ("classification" | "regression", _) => "AutoModelForSequenceClassification",
            _ => "AutoModel",
        };
        if let Some(adapter) = &self.adapter {
            uses.extend(adapter.python(class).map(|text| ("python", text)));
            return uses;
        }
        uses.push((
            "python",
            format!(
                "from transformers import AutoTokenizer, {class}\n\n\
                 tokenizer = AutoTokenizer.from_pretrained(\".\")\nmodel = {class}.from_pretrained(\".\")"
            ),
        ));
        uses
    }
}

/// What the data is called: the dataset's name, or the names of files without the folders they are in.
fn data_name(data: &Value) -> String {
    let file = |path: &Value| {
        let name = Path::new(path.as_str()?).file_name()?;
        Some(name.to_string_lossy().into_owned())
    };
    let files: Vec<String> = match &data["path"] {
        Value::Array(paths) => paths.iter().filter_map(file).collect(),
        path => file(path).into_iter().collect(),
    };
    if files.is_empty() {
        data["name"].as_str().unwrap_or("data").to_owned()
    } else {
        files.join(", ")
    }
}

/// A stranger's text (a run's, a file's name) without what would be markup in a table.
fn plain(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '`' | '|' | '<' | '>' | '[' | ']' => '_',
            character if character.is_control() => ' ',
            character => character,
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn card(task: &str, class: Option<&str>, sentences: bool, data: &Value) -> (Value, String) {
        let model = ModelInfo {
            architecture: "bert".into(),
            parameters: 22_713_216,
            vocab_size: 30_522,
            max_sequence_length: 512,
            hidden_size: 384,
            tasks: vec![task.into()],
            device: "cpu".into(),
            precision: "f32".into(),
        };
        let counted = json!({"train_documents": 3800, "tokens": 123_456, "train_fingerprint": "abc",
            "validation_documents": 200});
        let facts = Facts {
            name: "first: | run",
            task,
            model: &model,
            class,
            sentences,
            data,
            counted: &counted,
            step: 1400,
            seed: 7,
            scores: &[("loss".into(), Some(1.25)), ("accuracy".into(), None)],
            plugins: &[json!({"id": "model-minilm", "version": "0.1.0", "path": "/home/me/x.so"})],
            adapter: None,
        };
        let card = facts.card().unwrap();
        let front = card.split("---\n").nth(1).unwrap();
        (serde_saphyr::from_str(front).unwrap(), card)
    }

    #[test]
    fn the_front_matter_is_what_the_hub_reads() {
        let data = json!({"name": "grammar"});
        for (task, class, sentences, library, pipeline, loader) in [
            (
                "causal-lm",
                Some("LlamaForCausalLM"),
                false,
                "transformers",
                "text-generation",
                "AutoModelForCausalLM",
            ),
            (
                "masked-lm",
                Some("BertForMaskedLM"),
                false,
                "transformers",
                "fill-mask",
                "AutoModelForMaskedLM",
            ),
            (
                "embedding",
                Some("BertModel"),
                true,
                "sentence-transformers",
                "sentence-similarity",
                "SentenceTransformer(\".\")",
            ),
            (
                "embedding",
                Some("LlamaModel"),
                false,
                "transformers",
                "feature-extraction",
                "AutoModel.",
            ),
            (
                "regression",
                Some("BertForSequenceClassification"),
                false,
                "transformers",
                "text-classification",
                "AutoModelForSequenceClassification",
            ),
        ] {
            let (front, card) = card(task, class, sentences, &data);
            assert_eq!(
                (&front["library_name"], &front["pipeline_tag"]),
                (&json!(library), &json!(pipeline))
            );
            let tags = front["tags"].as_array().unwrap();
            assert!(tags.contains(&json!("codex-ml")) && tags.contains(&json!("bert")));
            assert!(card.contains(loader), "{card}");
        }
        let (front, card) = card("causal-lm", None, false, &data);
        assert_eq!(front["library_name"], "codex-ml");
        assert!(!card.contains("transformers"), "{card}");
    }

    #[test]
    fn the_card_tells_facts_and_no_places() {
        for (data, name) in [
            (json!({"name": "grammar"}), "`grammar`"),
            (
                json!({"name": "files", "path": "/home/me/secret/notes.txt"}),
                "`notes.txt`",
            ),
            (
                json!({"name": "files", "path": ["../up/a.csv", "/x/b.csv"]}),
                "`a.csv, b.csv`",
            ),
        ] {
            let (_, card) = card("causal-lm", Some("GPT2LMHeadModel"), false, &data);
            for fact in [
                "# first: _ run\n",
                "| parameters | 22,713,216 |",
                "3,800 documents, 123,456 tokens",
                "| fingerprint of the data | `abc` |",
                "| held out | 200 documents |",
                "| optimizer steps | 1,400 |",
                "| seed | 7 |",
                "| loss | 1.250000 |",
                "| accuracy | – |",
                "model-minilm 0.1.0",
                name,
            ] {
                assert!(card.contains(fact), "{fact} is not in\n{card}");
            }
            for place in ["/home", "secret", "../", "/x/"] {
                assert!(!card.contains(place), "{place} is in\n{card}");
            }
        }
    }
}
