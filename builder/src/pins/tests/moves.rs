#![allow(clippy::unwrap_used)]

use std::cell::Cell;

use super::*;
use crate::catalog::Bootstrap;
use crate::debian::{SuiteState, Variant};
use crate::model::Location;

/// A network in its `turn`th state.
struct At {
    turn: u32,
    asked: Cell<u32>,
}

impl At {
    fn turn(turn: u32) -> Self {
        let asked = Cell::new(0);
        Self { turn, asked }
    }
}

impl Network for At {
    fn archive(&self, archive: &Archive) -> Result<Suites, Diagnostic> {
        self.asked.set(self.asked.get() + 1);
        let suite = &archive.bootstrap.suite;
        let state = |name: String| {
            let state = SuiteState {
                inrelease: Digest::of(format!("{name} {}", self.turn)),
                date: self.turn.to_string(),
            };
            (name, state)
        };
        Ok([suite.clone(), format!("{suite}-security")]
            .map(state)
            .into())
    }

    fn image(&self, image: &Reference) -> Result<Digest, Diagnostic> {
        self.asked.set(self.asked.get() + 1);
        if image.path() == "gone" {
            return Err(Diagnostic::environment("there is no such image"));
        }
        Ok(Digest::of(format!("{image} {}", self.turn)))
    }
}

fn archive() -> Archive {
    Archive {
        bootstrap: Bootstrap {
            suite: "trixie".into(),
            variant: Variant::Essential,
            include: Vec::new(),
            components: Vec::new(),
            keyring: None,
            pinned: BTreeMap::new(),
        },
        declared: Location::file("service.toml"),
    }
}

fn needs(images: &[&str]) -> Needs {
    let place = |image: &&str| {
        (
            Reference::parse(image).unwrap(),
            Location::file("Dockerfile"),
        )
    };
    Needs {
        unsaid: Vec::new(),
        archives: BTreeMap::from([("trixie".into(), archive())]),
        images: images.iter().map(place).collect(),
    }
}

fn update(patterns: &[&str]) -> Patterns {
    let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
    Patterns::new(&patterns).unwrap()
}

fn names(moves: &[Move]) -> Vec<&str> {
    moves.iter().map(|m| m.name.as_str()).collect()
}

#[test]
fn what_is_pinned_stays_until_it_is_to_move() {
    let needs = needs(&["debian:13", "alpine:3"]);
    let first = moved(&Pins::default(), &needs, None, &At::turn(1)).unwrap();
    assert_eq!(
        names(&Move::between(&Pins::default(), &first)),
        ["alpine:3", "debian:13", "trixie", "trixie-security"]
    );
    assert!(needs.covered_by(&first).is_ok());
    let later = At::turn(2);
    assert_eq!(moved(&first, &needs, None, &later).unwrap(), first);
    // Of images there is nothing to ask, and of archives whether there are more suites.
    assert_eq!(later.asked.get(), 1);
    let moves = |patterns: &[&str]| {
        let after = moved(&first, &needs, Some(&update(patterns)), &later).unwrap();
        Move::between(&first, &after)
    };
    assert_eq!(moves(&[]).len(), 4);
    let security = moves(&["*-security"]);
    assert_eq!(names(&security), ["trixie-security"]);
    assert_eq!(
        security[0].before.as_ref().unwrap().date.as_deref(),
        Some("1")
    );
    assert_eq!(
        security[0].after.as_ref().unwrap().date.as_deref(),
        Some("2")
    );
    assert_eq!(
        names(&moves(&["debian:*", "trixie"])),
        ["debian:13", "trixie"]
    );
}

#[test]
fn suites_come_and_those_of_other_machines_stay() {
    let mut before = moved(&Pins::default(), &needs(&[]), None, &At::turn(1)).unwrap();
    let suites = before.archives.get_mut("trixie").unwrap();
    let state = suites.remove("trixie-security").unwrap();
    suites.insert("trixie-updates".into(), state);
    let network = At::turn(2);
    for update in [None, Some(update(&["trixie-*"]))] {
        let after = moved(&before, &needs(&[]), update.as_ref(), &network).unwrap();
        let moves = Move::between(&before, &after);
        assert_eq!(names(&moves), ["trixie-security"]);
        assert_eq!(moves[0].before, None);
        assert_eq!(moves[0].after.as_ref().unwrap().date.as_deref(), Some("2"));
    }
}

#[test]
fn what_nothing_needs_any_more_is_dropped() {
    let network = At::turn(1);
    let before = moved(&Pins::default(), &needs(&["debian:13"]), None, &network).unwrap();
    let mut fewer = needs(&[]);
    fewer.archives.clear();
    let after = moved(&before, &fewer, None, &network).unwrap();
    assert_eq!(after, Pins::default());
    assert!(
        Move::between(&before, &after)
            .iter()
            .all(|m| m.after.is_none())
    );
}

#[test]
fn what_the_network_does_not_say_is_a_problem_with_a_place() {
    let needs = needs(&["debian:13", "gone:1"]);
    let problems = moved(&Pins::default(), &needs, None, &At::turn(1)).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["Dockerfile: there is no such image"]);
}

#[test]
fn a_pattern_that_matches_nothing_is_a_mistake() {
    let first = moved(&Pins::default(), &needs(&[]), None, &At::turn(1)).unwrap();
    let problems = moved(
        &first,
        &needs(&[]),
        Some(&update(&["trixie-securty"])),
        &At::turn(2),
    );
    let problem = problems.unwrap_err().into_iter().next().unwrap();
    assert_eq!(
        problem.message(),
        "nothing that is pinned matches `trixie-securty`"
    );
    assert_eq!(problem.hints()[0], "did you mean `trixie-security`?");
    assert!(Patterns::new(&["[".to_owned()]).is_err());
}

#[test]
fn what_is_not_pinned_is_told_with_its_place() {
    let told = needs(&["debian:13"])
        .covered_by(&Pins::default())
        .unwrap_err();
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "service.toml: kolla.lock does not pin the archive of trixie",
            "Dockerfile: kolla.lock does not pin `debian:13`"
        ]
    );
}

#[test]
fn an_archive_that_moved_on_has_drifted() {
    let before = moved(&Pins::default(), &needs(&[]), None, &At::turn(1)).unwrap();
    let mut pinned = before.archives["trixie"].clone();
    let at = |turn| At::turn(turn).archive(&archive()).unwrap();
    assert!(drift("trixie", &pinned, &at(1)).is_empty());
    assert_eq!(
        names(&drift("trixie", &pinned, &at(2))),
        ["trixie", "trixie-security"]
    );
    // A machine whose mirrors have other suites makes other images.
    pinned.remove("trixie");
    let moves = drift("trixie", &pinned, &at(1));
    assert!(moves[0].before.is_none());
}
