//! The documentation's promises: its links lead somewhere, and the README's two commands are the ones that CI runs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::bench::root;

/// Every page of ours.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    pages.extend(fs::read_dir(root().join("docs")).unwrap().flatten().map(|entry| entry.path()));
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    pages
}

#[test]
fn links_lead_somewhere() {
    let mut checked = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for piece in text.split("](").skip(1) {
            let target = piece.split([')', '#']).next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = page.parent().unwrap().join(Path::new(target));
            assert!(path.exists(), "{} links to {target}, which is not there", page.display());
            checked += 1;
        }
    }
    assert!(checked > 10, "only {checked} links were found");
}

#[test]
fn the_readme_names_the_two_commands() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let commands: Vec<&str> = readme.lines().filter(|line| line.starts_with("cargo ")).collect();
    assert!(commands.iter().any(|line| line.contains("codex-ml train")), "{commands:?}");
    assert_eq!(commands.iter().filter(|line| line.starts_with("cargo test")).count(), 1, "{commands:?}");
    assert!(commands.iter().all(|line| line.contains("--locked")), "{commands:?}");
}
