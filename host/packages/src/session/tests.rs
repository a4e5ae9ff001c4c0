#![allow(clippy::unwrap_used, reason = "tests")]

mod beside;
mod safety;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use super::*;
use crate::durable::faults::{Fault, with_fault};
use crate::durable::{self, write_file};
use crate::entry::FileDigest;
use crate::store::damages;
use crate::testing::{Shop, offer};
use crate::trust::{Level, Receipt, Source};

/// A registry that trusts everybody but `distrusted`, and forgets nothing that was accepted.
struct Fake {
    shop: Shop,
    accepted: RefCell<BTreeSet<String>>,
    distrusted: Option<&'static str>,
    judged: RefCell<Vec<(String, bool)>>,
}

impl Available for Fake {
    fn offers(&self, name: &str, registry: Option<&str>) -> Result<Arc<[Offer]>> {
        self.shop.offers(name, registry)
    }
    fn names(&self) -> Vec<String> {
        self.shop.names()
    }
}

impl Supply for Fake {
    fn judge(&self, offer: &Offer, older: bool) -> Result<Decision> {
        self.judged.borrow_mut().push((offer.title(), older));
        if self.distrusted == Some(&offer.entry.name) {
            return Err(Error::config(format!("{} is not trusted", offer.title())).hint("trust it"));
        }
        Ok(Decision {
            name: offer.entry.name.clone(),
            version: offer.entry.version.clone(),
            level: Level::PinnedKey,
            key: "key".into(),
            key_id: offer.key_id.clone(),
            source: Source::clone(&offer.source),
            archive: offer.entry.archive.sha256.clone(),
            native: false,
            warnings: Vec::new(),
            first_use: true,
            rotated_from: None,
            allows_native: false,
        })
    }

    fn unpack(&self, offer: &Offer, decision: &Decision, into: &Path) -> Result<()> {
        let text = offer.title();
        let digest = FileDigest::of(text.as_bytes());
        write_file(&into.join("plugin.toml"), text.as_bytes())?;
        let list = format!(
            r#"{{"format": 1, "files": [{{"path": "plugin.toml", "size": {}, "sha256": "{}"}}]}}"#,
            digest.size, digest.sha256
        );
        write_file(&into.join("package.json"), list.as_bytes())?;
        Receipt::new(offer, decision).write(into)
    }

    fn record(&self, decision: &Decision) -> Result<()> {
        durable::step("record", Path::new("trust.json"))
            .map_err(|error| Error::failed("no").because(&error))?;
        self.accepted.borrow_mut().insert(decision.archive.clone());
        Ok(())
    }

    fn accepted(&self, folder: &Path) -> Option<String> {
        let receipt = Receipt::read(folder).ok()?;
        let entry = receipt.entry().ok()?;
        let accepted = self.accepted.borrow();
        accepted
            .contains(&entry.archive.sha256)
            .then(|| crate::digest::sha256(receipt.signed.entry.as_bytes()))
    }

    fn written(&self, registry: &str) -> Option<String> {
        (registry == "shop").then(|| "../shop".to_owned())
    }
}

/// A scope, a store and a registry.
struct Room {
    root: tempfile::TempDir,
    scope: Scope,
    store: Store,
    host: Host,
    fake: Fake,
}

impl Room {
    fn new(lines: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        Self {
            scope: Scope::project_in(&root.path().join("work")),
            store: Store::new(&root.path().join("data")),
            host: Host {
                api: Version::new(1, 0, 0),
                target: "here".into(),
            },
            fake: Fake {
                shop: Shop::of(lines),
                accepted: RefCell::default(),
                distrusted: None,
                judged: RefCell::default(),
            },
            root,
        }
    }

