//! What a model card tells of an adapter: what it is for, how much of it trained, how it comes onto its model.

use std::path::Path;

use super::plain;
use crate::train::adapter::Trained;

/// The formats that PEFT reads; what another adapter's operations are, only codex-ml knows.
const PEFT: [&str; 3] = ["LORA", "IA3", "VERA"];

/// An adapter that was exported.
#[derive(Clone, Copy, Debug)]
pub(in crate::train) struct Adapted<'a> {
    /// What was trained.
    pub(in crate::train) trained: &'a Trained,
    /// `peft_type` of its `adapter_config.json`.
    pub(in crate::train) format: Option<&'a str>,
}

impl Adapted<'_> {
    /// Whether PEFT opens it.
    pub(super) fn is_peft(&self) -> bool {
        self.format.is_some_and(|format| PEFT.contains(&format))
    }

    /// The base by its run's or folder's name: a card tells no places.
    fn base(&self) -> String {
        let path = Path::new(&self.trained.base);
        let name = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
        let own = name(path).filter(|name| name != "model");
        let found = own.or_else(|| path.parent().and_then(name));
        plain(&found.unwrap_or_else(|| "model".to_owned()))
    }

    pub(super) fn introduced(&self) -> String {
        format!(
            "An adapter (`{}`) for `{}`, a model",
            plain(&self.trained.name),
            self.base()
        )
    }

    pub(super) fn tags(&self) -> Vec<&str> {
        let mut tags = vec!["adapter"];
        tags.extend((self.trained.name != "adapter").then_some(self.trained.name.as_str()));
        tags.extend(self.is_peft().then_some("peft"));
        tags
    }

    pub(super) fn rows(&self) -> Vec<(&'static str, String)> {
        vec![
            ("trained", self.trained.share()),
            ("at", plain(&self.trained.places())),
        ]
    }

    /// How Python puts it on its model.
    pub(super) fn python(&self, class: &str) -> Option<String> {
        self.is_peft().then(|| {
            format!(
                "from peft import PeftModel\nfrom transformers import {class}\n\n\
                 model = PeftModel.from_pretrained({class}.from_pretrained(\"BASE\"), \".\")   # BASE: the folder of {}",
                self.base()
            )
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use codex_plugin_api::ModelInfo;
    use serde_json::{Value, json};

    use super::super::Facts;
    use super::*;

    fn card(base: &str, format: Option<&str>) -> (Value, String) {
        let trained = Trained {
            name: "lora".into(),
            options: Value::Null,
            base: base.into(),
            sites: vec!["h.0.q".into(), "h.1.q".into()],
            whole: Vec::new(),
            trainable: 10,
            parameters: 1000,
        };
        let model = ModelInfo {
            architecture: "llama".into(),
            parameters: 990,
            vocab_size: 100,
            max_sequence_length: 64,
            hidden_size: 8,
            tasks: vec!["causal-lm".into()],
            device: "cpu".into(),
            precision: "f32".into(),
        };
        let facts = Facts {
            name: "tuned",
            task: "causal-lm",
            model: &model,
            class: Some("LlamaForCausalLM"),
            sentences: false,
            data: &json!({"name": "grammar"}),
            counted: &Value::Null,
            step: 3,
            seed: 0,
            scores: &[],
            plugins: &[],
            adapter: Some(Adapted {
                trained: &trained,
                format,
            }),
        };
        let card = facts.card().unwrap();
        let front = card.split("---\n").nth(1).unwrap();
        (serde_saphyr::from_str(front).unwrap(), card)
    }

    #[test]
    fn the_card_of_an_adapter_says_what_it_is_for_and_no_place() {
        for base in ["/home/me/runs/first/model", "runs/first", "first"] {
            let (front, card) = card(base, Some("LORA"));
            assert_eq!(front["library_name"], "peft");
            let tags = front["tags"].as_array().unwrap();
            assert!(tags.contains(&json!("lora")) && tags.contains(&json!("peft")));
            for fact in [
                "An adapter (`lora`) for `first`, a model of the architecture `llama`",
                "| trained | 10 of 1,000 parameters (1.00 %) |",
                "| at | h.*.q (2) |",
                "AutoModelForCausalLM.from_pretrained(\"BASE\")",
                "codex-ml generate --model .",
            ] {
                assert!(card.contains(fact), "{fact} is not in\n{card}");
            }
            assert!(!card.contains("/home") && !card.contains("runs/"), "{card}");
        }
    }

    #[test]
    fn an_adapter_that_peft_does_not_know_is_not_promised_to_python() {
        for format in [None, Some("MINE")] {
            let (front, card) = card("first", format);
            assert_eq!(front["library_name"], "codex-ml");
            assert!(!card.contains("python") && !card.contains("peft"), "{card}");
        }
    }
}
