//! A registry in a folder whose keys the test holds, so that it can lie as its owner could.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use codex_packages::archive::{Content, Member, pack};
use codex_packages::entry::{Entry, SignedEntry};
use codex_packages::index::Line;
use codex_packages::keys::SecretKey;
use codex_packages::registry::{Registry, index_path};
use codex_packages::trust::{Rotation, SignedRotation};

use crate::bench::Bench;

/// A component that exports an empty metric, carries this manifest and a note, and imports these interfaces.
pub(crate) fn component(manifest: &str, note: &str, imports: &[&str]) -> Vec<u8> {
    let version = codex_plugin_api::API_VERSION;
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    if !imports.is_empty() {
        // One type, of an instance with nothing in it, which every import has.
        bytes.extend(section(7, &[1, 0x42, 0]));
        let mut content = leb128(imports.len());
        for import in imports {
            content.push(0);
            content.extend(text(&format!("codex:plugin/{import}@{version}")));
            content.extend([5, 0]);
        }
        bytes.extend(section(10, &content));
    }
    // An instance without exports, exported under the interface's name: sort 5, its index, no type given.
    bytes.extend(section(5, &[1, 1, 0]));
    let mut export = vec![1, 0];
    export.extend(text(&format!("codex:plugin/metric@{version}")));
    export.extend([5, imports.len() as u8, 0]);
    bytes.extend(section(11, &export));
    bytes.extend(section(
        0,
        &[&text("codex-plugin"), manifest.as_bytes()].concat(),
    ));
    bytes.extend(section(0, &[&text("note"), note.as_bytes()].concat()));
    bytes
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id][..], &leb128(content.len()), content].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&leb128(text.len()), text.as_bytes()].concat()
}

