//! The shape of `service.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::gate::GateTable;

/// One service's definition file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceFile {
    pub(super) description: String,
    pub(super) user: Option<UserTable>,
    #[serde(default)]
    pub(super) vars: toml::Table,
    #[serde(default)]
    pub(super) images: BTreeMap<Spanned<String>, ImageTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserTable {
    pub(super) name: Spanned<String>,
    pub(super) uid: u32,
    pub(super) gid: Option<u32>,
    pub(super) home: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImageTable {
    pub(super) description: String,
    #[serde(default)]
    pub(super) packages: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) smoke: Vec<String>,
    #[serde(default)]
    pub(super) args: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) vars: toml::Table,
    #[serde(default)]
    pub(super) sources: Vec<Spanned<SourceTable>>,
    #[serde(default)]
    pub(super) gate: GateTable,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceTable {
    pub(super) to: Spanned<String>,
    pub(super) url: Option<Spanned<String>>,
    pub(super) sha256: Option<Spanned<String>>,
    pub(super) git: Option<Spanned<String>>,
    pub(super) commit: Option<Spanned<String>>,
    pub(super) local: Option<Spanned<String>>,
    pub(super) bootstrap: Option<Spanned<BootstrapTable>>,
    #[serde(rename = "crate")]
    pub(super) program: Option<CrateTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CrateTable {
    pub(super) path: Spanned<String>,
    pub(super) bin: Option<Spanned<String>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BootstrapTable {
    pub(super) suite: Spanned<String>,
    #[serde(default = "minbase")]
    pub(super) variant: Spanned<String>,
    #[serde(default)]
    pub(super) include: Vec<Spanned<String>>,
    #[serde(default = "main_component")]
    pub(super) components: Vec<Spanned<String>>,
    pub(super) keyring: Option<Spanned<String>>,
}

fn minbase() -> Spanned<String> {
    Spanned::new(0..0, "minbase".to_owned())
}

fn main_component() -> Vec<Spanned<String>> {
    vec![Spanned::new(0..0, "main".to_owned())]
}
