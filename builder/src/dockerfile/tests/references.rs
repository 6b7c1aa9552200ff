use super::*;

fn uses(text: &str, args: &[(&str, &str)]) -> Result<Vec<String>, Vec<String>> {
    let file = parse(&source(text)).map_err(|p| p.iter().map(show).collect::<Vec<_>>())?;
    match file.image_uses(&map(args)) {
        Ok(uses) => Ok(uses
            .iter()
            .map(|u| {
                let kind = match u.kind {
                    UseKind::From => "from",
                    UseKind::CopyFrom => "copy",
                    UseKind::MountFrom => "mount",
                };
                assert!(u.location().line().is_some());
                format!("{} {kind} {} [{}]", u.stage, u.image, &text[u.span.clone()])
            })
            .collect()),
        Err(problems) => Err(problems.iter().map(show).collect()),
    }
}

#[test]
fn images_are_told_from_stages() {
    for (text, expected) in [
        ("FROM debian:13", vec!["0 from debian:13 [debian:13]"]),
        ("FROM scratch", vec![]),
        ("FROM a AS b\nFROM b\nFROM B", vec!["0 from a [a]"]),
        ("FROM a AS a", vec!["0 from a [a]"]),
        ("FROM b\nFROM a AS b", vec!["0 from b [b]", "1 from a [a]"]),
        (
            "FROM x\nCOPY --from=y /a /b",
            vec!["0 from x [x]", "0 copy y [y]"],
        ),
        (
            "FROM x AS y\nFROM z\nCOPY --from=Y /a /b",
            vec!["0 from x [x]", "1 from z [z]"],
        ),
        (
            "FROM x\nFROM z\nCOPY --from=0 /a /b",
            vec!["0 from x [x]", "1 from z [z]"],
        ),
        ("FROM x\nCOPY --from=scratch /a /b", vec!["0 from x [x]"]),
        (
            "FROM x\nCOPY --from=\"y:1\" /a /b",
            vec!["0 from x [x]", "0 copy y:1 [\"y:1\"]"],
        ),
        (
            "FROM x AS s\nFROM z\nRUN --mount=from=s,target=/a --mount=type=cache,from=q,target=/b y",
            vec!["0 from x [x]", "1 from z [z]", "1 mount q [q]"],
        ),
        (
            "FROM x\nRUN --mount=type=tmpfs,from=q,target=/b y",
            vec!["0 from x [x]"],
        ),
        ("FROM x\nONBUILD COPY --from=y a b", vec!["0 from x [x]"]),
        (
            "FROM x AS p\nONBUILD COPY --from=y a b\nFROM p",
            vec!["0 from x [x]", "1 copy y [y]"],
        ),
        ("FROM x\nADD https://y/z /a\nCOPY a b", vec!["0 from x [x]"]),
    ] {
        let expected = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(uses(text, &[]), Ok(expected), "{text}");
    }
}

#[test]
fn global_arguments_are_expanded() {
    for (text, args, expected) in [
        ("ARG V=13\nFROM debian:$V", vec![], "debian:13"),
        ("ARG V=13\nFROM debian:${V}", vec![("V", "12")], "debian:12"),
        ("ARG V\nFROM debian:${V:-11}", vec![], "debian:11"),
        (
            "ARG V\nFROM debian:${V:-11}",
            vec![("V", "12")],
            "debian:12",
        ),
        ("FROM debian:${V:-11}", vec![("V", "12")], "debian:11"),
        ("ARG A=x B=$A\nARG C=${B}y\nFROM $C", vec![], "xy"),
        ("ARG A=x\nARG C=${A}y\nFROM $C", vec![("A", "z")], "zy"),
        ("ARG A='$x'\nFROM a$A", vec![], "a$x"),
        ("ARG A=\"b c\"\nFROM ${A%?c}", vec![], "b"),
        (
            "FROM a-$TARGETARCH",
            vec![("TARGETARCH", "arm64")],
            "a-arm64",
        ),
        (
            "ARG TARGETARCH\nFROM a-$TARGETARCH",
            vec![("TARGETARCH", "arm64")],
            "a-arm64",
        ),
        ("ARG A=${B:?needed}\nFROM $A", vec![("A", "x")], "x"),
        ("ARG I=a/b:1\nFROM \"$I\"", vec![], "a/b:1"),
        ("# escape=`\nARG I=a\nFROM `${I", vec![], "${I"),
    ] {
        let found = parse(&source(text))
            .and_then(|file| file.image_uses(&map(&args)))
            .map(|uses| uses.into_iter().map(|u| u.image).collect::<Vec<_>>());
        assert_eq!(found, Ok(vec![expected.to_owned()]), "{text}");
    }
}

