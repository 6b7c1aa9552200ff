use super::super::left_open::Note;
use super::memory::Habits;
use super::server::Gate;
use super::*;

/// Serves a registry, and cuts every third request before it is answered.
fn shaky(memory: &Arc<Memory>) -> Server {
    let memory = Arc::clone(memory);
    let guard = |request: &Request| match request.number % 3 {
        0 if request.number.is_multiple_of(2) => Gate::Cut,
        0 => Gate::Part(700_000),
        _ => Gate::Pass,
    };
    Server::guarded(guard, move |request| memory.answer(request))
}

#[test]
fn a_push_survives_every_third_request_being_cut() {
    for forgets in [false, true] {
        for chunk in [None, Some(400_000)] {
            let memory = Memory::new(Habits {
                forgets,
                ..Habits::default()
            });
            let server = shaky(&memory);
            let (mut options, _) = options();
            options.chunk = chunk;
            // Requests of several threads fall on the third by chance, and one may do so often.
            options.attempts = 20;
            let client = Client::new(options);
            let pusher = Pusher::new(client.clone());
            let repository = repository(&server, "a");
            let mut store = Store::default();
            let blobs: Vec<Blob> = [10, 1_100_000, 1_200_000, 1_500_000, 20]
                .map(|length| store.add(noise(length, length as u64)))
                .into();
            let digest = push(&pusher, &repository, &blobs, &store, &["1"]).unwrap();
            let found = client.resolve(&reference(&server, "a:1"));
            assert_eq!(found, Ok(Some(digest)), "{forgets} {chunk:?}");
            for blob in &blobs {
                let bytes = pull(&client, &repository, blob).unwrap();
                assert!(bytes == store.blobs[&blob.digest]);
            }
        }
    }
}

#[test]
fn five_tries_are_enough_for_what_is_sent_alone() {
    for forgets in [false, true] {
        let memory = Memory::new(Habits {
            forgets,
            ..Habits::default()
        });
        let server = shaky(&memory);
        let pusher = Pusher::new(client());
        let mut store = Store::default();
        for length in [10, 1_200_000, 2_000_000] {
            let blob = store.add(noise(length, 1));
            push(&pusher, &repository(&server, "a"), &[blob], &store, &["1"]).unwrap();
        }
    }
}

/// Serves a registry, and cuts the first PATCH after 1,200,000 bytes.
fn cutting_once(memory: Arc<Memory>) -> Server {
    let cut = std::sync::atomic::AtomicBool::new(false);
    let guard = move |request: &Request| match request.method.as_str() {
        "PATCH" if !cut.swap(true, Ordering::Relaxed) => Gate::Part(1_200_000),
        _ => Gate::Pass,
    };
    Server::guarded(guard, move |request| memory.answer(request))
}

#[test]
fn an_upload_goes_on_where_it_was_cut() {
    let server = cutting_once(Memory::new(Habits::default()));
    let mut store = Store::default();
    let blobs = [store.add(noise(3_000_000, 1))];
    push(
        &Pusher::new(client()),
        &repository(&server, "a"),
        &blobs,
        &store,
        &[],
    )
    .unwrap();
    let seen = server.seen();
    let patches: Vec<_> = seen.iter().filter(|r| r.method == "PATCH").collect();
    assert_eq!(patches.len(), 2);
    assert_eq!(patches[1].header("content-range"), Some("1200000-2999999"));
    assert_eq!(patches[1].body.len(), 1_800_000);
}

