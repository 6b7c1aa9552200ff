//! Files from a mirror, several at once, checked and kept by their digest.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use sha2::Digest as _;

use crate::model::{Class, Diagnostic, Digest};

/// How many connections are open at once: mirrors ask for few.
const AT_ONCE: usize = 6;
/// Pauses before a file is tried again.
const PAUSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(9),
];
/// Bytes a second: a connection slower than that over a whole file is given up and tried again.
const TOO_SLOW: u64 = 20_000;
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest single pause that cannot be interrupted.
const NAP: Duration = Duration::from_millis(50);

/// A file that must be as its digest says.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) url: String,
    /// Bytes.
    pub(super) size: u64,
    pub(super) digest: Digest,
}

/// Fetches files into a folder, where they are found again by their digest.
#[derive(Debug)]
pub struct Downloads {
    folder: PathBuf,
    scratch: PathBuf,
    stop: Arc<AtomicBool>,
    agent: ureq::Agent,
    pauses: &'static [Duration],
}

enum Failure {
    /// Trying again may help.
    Passing(Diagnostic),
    /// The mirror says that there is no such file.
    Missing(Diagnostic),
    Final(Diagnostic),
}

impl Downloads {
    /// Keeps files in `folder`, and those that are not complete in `scratch`, which is on the same
    /// disk. Ends early with an error when `stop` becomes true.
    pub fn new(folder: PathBuf, scratch: PathBuf, stop: Arc<AtomicBool>) -> Self {
        let agent = crate::web::agent()
            // A file that is compressed is wanted as it is.
            .accept_encoding("identity")
            .build()
            .into();
        Self {
            folder,
            scratch,
            stop,
            agent,
            pauses: &PAUSES,
        }
    }

