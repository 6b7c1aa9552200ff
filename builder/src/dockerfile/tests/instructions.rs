use std::time::Duration;

use super::*;

fn command(line: &str) -> (bool, Vec<String>) {
    let (_, instruction) = only(line);
    let command = match instruction.kind {
        Kind::Cmd(command) | Kind::Entrypoint(command) => command,
        Kind::Run(run) => run.command,
        Kind::Healthcheck(Healthcheck::Command { command, .. }) => command,
        other => unreachable!("{other:?}"),
    };
    match command {
        Command::Shell(word) => (false, vec![word.text]),
        Command::Exec(words) => (true, words.into_iter().map(|word| word.text).collect()),
    }
}

#[test]
fn commands_have_two_forms() {
    for (line, exec, words) in [
        ("RUN a b", false, vec!["a b"]),
        ("RUN  [ -f /x ] && y", false, vec!["[ -f /x ] && y"]),
        ("RUN [\"a\", \"b c\"]", true, vec!["a", "b c"]),
        ("RUN [\"c:\\x\"]", false, vec!["[\"c:\\x\"]"]),
        ("CMD ['a']", false, vec!["['a']"]),
        ("CMD [\"a\"] # b", false, vec!["[\"a\"] # b"]),
        ("CMD []", true, vec![]),
        ("ENTRYPOINT [ ]", true, vec![]),
        ("ENTRYPOINT [\"ä\\n\"]", true, vec!["ä\n"]),
        ("CMD [\"a\",\\\n \"b\"]", true, vec!["a", "b"]),
        ("RUN --network=none [\"a\"]", true, vec!["a"]),
        ("RUN -- --x", false, vec!["--x"]),
        ("HEALTHCHECK --interval=5s CMD a | b", false, vec!["a | b"]),
        ("HEALTHCHECK cmd [\"a\"]", true, vec!["a"]),
        ("RUN a <<E\nx\nE", false, vec!["a <<E"]),
    ] {
        let words = words.into_iter().map(str::to_owned).collect();
        assert_eq!(command(line), (exec, words), "{line}");
    }
}

#[test]
fn flags_are_read() {
    let (text, instruction) = only(
        "COPY --from=a --chown=\"u v\" --link --parents=FALSE --exclude=*.o --exclude=b\\ c x /y",
    );
    assert_eq!(instruction.flag("from").map(|w| w.text.as_str()), Some("a"));
    let chown = instruction.flag("chown");
    assert_eq!(chown.map(|w| w.text.as_str()), Some("u v"));
    assert_eq!(chown.map(|w| &text[w.span.clone()]), Some("\"u v\""));
    assert!(instruction.switch("link") && !instruction.switch("parents"));
    let excluded: Vec<_> = instruction
        .flag_values("exclude")
        .map(|w| w.text.as_str())
        .collect();
    assert_eq!(excluded, ["*.o", "b c"]);
    let spans: Vec<_> = instruction
        .flags
        .iter()
        .map(|f| &text[f.span.clone()])
        .collect();
    assert_eq!(spans[2..5], ["--link", "--parents=FALSE", "--exclude=*.o"]);
}

#[test]
fn flags_continue_over_lines() {
    let (text, instruction) = only("COPY --fr\\\nom=äö\\\nü \\\n# c\n --link a b");
    let from = instruction.flag("from");
    assert_eq!(from.map(|w| w.text.as_str()), Some("äöü"));
    assert_eq!(from.map(|w| &text[w.span.clone()]), Some("äö\\\nü"));
    assert!(instruction.switch("link"));
}