#[test]
fn arguments_of_a_stage_do_not_reach_from() {
    assert_eq!(
        uses("FROM x\nARG V=1\nFROM debian:$V", &[]),
        Err(vec![
            "3:6 FROM becomes `debian:`, which is no image [debian:$V]".to_owned()
        ])
    );
}

#[test]
fn a_base_may_be_a_stage_by_argument() {
    let text = "ARG BASE=one\nFROM a AS one\nFROM b AS two\nFROM $BASE\n";
    let found = uses(text, &[("BASE", "c")]);
    assert_eq!(found.map(|found| found.len()), Ok(3));
    let found = uses(text, &[]);
    assert_eq!(found.map(|found| found.len()), Ok(2));
    let file = good(text);
    let needed = |args: &[(&str, &str)]| {
        file.needed_stages(None, &map(args))
            .map(|n| n.into_iter().collect::<Vec<_>>())
    };
    assert_eq!(needed(&[]), Ok(vec![0, 2]));
    assert_eq!(needed(&[("BASE", "two")]), Ok(vec![1, 2]));
    assert_eq!(needed(&[("BASE", "c")]), Ok(vec![2]));
}

#[test]
fn expansion_mistakes_have_places() {
    for (text, expected) in [
        (
            "FROM $X",
            "1:6 FROM names no image once its variables are expanded [$X]",
        ),
        ("FROM a:${X:?say}", "1:8 X: say [${X:?say}]"),
        ("ARG A=ü${\nFROM x", "1:8 `${` has no variable name [${]"),
        ("FROM a:'x", "1:8 single quote is never closed ['x]"),
        (
            "FROM --platform=$X y",
            "1:17 `--platform` is empty once its variables are expanded [$X]",
        ),
    ] {
        assert_eq!(uses(text, &[]), Err(vec![expected.to_owned()]), "{text}");
    }
}

#[test]
fn missing_variables_get_a_hint() {
    for (text, hint) in [
        ("ARG VERSION=1\nFROM $VERSON", "did you mean `VERSION`?"),
        ("ARG VERSION\nFROM $VERSION", "`VERSION` has no value"),
        ("FROM $VERSION", "declare `ARG VERSION=...`"),
    ] {
        let problems = good(text).image_uses(&map(&[])).err();
        let hints: Vec<_> = problems
            .into_iter()
            .flatten()
            .flat_map(|problem| problem.hints().to_vec())
            .collect();
        assert!(hints.iter().any(|h| h.contains(hint)), "{text}: {hints:?}");
    }
}

#[test]
fn platforms_are_expanded() {
    let file =
        good("ARG P=linux/arm64\nFROM --platform=$P a\nFROM --platform=$BUILDPLATFORM b\nFROM c");
    let platforms = |args: &[(&str, &str)]| {
        file.image_uses(&map(args))
            .map(|uses| uses.into_iter().map(|u| u.platform).collect::<Vec<_>>())
    };
    let arm = Some("linux/arm64".to_owned());
    let amd = Some("linux/amd64".to_owned());
    assert_eq!(platforms(&[]), Ok(vec![arm.clone(), None, None]));
    assert_eq!(
        platforms(&[("BUILDPLATFORM", "linux/amd64"), ("P", "linux/amd64")]),
        Ok(vec![amd.clone(), amd, None])
    );
}

