#![allow(clippy::unwrap_used, reason = "tests")]

mod installed;
mod keys;
mod pins;

use std::fs;
use std::sync::Arc;

use codex_plugin_api::{Kind, Manifest, Permissions};
use semver::VersionReq;

use super::*;
use crate::entry::{ANY_TARGET, Artifact, Entry, FileDigest, SignedEntry};
use crate::keys::SecretKey;

const LIBRARY: &[u8] = b"the component";

struct Desk {
    data: tempfile::TempDir,
    key: SecretKey,
    published: Published,
    source: Arc<Source>,
}

fn key() -> SecretKey {
    SecretKey::generate().unwrap()
}

fn text(key: &SecretKey) -> String {
    key.public().text()
}

fn digest(content: &[u8]) -> FileDigest {
    FileDigest {
        size: content.len() as u64,
        sha256: crate::digest::sha256(content),
    }
}

fn entry(name: &str, version: &str) -> Entry {
    let artifact = Artifact {
        path: format!("artifacts/wasm/{name}.wasm"),
        digest: digest(LIBRARY),
    };
    Entry {
        name: name.into(),
        version: Version::parse(version).unwrap(),
        api: VersionReq::parse("1").unwrap(),
        description: String::new(),
        license: None,
        components: vec![(Kind::Metric, "words".into())],
        dependencies: BTreeMap::new(),
        permissions: Permissions::default(),
        archive: digest(format!("archive of {name} {version}").as_bytes()),
        artifacts: BTreeMap::from([(ANY_TARGET.to_owned(), artifact)]),
    }
}

fn native(name: &str, version: &str) -> Entry {
    let mut entry = entry(name, version);
    let artifact = entry.artifacts.remove(ANY_TARGET).unwrap();
    entry
        .artifacts
        .insert("x86_64-unknown-linux-gnu".into(), artifact);
    entry
}

fn signed(entry: &Entry, key: &SecretKey, source: &Arc<Source>) -> Offer {
    let text = serde_json::to_string(entry).unwrap();
    let signature = key.sign(text.as_bytes(), "").unwrap();
    Offer {
        entry: entry.clone(),
        signed: Arc::new(SignedEntry {
            entry: text,
            signature,
        }),
        yanked: None,
        key_id: key.public().id(),
        revoked: None,
        source: Arc::clone(source),
    }
}

fn handed_over(name: &str, old: &SecretKey, new: &SecretKey) -> SignedRotation {
    let rotation = serde_json::to_string(&Rotation {
        name: name.into(),
        old_key_id: old.public().id(),
        new_key: text(new),
    })
    .unwrap();
    let signature = old.sign(rotation.as_bytes(), "").unwrap();
    SignedRotation {
        rotation,
        signature,
    }
}

impl Desk {
    fn new() -> Self {
        let key = key();
        Self {
            data: tempfile::tempdir().unwrap(),
            published: Published {
                keys: vec![text(&key)],
                root: text(&self::key()),
                ..Published::default()
            },
            key,
            source: Arc::new(Source {
                registry: "main".into(),
                url: "https://plugins.example.org".into(),
            }),
        }
    }

    fn trust(&self) -> Trust {
        Trust::open(self.data.path(), &[self.data.path().join("policy.toml")]).unwrap()
    }

    fn offer(&self, entry: &Entry) -> Offer {
        signed(entry, &self.key, &self.source)
    }

    fn decide(&self, offer: &Offer, wishes: &Wishes) -> Result<Decision> {
        self.trust()
            .decide(&offer.entry.name, offer, &self.published, wishes)
    }

    #[track_caller]
    fn accept(&self, offer: &Offer) -> Decision {
        let wishes = Wishes {
            allow_native: vec![offer.entry.name.clone()],
            ..Wishes::default()
        };
        let decision = self.decide(offer, &wishes).unwrap();
        self.trust().record(&decision).unwrap();
        decision
    }

    #[track_caller]
    fn refuses(&self, offer: &Offer, words: &str) {
        let before = fs::read(self.data.path().join("trust.json")).ok();
        let error = self.decide(offer, &Wishes::default()).unwrap_err();
        assert!(error.message().contains(words), "{error} lacks {words}");
        assert!(error.hint_text().is_some(), "{error} has no hint");
        assert_eq!(fs::read(self.data.path().join("trust.json")).ok(), before);
    }

    fn policy(&self, text: &str) {
        fs::write(self.data.path().join("policy.toml"), text).unwrap();
    }

    /// Puts an accepted version into a folder as the store does.
    fn install(&self, offer: &Offer) -> PathBuf {
        let decision = self.accept(offer);
        let folder = self
            .data
            .path()
            .join(format!("{}-{}", decision.name, decision.version));
        fs::create_dir_all(&folder).unwrap();
        Receipt::new(offer, &decision).write(&folder).unwrap();
        folder
    }

    fn check(&self, folder: &Path, name: &str) -> Result<Installed> {
        let library = PathBuf::from(format!("artifacts/wasm/{name}.wasm"));
        self.trust().check_installed(folder, &library)
    }

    fn events(&self) -> Vec<Event> {
        let lines = self.trust().check_log().unwrap();
        lines.into_iter().map(|line| line.event).collect()
    }
}

