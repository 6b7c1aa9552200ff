#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

/// An index of packages given as "NAME VERSION" and further fields, one package a paragraph.
fn index(text: &str) -> Index {
    let mut index = Index::default();
    let mut all = String::new();
    for paragraph in text.split("\n\n") {
        let (head, fields) = paragraph
            .trim()
            .split_once('\n')
            .unwrap_or((paragraph.trim(), ""));
        let (name, version) = head.split_once(' ').unwrap();
        let fields: Vec<&str> = fields.lines().map(str::trim).collect();
        let architecture = match fields.iter().any(|f| f.starts_with("Architecture")) {
            true => "",
            false => "Architecture: amd64\n",
        };
        all.push_str(&format!(
            "Package: {name}\nVersion: {version}\n{architecture}Filename: pool/{name}.deb\nSize: 1\nSHA256: {}\n{}\n\n",
            "0".repeat(64),
            fields.join("\n")
        ));
    }
    index.read(all.as_bytes(), 0).unwrap();
    index
}

fn names(text: &str, include: &[&str]) -> Result<String, ResolveError> {
    let include: Vec<String> = include.iter().map(|s| (*s).to_owned()).collect();
    let found = resolve(&index(text), "amd64", Variant::Essential, &include)?;
    Ok(found.packages.into_keys().collect::<Vec<_>>().join(" "))
}

#[track_caller]
fn chosen(text: &str, expected: &str) {
    assert_eq!(names(text, &["a"]).unwrap(), expected);
}

#[track_caller]
fn fails(text: &str) -> ResolveError {
    match names(text, &["a"]) {
        Ok(names) => panic!("chose {names}"),
        Err(error) => error,
    }
}

#[test]
fn dependencies_of_dependencies_come_along() {
    chosen(
        "a 1\nDepends: b\nPre-Depends: c\n\nb 1\nDepends: d\n\nc 1\n\nd 1\n\ne 1",
        "a b c d",
    );
}

#[test]
fn cycles_are_no_obstacle() {
    chosen("a 1\nDepends: b\n\nb 1\nDepends: a, b", "a b");
}

#[test]
fn versions_are_constraints() {
    for good in [
        "(= 2)",
        "(>= 2)",
        "(>= 1.9~)",
        "(<= 2)",
        "(<< 2+b1)",
        "(>> 1)",
    ] {
        chosen(&format!("a 1\nDepends: b {good}\n\nb 2"), "a b");
    }
    for bad in [
        "(= 2.0)",
        "(>= 2.1)",
        "(<< 2)",
        "(>> 2)",
        "(<= 1:0) , b (>> 1:0)",
    ] {
        let error = fails(&format!("a 1\nDepends: b {bad}\n\nb 2")).to_string();
        assert!(error.ends_with("; there is b 2"), "{error}");
    }
}

#[test]
fn of_alternatives_the_first_is_taken_that_can_be_had() {
    chosen("a 1\nDepends: b | c\n\nb 1\n\nc 1", "a b");
    chosen("a 1\nDepends: b (>= 2) | c\n\nb 1\n\nc 1", "a c");
    // What something else needs anyway satisfies, however the alternatives are ordered.
    chosen(
        "a 1\nDepends: b | c, d\n\nb 1\n\nc 1\n\nd 1\nDepends: c",
        "a c d",
    );
    // One that cannot be had in the end is none.
    chosen("a 1\nDepends: b | c\n\nb 1\nDepends: nothing\n\nc 1", "a c");
    chosen(
        "a 1\nDepends: b | c, d\n\nb 1\nConflicts: d\n\nc 1\n\nd 1",
        "a c d",
    );
    chosen(
        "a 1\nDepends: usrmerge | usr-is-merged\n\nusrmerge 1\n\nusr-is-merged 1",
        "a usr-is-merged",
    );
}

#[test]
fn what_a_package_provides_counts() {
    chosen("a 1\nDepends: v\n\nb 1\nProvides: v", "a b");
    // The more important one, then by name.
    chosen(
        "a 1\nDepends: v\n\nb 1\nProvides: v\n\nc 1\nPriority: required\nProvides: v",
        "a c",
    );
    chosen(
        "a 1\nDepends: v\n\nc 1\nProvides: v\n\nb 1\nProvides: v",
        "a b",
    );
    // A package of that name before its stand-ins.
    chosen("a 1\nDepends: v\n\nb 1\nProvides: v\n\nv 1", "a v");
    chosen(
        "a 1\nDepends: v (>= 2)\n\nb 1\nProvides: v (= 2.1)\n\nv 1",
        "a b",
    );
    // Without a version nothing is promised about versions.
    assert!(matches!(
        fails("a 1\nDepends: v (>= 1)\n\nb 1\nProvides: v"),
        ResolveError::Unsatisfied { .. }
    ));
}

