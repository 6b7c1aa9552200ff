//! What is valid in a `crate` table.

use std::path::Path;

use super::service::CrateTable;
use crate::cargo::{Package, Program};
use crate::model::{Diagnostic, Source};

pub(super) fn program(
    table: &CrateTable,
    source: &Source,
    root: &Path,
) -> Result<Program, Diagnostic> {
    let placed = |problem: Diagnostic, span: std::ops::Range<usize>| {
        let here = source.location(span);
        match problem.location() {
            Some(_) => problem.note_at("the crate is named here", here),
            None => problem.at(here),
        }
    };
    let path = table.path.span();
    let package = Package::find(root, table.path.get_ref()).map_err(|p| placed(p, path.clone()))?;
    let bin = table.bin.as_ref();
    package
        .program(bin.map(|bin| bin.get_ref().as_str()))
        .map_err(|p| placed(p, bin.map_or(path, toml::Spanned::span)))
}
