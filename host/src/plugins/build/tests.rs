#![allow(clippy::unwrap_used, reason = "tests")]

use wit_parser::Resolve;

use super::*;

const MANIFEST_TEXT: &str = "[plugin]\nid = \"shout\"\nversion = \"0.1.0\"\napi = \"1\"\ndescription = \"d\"\n\
                             [[component]]\nkind = \"metric\"\nname = \"loud\"\n";

fn guest(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn built(folder: &Path) -> Result<Built> {
    let request = Request {
        folder,
        output: None,
    };
    build(request, &crate::testing::app())
}

#[test]
fn the_language_is_that_of_the_sources() {
    for (files, language) in [
        (&["Cargo.toml", "helper.py", "x.c"][..], Language::Rust),
        (&["metric.c", "metric.h", "make.py"], Language::C),
        (&["app.py", "plugin.toml"], Language::Python),
    ] {
        let files: Vec<(&str, &str)> = files.iter().map(|name| (*name, "")).collect();
        assert_eq!(Language::of(guest(&files).path()).unwrap(), language);
    }
    let error = Language::of(guest(&[("plugin.toml", "")]).path()).unwrap_err();
    assert!(
        error.message().starts_with("there is nothing to build in"),
        "{error}"
    );
}

#[test]
fn a_wrong_manifest_stops_a_build_before_any_tool_runs() {
    let error = built(guest(&[("app.py", "")]).path()).unwrap_err();
    assert!(error.message().ends_with("plugin.toml"), "{error}");
    let folder = guest(&[
        ("app.py", ""),
        ("plugin.toml", &MANIFEST_TEXT.replace("metric", "metrc")),
    ]);
    let error = built(folder.path()).unwrap_err();
    assert!(
        error
            .message()
            .contains("plugin.toml, line 7: unknown variant `metrc`"),
        "{error}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_file_is_written_whole_and_replaces_the_old_one() {
    let folder = guest(&[("shout.wasm", "old and longer")]);
    let file = folder.path().join("shout.wasm");
    write(&file, b"new").unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"new");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let error = write(&folder.path().join("none/shout.wasm"), b"new").unwrap_err();
    assert!(error.message().ends_with("shout.wasm"), "{error}");
}

#[test]
fn every_wit_file_is_in_the_binary() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin-api/wit/v1");
    let there = file_names(&folder).unwrap();
    let embedded: Vec<&str> = wit::FILES.iter().map(|(name, _)| *name).collect();
    assert_eq!(there, embedded);
    for (name, text) in wit::FILES {
        assert_eq!(
            fs::read_to_string(folder.join(name)).unwrap(),
            text,
            "{name}"
        );
    }
}

/// What a world imports and exports, without the package's name.
fn items(world: &World) -> (Vec<String>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    world.write(folder.path()).unwrap();
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(folder.path()).unwrap();
    let id = resolve.select_world(&[package], Some(&world.name)).unwrap();
    let world = &resolve.worlds[id];
    let short = |name: String| {
        let name = name.strip_prefix("codex:plugin/").unwrap().to_owned();
        name.strip_suffix("@1.0.0").unwrap().to_owned()
    };
    let names = |keys: Vec<String>| {
        let mut names: Vec<String> = keys.into_iter().map(short).collect();
        names.sort();
        names
    };
    (
        names(
            world
                .imports
                .keys()
                .map(|key| resolve.name_world_key(key))
                .collect(),
        ),
        names(
            world
                .exports
                .keys()
                .map(|key| resolve.name_world_key(key))
                .collect(),
        ),
    )
}

#[test]
fn the_world_is_that_of_the_kinds() {
    for kind in Kind::ALL {
        let world = World::of(&[kind]);
        assert_eq!(world.name, format!("{kind}-plugin"));
        assert_eq!(items(&world).1, [kind.to_string()]);
    }
    let world = World::of(&[Kind::Dataset, Kind::Metric]);
    assert_eq!(world.name, "this-plugin");
    let (imports, exports) = items(&world);
    assert_eq!(exports, ["dataset", "metric"]);
    assert!(imports.contains(&"network".to_owned()), "{imports:?}");
}

#[test]
fn a_narrow_world_imports_what_the_manifest_asks_for() {
    let asking = format!(
        "{MANIFEST_TEXT}[permissions]\nclock = {{ reason = \"r\" }}\nfolders = [{{ path = \"data\", reason = \"r\" }}]\n"
    );
    for (text, imports) in [
        (MANIFEST_TEXT, &["host", "types"][..]),
        (&asking, &["clock", "files", "host", "types"]),
    ] {
        let manifest = Manifest::parse(text, "plugin.toml").unwrap();
        let world = World::narrow(&kinds(&manifest), &manifest.permissions);
        assert_eq!(
            items(&world),
            (
                imports.iter().map(|name| (*name).to_owned()).collect(),
                vec!["metric".to_owned()]
            )
        );
    }
}
