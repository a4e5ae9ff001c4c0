//! The contract of the kind, by the API's own checks.

use codex_plugin_api::serde_json::json;
use codex_plugin_api::testing::check_metric;
use codex_plugin_metric_lm::LanguageModelMetric;

#[test]
fn conforms() {
    check_metric::<LanguageModelMetric>(json!({}));
    check_metric::<LanguageModelMetric>(json!({"top_k": 3}));
}