    fn session(&self) -> Session<'_> {
        Session {
            scope: &self.scope,
            store: &self.store,
            host: &self.host,
            supply: &self.fake,
        }
    }

    fn reach(&self, goal: Goal) -> Result<Applied> {
        let _turn = self.store.turn(|| {})?;
        let session = self.session();
        session.apply(session.plan(&goal)?, &mut |_| {})
    }

    /// `+NAME[@REQ]`, `-NAME`, `pin NAME[@VERSION]`, `unpin NAME`, `sync`, `locked`, `update [NAME]`, `rollback [N]`.
    fn act(&self, text: &str) -> Result<String> {
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let mut goal = Goal {
            what: text.into(),
            ..Goal::default()
        };
        match verb {
            "rollback" => {
                let _turn = self.store.turn(|| {})?;
                let plan = self.session().plan_back(rest.parse().ok())?;
                return Ok(told(&self.session().apply(plan, &mut |_| {})?));
            }
            "sync" => goal.thorough = true,
            "locked" => goal.locked = true,
            "update" if rest.is_empty() => goal.renew = Renew::All,
            "update" => goal.renew = Renew::Named(vec![rest.into()]),
            "unpin" => goal.edits.push(Edit::Unpin(rest.into())),
            "pin" => {
                let (name, version) = rest.split_once('@').unwrap_or((rest, ""));
                goal.edits
                    .push(Edit::Pin(name.into(), version.parse().ok()));
            }
            _ => {
                let name = text.trim_start_matches(['+', '-']);
                goal.edits.push(if text.starts_with('+') {
                    let (name, versions) = crate::project::parse_wish(name)?;
                    Edit::Want {
                        name,
                        versions,
                        registry: None,
                    }
                } else {
                    Edit::Unwant(name.into())
                });
            }
        }
        Ok(told(&self.reach(goal)?))
    }

    fn lock(&self) -> Lock {
        Lock::open(&self.scope.lock_file()).unwrap()
    }

    /// `name version` of everything in use; each is whole in the store.
    fn in_use(&self) -> String {
        let lock = self.lock();
        for locked in lock.plugins.values() {
            let folder = self
                .store
                .folder(&locked.name, &locked.version, &locked.archive.sha256);
            assert_eq!(damages(&folder).unwrap(), [] as [String; 0]);
            assert_eq!(
                fs::read_to_string(folder.join("plugin.toml")).unwrap(),
                locked.title()
            );
        }
        let titles: Vec<String> = lock.plugins.values().map(Locked::title).collect();
        titles.join(", ")
    }

    fn project(&self) -> String {
        fs::read_to_string(self.scope.project_file()).unwrap_or_default()
    }
}

use crate::lock::Locked;

fn told(applied: &Applied) -> String {
    let lines: Vec<String> = applied.changes.iter().map(Change::line).collect();
    lines.join(", ")
}

const SHELF: [&str; 6] = [
    "shout 1.0.0: words ^1",
    "shout 1.1.0: words ^1",
    "shout 2.0.0: words ^2",
    "words 1.0.0",
    "words 1.1.0",
    "words 2.0.0",
];

#[test]
fn a_plugin_is_added_updated_pinned_rolled_back_and_removed() {
    let room = Room::new(&SHELF);
    assert_eq!(
        room.act("+shout@1.0").unwrap(),
        "+ shout 1.1.0, + words 1.1.0"
    );
    assert_eq!(room.project(), "[plugins]\nshout = \"^1.0\"\n");
    assert_eq!(room.in_use(), "shout 1.1.0, words 1.1.0");
    assert_eq!(room.act("+words").unwrap(), "");
    assert_eq!(
        room.project(),
        "[plugins]\nshout = \"^1.0\"\nwords = \"^1.1.0\"\n"
    );
    assert_eq!(room.act("+shout").unwrap(), "");
    assert_eq!(room.act("update").unwrap(), "");
    assert_eq!(room.act("-words").unwrap(), "");
    assert_eq!(
        room.act("+shout@2").unwrap(),
        "shout 1.1.0 -> 2.0.0, words 1.1.0 -> 2.0.0"
    );
    assert_eq!(
        room.act("rollback").unwrap(),
        "shout 2.0.0 -> 1.1.0, words 2.0.0 -> 1.1.0"
    );
    assert_eq!(room.in_use(), "shout 1.1.0, words 1.1.0");
    assert_eq!(room.project(), "[plugins]\nshout = \"^1.0\"\n");
    assert_eq!(room.act("locked").unwrap(), "");
    assert_eq!(room.act("pin words@1.0.0").unwrap(), "words 1.1.0 -> 1.0.0");
    assert_eq!(room.act("update").unwrap(), "");
    assert_eq!(room.act("unpin words").unwrap(), "");
    assert_eq!(room.act("update words").unwrap(), "words 1.0.0 -> 1.1.0");
    assert_eq!(room.act("-shout").unwrap(), "- shout 1.1.0, - words 1.1.0");
    assert_eq!(room.in_use(), "");
    assert_eq!(
        room.act("rollback").unwrap(),
        "+ shout 1.1.0, + words 1.1.0"
    );
}

