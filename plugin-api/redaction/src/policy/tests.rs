//! Policies: which line decides, what is allowed, what a wrong one is told.
#![allow(clippy::unwrap_used, reason = "tests")]

use codex_plugin_api::ErrorKind;

use super::*;

fn subject(stage: Stage, entity: &'static str) -> Subject<'static> {
    Subject {
        stage,
        entity,
        rule: "some-rule",
        severity: Severity::High,
        confidence: 0.9,
        value: "value",
        path: None,
    }
}

#[test]
fn the_built_in_policy_fits_its_schema_and_decides_as_documented() {
    load::check(Policy::STANDARD_YAML, "standard").unwrap();
    let policy = Policy::standard().unwrap();
    let unsure = |stage, entity| Subject {
        confidence: 0.1,
        ..subject(stage, entity)
    };
    let mild = |stage, entity| Subject {
        severity: Severity::Low,
        ..subject(stage, entity)
    };
    use Action::{Allow, Redact, Warn};
    use Stage::{Ingest, Log, Output, Prompt};
    for (finding, action) in [
        (subject(Ingest, "secret"), Redact),
        (unsure(Prompt, "secret"), Redact),
        (mild(Output, "secret-generic"), Redact),
        (subject(Ingest, "email-address"), Redact),
        (unsure(Ingest, "phone-number"), Warn),
        (mild(Output, "ip-address"), Warn),
        (subject(Prompt, "email-address"), Warn),
        (subject(Log, "email-address"), Redact),
        (unsure(Log, "email-address"), Warn),
        (mild(Log, "ip-address"), Warn),
        (subject(Ingest, "prompt-attack"), Warn),
        (subject(Log, "prompt-attack-unicode"), Allow),
    ] {
        assert_eq!(policy.decide(&finding).action, action, "{finding:?}");
    }
    for stage in [Ingest, Prompt, Output] {
        assert_eq!(policy.on_error(stage), OnError::Block);
    }
    assert_eq!(policy.on_error(Log), OnError::Withhold);
    assert!(!policy.names_values());
    for mode in ["pseudonym", "fake"] {
        let own = Policy::from_yaml(&format!("version: 1\nmode: {mode}\n"), "own").unwrap();
        assert!(own.names_values(), "{mode}");
    }
}

#[test]
fn the_first_line_that_fits_decides_and_ones_own_come_first() {
    let policy = Policy::from_yaml(
        "version: 1\nmode: mask\nactions:\n\
         - {entities: [secret], rules: ['aws-*'], stages: [prompt], action: block}\n\
         - {entities: [email-address], min_confidence: 0.95, action: drop}\n\
         - {entities: [email-address], action: redact, mode: pseudonym}\n\
         on_error: {log: drop}\n",
        "mine.yaml",
    )
    .unwrap();
    let aws = |stage| Subject {
        rule: "aws-access-key-id",
        ..subject(stage, "secret")
    };
    let decide = |finding: Subject<'_>| {
        let decision = policy.decide(&finding);
        (decision.action, decision.mode)
    };
    assert_eq!(decide(aws(Stage::Prompt)), (Action::Block, Mode::Mask));
    assert_eq!(
        decide(aws(Stage::Output)),
        (Action::Redact, Mode::Mask),
        "the standard line, in the user's mode"
    );
    let email = subject(Stage::Output, "email-address");
    assert_eq!(decide(email), (Action::Redact, Mode::Pseudonym));
    let sure = Subject {
        confidence: 0.95,
        ..email
    };
    assert_eq!(decide(sure).0, Action::Drop);
    assert_eq!(policy.on_error(Stage::Log), OnError::Drop);
    assert_eq!(policy.on_error(Stage::Ingest), OnError::Block);
    assert!(policy.uses(Mode::Mask) && !policy.uses(Mode::Fake));
}

#[test]
fn without_a_line_findings_are_redacted() {
    let policy = Policy::from_yaml("version: 1\nextends: none\n", "p").unwrap();
    let decision = policy.decide(&subject(Stage::Prompt, "unheard-of"));
    assert_eq!(decision.action, Action::Redact);
    assert_eq!(
        policy.on_error(Stage::Log),
        OnError::Withhold,
        "closed by itself"
    );
}

