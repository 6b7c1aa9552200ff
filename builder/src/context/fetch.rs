//! Sources from elsewhere: fetched once, checked, and kept in the cache.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use tokio::process::Command;
use tokio::sync::Mutex;

use crate::cargo::Toolchain;
use crate::catalog::{Bootstrap, Origin, SourceDefinition};
use crate::debian::{self, Mirrors};
use crate::event::{Event, Sink};
use crate::model::{Class, Diagnostic, Digest, ImageName, Platform};
use crate::pins::Suites;
use crate::process;

/// The largest download taken, in bytes: more is a mistake or an attack.
const MAX_DOWNLOAD: u64 = 8 << 30;

/// Fetches sources into a folder and finds them there again.
#[derive(Debug, Clone)]
pub struct Fetcher {
    folder: PathBuf,
    mirrors: Option<Mirrors>,
    toolchain: Option<Toolchain>,
    platform: Platform,
    now: SystemTime,
    /// Programs are compiled one after the other: one compilation takes all CPUs, and images that need
    /// the same program wait for it.
    compiling: Arc<Mutex<()>>,
}

impl Fetcher {
    /// Keeps what it fetches in `folder`. `mirrors` are the archives that a root file system is
    /// bootstrapped from, `now` the time at which their signatures must be valid, and `toolchain` what
    /// programs are compiled with.
    pub fn new(
        folder: impl Into<PathBuf>,
        mirrors: Option<Mirrors>,
        toolchain: Option<Toolchain>,
        platform: Platform,
        now: SystemTime,
    ) -> Self {
        Self {
            folder: folder.into(),
            mirrors,
            toolchain,
            platform,
            now,
            compiling: Arc::default(),
        }
    }

    /// The file that a source of an image is, fetched now unless it is there already. With `anew`, what a
    /// distribution's archive holds now is fetched in any case; of all other sources the content is
    /// known beforehand.
    ///
    /// # Errors
    /// Transient where the network is at fault, environment where a tool is missing or fails,
    /// definition where what arrives is not what was declared, and build where a program does not
    /// compile.
    pub async fn fetch(
        &self,
        image: &ImageName,
        source: &SourceDefinition,
        anew: bool,
        sink: &dyn Sink,
    ) -> Result<PathBuf, Diagnostic> {
        let placed = |problem: Diagnostic| match problem.location() {
            Some(_) => problem,
            None => problem.at(source.declared.clone()),
        };
        let path = self.folder.join(match &source.origin {
            Origin::Url { sha256, .. } => format!("url-{}", sha256.hex()),
            Origin::Git { commit, .. } => format!("git-{commit}.tar"),
            Origin::Bootstrap(bootstrap) => {
                format!("{}{}.tar", self.unpacked(bootstrap), pinned_as(bootstrap))
            }
            Origin::Crate(program) => {
                let key = program.key(self.toolchain.as_ref(), &self.platform);
                format!("crate-{}", key.await.map_err(placed)?)
            }
            Origin::Local { path } => return Ok(path.clone()),
        });
        let _turn = match &source.origin {
            Origin::Crate(_) => Some(self.compiling.lock().await),
            _ => None,
        };
        if path.exists() && !(anew && matches!(source.origin, Origin::Bootstrap(_))) {
            return Ok(path);
        }
        std::fs::create_dir_all(&self.folder).map_err(|e| self.cache_error(&e))?;
        // Written beside its place and moved there whole: what has its name is complete.
        let partial = tempfile::Builder::new()
            .prefix("partial-")
            .tempdir_in(&self.folder)
            .map_err(|e| self.cache_error(&e))?;
        let file = partial.path().join("file");
        let what = describe(&source.origin);
        sink.emit(Event::Preparing { what: what.clone() });
        let fetched = match &source.origin {
            Origin::Url { url, sha256 } => download(url, sha256, &file).await,
            Origin::Git { url, commit } => git(url, commit, partial.path(), &file).await,
            Origin::Bootstrap(bootstrap) => self.bootstrap(bootstrap, partial.path(), &file).await,
            Origin::Crate(program) => {
                let line = |line: &str| {
                    sink.emit(Event::Log {
                        image: image.clone(),
                        line: line.to_owned(),
                    });
                };
                let (toolchain, scratch) = (self.toolchain.as_ref(), partial.path());
                program
                    .compile(toolchain, &self.platform, scratch, &file, &line)
                    .await
            }
            Origin::Local { .. } => Ok(()),
        };
        sink.emit(Event::Prepared { what });
        fetched.map_err(placed)?;
        std::fs::rename(&file, &path).map_err(|e| self.cache_error(&e))?;
        if let Origin::Bootstrap(bootstrap) = &source.origin {
            self.forget_other_states(bootstrap, &path);
        }
        Ok(path)
    }

