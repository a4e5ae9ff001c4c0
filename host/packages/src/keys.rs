//! Keys and signatures: minisign's formats, so that its own tool reads and writes them too.
//!
//! A signature covers exact bytes. What a key may sign for is decided elsewhere: by the index that names it, by the
//! snapshot's pin and by the trust that a user gives.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{Cursor, Write};
use std::path::Path;

use codex_plugin_api::{Context, Error, Result};
use minisign::{KeyPair, SecretKeyBox, SignatureBox};

/// A key file holds two short lines.
const MAX_KEY_FILE: u64 = 4096;

/// How the base64 of every Ed25519 key of minisign begins.
const ALGORITHM: &str = "RW";

/// Characters of the signature that covers the comment too: 64 bytes, so it ends with two signs that fill it up.
const GLOBAL_SIGNATURE: usize = 88;

/// Two comments and two lines of base64; comments are short.
const MAX_SIGNATURE: usize = 4096;

/// Whom a signature is checked against.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    inner: minisign::PublicKey,
}

impl PublicKey {
    /// Reads the base64 text, alone or as the second line of a public key file.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when it is not a minisign public key.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let line = text.lines().last().unwrap_or_default().trim();
        let bad = || {
            let shown: String = line.chars().take(80).collect();
            Error::config(format!("{shown:?} is not a public key"))
                .hint("a public key is one line of 56 characters that begins with RW: codex-ml plugin key show prints it")
        };
        if line.len() > 200 {
            return Err(bad());
        }
        let inner = minisign::PublicKey::from_base64(line).or_error(bad)?;
        // The reader passes over trailing bytes; a key has one spelling only, so that texts can be compared.
        if inner.to_base64() != line || !line.starts_with(ALGORITHM) {
            return Err(bad());
        }
        Ok(Self { inner })
    }

    /// Reads a public key from a file, or from the text itself when no such file is there.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when it is neither.
    pub fn read(path_or_text: &str) -> Result<Self> {
        let path = Path::new(path_or_text);
        if path.is_file() {
            return Self::parse(&small_file(path)?);
        }
        Self::parse(path_or_text)
    }

    /// The short name that people compare: 16 hexadecimal digits, as minisign prints it.
    pub fn id(&self) -> String {
        id_of(self.inner.keynum())
    }

    /// The base64 text.
    pub fn text(&self) -> String {
        self.inner.to_base64()
    }

    /// The whole public key file, as minisign writes it.
    pub fn file(&self) -> String {
        format!(
            "untrusted comment: minisign public key {}\n{}\n",
            self.id(),
            self.text()
        )
    }

    /// Checks a signature of `message`.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Denied`] when it is not this key's signature of exactly these bytes.
    pub fn verify(&self, message: &[u8], signature: &str) -> Result<()> {
        let parsed = parse_signature(signature)?;
        let signer = id_of(parsed.keynum());
        if signer != self.id() {
            return Err(Error::denied(format!(
                "the signature was made with key {signer}, not with key {}",
                self.id()
            )));
        }
        minisign::verify(
            &self.inner,
            &parsed,
            Cursor::new(message),
            true,
            false,
            false,
        )
        .or_error(|| {
            Error::denied(format!(
                "the signature by key {signer} does not belong to these bytes"
            ))
        })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.text())
    }
}

/// Checks a signature of `message` by a public key in base64.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Config`] for what is no key, [`codex_plugin_api::ErrorKind::Denied`] for what is not
/// its signature of exactly these bytes.
pub fn verify(public_key: &str, message: &[u8], signature: &str) -> Result<()> {
    PublicKey::parse(public_key)?.verify(message, signature)
}

/// The id of a public key in base64.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Config`] for what is no key.
pub fn key_id(public_key: &str) -> Result<String> {
    PublicKey::parse(public_key).map(|key| key.id())
}

fn id_of(keynum: &[u8]) -> String {
    // Little-endian in the file, and shown as one number.
    let number = keynum
        .iter()
        .rev()
        .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{number:016X}")
}

fn parse_signature(text: &str) -> Result<SignatureBox> {
    let bad = || Error::denied("the signature is damaged: it is not one that minisign writes");
    // The reader expects exactly four lines and takes more as they come; a signature has one form only.
    if text.len() > MAX_SIGNATURE || text.lines().count() != 4 {
        return Err(bad());
    }
    let parsed = SignatureBox::from_string(text).or_error(bad)?;
    // The crate passes over bits that base64 leaves unused and bytes behind a signature: one signature, one spelling.
    let global = text.lines().last().unwrap_or_default();
    if global.len() != GLOBAL_SIGNATURE
        || !global.ends_with("==")
        || !parsed.to_string().lines().eq(text.lines())
    {
        return Err(bad());
    }
    Ok(parsed)
}

