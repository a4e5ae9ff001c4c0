//! What survives: kill -9 at any moment, two installs at once, a full disk, a broken cache, damaged files.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use codex_packages::store::Store;

use super::shop::Shop;
use super::{listed, whole};
use crate::bench::{Bench, Ran, built};
use crate::third_party::files;

/// Bytes that cannot be compressed, so that unpacking takes its time.
fn ballast(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..size)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

#[test]
fn kill_it_at_any_moment_and_the_next_one_goes_on() {
    let bench = Bench::new();
    let Some(shop) = Shop::new(&bench) else {
        return;
    };
    let ballast = ballast(4 << 20);
    for line in [
        "words 1.0.0",
        "words 2.0.0",
        "shout 1.0.0: words ^1",
        "shout 2.0.0: words ^2",
    ] {
        shop.publish_with(line, &[("README.md", &ballast)]);
    }
    let install = |version: &str| {
        vec![
            "plugin".to_owned(),
            "install".into(),
            format!("shout@{version}"),
        ]
    };
    let run = |version: &str| {
        let arguments = install(version);
        bench.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let start = Instant::now();
    run("1").ok();
    let usual = start.elapsed();
    let (one, two) = (
        ["shout 1.0.0", "words 1.0.0"],
        ["shout 2.0.0", "words 2.0.0"],
    );
    let (mut killed, mut rounds) = (0, 0);
    let mut seen = std::collections::BTreeSet::new();
    // From the first moment to well behind the last, there and back, in steps that differ from round to round.
    for step in 0_u32..60 {
        let (version, unused) = if active(&bench, "1.0.0") {
            ("2", "2.0.0")
        } else {
            ("1", "1.0.0")
        };
        // Everything has to be fetched and unpacked again, or the next version would only be switched to; that too.
        if step % 6 != 5 {
            let _ = fs::remove_dir_all(
                bench
                    .work()
                    .parent()
                    .unwrap()
                    .join("cache/registries/archives"),
            );
            for (_, folder) in Store::new(&bench.data()).versions().unwrap() {
                if folder.to_string_lossy().contains(&format!("/{unused}-")) {
                    fs::remove_dir_all(folder).unwrap();
                }
            }
        }
        let arguments = install(version);
        let mut child = bench.start(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        std::thread::sleep(
            usual.mul_f64(f64::from(step) * 1.3 / 60.0)
                + Duration::from_micros(u64::from(step % 7) * 300),
        );
        rounds += 1;
        if child.try_wait().unwrap().is_none() {
            killed += 1;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let now = whole(&bench);
        assert!(now == one || now == two, "{now:?} after {step}");
        seen.insert(now);
        assert_eq!(listed(&bench).len(), 2, "step {step}");
        bench.run(&["plugin", "sync"]).ok();
        if step % 4 == 3 {
            run(version).ok();
            let wanted = if version == "2" { &two } else { &one };
            assert_eq!(whole(&bench), *wanted);
        }
    }
    assert!(
        killed * 2 > rounds,
        "only {killed} of {rounds} were killed at work"
    );
    assert_eq!(seen.len(), 2, "both states were met");
    let store = bench.data().join("store");
    let left = fs::read_dir(&store)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().into_string().unwrap());
    let mut left: Vec<String> = left.collect();
    left.sort();
    assert_eq!(
        left,
        [".lock", "shout", "words"],
        "nothing half done is left"
    );
}

/// Whether a version is the one in the lock.
fn active(bench: &Bench, version: &str) -> bool {
    whole(bench).iter().any(|title| title.ends_with(version))
}

#[test]
fn several_installs_at_once_all_succeed() {
    let bench = Bench::new();
    let Some(shop) = Shop::new(&bench) else {
        return;
    };
    let names = ["alder", "birch", "cedar", "dogwood"];
    for name in names {
        shop.publish_with(
            &format!("{name} 1.0.0: roots ^1"),
            &[("README.md", &ballast(1 << 20))],
        );
    }
    shop.publish_with("roots 1.0.0", &[("README.md", &ballast(1 << 20))]);
    let children: Vec<_> = names
        .iter()
        .map(|name| bench.start(&["plugin", "install", name]))
        .collect();
    for child in children {
        Ran::new(&["plugin install"], child.wait_with_output().unwrap()).ok();
    }
    let expected = [
        "alder 1.0.0",
        "birch 1.0.0",
        "cedar 1.0.0",
        "dogwood 1.0.0",
        "roots 1.0.0",
    ];
    assert_eq!(whole(&bench), expected);
    assert_eq!(listed(&bench).len(), 5);
    let project = fs::read_to_string(bench.data().join("codex-plugins.toml")).unwrap();
    assert!(
        names
            .iter()
            .all(|name| project.contains(&format!("{name} = \"^1.0.0\""))),
        "{project}"
    );
}

#[cfg(unix)]
#[test]
fn a_full_disk_ends_the_install_and_changes_nothing() {
    let bench = Bench::new();
    let Some(shop) = Shop::new(&bench) else {
        return;
    };
    shop.publish("words 1.0.0");
    shop.publish_with("words 2.0.0", &[("README.md", &ballast(2 << 20))]);
    bench.run(&["plugin", "install", "words@1"]).ok();
    let before = files(&bench.data().join("store"));
    // A limit on the size of a file stands for a full disk: the system refuses to write further.
    for blocks in [1, 40, 400, 2000] {
        let program = built().join("codex-ml");
        let script = format!(
            "trap '' XFSZ; ulimit -f {blocks}; exec '{}' plugin install words@2",
            program.display()
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        bench.prepare(&mut command);
        let ran = Ran::new(
            &["plugin install on a full disk"],
            command.output().unwrap(),
        );
        let ran = ran.fails(1, &[]);
        assert!(ran.stderr.contains("because:"), "{}", ran.stderr);
        assert_eq!(whole(&bench), ["words 1.0.0"]);
        assert_eq!(
            files(&bench.data().join("store")),
            before,
            "{blocks} blocks"
        );
    }
    bench.run(&["plugin", "install", "words@2"]).ok();
    assert_eq!(whole(&bench), ["words 2.0.0"]);
}

#[test]
fn a_broken_cache_is_fetched_again() {
    let bench = Bench::new();
    let Some(shop) = Shop::new(&bench) else {
        return;
    };
    shop.publish_with("words 1.0.0", &[("README.md", &ballast(1 << 16))]);
    bench.run(&["plugin", "install", "words"]).ok();
    let cache = bench.work().parent().unwrap().join("cache");
    for damage in ["cut", "flipped", "empty"] {
        fs::remove_dir_all(bench.data().join("store/words")).unwrap();
        for file in files(&cache).into_iter().filter(|path| path.is_file()) {
            let mut bytes = fs::read(&file).unwrap();
            match damage {
                "cut" => bytes.truncate(bytes.len() / 2),
                "empty" => bytes.clear(),
                _ => {
                    let middle = bytes.len() / 2;
                    if let Some(byte) = bytes.get_mut(middle) {
                        *byte ^= 0x10;
                    }
                }
            }
            fs::write(&file, bytes).unwrap();
        }
        bench.run(&["plugin", "sync"]).ok();
        assert_eq!(whole(&bench), ["words 1.0.0"], "{damage}");
        assert_eq!(listed(&bench), ["words 1.0.0 user ready"], "{damage}");
    }
}

#[test]
fn damaged_files_are_mended_by_sync() {
    let bench = Bench::new();
    let Some(shop) = Shop::new(&bench) else {
        return;
    };
    shop.publish_with("words 1.0.0", &[("README.md", b"read me")]);
    bench.run(&["plugin", "install", "words"]).ok();
    let store = bench.data().join("store");
    let all: Vec<_> = files(&store)
        .into_iter()
        .filter(|path| path.is_file() && !path.ends_with(".lock"))
        .collect();
    assert!(all.len() >= 5, "{all:?}");
    for file in all {
        for content in [Some(b"something else".as_slice()), None] {
            match content {
                Some(content) => fs::write(&file, content).unwrap(),
                None => fs::remove_file(&file).unwrap(),
            }
            bench.run(&["plugin", "sync"]).ok();
            assert_eq!(whole(&bench), ["words 1.0.0"], "{}", file.display());
            assert_eq!(
                listed(&bench),
                ["words 1.0.0 user ready"],
                "{}",
                file.display()
            );
        }
    }
}
