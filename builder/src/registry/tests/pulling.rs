use super::*;

fn with_manifest(bytes: &[u8], media_type: &'static str) -> Server {
    let bytes = bytes.to_vec();
    Server::start(move |request| {
        if request.path == "/v2/" {
            return Reply::new(200, "");
        }
        Reply::new(200, bytes.clone()).with("Content-Type", media_type)
    })
}

#[test]
fn a_manifest_comes_by_tag_and_by_digest() {
    let text = br#"{"schemaVersion":2,"manifests":[]}"#;
    let server = with_manifest(
        text,
        "application/vnd.oci.image.index.v1+json; charset=utf-8",
    );
    let client = client();
    let by_tag = client.manifest(&reference(&server, "a:1")).unwrap();
    assert_eq!(by_tag.media_type, media::INDEX);
    assert_eq!(by_tag.bytes, text);
    assert_eq!(by_tag.digest, Digest::of(text));
    let right = reference(&server, "a").at_digest(Digest::of(text));
    assert_eq!(client.manifest(&right), Ok(by_tag));
    let wrong = reference(&server, "a").at_digest(Digest::of("other"));
    let error = client.manifest(&wrong).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    let accepts = server.seen().into_iter().rev().find(|r| r.method == "GET");
    let accepts = accepts.unwrap().headers;
    let accepts = accepts.iter().filter(|(name, _)| name == "accept").count();
    assert_eq!(accepts, media::MANIFESTS.len());
}

#[test]
fn a_manifest_has_a_limit() {
    let mut text = br#"{"schemaVersion":2,"x":""#.to_vec();
    text.resize(5 << 20, b'x');
    text.extend(b"\"}");
    let sized = with_manifest(&text, media::MANIFEST);
    let endless = Server::start(move |_| Reply {
        unsized_body: true,
        ..Reply::new(200, text.clone())
    });
    for server in [sized, endless] {
        let error = client().manifest(&reference(&server, "a:1")).unwrap_err();
        assert!(error.to_string().contains("larger than"), "{error}");
    }
}

#[test]
fn a_digest_is_resolved_without_fetching_where_the_registry_says_it() {
    let memory = Memory::new(memory::Habits::default());
    let text = manifest(&[memory.put("a", b"config")]);
    let key = ("a".to_owned(), "1".to_owned());
    memory
        .state
        .lock()
        .unwrap()
        .manifests
        .insert(key, text.clone());
    let server = memory.serve();
    let client = client();
    let found = client.resolve(&reference(&server, "a:1"));
    assert_eq!(found, Ok(Some(Digest::of(&text))));
    assert_eq!(client.resolve(&reference(&server, "a:2")), Ok(None));
    assert_eq!(
        server.lines(),
        ["HEAD /v2/a/manifests/1", "HEAD /v2/a/manifests/2"]
    );
    let silent = with_manifest(&text, media::MANIFEST);
    let found = client.resolve(&reference(&silent, "a:1"));
    assert_eq!(found, Ok(Some(Digest::of(&text))));
}

#[test]
fn a_blob_is_fetched_and_checked() {
    let memory = Memory::new(memory::Habits::default());
    let bytes = noise(3_000_000, 1);
    let blob = memory.put("a", &bytes);
    let empty = memory.put("a", b"");
    let server = memory.serve();
    let (client, repository) = (client(), repository(&server, "a"));
    let told = Mutex::new(Vec::new());
    let mut found = Vec::new();
    let progress = |done, all| told.lock().unwrap().push((done, all));
    client
        .blob(&repository, &blob, &mut found, &progress)
        .unwrap();
    assert!(found == bytes);
    let told = told.into_inner().unwrap();
    assert_eq!(told.last(), Some(&(blob.size, blob.size)));
    assert_eq!(pull(&client, &repository, &empty), Ok(Vec::new()));
    assert_eq!(client.has_blob(&repository, &blob.digest), Ok(true));
    assert_eq!(client.has_blob(&repository, &Digest::of("no")), Ok(false));
    let missing = Blob {
        digest: Digest::of("no"),
        size: 2,
    };
    let error = pull(&client, &repository, &missing).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[test]
fn a_blob_of_other_content_or_size_is_corrupt() {
    let blob = Blob {
        digest: Digest::of("right"),
        size: 5,
    };
    for (body, sized) in [
        ("wrong", true),
        ("longer", true),
        ("longer", false),
        ("less", true),
    ] {
        let server = Server::start(move |_| Reply {
            unsized_body: !sized,
            ..Reply::new(200, body)
        });
        let error = pull(&client(), &repository(&server, "a"), &blob).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{body}: {error}");
    }
}

#[test]
fn what_cannot_be_written_is_a_local_failure() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let memory = Memory::new(memory::Habits::default());
    let blob = memory.put("a", b"x");
    let server = memory.serve();
    let error = client().blob(&repository(&server, "a"), &blob, &mut Full, &quiet);
    assert!(matches!(error, Err(Error::Local { .. })), "{error:?}");
}

#[test]
fn credentials_do_not_follow_a_redirect_to_another_host() {
    let bytes = noise(1000, 2);
    let blob = Blob {
        digest: Digest::of(&bytes),
        size: 1000,
    };
    let body = bytes.clone();
    let store = Server::start_at(
        "127.0.0.2",
        |_| server::Gate::Pass,
        move |_| Reply::new(200, body.clone()),
    );
    let place = format!("http://u:p@{}/object?signature=x#f", store.address);
    let registry = Server::start(move |request| {
        if request.header("authorization").is_none() {
            return Reply::new(401, "").with("WWW-Authenticate", "Basic realm=x");
        }
        match request.path.as_str() {
            "/v2/" => Reply::new(200, ""),
            "/v2/a/moved" => Reply::new(307, "").with("Location", &place),
            _ => Reply::new(302, "").with("Location", "/v2/a/moved"),
        }
    });
    let (client, repository) = (client(), repository(&registry, "a"));
    client.log_in(&repository, Some(&password()));
    assert_eq!(pull(&client, &repository, &blob), Ok(bytes));
    let at_store = store.seen();
    assert_eq!(at_store.len(), 1);
    assert_eq!(at_store[0].header("authorization"), None);
    assert_eq!(at_store[0].query("signature"), Some("x"));
    let own = registry
        .seen()
        .into_iter()
        .find(|r| r.path == "/v2/a/moved");
    assert!(own.unwrap().header("authorization").is_some());
}

#[test]
fn redirects_end() {
    let server = Server::start(|_| Reply::new(302, "").with("Location", "/v2/again?secret=1"));
    let error = client().manifest(&reference(&server, "a:1")).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}