#[test]
fn variables_and_labels_are_pairs() {
    for (line, expected) in [
        ("ENV a=b", vec![("a", "b")]),
        ("ENV a b", vec![("a", "b")]),
        ("ENV a  b  c=d ", vec![("a", "b  c=d")]),
        (
            "ENV a=b c=\"d e\" f='g h' i=j\\ k",
            vec![("a", "b"), ("c", "\"d e\""), ("f", "'g h'"), ("i", "j\\ k")],
        ),
        ("ENV a= b=\"\"", vec![("a", ""), ("b", "\"\"")]),
        ("ENV a=b=c", vec![("a", "b=c")]),
        ("LABEL \"x y\"=z", vec![("\"x y\"", "z")]),
        ("LABEL a=b \\\n  c=d", vec![("a", "b"), ("c", "d")]),
        ("LABEL a=\"b \\\" c\"", vec![("a", "\"b \\\" c\"")]),
    ] {
        let (_, instruction) = only(line);
        let (Kind::Env(pairs) | Kind::Label(pairs)) = &instruction.kind else {
            unreachable!()
        };
        let pairs: Vec<_> = pairs
            .iter()
            .map(|pair| (pair.name.text.as_str(), pair.value.text.as_str()))
            .collect();
        assert_eq!(pairs, expected, "{line}");
    }
}

#[test]
fn arguments_may_have_defaults() {
    let (_, instruction) = only("ARG a b=c d= e=\"f g\"");
    let Kind::Arg(args) = &instruction.kind else {
        unreachable!()
    };
    let args: Vec<_> = args
        .iter()
        .map(|arg| {
            (
                arg.name.text.as_str(),
                arg.default.as_ref().map(|d| d.text.as_str()),
            )
        })
        .collect();
    assert_eq!(
        args,
        [
            ("a", None),
            ("b", Some("c")),
            ("d", Some("")),
            ("e", Some("\"f g\""))
        ]
    );
}

#[test]
fn words_and_lists() {
    for (line, expected) in [
        ("EXPOSE 80 81/tcp  $P", vec!["80", "81/tcp", "$P"]),
        ("VOLUME /a /b", vec!["/a", "/b"]),
        ("VOLUME [\"/a b\"]", vec!["/a b"]),
        ("SHELL [\"/bin/bash\", \"-c\"]", vec!["/bin/bash", "-c"]),
        ("USER a b", vec!["a b"]),
        ("WORKDIR \"/a b\"", vec!["\"/a b\""]),
        ("STOPSIGNAL SIGTERM", vec!["SIGTERM"]),
        ("MAINTAINER A <b@c>", vec!["A <b@c>"]),
    ] {
        let (_, instruction) = only(line);
        let words = match &instruction.kind {
            Kind::Expose(words) | Kind::Volume(words) | Kind::Shell(words) => texts(words),
            Kind::User(word)
            | Kind::Workdir(word)
            | Kind::Stopsignal(word)
            | Kind::Maintainer(word) => vec![word.text.as_str()],
            other => unreachable!("{other:?}"),
        };
        assert_eq!(words, expected, "{line}");
        assert_eq!(
            instruction.kind.name(),
            line.split(' ').next().unwrap_or_default()
        );
    }
}

#[test]
fn sources_are_told_apart() {
    for (line, expected) in [
        ("COPY a b c/", vec!["path a", "path b"]),
        (
            "COPY [\"a b\", \"<<E\", \"c\"]",
            vec!["path a b", "path <<E"],
        ),
        ("ADD https://x/y.tar /z", vec!["url https://x/y.tar"]),
        ("ADD https://x/y.git#v1 /z", vec!["git https://x/y.git#v1"]),
        (
            "ADD https://x/y.git?a=b /z",
            vec!["git https://x/y.git?a=b"],
        ),
        (
            "ADD git@x:y.git ssh://a/b /z",
            vec!["git git@x:y.git", "git ssh://a/b"],
        ),
        ("ADD github.com/x/y /z", vec!["path github.com/x/y"]),
        ("ADD $U /z", vec!["path $U"]),
    ] {
        let (_, instruction) = only(line);
        let (Kind::Copy(transfer) | Kind::Add(transfer)) = &instruction.kind else {
            unreachable!()
        };
        let found: Vec<_> = transfer
            .sources
            .iter()
            .map(|source| match source {
                TransferSource::Path(word) => format!("path {}", word.text),
                TransferSource::Url(word) => format!("url {}", word.text),
                TransferSource::Git(word) => format!("git {}", word.text),
                TransferSource::Heredoc(index) => format!("heredoc {index}"),
            })
            .collect();
        assert_eq!(found, expected, "{line}");
    }
}

