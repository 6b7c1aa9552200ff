use super::checks::survive;
use super::corpus::CORPUS;

/// xorshift, so that every run sees the same inputs.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

const PIECES: &[&str] = &[
    "\n",
    "\r\n",
    "\\\n",
    "\\",
    "`",
    "#",
    " ",
    "\t",
    "\"",
    "'",
    "$",
    "${",
    "}",
    "${A:-",
    "=",
    ",",
    "--",
    "--from=",
    "--mount=",
    "--platform=$X",
    "<<",
    "<<EOF",
    "<<-'E'",
    "EOF\n",
    "[",
    "]",
    "[\"a\", \"b\"]",
    "FROM ",
    "FROM scratch AS a\n",
    "ARG A=1\n",
    "COPY ",
    "RUN ",
    "ENV ",
    "ONBUILD ",
    "HEALTHCHECK ",
    "# escape=`\n",
    "# syntax=x\n",
    "ä",
    "\u{a0}",
    "\u{feff}",
    "한글",
    "\0",
    "😀",
    "type=cache",
    "0",
    "AS ",
    "${A//*/b}",
    "${A%%?}",
    "\\u00",
    "\u{2028}",
];

pub(super) fn mutate(text: &str, other: &str, random: &mut Random) -> String {
    let cut = |text: &str, random: &mut Random| {
        let mut at = random.below(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let mut text = text.to_owned();
    for _ in 0..=random.below(6) {
        let (a, b) = (cut(&text, random), cut(&text, random));
        let (a, b) = (a.min(b), a.max(b));
        match random.below(5) {
            0 => text.insert_str(a, PIECES[random.below(PIECES.len())]),
            1 => text.replace_range(a..b.min(ceil(&text, a + 8)), ""),
            2 => {
                let copy = text[a..b.min(ceil(&text, a + 200))].to_owned();
                text.insert_str(b, &copy);
            }
            3 => text.truncate(b),
            _ => {
                let (c, d) = (cut(other, random), cut(other, random));
                text.insert_str(a, &other[c.min(d)..c.max(d)]);
            }
        }
    }
    text
}

fn ceil(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

#[test]
fn mutated_files_never_panic_and_keep_their_spans() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut good, mut bad) = (0, 0);
    for round in 0..6_000 {
        let text = CORPUS[random.below(CORPUS.len())];
        let other = CORPUS[random.below(CORPUS.len())];
        let text = if round % 50 == 0 {
            text.to_owned()
        } else {
            mutate(text, other, &mut random)
        };
        if survive(&text) {
            good += 1;
        } else {
            bad += 1;
        }
    }
    assert!(good > 500 && bad > 500, "{good} {bad}");
}

#[test]
fn soup_of_syntax_never_panics() {
    let mut random = Random(42);
    for _ in 0..6_000 {
        let mut text = if random.below(2) == 0 { "FROM x\n" } else { "" }.to_owned();
        for _ in 0..random.below(30) {
            text += PIECES[random.below(PIECES.len())];
        }
        survive(&text);
    }
}

#[test]
fn every_prefix_of_a_file_survives() {
    for text in CORPUS.iter().take(6) {
        for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            survive(&text[..at]);
        }
    }
}

#[test]
fn large_inputs_come_to_an_end() {
    let n = 50_000;
    for text in [
        "BAD\n".repeat(n),
        "FROM x\n".repeat(n),
        "FROM x\n".to_owned() + &"RUN a \\\n".repeat(n),
        "FROM x\nRUN a \\\n".to_owned() + &"b \\\n".repeat(n),
        "FROM x\nRUN a \\\n".to_owned() + &"# c\n".repeat(n),
        "FROM x\nRUN \\\n".to_owned() + &"${A:- \\\n".repeat(n) + "<<E",
        "FROM x\nRUN <<E ".to_owned() + &"$ \\\n".repeat(n) + "\nE\n",
        "FROM x\nRUN ".to_owned() + &"<<E \\\n".repeat(n),
        "FROM x\nCOPY ".to_owned() + &"<<E \\\n".repeat(2_000) + " /\n" + &"E\n".repeat(2_000),
        "FROM x\nCOPY ".to_owned() + &"--exclude=a \\\n".repeat(n) + " a b",
        "FROM x\nCOPY ".to_owned() + &"--link \\\n".repeat(n) + " a b",
        "FROM x\nRUN --mount=".to_owned() + &"ro,\\\n".repeat(n) + "ro a",
        "FROM x\nRUN ".to_owned() + &"ONBUILD \\\n".repeat(n),
        "FROM x\n".to_owned() + &"ONBUILD \\\n".repeat(n),
        "FROM x\nCMD [".to_owned() + &"[\\\n".repeat(n),
        "FROM x\nCMD [".to_owned() + &"\"a\",\\\n".repeat(n) + "\"\"]",
        "FROM x\nENV ".to_owned() + &"a='b' \\\n".repeat(n),
        "ARG A=a\n".repeat(n) + "FROM x",
        "FROM x\n".to_owned() + &"COPY --from=y a b\n".repeat(n),
        (0..n).map(|i| format!("FROM x AS s{i}\n")).collect(),
        "# escape=`\n".repeat(n),
    ] {
        survive(&text);
    }
}
