//! Where plugins are asked for: a project's folder or the user's, each with a project file and a lock.

use std::path::{Path, PathBuf};

use serde::Serialize;

/// The file that says what is asked for.
pub const PROJECT_FILE: &str = "codex-plugins.toml";

/// The file that says what is in use.
pub const LOCK_FILE: &str = "codex-plugins.lock";

/// Whose scope it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScopeKind {
    /// A project's: shared by who works on it.
    Project,
    /// The user's: holds wherever no project says otherwise.
    User,
}

impl ScopeKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::User => "user",
        }
    }
}

/// A folder with a project file and a lock; neither needs to be there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Whose.
    pub kind: ScopeKind,
    /// The folder.
    pub folder: PathBuf,
}

impl Scope {
    /// The user's scope, in the data folder.
    pub fn user(data: &Path) -> Self {
        Self {
            kind: ScopeKind::User,
            folder: data.to_owned(),
        }
    }

    /// The project whose file or lock lies in `start` or nearest above it. The user's own folder is no project.
    pub fn project(start: &Path, data: Option<&Path>) -> Option<Self> {
        let is_project = |folder: &&Path| {
            Some(*folder) != data
                && (folder.join(PROJECT_FILE).is_file() || folder.join(LOCK_FILE).is_file())
        };
        start.ancestors().find(is_project).map(Self::project_in)
    }

    /// The project that a folder is, or becomes.
    pub fn project_in(folder: &Path) -> Self {
        Self {
            kind: ScopeKind::Project,
            folder: folder.to_owned(),
        }
    }

    /// What is asked for.
    pub fn project_file(&self) -> PathBuf {
        self.folder.join(PROJECT_FILE)
    }

    /// What is in use.
    pub fn lock_file(&self) -> PathBuf {
        self.folder.join(LOCK_FILE)
    }

    /// Where earlier states are kept.
    pub fn history(&self) -> PathBuf {
        match self.kind {
            ScopeKind::Project => self.folder.join(".codex-ml/history"),
            ScopeKind::User => self.folder.join("history"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_nearest_project_counts_and_the_users_folder_is_none() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("data/work/inner/deep")).unwrap();
        fs::write(at("data").join(PROJECT_FILE), "").unwrap();
        let find = || Scope::project(&at("data/work/inner/deep"), Some(&at("data")));
        assert_eq!(find(), None);
        fs::write(at("data/work").join(LOCK_FILE), "").unwrap();
        assert_eq!(find(), Some(Scope::project_in(&at("data/work"))));
        fs::write(at("data/work/inner").join(PROJECT_FILE), "").unwrap();
        assert_eq!(find(), Some(Scope::project_in(&at("data/work/inner"))));
    }
}