#[test]
fn stages_copy_from_earlier_ones() {
    for (text, expected) in [
        (
            "FROM x\nCOPY --from=0 a b",
            "2:13 a stage cannot copy from itself [0]",
        ),
        (
            "FROM x AS y\nCOPY --from=Y a b",
            "2:13 a stage cannot copy from itself [Y]",
        ),
        (
            "FROM x\nCOPY --from=1 a b\nFROM z",
            "2:13 a stage cannot copy from a later one [1]",
        ),
        (
            "FROM x\nCOPY --from=q a b\nFROM z AS q",
            "2:13 a stage cannot copy from a later one [q]",
        ),
        (
            "FROM x\nCOPY --from=7 a b\nFROM z",
            "2:13 there is no stage 7 [7]",
        ),
        (
            "FROM x\nCOPY --from=-1 a b",
            "2:13 there is no stage -1 [-1]",
        ),
        (
            "FROM x AS y\nRUN --mount=from=y,target=/z a",
            "2:18 a stage cannot copy from itself [y]",
        ),
    ] {
        assert_eq!(wrong(text), [expected], "{text}");
    }
}

#[test]
fn only_needed_stages_are_needed() {
    let text = "FROM a AS one\nFROM b AS two\nFROM c AS three\nCOPY --from=one /a /b\n\
                FROM d AS four\nRUN --mount=from=two,target=/x y\nFROM three\nRUN z\n";
    let file = good(text);
    let needed = |target| {
        file.needed_stages(target, &map(&[]))
            .map(|needed| needed.into_iter().collect::<Vec<_>>())
            .map_err(|problems| problems.iter().map(show).collect::<Vec<_>>())
    };
    assert_eq!(needed(None), Ok(vec![0, 2, 4]));
    assert_eq!(needed(Some("FOUR")), Ok(vec![1, 3]));
    assert_eq!(needed(Some("one")), Ok(vec![0]));
    assert_eq!(
        needed(Some("thre")),
        Err(vec!["no stage `thre`".to_owned()])
    );
}

#[test]
fn declared_arguments_are_listed() {
    let file = good("ARG A B=1\nFROM x\nARG C\nONBUILD ARG D=2\nENV E=1\nFROM y\nARG A\n");
    assert_eq!(
        file.declared_args().into_iter().collect::<Vec<_>>(),
        ["A", "B", "C", "D"]
    );
    assert!(is_predefined_arg("http_proxy") && is_predefined_arg("TARGETARCH"));
    assert!(!is_predefined_arg("Http_Proxy") && !is_platform_arg("HTTP_PROXY"));
}

#[test]
fn expansion_of_arguments_cannot_explode() {
    let mut text = "ARG A0=0123456789\n".to_owned();
    for i in 1..100 {
        text += &format!("ARG A{i}=${{A{}}}${{A{}}}${{A{0}}}\n", i - 1, i - 1);
    }
    text += "FROM x\n";
    assert!(good(&text).image_uses(&map(&[])).is_err());
}

#[test]
fn references_are_substituted_and_the_rest_stays() {
    let text = "FROM a:1 AS a\r\n# FROM a:1\r\nFROM \\\r\n b\r\nCOPY --from=\"c\" ä /b\r\nRUN --mount=target=/x,from=d e";
    let file = good(text);
    let edits: Vec<_> = file
        .image_uses(&map(&[]))
        .into_iter()
        .flatten()
        .map(|u| (u.span.clone(), format!("r/{}@x", u.image)))
        .rev()
        .collect();
    assert_eq!(
        substitute(text, &edits),
        "FROM r/a:1@x AS a\r\n# FROM a:1\r\nFROM \\\r\n r/b@x\r\nCOPY --from=r/c@x ä /b\r\nRUN --mount=target=/x,from=r/d@x e"
    );
    assert_eq!(substitute(text, &[]), text);
}

#[test]
fn edits_that_do_not_fit_are_left_out() {
    let edit = |range: Range<usize>| (range, "X".to_owned());
    for (edits, expected) in [
        (vec![edit(0..1), edit(0..2)], "Xäc"),
        (vec![edit(1..2)], "aäc"),
        (vec![edit(3..9)], "aäc"),
        (vec![edit(4..4), edit(0..0)], "XaäcX"),
        (vec![edit(1..3)], "aXc"),
    ] {
        assert_eq!(substitute("aäc", &edits), expected, "{edits:?}");
    }
}