    /// What the files of a root file system's states begin with.
    fn unpacked(&self, bootstrap: &Bootstrap) -> String {
        let key = format!("{}\0{}", self.platform, serde_json::json!(bootstrap));
        format!(
            "unpacked-{}-{}",
            bootstrap.suite,
            &Digest::of(key).hex()[..16]
        )
    }

    /// Of a root file system one state is kept, the last one made.
    fn forget_other_states(&self, bootstrap: &Bootstrap, kept: &Path) {
        let start = self.unpacked(bootstrap);
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let name = path.file_name().and_then(|name| name.to_str());
            if path != kept && name.is_some_and(|name| name.starts_with(&start)) {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    fn cache_error(&self, error: &std::io::Error) -> Diagnostic {
        Diagnostic::environment(format!(
            "cannot write to {}: {error}",
            self.folder.display()
        ))
        .hint("free some space there, or name another folder with --cache-dir")
    }

    async fn bootstrap(
        &self,
        bootstrap: &Bootstrap,
        scratch: &Path,
        file: &Path,
    ) -> Result<(), Diagnostic> {
        /// Ends the work on other threads when the future is dropped.
        struct Stop(Arc<AtomicBool>);
        impl Drop for Stop {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let request = self.request(bootstrap)?;
        let stop = Stop(Arc::default());
        let downloads = debian::Downloads::new(
            self.folder.join("debian"),
            scratch.to_path_buf(),
            Arc::clone(&stop.0),
        );
        let file = file.to_path_buf();
        let task =
            tokio::task::spawn_blocking(move || debian::bootstrap(&request, &downloads, &file));
        let made = task.await;
        drop(stop);
        made.unwrap_or_else(|e| {
            Err(Diagnostic::new(
                Class::Internal,
                format!("the bootstrap stopped: {e}"),
            ))
        })
    }

    fn request(&self, bootstrap: &Bootstrap) -> Result<debian::Request, Diagnostic> {
        let Some(mirrors) = self.mirrors.clone() else {
            return Err(Diagnostic::environment(format!(
                "cannot bootstrap {}: no archive is known, and this machine is not a Debian that has one",
                bootstrap.suite
            ))
            .hint("name a mirror with --mirror, KOLLA_MIRROR or `mirror` in kolla.toml, or start from any other image with --base-image"));
        };
        Ok(debian::Request {
            suite: bootstrap.suite.clone(),
            variant: bootstrap.variant,
            include: bootstrap.include.clone(),
            components: bootstrap.components.clone(),
            architecture: self.platform.debian_architecture().to_owned(),
            mirrors,
            keyring: bootstrap.keyring.as_ref().map(|keys| Arc::clone(&keys.0)),
            now: self.now,
            pinned: bootstrap.pinned.clone(),
        })
    }

    /// The archive that a root file system would be bootstrapped from, as it is now. Ends early when `stop`
    /// becomes true.
    ///
    /// # Errors
    /// Those of [`debian::archive_state`], and environment where no archive is known.
    pub fn archive_state(
        &self,
        bootstrap: &Bootstrap,
        stop: Arc<AtomicBool>,
    ) -> Result<Suites, Diagnostic> {
        let downloads = debian::Downloads::new(PathBuf::new(), PathBuf::new(), stop);
        debian::archive_state(&self.request(bootstrap)?, &downloads)
    }
}

/// Nothing for an archive that is not pinned.
fn pinned_as(bootstrap: &Bootstrap) -> String {
    match bootstrap.pinned.is_empty() {
        true => String::new(),
        false => {
            let pins = serde_json::json!(bootstrap.pinned).to_string();
            format!("-{}", &Digest::of(pins).hex()[..16])
        }
    }
}

fn describe(origin: &Origin) -> String {
    match origin {
        Origin::Url { url, .. } => format!("downloading {url}"),
        Origin::Git { url, commit } => {
            format!("fetching {} of {url}", &commit[..12.min(commit.len())])
        }
        Origin::Bootstrap(bootstrap) => format!("bootstrapping {}", bootstrap.suite),
        Origin::Crate(program) => format!("compiling {}", program.name()),
        Origin::Local { path } => format!("reading {}", path.display()),
    }
}

async fn download(url: &str, sha256: &Digest, file: &Path) -> Result<(), Diagnostic> {
    let (url, expected, file) = (url.to_owned(), sha256.clone(), file.to_path_buf());
    let task =
        tokio::task::spawn_blocking(move || {
            let agent: ureq::Agent = crate::web::agent().build().into();
            let transient = |reason: String| {
                Diagnostic::new(Class::Transient, format!("cannot download {url}: {reason}"))
            };
            let response = match agent.get(&url).call() {
                Ok(response) => response,
                Err(ureq::Error::StatusCode(code)) if code != 429 && code < 500 => {
                    return Err(Diagnostic::environment(format!(
                        "cannot download {url}: HTTP {code}"
                    ))
                    .hint("check the URL in the definition"));
                }
                Err(error) => return Err(transient(error.to_string())),
            };
            let mut reader = response
                .into_body()
                .into_with_config()
                .limit(MAX_DOWNLOAD)
                .reader();
            let mut out = std::fs::File::create(&file).map_err(|e| full(&file, &e))?;
            let mut hasher = <sha2::Sha256 as sha2::Digest>::new();
            let mut buffer = vec![0; 128 * 1024];
            loop {
                let count = std::io::Read::read(&mut reader, &mut buffer)
                    .map_err(|e| transient(e.to_string()))?;
                if count == 0 {
                    break;
                }
                sha2::Digest::update(&mut hasher, &buffer[..count]);
                std::io::Write::write_all(&mut out, &buffer[..count])
                    .map_err(|e| full(&file, &e))?;
            }
            let found = Digest::from_hasher(hasher);
            if found != expected {
                return Err(Diagnostic::definition(format!("{url} is not what was declared"))
                .note(format!("expected {expected}"))
                .note(format!("found    {found}"))
                .hint("if the new content is wanted and trusted, write its digest into `sha256`"));
            }
            Ok(())
        });
    task.await.unwrap_or_else(|e| {
        Err(Diagnostic::new(
            Class::Internal,
            format!("the download stopped: {e}"),
        ))
    })
}

fn full(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::environment(format!("cannot write {}: {error}", path.display()))
        .hint("free some space there, or name another folder with --cache-dir")
}

async fn git(url: &str, commit: &str, scratch: &Path, file: &Path) -> Result<(), Diagnostic> {
    let repository = scratch.join("repository");
    let missing = "install git";
    let git = |args: &[&std::ffi::OsStr]| {
        let mut command = Command::new("git");
        command
            // Nothing of the user's own configuration or of the repository may run programs.
            .args(["-c", "protocol.allow=never"])
            .args([
                "-c",
                "protocol.https.allow=always",
                "-c",
                "protocol.http.allow=always",
            ])
            .args([
                "-c",
                "protocol.ssh.allow=always",
                "-c",
                "protocol.file.allow=always",
            ])
            .args([
                "-c",
                "core.hooksPath=/dev/null",
                "-c",
                "advice.detachedHead=false",
            ])
            .args(args)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_LFS_SKIP_SMUDGE", "1");
        command
    };
    let os = std::ffi::OsStr::new;
    let failed = |what: &str| {
        let what = what.to_owned();
        move |output: &str| {
            let offline = [
                "Could not resolve",
                "timed out",
                "Connection",
                "early EOF",
                "502",
                "503",
            ]
            .iter()
            .any(|sign| output.contains(sign));
            let class = if offline {
                Class::Transient
            } else {
                Class::Environment
            };
            Diagnostic::new(class, what.clone())
                .hint("check the repository and the commit in the definition")
        }
    };
    let what = format!("cannot fetch {commit} of {url}");
    let init = git(&[
        os("init"),
        os("--quiet"),
        os("--bare"),
        repository.as_os_str(),
    ]);
    run(init, "git", missing, failed(&what)).await?;
    let mut git_dir = std::ffi::OsString::from("--git-dir=");
    git_dir.push(&repository);
    let fetch = git(&[
        &git_dir,
        os("fetch"),
        os("--quiet"),
        os("--depth=1"),
        os("--no-tags"),
        os("--"),
        os(url),
        os(commit),
    ]);
    run(fetch, "git", missing, failed(&what)).await?;
    let mut output = std::ffi::OsString::from("--output=");
    output.push(file);
    let archive = git(&[
        &git_dir,
        os("archive"),
        os("--format=tar"),
        &output,
        os(commit),
    ]);
    run(archive, "git", missing, failed(&what)).await
}

/// Runs a tool to its end; when the future is dropped it is asked to end, so that it can take its
/// temporary files away.
async fn run(
    command: Command,
    name: &str,
    missing: &str,
    failed: impl FnOnce(&str) -> Diagnostic,
) -> Result<(), Diagnostic> {
    let mut output = String::new();
    let mut keep = |line: &str| {
        output.push_str(line);
        output.push('\n');
    };
    let status = process::run(command, &mut keep)
        .await
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Diagnostic::environment(format!("{name} is not installed")).hint(missing)
            }
            _ => Diagnostic::environment(format!("cannot run {name}: {error}")),
        })?;
    if status.success() {
        return Ok(());
    }
    let lines: Vec<&str> = output.lines().filter(|l| !l.trim().is_empty()).collect();
    let tail = &lines[lines.len().saturating_sub(8)..];
    Err(tail.iter().fold(failed(&output), |problem, line| {
        problem.note((*line).to_owned())
    }))
}
