use super::memory::Habits;
use super::*;

#[test]
fn an_image_is_sent_and_fetched_again() {
    for relative in [false, true] {
        let memory = Memory::new(Habits {
            relative,
            ..Habits::default()
        });
        let server = memory.serve();
        let client = client();
        let repository = repository(&server, "team/a");
        let mut store = Store::default();
        let layers = [noise(40, 1), noise(3_000_000, 2), noise(1, 3), Vec::new()];
        let mut blobs: Vec<Blob> = layers.map(|bytes| store.add(bytes)).into();
        blobs.push(blobs[1].clone());
        let told = Mutex::new(Vec::new());
        let image = Image {
            repository: &repository,
            manifest: &manifest(&blobs),
            media_type: media::MANIFEST,
            blobs: &blobs,
            tags: &[Tag::new("1").unwrap(), Tag::new("latest").unwrap()],
        };
        let digest = Pusher::new(client.clone())
            .push(&image, &store, &|done, all| {
                told.lock().unwrap().push((done, all));
            })
            .unwrap();
        let lines = server.lines();
        let ends = [
            "PUT /v2/team/a/manifests/1",
            "PUT /v2/team/a/manifests/latest",
        ];
        assert_eq!(lines[lines.len() - 2..], ends);
        for name in [":1", ":latest", &format!("@{digest}")] {
            let found = client.manifest(&reference(&server, &format!("team/a{name}")));
            assert_eq!(found.unwrap().bytes, image.manifest);
        }
        for blob in &blobs {
            let bytes = pull(&client, &repository, blob).unwrap();
            assert!(bytes == store.blobs[&blob.digest]);
        }
        let total = 3_000_041 + image.manifest.len() as u64;
        let told = told.into_inner().unwrap();
        assert_eq!(told.last(), Some(&(total, total)));
        assert!(
            told.iter()
                .all(|(done, all)| *all == total && *done <= total)
        );
    }
}

#[test]
fn what_is_there_is_not_sent() {
    let memory = Memory::new(Habits::default());
    let mut store = Store::default();
    let blobs = [store.add(noise(9, 1)), store.add(noise(9, 2))];
    memory.put("a", &store.blobs[&blobs[1].digest]);
    let server = memory.serve();
    let (repository, pusher) = (repository(&server, "a"), Pusher::new(client()));
    push(&pusher, &repository, &blobs, &store, &["1"]).unwrap();
    assert_eq!(store.opened(), 1);
    let before = server.lines().len();
    push(&pusher, &repository, &blobs, &store, &["2"]).unwrap();
    let digest = Digest::of(manifest(&blobs));
    let lines = [
        format!("HEAD /v2/a/manifests/{digest}"),
        "PUT /v2/a/manifests/2".to_owned(),
    ];
    assert_eq!(server.lines()[before..], lines);
}

#[test]
fn what_is_there_is_not_sent_to_a_registry_that_does_not_mount() {
    let memory = Memory::new(Habits {
        never_mounts: true,
        ..Habits::default()
    });
    let mut store = Store::default();
    let blobs = [store.add(noise(9, 1))];
    for path in ["a", "b"] {
        memory.put(path, &store.blobs[&blobs[0].digest]);
    }
    let server = memory.serve();
    let pusher = Pusher::new(client());
    for path in ["a", "b"] {
        push(&pusher, &repository(&server, path), &blobs, &store, &["1"]).unwrap();
    }
    assert_eq!(store.opened(), 0);
    let state = memory.state.lock().unwrap();
    assert!(state.uploads.is_empty(), "an upload was left open");
}

#[test]
fn a_shared_blob_is_sent_once_and_mounted_elsewhere() {
    for never_mounts in [false, true] {
        let memory = Memory::new(Habits {
            never_mounts,
            ..Habits::default()
        });
        let server = memory.serve();
        let pusher = Pusher::new(client());
        let mut store = Store::default();
        let shared = [store.add(noise(2_000_000, 1)), store.add(noise(500, 2))];
        let images: Vec<(Repository, Vec<Blob>)> = (0..6_u8)
            .map(|i| {
                let own = store.add(noise(100, 10 + u64::from(i)));
                let blobs = [&[own], &shared[..]].concat();
                (repository(&server, &format!("team/i{}", i / 2)), blobs)
            })
            .collect();
        std::thread::scope(|scope| {
            for (repository, blobs) in &images {
                scope.spawn(|| push(&pusher, repository, blobs, &store, &["x"]).unwrap());
            }
        });
        let state = memory.state.lock().unwrap();
        let times = |blob: &Blob| {
            let digest = blob.digest.to_string();
            state.sent.iter().filter(|sent| **sent == digest).count()
        };
        let expected = if never_mounts { 3 } else { 1 };
        for blob in &shared {
            assert_eq!(times(blob), expected);
        }
        assert_eq!(state.mounted, if never_mounts { 0 } else { 4 });
        assert_eq!(state.manifests.keys().filter(|(_, t)| t == "x").count(), 3);
    }
}

