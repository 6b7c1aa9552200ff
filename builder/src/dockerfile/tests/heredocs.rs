use super::*;

#[test]
fn bodies_are_read() {
    for (text, expected) in [
        (
            "RUN <<EOF\necho a\n# b \\\nEOF\n",
            vec![("EOF", "echo a\n# b \\\n")],
        ),
        ("RUN <<EOF\nEOF", vec![("EOF", "")]),
        ("RUN <<-E\n\t\ta\n\t b\n\tE\n", vec![("E", "a\n b\n")]),
        ("RUN <<E\n\tE\n E\nE \nE", vec![("E", "\tE\n E\nE \n")]),
        (
            "RUN <<X <<Y\nY\nX\nX\nY\n",
            vec![("X", "Y\n"), ("Y", "X\n")],
        ),
        (
            "COPY <<a.txt <<-'b' /d/\n1\na.txt\n\t2\nb\n",
            vec![("a.txt", "1\n"), ("b", "2\n")],
        ),
        ("RUN <<EOF \\\n  sh\nx\nEOF", vec![("EOF", "x\n")]),
        ("RUN <<  EOF\nx\nEOF", vec![("EOF", "x\n")]),
        ("run 3<<E cat\nx\nE", vec![("E", "x\n")]),
        ("ADD <<E /x\nx\r\nE\r\n", vec![("E", "x\r\n")]),
        ("ONBUILD RUN <<E\nx\nE\n", vec![("E", "x\n")]),
        (
            "RUN --mount=type=cache,target=/x <<E\nx\nE\n",
            vec![("E", "x\n")],
        ),
        (
            "RUN cat <<E && y <<\"F\"\n1\nE\n2\nF\n",
            vec![("E", "1\n"), ("F", "2\n")],
        ),
    ] {
        let text = format!("{text}\nRUN after");
        let file = good(&format!("FROM x\n{text}"));
        let [instruction, after] = file.stages()[0].instructions.as_slice() else {
            unreachable!("{text}")
        };
        let found: Vec<_> = instruction
            .heredocs
            .iter()
            .map(|heredoc| (heredoc.name.as_str(), heredoc.content.as_str()))
            .collect();
        assert_eq!(found, expected, "{text:?}");
        assert_eq!(after.original, "RUN after");
        let source = file.source().text();
        for heredoc in &instruction.heredocs {
            assert!(source[heredoc.opening.clone()].contains("<<"));
            assert!(instruction.span.end > heredoc.body.end);
        }
        let last = &source[instruction.span.clone()];
        let name = instruction.heredocs.last().map_or("", |h| &h.name);
        assert!(last.ends_with(name), "{last:?}");
    }
}

#[test]
fn only_some_instructions_have_them() {
    for text in [
        "USER <<E",
        "CMD <<E",
        "RUN [\"<<E\"]",
        "COPY [\"<<E\", \"/x\"]",
        "RUN \"<<E\"",
        "RUN cat<<E",
        "RUN cat <<<E",
        "ENV A=<<E",
    ] {
        let (_, instruction) = only(text);
        assert!(instruction.heredocs.is_empty(), "{text}");
    }
}

#[test]
fn quoting_decides_on_expansion() {
    for (word, expand, strip_tabs) in [
        ("<<E", true, false),
        ("<<'E'", false, false),
        ("<<\"E\"", false, false),
        ("<<-E", true, true),
        ("<<-'E'", false, true),
    ] {
        let (_, instruction) = only(&format!("COPY {word} /x\nE\n"));
        let heredoc = &instruction.heredocs[0];
        assert_eq!(
            (heredoc.expand, heredoc.strip_tabs),
            (expand, strip_tabs),
            "{word}"
        );
    }
}

#[test]
fn an_open_heredoc_is_told_once() {
    assert_eq!(
        wrong("FROM x\nRUN a <<EOF\nb\nEOF2\n"),
        ["2:7 heredoc `EOF` is never closed [<<EOF]"]
    );
}

#[test]
fn bodies_of_broken_instructions_are_not_taken_for_instructions() {
    assert_eq!(
        wrong("FROM x\nRUN --nope <<EOF\necho\nEOF\nUSER\n"),
        [
            "2:5 RUN has no flag `--nope` [--nope]",
            "5:1 USER needs a user [USER]"
        ]
    );
}

#[test]
fn sources_and_heredocs_belong_together() {
    let (_, instruction) = only("COPY a <<E b <<F /d/\n1\nE\n2\nF\n");
    let Kind::Copy(transfer) = &instruction.kind else {
        unreachable!()
    };
    let shown: Vec<_> = transfer
        .sources
        .iter()
        .map(|source| match source {
            TransferSource::Heredoc(index) => instruction.heredocs[*index].name.as_str(),
            TransferSource::Path(word) | TransferSource::Url(word) | TransferSource::Git(word) => {
                word.text.as_str()
            }
        })
        .collect();
    assert_eq!(shown, ["a", "E", "b", "F"]);
}
