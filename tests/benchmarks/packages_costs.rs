//! What packages cost: installing 20 MB beside copying and hashing them, choosing versions of 200 plugins with 1,000
//! versions each, starting and listing with 200 plugins of a lock, and checking what is loaded:
//! `cargo run --release -p codex-ml-tests --example packages_costs`.
//!
//! Prints medians; what is compared alternates in one run.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark program"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::hint::black_box;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use codex_ml::app::App;
use codex_ml::folders::Folders;
use codex_ml::interrupt::Interrupt;
use codex_ml::output::{Color, Output};
use codex_ml_tests::{Bench, built, fixtures, library};
use codex_packages::archive::{Content, Limits, Member, inspect, pack};
use codex_packages::client::Options;
use codex_packages::digest::sha256;
use codex_packages::entry::{ANY_TARGET, Artifact, Entry, FileDigest, SignedEntry};
use codex_packages::keys::SecretKey;
use codex_packages::registries::Registries;
use codex_packages::registry::Registry;
use codex_packages::resolve::{Host, Request, Requirement, resolve};
use codex_packages::scope::Scope;
use codex_packages::session::{Goal, Session};
use codex_packages::source::{Available, Offer};
use codex_packages::store::Store;
use codex_packages::trust::{Source, Trust, Wishes};
use codex_plugin_api::Result;
use codex_plugin_api::abi::TARGET;
use semver::{Version, VersionReq};
use serde_json::json;

const RUNS: usize = 11;
const PLUGINS: usize = 200;
const VERSIONS: usize = 1000;

fn main() {
    install();
    choose();
    start_up();
    load();
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

fn in_a_year() -> SystemTime {
    SystemTime::now() + Duration::from_hours(24 * 365)
}

/// A registry in a folder with its keys.
struct Shop {
    folder: PathBuf,
    root: SecretKey,
    author: SecretKey,
    registry: Registry,
}

impl Shop {
    fn new(folder: PathBuf) -> Self {
        let root = SecretKey::generate().unwrap();
        Self {
            registry: Registry::init(&folder, "shop", &root, in_a_year()).unwrap(),
            author: SecretKey::generate().unwrap(),
            folder,
            root,
        }
    }

    /// Publishes a copy of the metric `lm` under another name, with ballast; gives the archive.
    fn publish(&self, index: usize, ballast: &[u8]) -> (String, PathBuf) {
        let (id, name) = names(index);
        let bytes = fs::read(built().join(library("codex-plugin-metric-lm"))).unwrap();
        let bytes = renamed(bytes, &id, &name);
        let manifest =
            fs::read_to_string(codex_ml_tests::root().join("plugins/metric-lm/plugin.toml"))
                .unwrap();
        let manifest = renamed(manifest.into_bytes(), &id, &name);
        let mut members = vec![
            ("plugin.toml".to_owned(), manifest),
            (
                format!("artifacts/{TARGET}/{}", library("third-party")),
                bytes,
            ),
        ];
        if !ballast.is_empty() {
            members.push(("README.md".to_owned(), ballast.to_vec()));
        }
        let members: Vec<Member> = members
            .into_iter()
            .map(|(path, bytes)| Member {
                path,
                content: Content::Bytes(bytes),
            })
            .collect();
        let package = self.folder.with_extension("tar.zst");
        pack(&members, &package).unwrap();
        let contents = inspect(&package, None, &Limits::default()).unwrap();
        let entry = serde_json::to_string(&contents.entry()).unwrap();
        let signature = self.author.sign(entry.as_bytes(), "benchmark").unwrap();
        self.registry
            .add(
                &package,
                &SignedEntry { entry, signature },
                self.author.public(),
            )
            .unwrap();
        fs::remove_file(&package).unwrap();
        let archive = self
            .folder
            .join(format!("archives/{id}/{}", contents.file_name()));
        (id, archive)
    }

    fn renew(&self) {
        self.registry.renew(&self.root, in_a_year()).unwrap();
    }

    fn connect(&self, folder: &Path) {
        let text = format!("[registries]\nshop = \"{}\"\n", self.folder.display());
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("codex-plugins.toml"), text).unwrap();
    }
}