#[test]
fn what_makes_no_sense_is_told_and_changes_nothing() {
    let room = Room::new(&SHELF);
    room.act("+shout@1").unwrap();
    let before = (room.project(), room.lock());
    for (act, word, hint) in [
        ("-words", "is there because shout needs it", "remove shout"),
        ("-shuot", "does not ask for shuot", "did you mean shout?"),
        ("unpin shout", "shout is not pinned", "tree"),
        ("pin wrods", "wrods is not in use", "did you mean words?"),
        ("pin words@2.0.0", "asks for shout ^1", "unpin words"),
        ("+shout@3", "there is no such version", "2.0.0"),
        (
            "+caption",
            "no registry has a plugin of that name",
            "registry list",
        ),
        ("rollback 77", "no state 77", "--list"),
    ] {
        let error = room.act(act).unwrap_err();
        assert!(error.message().contains(word), "{act}: {error}");
        assert!(
            error.hint_text().unwrap().contains(hint),
            "{act}: {error:?}"
        );
        assert_eq!((room.project(), room.lock()), before, "{act}");
    }
}

#[test]
fn a_locked_scope_fails_with_the_difference() {
    let room = Room::new(&SHELF);
    room.act("+shout@1").unwrap();
    fs::write(room.scope.project_file(), "[plugins]\nshout = \"2\"\n").unwrap();
    let error = room.act("locked").unwrap_err();
    assert!(
        error
            .message()
            .ends_with("shout 1.1.0 -> 2.0.0, words 1.1.0 -> 2.0.0"),
        "{error}"
    );
    assert_eq!(room.in_use(), "shout 1.1.0, words 1.1.0");
    assert_eq!(
        room.act("sync").unwrap(),
        "shout 1.1.0 -> 2.0.0, words 1.1.0 -> 2.0.0"
    );
}

#[test]
fn a_lock_is_enough_elsewhere_and_its_changes_are_noticed() {
    let room = Room::new(&SHELF);
    room.act("+shout@1").unwrap();
    let elsewhere = Room::new(&SHELF);
    fs::create_dir_all(&elsewhere.scope.folder).unwrap();
    for file in ["codex-plugins.toml", "codex-plugins.lock"] {
        fs::copy(
            room.scope.folder.join(file),
            elsewhere.scope.folder.join(file),
        )
        .unwrap();
    }
    assert_eq!(elsewhere.act("locked").unwrap(), "");
    assert_eq!(elsewhere.in_use(), "shout 1.1.0, words 1.1.0");
    let judged = elsewhere.fake.judged.borrow();
    assert!(judged.iter().all(|(_, older)| *older), "{judged:?}");
    // A digit of any digest in the lock.
    let text = fs::read_to_string(room.scope.lock_file()).unwrap();
    for key in ["entry = \"", "sha256 = \"", "wasm = \"", "permissions = \""] {
        let other = Room::new(&SHELF);
        fs::create_dir_all(&other.scope.folder).unwrap();
        fs::write(other.scope.project_file(), room.project()).unwrap();
        let at = text.find(key).unwrap() + key.len();
        let digit = if text.as_bytes()[at] == b'0' {
            "1"
        } else {
            "0"
        };
        let mut changed = text.clone();
        changed.replace_range(at..=at, digit);
        fs::write(other.scope.lock_file(), changed).unwrap();
        let error = other.act("locked").unwrap_err();
        assert!(error.message().contains("lock"), "{key}: {error}");
    }
}

#[test]
fn a_lock_made_on_one_system_serves_another_and_says_where_it_does_not() {
    let shelf = ["shout 1.0.0 on here+there", "shout 1.1.0 on here"];
    let room = Room::new(&shelf);
    room.act("+shout@=1.0.0").unwrap();
    let elsewhere = |files: &Room| {
        let mut other = Room::new(&shelf);
        other.host.target = "there".into();
        fs::create_dir_all(&other.scope.folder).unwrap();
        for file in ["codex-plugins.toml", "codex-plugins.lock"] {
            let to = other.scope.folder.join(file);
            fs::copy(files.scope.folder.join(file), to).unwrap();
        }
        other
    };
    let other = elsewhere(&room);
    other.act("locked").unwrap();
    assert_eq!(other.in_use(), "shout 1.0.0");
    assert_eq!(other.lock(), room.lock());
    room.act("+shout@=1.1.0").unwrap();
    let error = elsewhere(&room).act("locked").unwrap_err();
    assert_eq!(
        error.message(),
        "codex-plugins.toml asks for shout =1.1.0, but shout 1.1.0 has no file for there, only for here"
    );
    room.act("+shout@1.0").unwrap();
    let other = elsewhere(&room);
    let error = other.act("locked").unwrap_err();
    assert!(error.message().ends_with("shout 1.1.0 -> 1.0.0"), "{error}");
    assert_eq!(other.act("sync").unwrap(), "shout 1.1.0 -> 1.0.0");
}
