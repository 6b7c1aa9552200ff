use crate::model::{Diagnostic, did_you_mean};

/// Which packages are in a root file system beside those asked for by name. The names and their
/// meanings are mmdebstrap's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// Essential packages.
    Essential,
    /// Essential packages and apt.
    Apt,
    /// Those, and all of priority required. The same as [`Self::Minbase`].
    Required,
    /// Those, and all of priority required.
    Minbase,
    /// Those, and all of priority important.
    Important,
    /// Those, and all of priority standard.
    Standard,
}

const ALL: [(&str, Variant); 6] = [
    ("essential", Variant::Essential),
    ("apt", Variant::Apt),
    ("required", Variant::Required),
    ("minbase", Variant::Minbase),
    ("important", Variant::Important),
    ("standard", Variant::Standard),
];

impl Variant {
    /// Reads a variant's name.
    ///
    /// # Errors
    /// A definition error that names the known ones, also for those of mmdebstrap's that leave
    /// nothing that could be configured in an image.
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        let names = ALL.map(|(name, _)| name);
        if let Some((_, variant)) = ALL.iter().find(|(name, _)| *name == text) {
            return Ok(*variant);
        }
        if ["extract", "custom"].contains(&text) {
            return Err(Diagnostic::definition(format!(
                "the variant `{text}` is not supported: a root file system has at least the essential packages"
            ))
            .hint(format!("there is: {}", names.join(", "))));
        }
        Err(
            Diagnostic::definition(format!("unknown variant `{}`", text.escape_debug()))
                .maybe_hint(did_you_mean(text, names)),
        )
    }

    /// The name.
    pub fn as_str(self) -> &'static str {
        let found = ALL.iter().find(|(_, variant)| *variant == self);
        found.map_or("", |(name, _)| name)
    }

    /// Whether apt is in it.
    pub(super) fn has_apt(self) -> bool {
        self != Self::Essential
    }

    /// Which priorities are in it (Debian Policy, section 2.5).
    pub(super) fn priorities(self) -> &'static [&'static str] {
        match self {
            Self::Essential | Self::Apt => &[],
            Self::Required | Self::Minbase => &["required"],
            Self::Important => &["required", "important"],
            Self::Standard => &["required", "important", "standard"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_read_back_and_others_are_named() {
        for (name, variant) in ALL {
            assert_eq!(Variant::parse(name), Ok(variant));
            assert_eq!(variant.as_str(), name);
        }
        let slip = Variant::parse("minbas").err();
        assert!(slip.is_some_and(|p| p.hints() == ["did you mean `minbase`?"]));
        let refused = Variant::parse("extract").err();
        assert!(refused.is_some_and(|p| p.message().contains("`extract` is not supported")));
    }
}
