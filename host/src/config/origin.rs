//! Where a value of the configuration came from.

use std::fmt;

/// Who set a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody: it is the host's default.
    Default,
    /// A group file, by its group and name (`model/minilm-small`).
    Group {
        /// `model/minilm-small`, or the file's path where it is not built in.
        file: String,
        /// The line in it, from 1; 0 when unknown.
        line: u64,
    },
    /// A run file.
    File {
        /// The file as the user named it.
        file: String,
        /// The line in it, from 1; 0 when unknown.
        line: u64,
    },
    /// `key=value` on the command line.
    CommandLine,
    /// The host worked it out from other values; says from which.
    Derived(&'static str),
    /// Taken over from the configuration of the run that is continued.
    Run(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Group { file, line } | Self::File { file, line } if *line > 0 => {
                write!(f, "{file}:{line}")
            }
            Self::Group { file, .. } | Self::File { file, .. } | Self::Run(file) => {
                f.write_str(file)
            }
            Self::CommandLine => f.write_str("command line"),
            Self::Derived(from) => write!(f, "from {from}"),
        }
    }
}
