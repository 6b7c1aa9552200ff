use super::*;

/// What is wrong with one line of a stage.
fn in_stage(line: &str) -> Vec<String> {
    wrong(&format!("FROM x\n{line}\n"))
}

#[test]
fn instructions_are_known_by_name() {
    for (line, expected, hint) in [
        (
            "RUNN a",
            "2:1 unknown instruction `RUNN` [RUNN]",
            "did you mean `RUN`?",
        ),
        (
            "COYP a b",
            "2:1 unknown instruction `COYP` [COYP]",
            "did you mean `COPY`?",
        ),
        (
            "entrypont a",
            "2:1 unknown instruction `entrypont` [entrypont]",
            "`ENTRYPOINT`",
        ),
        (
            "  && make",
            "2:3 unknown instruction `&&` [&&]",
            "escape character",
        ),
        (
            "RUN\u{a0}x",
            "2:1 unknown instruction `RUN\\u{a0}x` [RUN\u{a0}x]",
            "ordinary space",
        ),
        (
            "{% x %}",
            "2:1 unknown instruction `{%` [{%]",
            "escape character",
        ),
        (
            "ONBUILD CPY a b",
            "2:9 unknown instruction `CPY` [CPY]",
            "did you mean `COPY`?",
        ),
    ] {
        assert_eq!(in_stage(line), [expected], "{line}");
        let problems = parse(&source(&format!("FROM x\n{line}"))).err();
        let hints: Vec<_> = problems
            .into_iter()
            .flatten()
            .flat_map(|problem| problem.hints().to_vec())
            .collect();
        assert!(hints.iter().any(|h| h.contains(hint)), "{line}: {hints:?}");
    }
}

#[test]
fn arguments_are_counted() {
    for (line, expected) in [
        ("FROM", "2:1 FROM needs an image [FROM]"),
        ("FROM a b", "2:8 FROM has 2 words [b]"),
        ("FROM a as", "2:8 FROM has 2 words [as]"),
        ("FROM a AS b c", "2:8 FROM has 4 words [AS b c]"),
        ("FROM a # c", "2:8 FROM has 3 words [# c]"),
        (
            "FROM a AS 1b",
            "2:11 `1b` cannot be the name of a stage [1b]",
        ),
        (
            "FROM a AS b/c",
            "2:11 `b/c` cannot be the name of a stage [b/c]",
        ),
        ("RUN", "2:1 RUN needs a command [RUN]"),
        ("RUN []", "2:1 RUN needs a command [RUN]"),
        ("CMD", "2:1 CMD needs a command [CMD]"),
        (
            "ENTRYPOINT  ",
            "2:1 ENTRYPOINT needs a command [ENTRYPOINT]",
        ),
        ("COPY", "2:1 COPY needs a source and a destination [COPY]"),
        ("COPY a", "2:1 COPY needs a destination [COPY]"),
        ("COPY --link a", "2:1 COPY needs a destination [COPY]"),
        ("ADD [\"a\"]", "2:1 ADD needs a destination [ADD]"),
        ("ENV", "2:1 ENV needs a name and a value [ENV]"),
        ("ENV a", "2:5 `a` has no value [a]"),
        ("ENV a=b c", "2:9 `c` has no `=` [c]"),
        ("ENV =b", "2:5 there is no name before the `=` [=b]"),
        ("LABEL", "2:1 LABEL needs a name and a value [LABEL]"),
        ("ARG", "2:1 ARG needs a name [ARG]"),
        ("ARG =x", "2:5 there is no name before the `=` [=x]"),
        ("EXPOSE", "2:1 EXPOSE needs a port [EXPOSE]"),
        ("VOLUME", "2:1 VOLUME needs a directory [VOLUME]"),
        ("VOLUME []", "2:1 VOLUME needs a directory [VOLUME]"),
        ("VOLUME [\" \"]", "2:10 a volume has an empty path [ ]"),
        ("USER", "2:1 USER needs a user [USER]"),
        ("WORKDIR", "2:1 WORKDIR needs a directory [WORKDIR]"),
        ("STOPSIGNAL", "2:1 STOPSIGNAL needs a signal [STOPSIGNAL]"),
        ("MAINTAINER", "2:1 MAINTAINER needs a name [MAINTAINER]"),
        ("SHELL", "2:1 SHELL needs a shell [SHELL]"),
        ("SHELL []", "2:1 SHELL needs a shell [SHELL]"),
        (
            "SHELL /bin/sh -c",
            "2:7 SHELL takes a JSON array only [/bin/sh -c]",
        ),
        ("ONBUILD", "2:1 ONBUILD needs an instruction [ONBUILD]"),
        (
            "ONBUILD ONBUILD RUN x",
            "2:9 ONBUILD cannot put off ONBUILD [ONBUILD]",
        ),
        ("ONBUILD from x", "2:9 ONBUILD cannot put off FROM [from]"),
        ("ONBUILD RUN", "2:9 RUN needs a command [RUN]"),
        (
            "HEALTHCHECK",
            "2:1 HEALTHCHECK needs CMD or NONE [HEALTHCHECK]",
        ),
        (
            "HEALTHCHECK CMD",
            "2:1 HEALTHCHECK needs a command [HEALTHCHECK]",
        ),
        (
            "HEALTHCHECK NONE x",
            "2:18 HEALTHCHECK NONE takes no arguments [x]",
        ),
        (
            "HEALTHCHECK curl x",
            "2:13 HEALTHCHECK has no form `CURL` [curl]",
        ),
    ] {
        assert_eq!(in_stage(line), [expected], "{line}");
    }
}

