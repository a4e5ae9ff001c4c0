//! What is asked before an installed plugin is run.

use super::*;

#[test]
fn what_was_revoked_stays_revoked() {
    let mut desk = Desk::new();
    let offer = desk.offer(&entry("words", "1.0.0"));
    let folder = desk.install(&offer);
    desk.check(&folder, "words").unwrap();
    let id = desk.key.public().id();
    let archive = offer.entry.archive.sha256.clone();
    for revoked in [
        Revocations {
            keys: BTreeMap::from([(id, "stolen".to_owned())]),
            ..Revocations::default()
        },
        Revocations {
            archives: BTreeMap::from([(archive, "malware".to_owned())]),
            ..Revocations::default()
        },
    ] {
        desk.published.revoked = revoked.clone();
        desk.refuses(&offer, "is revoked by registry main");
        desk.trust()
            .note_revoked(&desk.source.url, &revoked)
            .unwrap();
        desk.published.revoked = Revocations::default();
        desk.refuses(&offer, "is revoked by registry main");
        let error = desk.check(&folder, "words").unwrap_err();
        assert!(error.message().contains("is revoked"), "{error}");
    }
    let before = desk.events();
    desk.trust()
        .note_revoked(&desk.source.url, &Revocations::default())
        .unwrap();
    assert_eq!(desk.events(), before);
}

#[test]
fn policies_are_asked_at_install_and_before_running() {
    let desk = Desk::new();
    let folder = desk.install(&desk.offer(&entry("words", "1.0.0")));
    let next = desk.offer(&entry("words", "1.1.0"));
    for rule in [
        "minimum-level = \"registry-signed\"",
        "registries = []",
        "[keys]\nwords = []",
    ] {
        desk.policy(rule);
        desk.refuses(&next, "says the policy");
        let error = desk.check(&folder, "words").unwrap_err();
        assert!(error.message().contains("says the policy"), "{error}");
    }
    desk.policy("natve = \"deny\"");
    let error = Trust::open(desk.data.path(), &[desk.data.path().join("policy.toml")]).unwrap_err();
    assert!(error.message().contains("unknown field"), "{error}");
}

#[test]
fn an_installed_plugin_is_what_was_accepted_or_it_is_not_run() {
    let desk = Desk::new();
    let offer = desk.offer(&entry("words", "1.0.0"));
    let folder = desk.install(&offer);
    let installed = desk.check(&folder, "words").unwrap();
    assert_eq!(installed.library, digest(LIBRARY));

    let good = Receipt::read(&folder).unwrap();
    let attacker = key();
    let mut other = entry("words", "1.0.0");
    other.artifacts.get_mut(ANY_TARGET).unwrap().digest = digest(b"malware");
    let forged = signed(&other, &attacker, &desk.source);
    let mut unknown = other.clone();
    unknown.archive = digest(b"another archive");
    let changed = SignedEntry {
        entry: good.signed.entry.replace("metric", "command"),
        ..good.signed.clone()
    };
    for (receipt, words) in [
        (
            Receipt {
                signed: changed,
                ..good.clone()
            },
            "is not what its key signed",
        ),
        (
            Receipt {
                signed: (*forged.signed).clone(),
                key: text(&attacker),
                ..good.clone()
            },
            "which is not pinned to words",
        ),
        (
            Receipt {
                signed: (*desk.offer(&unknown).signed).clone(),
                ..good.clone()
            },
            "with this content was never accepted",
        ),
        (
            Receipt {
                source: Source {
                    registry: "main".into(),
                    url: "https://elsewhere".into(),
                },
                ..good.clone()
            },
            "which words is not bound to",
        ),
    ] {
        receipt.write(&folder).unwrap();
        let error = desk.check(&folder, "words").unwrap_err();
        assert!(error.message().contains(words), "{error} lacks {words}");
    }
    fs::write(folder.join("receipt.json"), "{").unwrap();
    assert!(
        desk.check(&folder, "words")
            .unwrap_err()
            .message()
            .ends_with("is damaged")
    );
    fs::remove_file(folder.join("receipt.json")).unwrap();
    assert!(
        desk.check(&folder, "words")
            .unwrap_err()
            .message()
            .ends_with("cannot be read")
    );
    good.write(&folder).unwrap();
    let error = desk.check(&folder, "other").unwrap_err();
    assert!(
        error.message().contains("was signed without the file"),
        "{error}"
    );
    desk.trust().change("words", Change::Distrust).unwrap();
    let error = desk.check(&folder, "words").unwrap_err();
    assert!(
        error.message().contains("do not trust words any more"),
        "{error}"
    );
    desk.refuses(
        &desk.offer(&entry("words", "1.1.0")),
        "do not trust words any more",
    );
    desk.trust().change("words", Change::Trust).unwrap();
    desk.check(&folder, "words").unwrap();
    desk.trust().change("words", Change::Forget).unwrap();
    let error = desk.check(&folder, "words").unwrap_err();
    assert!(
        error.message().contains("nothing was ever pinned"),
        "{error}"
    );
}

#[test]
fn native_code_beside_or_under_the_name_of_a_component_needs_its_consent_too() {
    let desk = Desk::new();
    let mut both = entry("words", "1.0.0");
    let mut hidden = native("words", "1.0.0").artifacts.pop_first().unwrap();
    hidden.1.path = "artifacts/x86_64-unknown-linux-gnu/libwords.so".into();
    both.artifacts.insert(hidden.0, hidden.1.clone());
    let wishes = Wishes::default();
    let decision = desk.decide(&desk.offer(&both), &wishes).unwrap();
    desk.trust().record(&decision).unwrap();
    let folder = desk.data.path().join("both");
    fs::create_dir(&folder).unwrap();
    Receipt::new(&desk.offer(&both), &decision)
        .write(&folder)
        .unwrap();
    desk.check(&folder, "words").unwrap();
    let library = Path::new(&hidden.1.path);
    let error = desk.trust().check_installed(&folder, library).unwrap_err();
    assert!(error.message().contains("is native code"), "{error}");

    let mut disguised = entry("words", "1.1.0");
    disguised.artifacts.get_mut(ANY_TARGET).unwrap().path = hidden.1.path.clone();
    let offer = desk.offer(&disguised);
    let decision = desk.decide(&offer, &wishes).unwrap();
    desk.trust().record(&decision).unwrap();
    Receipt::new(&offer, &decision).write(&folder).unwrap();
    let error = desk.trust().check_installed(&folder, library).unwrap_err();
    assert!(error.message().contains("is native code"), "{error}");
}
