use super::*;

fn source(text: &str) -> Source {
    Source::new("Dockerfile", text)
}

#[test]
fn smoke() {
    let text = "ARG V=13\nFROM debian:${V} AS Build\nCOPY a b /x\nRUN --mount=type=bind,from=tools:1,target=/t <<EOF\nfoo\nEOF\nFROM build\nCOPY --from=other:2 \\\n  # c\n  /a /b\n";
    let file = parse(&source(text));
    assert!(file.is_ok(), "{file:?}");
    let uses = file.map(|f| f.image_uses(&BTreeMap::new()));
    println_uses(text, &uses);
}

fn println_uses(text: &str, uses: &Result<Result<Vec<ImageUse>, Diagnostics>, Diagnostics>) {
    let Ok(Ok(uses)) = uses else {
        unreachable!("{uses:?}")
    };
    let got: Vec<_> = uses
        .iter()
        .map(|u| (u.image.as_str(), &text[u.span.clone()]))
        .collect();
    assert_eq!(
        got,
        [
            ("debian:13", "debian:${V}"),
            ("tools:1", "tools:1"),
            ("other:2", "other:2")
        ]
    );
}
