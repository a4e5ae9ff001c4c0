//! The order of the search path, and the index that spares later starts the reading.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{patched, rows, third_party, with_plugin};
use crate::bench::{Bench, Ran, built, fixtures, library};

#[test]
fn the_first_place_of_the_search_path_wins() {
    let bench = Bench::new();
    let bytes = fs::read(third_party()).unwrap();
    let name = library("third-party");
    let places = [
        "option",
        "environment",
        ".codex-ml/plugins",
        "../data/plugins",
    ];
    for (at, place) in places.iter().enumerate() {
        // The same plugin in four versions. Nothing of it runs, so that a patched signature does no harm.
        let version = format!("version = \"0.3.{}\"", 4 - at);
        bench.write(
            &format!("{place}/{name}"),
            patched(&bytes, b"version = \"0.3.1\"", version.as_bytes()),
        );
    }
    let listed = |bench: &Bench, place: usize| {
        let mut arguments = vec!["plugin", "list", "--json"];
        if place == 0 {
            arguments.extend(["--plugin-dir", "option"]);
        }
        let mut command = bench.command(&arguments);
        if place <= 1 {
            command.env("CODEX_ML_PLUGIN_PATH", "environment");
        }
        let ran = Ran::new(&arguments, command.output().unwrap()).ok();
        rows(&ran, "third-party")
    };
    for place in 0..4 {
        let found = listed(&bench, place);
        assert_eq!(found.len(), 4 - place, "{found:?}");
        for row in found {
            let used = row["version"] == format!("0.3.{}", 4 - place);
            assert_eq!(
                row["state"],
                if used { "ready" } else { "shadowed" },
                "{row}"
            );
        }
        if place == 2 {
            fs::remove_dir_all(bench.work().join(".codex-ml")).unwrap();
        }
    }
    bench
        .run(&["plugin", "list", "--plugin-dir", "nowhere"])
        .fails(2, &["nowhere"]);
}

#[test]
fn later_starts_read_the_index_and_not_the_libraries() {
    let bench = Bench::new();
    let name = library("third-party");
    let file = bench.write(&format!("mine/{name}"), fs::read(third_party()).unwrap());
    let index = bench.data().parent().unwrap().join("cache/plugins.json");
    let list = || {
        bench
            .run(&["plugin", "list", "--json", "--plugin-dir", "mine"])
            .ok()
    };
    let about = || {
        bench
            .run(&["plugin", "info", "third-party", "--plugin-dir", "mine"])
            .ok()
            .stdout
    };

    // A file that changed a moment ago is not written down, for it may change again unseen.
    let known = || {
        fs::read_to_string(&index)
            .is_ok_and(|text| text.contains("from outside the codex-ml workspace"))
    };
    for _ in 0..2000 {
        list();
        if known() {
            break;
        }
    }
    assert!(known(), "the plugin never came into the index");
    let first = about();
    let text = fs::read_to_string(&index).unwrap();
    fs::write(
        &index,
        text.replace(
            "from outside the codex-ml",
            "as the index tells of it, outside the codex-ml",
        ),
    )
    .unwrap();
    assert!(
        about().contains("as the index tells of it"),
        "the library was read though nothing changed"
    );

    for damage in [
        "",
        "{",
        "[]",
        "{\"host\":\"another\",\"entries\":{}}",
        &text[..text.len() / 2],
    ] {
        fs::write(&index, damage).unwrap();
        assert_eq!(about(), first, "a damaged index was believed: {damage:.20}");
    }
    assert!(known(), "the index was not built again");
    fs::remove_file(&index).unwrap();
    assert_eq!(about(), first);

    fs::write(
        &file,
        fs::read(fixtures("broken").join(library("quits"))).unwrap(),
    )
    .unwrap();
    let listed = list();
    assert_eq!(
        (
            rows(&listed, "third-party").len(),
            rows(&listed, "quits").len()
        ),
        (0, 1),
        "another library was not noticed"
    );
    fs::remove_file(&file).unwrap();
    assert_eq!(
        rows(&list(), "quits").len(),
        0,
        "a removed library was not noticed"
    );

    fs::remove_dir_all(index.parent().unwrap()).unwrap();
    fs::write(index.parent().unwrap(), "no folder can be here").unwrap();
    list();
}

#[test]
fn the_first_party_plugins_keep_working_beside_it() {
    let bench = with_plugin();
    let listed = bench.run(&["plugin", "list", "--json"]).ok().json();
    let rows = listed.as_array().unwrap();
    let own: Vec<&Value> = rows
        .iter()
        .filter(|row| {
            row["path"]
                .as_str()
                .is_some_and(|path| Path::new(path).starts_with(built()))
        })
        .collect();
    assert_eq!(own.len() + 1, rows.len(), "{listed}");
    assert!(
        own.len() >= 6 && own.iter().all(|row| row["state"] == "ready"),
        "{listed}"
    );
}
