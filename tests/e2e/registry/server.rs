//! A web server for one folder, in a thread: whole files with ETag, with or without TLS, and what goes wrong with servers.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use codex_packages::digest::sha256;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// How the server behaves for paths that end with something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mood {
    /// Half of the file, then nothing.
    CutOff,
    /// The connection is closed without a word.
    Silent,
    /// An answer of 503.
    Busy,
    /// More bytes than there are.
    TooLong,
    /// A length of 10 GB.
    Huge,
    /// Bytes without end and without a length.
    Endless,
    /// The same file, at a server without encryption.
    MovedToHttp,
}

#[derive(Debug, Default)]
struct State {
    /// `METHOD path status` of each request.
    seen: Vec<String>,
    mood: Option<(String, Mood)>,
}

/// A server that runs until the test ends.
pub(super) struct Server {
    pub(super) url: String,
    state: Arc<Mutex<State>>,
}

/// A certificate authority of this test's own.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer }
    }

    /// Its certificate as a client takes it.
    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The means of a server that this authority calls by a name.
    fn vouch_for(&self, name: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], secret)
            .unwrap();
        Arc::new(config)
    }
}

impl Server {
    pub(super) fn of(folder: PathBuf) -> Self {
        Self::start(folder, None)
    }

    /// A server at `https://localhost`, which an authority calls `name`.
    pub(super) fn encrypted(folder: PathBuf, authority: &Authority, name: &str) -> Self {
        Self::start(folder, Some(authority.vouch_for(name)))
    }

    fn start(folder: PathBuf, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = match tls {
            Some(_) => format!("https://localhost:{port}"),
            None => format!("http://127.0.0.1:{port}"),
        };
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away in the middle is part of the tests.
                let _ = match &tls {
                    None => answer(stream, &folder, &shared),
                    Some(config) => {
                        let connection = ServerConnection::new(Arc::clone(config)).unwrap();
                        let mut stream = StreamOwned::new(connection, stream);
                        let answered = answer(&mut stream, &folder, &shared);
                        stream.conn.send_close_notify();
                        answered.and(stream.flush())
                    }
                };
            }
        });
        Self { url, state }
    }

    /// From now on, files whose path ends so are served in this mood.
    pub(super) fn set(&self, end: &str, mood: Mood) {
        self.state.lock().unwrap().mood = Some((end.to_owned(), mood));
    }

    pub(super) fn recover(&self) {
        self.state.lock().unwrap().mood = None;
    }

    /// The requests since the last call.
    pub(super) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().seen)
    }
}

fn answer(
    mut stream: impl Read + Write,
    folder: &Path,
    state: &Mutex<State>,
) -> std::io::Result<()> {
    let lines: Vec<String> = BufReader::new(&mut stream)
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    // Who goes away before it asked, because of the certificate say, has asked for nothing.
    if lines.is_empty() {
        return Ok(());
    }
    let path = lines
        .first()
        .and_then(|line| line.split(' ').nth(1))
        .unwrap_or("/")
        .trim_start_matches('/')
        .to_owned();
    let wanted = lines.iter().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("if-none-match: ")
            .map(ToOwned::to_owned)
    });
    let file = fs::read(folder.join(path.replace("%2B", "+")));
    let mut state = state.lock().unwrap();
    let mood = state
        .mood
        .clone()
        .filter(|(end, _)| path.ends_with(end))
        .map(|(_, mood)| mood);
    let mut say = |status: &str| state.seen.push(format!("{path} {}", &status[..3]));
    let head = |status: &str, length: usize, etag: &str| {
        format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\netag: \"{etag}\"\r\nconnection: close\r\n\r\n"
        )
    };
    let Ok(bytes) = file else {
        say("404");
        return stream.write_all(head("404 Not Found", 0, "none").as_bytes());
    };
    let etag = &sha256(&bytes)[..16];
    match mood {
        None if wanted.as_deref() == Some(&format!("\"{etag}\"")) => {
            say("304");
            stream.write_all(
                format!(
                    "HTTP/1.1 304 Not Modified\r\netag: \"{etag}\"\r\nconnection: close\r\n\r\n"
                )
                .as_bytes(),
            )
        }
        None => {
            say("200");
            stream.write_all(head("200 OK", bytes.len(), etag).as_bytes())?;
            stream.write_all(&bytes)
        }
        Some(Mood::Silent) => {
            say("---");
            Ok(())
        }
        Some(Mood::Busy) => {
            say("503");
            stream.write_all(head("503 Service Unavailable", 0, "none").as_bytes())
        }
        Some(Mood::CutOff) => {
            say("200");
            stream.write_all(head("200 OK", bytes.len(), etag).as_bytes())?;
            stream.write_all(&bytes[..bytes.len() / 2])
        }
        Some(Mood::TooLong) => {
            say("200");
            stream.write_all(head("200 OK", bytes.len() + 4, etag).as_bytes())?;
            stream.write_all(&bytes)?;
            stream.write_all(b"more")
        }
        Some(Mood::Huge) => {
            say("200");
            stream.write_all(head("200 OK", 10_000_000_000, etag).as_bytes())?;
            stream.write_all(&bytes)
        }
        Some(Mood::MovedToHttp) => {
            say("302");
            let to = format!("http://127.0.0.1:9/{path}");
            let head = "HTTP/1.1 302 Found\r\ncontent-length: 0\r\nconnection: close\r\nlocation: ";
            stream.write_all(format!("{head}{to}\r\n\r\n").as_bytes())
        }
        Some(Mood::Endless) => {
            say("200");
            drop(state);
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[b'x'; 1 << 12])?;
            }
        }
    }
}
