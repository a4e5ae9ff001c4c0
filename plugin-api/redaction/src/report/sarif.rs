//! Findings in SARIF 2.1.0 (OASIS), which code hosts and editors show beside the code.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use codex_plugin_api::{Rule, Severity};
use serde_json::{Value, json};

use super::ReportedFinding;

/// A SARIF log with one run: `tool` and its `version`, the rules of every plugin, the findings that were not allowed.
///
/// Columns count Unicode code points, bytes are offsets of UTF-8. `partialFingerprints` holds the value's HMAC, so a
/// finding is known again wherever it moves.
pub fn sarif<'a>(
    tool: &str,
    version: &str,
    rules: impl IntoIterator<Item = (&'a str, &'a Rule)>,
    findings: &[ReportedFinding],
) -> Value {
    let mut index = BTreeMap::new();
    let mut descriptors = Vec::new();
    for (plugin, rule) in rules {
        index.insert((plugin, rule.id.as_str()), descriptors.len());
        descriptors.push(descriptor(plugin, rule));
    }
    let results: Vec<Value> = findings
        .iter()
        .filter(|finding| finding.action != crate::Action::Allow)
        .map(|finding| {
            let rule = index.get(&(finding.plugin.as_str(), finding.rule.as_str()));
            result(finding, rule.copied())
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": tool, "version": version, "rules": descriptors}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn descriptor(plugin: &str, rule: &Rule) -> Value {
    json!({
        "id": format!("{plugin}/{}", rule.id),
        "shortDescription": {"text": if rule.description.is_empty() { &rule.entity } else { &rule.description }},
        "defaultConfiguration": {"level": level(rule.severity)},
        "properties": {
            "entity": rule.entity,
            "severity": rule.severity,
            "security-severity": security_severity(rule.severity),
            "tags": ["security"],
        },
    })
}

fn result(finding: &ReportedFinding, rule: Option<usize>) -> Value {
    let mut result = json!({
        "ruleId": format!("{}/{}", finding.plugin, finding.rule),
        "level": level(finding.severity),
        "message": {"text": format!(
            "{} found by {} (confidence {:.2}, action {})",
            finding.entity, finding.rule, finding.confidence, finding.action.word()
        )},
        "partialFingerprints": {"valueHmac/v1": finding.value_hmac},
        "properties": {
            "entity": finding.entity,
            "severity": finding.severity,
            "confidence": finding.confidence,
            "action": finding.action,
        },
    });
    if let Some(rule) = rule {
        result["ruleIndex"] = rule.into();
    }
    if let Some(path) = &finding.path {
        let mut location = json!({"physicalLocation": {
            "artifactLocation": {"uri": uri(path)},
            "region": {
                "startLine": finding.line,
                "startColumn": finding.column,
                "endLine": finding.end_line,
                "endColumn": finding.end_column,
                "byteOffset": finding.byte_start,
                "byteLength": finding.byte_end - finding.byte_start,
            },
        }});
        if let Some(pointer) = &finding.pointer {
            location["logicalLocations"] = json!([{"fullyQualifiedName": pointer}]);
        }
        result["locations"] = json!([location]);
    }
    result
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "note",
        Severity::Medium => "warning",
        Severity::High | Severity::Critical => "error",
    }
}

/// The number by which GitHub sorts alerts: over 9 critical, over 7 high, over 4 medium.
fn security_severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "2.0",
        Severity::Medium => "5.0",
        Severity::High => "8.0",
        Severity::Critical => "9.5",
    }
}

/// A path as a URI reference (RFC 3986): `/` parts it, whatever else is not unreserved is percent-encoded.
fn uri(path: &str) -> String {
    let path = path.replace('\\', "/");
    let mut uri = String::with_capacity(path.len());
    if path.starts_with('/') {
        uri.push_str("file://");
    }
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(byte.into());
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Action;
    use crate::testing::finding;

    fn rule() -> Rule {
        Rule {
            id: "token".into(),
            entity: "secret".into(),
            severity: Severity::Critical,
            description: "finds tokens".into(),
        }
    }

    #[test]
    fn a_log_holds_rules_places_and_fingerprints() {
        let mut found = finding("sub dir/ž.json", "token", 'a');
        found.pointer = Some("/a/0".into());
        let mut allowed = found.clone();
        allowed.action = Action::Allow;
        let log = sarif(
            "codex-ml",
            "0.1.0",
            [("toy", &rule())],
            &[found.clone(), allowed],
        );
        assert_eq!(log["version"], "2.1.0");
        let run = &log["runs"][0];
        assert_eq!(run["columnKind"], "unicodeCodePoints");
        assert_eq!(run["tool"]["driver"]["rules"][0]["id"], "toy/token");
        let results = run["results"].as_array().map(Vec::len);
        assert_eq!(results, Some(1), "what is allowed is no result");
        let result = &run["results"][0];
        assert_eq!(
            (&result["ruleIndex"], &result["level"]),
            (&json!(0), &json!("error"))
        );
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "sub%20dir/%C5%BE.json");
        assert_eq!(place["region"]["startLine"], found.line);
        assert_eq!(
            place["region"]["byteLength"],
            found.byte_end - found.byte_start
        );
        assert_eq!(
            result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"],
            "/a/0"
        );
        assert_eq!(
            result["partialFingerprints"]["valueHmac/v1"],
            found.value_hmac
        );
    }

    #[test]
    fn paths_become_uris() {
        for (path, expected) in [
            ("a/b.txt", "a/b.txt"),
            ("a\\b c.txt", "a/b%20c.txt"),
            ("/tmp/a#1", "file:///tmp/a%231"),
        ] {
            assert_eq!(uri(path), expected);
        }
    }
}