#[test]
fn mounts_are_read() {
    let (text, instruction) = only(
        "RUN --mount=type=cache,dst=/c,ro,sharing=locked,mode=0755,from=a:1 \
         --mount='type=bind,\"src=x,y\",target=/t' --mount=target=/u,rw=false true",
    );
    let Kind::Run(run) = &instruction.kind else {
        unreachable!()
    };
    let [cache, bind, plain] = run.mounts.as_slice() else {
        unreachable!("{:?}", run.mounts)
    };
    let option = |mount: &Mount, name| mount.option(name).map(|w| w.text.clone());
    assert_eq!(cache.kind(), "cache");
    assert_eq!(option(cache, "target").as_deref(), Some("/c"));
    assert!(
        cache
            .options
            .iter()
            .any(|o| o.name == "readonly" && o.value.is_none())
    );
    let from = cache.option("from").map(|w| &text[w.span.clone()]);
    assert_eq!(from, Some("a:1"));
    assert_eq!(option(bind, "source").as_deref(), Some("x,y"));
    let source = bind.option("source").map(|w| &text[w.span.clone()]);
    assert_eq!(source, Some("x,y"));
    assert_eq!(plain.kind(), "bind");
    assert_eq!(option(plain, "readwrite").as_deref(), Some("false"));
    assert!(text[cache.span.clone()].starts_with("type=cache"));
}

#[test]
fn health_checks_have_times() {
    let (_, instruction) = only(
        "HEALTHCHECK --interval=1m --timeout=3s --start-period=0s --start-interval=1s --retries=5 \
         CMD x",
    );
    let Kind::Healthcheck(Healthcheck::Command {
        interval,
        timeout,
        start_period,
        start_interval,
        retries,
        ..
    }) = instruction.kind
    else {
        unreachable!()
    };
    assert_eq!(interval, Some(Duration::from_secs(60)));
    assert_eq!(timeout, Some(Duration::from_secs(3)));
    assert_eq!(start_period, None);
    assert_eq!(start_interval, Some(Duration::from_secs(1)));
    assert_eq!(retries, Some(5));
    let (_, instruction) = only("HEALTHCHECK none");
    assert_eq!(instruction.kind, Kind::Healthcheck(Healthcheck::None));
}

#[test]
fn onbuild_puts_off_an_instruction() {
    let (text, instruction) = only("ONBUILD  COPY --from=x a \\\n b");
    let Kind::Onbuild(trigger) = &instruction.kind else {
        unreachable!()
    };
    assert!(matches!(trigger.kind, Kind::Copy(_)));
    assert_eq!(trigger.original, "COPY --from=x a  b");
    assert_eq!(&text[trigger.span.clone()], "COPY --from=x a \\\n b");
    assert_eq!(trigger.flag("from").map(|w| w.text.as_str()), Some("x"));
}

#[test]
fn stages_are_cut_at_from() {
    let text =
        "ARG A\nARG B=1\nFROM a AS One\nRUN x\nfrom b\nFROM --platform=$P c as two.x\nRUN y\n";
    let file = good(text);
    assert_eq!(file.global_args().len(), 2);
    let stages: Vec<_> = file
        .stages()
        .iter()
        .map(|stage| {
            (
                stage.from.image.text.as_str(),
                stage.name.as_ref().map(|name| name.text.as_str()),
                stage.instructions.len(),
                &text[stage.span.clone()],
            )
        })
        .collect();
    assert_eq!(
        stages,
        [
            ("a", Some("one"), 1, "FROM a AS One\nRUN x"),
            ("b", None, 0, "from b"),
            (
                "c",
                Some("two.x"),
                1,
                "FROM --platform=$P c as two.x\nRUN y"
            ),
        ]
    );
    assert_eq!(file.stage("ONE"), Some(0));
    assert_eq!(file.stage("three"), None);
    let platform = file.stages()[2].from.platform.as_ref();
    assert_eq!(platform.map(|w| w.text.as_str()), Some("$P"));
}
