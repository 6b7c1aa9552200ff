//! What another parser makes of the same files.

use super::comparison::{Verdict, compare};
use super::corpus::CORPUS;
use super::hostile::{Random, mutate};

#[test]
fn two_parsers_agree() {
    assert!(CORPUS.len() >= 30);
    for text in CORPUS {
        assert_eq!(compare(text), Verdict::Same, "{text}");
    }
}

#[test]
fn two_parsers_agree_on_what_both_accept() {
    let mut random = Random(7);
    let (mut compared, mut skipped) = (0, 0);
    for _ in 0..8_000 {
        let text = CORPUS[random.below(CORPUS.len())];
        let cross = CORPUS[random.below(CORPUS.len())];
        // It keeps an escape character at the end of the file, so that the end is a plain line.
        let text = mutate(text, cross, &mut random) + "\n\nUSER end\n";
        match compare(&text) {
            Verdict::Same => compared += 1,
            Verdict::Skipped(_) => skipped += 1,
            Verdict::Refused => {}
        }
    }
    assert!(compared > 1_000, "{compared} compared, {skipped} skipped");
}
