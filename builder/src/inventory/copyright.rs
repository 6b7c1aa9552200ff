//! The licences of a Debian package, by its copyright file where that is machine-readable (DEP 5).

use std::collections::BTreeSet;

use super::package::field;

/// The largest file that is looked into, bytes; of a longer one the beginning.
pub(super) const MAX_COPYRIGHT: usize = 1 << 20;
/// More licences than that say nothing.
const MAX_LICENCES: usize = 40;

/// The package whose copyright file this path is, `usr/share/doc/NAME/copyright`.
pub(super) fn package_of(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("usr/share/doc/")?;
    let name = rest.strip_suffix("/copyright")?;
    (!name.contains('/')).then_some(name)
}

/// Its licences' short names, joined by ` AND `.
pub(super) fn licences(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let first = text.lines().find(|line| !line.trim().is_empty())?;
    if !first.starts_with("Format:") {
        return None;
    }
    let names = text
        .lines()
        .filter_map(|line| line.strip_prefix("License:"))
        .filter_map(field)
        .collect::<BTreeSet<_>>();
    let names: Vec<String> = names.into_iter().take(MAX_LICENCES).collect();
    field(&names.join(" AND "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_of_machine_readable_files() {
        let text = b"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
            Files: *\nCopyright: X\nLicense: Apache-2\n\nFiles: debian/*\nLicense: GPL-2+\n text\n\n\
            License: Apache-2\n";
        assert_eq!(licences(text).as_deref(), Some("Apache-2 AND GPL-2+"));
        assert_eq!(licences(b"This package is free.\nLicense: X\n"), None);
        assert_eq!(licences(b""), None);
        assert_eq!(package_of("usr/share/doc/bash/copyright"), Some("bash"));
        assert_eq!(package_of("usr/share/doc/a/b/copyright"), None);
    }
}
