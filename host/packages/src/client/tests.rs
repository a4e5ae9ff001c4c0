mod believing;
mod fetching;
mod keeping;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::archive::{Content, Member, pack};
use crate::entry::SignedEntry;
use crate::keys::SecretKey;
use crate::registry::Registry;
use crate::snapshot::{self, timestamp};
use crate::transport::{Answer, Folder, Request};

/// A registry with its keys, and a user's folders.
struct Bench {
    folder: tempfile::TempDir,
    root: SecretKey,
    author: SecretKey,
}

fn bench() -> Bench {
    let bench = Bench {
        folder: tempfile::tempdir().unwrap(),
        root: SecretKey::generate().unwrap(),
        author: SecretKey::generate().unwrap(),
    };
    Registry::init(&bench.registry(), "acme", &bench.root, soon()).unwrap();
    bench.publish("shout", "1.0.0", &bench.author).unwrap();
    bench
}

fn soon() -> SystemTime {
    SystemTime::now() + Duration::from_hours(1)
}

impl Bench {
    fn registry(&self) -> PathBuf {
        self.folder.path().join("registry")
    }

    fn package(&self, name: &str, version: &str) -> PathBuf {
        let manifest = format!(
            "[plugin]\nid = \"{name}\"\nversion = \"{version}\"\napi = \"1\"\ndescription = \"d\"\n[[component]]\nkind = \"metric\"\nname = \"{name}\"\n"
        );
        let members = [
            Member {
                path: "plugin.toml".into(),
                content: Content::Bytes(manifest.into()),
            },
            Member {
                path: format!("artifacts/wasm/{name}.wasm"),
                content: Content::Bytes(version.into()),
            },
        ];
        let path = self.folder.path().join(format!("{name}-{version}.tar.zst"));
        pack(&members, &path).unwrap();
        path
    }

    fn publish(&self, name: &str, version: &str, author: &SecretKey) -> Result<()> {
        let package = self.package(name, version);
        let entry = archive::inspect(&package, None, &archive::Limits::default())?.entry();
        let text = serde_json::to_string(&entry).unwrap();
        let signature = author.sign(text.as_bytes(), "")?;
        let registry = Registry::open(&self.registry())?;
        registry.add(
            &package,
            &SignedEntry {
                entry: text,
                signature,
            },
            author.public(),
        )?;
        registry.renew(&self.root, soon()).map(drop)
    }

    fn options(&self) -> Options {
        Options {
            cache: self.folder.path().join("cache"),
            data: self.folder.path().join("data"),
            offline: false,
            now: SystemTime::now(),
        }
    }

    fn connection(&self) -> Connection {
        Connection::new(
            "work",
            self.registry().to_str().unwrap(),
            None,
            Path::new("/"),
        )
        .unwrap()
    }

    fn client(&self) -> Client {
        Client::new(self.connection(), self.options())
    }

    /// A client that fetches as over the network, and counts.
    fn web(&self, offline: bool) -> (Client, Arc<Served>) {
        let served = Arc::new(Served {
            folder: Folder::new(self.registry()),
            asked: Mutex::default(),
            unchanged: AtomicUsize::new(0),
        });
        let connection =
            Connection::new("work", "https://plugins.example.org", None, Path::new("/")).unwrap();
        let options = Options {
            offline,
            ..self.options()
        };
        (
            Client::with_transport(connection, options, Box::new(Web(Arc::clone(&served)))),
            served,
        )
    }

    fn edit(&self, path: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let place = self.registry().join(path);
        let bytes = std::fs::read(&place).unwrap();
        std::fs::write(place, change(bytes)).unwrap();
    }
}

/// A folder that behaves as a web server does.
#[derive(Debug)]
struct Served {
    folder: Folder,
    asked: Mutex<Vec<String>>,
    unchanged: AtomicUsize,
}

#[derive(Debug)]
struct Web(Arc<Served>);

impl Transport for Web {
    fn get(&self, request: Request<'_>, into: &mut dyn std::io::Write) -> Result<Answer> {
        self.0.asked.lock().unwrap().push(request.path.to_owned());
        let mut bytes = Vec::new();
        if self.0.folder.get(
            Request {
                etag: None,
                ..request
            },
            &mut bytes,
        )? == Answer::Missing
        {
            return Ok(Answer::Missing);
        }
        let etag = crate::digest::sha256(&bytes);
        if request.etag == Some(&etag) {
            self.0.unchanged.fetch_add(1, Ordering::Relaxed);
            return Ok(Answer::NotModified);
        }
        into.write_all(&bytes).unwrap();
        Ok(Answer::Body { etag: Some(etag) })
    }
}

fn message<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => panic!("this should have been refused"),
        Err(error) => error.message().to_owned(),
    }
}

fn check<T>(result: Result<T>, words: &str) {
    let message = message(result);
    assert!(message.contains(words), "{message} lacks {words}");
}
