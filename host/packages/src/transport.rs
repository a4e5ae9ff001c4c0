//! How files of a registry are fetched: from a folder, or over HTTPS. What is fetched is checked by who asked for it.

mod folder;
mod http;

use std::io::Write;
use std::path::{Path, PathBuf};

use codex_plugin_api::{Error, Result};

pub use folder::Folder;
pub use http::{AUTHORITIES, Http};

/// What to fetch.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The path in the registry, with `/`.
    pub path: &'a str,
    /// The version of the file that the caller has, as the server named it.
    pub etag: Option<&'a str>,
    /// Bytes that are taken at most; more is an error, told before or while they come.
    pub limit: u64,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The file was written; the server's name for this version of it.
    Body {
        /// To be sent with the next request.
        etag: Option<String>,
    },
    /// The caller's version is the current one.
    NotModified,
    /// There is no such file.
    Missing,
}

/// Fetches files of one registry.
pub trait Transport: std::fmt::Debug + Send + Sync {
    /// Writes a file into `into`. After an error, part of it may have been written.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Failed`] when the file cannot be had, [`codex_plugin_api::ErrorKind::Data`] when
    /// it is larger than the limit.
    fn get(&self, request: Request<'_>, into: &mut dyn Write) -> Result<Answer>;
}

/// Where a registry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A folder of this machine, or of a network drive.
    Folder(PathBuf),
    /// `https://…`, or `http://` of this machine; without a slash at the end.
    Web(String),
}

impl Address {
    /// Reads a URL or a path; a relative path starts at `base`.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] for what cannot be fetched from, `http://` included: whoever sits on the
    /// way could hold back updates.
    pub fn parse(text: &str, base: &Path) -> Result<Self> {
        let wrong = |why: &str| {
            let shown: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
            Error::config(format!("registry address {shown:?} {why}"))
                .hint("give https://…, file:///… or the path of a folder")
        };
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(wrong("is empty or holds a control character"));
        }
        if let Some(path) = text.strip_prefix("file://") {
            let path = path.strip_prefix("localhost").unwrap_or(path);
            let path = decode(path).ok_or_else(|| wrong("is not UTF-8"))?;
            // file:///C:/registry names a drive, not the folder "/C:".
            let path = match path.as_bytes() {
                [b'/', drive, b':', ..] if drive.is_ascii_alphabetic() && cfg!(windows) => {
                    &path[1..]
                }
                _ => &path,
            };
            if !Path::new(path).is_absolute() {
                return Err(wrong("is not absolute"));
            }
            return Ok(Self::Folder(plain(Path::new(path))));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            let scheme = scheme.to_ascii_lowercase();
            let (host, path) = rest
                .split_once('/')
                .map_or((rest, ""), |(host, path)| (host, path));
            if host.is_empty()
                || text.contains(char::is_whitespace)
                || text.contains(['?', '#', '@'])
            {
                return Err(wrong("is not the address of a folder on a server"));
            }
            match scheme.as_str() {
                "https" => {}
                "http" if is_this_machine(host) => {}
                "http" => return Err(wrong("is not encrypted")),
                _ => return Err(wrong("has a scheme that is not known")),
            }
            let url = format!("{scheme}://{}/{path}", host.to_ascii_lowercase());
            return Ok(Self::Web(url.trim_end_matches('/').to_owned()));
        }
        Ok(Self::Folder(plain(&base.join(text))))
    }

    /// The address as it is recorded: the same registry always has the same.
    pub fn url(&self) -> String {
        match self {
            Self::Folder(path) => {
                let path = path.to_string_lossy().replace('\\', "/");
                let path = path.replace('%', "%25").replace(' ', "%20");
                format!(
                    "file://{}{path}",
                    if path.starts_with('/') { "" } else { "/" }
                )
            }
            Self::Web(url) => url.clone(),
        }
    }

    /// The means to fetch from there.
    pub fn transport(&self) -> Box<dyn Transport> {
        match self {
            Self::Folder(path) => Box::new(Folder::new(path.clone())),
            Self::Web(url) => Box::new(Http::new(url.clone())),
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "127.0.0.1" | "localhost")
}

/// An absolute path without `.` and `..`, links left as they are: a drive that is not there now has the same address.
fn plain(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut plain = PathBuf::new();
    for part in absolute.components() {
        match part {
            std::path::Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

/// Takes percent encoding away.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_spelling() {
        let base = Path::new("/project");
        for (text, url) in [
            ("registry", "file:///project/registry"),
            ("../shared/./r/", "file:///shared/r"),
            ("/srv/plugins", "file:///srv/plugins"),
            ("file:///srv/plugins/", "file:///srv/plugins"),
            (
                "file://localhost/srv/my%20plugins",
                "file:///srv/my%20plugins",
            ),
            (
                "HTTPS://Plugins.Example.org/x/",
                "https://plugins.example.org/x",
            ),
            ("https://plugins.example.org", "https://plugins.example.org"),
            ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
            ("http://localhost:8000", "http://localhost:8000"),
        ] {
            let address = Address::parse(text, base).unwrap();
            assert_eq!(address.url(), url, "{text}");
            assert_eq!(Address::parse(url, base).unwrap(), address, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_fetched_from_is_named() {
        for (text, words) in [
            ("", "is empty"),
            ("a\nb", "control character"),
            ("http://plugins.example.org", "is not encrypted"),
            ("http://127.0.0.1.example.org", "is not encrypted"),
            ("http://127.0.0.1@example.org/", "is not the address"),
            ("ftp://example.org", "a scheme that is not known"),
            ("file://server/share", "is not absolute"),
            ("https://", "is not the address"),
            ("https://a/b?c", "is not the address"),
        ] {
            let error = Address::parse(text, Path::new("/")).unwrap_err();
            assert!(error.message().contains(words), "{error} lacks {words}");
        }
    }
}
