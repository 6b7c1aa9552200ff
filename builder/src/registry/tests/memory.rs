//! A registry in memory, as strict as the specification.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::server::{Reply, Request};
use super::*;

/// What it does other than by default.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Habits {
    /// Opens an upload instead of mounting.
    pub(super) never_mounts: bool,
    /// Forgets an upload of which a piece was cut.
    pub(super) forgets: bool,
    /// The smallest chunk.
    pub(super) least: Option<usize>,
    /// Says addresses without scheme and host.
    pub(super) relative: bool,
    /// Sends whole blobs whatever part was asked for.
    pub(super) no_parts: bool,
}

#[derive(Default)]
pub(super) struct Memory {
    pub(super) habits: Habits,
    pub(super) state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// By repository and digest.
    pub(super) blobs: BTreeMap<(String, String), Vec<u8>>,
    /// By repository and tag or digest.
    pub(super) manifests: BTreeMap<(String, String), Vec<u8>>,
    pub(super) uploads: BTreeMap<String, Vec<u8>>,
    /// Blobs sent to the end, with repetitions.
    pub(super) sent: Vec<String>,
    pub(super) mounted: usize,
    next: usize,
}

impl Memory {
    pub(super) fn new(habits: Habits) -> Arc<Self> {
        Arc::new(Self {
            habits,
            state: Mutex::default(),
        })
    }

    pub(super) fn serve(self: &Arc<Self>) -> Server {
        let memory = Arc::clone(self);
        Server::start(move |request| memory.answer(request))
    }

    pub(super) fn put(&self, repository: &str, bytes: &[u8]) -> Blob {
        let digest = Digest::of(bytes);
        let key = (repository.to_owned(), digest.to_string());
        self.state.lock().unwrap().blobs.insert(key, bytes.to_vec());
        Blob {
            digest,
            size: bytes.len() as u64,
        }
    }

    pub(super) fn answer(&self, request: &Request) -> Reply {
        let path = request.path.strip_prefix("/v2/").unwrap();
        if path.is_empty() {
            return Reply::new(200, "{}");
        }
        if let Some((repository, id)) = path.split_once("/blobs/uploads/") {
            return self.upload(request, repository, id);
        }
        if let Some((repository, digest)) = path.split_once("/blobs/") {
            return self.blob(request, repository, digest);
        }
        let (repository, name) = path.split_once("/manifests/").unwrap();
        self.manifest(request, repository, name)
    }

    fn blob(&self, request: &Request, repository: &str, digest: &str) -> Reply {
        let state = self.state.lock().unwrap();
        let key = (repository.to_owned(), digest.to_owned());
        let Some(bytes) = state.blobs.get(&key) else {
            return unknown("BLOB_UNKNOWN");
        };
        let from = request
            .header("range")
            .filter(|_| !self.habits.no_parts)
            .map(|range| range.strip_prefix("bytes=").unwrap());
        match from {
            None => Reply::new(200, bytes.clone()),
            Some(range) => {
                let from: usize = range.strip_suffix('-').unwrap().parse().unwrap();
                let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
                Reply::new(206, &bytes[from..]).with("Content-Range", range)
            }
        }
    }

    fn manifest(&self, request: &Request, repository: &str, name: &str) -> Reply {
        let mut state = self.state.lock().unwrap();
        let key = (repository.to_owned(), name.to_owned());
        if request.method != "PUT" {
            return match state.manifests.get(&key) {
                None => unknown("MANIFEST_UNKNOWN"),
                Some(bytes) => Reply::new(200, bytes.clone())
                    .with("Content-Type", media::MANIFEST)
                    .with("Docker-Content-Digest", Digest::of(bytes)),
            };
        }
        let json: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let layers = json["layers"].as_array().unwrap().iter();
        for blob in layers.chain([&json["config"]]) {
            let key = (
                repository.to_owned(),
                blob["digest"].as_str().unwrap().to_owned(),
            );
            if !state.blobs.contains_key(&key) {
                return Reply::new(400, r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}"#);
            }
        }
        let digest = Digest::of(&request.body).to_string();
        if name.contains(':') {
            assert_eq!(name, digest);
        }
        for name in [name, &digest] {
            let key = (repository.to_owned(), name.to_owned());
            state.manifests.insert(key, request.body.clone());
        }
        Reply::new(201, "").with("Docker-Content-Digest", digest)
    }

    fn upload(&self, request: &Request, repository: &str, id: &str) -> Reply {
        let mut state = self.state.lock().unwrap();
        if request.method == "POST" {
            if let (Some(mount), Some(from)) = (request.query("mount"), request.query("from"))
                && !self.habits.never_mounts
            {
                let key = (from.to_owned(), mount.to_owned());
                if let Some(bytes) = state.blobs.get(&key).cloned() {
                    state.blobs.insert((repository.to_owned(), key.1), bytes);
                    state.mounted += 1;
                    return Reply::new(201, "");
                }
            }
            state.next += 1;
            let id = format!("u{}", state.next);
            state.uploads.insert(id.clone(), Vec::new());
            return self.at(request, Reply::new(202, ""), repository, &id);
        }
        assert_eq!(request.query("state"), Some("a/b c"), "the query was kept");
        if request.method == "DELETE" {
            state.uploads.remove(id);
            return Reply::new(204, "");
        }
        let Some(bytes) = state.uploads.get_mut(id) else {
            return unknown("BLOB_UPLOAD_UNKNOWN");
        };
        let (length, whole) = (request.body.len(), length_of(request));
        if request.method == "GET" {
            let range = range(bytes.len());
            return self
                .at(request, Reply::new(204, ""), repository, id)
                .with("Range", range);
        }
        if let Some(claimed) = request.header("content-range") {
            let (start, end) = claimed.split_once('-').unwrap();
            assert_eq!(
                end.parse::<usize>().unwrap() + 1 - start.parse::<usize>().unwrap(),
                whole
            );
            if start.parse::<usize>().unwrap() != bytes.len() {
                return Reply::new(416, "");
            }
        }
        bytes.extend(&request.body);
        let range = range(bytes.len());
        if length < whole && self.habits.forgets {
            state.uploads.remove(id);
            return Reply::nothing();
        }
        if request.method == "PATCH" {
            return self
                .at(request, Reply::new(202, ""), repository, id)
                .with("Range", range);
        }
        let bytes = state.uploads.remove(id).unwrap();
        let digest = request.query("digest").unwrap().to_owned();
        if Digest::of(&bytes).to_string() != digest {
            return Reply::new(
                400,
                r#"{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}"#,
            );
        }
        state.sent.push(digest.clone());
        state
            .blobs
            .insert((repository.to_owned(), digest.clone()), bytes);
        Reply::new(201, "").with("Docker-Content-Digest", digest)
    }

    fn at(&self, request: &Request, reply: Reply, repository: &str, id: &str) -> Reply {
        let host = match self.habits.relative {
            true => String::new(),
            false => format!("http://{}", request.header("host").unwrap()),
        };
        let place = format!("{host}/v2/{repository}/blobs/uploads/{id}?state=a%2Fb%20c");
        let reply = reply.with("Location", place);
        match self.habits.least {
            Some(least) => reply.with("OCI-Chunk-Min-Length", least),
            None => reply,
        }
    }
}

fn unknown(code: &str) -> Reply {
    Reply::new(404, format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#))
}

fn range(length: usize) -> String {
    format!("0-{}", length.saturating_sub(1))
}

fn length_of(request: &Request) -> usize {
    request
        .header("content-length")
        .map_or(0, |l| l.parse().unwrap())
}
