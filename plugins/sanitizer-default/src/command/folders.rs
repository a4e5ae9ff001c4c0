//! The user's data folder, found as the host finds it.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use etcetera::BaseStrategy;

/// A variable that is set to something.
pub(super) fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// `$CODEX_ML_DATA_DIR`, or the usual place; nothing where the system knows no home.
pub(super) fn data() -> Option<PathBuf> {
    let usual = || {
        let strategy = etcetera::choose_base_strategy().ok()?;
        Some(strategy.data_dir().join("codex-ml"))
    };
    variable("CODEX_ML_DATA_DIR")
        .map(PathBuf::from)
        .or_else(usual)
}
