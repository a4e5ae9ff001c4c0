//! Which certificate authorities vouch for a server: the system's, and those in the file that `CODEX_ML_CA_FILE` names, for
//! a registry inside a company or on a test machine. There is no way to do without.

use std::fs;
use std::path::{Path, PathBuf};

use codex_plugin_api::{Context, Error, Result};
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

/// The variable that names a file of further authorities, certificates in PEM.
pub const VARIABLE: &str = "CODEX_ML_CA_FILE";

/// The file that the environment names, where it names one.
pub(super) fn named() -> Option<PathBuf> {
    let given = std::env::var_os(VARIABLE).filter(|value| !value.is_empty())?;
    Some(given.into())
}

/// The system's authorities, with those of a file where there is one.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Config`] when the file cannot be read or holds no certificate.
pub(super) fn authorities(file: Option<&Path>) -> Result<RootCerts> {
    let Some(file) = file else {
        // The system's own judgement, which knows more than a list: what was distrusted since, for example.
        return Ok(RootCerts::PlatformVerifier);
    };
    let further = read(file)?;
    // What cannot be read of the system's list vouches for nobody; the file is what was asked for.
    let system = rustls_native_certs::load_native_certs().certs;
    let system = system
        .iter()
        .map(|one| Certificate::from_der(one.as_ref()).to_owned());
    Ok(system.chain(further).collect::<Vec<_>>().into())
}

/// The certificates of a PEM file.
fn read(file: &Path) -> Result<Vec<Certificate<'static>>> {
    let wrong = |why: &str| {
        Error::config(format!("{VARIABLE} names {}, {why}", file.display()))
            .hint("it must be a text file with certificates: -----BEGIN CERTIFICATE-----")
    };
    let bytes = fs::read(file).or_error(|| wrong("which cannot be read"))?;
    let mut found = Vec::new();
    for item in parse_pem(&bytes) {
        if let PemItem::Certificate(one) = item.or_error(|| wrong("which is damaged"))? {
            found.push(one);
        }
    }
    if found.is_empty() {
        return Err(wrong("which holds no certificate"));
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn without_a_file_the_system_decides() {
        let roots = authorities(None).unwrap();
        assert!(matches!(roots, RootCerts::PlatformVerifier));
    }

    #[test]
    fn a_file_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let error = authorities(Some(&file)).unwrap_err();
        assert!(
            error.message().ends_with("ca.pem, which cannot be read"),
            "{error}"
        );
        for text in ["", "a letter", "-----BEGIN CERTIFICATE-----\n"] {
            fs::write(&file, text).unwrap();
            let error = authorities(Some(&file)).unwrap_err();
            assert!(error.message().starts_with(VARIABLE), "{error}");
            assert!(error.hint_text().is_some());
        }
    }
}
