//! Programs for images, compiled by cargo from crates of the fleet's own repository.
//!
//! Owns what such a program is made from, by which it is told whether it is the same one, and how it
//! is compiled. Nothing is compiled to learn the former: it is read from the crate's files, from
//! `Cargo.lock` and from the workspace's `Cargo.toml`, so two machines with different compilers agree.

mod compile;
mod elf;
mod files;
mod flags;
mod lock;
mod manifest;
mod place;
mod toolchain;

use std::collections::BTreeMap;
use std::path::Path;

use crate::model::{Diagnostic, Digest, did_you_mean};
use manifest::Manifest;
use place::Place;
pub use toolchain::Toolchain;

/// Raised when the same inputs should no longer give the same program.
const SCHEME: &str = "kolla-crate-1";

/// A program of a crate, and everything that it is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    place: Place,
    package: String,
    bin: String,
    inputs: Inputs,
}

/// What a program is made from, as an input of the fingerprint. Holds no path of the machine and
/// nothing of the compiler.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Inputs {
    scheme: String,
    /// The crate's files, by their path below the fleet's root: what each is.
    pub files: BTreeMap<String, String>,
    /// The packages that the crate needs, by name: version, origin and checksum of each that has the
    /// name.
    pub dependencies: BTreeMap<String, Vec<String>>,
    /// What is said of the program outside the crate's files: its name, and those values of the
    /// workspace's `Cargo.toml` that count for it.
    pub settings: BTreeMap<String, String>,
}

impl Inputs {
    /// SHA-256 over all of it as JSON, in which keys are sorted and every value is delimited.
    pub fn digest(&self) -> Digest {
        Digest::of(serde_json::to_vec(self).unwrap_or_default())
    }
}

/// A crate of the fleet's repository that can be compiled.
#[derive(Debug, Clone)]
pub struct Package {
    place: Place,
    manifest: Manifest,
}

impl Package {
    /// The crate at `path`, which is relative to the fleet's root.
    ///
    /// # Errors
    /// A definition error, without a place where it is about the path: nothing is there, it leads out
    /// of the fleet's root, or is no package with a `Cargo.lock`.
    pub fn find(root: &Path, path: &str) -> Result<Self, Diagnostic> {
        Self::at(Place::find(root, path)?)
    }

    fn at(place: Place) -> Result<Self, Diagnostic> {
        let manifest = Manifest::read(&place)?;
        Ok(Self { place, manifest })
    }

    /// One of its programs; the one that is named after the package unless `bin` says otherwise.
    ///
    /// # Errors
    /// A definition error, without a place where it is about the name: there is no such program; files
    /// that cannot be inputs; a dependency by path.
    pub fn program(&self, bin: Option<&str>) -> Result<Program, Diagnostic> {
        let files = files::read(&self.place)?;
        let bin = bin.unwrap_or(&self.manifest.name);
        let programs = self.manifest.programs(&self.place, &files);
        if !programs.iter().any(|program| program == bin) {
            let problem = Diagnostic::definition(format!(
                "the package `{}` has no program `{}`",
                self.manifest.name,
                bin.escape_debug()
            ));
            return Err(match programs.as_slice() {
                [] => problem.hint("write a src/main.rs, or a [[bin]] in its Cargo.toml"),
                known => problem
                    .maybe_hint(did_you_mean(bin, known.iter().map(String::as_str)))
                    .hint(format!("`bin` is one of: {}", known.join(", "))),
            });
        }
        let dependencies = lock::dependencies(&self.place, &self.manifest)?;
        let settings = self.manifest.inherited(&self.place)?;
        Ok(Program {
            inputs: Inputs {
                scheme: SCHEME.to_owned(),
                files,
                dependencies,
                settings: [("bin".to_owned(), bin.to_owned())]
                    .into_iter()
                    .chain([("package".to_owned(), self.manifest.name.clone())])
                    .chain(settings)
                    .collect(),
            },
            place: self.place.clone(),
            package: self.manifest.name.clone(),
            bin: bin.to_owned(),
        })
    }
}

impl Program {
    /// What it is made from.
    pub fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.bin
    }
}

/// A name of a package or a program that is no option, path or pattern where cargo reads it.
fn is_name(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
}
