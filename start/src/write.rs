//! A small file of this program's own, written whole or not at all.

use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result};
use crate::root::{Node, Root};

/// Puts `bytes` at `path`.
pub(crate) fn file(root: &Root, path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let place = root.name(path)?;
    let new = place.beside(".", ".kolla-new")?;
    new.remove()?;
    let mut file = new.create()?;
    let written = file
        .write_all(bytes)
        .map_err(Error::io("write", path))
        .and_then(|()| Node::of(&file, path)?.set_mode(mode))
        .and_then(|()| new.rename_to(&place));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = new.remove();
    }
    written
}
