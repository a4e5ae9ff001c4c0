//! The documentation's promises: its links lead somewhere, the README's two commands are the ones that CI runs, and the
//! plugin guide works when it is followed to the letter.

use std::fs;
use std::path::{Path, PathBuf};

use std::process::Command;

use crate::bench::{Bench, Ran, built, root};
#[cfg(target_os = "linux")]
use crate::guests::{MISSING, left_out};

/// Every page of ours.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    pages.extend(
        fs::read_dir(root().join("docs"))
            .unwrap()
            .flatten()
            .map(|entry| entry.path()),
    );
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
            assert!(
                path.exists(),
                "{} links to {target}, which is not there",
                page.display()
            );
            checked += 1;
        }
    }
    assert!(checked > 10, "only {checked} links were found");
}

#[test]
fn the_readme_names_the_two_commands() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let commands: Vec<&str> = readme
        .lines()
        .filter(|line| line.starts_with("cargo "))
        .collect();
    assert!(
        commands.iter().any(|line| line.contains("codex-ml train")),
        "{commands:?}"
    );
    assert_eq!(
        commands
            .iter()
            .filter(|line| line.starts_with("cargo test"))
            .count(),
        1,
        "{commands:?}"
    );
    assert!(
        commands.iter().all(|line| line.contains("--locked")),
        "{commands:?}"
    );
}

/// A fenced block: its language, its attributes, and its lines.
struct Block {
    language: String,
    attribute: Option<(String, String)>,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), open.as_mut()) {
            (Some(info), None) => {
                let mut words = info.split(' ');
                open = Some(Block {
                    language: words.next().unwrap_or_default().to_owned(),
                    attribute: words
                        .next()
                        .and_then(|word| word.split_once('='))
                        .map(|(k, v)| (k.into(), v.into())),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    blocks
}

#[cfg(target_os = "linux")]
#[test]
fn the_plugin_guide_works_to_the_letter() {
    let bench = Bench::new();
    let work = bench.work();
    std::os::unix::fs::symlink(root(), work.join("codex-ml")).unwrap();
    let path = format!("{}:{}", built().display(), std::env::var("PATH").unwrap());
    // Plugins share one target folder with the fixtures, so that the API is not compiled for each of them again.
    let target = built().parent().unwrap().join("fixtures");
    fs::create_dir_all(&target).unwrap();
    let mut ran = 0;
    for block in blocks(&fs::read_to_string(root().join("docs/writing-plugins.md")).unwrap()) {
        match (
            block.language.as_str(),
            block
                .attribute
                .as_ref()
                .map(|(key, value)| (key.as_str(), value.as_str())),
        ) {
            ("sh", attribute) => {
                let expected = attribute.map_or(0, |(_, code)| code.parse().unwrap());
                let mut command = Command::new("sh");
                command.args(["-e", "-c", &block.text]);
                bench.prepare(&mut command);
                // The bench has a home of its own; cargo keeps its registry in the real one.
                command
                    .env("HOME", std::env::var_os("HOME").unwrap_or_default())
                    .env("PATH", &path);
                Ran::new(&[&block.text], command.output().unwrap()).code(expected);
                for plugin in ["surprise-rate", "sums", "top-words"] {
                    let folder = work.join(plugin);
                    if folder.exists() && !folder.join("target").exists() {
                        std::os::unix::fs::symlink(&target, folder.join("target")).unwrap();
                    }
                }
                ran += 1;
            }
            (_, Some(("file", file))) => fs::write(work.join(file), block.text).unwrap(),
            (_, Some(("append", file))) => {
                let before = fs::read_to_string(work.join(file)).unwrap();
                fs::write(work.join(file), before + &block.text).unwrap();
            }
            other => panic!("docs/writing-plugins.md has a block {other:?} that nothing tries"),
        }
    }
    assert!(ran > 8, "only {ran} blocks of commands were run");
    assert!(bench.run(&["plugin", "doctor"]).ok().code == Some(0));
}

/// The headings of its sections by language.
#[cfg(target_os = "linux")]
const LANGUAGES: [&str; 3] = ["## In Rust", "## In C", "## In Python"];

#[cfg(target_os = "linux")]
#[test]
fn the_guide_to_sandboxed_plugins_works_to_the_letter() {
    let bench = Bench::new();
    let work = bench.work();
    let path = format!("{}:{}", built().display(), std::env::var("PATH").unwrap());
    let page = fs::read_to_string(root().join("docs/sandboxed-plugins.md")).unwrap();
    for heading in LANGUAGES {
        let section = page.split(heading).nth(1).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let blocks = blocks(section);
        assert!(blocks.len() >= 3, "{heading}");
        for block in blocks {
            if let Some((_, file)) = block.attribute {
                fs::write(work.join(file), block.text).unwrap();
                continue;
            }
            assert_eq!(
                block.language, "sh",
                "{heading}: nothing tries {}",
                block.text
            );
            let mut command = Command::new("sh");
            command.args(["-e", "-c", &block.text]);
            bench.prepare(&mut command);
            // The bench has a home of its own; tools keep their registries in the real one.
            command
                .env("HOME", std::env::var_os("HOME").unwrap_or_default())
                .env("CARGO_TARGET_DIR", built().parent().unwrap().join("guests"))
                .env("PATH", &path);
            let ran = Ran::new(&[&block.text], command.output().unwrap());
            let lacks = |&(lacks, install): &(&str, &str)| {
                ran.stderr.contains(lacks) && ran.stderr.contains(install)
            };
            if ran.code == Some(1) && MISSING.iter().any(lacks) {
                left_out(&format!("{heading}: {}", ran.stderr.trim()));
                break;
            }
            ran.ok();
        }
    }
    // What the page shows of manifests is what a manifest may hold.
    for key in ["[permissions]", "[limits]"] {
        let start = page.find(&format!("```toml\n{key}")).unwrap() + "```toml\n".len();
        let table = page[start..].split("```").next().unwrap();
        let text = format!(
            "[plugin]\nid = \"a\"\nversion = \"0.1.0\"\napi = \"1\"\ndescription = \"d\"\n\
             [[component]]\nkind = \"metric\"\nname = \"a\"\n{table}"
        );
        codex_plugin_api::Manifest::parse(&text, "docs/sandboxed-plugins.md").unwrap();
    }
}