#[test]
fn allow_lists_need_all_their_keys() {
    let policy = Policy::from_yaml(
        "version: 1\nallow:\n\
         - {literals: [EXAMPLE-1], reason: documented}\n\
         - {regexes: ['(?i)^test-'], entities: [secret]}\n\
         - {stop_words: [ChangeMe], paths: ['fixtures/**']}\n",
        "p",
    )
    .unwrap();
    let action = |value: &'static str, entity, path| {
        policy
            .decide(&Subject {
                value,
                path,
                ..subject(Stage::Ingest, entity)
            })
            .action
    };
    assert_eq!(action("EXAMPLE-1", "secret", None), Action::Allow);
    assert_eq!(action("EXAMPLE-12", "secret", None), Action::Redact);
    assert_eq!(action("TEST-abc", "secret", None), Action::Allow);
    assert_eq!(action("TEST-abc", "email-address", None), Action::Redact);
    let fixture = Some("a/fixtures/b.txt");
    assert_eq!(action("please-CHANGEME", "secret", fixture), Action::Allow);
    assert_eq!(action("please-CHANGEME", "secret", None), Action::Redact);
    assert_eq!(action("hunter2", "secret", fixture), Action::Redact);
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_a_hint() {
    for (text, message, hint) in [
        ("{}", "p.yaml: version is missing", "version: 1"),
        (
            "version: 2",
            "p.yaml: version must be 1, not 2",
            "version 1",
        ),
        (
            "version: 1\nactoins: []",
            "unknown key p.yaml: actoins",
            "did you mean actions?",
        ),
        (
            "version: 1\nactions: [{action: redcat}]",
            "p.yaml: actions.0.action must be one of allow, warn, redact, drop, block, not \"redcat\"",
            "did you mean redact?",
        ),
        (
            "version: 1\nactions: [{action: warn, entity: x}]",
            "unknown key p.yaml: actions.0.entity",
            "did you mean entities?",
        ),
        (
            "version: 1\nactions: [{stages: [log]}]",
            "p.yaml: actions.0.action is missing",
            "action",
        ),
        (
            "version: 1\nactions: [{action: warn, min_confidence: 3}]",
            "p.yaml: actions.0.min_confidence does not fit: 3",
            "docs/",
        ),
        (
            "version: 1\nallow: [{entities: [secret]}]",
            "p.yaml: allow.0 allows everything",
            "literals",
        ),
        (
            "version: 1\nallow: [{regexes: ['a(']}]",
            "p.yaml: allow.0.regexes.0 is no regular expression: \"a(\"",
            "backslash",
        ),
        (
            "version: 1\nallow: [{paths: ['a***']}]",
            "p.yaml: allow.0.paths.0 is no glob",
            "**",
        ),
        (
            "version: 1\non_error: {log: allow}",
            "p.yaml: on_error.log must be one of",
            "withhold",
        ),
        (
            "version: 1\n  x: [",
            "p.yaml line 2 is not a policy",
            "version: 1",
        ),
        ("[]", "p.yaml does not fit", "docs/"),
    ] {
        let error = Policy::from_yaml(text, "p.yaml").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{text}");
        assert!(error.message().starts_with(message), "{text}: {error}");
        assert!(!error.message().contains('\n'), "{error}");
        let told = error.hint_text().unwrap_or_default();
        assert!(told.contains(hint), "{text}: {told}");
    }
}

#[test]
fn digests_follow_the_content() {
    let digest = |text: &str| Policy::from_yaml(text, "p").unwrap().digest().to_owned();
    let plain = digest("version: 1");
    assert_eq!(plain, digest("# a comment\nversion: 1\n"));
    assert_ne!(plain, digest("version: 1\nmode: mask"));
    assert_ne!(plain, digest("version: 1\nextends: none"));
    assert_eq!(plain.len(), 64);
}

#[test]
fn the_documented_policy_is_one() {
    let page = include_str!("../../../../docs/redaction.md");
    let (_, behind) = page.split_once("```yaml\n").unwrap();
    let (example, _) = behind.split_once("```").unwrap();
    let policy = Policy::from_yaml(example, "docs/redaction.md").unwrap();
    let critical = Subject {
        severity: Severity::Critical,
        ..subject(Stage::Prompt, "secret")
    };
    assert_eq!(policy.decide(&critical).action, Action::Block);
    let address = Subject {
        rule: "ipv4-public",
        ..subject(Stage::Prompt, "ip-address")
    };
    assert_eq!(policy.decide(&address).mode, Mode::Pseudonym);
}

#[test]
fn one_mode_can_take_the_place_of_all() {
    let text = "version: 1\nactions:\n- {entities: [secret], action: redact, mode: mask}\n";
    let policy = Policy::from_yaml(text, "p").unwrap();
    let removing = policy.clone().in_mode(Mode::Remove);
    for entity in ["secret", "email-address", "unheard-of"] {
        let decision = removing.decide(&subject(Stage::Ingest, entity));
        assert_eq!(
            (decision.action, decision.mode),
            (Action::Redact, Mode::Remove)
        );
    }
    assert_ne!(policy.digest(), removing.digest());
    assert!(removing.uses(Mode::Remove) && !removing.uses(Mode::Mask));
}
