//! dpkg's record of what is installed, `/var/lib/dpkg/status`.

use deb822_fast::borrowed::{BorrowedParagraph, BorrowedParser};

use super::package::{Malformed, Package, PackageKind, SourcePackage, field, required};

/// The largest file that is read, bytes; that of a full desktop has some 5 MB.
pub(super) const MAX_STATUS: usize = 64 << 20;
/// More packages than that are in no image.
const MAX_PACKAGES: usize = 200_000;

/// The packages whose files are there, sorted; those of which no more than configuration is left are
/// not among them.
///
/// # Errors
/// When it is not in dpkg's format, or beyond the bounds.
pub fn parse(status: &[u8]) -> Result<Vec<Package>, Malformed> {
    if status.len() > MAX_STATUS {
        return Err(Malformed(format!("it has more than {MAX_STATUS} bytes")));
    }
    let text = std::str::from_utf8(status).map_err(|e| Malformed(format!("it is no text: {e}")))?;
    let paragraphs = BorrowedParser::new(text)
        .parse_all()
        .map_err(|e| Malformed(e.to_string()))?;
    if paragraphs.len() > MAX_PACKAGES {
        return Err(Malformed(format!(
            "it has more than {MAX_PACKAGES} packages"
        )));
    }
    let mut packages = Vec::new();
    for paragraph in &paragraphs {
        packages.extend(package(paragraph)?);
    }
    packages.sort();
    Ok(packages)
}

fn package(paragraph: &BorrowedParagraph<'_>) -> Result<Option<Package>, Malformed> {
    let get = |name: &str| paragraph.get_single(name);
    let name = required(get("Package"), "package name")?;
    // "install ok installed": what is wanted, whether it is well, what is there (dpkg-query(1)).
    let state = get("Status").and_then(|status| status.split_whitespace().nth(2));
    match state {
        None => return Err(Malformed(format!("`{name}` has no state"))),
        Some("not-installed" | "config-files") => return Ok(None),
        Some(_) => {}
    }
    let version = required(get("Version"), "version")?;
    let source = match get("Source") {
        // "glibc (2.41-12)", with the version where it is another.
        Some(text) => {
            let (source, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
            let inner = rest
                .trim()
                .strip_prefix('(')
                .and_then(|r| r.strip_suffix(')'));
            SourcePackage {
                name: required(Some(source), "source package")?,
                version: inner.and_then(field).unwrap_or_else(|| version.clone()),
            }
        }
        None => SourcePackage {
            name: name.clone(),
            version: version.clone(),
        },
    };
    Ok(Some(Package {
        kind: PackageKind::Deb,
        name,
        version,
        architecture: get("Architecture").and_then(field),
        source: Some(source),
        licence: None,
        homepage: get("Homepage").and_then(field),
        folder: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installed_packages_with_their_sources() {
        let status = b"Package: libc6\nStatus: install ok installed\nPriority: optional\n\
            Architecture: amd64\nMulti-Arch: same\nSource: glibc\nVersion: 2.41-12\n\
            Description: C library\n with a longer text\n .\n behind it\n\
            Homepage: https://www.gnu.org/software/libc/\n\n\
            Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: all\n\n\
            Package: bash\nStatus: install ok half-configured\nArchitecture: amd64\n\
            Source: bash-source (5.2-1)\nVersion: 5.2-1+b3\n";
        let packages = parse(status).unwrap();
        let shown: Vec<_> = packages
            .iter()
            .map(|p| {
                let source = p.source.as_ref().unwrap();
                format!(
                    "{} {} {} {}",
                    p.name, p.version, source.name, source.version
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "bash 5.2-1+b3 bash-source 5.2-1",
                "libc6 2.41-12 glibc 2.41-12"
            ]
        );
        assert_eq!(packages[1].architecture.as_deref(), Some("amd64"));
        assert!(packages[1].homepage.as_ref().unwrap().ends_with("/libc/"));
    }

    #[test]
    fn hostile_records_are_refused() {
        let long = format!(
            "Package: {}\nStatus: install ok installed\nVersion: 1\n",
            "x".repeat(5000)
        );
        for (text, told) in [
            (&b"\xff\xfe"[..], "it is no text"),
            (b"Package: a\nVersion: 1\n", "`a` has no state"),
            (
                b"Package: a\nStatus: install ok installed\n",
                "has no version",
            ),
            (
                b"Package: a b\nStatus: install ok installed\nVersion: 1\n",
                "`a b` is no package name",
            ),
            (
                b"Version: 1\nStatus: install ok installed\n",
                "no package name",
            ),
            (
                b"Package: a\x1b[31m\nStatus: install ok installed\nVersion: 1\n",
                "`a\\u{1b}[31m` is no package name",
            ),
            (long.as_bytes(), "is no package name"),
            (b" begins in the middle\n", ""),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
        assert_eq!(parse(b"").unwrap(), []);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let good = b"Package: a\nStatus: install ok installed\nSource: s (1)\nVersion: 1\n\n";
        for at in 0..good.len() {
            for byte in [0, b'\n', b' ', b':', b'(', 0x80, 0xff] {
                let mut bytes = good.to_vec();
                bytes[at] = byte;
                let _ = parse(&bytes);
                let _ = parse(&bytes[..at]);
            }
        }
    }
}
