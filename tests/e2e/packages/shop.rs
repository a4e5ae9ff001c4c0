//! A registry in a folder, and packages for it: a guest of this repository under names and versions of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use codex_packages::archive::{Content, Member, inspect, pack};
use codex_packages::entry::SignedEntry;
use codex_packages::keys::SecretKey;
use codex_packages::registry::Registry;

use crate::bench::{Bench, fixtures, library};
use crate::guests;

/// The custom section that holds a guest's manifest.
const SECTION: &str = "codex-plugin";

/// A registry with the keys of who keeps it and of an author.
pub(super) struct Shop {
    pub(super) folder: PathBuf,
    root: SecretKey,
    author: SecretKey,
    registry: Registry,
    /// The component that every package holds.
    guest: Vec<u8>,
}

impl Shop {
    /// An empty registry beside a bench's working folder, connected for its user; `None` where no guest can be built.
    pub(super) fn new(bench: &Bench) -> Option<Self> {
        let shop = Self::unconnected(bench, "shop")?;
        shop.connect(&bench.data());
        Some(shop)
    }

    /// An empty registry that nobody has heard of.
    pub(super) fn unconnected(bench: &Bench, name: &str) -> Option<Self> {
        let guest = guests::plugin("wasm-plugins/text-metric-rust")?;
        let folder = bench.work().parent().unwrap().join(name);
        let root = SecretKey::generate().unwrap();
        let registry = Registry::init(&folder, name, &root, in_a_year()).unwrap();
        Some(Self {
            folder,
            root,
            author: SecretKey::generate().unwrap(),
            registry,
            guest: guest.bytes.clone(),
        })
    }

    /// Names the registry in the project file of a folder.
    pub(super) fn connect(&self, folder: &Path) {
        let name = self.folder.file_name().unwrap().to_str().unwrap();
        let text = format!("[registries]\n{name} = \"{}\"\n", self.folder.display());
        fs::write(folder.join("codex-plugins.toml"), text).unwrap();
    }

    /// Publishes `name version`, or `name version: needed REQ, …`, a metric of the plugin's name.
    pub(super) fn publish(&self, line: &str) {
        self.publish_with(line, &[]);
    }

    /// As [`Self::publish`], with more files in the package.
    pub(super) fn publish_with(&self, line: &str, more: &[(&str, &[u8])]) {
        let name = line.split(' ').next().unwrap();
        self.publish_metric(line, name, more);
    }

    /// As above, with a metric of another name.
    pub(super) fn publish_metric(&self, line: &str, metric: &str, more: &[(&str, &[u8])]) {
        let manifest = manifest(line, metric);
        let name = line.split(' ').next().unwrap();
        let component = with_manifest(&self.guest, &manifest);
        let mut files = vec![
            ("plugin.toml".to_owned(), manifest.into_bytes()),
            (format!("artifacts/wasm/{name}.wasm"), component),
        ];
        files.extend(
            more.iter()
                .map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())),
        );
        self.publish_files(files);
    }

    /// Publishes the native plugin of the fixtures, with a file for another target too.
    pub(super) fn publish_native(&self, target: &str) {
        let built = fixtures("third-party").join(library("third-party"));
        let manifest =
            fs::read(crate::bench::root().join("tests/fixtures/third-party/plugin.toml")).unwrap();
        let name = library("third-party");
        self.publish_files(vec![
            ("plugin.toml".into(), manifest),
            (
                format!("artifacts/{target}/{name}"),
                fs::read(built).unwrap(),
            ),
            (
                "artifacts/riscv64-plan9/third-party.so".into(),
                b"for another system".to_vec(),
            ),
        ]);
    }

    fn publish_files(&self, files: Vec<(String, Vec<u8>)>) {
        let members: Vec<Member> = files
            .into_iter()
            .map(|(path, bytes)| Member {
                path,
                content: Content::Bytes(bytes),
            })
            .collect();
        let package = self.folder.with_extension("package.tar.zst");
        pack(&members, &package).unwrap();
        let contents =
            inspect(&package, None, &codex_packages::archive::Limits::default()).unwrap();
        let entry = serde_json::to_string(&contents.entry()).unwrap();
        let signed = SignedEntry {
            signature: self.author.sign(entry.as_bytes(), "test").unwrap(),
            entry,
        };
        self.registry
            .add(&package, &signed, self.author.public())
            .unwrap();
        fs::remove_file(&package).unwrap();
        self.renew();
    }

    pub(super) fn yank(&self, name: &str, version: &str) {
        let version = version.parse().unwrap();
        self.registry
            .yank(name, &version, "it shouted", SystemTime::now())
            .unwrap();
        self.renew();
    }

    fn renew(&self) {
        self.registry.renew(&self.root, in_a_year()).unwrap();
    }
}

fn in_a_year() -> SystemTime {
    SystemTime::now() + Duration::from_hours(24 * 365)
}

fn manifest(line: &str, metric: &str) -> String {
    let (head, needs) = line.split_once(": ").unwrap_or((line, ""));
    let (name, version) = head.split_once(' ').unwrap();
    let mut text = format!(
        "[plugin]\nid = \"{name}\"\nversion = \"{version}\"\napi = \"1\"\ndescription = \"a test\"\nlicense = \"MIT\"\n\n\
         [[component]]\nkind = \"metric\"\nname = \"{metric}\"\n"
    );
    if !needs.is_empty() {
        text.push_str("\n[dependencies]\n");
    }
    for need in needs.split(", ").filter(|need| !need.is_empty()) {
        let (name, versions) = need.split_once(' ').unwrap();
        text.extend([name, " = \"", versions, "\"\n"]);
    }
    text
}

/// A component with another manifest: its sections are copied, the one with the manifest aside.
fn with_manifest(component: &[u8], manifest: &str) -> Vec<u8> {
    let (header, mut rest) = component.split_at(8);
    let mut bytes = header.to_vec();
    while let Some((&id, tail)) = rest.split_first() {
        let (size, digits) = leb(tail);
        let (section, next) = rest.split_at(1 + digits + size);
        let (length, name_at) = leb(&section[1 + digits..]);
        let name = section.get(1 + digits + name_at..1 + digits + name_at + length);
        if id != 0 || name != Some(SECTION.as_bytes()) {
            bytes.extend_from_slice(section);
        }
        rest = next;
    }
    let mut content = vec![SECTION.len() as u8];
    content.extend_from_slice(SECTION.as_bytes());
    content.extend_from_slice(manifest.as_bytes());
    bytes.push(0);
    let mut size = content.len();
    while size >= 0x80 {
        bytes.push(size as u8 | 0x80);
        size >>= 7;
    }
    bytes.push(size as u8);
    bytes.extend(content);
    bytes
}

/// A number as WebAssembly writes it, and how many bytes it took.
fn leb(bytes: &[u8]) -> (usize, usize) {
    let mut value = 0;
    for (at, byte) in bytes.iter().enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return (value, at + 1);
        }
    }
    panic!("a number without an end");
}
