//! What a plugin asks for. A sandboxed plugin gets only what was granted; for a native one it is a statement that the
//! user can read before installing, because native code has the user's whole authority.

use serde::{Deserialize, Serialize};

use crate::Kind;

/// The `[permissions]` table; every request carries its reason.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Permissions {
    /// Folders.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<FolderPermission>,
    /// Environment variables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<EnvironmentPermission>,
    /// Network hosts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub network: Vec<NetworkPermission>,
    /// Components of other kinds, through the host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<ComponentPermission>,
    /// The wall and monotonic clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<Reason>,
    /// Random numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random: Option<Reason>,
    /// Output to the terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminal: Option<Reason>,
}

/// Why something is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// One line for the user who decides.
    pub reason: String,
}

/// A folder to read or write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderPermission {
    /// A name that the user binds to a folder when granting (`data`), or a path.
    pub path: String,
    /// Whether it writes there too.
    #[serde(default)]
    pub write: bool,
    /// One line for the user who decides.
    pub reason: String,
}

/// An environment variable to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentPermission {
    /// The variable's name.
    pub key: String,
    /// One line for the user who decides.
    pub reason: String,
}

/// A host to reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkPermission {
    /// `name` or `name:port`; no patterns.
    pub host: String,
    /// One line for the user who decides.
    pub reason: String,
}

/// Components of a kind to create through the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentPermission {
    /// Their kind.
    pub kind: Kind,
    /// One line for the user who decides.
    pub reason: String,
}

impl Permissions {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// One line a request: what and why, in the order of the manifest.
    pub fn lines(&self) -> Vec<(String, &str)> {
        let mut lines = Vec::new();
        for folder in &self.folders {
            let verb = if folder.write {
                "read and write"
            } else {
                "read"
            };
            lines.push((
                format!("{verb} folder {}", folder.path),
                folder.reason.as_str(),
            ));
        }
        lines.extend(self.environment.iter().map(|e| {
            (
                format!("read environment variable {}", e.key),
                e.reason.as_str(),
            )
        }));
        lines.extend(
            self.network
                .iter()
                .map(|n| (format!("connect to {}", n.host), n.reason.as_str())),
        );
        lines.extend(
            self.components
                .iter()
                .map(|c| (format!("create {} components", c.kind), c.reason.as_str())),
        );
        for (what, reason) in [
            ("use the clock", &self.clock),
            ("use random numbers", &self.random),
            ("write to the terminal", &self.terminal),
        ] {
            lines.extend(
                reason
                    .iter()
                    .map(|reason| (what.to_owned(), reason.reason.as_str())),
            );
        }
        lines
    }

    pub(super) fn check(&self) -> Result<(), String> {
        for (what, reason) in self.lines() {
            if reason.trim().is_empty() || reason.chars().any(char::is_control) {
                return Err(format!("{what:?} needs a reason of one line"));
            }
            if what.chars().any(char::is_control) {
                return Err(format!("{what:?} holds a control character"));
            }
        }
        Ok(())
    }
}
