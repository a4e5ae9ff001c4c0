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
fn every_kind_is_there_in_rust_and_python_and_some_in_c() {
    let root = tempfile::tempdir().unwrap();
    let mut made = 0;
    for kind in Kind::ALL {
        for form in FORMS {
            let folder = root.path().join(format!("{kind}-{form:?}"));
            let result = make(&folder, kind, form);
            if form == Form::C && templates::subject(kind).unwrap().sources(form).is_empty() {
                let error = result.unwrap_err();
                assert!(
                    error
                        .message()
                        .contains("no template for a plugin of the kind"),
                    "{error}"
                );
                let hint = error.hint_text().unwrap();
                assert!(
                    hint.contains("in C there are") && hint.contains("metric"),
                    "{hint}"
                );
                assert!(!folder.exists());
                continue;
            }
            let scaffolded = result.unwrap();
            made += 1;
            for name in &scaffolded.files {
                let text = fs::read_to_string(folder.join(name)).unwrap();
                assert!(!text.contains("{{"), "{kind} {form:?}: {name}\n{text}");
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
    assert_eq!(made, 3 * Kind::ALL.len() + 3);
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