#[test]
fn values_are_checked() {
    for (line, expected) in [
        (
            "RUN [1]",
            "2:5 a JSON array here may hold strings only [[1]]",
        ),
        (
            "COPY [\"a\", 1]",
            "2:6 a JSON array here may hold strings only [[\"a\", 1]]",
        ),
        (
            "STOPSIGNAL SIGTREM",
            "2:12 `SIGTREM` is no signal [SIGTREM]",
        ),
        ("EXPOSE 80 http", "2:11 `http` is no port [http]"),
        ("EXPOSE 99999", "2:8 `99999` is no port [99999]"),
        ("COPY --chmod=64a x y", "2:14 `64a` is no mode [64a]"),
        (
            "COPY --from=$X a b",
            "2:13 `--from` takes no variables [$X]",
        ),
        ("COPY --from= a b", "2:12 `--from` has no value [=]"),
        (
            "COPY https://x/y z",
            "2:6 COPY cannot fetch a URL [https://x/y]",
        ),
        (
            "COPY git@x:y z",
            "2:6 COPY cannot clone a repository [git@x:y]",
        ),
        (
            "COPY a <<E\nE",
            "2:8 COPY cannot have a heredoc as its destination [<<E]",
        ),
        ("COPY << E /x\nE", "2:6 `<<` has no delimiter [<<]"),
        (
            "COPY <<'a b' /x\na b",
            "2:6 COPY cannot read this heredoc [<<'a b']",
        ),
        ("COPY it's <<E /x", "2:11 `<<E` opens no heredoc here [<<E]"),
        (
            "RUN --network=hots x",
            "2:15 `hots` is no value of `--network` [hots]",
        ),
        (
            "RUN --security=x y",
            "2:16 `x` is no value of `--security` [x]",
        ),
        (
            "HEALTHCHECK --interval=5 CMD x",
            "2:24 `5` is no value of `--interval`: its unit is missing [5]",
        ),
        (
            "HEALTHCHECK --timeout=1us CMD x",
            "2:23 `1us` is no value of `--timeout`: it is less than a millisecond [1us]",
        ),
        (
            "HEALTHCHECK --retries=-1 CMD x",
            "2:23 `-1` is no number of retries [-1]",
        ),
    ] {
        assert_eq!(in_stage(line), [expected], "{line}");
    }
}

