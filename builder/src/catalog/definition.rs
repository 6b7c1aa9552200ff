use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::gate::GatePolicy;
use crate::cargo::Program;
use crate::debian::Variant;
use crate::model::{Digest, ImageName, ServiceName, Source};

/// One image as its service defines it, with what `kolla.toml` changes already applied.
#[derive(Debug, Clone)]
pub struct ImageDefinition {
    pub(super) name: ImageName,
    pub(super) service: ServiceName,
    pub(super) service_description: String,
    pub(super) description: String,
    pub(super) packages: Vec<String>,
    pub(super) smoke: Vec<String>,
    pub(super) args: BTreeMap<String, String>,
    pub(super) vars: toml::Table,
    pub(super) user: Option<User>,
    pub(super) gate: GatePolicy,
    pub(super) sources: Vec<SourceDefinition>,
    pub(super) folder: PathBuf,
    pub(super) dockerfile: Source,
    pub(super) templated: bool,
    pub(super) files: Vec<FoundFile>,
}

impl ImageDefinition {
    /// The image's name.
    pub fn name(&self) -> &ImageName {
        &self.name
    }

    /// The service it belongs to.
    pub fn service(&self) -> &ServiceName {
        &self.service
    }

    /// What the service is, in a few words.
    pub fn service_description(&self) -> &str {
        &self.service_description
    }

    /// What the image is, in a few words.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The packages that its template installs.
    pub fn packages(&self) -> &[String] {
        &self.packages
    }

    /// The command that must succeed in a container of it; empty where there is none.
    pub fn smoke(&self) -> &[String] {
        &self.smoke
    }

    /// Build arguments.
    pub fn args(&self) -> &BTreeMap<String, String> {
        &self.args
    }

    /// Free values for the templates.
    pub fn vars(&self) -> &toml::Table {
        &self.vars
    }

    /// The account that it runs as.
    pub fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// What it must hold to: what its own definition says over the fleet's defaults.
    pub fn gate(&self) -> &GatePolicy {
        &self.gate
    }

    /// Files brought into the context from elsewhere.
    pub fn sources(&self) -> &[SourceDefinition] {
        &self.sources
    }

    /// The image's folder, as the user would type it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its Dockerfile or Dockerfile template.
    pub fn dockerfile(&self) -> &Source {
        &self.dockerfile
    }

    /// Whether the Dockerfile is a template.
    pub fn is_templated(&self) -> bool {
        self.templated
    }

    /// Everything in its folder but the Dockerfile, sorted by path.
    pub fn files(&self) -> &[FoundFile] {
        &self.files
    }
}

/// The account an image's processes run as.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct User {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Home directory.
    pub home: String,
}

/// A file found in an image's folder or in the overlay that shadows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// Where it goes, relative to the context, with `/` between parts.
    pub path: String,
    /// Where it is.
    pub disk: PathBuf,
    /// What it is.
    pub kind: FileKind,
}

/// What kind of thing a found file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileKind {
    /// An ordinary file.
    File {
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A symbolic link and what it points to.
    Symlink {
        /// The link's text.
        target: PathBuf,
    },
    /// A directory.
    Directory,
    /// A socket, pipe or device, which no context can hold.
    Special,
}

/// Something brought into a context from outside the image's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceDefinition {
    /// The path in the context.
    pub to: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Where it is declared.
    pub declared: crate::model::Location,
}

/// Where a source comes from. Everything in it is an input of the fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A download whose content is known beforehand.
    Url {
        /// `http` or `https`.
        url: String,
        /// What must arrive.
        sha256: Digest,
    },
    /// A commit of a git repository, as a tar of its tree.
    Git {
        /// The repository.
        url: String,
        /// The full commit id, 40 or 64 hexadecimal digits.
        commit: String,
    },
    /// A file or folder beside the service's definition.
    Local {
        /// Where it is.
        path: PathBuf,
    },
    /// A root file system made from a distribution's archive, as a tar.
    Bootstrap(Bootstrap),
    /// A program compiled from a crate of the fleet's repository.
    Crate(Box<Program>),
}

/// A root file system to be made from a distribution's signed archive.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Bootstrap {
    /// The release, `trixie`.
    pub suite: String,
    /// Which packages beside the included ones.
    pub variant: Variant,
    /// Further packages.
    pub include: Vec<String>,
    /// Archive areas, `main`.
    pub components: Vec<String>,
    /// The keys to trust in place of Debian's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyring: Option<KeyFile>,
    /// The digest of the InRelease of each suite of the archive, where the fleet pins them. No definition
    /// says this: it comes from `kolla.lock` when the image's context is put together.
    #[serde(skip)]
    pub pinned: BTreeMap<String, Digest>,
}

/// A file of OpenPGP public keys. As an input of the fingerprint it is its digest.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyFile(pub Arc<[u8]>);

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Digest::of(&self.0))
    }
}

impl serde::Serialize for KeyFile {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Digest::of(&self.0))
    }
}

/// What `kolla.toml` changes of one image.
#[derive(Debug, Clone)]
pub struct Customization {
    /// The file that says so.
    pub file: Source,
    /// Whether it is meant only for fleets that have the image.
    pub optional: bool,
    /// Packages to install besides.
    pub packages_add: Vec<toml::Spanned<String>>,
    /// Packages not to install.
    pub packages_remove: Vec<toml::Spanned<String>>,
    /// Build arguments, over the image's own.
    pub args: BTreeMap<String, String>,
}
