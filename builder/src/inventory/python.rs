//! What an installed Python package says of itself, `*.dist-info/METADATA` (PyPA's "Core metadata
//! specifications").

use super::package::{Malformed, Package, PackageKind, field, required};

/// The largest file that is read, bytes: the description may be a whole manual.
pub(super) const MAX_METADATA: usize = 4 << 20;

/// Reads a `METADATA` file that lies in `folder`.
///
/// # Errors
/// When it has no name or version, or is beyond the bounds.
pub fn parse(metadata: &[u8], folder: &str) -> Result<Package, Malformed> {
    if metadata.len() > MAX_METADATA {
        return Err(Malformed(format!("it has more than {MAX_METADATA} bytes")));
    }
    let text = String::from_utf8_lossy(metadata);
    let mut headers: Vec<(&str, &str)> = Vec::new();
    // Behind the first empty line is the description. Lines that begin with a blank go on with what
    // stands before, which none of the fields taken here needs.
    for line in text.lines().take_while(|line| !line.trim().is_empty()) {
        if !line.starts_with([' ', '\t'])
            && let Some((name, value)) = line.split_once(':')
        {
            headers.push((name, value.trim()));
        }
    }
    let get = |wanted: &str| {
        let found = headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| *value)
    };
    let classifiers = headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("Classifier"));
    let mut of_classifiers: Vec<&str> = classifiers
        .filter_map(|(_, value)| value.strip_prefix("License ::"))
        .filter_map(|value| value.rsplit(" :: ").next())
        .map(str::trim)
        .filter(|licence| *licence != "OSI Approved")
        .collect();
    of_classifiers.sort_unstable();
    of_classifiers.dedup();
    let plain = get("License").filter(|text| !text.eq_ignore_ascii_case("unknown"));
    let licence = get("License-Expression")
        .and_then(field)
        .or_else(|| plain.and_then(field))
        .or_else(|| field(&of_classifiers.join(" AND ")));
    Ok(Package {
        kind: PackageKind::Python,
        name: normalise(&required(get("Name"), "package name")?),
        version: required(get("Version"), "version")?,
        architecture: None,
        source: None,
        licence,
        homepage: get("Home-page").and_then(field),
        folder: Some(folder.to_owned()),
    })
}

/// The one spelling of a name (PEP 503).
fn normalise(name: &str) -> String {
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_version_and_licence() {
        let package = parse(
            b"Metadata-Version: 2.1\nName: Oslo.Config\nVersion: 9.7.1\nLicense: UNKNOWN\n\
              Classifier: License :: OSI Approved\n\
              Classifier: License :: OSI Approved :: Apache Software License\n\
              Home-page: https://docs.openstack.org/oslo.config\n\nVersion: 3\nLicense: X\n",
            "usr/lib/x.dist-info",
        )
        .unwrap();
        assert_eq!(
            (package.name.as_str(), package.version.as_str()),
            ("oslo-config", "9.7.1")
        );
        assert_eq!(package.licence.as_deref(), Some("Apache Software License"));
        let text = b"Name: a\nVersion: 1\nLicense: long\n  and longer\nLicense-Expression: MIT\n";
        assert_eq!(parse(text, "x").unwrap().licence.as_deref(), Some("MIT"));
    }

    #[test]
    fn hostile_metadata_is_refused() {
        for (text, told) in [
            (&b""[..], "no package name"),
            (b"\n\nName: a\nVersion: 1\n", "no package name"),
            (b"Name: a\n", "no version"),
            (b"Name: a\nVersion: 1 2\n", "`1 2` is no version"),
            (b"Name: \xff\x00\nVersion: 1\n", "is no package name"),
        ] {
            let error = parse(text, "x").unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
