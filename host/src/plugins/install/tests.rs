//! Staging, replacing and removing, without a real library: those are the end-to-end tests'.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::super::discover::tests::plugin;
use super::*;

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn staged_content_replaces_the_old_at_once() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("shout");
    for content in ["old", "new"] {
        let staged = Staged::new(root.path()).unwrap();
        staged
            .write(Path::new("lib/x.txt"), content.as_bytes())
            .unwrap();
        staged.move_to(&target).unwrap();
        assert_eq!(
            fs::read_to_string(target.join("lib/x.txt")).unwrap(),
            content
        );
    }
    assert_eq!(names(root.path()), ["shout"]);
}

#[test]
fn what_is_given_up_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("data/plugins");
    let staged = Staged::new(&root).unwrap();
    staged.write(Path::new("x"), b"x").unwrap();
    drop(staged);
    assert!(names(home.path()).is_empty());
}

#[test]
fn sources_that_are_no_plugins_are_named() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::create_dir_all(at("empty")).unwrap();
    fs::create_dir_all(at("leaves")).unwrap();
    fs::write(at("text.so"), "int main;").unwrap();
    let manifest = "[plugin]\nid = \"a\"\nversion = \"1.0.0\"\napi = \"1\"\ndescription = \"d\"\n";
    let component = "[[component]]\nkind = \"metric\"\nname = \"m\"\n";
    fs::write(
        at("leaves/plugin.toml"),
        format!("{manifest}library = \"../text.so\"\n{component}"),
    )
    .unwrap();
    fs::create_dir_all(at("unbuilt")).unwrap();
    fs::write(at("unbuilt/plugin.toml"), format!("{manifest}{component}")).unwrap();
    for (source, kind, message) in [
        ("missing", ErrorKind::Config, "cannot install"),
        ("empty", ErrorKind::Config, "holds no plugin.toml"),
        (
            "text.so",
            ErrorKind::Plugin,
            "at step read: it is a text file",
        ),
        (
            "leaves",
            ErrorKind::Plugin,
            "at step manifest: plugin.toml: plugin.library \"../text.so\" leaves",
        ),
        (
            "unbuilt",
            ErrorKind::Plugin,
            "at step read: there is no library",
        ),
    ] {
        let root = at("data/plugins");
        let request = Request {
            source: &at(source),
            root: &root,
            force: true,
        };
        let error = install(request, &Catalog::default()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(message), "{error}");
        assert!(error.hint_text().is_some(), "{error}");
        assert!(!at("data").exists());
    }
}

#[test]
fn names_of_others_are_refused_unless_forced_and_those_of_the_host_always() {
    let catalog = Catalog {
        plugins: vec![plugin("a", &[(Kind::Metric, "x")], "a")],
        ..Catalog::default()
    };
    let other = plugin("b", &[(Kind::Metric, "x")], "b");
    let error = check_names(&other, &catalog, false).unwrap_err();
    assert!(
        error.message().contains("is already given by a 0.1.0"),
        "{error}"
    );
    check_names(&other, &catalog, true).unwrap();
    check_names(&plugin("a", &[(Kind::Metric, "x")], "new"), &catalog, false).unwrap();
    let error = check_names(&plugin("c", &[(Kind::Command, "env")], "c"), &catalog, true);
    let error = error.unwrap_err();
    assert!(
        error
            .message()
            .ends_with("command \"env\" has the name of one of codex-ml's own"),
        "{error}"
    );
}

#[test]
fn a_command_that_is_taken_names_both_owners_and_how_it_is_reached_all_the_same() {
    let greeter = |id: &str| plugin(id, &[(Kind::Command, "greet")], id);
    let catalog = Catalog {
        plugins: vec![greeter("a")],
        ..Catalog::default()
    };
    let error = check_names(&greeter("b"), &catalog, false).unwrap_err();
    let both = "command \"greet\" of b 0.1.0 is already given by a 0.1.0";
    assert!(error.message().contains(both), "{error}");
    let hint = error.hint_text().unwrap();
    assert!(hint.contains("codex-ml plugin run b:greet"), "{hint}");
}

#[test]
fn removing_takes_only_what_is_installed() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("plugins");
    fs::create_dir_all(root.join("shout")).unwrap();
    let roots = [home.path().join("none"), root.clone()];
    let elsewhere = plugin("lm", &[(Kind::Metric, "lm")], "/opt/liblm.so");
    let catalog = Catalog {
        plugins: vec![elsewhere],
        ..Catalog::default()
    };
    assert_eq!(
        remove("shout", &roots, &catalog).unwrap(),
        root.join("shout")
    );
    assert!(names(&root).is_empty());
    for (id, message) in [
        ("shout", "no plugin \"shout\" is installed"),
        ("../plugins", "no plugin \"../plugins\" is installed"),
        ("", "no plugin \"\" is installed"),
        (
            "lm",
            "plugin lm was not installed by codex-ml plugin install: it is /opt/liblm.so",
        ),
    ] {
        assert_eq!(remove(id, &roots, &catalog).unwrap_err().message(), message);
    }
    assert!(root.exists());
}