#[test]
fn an_upload_that_a_process_left_open_is_gone_on_with_by_the_next() {
    for forgets in [false, true] {
        let memory = Memory::new(Habits {
            forgets,
            ..Habits::default()
        });
        let server = cutting_once(memory);
        let folder = tempfile::tempdir().unwrap();
        let process = || {
            Pusher::new(Client::new(Options {
                attempts: 1,
                uploads: Some(folder.path().to_path_buf()),
                ..options().0
            }))
        };
        let mut store = Store::default();
        let blobs = [store.add(noise(3_000_000, 1))];
        let to = repository(&server, "a");
        push(&process(), &to, &blobs, &store, &[]).unwrap_err();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        push(&process(), &to, &blobs, &store, &[]).unwrap();
        let seen = server.seen();
        let patches = seen.iter().filter(|r| r.method == "PATCH");
        let sent: Vec<_> = patches.map(|r| r.header("content-range")).collect();
        let rest = (!forgets).then_some("1200000-2999999");
        assert_eq!(sent, [None, rest], "{forgets}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_note_of_an_upload_that_is_lost_holds_nothing_up() {
    // Nothing listens there.
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = nowhere.local_addr().unwrap();
    for status in [None, Some(500)] {
        let memory = Memory::new(Habits::default());
        let server = Server::start(move |request| match status {
            Some(status) if request.path.ends_with("/lost") => Reply::new(status, ""),
            _ => memory.answer(request),
        });
        let host = status.map_or(nowhere.to_string(), |_| server.address.to_string());
        let folder = tempfile::tempdir().unwrap();
        let pusher = Pusher::new(Client::new(Options {
            uploads: Some(folder.path().to_path_buf()),
            ..options().0
        }));
        let mut store = Store::default();
        let blobs = [store.add(noise(3_000_000, 1))];
        let to = repository(&server, "a");
        let mut note = Note::claim(folder.path(), &to, &blobs[0].digest).unwrap();
        note.write(
            &format!("http://{host}/v2/a/blobs/uploads/lost")
                .parse()
                .unwrap(),
        );
        drop(note);
        push(&pusher, &to, &blobs, &store, &[]).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn the_end_of_an_upload_whose_answer_is_lost_is_not_sent_again() {
    let memory = Memory::new(Habits::default());
    let inner = Arc::clone(&memory);
    let server = Server::start(move |request| {
        let reply = inner.answer(request);
        match request.query("digest") {
            Some(_) => Reply::nothing(),
            None => reply,
        }
    });
    let mut store = Store::default();
    let blobs = [store.add(noise(2_000_000, 1)), store.add(noise(10, 2))];
    push(
        &Pusher::new(client()),
        &repository(&server, "a"),
        &blobs,
        &store,
        &["1"],
    )
    .unwrap();
    assert_eq!(store.opened(), 2);
}

#[test]
fn an_upload_at_another_place_is_asked_for_where_it_is() {
    let memory = Memory::new(Habits::default());
    let inner = Arc::clone(&memory);
    let lied = std::sync::atomic::AtomicBool::new(false);
    let server = Server::start(move |request| {
        let mut reply = inner.answer(request);
        if request.method == "PATCH" && !lied.swap(true, Ordering::Relaxed) {
            // Less than it has, so that the next chunk begins at the wrong place.
            let range = reply.headers.iter_mut().find(|(name, _)| name == "Range");
            range.unwrap().1 = "0-399999".to_owned();
        }
        reply
    });
    let (mut options, _) = options();
    options.chunk = Some(600_000);
    let mut store = Store::default();
    let blobs = [store.add(noise(2_000_000, 1))];
    let pusher = Pusher::new(Client::new(options));
    push(&pusher, &repository(&server, "a"), &blobs, &store, &[]).unwrap();
    assert_eq!(memory.state.lock().unwrap().sent.len(), 1);
    assert!(
        server
            .lines()
            .iter()
            .any(|line| line.starts_with("GET /v2/a/blobs/uploads/"))
    );
}

#[test]
fn an_upload_that_gets_nowhere_ends() {
    let range = |taken: usize| {
        Reply::new(202, "")
            .with("Location", "/v2/a/blobs/uploads/1")
            .with("Range", format!("0-{taken}"))
    };
    let taken = AtomicUsize::new(0);
    type Registry = Box<dyn Fn(&Request) -> Reply + Send + Sync>;
    let forgetful: Registry = Box::new(|_| Reply::new(404, ""));
    let slow: Registry = Box::new(move |_| range(taken.fetch_add(1, Ordering::Relaxed) + 1));
    let backwards: Registry = Box::new(move |_| range(0));
    let beyond: Registry = Box::new(move |_| range(99_000_000));
    for registry in [forgetful, slow, backwards, beyond] {
        let server = Server::start(move |request| match request.method.as_str() {
            "HEAD" => Reply::new(404, ""),
            "POST" => range(0),
            "PATCH" => registry(request),
            _ => Reply::new(200, ""),
        });
        let mut store = Store::default();
        let blobs = [store.add(noise(1_100_000, 1))];
        let pusher = Pusher::new(client());
        push(&pusher, &repository(&server, "a"), &blobs, &store, &[]).unwrap_err();
        let patches = server
            .lines()
            .into_iter()
            .filter(|l| l.starts_with("PATCH"));
        assert_eq!(patches.count(), 5);
    }
}

#[test]
fn a_download_goes_on_where_it_was_cut() {
    for no_parts in [false, true] {
        let memory = Memory::new(Habits {
            no_parts,
            ..Habits::default()
        });
        let bytes = noise(4_000_000, 1);
        let blob = memory.put("a", &bytes);
        let inner = Arc::clone(&memory);
        let cuts = AtomicUsize::new(0);
        let server = Server::start(move |request| {
            let mut reply = inner.answer(request);
            let whole = reply.body.len();
            // A registry without parts begins anew each time, and comes further.
            let cut = cuts.fetch_add(usize::from(whole > 10), Ordering::Relaxed);
            if whole > 10 && cut < 3 {
                reply.cut = Some((cut + 1) * 900_000);
            }
            reply
        });
        let found = pull(&client(), &repository(&server, "a"), &blob).unwrap();
        assert!(found == bytes);
        let ranges: Vec<_> = server
            .seen()
            .iter()
            .filter_map(|r| r.header("range").map(str::to_owned))
            .collect();
        assert_eq!(ranges[0], "bytes=900000-");
        assert!(ranges.len() >= 2);
    }
}

#[test]
fn a_body_without_a_length_that_ends_early_is_a_cut() {
    let bytes = noise(2_000_000, 1);
    let blob = Blob {
        digest: Digest::of(&bytes),
        size: 2_000_000,
    };
    let body = bytes.clone();
    let server = Server::start(move |request| {
        if request.path == "/v2/" {
            return Reply::new(200, "");
        }
        match request.header("range") {
            None => Reply {
                unsized_body: true,
                ..Reply::new(200, &body[..500_000])
            },
            Some(_) => {
                Reply::new(206, &body[500_000..]).with("Content-Range", "bytes 500000-1999999/*")
            }
        }
    });
    let found = pull(&client(), &repository(&server, "a"), &blob).unwrap();
    assert!(found == bytes);
}

#[test]
fn tries_are_bounded_and_pauses_grow() {
    let memory = Memory::new(Habits::default());
    let inner = Arc::clone(&memory);
    let server = Server::start(move |request| match request.path.as_str() {
        "/v2/" => inner.answer(request),
        _ => Reply::new(503, "down"),
    });
    let (options, waited) = options();
    let error = Client::new(options)
        .manifest(&reference(&server, "a:1"))
        .unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(server.lines().len(), 5);
    // Half a second, doubled three times, and of each at least the half.
    let waited = *waited.lock().unwrap();
    let bounds = Duration::from_millis(3750)..=Duration::from_millis(7500);
    assert!(bounds.contains(&waited), "{waited:?}");
}

#[test]
fn a_registry_that_asks_for_a_pause_gets_it() {
    let memory = Memory::new(Habits::default());
    let blob = memory.put("a", b"x");
    let inner = Arc::clone(&memory);
    let server = Server::start(move |request| match request.number {
        2 => Reply::new(429, "slow down").with("Retry-After", "7"),
        3 => Reply::new(503, "").with("Retry-After", "99999"),
        _ => inner.answer(request),
    });
    let (options, waited) = options();
    let client = Client::new(options);
    assert_eq!(
        client.has_blob(&repository(&server, "a"), &blob.digest),
        Ok(true)
    );
    let waited = *waited.lock().unwrap();
    assert_eq!(waited, Duration::from_secs(7 + 60));
}

#[test]
fn the_flag_ends_all_work() {
    let memory = Memory::new(Habits::default());
    let blob = memory.put("a", &noise(5_000_000, 1));
    let server = memory.serve();
    let client = client();
    let repository = repository(&server, "a");
    let stop = |_, _| client.options().cancel.store(true, Ordering::Relaxed);
    let error = client.blob(&repository, &blob, &mut std::io::sink(), &stop);
    assert!(matches!(error, Err(Error::Cancelled { .. })), "{error:?}");
    let error = client.has_blob(&repository, &blob.digest);
    assert!(matches!(error, Err(Error::Cancelled { .. })), "{error:?}");
}

#[test]
fn an_interruption_ends_a_wait_for_an_answer() {
    let (arrived, waits) = std::sync::mpsc::channel();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Mutex::new(held);
    let server = Server::start(move |request| {
        if request.path != "/v2/" {
            arrived.send(()).unwrap();
            let _ = held.lock().unwrap().recv();
        }
        Reply::new(200, "")
    });
    let (mut options, _) = options();
    options.stall = Duration::from_secs(3600);
    let client = Client::new(options);
    let repository = repository(&server, "a");
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| client.has_blob(&repository, &Digest::of("x")));
        waits.recv().unwrap();
        client.interrupt();
        let error = asking.join().unwrap();
        assert!(matches!(error, Err(Error::Cancelled { .. })), "{error:?}");
    });
    drop(release);
}
