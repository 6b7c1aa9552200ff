//! What is in an image, as CycloneDX 1.6.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Subject;
use super::statement::{CYCLONEDX, Statement};
use crate::inventory::{Package, PackageKind};
use crate::model::{Digest, ImageName};

/// What is known of an image's content.
#[derive(Debug, Clone, Copy)]
pub struct Sbom<'a> {
    /// The image by name.
    pub image: &'a ImageName,
    /// The distribution that its packages are of, by the `ID` of its `/etc/os-release`.
    pub distribution: &'a str,
    /// Its packages, in any order.
    pub packages: &'a [Package],
}

impl Sbom<'_> {
    /// Says it of an image.
    pub fn statement(&self, subject: &Subject) -> Statement {
        Statement::new(subject, CYCLONEDX, &self.document(subject))
    }

    /// The CycloneDX document: the same for the same packages and image, whenever it is made.
    pub fn document(&self, subject: &Subject) -> Value {
        let digest = &subject.manifest.digest;
        let repository = subject.repository.to_string();
        let parts: Vec<String> = repository.split('/').map(encoded).collect();
        let image = format!(
            "pkg:oci/{}@{}?repository_url={}",
            encoded(self.image.as_str()),
            encoded(&digest.to_string()),
            parts.join("/"),
        );
        // By their identities, so that none is twice and the order is one.
        let components: BTreeMap<String, Value> = self
            .packages
            .iter()
            .map(|package| self.component(package))
            .collect();
        let contained: Vec<&String> = components.keys().collect();
        json!({
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": serial(digest),
            "version": 1,
            "metadata": {
                "tools": { "components": [{
                    "type": "application",
                    "name": "kolla",
                    "version": env!("CARGO_PKG_VERSION"),
                }] },
                "component": {
                    "type": "container",
                    "bom-ref": image,
                    "name": repository,
                    "version": digest.to_string(),
                    "purl": image,
                    "hashes": [{ "alg": "SHA-256", "content": digest.hex() }],
                },
            },
            "components": components.values().collect::<Vec<_>>(),
            "dependencies": [{ "ref": image, "dependsOn": contained }],
        })
    }

    /// A package's identity within the document, and what is known of it.
    fn component(&self, package: &Package) -> (String, Value) {
        let purl = self.purl(package);
        let mut identity = purl.clone();
        let mut properties = Vec::new();
        if let Some(folder) = &package.folder {
            let _ = write!(identity, "#{folder}");
            properties.push(json!({ "name": "kolla:folder", "value": folder }));
        }
        if let Some(source) = &package.source {
            let text = format!("{} {}", source.name, source.version);
            properties.push(json!({ "name": "kolla:source", "value": text }));
        }
        let mut component = json!({
            "type": "library",
            "bom-ref": identity,
            "name": package.name,
            "version": package.version,
            "purl": purl,
        });
        if let Some(licence) = &package.licence {
            // Only what SPDX knows may be called its expression.
            component["licenses"] = match spdx::Expression::parse(licence) {
                Ok(_) => json!([{ "expression": licence }]),
                Err(_) => json!([{ "license": { "name": licence } }]),
            };
        }
        if let Some(homepage) = package.homepage.as_ref().filter(|text| is_web(text)) {
            component["externalReferences"] = json!([{ "type": "website", "url": homepage }]);
        }
        if !properties.is_empty() {
            component["properties"] = json!(properties);
        }
        (identity, component)
    }

    /// The package's URL (purl specification, types `deb` and `pypi`).
    fn purl(&self, package: &Package) -> String {
        let (name, version) = (encoded(&package.name), encoded(&package.version));
        match package.kind {
            PackageKind::Python => format!("pkg:pypi/{name}@{version}"),
            PackageKind::Deb => {
                let distribution = encoded(self.distribution);
                let mut purl = format!("pkg:deb/{distribution}/{name}@{version}");
                if let Some(architecture) = &package.architecture {
                    let _ = write!(purl, "?arch={}", encoded(architecture));
                }
                purl
            }
        }
    }
}

/// Whether it may stand as a reference on the web, which is an IRI.
fn is_web(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// What a part of a package's URL looks like (purl specification, "Character encoding").
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A UUID (RFC 9562, version 8) of the image's digest: a random one would make each document another.
fn serial(digest: &Digest) -> String {
    let mut hex = Digest::of(format!("CycloneDX {digest}")).hex();
    hex.truncate(32);
    hex.replace_range(12..13, "8");
    hex.replace_range(16..17, "a");
    format!(
        "urn:uuid:{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

/// How many packages a document that was read tells of.
///
/// # Errors
/// What about it is not as it should be.
pub(super) fn packages(document: &Value, digest: &Digest) -> Result<usize, &'static str> {
    if document["bomFormat"] != "CycloneDX" {
        return Err("it is not a CycloneDX document");
    }
    let hashes = document["metadata"]["component"]["hashes"].as_array();
    let hex = digest.hex();
    let same = |hash: &Value| hash["alg"] == "SHA-256" && hash["content"] == hex.as_str();
    if !hashes.is_some_and(|hashes| hashes.iter().any(same)) {
        return Err("it lists the packages of another image");
    }
    let components = document["components"].as_array();
    components.map(Vec::len).ok_or("it lists no packages")
}
