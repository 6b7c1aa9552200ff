use super::*;
use std::sync::atomic::AtomicU64;

const BASIC: &str = "Basic bWU6czNjcmV0";

/// A registry with a token server of its own. A token is `tN`, and only the newest is accepted,
/// `uses` times.
fn guarded(memory: &Arc<Memory>, uses: usize) -> Server {
    let memory = Arc::clone(memory);
    let current = Mutex::new((0_usize, 0_usize));
    Server::start(move |request| {
        let mut current = current.lock().unwrap();
        if request.path == "/token" {
            let known = match request.method.as_str() {
                "POST" => String::from_utf8_lossy(&request.body).contains("refresh_token=id%2Fent"),
                _ => request.header("authorization") == Some(BASIC),
            };
            if !known {
                let body = r#"{"details":"who is s3cret?"}"#;
                return Reply::new(401, body);
            }
            current.0 += 1;
            current.1 = uses;
            return Reply::new(
                200,
                format!(r#"{{"token":"t{}","expires_in":100}}"#, current.0),
            );
        }
        let token = format!("Bearer t{}", current.0);
        if current.1 == 0 || request.header("authorization") != Some(token.as_str()) {
            let realm = format!("http://{}/token", request.header("host").unwrap());
            let challenge = format!(r#"Bearer realm="{realm}",service="here""#);
            return Reply::new(401, "{}").with("WWW-Authenticate", challenge);
        }
        current.1 -= 1;
        drop(current);
        memory.answer(request)
    })
}

fn tokens(server: &Server) -> Vec<Request> {
    let seen = server.seen().into_iter();
    seen.filter(|r| r.path == "/token").collect()
}

#[test]
fn a_token_is_fetched_once_and_used_until_it_is_refused() {
    let memory = Memory::new(memory::Habits::default());
    let blob = memory.put("team/a", b"x");
    let server = guarded(&memory, 3);
    let (client, repository) = (client(), repository(&server, "team/a"));
    client.log_in(&repository, Some(&password()));
    for _ in 0..5 {
        assert_eq!(client.has_blob(&repository, &blob.digest), Ok(true));
    }
    let tokens = tokens(&server);
    assert_eq!(tokens.len(), 2);
    assert_eq!(tokens[0].query("service"), Some("here"));
    assert_eq!(tokens[0].query("account"), Some("me"));
    assert_eq!(tokens[0].query("scope"), Some("repository:team/a:pull"));
    let leaked = server.seen().into_iter().filter(|r| r.path != "/token");
    assert!(
        leaked
            .filter_map(|r| r.header("authorization").map(str::to_owned))
            .all(|h| h != BASIC)
    );
}

#[test]
fn a_push_goes_on_when_its_token_ends_half_way() {
    let memory = Memory::new(memory::Habits::default());
    let server = guarded(&memory, 2);
    let (mut options, _) = options();
    options.chunk = Some(300_000);
    let client = Client::new(options);
    let repository = repository(&server, "a");
    client.log_in(&repository, Some(&password()));
    let mut store = Store::default();
    let blobs = [store.add(noise(2_000_000, 2))];
    push(&Pusher::new(client), &repository, &blobs, &store, &["1"]).unwrap();
    assert!(tokens(&server).len() > 4);
}

#[test]
fn a_token_that_is_about_to_expire_is_not_sent() {
    let memory = Memory::new(memory::Habits::default());
    let blob = memory.put("a", b"x");
    let server = guarded(&memory, 1000);
    let now = Arc::new(AtomicU64::new(0));
    let (mut options, _) = options();
    let clock = Arc::clone(&now);
    options.clock = Some(Arc::new(move || {
        Duration::from_secs(clock.load(Ordering::Relaxed))
    }));
    let client = Client::new(options);
    let repository = repository(&server, "a");
    client.log_in(&repository, Some(&password()));
    for (second, fetched) in [(0, 1), (79, 1), (81, 2), (100, 2), (170, 3)] {
        now.store(second, Ordering::Relaxed);
        assert_eq!(client.has_blob(&repository, &blob.digest), Ok(true));
        assert_eq!(tokens(&server).len(), fetched, "at {second}");
    }
}

#[test]
fn an_identity_token_is_exchanged() {
    let memory = Memory::new(memory::Habits::default());
    let blob = memory.put("a", b"x");
    let server = guarded(&memory, 1000);
    let (client, repository) = (client(), repository(&server, "a"));
    client.log_in(&repository, Some(&Credentials::Token("id/entity".into())));
    assert_eq!(client.has_blob(&repository, &blob.digest), Ok(true));
    let asked = &tokens(&server)[0];
    let body = String::from_utf8_lossy(&asked.body).into_owned();
    for part in [
        "grant_type=refresh_token",
        "service=here",
        "scope=repository%3Aa%3Apull",
    ] {
        assert!(body.contains(part), "{body}");
    }
}

#[test]
fn a_mount_asks_for_both_repositories() {
    let memory = Memory::new(memory::Habits::default());
    let server = guarded(&memory, 1000);
    let client = client();
    let pusher = Pusher::new(client.clone());
    client.log_in(&repository(&server, "a"), Some(&password()));
    let mut store = Store::default();
    let blobs = [store.add(noise(10, 1))];
    for path in ["a", "b"] {
        push(&pusher, &repository(&server, path), &blobs, &store, &[]).unwrap();
    }
    assert_eq!(memory.state.lock().unwrap().mounted, 1);
    let scopes = |request: &Request| -> Vec<String> {
        let scopes = request.query.iter().filter(|(name, _)| name == "scope");
        scopes.map(|(_, value)| value.clone()).collect()
    };
    let asked: Vec<_> = tokens(&server).iter().map(scopes).collect();
    assert!(asked.contains(&vec![
        "repository:a:pull".to_owned(),
        "repository:b:pull,push".to_owned()
    ]));
}

#[test]
fn wrong_credentials_are_told_without_showing_them() {
    let memory = Memory::new(memory::Habits::default());
    let server = guarded(&memory, 1000);
    let (client, repository) = (client(), repository(&server, "a"));
    let wrong = Credentials::Password {
        username: "you".into(),
        password: "s3cret".into(),
    };
    for credentials in [Some(&wrong), None] {
        client.log_in(&repository, credentials);
        let error = client.has_blob(&repository, &Digest::of("x")).unwrap_err();
        assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
        let (text, address) = (error.to_string(), server.address);
        assert!(text.starts_with(&format!("{address}/a: ")), "{text}");
        if credentials.is_some() {
            assert!(text.contains("who is ***?"), "{text}");
        }
    }
}

#[test]
fn a_refused_password_is_sent_once_and_not_shown_when_it_comes_back() {
    let server = Server::start(|request| {
        let echo = request.header("authorization").unwrap_or_default();
        let body = format!(r#"{{"errors":[{{"code":"UNAUTHORIZED","message":"{echo} s3cret"}}]}}"#);
        Reply::new(401, body).with("WWW-Authenticate", "Basic realm=\"x\"")
    });
    let (client, repository) = (client(), repository(&server, "a"));
    client.log_in(&repository, Some(&password()));
    let error = client.has_blob(&repository, &Digest::of("x")).unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    assert_eq!(server.lines().len(), 1);
    let error = client.manifest(&reference(&server, "a:1")).unwrap_err();
    assert!(error.to_string().ends_with("Basic *** ***"), "{error}");
    let debug = format!("{client:?} {:?} {error:?}", password());
    assert!(
        !debug.contains("s3cret") && !debug.contains(&BASIC[6..]),
        "{debug}"
    );
}

#[test]
fn scopes_that_a_registry_names_itself_are_asked_for() {
    let server = Server::start(|request| {
        if request.path == "/token" {
            let wanted = request
                .query
                .iter()
                .any(|(_, v)| v == "repository:inner/a:pull");
            return Reply::new(200, format!(r#"{{"access_token":"{wanted}"}}"#));
        }
        if request.header("authorization") == Some("Bearer true") {
            return Reply::new(200, "");
        }
        let realm = format!("http://{}/token", request.header("host").unwrap());
        let scope = r#"scope="repository:inner/a:pull""#;
        Reply::new(401, "").with(
            "WWW-Authenticate",
            format!(r#"Bearer realm="{realm}",{scope}"#),
        )
    });
    let found = client().has_blob(&repository(&server, "a"), &Digest::of("x"));
    assert_eq!(found, Ok(true));
}