#[test]
fn flags_are_checked() {
    for (line, expected, hint) in [
        (
            "COPY --form=x a b",
            "2:6 COPY has no flag `--form` [--form=x]",
            "`--from`",
        ),
        (
            "COPY --From=x a b",
            "2:6 COPY has no flag `--From` [--From=x]",
            "`--from`",
        ),
        (
            "ADD --from=x a b",
            "2:5 ADD has no flag `--from` [--from=x]",
            "--chown, --chmod",
        ),
        (
            "RUN --mout=x a",
            "2:5 RUN has no flag `--mout` [--mout=x]",
            "`--mount`",
        ),
        (
            "CMD --help",
            "2:5 CMD has no flag `--help` [--help]",
            "JSON form",
        ),
        (
            "ARG --x a",
            "2:5 ARG has no flag `--x` [--x]",
            "takes no flags",
        ),
        (
            "COPY --from a b",
            "2:6 `--from` has no value [--from]",
            "--from=VALUE",
        ),
        (
            "COPY --link=x a b",
            "2:6 `x` is not a value of `--link` [--link=x]",
            "true",
        ),
        (
            "COPY --link --link a b",
            "2:13 second `--link` flag [--link]",
            "remove",
        ),
        (
            "FROM --platfrom=x y",
            "2:6 FROM has no flag `--platfrom` [--platfrom=x]",
            "`--platform`",
        ),
    ] {
        assert_eq!(in_stage(line), [expected], "{line}");
        let problems = parse(&source(&format!("FROM x\n{line}"))).err();
        let hints: Vec<_> = problems
            .into_iter()
            .flatten()
            .flat_map(|problem| problem.hints().to_vec())
            .collect();
        assert!(hints.iter().any(|h| h.contains(hint)), "{line}: {hints:?}");
    }
}

#[test]
fn mounts_are_checked() {
    for (line, expected) in [
        (
            "RUN --mount=tpye=cache x",
            "2:13 `tpye` is no mount option [tpye]",
        ),
        (
            "RUN --mount=type=cahce x",
            "2:18 `cahce` is no mount type [cahce]",
        ),
        (
            "RUN --mount=type=cache,sharing=x y",
            "2:32 `x` is no mount sharing [x]",
        ),
        (
            "RUN --mount=target x",
            "2:13 mount option `target` has no value [target]",
        ),
        (
            "RUN --mount=from=$A,target=/x y",
            "2:18 `from` of a mount takes no variables [$A]",
        ),
        (
            "RUN --mount=type=secret,from=a x",
            "2:30 a secret mount has no `from` [a]",
        ),
        (
            "RUN --mount=type=cache,ro=maybe,target=/x y",
            "2:27 `maybe` is neither true nor false [maybe]",
        ),
        (
            "RUN --mount=type=cache,mode=9,target=/x y",
            "2:29 `9` is no mode [9]",
        ),
        (
            "RUN --mount=type=cache,uid=a,target=/x y",
            "2:28 `a` is no uid [a]",
        ),
        (
            "RUN --mount=type=bind, target=/x y",
            "2:13 `` is no mount option [type=bind,]",
        ),
    ] {
        assert_eq!(in_stage(line), [expected], "{line}");
    }
}

#[test]
fn files_need_a_from_first() {
    for (text, expected) in [
        ("", vec!["Dockerfile is empty"]),
        ("# x\n\n", vec!["Dockerfile is empty"]),
        ("ARG x\n", vec!["Dockerfile has no FROM"]),
        (
            "RUN x\nRUN y\n",
            vec!["1:1 RUN before the first FROM [RUN]"],
        ),
        (
            "ARG a\nCopy a b\nFROM x\n",
            vec!["2:1 COPY before the first FROM [Copy]"],
        ),
        (
            "FORM x\nRUN y\n",
            vec![
                "1:1 unknown instruction `FORM` [FORM]",
                "2:1 RUN before the first FROM [RUN]",
            ],
        ),
        ("FROM\nRUN y\n", vec!["1:1 FROM needs an image [FROM]"]),
        ("FORM x\n", vec!["1:1 unknown instruction `FORM` [FORM]"]),
    ] {
        assert_eq!(wrong(text), expected, "{text:?}");
    }
}

#[test]
fn stages_have_their_own_names() {
    assert_eq!(
        wrong("FROM x AS a\nFROM y AS A\n"),
        ["2:11 second stage `a` [A]"]
    );
}

#[test]
fn all_problems_come_at_once_but_not_without_end() {
    let text = format!("FROM x\n{}USER\nCOPY\n", "BAD\n".repeat(3));
    assert_eq!(wrong(&text).len(), 5);
    let many = wrong(&format!("FROM x\n{}", "BAD\n".repeat(1_000)));
    assert_eq!(many.len(), 51);
    assert_eq!(many[50], "950 more problems in this file");
}