/// An id and a component's name of its own, as long as those of the original.
fn names(index: usize) -> (String, String) {
    let letter = |place: usize| char::from(b'a' + place as u8);
    let name = format!("{}{}", letter(index / 26), letter(index % 26));
    (format!("metric-{name}"), name)
}

fn renamed(mut bytes: Vec<u8>, id: &str, name: &str) -> Vec<u8> {
    for (from, to) in [
        ("id = \"metric-lm\"", format!("id = \"{id}\"")),
        ("name = \"lm\"", format!("name = \"{name}\"")),
    ] {
        let windows = bytes
            .windows(from.len())
            .position(|window| window == from.as_bytes());
        let at = windows.expect("the manifest is in the library");
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

/// Bytes that cannot be compressed.
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

/// Installing 20 MB, as a process, beside copying the archive to the disk and hashing the copy.
fn install() {
    let (mut installs, mut copies) = (Vec::new(), Vec::new());
    let mut size = 0;
    for _ in 0..RUNS {
        let bench = Bench::new();
        let shop = Shop::new(bench.work().join("shop"));
        let (id, archive) = shop.publish(0, &ballast(20_000_000));
        shop.renew();
        shop.connect(&bench.data());
        size = fs::metadata(&archive).unwrap().len();
        let (_, time) = timed(|| {
            let copy = bench.work().join("copy");
            let mut file = fs::File::create(&copy).unwrap();
            file.write_all(&fs::read(&archive).unwrap()).unwrap();
            file.sync_all().unwrap();
            black_box(sha256(&fs::read(&copy).unwrap()))
        });
        copies.push(time);
        let arguments = ["plugin", "install", &id, "--allow-native", &id];
        let (_, time) = timed(|| bench.run(&arguments).ok());
        installs.push(time);
    }
    let rate = |times: Vec<Duration>| size as f64 / 1e6 / median(times).as_secs_f64();
    let (install, copy) = (rate(installs), rate(copies));
    println!(
        "install of {:.1} MB from a folder, as a process: {install:.0} MB/s; plain copy and SHA-256: {copy:.0} MB/s; {:.2} times as long",
        size as f64 / 1e6,
        copy / install
    );
}

/// The entry of one version: ten majors of a hundred minors; each needs three other plugins of its own major or the one
/// before.
fn entry(index: usize, number: usize) -> Entry {
    let (major, minor) = (number / 100 + 1, number % 100);
    let needs = [1, 7, 31].map(|step| {
        let other = (index + step) % PLUGINS;
        let major = if minor % 3 == 0 {
            major.saturating_sub(1).max(1)
        } else {
            major
        };
        (
            plugin(other),
            VersionReq::parse(&format!("^{major}")).unwrap(),
        )
    });
    let digest = FileDigest {
        size: 1,
        sha256: sha256(format!("{index} {number}").as_bytes()),
    };
    Entry {
        name: plugin(index),
        version: Version::new(major as u64, minor as u64, 0),
        api: VersionReq::parse("^1").unwrap(),
        description: "a version among many".into(),
        license: Some("MIT OR Apache-2.0".into()),
        components: Vec::new(),
        dependencies: needs.into_iter().collect(),
        permissions: codex_plugin_api::Permissions::default(),
        archive: digest.clone(),
        artifacts: BTreeMap::from([(
            ANY_TARGET.to_owned(),
            Artifact {
                path: format!("artifacts/wasm/{}.wasm", plugin(index)),
                digest,
            },
        )]),
    }
}

fn plugin(index: usize) -> String {
    format!("plugin-{index:03}")
}

/// Offers in memory, so that choosing is measured alone.
struct Memory(HashMap<String, Arc<[Offer]>>);

impl Available for Memory {
    fn offers(&self, name: &str, _registry: Option<&str>) -> Result<Arc<[Offer]>> {
        Ok(self.0.get(name).cloned().unwrap_or_default())
    }
}

/// Choosing versions of 200 plugins with 1,000 versions each: alone, and with reading all that from a registry.
fn choose() {
    let host = Host {
        api: Version::new(1, 0, 0),
        target: TARGET.into(),
    };
    let bench = Bench::new();
    let shop = Shop::new(bench.work().join("shop"));
    let source = Arc::new(Source {
        registry: "shop".into(),
        url: "file:///shop".into(),
    });
    let mut memory = HashMap::new();
    let signature = shop.author.sign(b"any", "benchmark").unwrap();
    let key = shop.author.public().text();
    let mut bytes = 0;
    for index in 0..PLUGINS {
        let entries: Vec<Entry> = (0..VERSIONS).map(|number| entry(index, number)).collect();
        let mut lines = String::new();
        for entry in &entries {
            let text = serde_json::to_string(entry).unwrap();
            lines.push_str(&json!({"entry": text, "signature": signature, "key": key}).to_string());
            lines.push('\n');
        }
        bytes += lines.len();
        fs::write(
            shop.folder.join(format!("index/{}.ndjson", plugin(index))),
            lines,
        )
        .unwrap();
        let offer = |entry: Entry| Offer {
            signed: Arc::new(SignedEntry {
                entry: String::new(),
                signature: String::new(),
            }),
            entry,
            key_id: String::new(),
            yanked: None,
            revoked: None,
            source: Arc::clone(&source),
        };
        memory.insert(plugin(index), entries.into_iter().map(offer).collect());
    }
    shop.renew();
    let memory = Memory(memory);
    let wanted: Vec<Requirement> = (0..PLUGINS)
        .map(|index| Requirement {
            name: plugin(index),
            versions: VersionReq::STAR,
            registry: None,
        })
        .collect();
    let request = Request {
        host: &host,
        asker: "codex-plugins.toml",
        wanted: &wanted,
        locked: &BTreeMap::new(),
        forgotten: &BTreeSet::new(),
        pins: &BTreeMap::new(),
    };
    let times = (0..RUNS).map(|_| {
        let (resolution, time) = timed(|| resolve(&request, &memory).unwrap());
        assert_eq!(resolution.iter().count(), PLUGINS);
        time
    });
    println!(
        "choosing versions of {PLUGINS} plugins with {VERSIONS} versions each, all in memory: {:.0} ms",
        median(times.collect()).as_secs_f64() * 1e3
    );
    let scope = Scope::project_in(&bench.work().join("project"));
    shop.connect(&scope.folder);
    let mut text = fs::read_to_string(scope.project_file()).unwrap();
    text.push_str("[plugins]\n");
    for wanted in &wanted {
        text.extend([wanted.name.as_str(), " = \"*\"\n"]);
    }
    fs::write(scope.project_file(), text).unwrap();
    let store = Store::new(&bench.data());
    let times = (0..RUNS).map(|_| {
        let options = Options {
            cache: bench.work().join("cache"),
            data: bench.data(),
            offline: false,
            now: SystemTime::now(),
        };
        let (count, time) = timed(|| {
            let trust = Trust::open(&bench.data(), &[]).unwrap();
            let registries =
                Registries::new(&[&scope], &options, trust, Wishes::default(), host.clone())
                    .unwrap();
            let session = Session {
                scope: &scope,
                store: &store,
                host: &host,
                supply: &registries,
            };
            session.plan(&Goal::default()).unwrap().lock().plugins.len()
        });
        assert_eq!(count, PLUGINS);
        time
    });
    println!(
        "the same from a registry in a folder, {:.0} MB of indexes checked and read: {:.0} ms",
        bytes as f64 / 1e6,
        median(times.collect()).as_secs_f64() * 1e3
    );
}

/// Start-up and listing with plugins that a lock names, beside the same without any.
fn start_up() {
    let bench = Bench::new();
    let shop = Shop::new(bench.work().parent().unwrap().join("shop"));
    let ids: Vec<String> = (0..PLUGINS)
        .map(|index| shop.publish(index, &[]).0)
        .collect();
    shop.renew();
    shop.connect(&bench.data());
    let mut arguments = vec!["plugin", "install"];
    arguments.extend(ids.iter().map(String::as_str));
    for id in &ids {
        arguments.extend(["--allow-native", id]);
    }
    let (_, time) = timed(|| bench.run(&arguments).ok());
    println!(
        "install of {PLUGINS} plugins in one command: {:.1} s",
        time.as_secs_f64()
    );
    let empty = Bench::new();
    // The index does not trust what was written within its clock's resolution; plugins that are in use are older.
    std::thread::sleep(Duration::from_millis(2500));
    let rows = bench.run(&["plugin", "list", "--json"]).ok().json();
    let ready = rows
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["state"] == "ready")
        .count();
    empty.run(&["plugin", "list"]).ok();
    for arguments in [
        &["--version"][..],
        &["--help"],
        &["plugin", "list"],
        &["plugin", "tree"],
        &["plugin", "sync"],
    ] {
        let (mut full, mut none) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            full.push(timed(|| bench.run(arguments).ok()).1);
            none.push(timed(|| empty.run(arguments).ok()).1);
        }
        println!(
            "{ready} plugins, codex-ml {}: {:.1} ms; without plugins of a lock {:.1} ms",
            arguments.join(" "),
            median(full).as_secs_f64() * 1e3,
            median(none).as_secs_f64() * 1e3
        );
    }
}