fn leb128(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// The manifest of a plugin with one metric.
pub(crate) fn manifest(name: &str, version: &str, asks: &str) -> String {
    format!(
        "[plugin]\nid = \"{name}\"\nversion = \"{version}\"\napi = \"1\"\ndescription = \"Counts words\"\n\
         [[component]]\nkind = \"metric\"\nname = \"{name}\"\n{asks}"
    )
}

/// A registry and the keys that it needs.
pub(crate) struct Shop {
    pub(crate) folder: PathBuf,
    pub(crate) root: SecretKey,
    pub(crate) author: SecretKey,
}

/// A package that is ready to be published.
pub(crate) struct Package {
    pub(crate) file: PathBuf,
    pub(crate) entry: Entry,
}

impl Shop {
    /// A new registry that the user of the bench knows.
    pub(crate) fn new(bench: &Bench, name: &'static str) -> Self {
        let shop = Self {
            folder: bench.work().join(name),
            root: SecretKey::generate().unwrap(),
            author: SecretKey::generate().unwrap(),
        };
        Registry::init(&shop.folder, name, &shop.root, tomorrow()).unwrap();
        let path = bench.data().join("codex-plugins.toml");
        let known = fs::read_to_string(&path).unwrap_or_else(|_| "[registries]\n".into());
        let line = format!(
            "[registries]\n{name} = {:?}\n",
            shop.folder.display().to_string()
        );
        fs::write(path, known.replace("[registries]\n", &line)).unwrap();
        shop
    }

    /// A registry with `words 1.0.0`, installed.
    pub(crate) fn with_words(bench: &Bench) -> Self {
        let shop = Self::new(bench, "main");
        shop.publish("words", "1.0.0");
        bench.run(&["plugin", "install", "words"]).ok();
        shop
    }

    /// Publishes a version of a sandboxed plugin as it should be.
    pub(crate) fn publish(&self, name: &str, version: &str) {
        self.publish_package(&self.package(name, version, ""), &self.author);
    }

    /// Packs a sandboxed plugin.
    pub(crate) fn package(&self, name: &str, version: &str, asks: &str) -> Package {
        let manifest = manifest(name, version, asks);
        let library = component(&manifest, "good", &[]);
        self.pack(
            name,
            version,
            &manifest,
            &format!("artifacts/wasm/{name}.wasm"),
            library,
        )
    }

    /// Packs a plugin of one library.
    pub(crate) fn pack(
        &self,
        name: &str,
        version: &str,
        manifest: &str,
        place: &str,
        library: Vec<u8>,
    ) -> Package {
        let file = self
            .folder
            .with_extension(format!("{name}-{version}.tar.zst"));
        let member = |path: &str, bytes: Vec<u8>| Member {
            path: path.into(),
            content: Content::Bytes(bytes),
        };
        let members = [
            member("plugin.toml", manifest.as_bytes().to_vec()),
            member(place, library),
        ];
        let packed = pack(&members, &file).unwrap();
        Package {
            file,
            entry: packed.contents.entry(),
        }
    }

    /// Publishes a package, signed with a key.
    pub(crate) fn publish_package(&self, package: &Package, key: &SecretKey) {
        let registry = Registry::open(&self.folder).unwrap();
        registry
            .add(&package.file, &sign(&package.entry, key), key.public())
            .unwrap();
        registry.renew(&self.root, tomorrow()).unwrap();
    }

    /// Hands a name to another key.
    pub(crate) fn rotate(&self, name: &str, old: &SecretKey, new: &SecretKey) {
        let rotation = serde_json::to_string(&Rotation {
            name: name.into(),
            old_key_id: old.public().id(),
            new_key: new.public().text(),
        })
        .unwrap();
        let signature = old.sign(rotation.as_bytes(), "").unwrap();
        let registry = Registry::open(&self.folder).unwrap();
        registry
            .rotate(
                name,
                &SignedRotation {
                    rotation,
                    signature,
                },
            )
            .unwrap();
        registry.renew(&self.root, tomorrow()).unwrap();
    }

    /// Changes the registry as only its owner can: the snapshot is signed again.
    pub(crate) fn change(&self, change: impl FnOnce(&Registry)) {
        let registry = Registry::open(&self.folder).unwrap();
        change(&registry);
        registry.renew(&self.root, tomorrow()).unwrap();
    }

    /// Writes any entry into an index, whatever honest tools say of it, with the archive in its place.
    pub(crate) fn smuggle(
        &self,
        name: &str,
        package: &Package,
        signed: &SignedEntry,
        key: &SecretKey,
    ) {
        self.change(|_| {
            let line = Line {
                entry: Some(signed.entry.clone()),
                signature: signed.signature.clone(),
                key: Some(key.public().text()),
                rotation: None,
            };
            let index = self.folder.join(index_path(name));
            let mut file = fs::File::options()
                .create(true)
                .append(true)
                .open(index)
                .unwrap();
            writeln!(file, "{}", serde_json::to_string(&line).unwrap()).unwrap();
            let place = self.archive(name, &package.entry.version.to_string());
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::copy(&package.file, place).unwrap();
        });
    }

    /// Where the archive of a version is.
    pub(crate) fn archive(&self, name: &str, version: &str) -> PathBuf {
        self.folder
            .join(format!("archives/{name}/{name}-{version}.tar.zst"))
    }

    /// The index of a plugin.
    pub(crate) fn index(&self, name: &str) -> PathBuf {
        self.folder.join(index_path(name))
    }
}

/// An entry with its signature.
pub(crate) fn sign(entry: &Entry, key: &SecretKey) -> SignedEntry {
    let text = serde_json::to_string(entry).unwrap();
    let signature = key.sign(text.as_bytes(), "").unwrap();
    SignedEntry {
        entry: text,
        signature,
    }
}

fn tomorrow() -> SystemTime {
    SystemTime::now() + Duration::from_hours(24)
}

/// The only folder of a plugin in the store.
pub(crate) fn stored(bench: &Bench, name: &str) -> PathBuf {
    let mut versions: Vec<PathBuf> = fs::read_dir(bench.data().join("store").join(name))
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    assert_eq!(versions.len(), 1, "{versions:?}");
    versions.remove(0)
}

/// Changes some bytes of a file, which must be there, for as many others.
pub(crate) fn patch(file: &Path, from: &[u8], to: &[u8]) {
    let bytes = crate::third_party::patched(&fs::read(file).unwrap(), from, to);
    let mut permissions = fs::metadata(file).unwrap().permissions();
    #[allow(
        clippy::permissions_set_readonly_false,
        reason = "a file of this test's own"
    )]
    permissions.set_readonly(false);
    fs::set_permissions(file, permissions).unwrap();
    fs::write(file, bytes).unwrap();
}
