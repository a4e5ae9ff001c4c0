//! Where the host keeps what belongs to the user and to the project: installed plugins, caches. Nothing is created here.

use std::env;
use std::path::{Path, PathBuf};

use codex_plugin_api::{Error, Result};
use etcetera::BaseStrategy;

/// The folder of a project in which it keeps plugins of its own.
const PROJECT: &str = ".codex-ml";

/// The folders of this user and this project; `None` where the system knows no such place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folders {
    /// What stays until the user removes it; `$CODEX_ML_DATA_DIR` overrides it.
    pub data: Option<PathBuf>,
    /// What can be built again at any time; `$CODEX_ML_CACHE_DIR` overrides it.
    pub cache: Option<PathBuf>,
    /// The nearest `.codex-ml` folder at or above the working directory.
    pub project: Option<PathBuf>,
}

impl Folders {
    /// The folders as the environment says.
    pub fn from_environment() -> Self {
        let strategy = etcetera::choose_base_strategy().ok();
        let folder = |variable: &str, usual: Option<PathBuf>| {
            let given = env::var_os(variable).filter(|value| !value.is_empty());
            given.map_or_else(
                || usual.map(|usual| usual.join("codex-ml")),
                |given| Some(given.into()),
            )
        };
        let project = env::current_dir()
            .ok()
            .and_then(|start| nearest_project(&start));
        Self {
            data: folder(
                "CODEX_ML_DATA_DIR",
                strategy.as_ref().map(BaseStrategy::data_dir),
            ),
            cache: folder(
                "CODEX_ML_CACHE_DIR",
                strategy.as_ref().map(BaseStrategy::cache_dir),
            ),
            project,
        }
    }

    /// The user's data folder.
    ///
    /// # Errors
    /// When the system knows no home folder.
    pub fn data(&self) -> Result<&Path> {
        self.data
            .as_deref()
            .ok_or_else(|| homeless("data", "CODEX_ML_DATA_DIR"))
    }

    /// The cache folder; it need not exist yet.
    ///
    /// # Errors
    /// When the system knows no home folder.
    pub fn cache(&self) -> Result<&Path> {
        self.cache
            .as_deref()
            .ok_or_else(|| homeless("cache", "CODEX_ML_CACHE_DIR"))
    }

    /// The project's folder, or the one that the working directory would get.
    ///
    /// # Errors
    /// When there is no working directory.
    pub fn project_or_new(&self) -> Result<PathBuf> {
        match &self.project {
            Some(project) => Ok(project.clone()),
            None => env::current_dir()
                .map(|current| current.join(PROJECT))
                .map_err(|error| Error::failed("there is no working directory").because(&error)),
        }
    }
}

fn homeless(what: &str, variable: &str) -> Error {
    Error::failed(format!("there is no home folder to keep {what} in"))
        .hint(format!("set {variable} to a folder"))
}

fn nearest_project(start: &Path) -> Option<PathBuf> {
    start
        .ancestors()
        .map(|folder| folder.join(PROJECT))
        .find(|folder| folder.is_dir())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_project_folder_wins() {
        let root = tempfile::tempdir().unwrap();
        let (outer, inner) = (root.path().join("a"), root.path().join("a/b/c"));
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::create_dir(outer.join(PROJECT)).unwrap();
        assert_eq!(nearest_project(&inner), Some(outer.join(PROJECT)));
        std::fs::create_dir(inner.join(PROJECT)).unwrap();
        assert_eq!(nearest_project(&inner), Some(inner.join(PROJECT)));
    }

    #[test]
    fn without_a_home_the_variable_is_named() {
        let error = Folders::default().cache().unwrap_err();
        assert_eq!(
            error.hint_text(),
            Some("set CODEX_ML_CACHE_DIR to a folder")
        );
    }
}
