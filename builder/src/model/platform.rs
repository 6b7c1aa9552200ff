use std::fmt;

use super::{Diagnostic, did_you_mean};

/// Architectures by the names the OCI image specification takes from Go.
const ARCHITECTURES: [&str; 8] = [
    "386", "amd64", "arm", "arm64", "ppc64le", "riscv64", "s390x", "loong64",
];

/// What an image runs on, `linux/amd64`. Only Linux is known here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    architecture: String,
    variant: Option<String>,
}

impl Platform {
    /// Reads `linux/ARCH[/VARIANT]`.
    ///
    /// # Errors
    /// A definition error that names the known architectures.
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        let mut parts = text.split('/');
        let (os, architecture, variant) = (parts.next(), parts.next(), parts.next());
        let known = architecture.is_some_and(|a| ARCHITECTURES.contains(&a));
        let variant_ok =
            variant.is_none_or(|v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_alphanumeric()));
        match (os, architecture) {
            (Some("linux"), Some(arch)) if known && variant_ok && parts.next().is_none() => {
                Ok(Self {
                    architecture: arch.to_owned(),
                    variant: variant.map(str::to_owned),
                })
            }
            _ => Err(Diagnostic::definition(format!(
                "`{}` is not a known platform",
                text.escape_debug()
            ))
            .hint("a platform is `linux/` and an architecture, such as `linux/amd64`")
            .maybe_hint(did_you_mean(architecture.unwrap_or(text), ARCHITECTURES))),
        }
    }

    /// The machine this program was compiled for.
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "x86" => "386",
            "aarch64" => "arm64",
            "powerpc64" => "ppc64le",
            "loongarch64" => "loong64",
            other => other,
        };
        Self {
            architecture: architecture.to_owned(),
            variant: None,
        }
    }

    /// The architecture by Go's name, `amd64`.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The architecture by Debian's name, `armhf`.
    pub fn debian_architecture(&self) -> &str {
        match (self.architecture.as_str(), self.variant.as_deref()) {
            ("386", _) => "i386",
            ("arm", Some("v5" | "v6")) => "armel",
            ("arm", _) => "armhf",
            ("ppc64le", _) => "ppc64el",
            (other, _) => other,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "linux/{}", self.architecture)?;
        if let Some(variant) = &self.variant {
            write!(f, "/{variant}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_read_back() {
        for good in ["linux/amd64", "linux/arm/v7"] {
            assert_eq!(
                Platform::parse(good).map(|p| p.to_string()),
                Ok(good.to_owned())
            );
        }
        for bad in [
            "",
            "amd64",
            "windows/amd64",
            "linux/x86",
            "linux/arm/v7/x",
            "linux/arm/",
        ] {
            assert!(Platform::parse(bad).is_err(), "{bad}");
        }
        assert!(Platform::parse(&Platform::host().to_string()).is_ok());
    }
}
