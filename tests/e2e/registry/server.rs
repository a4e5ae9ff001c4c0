//! A web server for one folder, in a thread: whole files with ETag, and what goes wrong with servers.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use codex_packages::digest::sha256;

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

impl Server {
    pub(super) fn of(folder: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away in the middle is part of the tests.
                let _ = answer(&stream, &folder, &shared);
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

fn answer(mut stream: &TcpStream, folder: &Path, state: &Mutex<State>) -> std::io::Result<()> {
    let lines: Vec<String> = BufReader::new(stream)
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
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
