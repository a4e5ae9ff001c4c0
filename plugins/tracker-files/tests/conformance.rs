//! The contract of the kind, by the API's own checks.

use codex_plugin_api::serde_json::json;
use codex_plugin_api::testing::check_tracker;
use codex_plugin_tracker_files::FilesTracker;

#[test]
fn conforms() {
    check_tracker::<FilesTracker>(json!({}));
}
