#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn conffiles_are_absolute_paths() {
    let read = conffiles("/etc/a\n\n remove-on-upgrade /etc/old\n/etc/b/c\n").unwrap();
    let read: Vec<(&str, bool)> = read.iter().map(|c| (c.path.as_str(), c.gone)).collect();
    assert_eq!(
        read,
        [("etc/a", false), ("etc/old", true), ("etc/b/c", false)]
    );
    for bad in ["etc/a", "/etc/../x", "/etc/a b"] {
        assert!(conffiles(bad).is_err(), "{bad}");
    }
}

#[test]
fn triggers_that_a_package_waits_for() {
    let text = "# a comment\ninterest-noawait /usr/share/x # here\ninterest ldconfig\n\
        interest-await y\nactivate z\n";
    let read = interests(text).unwrap();
    let expected = [("/usr/share/x", false), ("ldconfig", true), ("y", true)];
    assert_eq!(read, expected.map(|(name, waits)| (name.to_owned(), waits)));
    for bad in [
        "interest",
        "interest File",
        "interest a/b",
        "interest ..",
        "interest /a/../b",
        "interest a b",
    ] {
        assert!(interests(bad).is_err(), "{bad}");
    }
}
