use super::*;

/// Instructions of the first stage, each with its joined text.
fn originals(text: &str) -> Vec<String> {
    good(text).stages()[0]
        .instructions
        .iter()
        .map(|instruction| instruction.original.clone())
        .collect()
}

#[test]
fn lines_are_joined() {
    for (text, expected) in [
        ("RUN a", vec!["RUN a"]),
        ("RUN a \\\n    b", vec!["RUN a     b"]),
        ("RUN a\\\nb", vec!["RUN ab"]),
        ("RUN a\\  \t\nb", vec!["RUN ab"]),
        ("RUN a \\\\\nRUN b", vec!["RUN a \\\\", "RUN b"]),
        ("RUN a\\ b", vec!["RUN a\\ b"]),
        ("RUN a\\\n# c\nb", vec!["RUN ab"]),
        ("RUN a\\\n   # c \\\nb", vec!["RUN ab"]),
        ("RUN a\\\n\n  \nb", vec!["RUN ab"]),
        ("RUN a \\\n\\\nb", vec!["RUN a b"]),
        ("RUN a\\\nb # no comment", vec!["RUN ab # no comment"]),
        ("RUN a \\", vec!["RUN a"]),
        ("RUN a \\\n\n", vec!["RUN a"]),
        ("  RUN a  \n\tRUN b\t", vec!["RUN a", "RUN b"]),
        ("\\\nRUN a", vec!["RUN a"]),
        ("\n\n# x\n   # y\nRUN a\n\n", vec!["RUN a"]),
        ("run a\nRuN b", vec!["run a", "RuN b"]),
    ] {
        for text in [
            format!("FROM x\n{text}"),
            format!("FROM x\n{text}\n"),
            format!("FROM x\n{text}\n").replace('\n', "\r\n"),
            format!("\u{feff}FROM x\n{text}\n"),
        ] {
            assert_eq!(originals(&text), expected, "{text:?}");
        }
    }
}

#[test]
fn spans_are_exact_across_continuations() {
    let text = "\u{feff}# ä\r\nFROM  deb\\\r\n  # ö\r\nian:13 \\\r\n  as Grün\\\r\nx\r\n";
    assert_eq!(wrong(text).len(), 1, "{:?}", wrong(text));
    let text = text.replace("Grün", "Gruen");
    let file = good(&text);
    let from = &file.stages()[0].from;
    assert_eq!(from.image.text, "debian:13");
    assert_eq!(&text[from.image.span.clone()], "deb\\\r\n  # ö\r\nian:13");
    let name = file.stages()[0].name.as_ref();
    assert_eq!(name.map(|n| n.text.as_str()), Some("gruenx"));
    assert_eq!(name.map(|n| &text[n.span.clone()]), Some("Gruen\\\r\nx"));
    let from = &text[from.span.clone()];
    assert!(
        from.starts_with("FROM") && from.ends_with("\nx"),
        "{from:?}"
    );
}

#[test]
fn words_stand_where_their_spans_say() {
    let text = "ARG é=ü b='c d'\nFROM --platform=linux/amd64 x AS n\nENV a=b \"k v\"='é'\n\
                COPY --from=q --chown=\"a:b\" é* /z/\nRUN --mount=type=bind,from=ö,target=/t \\\n é\n\
                CMD [\"ä\", \"b\"]\nEXPOSE 80 81/udp\n";
    let file = good(text);
    each_word(&file, |word| {
        let there = &text[word.span.clone()];
        let plain = there.trim_matches('"');
        assert!(
            word.text == there || word.text == plain || word.text.eq_ignore_ascii_case(there),
            "{word:?} {there:?}"
        );
    });
}

#[test]
fn directives_are_read_at_the_top_only() {
    let escape = |text: &str| parse(&source(text)).map(|file| file.escape());
    for (head, expected) in [
        ("# escape=`\n", '`'),
        ("#escape=`\n", '`'),
        ("# ESCAPE = `  \n", '`'),
        ("  # escape=`\n", '`'),
        ("# syntax=a\n# escape=`\n", '`'),
        ("# escape=\\\n", '\\'),
        ("\u{feff}# escape=`\n", '`'),
        ("# escape=`\r\n", '`'),
        ("\n# escape=`\n", '\\'),
        ("# hello\n# escape=`\n", '\\'),
        ("# other=x\n# escape=`\n", '\\'),
        ("#!/bin/x\n# escape=`\n", '\\'),
        ("# escape =\n# escape=`\n", '\\'),
        ("ARG x\n# escape=`\n", '\\'),
    ] {
        assert_eq!(escape(&format!("{head}FROM x\n")), Ok(expected), "{head:?}");
    }
    let file = good("#!/x\n# Syntax = docker/dockerfile:1 # y \n# check=skip=all\nFROM x\n");
    let directives = file.directives();
    let text = |word: &Option<Word>| word.as_ref().map(|word| word.text.clone());
    assert_eq!(
        text(&directives.syntax).as_deref(),
        Some("docker/dockerfile:1 # y")
    );
    assert_eq!(text(&directives.check).as_deref(), Some("skip=all"));
    assert_eq!(directives.escape, None);
}

#[test]
fn directives_are_checked() {
    assert_eq!(
        wrong("# escape=x\nFROM y"),
        ["1:10 `x` cannot be the escape character [x]"]
    );
    assert_eq!(
        wrong("# escape=`\n# Escape=`\nFROM y"),
        ["2:3 second `escape` directive [Escape]"]
    );
}

#[test]
fn the_escape_directive_changes_continuations() {
    let text = "# escape=`\nFROM x\nRUN a\\\nRUN b `\n  c\nCOPY a``\\ b\\\n";
    assert_eq!(originals(text), ["RUN a\\", "RUN b   c", "COPY a``\\ b\\"]);
}

#[test]
fn lines_longer_than_the_scanner_takes_are_refused() {
    let text = format!("FROM x\nRUN {}\n", "a".repeat(70_000));
    assert_eq!(
        wrong(&text),
        ["2:1 line of 70005 bytes is longer than 65535 [R]"]
    );
}
