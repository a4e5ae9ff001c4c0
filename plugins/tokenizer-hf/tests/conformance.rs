//! The contract of the kind, by the API's own checks.
#![allow(clippy::print_stdout, reason = "a failing test names its algorithm")]

use codex_plugin_api::serde_json::json;
use codex_plugin_api::testing::check_tokenizer;
use codex_plugin_tokenizer_hf::HfTokenizer;

#[test]
fn every_algorithm_conforms() {
    for algorithm in ["byte-level-bpe", "metaspace-bpe", "wordpiece", "unigram"] {
        println!("{algorithm}");
        check_tokenizer::<HfTokenizer>(
            json!({"algorithm": algorithm, "vocab_size": 400, "min_frequency": 1}),
        );
    }
}
