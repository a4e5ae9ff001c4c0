//! Every template filled in and written, without building it: `tests/e2e/authoring.rs` builds them.
#![allow(clippy::unwrap_used, reason = "tests")]

use codex_plugin_api::Manifest;

use super::*;

const FORMS: [Form; 4] = [Form::Native, Form::Rust, Form::C, Form::Python];

fn make(folder: &Path, kind: Kind, form: Form) -> Result<Scaffolded> {
    let request = Request {
        name: "word-rate",
        kind,
        form,
        folder,
        api: Some("https://example.org/codex-ml"),
    };
    scaffold(request, &Catalog::default())
}

#[test]
fn every_kind_is_there_in_every_language() {
    let root = tempfile::tempdir().unwrap();
    for kind in Kind::ALL {
        for form in FORMS {
            let folder = root.path().join(format!("{kind}-{form:?}"));
            let scaffolded = make(&folder, kind, form).unwrap();
            for name in &scaffolded.files {
                let text = fs::read_to_string(folder.join(name)).unwrap();
                assert!(!text.contains("{{"), "{kind} {form:?}: {name}\n{text}");
                // A header of the project's own is in the project; the bindings are made when it is built.
                for header in text
                    .lines()
                    .filter_map(|line| line.strip_prefix("#include \""))
                {
                    let header = header.trim_start_matches("../").trim_end_matches('"');
                    let there = scaffolded.files.iter().any(|file| file == header);
                    assert!(
                        there || header == format!("{kind}_plugin.h"),
                        "{kind}: {name}: {header}"
                    );
                }
            }
            let text = fs::read_to_string(folder.join("plugin.toml")).unwrap();
            let manifest = Manifest::parse(&text, "plugin.toml").unwrap();
            assert!(manifest.component(kind, "word-rate").is_some());
            assert!(manifest.plugin.license.is_some());
            let readme = fs::read_to_string(folder.join("README.md")).unwrap();
            for line in [
                "codex-ml plugin build\n",
                "codex-ml plugin test .",
                "codex-ml plugin install .\n",
                "licence",
            ] {
                assert!(readme.contains(line), "{readme}");
            }
            assert_eq!(folder.join("wit").is_dir(), form == Form::Rust);
            let has_test = scaffolded.files.iter().any(|name| {
                let text = fs::read_to_string(folder.join(name)).unwrap();
                name.contains("test") || text.contains("#[test]")
            });
            assert!(has_test, "{kind} {form:?}");
        }
    }
}

#[test]
fn a_folder_that_is_there_stays_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("word-rate");
    fs::create_dir(&folder).unwrap();
    let error = make(&folder, Kind::Metric, Form::Rust).unwrap_err();
    assert!(
        error.message().ends_with("word-rate is there already"),
        "{error}"
    );
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    // Where the parent is not there, nothing is made either.
    let error = make(
        &root.path().join("none/word-rate"),
        Kind::Metric,
        Form::Rust,
    )
    .unwrap_err();
    assert!(
        error.message().contains("cannot make the folder"),
        "{error}"
    );
    let left: Vec<_> = fs::read_dir(root.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}
