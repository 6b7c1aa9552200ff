use super::*;

#[test]
fn sources_in_the_context_are_listed() {
    let text = "FROM x AS s\n\
                COPY a 'b c' \"d\\\"e\" /f/\n\
                COPY [\"g h\", \"/\"]\n\
                ADD i.tar https://x/y git@x:y *.j /k/\n\
                COPY $L/m ${N} /o\n\
                COPY --from=p q /r\n\
                COPY <<E t /u\nE\n\
                RUN --mount=type=bind,source=v,target=/w --mount=source=x,from=s2,target=/y true\n\
                RUN --mount=type=cache,source=z,target=/z true\n\
                ONBUILD COPY later /\n\
                FROM s\n";
    let text = text
        .replace("'b c'", "'b'c")
        .replace(",from=s2", ",from=img");
    let file = good(&text);
    let found: Vec<_> = file
        .context_sources()
        .iter()
        .map(|s| {
            let flags = [(s.variable, "variable"), (s.glob, "glob")];
            let flags: Vec<_> = flags.iter().filter(|f| f.0).map(|f| f.1).collect();
            assert!(s.location().line().is_some());
            format!("{} {:?} {} {}", s.stage, s.kind, s.path, flags.concat())
        })
        .collect();
    assert_eq!(
        found,
        [
            "0 Copy a ",
            "0 Copy bc ",
            "0 Copy d\"e ",
            "0 Copy g h ",
            "0 Add i.tar ",
            "0 Add *.j glob",
            "0 Copy $L/m variable",
            "0 Copy ${N} variable",
            "0 Copy t ",
            "0 Mount v ",
            "1 Copy later ",
        ]
    );
    let source = &file.context_sources()[1];
    assert_eq!(&text[source.span.clone()], "'b'c");
}