/// A key that signs. Its bytes are never shown.
pub struct SecretKey {
    inner: minisign::SecretKey,
    public: PublicKey,
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.public.id())
    }
}

impl SecretKey {
    /// A new key that is not protected by a password.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Failed`] when the system gives no random numbers.
    pub fn generate() -> Result<Self> {
        let pair = KeyPair::generate_unencrypted_keypair()
            .or_error(|| Error::failed("cannot make a key"))?;
        Ok(Self {
            inner: pair.sk,
            public: PublicKey { inner: pair.pk },
        })
    }

    /// Makes a new key and writes it: the secret one to `path`, readable by its owner only, the public one beside it
    /// with the extension `pub`. A file that is there is never overwritten.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when a file is there already, [`codex_plugin_api::ErrorKind::Failed`]
    /// when one cannot be written.
    pub fn create(path: &Path, password: Option<&str>) -> Result<PublicKey> {
        let pair = match password {
            Some(password) => KeyPair::generate_encrypted_keypair(Some(password.to_owned())),
            None => KeyPair::generate_unencrypted_keypair(),
        }
        .or_error(|| Error::failed("cannot make a key"))?;
        let public = PublicKey { inner: pair.pk };
        let comment = format!("codex-ml secret key {}", public.id());
        let secret = pair
            .sk
            .to_box(Some(&comment))
            .or_error(|| Error::failed("cannot write the key"))?
            .into_string();
        write_new(path, &secret, true)?;
        write_new(&path.with_extension("pub"), &public.file(), false)?;
        Ok(public)
    }

    /// Reads a secret key file; a protected one needs its password, which `password` is asked for.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] for a file that holds no secret key, or a wrong password.
    pub fn read(path: &Path, password: impl FnOnce() -> Result<String>) -> Result<Self> {
        let text = small_file(path)?;
        let bad = || {
            Error::config(format!("{} holds no secret key", path.display()))
                .hint("codex-ml plugin key new makes one")
        };
        if text.lines().count() < 2 {
            return Err(bad());
        }
        let unprotected =
            SecretKeyBox::from_string(&text).and_then(SecretKeyBox::into_unencrypted_secret_key);
        let inner = match unprotected {
            Ok(key) => key,
            // The crate tells a protected key from a damaged one in words only.
            Err(error) if error.to_string().contains("encrypted") => {
                let password = password()?;
                SecretKeyBox::from_string(&text)
                    .and_then(|boxed| boxed.into_secret_key(Some(password)))
                    .or_error(|| {
                        Error::config(format!("cannot open the secret key {}", path.display()))
                            .hint("the password may be wrong")
                    })?
            }
            Err(error) => return Err(bad().because(&error)),
        };
        let public = minisign::PublicKey::from_secret_key(&inner).or_error(bad)?;
        Ok(Self {
            inner,
            public: PublicKey { inner: public },
        })
    }

    /// Its public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs exact bytes; `comment` is part of what is signed, and shown by minisign.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Failed`] when the system gives no random numbers.
    pub fn sign(&self, message: &[u8], comment: &str) -> Result<String> {
        let untrusted = format!("signature by codex-ml with key {}", self.public.id());
        minisign::sign(
            Some(&self.public.inner),
            &self.inner,
            Cursor::new(message),
            Some(comment),
            Some(&untrusted),
        )
        .map(SignatureBox::into_string)
        .or_error(|| Error::failed(format!("cannot sign with key {}", self.public.id())))
    }
}

fn small_file(path: &Path) -> Result<String> {
    let failed = || Error::config(format!("cannot read the key {}", path.display()));
    let size = fs::metadata(path).or_error(failed)?.len();
    if size > MAX_KEY_FILE {
        return Err(Error::config(format!(
            "{} is no key: it has {size} bytes",
            path.display()
        )));
    }
    fs::read_to_string(path).or_error(failed)
}

fn write_new(path: &Path, text: &str, secret: bool) -> Result<()> {
    if path.exists() {
        return Err(Error::config(format!("{} exists already", path.display()))
            .hint("a key is never overwritten: choose another name"));
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if secret {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = secret;
    let written = || {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        let mut file = options.open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    written().or_error(|| Error::failed(format!("cannot write {}", path.display())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
