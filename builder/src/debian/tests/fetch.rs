#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};

use super::*;

/// What a server does with a request for a path; asked again and again.
pub(in crate::debian) type Answer = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

/// A request.
pub(in crate::debian) struct Asked {
    pub(in crate::debian) path: String,
    /// How often the path was asked for before.
    pub(in crate::debian) before: usize,
    /// The first byte that is wanted.
    pub(in crate::debian) from: usize,
}

pub(in crate::debian) enum Reply {
    Status(u16),
    Whole(Vec<u8>),
    /// A body of which only so many bytes are sent, from where the request wants them.
    Part(Vec<u8>, usize),
}

/// An HTTP server on this machine, which lives as long as its threads have something to do.
pub(in crate::debian) struct Server {
    pub(in crate::debian) url: String,
    asked: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Server {
    pub(in crate::debian) fn new(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(BTreeMap::new()));
        let counts = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, counts) = (Arc::clone(&answer), Arc::clone(&counts));
                std::thread::spawn(move || serve(&stream.unwrap(), &answer, &counts));
            }
        });
        Self { url, asked }
    }

    /// How often each path was asked for.
    pub(in crate::debian) fn asked(&self) -> BTreeMap<String, usize> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(mut stream: &TcpStream, answer: &Answer, counts: &Mutex<BTreeMap<String, usize>>) {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let Some(path) = lines.first().and_then(|line| line.split(' ').nth(1)) else {
        return;
    };
    let range = lines.iter().find_map(|line| {
        let line = line.to_lowercase();
        line.strip_prefix("range: bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()
    });
    let before = {
        let mut counts = counts.lock().unwrap();
        let count = counts.entry(path.to_owned()).or_default();
        *count += 1;
        *count - 1
    };
    let asked = Asked {
        path: path.to_owned(),
        before,
        from: range.unwrap_or(0),
    };
    let (status, body, sent) = match answer(&asked) {
        Reply::Status(status) => (status, Vec::new(), 0),
        Reply::Whole(body) => (200, body.clone(), body.len()),
        Reply::Part(body, sent) => {
            let status = if asked.from > 0 { 206 } else { 200 };
            (status, body[asked.from..].to_vec(), sent)
        }
    };
    let head = format!(
        "HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&body[..sent.min(body.len())]);
}

/// Downloads without pauses, into a folder that lives as long as the first value.
pub(in crate::debian) fn downloads() -> (tempfile::TempDir, Downloads) {
    let folder = tempfile::tempdir().unwrap();
    let scratch = folder.path().join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    let mut downloads = Downloads::new(folder.path().join("kept"), scratch, Arc::default());
    downloads.pauses = &[Duration::ZERO; 3];
    (folder, downloads)
}

fn body() -> Vec<u8> {
    (0..300_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn wanted(server: &Server, path: &str) -> Wanted {
    Wanted {
        url: format!("{}{path}", server.url),
        size: body().len() as u64,
        digest: Digest::of(body()),
    }
}

#[test]
fn files_are_fetched_once_and_kept() {
    let server = Server::new(Arc::new(|_| Reply::Whole(body())));
    let (_folder, downloads) = downloads();
    let all: Vec<Wanted> = (0..20).map(|n| wanted(&server, &format!("/{n}"))).collect();
    let one = downloads.files(&all[..1]).unwrap();
    let paths = downloads.files(&all).unwrap();
    assert!(paths.iter().all(|path| *path == one[0]));
    assert_eq!(server.asked(), BTreeMap::from([("/0".to_owned(), 1)]));
    // A file that was damaged on disk is fetched again.
    std::fs::write(&one[0], &body()[1..]).unwrap();
    assert_eq!(
        std::fs::read(&downloads.files(&all[1..2]).unwrap()[0]).unwrap(),
        body()
    );
    let left = std::fs::read_dir(downloads.scratch()).unwrap().count();
    assert_eq!(left, 0, "in the scratch folder");
}

#[test]
fn a_broken_connection_is_taken_up_where_it_broke() {
    let resumed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&resumed);
    let server = Server::new(Arc::new(move |asked| {
        count.fetch_max(asked.from, Ordering::Relaxed);
        Reply::Part(
            body(),
            if asked.before < 2 {
                400_000
            } else {
                usize::MAX
            },
        )
    }));
    let (_folder, downloads) = downloads();
    let paths = downloads.files(&[wanted(&server, "/x")]).unwrap();
    assert_eq!(std::fs::read(&paths[0]).unwrap(), body());
    assert!(resumed.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_server_that_cannot_resume_starts_again() {
    let server = Server::new(Arc::new(|asked| match asked.before {
        0 => Reply::Part(body(), 400_000),
        _ => Reply::Whole(body()),
    }));
    let (_folder, downloads) = downloads();
    let paths = downloads.files(&[wanted(&server, "/x")]).unwrap();
    assert_eq!(std::fs::read(&paths[0]).unwrap(), body());
}

#[test]
fn failures_are_told_apart() {
    let server = Server::new(Arc::new(|asked| match asked.path.as_str() {
        "/recovers" if asked.before < 2 => Reply::Status(503),
        "/recovers" => Reply::Whole(body()),
        "/busy" => Reply::Status(503),
        "/missing" => Reply::Status(404),
        "/forbidden" => Reply::Status(403),
        "/short" => Reply::Whole(body()[1..].to_vec()),
        "/long" => Reply::Whole([body(), vec![0]].concat()),
        _ => Reply::Whole([&[1], &body()[1..]].concat()),
    }));
    let (_folder, downloads) = downloads();
    let mut ends = Vec::new();
    for path in [
        "/busy",
        "/missing",
        "/forbidden",
        "/short",
        "/long",
        "/other",
        "/recovers",
    ] {
        let result = downloads.files(&[wanted(&server, path)]);
        ends.push((path, result.err().map(|problem| problem.class())));
    }
    assert_eq!(
        ends,
        [
            ("/busy", Some(Class::Transient)),
            ("/missing", Some(Class::Transient)),
            ("/forbidden", Some(Class::Environment)),
            ("/short", Some(Class::Transient)),
            ("/long", Some(Class::Environment)),
            ("/other", Some(Class::Environment)),
            ("/recovers", None),
        ]
    );
    let asked = server.asked();
    assert_eq!(
        (asked["/busy"], asked["/missing"], asked["/recovers"]),
        (4, 1, 3)
    );
    assert_eq!(
        downloads
            .small(&format!("{}/missing", server.url), 9)
            .unwrap(),
        None
    );
    let large = downloads
        .small(&format!("{}/other", server.url), 9)
        .unwrap_err();
    assert!(large.message().contains("larger than 9 bytes"));
}

#[test]
fn nothing_is_started_after_the_stop() {
    let server = Server::new(Arc::new(|_| Reply::Whole(body())));
    let (_folder, downloads) = downloads();
    downloads.stop.store(true, Ordering::Relaxed);
    let problem = downloads.files(&[wanted(&server, "/x")]).unwrap_err();
    assert_eq!(problem.class(), Class::Interrupted);
    assert!(server.asked().is_empty());
}