#[test]
fn a_mount_that_is_refused_becomes_an_upload() {
    let memory = Memory::new(Habits::default());
    let inner = Arc::clone(&memory);
    let server = Server::start(move |request| match request.query("mount") {
        Some(_) => Reply::new(403, r#"{"errors":[{"code":"DENIED"}]}"#),
        None => inner.answer(request),
    });
    let pusher = Pusher::new(client());
    let mut store = Store::default();
    let blobs = [store.add(noise(9, 1))];
    for path in ["a", "b"] {
        push(&pusher, &repository(&server, path), &blobs, &store, &[]).unwrap();
    }
    assert_eq!(memory.state.lock().unwrap().sent.len(), 2);
    // What is there is not sent, whatever came of the mount.
    memory.put("c", &store.blobs[&blobs[0].digest]);
    push(&pusher, &repository(&server, "c"), &blobs, &store, &[]).unwrap();
    assert_eq!(memory.state.lock().unwrap().sent.len(), 2);
}

#[test]
fn chunks_are_as_large_as_the_registry_wants_them() {
    for (chunk, least, pieces) in [
        (Some(400_000), None, 5),
        (Some(100_000), Some(500_000), 4),
        (None, None, 1),
    ] {
        let memory = Memory::new(Habits {
            least,
            ..Habits::default()
        });
        let server = memory.serve();
        let (mut options, _) = options();
        options.chunk = chunk;
        let mut store = Store::default();
        let blobs = [store.add(noise(2_000_000, 1))];
        let pusher = Pusher::new(Client::new(options));
        push(&pusher, &repository(&server, "a"), &blobs, &store, &[]).unwrap();
        let seen = server.seen();
        let patches: Vec<_> = seen.iter().filter(|r| r.method == "PATCH").collect();
        assert_eq!(patches.len(), pieces);
        let ranges = patches
            .iter()
            .filter(|r| r.header("content-range").is_some());
        assert_eq!(ranges.count(), if chunk.is_some() { pieces } else { 0 });
    }
}

#[test]
fn what_a_registry_refuses_is_told_in_its_words_and_not_tried_again() {
    let memory = Memory::new(Habits::default());
    let server = memory.serve();
    let mut store = Store::default();
    let blobs = [store.add(noise(9, 1)), store.add(noise(2_000_000, 2))];
    // What is kept under a digest is not what it should be.
    store
        .blobs
        .insert(blobs[1].digest.clone(), noise(2_000_000, 3));
    let repository = repository(&server, "a");
    let error = push(&Pusher::new(client()), &repository, &blobs, &store, &["1"]).unwrap_err();
    assert!(matches!(&error, Error::Refused { status: 400, code, .. } if code == "DIGEST_INVALID"));
    let patches = server
        .lines()
        .into_iter()
        .filter(|l| l.starts_with("PATCH"));
    assert_eq!(patches.count(), 1);
    assert!(memory.state.lock().unwrap().manifests.is_empty());
}

#[test]
fn a_blob_that_cannot_be_read_is_a_local_failure() {
    let memory = Memory::new(Habits::default());
    let server = memory.serve();
    let mut store = Store::default();
    let short = store.add(noise(2_000_000, 1));
    store
        .blobs
        .insert(short.digest.clone(), noise(1_000_000, 1));
    let missing = store.add(noise(9, 2));
    store.blobs.remove(&missing.digest);
    let repository = repository(&server, "a");
    for blob in [short, missing] {
        let error = push(&Pusher::new(client()), &repository, &[blob], &store, &[]);
        assert!(matches!(error, Err(Error::Local { .. })), "{error:?}");
    }
}

#[test]
fn one_connection_serves_many_requests() {
    let memory = Memory::new(Habits::default());
    let inner = Arc::clone(&memory);
    let server = Server::start(move |request| match request.header("authorization") {
        None => Reply::new(401, "who?").with("WWW-Authenticate", "Basic realm=x"),
        Some(_) => inner.answer(request),
    });
    let client = client();
    client.log_in(&repository(&server, "a"), Some(&password()));
    let pusher = Pusher::new(client.clone());
    let mut store = Store::default();
    for (path, length) in [("a", 2_000_000), ("a", 10), ("b", 2_000_000)] {
        let blobs = [store.add(noise(length, 1))];
        let repository = repository(&server, path);
        push(&pusher, &repository, &blobs, &store, &["1"]).unwrap();
        client
            .manifest(&reference(&server, &format!("{path}:1")))
            .unwrap();
        pull(&client, &repository, &blobs[0]).unwrap();
    }
    assert!(server.lines().len() > 15);
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_blob_that_one_image_failed_to_send_is_sent_by_the_next() {
    let memory = Memory::new(Habits::default());
    let server = memory.serve();
    let pusher = Pusher::new(client());
    let mut store = Store::default();
    let blobs = [store.add(noise(9, 1))];
    let broken = Store::default();
    let error = push(&pusher, &repository(&server, "a"), &blobs, &broken, &["1"]);
    assert!(matches!(error, Err(Error::Local { .. })), "{error:?}");
    for path in ["b", "a"] {
        push(&pusher, &repository(&server, path), &blobs, &store, &["1"]).unwrap();
    }
    let state = memory.state.lock().unwrap();
    assert_eq!((state.sent.len(), state.mounted), (1, 1));
}

#[test]
fn a_blob_that_was_tidied_away_is_sent_again() {
    let memory = Memory::new(Habits::default());
    let server = memory.serve();
    let pusher = Pusher::new(client());
    let mut store = Store::default();
    let blobs = [store.add(noise(9, 1)), store.add(noise(9, 2))];
    let repository = repository(&server, "a");
    push(&pusher, &repository, &blobs, &store, &["1"]).unwrap();
    memory.state.lock().unwrap().blobs.clear();
    push(&pusher, &repository, &blobs, &store, &["2"]).unwrap();
    assert_eq!(memory.state.lock().unwrap().sent.len(), 4);
}
