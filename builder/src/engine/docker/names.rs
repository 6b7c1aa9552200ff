//! Podman spells out what Docker leaves away: an image tagged `kollaglue/base:x` is listed there as
//! `docker.io/kollaglue/base:x`, or with `localhost/` where the compatibility rule is switched off.

use crate::model::Reference;

/// Repositories that stand for "no registry was named".
const UNNAMED: [&str; 3] = ["docker.io/library/", "docker.io/", "localhost/"];

/// What an engine lists, as the reference the image was once given; `None` for `<none>:<none>` and
/// for what is no reference.
pub(super) fn listed(text: &str, spelled_out: bool) -> Option<Reference> {
    let short = UNNAMED.iter().find_map(|prefix| text.strip_prefix(prefix));
    Reference::parse(short.filter(|_| spelled_out).unwrap_or(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_comes_back_as_it_was_given() {
        let shown = |text, podman| listed(text, podman).map(|r| r.to_string());
        for (text, expected) in [
            ("docker.io/kollaglue/base:x", "kollaglue/base:x"),
            ("docker.io/library/debian:13", "debian:13"),
            ("localhost/kollaglue/base:x", "kollaglue/base:x"),
            ("kolla.invalid/base:fp-1", "kolla.invalid/base:fp-1"),
            ("reg.example:5000/a/b:1", "reg.example:5000/a/b:1"),
        ] {
            assert_eq!(shown(text, true).as_deref(), Some(expected));
        }
        assert_eq!(
            shown("localhost/a:1", false).as_deref(),
            Some("localhost/a:1")
        );
        assert_eq!(shown("<none>:<none>", true), None);
        assert_eq!(shown("<none>@<none>", false), None);
    }
}
