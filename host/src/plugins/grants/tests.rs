//! Decisions over updates of a plugin, over damage to the file, and over several writers at once.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;

use super::limit::{Source, in_force, set};
use super::*;
use crate::folders::Folders;

const ALL: &str = "
[permissions]
clock = { reason = \"to time\" }
random = { reason = \"to sample\" }
terminal = { reason = \"to greet\" }
folders = [{ path = \"data\", write = true, reason = \"to keep words\" }, { path = \"old words\", reason = \"to read\" }]
environment = [{ key = \"LANG\", reason = \"to sort\" }]
network = [{ host = \"example.org:443\", reason = \"to fetch\" }]
components = [{ kind = \"metric\", reason = \"to compare\" }]
[limits]
memory = \"1GiB\"
time = \"1s\"
";

fn manifest(asks: &str) -> Manifest {
    let head = "[plugin]\nid = \"words\"\nversion = \"0.1.0\"\napi = \"1\"\ndescription = \"d\"\n\
                [[component]]\nkind = \"metric\"\nname = \"words\"\n";
    Manifest::parse(&format!("{head}{asks}"), "test").unwrap()
}

/// A manifest that asks for these permissions.
fn asking(permissions: &str) -> Manifest {
    manifest(&format!("[permissions]\n{permissions}\n"))
}

fn standing(data: &Path, manifest: &Manifest) -> Standing {
    let grants = Grants::open(Some(data));
    assert_eq!(grants.problem(), None);
    grants.standing(manifest)
}

/// Grants everything, with `folder` for each folder.
fn grant_all(data: &Path, manifest: &Manifest, folder: &Path) {
    let folders = manifest.permissions.folders.iter();
    let choice = Choice {
        all: true,
        folders: folders
            .map(|asked| format!("{}={}", asked.path, folder.display()))
            .collect(),
        ..Choice::default()
    };
    let own = Folders::default();
    Grants::decide(data, manifest, |before| {
        choice.grant(manifest, before, &own)
    })
    .unwrap();
}

#[test]
fn nothing_asked_needs_no_decision_and_lower_limits_are_nothing_asked() {
    let root = tempfile::tempdir().unwrap();
    for asks in ["", "[limits]\nmemory = \"1MiB\"\ntime = \"1s\"\n"] {
        assert_eq!(
            standing(root.path(), &manifest(asks)),
            Standing::NothingAsked
        );
    }
    let more = manifest("[limits]\nmemory = \"1GiB\"\n");
    assert_eq!(standing(root.path(), &more), Standing::Undecided);
    assert_eq!(Grants::open(None).standing(&more), Standing::Undecided);
}

#[test]
fn everything_that_is_asked_can_be_granted_and_taken_back() {
    let root = tempfile::tempdir().unwrap();
    let (data, words) = (root.path().join("data"), root.path().join("words"));
    fs::create_dir(&words).unwrap();
    let asked = manifest(ALL);
    assert_eq!(standing(&data, &asked), Standing::Undecided);
    grant_all(&data, &asked, &words);
    let Standing::Granted(granted) = standing(&data, &asked) else {
        panic!("{:?}", standing(&data, &asked));
    };
    for request in requests(&asked) {
        assert!(request.permission.is_in(&granted), "{request:?}");
    }
    assert_eq!(granted.folders["data"], words.canonicalize().unwrap());
    assert!(standing(&data, &asked).grants_limits());

    let some = Choice {
        folders: vec!["data".into()],
        limits: true,
        ..Choice::default()
    };
    Grants::take_back(&data, "words", |granted| some.revoke("words", granted)).unwrap();
    let Standing::Granted(less) = standing(&data, &asked) else {
        panic!("taking back leaves the decision");
    };
    assert!(!less.folders.contains_key("data") && less.folders.contains_key("old words"));
    assert!(less.clock && !standing(&data, &asked).grants_limits());
    let error =
        Grants::take_back(&data, "words", |granted| some.revoke("words", granted)).unwrap_err();
    assert_eq!(error.message(), "words was not granted folder data");

    assert!(Grants::forget(&data, "words", false).unwrap());
    assert!(!Grants::forget(&data, "words", false).unwrap());
    assert_eq!(standing(&data, &asked), Standing::Undecided);
}

#[test]
fn an_update_that_asks_for_less_keeps_its_grant_and_any_other_is_stopped() {
    let root = tempfile::tempdir().unwrap();
    let (data, words) = (root.path().join("data"), root.path().join("words"));
    fs::create_dir(&words).unwrap();
    let asked = manifest(ALL);
    grant_all(&data, &asked, &words);

    // Another order and other reasons are the same request.
    let same = ALL
        .replace("to time", "to measure")
        .replace("clock = ", "#")
        .replace("[limits]", "clock = { reason = \"to measure\" }\n[limits]");
    assert!(standing(&data, &manifest(&same)).is_granted());

    for (from, to) in [
        ("write = true, ", ""),
        ("memory = \"1GiB\"", "memory = \"512MiB\""),
        ("time = \"1s\"", ""),
        ("clock = { reason = \"to time\" }", ""),
        ("{ host = \"example.org:443\", reason = \"to fetch\" }", ""),
        (", { path = \"old words\", reason = \"to read\" }", ""),
    ] {
        let less = manifest(&ALL.replace(from, to));
        let Standing::Granted(granted) = standing(&data, &less) else {
            panic!("without {from}: {:?}", standing(&data, &less));
        };
        let names: Vec<_> = requests(&less)
            .into_iter()
            .map(|request| request.permission)
            .collect();
        assert_eq!(granted.permissions().len(), names.len(), "without {from}");
        assert!(names.iter().all(|name| name.is_in(&granted)));
    }

    for (from, to) in [
        ("reason = \"to read\"", "write = true, reason = \"to read\""),
        ("\"old words\"", "\"new words\""),
        ("\"LANG\"", "\"HOME\""),
        ("example.org:443", "example.org"),
        ("\"metric\"", "\"model\""),
        ("memory = \"1GiB\"", "memory = \"2GiB\""),
        ("time = \"1s\"", "time = \"1h\""),
    ] {
        let other = manifest(&ALL.replace(from, to));
        assert_eq!(
            standing(&data, &other),
            Standing::AsksForOther,
            "{from} became {to}"
        );
    }
}

#[test]
fn deciding_again_keeps_what_still_holds_and_nothing_more() {
    let root = tempfile::tempdir().unwrap();
    let (data, words) = (root.path().join("data"), root.path().join("words"));
    fs::create_dir(&words).unwrap();
    let folder = |write| {
        format!(
            "folders = [{{ path = \"data\", write = {write}, reason = \"r\" }}]\nclock = {{ reason = \"r\" }}"
        )
    };
    let (first, second) = (asking(&folder(false)), asking(&folder(true)));
    grant_all(&data, &first, &words);
    assert_eq!(standing(&data, &second), Standing::AsksForOther);
    let grants = Grants::open(Some(&data));
    assert!(grants.held(&second).clock && grants.held(&second).folders.is_empty());

    // Taking back does not let the stopped version run.
    let clock = Choice {
        clock: true,
        ..Choice::default()
    };
    Grants::take_back(&data, "words", |granted| clock.revoke("words", granted)).unwrap();
    assert_eq!(standing(&data, &second), Standing::AsksForOther);

    Grants::decide(&data, &second, |before| {
        clock.grant(&second, before, &Folders::default())
    })
    .unwrap();
    let expected = Granted {
        clock: true,
        ..Granted::default()
    };
    assert_eq!(standing(&data, &second), Standing::Granted(expected));
}

#[test]
fn a_refusal_is_a_decision_too() {
    let root = tempfile::tempdir().unwrap();
    let asked = manifest(ALL);
    Grants::decide(root.path(), &asked, |_| Ok(Granted::default())).unwrap();
    let standing = standing(root.path(), &asked);
    assert_eq!(standing, Standing::Granted(Granted::default()));
    assert!(standing.is_granted() && !standing.grants_limits());
}

#[test]
fn what_is_not_asked_for_cannot_be_granted() {
    let root = tempfile::tempdir().unwrap();
    let asked = asking("environment = [{ key = \"LANG\", reason = \"r\" }]");
    let here = root.path().display();
    for (choice, noun) in [
        (
            Choice {
                clock: true,
                ..Choice::default()
            },
            "the clock",
        ),
        (
            Choice {
                environment: vec!["LANG".into(), "HOME".into()],
                ..Choice::default()
            },
            "environment variable HOME",
        ),
        (
            Choice {
                folders: vec![format!("data={here}")],
                ..Choice::default()
            },
            "folder data",
        ),
        (
            Choice {
                limits: true,
                ..Choice::default()
            },
            "limits beyond the default",
        ),
    ] {
        let error = Grants::decide(root.path(), &asked, |before| {
            choice.grant(&asked, before, &Folders::default())
        })
        .unwrap_err();
        assert_eq!(error.message(), format!("words does not ask for {noun}"));
        assert_eq!(
            error.hint_text(),
            Some("it asks for environment variable LANG")
        );
    }
    assert!(!root.path().join(store::FILE).exists());
}

#[test]
fn a_damaged_file_grants_nothing_and_is_not_written_over() {
    let root = tempfile::tempdir().unwrap();
    let (data, file) = (root.path(), root.path().join(store::FILE));
    let asked = asking("clock = { reason = \"r\" }");
    grant_all(data, &asked, data);
    let whole = fs::read_to_string(&file).unwrap();
    assert!(standing(data, &asked).is_granted());
    for (text, word) in [
        (whole[..whole.len() / 2].to_owned(), "damaged"),
        (String::new(), "damaged"),
        ("[]".to_owned(), "damaged"),
        (whole.replace("\"clock\"", "\"clok\""), "damaged"),
        (
            whole.replace("\"version\": 1", "\"version\": 2"),
            "version 2",
        ),
    ] {
        assert_ne!(text, whole, "{word}");
        fs::write(&file, &text).unwrap();
        let grants = Grants::open(Some(data));
        assert_eq!(grants.standing(&asked), Standing::Undecided, "{text}");
        let update = Grants::decide(data, &asked, Ok).unwrap_err();
        for problem in [grants.problem().unwrap(), &update] {
            assert!(
                problem.message().contains(word) && problem.message().contains(store::FILE),
                "{problem}"
            );
            assert!(problem.hint_text().is_some());
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
}

#[test]
#[cfg(unix)]
fn what_everybody_may_write_grants_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let (data, file) = (root.path(), root.path().join(store::FILE));
    let asked = asking("clock = { reason = \"r\" }");
    grant_all(data, &asked, data);
    for (path, mode, sound) in [(&file, 0o602, 0o600), (&data.to_owned(), 0o777, 0o700)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let grants = Grants::open(Some(data));
        assert_eq!(grants.standing(&asked), Standing::Undecided);
        let problem = grants.problem().unwrap();
        let named = problem.hint_text().unwrap();
        assert!(
            named.contains(&format!("chmod o-w {}", path.display())),
            "{named}"
        );
        assert!(Grants::decide(data, &asked, Ok).is_err());
        fs::set_permissions(path, fs::Permissions::from_mode(sound)).unwrap();
        assert!(standing(data, &asked).is_granted());
    }
}

#[test]
fn many_writers_at_once_lose_nothing() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path();
    let text = toml_with_id;
    std::thread::scope(|scope| {
        for writer in 0..8 {
            scope.spawn(move || {
                for round in 0..8 {
                    let asked = text(&format!("words-{writer}-{round}"));
                    Grants::decide(data, &asked, Ok).unwrap();
                }
            });
        }
    });
    let grants = Grants::open(Some(data));
    for writer in 0..8 {
        for round in 0..8 {
            let asked = text(&format!("words-{writer}-{round}"));
            assert!(grants.standing(&asked).is_granted(), "{writer} {round}");
        }
    }
    let mut left: Vec<_> = fs::read_dir(data)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    // Every decision is in the log of trust, and nothing that was in the making is left.
    let all = [
        "grants.json",
        "grants.lock",
        "trust.json",
        "trust.lock",
        "trust.log",
    ];
    assert_eq!(left, all);
    let log = fs::read_to_string(data.join("trust.log")).unwrap();
    assert_eq!(log.lines().count(), 64);
}

fn toml_with_id(id: &str) -> Manifest {
    let mut asked = asking("clock = { reason = \"r\" }");
    asked.plugin.id = id.to_owned();
    asked
}

#[test]
fn folders_are_bound_to_what_is_there() {
    let root = tempfile::tempdir().unwrap();
    let here = root.path().canonicalize().unwrap();
    let (data, words, file) = (here.join("data"), here.join("words"), here.join("file"));
    fs::create_dir(&words).unwrap();
    fs::write(&file, "").unwrap();
    let own = here.join("own");
    fs::create_dir(&own).unwrap();
    let asked = asking(&format!(
        "folders = [{{ path = \"words\", reason = \"r\" }}, {{ path = {own:?}, reason = \"r\" }}]"
    ));
    let grant = |folders: &[String], all| {
        let choice = Choice {
            all,
            folders: folders.to_vec(),
            ..Choice::default()
        };
        Grants::decide(&data, &asked, |before| {
            choice.grant(&asked, before, &Folders::default())
        })
    };
    let bound = |path: &Path| [format!("words={}", path.display())];
    for (folders, all, message) in [
        (&bound(&here.join("none"))[..], false, "none is not there"),
        (&bound(&file), false, "file is no folder"),
        (
            &["words".to_owned()],
            false,
            "no folder of yours stands for words of words",
        ),
        (&[], true, "no folder of yours stands for words of words"),
    ] {
        let error = grant(folders, all).unwrap_err();
        assert!(error.message().contains(message), "{error}");
        assert!(error.hint_text().unwrap().contains("words=PATH"));
    }
    assert_eq!(standing(&data, &asked), Standing::Undecided);

    // A path of the manifest's own stands for itself, and what is bound already need not be named again.
    grant(&bound(&words), false).unwrap();
    grant(&[], true).unwrap();
    let Standing::Granted(granted) = standing(&data, &asked) else {
        panic!("it was granted");
    };
    assert_eq!(
        granted.folders,
        [
            ("words".to_owned(), words.clone()),
            (own.to_str().unwrap().to_owned(), own)
        ]
        .into()
    );

    // A folder that goes away stays granted: a drive that is not mounted comes back.
    fs::remove_dir(&words).unwrap();
    assert!(standing(&data, &asked).is_granted());
}

#[test]
fn no_plugin_may_write_where_the_host_keeps_what_it_trusts() {
    let root = tempfile::tempdir().unwrap();
    let here = root.path().canonicalize().unwrap();
    let own = Folders {
        data: Some(here.join("home/data")),
        cache: Some(here.join("home/cache")),
        project: Some(here.join("project/.codex-ml")),
    };
    for folder in [&own.data, &own.cache, &own.project] {
        fs::create_dir_all(folder.as_ref().unwrap()).unwrap();
    }
    fs::create_dir(here.join("project/out")).unwrap();
    fs::create_dir(here.join("home/data/plugins")).unwrap();
    let bind = |path: &str, write: bool| {
        let asked = asking(&format!(
            "folders = [{{ path = \"out\", write = {write}, reason = \"r\" }}]"
        ));
        let choice = Choice {
            folders: vec![format!("out={}", here.join(path).display())],
            ..Choice::default()
        };
        choice.grant(&asked, Granted::default(), &own)
    };
    for path in [
        "",
        "home",
        "home/data",
        "home/data/plugins",
        "home/cache",
        "project",
    ] {
        let error = bind(path, true).unwrap_err();
        assert!(
            error.message().starts_with("no plugin may write to"),
            "{error}"
        );
        assert!(bind(path, false).is_ok(), "reading {path}");
    }
    assert!(bind("project/out", true).is_ok());
}

#[test]
fn the_line_that_grants_all_is_safe_to_paste() {
    assert_eq!(
        command_line(&manifest(ALL)),
        "codex-ml plugin grant words --all --folder data=PATH --folder 'old words=PATH'"
    );
    let asked = asking(
        "folders = [{ path = \"/srv/words\", reason = \"r\" }, { path = \"~/words\", reason = \"r\" }, \
         { path = \"$(id)'; id\", reason = \"r\" }]",
    );
    let home = if etcetera::home_dir().is_ok() {
        ""
    } else {
        " --folder '~/words=PATH'"
    };
    assert_eq!(
        command_line(&asked),
        format!("codex-ml plugin grant words --all{home} --folder '$(id)'\\''; id=PATH'")
    );
}

#[test]
fn limits_come_from_the_user_then_the_manifest_then_the_default() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path();
    let asked = manifest("[limits]\nmemory = \"1GiB\"\ntime = \"1s\"\n");
    let sources = || {
        let grants = Grants::open(Some(data));
        let limits = in_force(&asked, &grants);
        limits
            .into_iter()
            .take(3)
            .map(|limit| (limit.key, limit.source, limit.asked))
            .collect::<Vec<_>>()
    };
    let user = |text: &str| Grants::set_limits(data, "words", |limits| set(limits, text));
    assert_eq!(
        sources(),
        [
            ("memory", Source::Default, Some("1GiB".to_owned())),
            ("time", Source::Manifest, None),
            ("transfer", Source::Default, None),
        ]
    );
    user("transfer=2MiB").unwrap();
    user("time=5m").unwrap();
    assert_eq!(
        sources()[1..],
        [
            ("time", Source::User, Some("1s".to_owned())),
            ("transfer", Source::User, None)
        ]
    );
    assert_eq!(standing(data, &asked), Standing::Undecided);
    // A decision and the limits beside it do not touch each other.
    grant_all(data, &asked, data);
    assert_eq!(sources()[0], ("memory", Source::Manifest, None));
    Grants::forget(data, "words", false).unwrap();
    assert_eq!(sources()[1].1, Source::User);
    user("time=").unwrap();
    user("transfer=").unwrap();
    assert!(Grants::open(Some(data)).limits("words").is_none());
    assert!(!Grants::open(Some(data)).knows("words"));
    for (text, word) in [
        ("memory", "KEY=VALUE"),
        ("memry=1GiB", "did you mean memory?"),
        ("pace=1", "memory, time, transfer"),
        ("memory=much", "memory=64MiB"),
        ("time=10", "time=30s"),
        ("memory=0B", "memory=64MiB"),
        ("instances=-1", "instances=1000"),
    ] {
        let error = user(text).unwrap_err();
        assert!(
            error.hint_text().unwrap().contains(word),
            "{text}: {error:?}"
        );
    }
}
