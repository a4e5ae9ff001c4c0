//! The contract of the kind, by the API's own checks.

#![allow(clippy::unwrap_used, reason = "tests")]

use codex_plugin_api::serde_json::json;
use codex_plugin_api::testing::check_sanitizer;
use codex_plugin_sanitizer_default::DefaultSanitizer;

#[test]
fn conforms() {
    check_sanitizer::<DefaultSanitizer>(json!({}));
}