#[test]
fn a_changed_entry_or_one_for_another_plugin_is_refused() {
    let desk = Desk::new();
    let good = desk.offer(&entry("words", "1.0.0"));
    let mut changed = good.clone();
    let text = changed.signed.entry.replace("1.0.0", "1.0.1");
    changed.entry = serde_json::from_str(&text).unwrap();
    changed.signed = Arc::new(SignedEntry {
        entry: text,
        signature: good.signed.signature.clone(),
    });
    desk.refuses(&changed, "is by no key of words");
    let other = desk.offer(&entry("other", "1.0.0"));
    let error = desk
        .trust()
        .decide("words", &other, &desk.published, &Wishes::default())
        .unwrap_err();
    assert!(
        error.message().contains("was signed for other 1.0.0"),
        "{error}"
    );
    let mut lies = good.clone();
    lies.entry.version = Version::new(2, 0, 0);
    desk.refuses(&lies, "an entry that was signed for words 1.0.0");
    for name in ["w\u{1b}[2Jords", "w\u{43e}rds", "../words"] {
        let error = desk
            .trust()
            .decide(name, &good, &desk.published, &Wishes::default())
            .unwrap_err();
        assert!(!error.message().chars().any(char::is_control), "{error}");
    }
}

#[test]
fn a_name_is_bound_to_its_registry() {
    let desk = Desk::new();
    desk.accept(&desk.offer(&entry("words", "1.0.0")));
    let mut other = desk.offer(&entry("words", "2.0.0"));
    other.source = Arc::new(Source {
        registry: "other".into(),
        url: "https://elsewhere.example.org".into(),
    });
    desk.refuses(&other, "is bound to registry main");
    other.source = Arc::new(Source {
        registry: "renamed".into(),
        url: "https://plugins.example.org/".into(),
    });
    desk.accept(&other);
}

#[test]
fn versions_do_not_go_back_and_do_not_change() {
    let desk = Desk::new();
    let old = desk.offer(&entry("words", "1.0.0"));
    desk.accept(&old);
    desk.accept(&desk.offer(&entry("words", "1.2.0")));
    desk.refuses(&old, "is older than 1.2.0");
    let wishes = Wishes {
        older: true,
        ..Wishes::default()
    };
    desk.decide(&old, &wishes).unwrap();
    let mut changed = entry("words", "1.2.0");
    changed.archive = digest(b"other content");
    desk.refuses(&desk.offer(&changed), "has other content now");
}

#[test]
fn native_code_is_allowed_by_name_only() {
    let desk = Desk::new();
    let offer = desk.offer(&native("words", "1.0.0"));
    desk.refuses(&offer, "runs with your full authority");
    let wrong = Wishes {
        allow_native: vec!["other".into()],
        ..Wishes::default()
    };
    assert!(desk.decide(&offer, &wrong).is_err());
    assert!(desk.accept(&offer).allows_native);
    let next = desk.offer(&native("words", "1.1.0"));
    assert!(
        !desk
            .decide(&next, &Wishes::default())
            .unwrap()
            .allows_native
    );
    assert!(desk.events().contains(&Event::NativeAllowed));
    desk.policy("native = \"deny\"");
    desk.refuses(&next, "native = \"deny\"");
    desk.policy("");
    desk.trust().change("words", Change::Native(false)).unwrap();
    desk.refuses(&next, "is not allowed for it");
}

#[test]
fn look_alikes_of_known_names_are_warned_of_at_first_use() {
    let desk = Desk::new();
    desk.accept(&desk.offer(&entry("word-list", "1.0.0")));
    let decision = desk
        .decide(
            &desk.offer(&entry("word-1ist", "1.0.0")),
            &Wishes::default(),
        )
        .unwrap();
    assert!(
        decision.warnings[0].contains("word-1ist looks like word-list"),
        "{:?}",
        decision.warnings
    );
    let wishes = Wishes {
        known: vec!["sentences".into()],
        ..Wishes::default()
    };
    let decision = desk
        .decide(&desk.offer(&entry("sentence", "1.0.0")), &wishes)
        .unwrap();
    assert!(
        decision.warnings[0].contains("looks like sentences"),
        "{:?}",
        decision.warnings
    );
}

#[test]
fn a_manifest_says_what_was_signed() {
    let manifest = |change: (&str, &str)| {
        let text = "[plugin]\nid = \"words\"\nversion = \"1.0.0\"\napi = \"1\"\ndescription = \"d\"\n\
                    [[component]]\nkind = \"metric\"\nname = \"words\"\n";
        Manifest::parse(&text.replace(change.0, change.1), "plugin.toml").unwrap()
    };
    let entry = entry("words", "1.0.0");
    check_manifest(&entry, &manifest(("", ""))).unwrap();
    for (change, words) in [
        (("id = \"words\"", "id = \"other\""), "its id is other"),
        (("1.0.0", "1.0.1"), "its version is 1.0.1"),
        (("api = \"1\"", "api = \"1.0\""), "plugin API"),
        (("name = \"words\"", "name = \"x\""), "other components"),
        (
            (
                "[[component]]",
                "[permissions]\nclock = { reason = \"r\" }\n[[component]]",
            ),
            "other permissions",
        ),
    ] {
        let error = check_manifest(&entry, &manifest(change)).unwrap_err();
        assert!(error.message().contains(words), "{error} lacks {words}");
    }
}

#[test]
fn the_log_says_which_key_a_registry_was_pinned_with() {
    let data = tempfile::tempdir().unwrap();
    let open = || Trust::open(data.path(), &[]).unwrap();
    open()
        .record_registry("file:///srv/lab", "KEY1", None)
        .unwrap();
    open()
        .record_registry("file:///srv/lab", "KEY2", Some("KEY1"))
        .unwrap();
    let lines = open().check_log().unwrap();
    let said: Vec<_> = lines
        .iter()
        .map(|line| (line.event, line.subject.as_str(), line.detail.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            (log::Event::Pinned, "file:///srv/lab", "KEY1"),
            (log::Event::Repinned, "file:///srv/lab", "KEY1 KEY2")
        ]
    );
}