/// Loading a native plugin of the store, whose bytes are checked, beside the same file from `--plugin-dir`.
fn load() {
    for megabytes in [0, 20] {
        let bench = Bench::new();
        let shop = Shop::new(bench.work().parent().unwrap().join("shop"));
        let (id, size) = publish_third_party(&shop, megabytes * 1_000_000);
        shop.renew();
        shop.connect(&bench.data());
        bench
            .run(&["plugin", "install", &id, "--allow-native", &id])
            .ok();
        let plain = bench.work().join("plain");
        fs::create_dir(&plain).unwrap();
        let store = Store::new(&bench.data()).versions().unwrap();
        let stored = store[0].1.join(format!("artifacts/{TARGET}"));
        for entry in fs::read_dir(stored).unwrap().flatten() {
            fs::copy(entry.path(), plain.join(entry.file_name())).unwrap();
        }
        let (mut checked, mut unchecked) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            for (dirs, data, times) in [
                (Vec::new(), Some(bench.data()), &mut checked),
                (vec![plain.clone()], None, &mut unchecked),
            ] {
                let output = Output::new(false, true, 0, Color::Never);
                let mut app = App::new(output, Interrupt::default(), dirs, 1);
                app.folders = Folders {
                    data,
                    cache: Some(bench.work().join("cache")),
                    ..Folders::default()
                };
                let registry = app.registry().unwrap();
                let (_, time) =
                    timed(|| black_box(registry.create_metric("shout-rate", &json!({})).unwrap()));
                times.push(time);
            }
        }
        println!(
            "load a native plugin of {:.1} MB: checked {:.2} ms, unchecked {:.2} ms",
            size as f64 / 1e6,
            median(checked).as_secs_f64() * 1e3,
            median(unchecked).as_secs_f64() * 1e3
        );
    }
}

