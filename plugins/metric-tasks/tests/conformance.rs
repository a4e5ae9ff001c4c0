//! The contract of the kind, by the API's own checks.

use codex_plugin_api::serde_json::json;
use codex_plugin_api::testing::check_metric;
use codex_plugin_metric_tasks::{Classification, Regression, Retrieval};

#[test]
fn conforms() {
    check_metric::<Classification>(json!({}));
    check_metric::<Regression>(json!({}));
    check_metric::<Retrieval>(json!({}));
}