#[test]
fn qualifiers_ask_for_an_architecture() {
    chosen("a 1\nDepends: b:any\n\nb 1\nMulti-Arch: allowed", "a b");
    chosen("a 1\nDepends: b:amd64\n\nb 1", "a b");
    chosen("a 1\nDepends: v:any\n\nb 1\nProvides: v:any", "a b");
    for bad in [
        "a 1\nDepends: b:any\n\nb 1\nMulti-Arch: foreign",
        "a 1\nDepends: b:arm64\n\nb 1",
    ] {
        assert!(
            matches!(fails(bad), ResolveError::Unsatisfied { .. }),
            "{bad}"
        );
    }
    let other = fails("a 1\nArchitecture: arm64");
    assert!(
        matches!(other, ResolveError::Architecture { .. }),
        "{other}"
    );
    chosen("a 1\nArchitecture: all", "a");
}

#[test]
fn what_cannot_be_satisfied_is_told_with_its_chain() {
    let error = fails("a 1\nDepends: b\n\nb 1\nDepends: c (>= 2) | d\n\nc 1");
    let ResolveError::Unsatisfied {
        relation,
        found,
        chain,
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(relation, "c (>= 2) | d");
    assert_eq!(found, "; there is c 1");
    assert_eq!(chain, "`b`, needed by `a`, wanted as include");
    let unknown = names("abc 1", &["abd"]).unwrap_err();
    assert!(matches!(unknown, ResolveError::Unknown { near: Some(near), .. } if near == "abc"));
}

#[test]
fn packages_that_exclude_each_other_are_told() {
    for text in [
        "a 1\nDepends: b\n\nb 1\nConflicts: a",
        "a 1\nDepends: b\nBreaks: b (<< 2)\n\nb 1",
        "a 1\nDepends: b\nConflicts: v\n\nb 1\nProvides: v",
    ] {
        let error = fails(text);
        assert!(matches!(error, ResolveError::Conflict { .. }), "{error}");
    }
    chosen("a 1\nDepends: b\nBreaks: b (<< 1)\n\nb 1", "a b");
    // A package may exclude all others that do the same.
    chosen("a 1\nProvides: v\nConflicts: v", "a");
}

#[test]
fn variants_are_by_essence_and_priority() {
    let index = index(
        "base 1\nEssential: yes\nDepends: lib\n\nlib 1\n\napt 1\nDepends: more\n\nmore 1\n\n\
         r 1\nPriority: required\n\ni 1\nPriority: important\n\ns 1\nPriority: standard\n\no 1\nPriority: optional",
    );
    for (variant, expected) in [
        (Variant::Essential, "base lib"),
        (Variant::Apt, "apt base lib more"),
        (Variant::Minbase, "apt base lib more r"),
        (Variant::Required, "apt base lib more r"),
        (Variant::Important, "apt base i lib more r"),
        (Variant::Standard, "apt base i lib more r s"),
    ] {
        let found = resolve(&index, "amd64", variant, &[]).unwrap();
        let names: Vec<&str> = found.packages.keys().map(String::as_str).collect();
        assert_eq!(names.join(" "), expected, "{variant:?}");
        let automatic: Vec<&str> = found.automatic.iter().map(String::as_str).collect();
        let expected: &[&str] = if variant == Variant::Essential {
            &[]
        } else {
            &["more"]
        };
        assert_eq!(automatic, expected, "{variant:?}");
    }
}

#[test]
fn choices_without_end_are_given_up() {
    let mut text = String::from("a 1\nDepends: nothing-at-last");
    let mut depends = Vec::new();
    for n in 0..40 {
        depends.push(format!("x{n} | y{n}"));
        text.push_str(&format!("\n\nx{n} 1\n\ny{n} 1"));
    }
    depends.push("z | w".into());
    let text = text.replace("nothing-at-last", &depends.join(", "));
    let text = format!("{text}\n\nz 1\nDepends: nothing\n\nw 1\nDepends: nothing");
    assert!(matches!(fails(&text), ResolveError::Unsatisfied { .. }));
}
