//! How much a sandboxed plugin may use: what its manifest asks for and what its user sets. Defaults and enforcement are
//! the host's.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The `[limits]` table; what is left out has the host's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory of one component (`"256MiB"`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
    /// Time of one call (`"30s"`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Span>,
    /// What one call may hand to the host (`"128MiB"`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer: Option<Size>,
    /// Elements of its tables of functions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_elements: Option<u64>,
    /// Modules inside one component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<u64>,
}

impl Limits {
    /// The keys, in the order in which they are shown.
    pub const KEYS: [&'static str; 5] =
        ["memory", "time", "transfer", "table_elements", "instances"];

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These, and where one is missing that of `other`.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            memory: self.memory.or(other.memory),
            time: self.time.or(other.time),
            transfer: self.transfer.or(other.transfer),
            table_elements: self.table_elements.or(other.table_elements),
            instances: self.instances.or(other.instances),
        }
    }
}

/// A number of bytes, written with a unit (`"64MiB"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A length of time, written with a unit (`"1m 30s"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whole numbers of a unit keep it; others would lose digits.
        for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
            if self.0 > 0 && self.0.is_multiple_of(unit) {
                return write!(f, "{}{name}", self.0 / unit);
            }
        }
        write!(f, "{}B", self.0)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<ByteSize>()
            .map(|size| Self(size.as_u64()))
            .map_err(|_| format!("{text:?} is not a size such as \"64MiB\""))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", humantime::format_duration(self.0))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text)
            .map(Self)
            .map_err(|_| format!("{text:?} is not a time such as \"30s\""))
    }
}

macro_rules! as_text {
    ($type:ident) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?
                    .parse()
                    .map_err(D::Error::custom)
            }
        }
    };
}

as_text!(Size);
as_text!(Span);

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_keep_their_value_as_text() {
        for (text, bytes) in [("64MiB", 64 << 20), ("3GiB", 3 << 30), ("1000B", 1000)] {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.0, size.to_string().as_str()), (bytes, text));
        }
        let span: Span = "1m 30s".parse().unwrap();
        assert_eq!(
            (span.0.as_secs(), span.to_string().as_str()),
            (90, "1m 30s")
        );
    }

    #[test]
    fn what_is_neither_is_named() {
        let error = toml::from_str::<Limits>("memory = \"much\"").unwrap_err();
        assert!(
            error.message().contains("\"much\" is not a size"),
            "{error}"
        );
        let error = toml::from_str::<Limits>("time = \"10\"").unwrap_err();
        assert!(error.message().contains("is not a time"), "{error}");
    }
}
