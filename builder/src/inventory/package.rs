use std::fmt;

use serde::{Deserialize, Serialize};

/// What a package belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackageKind {
    /// dpkg's database.
    Deb,
    /// A `*.dist-info` folder.
    Python,
}

impl fmt::Display for PackageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deb => "deb",
            Self::Python => "python",
        })
    }
}

/// One package of an image. The order is by kind, name, version and the rest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Package {
    /// Whose records have it.
    pub kind: PackageKind,
    /// Its name; of a Python package the normalised one (PEP 503), `oslo-config`.
    pub name: String,
    /// Its version, as the records have it.
    pub version: String,
    /// What it is built for, `amd64` or `all`, of a Debian package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// What it was built from, of a Debian package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourcePackage>,
    /// Its licences, in the words of its records: for a Python package often an SPDX expression, for
    /// a Debian one the short names of its copyright file, joined by ` AND `.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Where its project is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// The folder of its records, where each package has its own: two virtual environments may have
    /// the same package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
}

/// The source package that a Debian package was built from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourcePackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// Why a record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(super) String);

/// The longest name, version or other field that is taken, bytes.
const MAX_FIELD: usize = 1024;

/// A field's value if it is one line that may be shown.
pub(super) fn field(value: &str) -> Option<String> {
    let value = value.trim();
    let fits = !value.is_empty() && value.len() <= MAX_FIELD;
    (fits && !value.chars().any(char::is_control)).then(|| value.to_owned())
}

/// The same for one that must be there.
pub(super) fn required(value: Option<&str>, name: &str) -> Result<String, Malformed> {
    let value = value.ok_or_else(|| Malformed(format!("a package has no {name}")))?;
    let wrong = || {
        let start: String = value.chars().take(40).collect();
        Malformed(format!("`{}` is no {name}", start.escape_debug()))
    };
    field(value)
        .filter(|text| !text.contains(char::is_whitespace))
        .ok_or_else(wrong)
}
