//! Sizes, speed and memory: a process of its own, so that no other test's memory is counted.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use std::fs;
use std::io::Write as _;
use std::time::{Duration, Instant};

use codex_plugin_api::{Dataset, NoHost};
use codex_plugin_dataset_files::{Config, FilesDataset};
use tempfile::TempDir;

/// Bytes of resident memory now, where the system says so.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<u64>()
        .ok()
        .map(|kilobytes| kilobytes * 1024)
}

/// Generates a file of about 64 MB by repeating `unit`, opens it, reads from it everywhere.
fn check(name: &str, head: &str, unit: &str, rows_per_unit: u64) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    let units = (64 << 20) / unit.len() as u64;
    let block = unit.repeat(1000);
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(head.as_bytes()).unwrap();
    for _ in 0..units / 1000 {
        file.write_all(block.as_bytes()).unwrap();
    }
    drop(file);
    let expected = units / 1000 * 1000 * rows_per_unit;

    let before = resident();
    let clock = Instant::now();
    let dataset =
        FilesDataset::open(&Config::of(path.to_str().unwrap()), &NoHost::shared()).unwrap();
    let took = clock.elapsed();
    assert_eq!(dataset.len(), expected, "{name}");
    if let (Some(before), Some(after)) = (before, resident()) {
        // The index, twice for its growth, and the block with what was made of it.
        let most = expected * 8 * 2 + (24 << 20);
        assert!(
            after.saturating_sub(before) < most,
            "{name}: {before} bytes became {after}, {expected} rows"
        );
    }
    assert!(took < Duration::from_secs(6), "{name}: {took:?}");
    let clock = Instant::now();
    for read in 0..1_000 {
        assert_eq!(
            dataset
                .read(read * 7_919 % (expected - 4), 4)
                .unwrap()
                .rows(),
            4
        );
    }
    assert!(
        clock.elapsed() < Duration::from_secs(1),
        "{name}: {:?} for 1000 reads",
        clock.elapsed()
    );
}

// One test, so that the files do not compete for disk and cores.
#[test]
fn large_files_open_fast_in_little_memory() {
    let sentence = "The quick brown fox jumps over the lazy dog, and it does so once more. ";
    let paragraph = format!("{}\n{}\n\n", sentence.repeat(4), sentence.repeat(3));
    check("a.txt", "", &paragraph, 1);
    check("b.txt", "", "short č\n\n", 1);
    check(
        "a.jsonl",
        "",
        &format!(
            "{{\"id\": 12345, \"text\": \"{}\", \"x\": 0.5}}\n",
            sentence.repeat(3)
        ),
        1,
    );
    check(
        "a.csv",
        "id,text,x\n",
        &format!("12345,\"{}\",0.5\n", sentence.repeat(3)),
        1,
    );
}