    /// Where files are on their way.
    pub(super) fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// An error when everything is to end.
    pub(super) fn go_on(&self) -> Result<(), Diagnostic> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(Diagnostic::new(Class::Interrupted, "stopped")),
            false => Ok(()),
        }
    }

    /// The bytes of a small file that nothing is known of; none where the mirror has none.
    pub(super) fn small(&self, url: &str, limit: u64) -> Result<Option<Vec<u8>>, Diagnostic> {
        let once = || {
            let response = self.get(url, limit, 0)?;
            let mut bytes = Vec::new();
            let mut reader = response.into_body().into_reader().take(limit + 1);
            reader
                .read_to_end(&mut bytes)
                .map_err(|e| passing(url, &e.to_string()))?;
            match bytes.len() as u64 > limit {
                true => Err(Failure::Final(Diagnostic::environment(format!(
                    "{url} is larger than {limit} bytes"
                )))),
                false => Ok(bytes),
            }
        };
        match self.again(once) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Failure::Missing(_)) => Ok(None),
            Err(Failure::Passing(problem) | Failure::Final(problem)) => Err(problem),
        }
    }

    /// Paths of files in their order, each fetched unless it is there already.
    pub(super) fn files(&self, wanted: &[Wanted]) -> Result<Vec<PathBuf>, Diagnostic> {
        std::fs::create_dir_all(&self.folder).map_err(|e| full(&self.folder, &e))?;
        let next = AtomicUsize::new(0);
        let failed: Mutex<Option<Diagnostic>> = Mutex::new(None);
        let has_failed = || failed.lock().map_or(true, |f| f.is_some());
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(wanted.len()) {
                scope.spawn(|| {
                    while let Some(one) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if has_failed() {
                            return;
                        }
                        if let Err(problem) = self.file(one)
                            && let Ok(mut failed) = failed.lock()
                        {
                            failed.get_or_insert(problem);
                        }
                    }
                });
            }
        });
        match failed.into_inner() {
            Ok(None) => Ok(wanted.iter().map(|w| self.place(w)).collect()),
            Ok(Some(problem)) => Err(problem),
            Err(_) => Err(Diagnostic::new(Class::Internal, "a download stopped")),
        }
    }

    fn place(&self, wanted: &Wanted) -> PathBuf {
        self.folder.join(wanted.digest.hex())
    }

    fn file(&self, wanted: &Wanted) -> Result<(), Diagnostic> {
        let place = self.place(wanted);
        if is_as_wanted(&place, wanted) {
            return Ok(());
        }
        let mut partial =
            tempfile::NamedTempFile::new_in(&self.scratch).map_err(|e| full(&self.scratch, &e))?;
        let mut hasher = sha2::Sha256::new();
        let mut have = 0;
        self.again(|| self.attempt(wanted, partial.as_file_mut(), &mut have, &mut hasher))
            .map_err(|failure| match failure {
                // An index names it, so the mirror is between two states.
                Failure::Missing(problem) => {
                    Diagnostic::new(Class::Transient, problem.message().to_owned())
                        .hint("the mirror may be in the middle of an update: try again later")
                }
                Failure::Passing(problem) | Failure::Final(problem) => problem,
            })?;
        partial
            .persist(&place)
            .map_err(|e| full(&place, &e.error))?;
        Ok(())
    }

    /// Goes on where an earlier attempt broke off, if the server lets us.
    fn attempt(
        &self,
        wanted: &Wanted,
        file: &mut File,
        have: &mut u64,
        hasher: &mut sha2::Sha256,
    ) -> Result<(), Failure> {
        let url = &wanted.url;
        let response = self.get(url, wanted.size, *have)?;
        let disk = |e: std::io::Error| Failure::Final(full(&self.scratch, &e));
        if response.status() != 206 || *have == 0 {
            *have = 0;
            *hasher = sha2::Sha256::new();
            file.set_len(0).map_err(disk)?;
        }
        file.seek(SeekFrom::Start(*have)).map_err(disk)?;
        let mut reader = response.into_body().into_reader();
        let mut buffer = vec![0; 128 * 1024];
        loop {
            self.go_on().map_err(Failure::Final)?;
            let count = reader
                .read(&mut buffer)
                .map_err(|e| passing(url, &e.to_string()))?;
            if count == 0 {
                break;
            }
            *have += count as u64;
            if *have > wanted.size {
                break;
            }
            hasher.update(&buffer[..count]);
            file.write_all(&buffer[..count]).map_err(disk)?;
        }
        if *have < wanted.size {
            return Err(passing(url, "the connection ended early"));
        }
        let found = Digest::from_hasher(hasher.clone());
        if *have == wanted.size && found == wanted.digest {
            return Ok(());
        }
        *have = 0;
        Err(Failure::Passing(
            Diagnostic::environment(format!("{url} is not what the archive's index says"))
                .note(format!("expected {} ({} bytes)", wanted.digest, wanted.size))
                .note(format!("found    {found}"))
                .hint("the mirror, or a proxy on the way, hands out something else: use another with --mirror"),
        ))
    }

    fn get(
        &self,
        url: &str,
        size: u64,
        from: u64,
    ) -> Result<ureq::http::Response<ureq::Body>, Failure> {
        self.go_on().map_err(Failure::Final)?;
        let time = PATIENCE + Duration::from_secs(size / TOO_SLOW);
        let mut request = self.agent.get(url);
        if from > 0 {
            request = request.header("Range", format!("bytes={from}-"));
        }
        let response = request
            .config()
            .timeout_recv_body(Some(time))
            .build()
            .call();
        response.map_err(|error| match error {
            ureq::Error::StatusCode(code) => {
                let problem =
                    Diagnostic::environment(format!("cannot download {url}: HTTP {code}"));
                match code {
                    404 | 410 => Failure::Missing(problem),
                    408 | 416 | 425 | 429 | 500.. => passing(url, &format!("HTTP {code}")),
                    _ => Failure::Final(problem.hint("is the mirror's address right? --mirror")),
                }
            }
            other => passing(url, &other.to_string()),
        })
    }

    fn again<T>(&self, mut once: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
        for pause in self.pauses {
            match once() {
                Err(Failure::Passing(_)) => self.nap(*pause).map_err(Failure::Final)?,
                other => return other,
            }
        }
        once()
    }

    fn nap(&self, pause: Duration) -> Result<(), Diagnostic> {
        let mut left = pause;
        while !left.is_zero() {
            self.go_on()?;
            std::thread::sleep(left.min(NAP));
            left = left.saturating_sub(NAP);
        }
        Ok(())
    }
}

fn passing(url: &str, reason: &str) -> Failure {
    Failure::Passing(
        Diagnostic::new(Class::Transient, format!("cannot download {url}: {reason}"))
            .hint("the archive must be reachable: name a mirror with --mirror, or start from any other image with --base-image"),
    )
}

fn full(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::environment(format!("cannot write {}: {error}", path.display()))
        .hint("free some space there, or name another folder with --cache-dir")
}

/// Whether a file is there, whole and undamaged.
fn is_as_wanted(path: &Path, wanted: &Wanted) -> bool {
    let Ok(mut file) = File::open(path) else {
        return false;
    };
    if !file.metadata().is_ok_and(|m| m.len() == wanted.size) {
        return false;
    }
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Digest::from_hasher(hasher) == wanted.digest,
            Ok(count) => hasher.update(&buffer[..count]),
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
#[path = "tests/fetch.rs"]
pub(super) mod tests;