/// Publishes the tests' native plugin as it is, its library made longer; gives its id and the library's size.
fn publish_third_party(shop: &Shop, more: usize) -> (String, usize) {
    let mut bytes = fs::read(fixtures("third-party").join(library("third-party"))).unwrap();
    // What follows the sections of an ELF file is passed over by the loader.
    bytes.extend(ballast(more));
    let size = bytes.len();
    let manifest = codex_ml_tests::root().join("tests/fixtures/third-party/plugin.toml");
    let manifest = fs::read(manifest).unwrap();
    let members = [
        ("plugin.toml".to_owned(), manifest),
        (
            format!("artifacts/{TARGET}/{}", library("third-party")),
            bytes,
        ),
    ]
    .map(|(path, bytes)| Member {
        path,
        content: Content::Bytes(bytes),
    });
    let package = shop.folder.with_extension("tar.zst");
    pack(&members, &package).unwrap();
    let contents = inspect(&package, None, &Limits::default()).unwrap();
    let entry = serde_json::to_string(&contents.entry()).unwrap();
    let signature = shop.author.sign(entry.as_bytes(), "benchmark").unwrap();
    shop.registry
        .add(
            &package,
            &SignedEntry { entry, signature },
            shop.author.public(),
        )
        .unwrap();
    ("third-party".into(), size)
}
