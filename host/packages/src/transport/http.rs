//! A registry on a web server: plain GET requests, with ETag, over TLS.

mod authorities;

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use codex_plugin_api::{Error, ErrorKind, Result};
use ureq::tls::TlsConfig;

use super::{Answer, Request, Transport};
pub use authorities::VARIABLE as AUTHORITIES;
use authorities::authorities;

/// A server that says nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a request is made when the connection breaks or the server is overloaded.
const ATTEMPTS: u32 = 3;

/// The pause before the second attempt; it doubles.
const PAUSE: Duration = Duration::from_millis(200);

/// Fetches files below a URL.
pub struct Http {
    url: String,
    /// A file of certificate authorities beside the system's.
    authorities: Option<PathBuf>,
    agent: OnceLock<ureq::Agent>,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Http({})", self.url)
    }
}

/// What came of one attempt.
enum Attempt {
    Answer(Answer),
    /// Worth another attempt, unless bytes were handed on already.
    Broken(Error),
}

impl Http {
    /// A registry at `url`; nothing is connected to until something is fetched.
    pub fn new(url: String) -> Self {
        Self {
            url,
            authorities: authorities::named(),
            agent: OnceLock::new(),
        }
    }

    fn agent(&self) -> Result<&ureq::Agent> {
        if let Some(agent) = self.agent.get() {
            return Ok(agent);
        }
        let agent = self.connect()?;
        Ok(self.agent.get_or_init(|| agent))
    }

    fn connect(&self) -> Result<ureq::Agent> {
        let encrypted = self.url.starts_with("https:");
        let tls = TlsConfig::builder()
            .root_certs(authorities(self.authorities.as_deref())?)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = ureq::Agent::config_builder()
            .https_only(encrypted)
            // From this machine to another would be a step without encryption.
            .max_redirects(if encrypted { 5 } else { 0 })
            .max_redirects_will_error(true)
            .http_status_as_error(false)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            .user_agent(concat!("codex-ml/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .tls_config(tls)
            .build();
        Ok(config.into())
    }

    fn attempt(&self, url: &str, request: &Request<'_>, into: &mut Counted<'_>) -> Result<Attempt> {
        let mut call = self.agent()?.get(url);
        if let Some(etag) = request.etag {
            call = call.header("if-none-match", etag);
        }
        let response = match call.call() {
            Ok(response) => response,
            Err(error) if is_of_certificates(&error) => return Err(unknown(url, &error)),
            Err(error) => return Ok(Attempt::Broken(unreachable(url, &error))),
        };
        let status = response.status().as_u16();
        match status {
            200 => {}
            304 if request.etag.is_some() => return Ok(Attempt::Answer(Answer::NotModified)),
            404 | 410 => return Ok(Attempt::Answer(Answer::Missing)),
            429 | 500..=599 => return Ok(Attempt::Broken(said(url, status))),
            _ => return Err(said(url, status)),
        }
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let announced = header("content-length").and_then(|text| text.parse::<u64>().ok());
        if let Some(size) = announced
            && size > request.limit
        {
            return Err(too_large(url, size, request.limit));
        }
        let etag = header("etag")
            .filter(|etag| etag.len() <= 256)
            .map(ToOwned::to_owned);
        let mut body = response
            .into_body()
            .into_with_config()
            .limit(u64::MAX)
            .reader()
            .take(request.limit + 1);
        let before = into.count;
        match io::copy(&mut body, into) {
            Err(_) if into.failed.is_some() => {}
            Err(error) => return Ok(Attempt::Broken(cut_off(url).because(&error))),
            Ok(_) => {}
        }
        if let Some(error) = into.failed.take() {
            return Err(Error::failed("cannot write what is fetched").because(&error));
        }
        let count = into.count - before;
        if count > request.limit {
            return Err(too_large(url, count, request.limit));
        }
        if announced.is_some_and(|size| size != count) {
            return Ok(Attempt::Broken(cut_off(url)));
        }
        Ok(Attempt::Answer(Answer::Body { etag }))
    }
}

impl Transport for Http {
    fn get(&self, request: Request<'_>, into: &mut dyn Write) -> Result<Answer> {
        // A plus sign means a space to some servers.
        let url = format!("{}/{}", self.url, request.path.replace('+', "%2B"));
        let mut into = Counted {
            inner: into,
            count: 0,
            failed: None,
        };
        let mut pause = PAUSE;
        for attempt in 1.. {
            match self.attempt(&url, &request, &mut into)? {
                Attempt::Answer(answer) => return Ok(answer),
                // What was handed on cannot be taken back: the caller starts again, if it wants.
                Attempt::Broken(error) if attempt >= ATTEMPTS || into.count > 0 => {
                    return Err(error);
                }
                Attempt::Broken(_) => std::thread::sleep(pause),
            }
            pause *= 2;
        }
        Err(cut_off(&url))
    }
}

/// Counts what is written, and keeps an error of the writer apart from one of the connection.
struct Counted<'a> {
    inner: &'a mut dyn Write,
    count: u64,
    failed: Option<io::Error>,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.inner.write(bytes) {
            Ok(count) => {
                self.count += count as u64;
                Ok(count)
            }
            Err(error) => {
                let kind = error.kind();
                self.failed = Some(error);
                Err(kind.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn unreachable(url: &str, error: &ureq::Error) -> Error {
    Error::failed(format!("cannot reach {url}"))
        .because(error)
        .hint("check the network and the address, or use --offline with what was fetched before")
}

/// Whether a server could not show who it is: asking again changes nothing.
fn is_of_certificates(error: &ureq::Error) -> bool {
    let rustls = match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>()),
        _ => None,
    };
    matches!(rustls, Some(rustls::Error::InvalidCertificate(_)))
}

fn unknown(url: &str, error: &ureq::Error) -> Error {
    Error::denied(format!(
        "{url}: the server does not prove to be the one of that name"
    ))
    .because(error)
    .hint(format!(
        "somebody may sit in between; where the certificate is from an authority of your own, name its file in {AUTHORITIES}"
    ))
}

fn said(url: &str, status: u16) -> Error {
    Error::failed(format!("{url}: the server answered {status}"))
        .hint("try again later, or use --offline with what was fetched before")
}

fn cut_off(url: &str) -> Error {
    Error::failed(format!("{url} was cut off on the way")).hint("try again")
}

fn too_large(url: &str, size: u64, limit: u64) -> Error {
    Error::new(
        ErrorKind::Data,
        format!("{url} has {size} bytes or more, and {limit} are expected at most"),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
