//! What `ADD` fetches: files by URL, and repositories.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::super::super::Error;
use super::Builder;
use crate::model::Digest;

/// The largest download taken, in bytes: more is a mistake or an attack.
const MAX_DOWNLOAD: u64 = 8 << 30;

impl Builder<'_> {
    /// Downloads a file into a folder of its own; returns the folder, the file's name in it, and
    /// its digest.
    pub(super) fn download(
        &mut self,
        url: &str,
        checksum: Option<&str>,
        destination: &str,
    ) -> Result<(PathBuf, String, Digest), Error> {
        let name = file_name(url)
            .or_else(|| {
                let last = destination
                    .rsplit('/')
                    .next()
                    .filter(|_| !destination.ends_with('/'));
                last.map(str::to_owned)
            })
            .ok_or_else(|| {
                self.failed(
                    None,
                    format!("{url} names no file: give the destination's name"),
                )
            })?;
        let folder = self.own_folder()?;
        let path = folder.join(&name);
        let (digest, modified) = self.fetch(url, &path)?;
        if let Some(expected) = checksum
            && digest.to_string() != expected
        {
            return Err(self.failed(
                None,
                format!("{url} is not what was expected: {expected} was asked for, {digest} found"),
            ));
        }
        use std::os::unix::fs::PermissionsExt as _;
        let finished = std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
            .and_then(|()| {
                let file = std::fs::File::options().write(true).open(&path)?;
                let clamp = u64::try_from(self.shared.clamp).unwrap_or(0);
                let seconds = modified.unwrap_or(0).min(clamp);
                file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
            });
        finished.map_err(|e| self.shared.store.error(&path, &e))?;
        let told = Digest::of(format!("{digest} {modified:?}"));
        Ok((folder, name, told))
    }

    fn fetch(&self, url: &str, path: &std::path::Path) -> Result<(Digest, Option<u64>), Error> {
        use sha2::Digest as _;
        let agent: ureq::Agent = crate::web::agent().build().into();
        let unwell = |reason: String| Error::Connection {
            message: format!("cannot download {url}: {reason}"),
        };
        let response = match agent.get(url).call() {
            Ok(response) => response,
            Err(ureq::Error::StatusCode(code)) if code != 429 && code < 500 => {
                return Err(self.failed(None, format!("cannot download {url}: HTTP {code}")));
            }
            Err(error) => return Err(unwell(error.to_string())),
        };
        let modified = response
            .headers()
            .get("last-modified")
            .and_then(|value| value.to_str().ok())
            .and_then(|text| httpdate::parse_http_date(text).ok())
            .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
            .map(|age| age.as_secs());
        let mut body = response
            .into_body()
            .into_with_config()
            .limit(MAX_DOWNLOAD)
            .reader();
        let full = |e: std::io::Error| self.shared.store.error(path, &e);
        let mut out = std::fs::File::create_new(path).map_err(full)?;
        let mut hasher = sha2::Sha256::new();
        let mut buffer = vec![0; 128 * 1024];
        loop {
            if self.cancel.is_cancelled() {
                return Err(super::cancelled());
            }
            let count = body.read(&mut buffer).map_err(|e| unwell(e.to_string()))?;
            if count == 0 {
                return Ok((Digest::from_hasher(hasher), modified));
            }
            hasher.update(&buffer[..count]);
            std::io::Write::write_all(&mut out, &buffer[..count]).map_err(full)?;
        }
    }

    /// Clones a repository into a folder of its own; returns the folder to copy from, and the
    /// commit.
    pub(super) fn clone_repository(
        &mut self,
        url: &str,
        keep_git_dir: bool,
        checksum: Option<&str>,
    ) -> Result<(PathBuf, String), Error> {
        let (address, fragment) = url.split_once('#').unwrap_or((url, ""));
        let (reference, below) = fragment.split_once(':').unwrap_or((fragment, ""));
        let folder = self.own_folder()?;
        let at = |problem: &str| self.failed(None, format!("cannot clone {address}: {problem}"));
        self.git(&folder, &["init", "--quiet", "."])?;
        self.git(&folder, &["remote", "add", "origin", "--", address])?;
        let wanted = if reference.is_empty() {
            "HEAD"
        } else {
            reference
        };
        let shallow = [
            "fetch",
            "--quiet",
            "--depth=1",
            "--no-tags",
            "origin",
            "--",
            wanted,
        ];
        if self.git(&folder, &shallow).is_err() {
            // A server that gives no single commits, or is too simple for shallow histories.
            let all = [
                "fetch",
                "--quiet",
                "--tags",
                "origin",
                "--",
                "+refs/heads/*:refs/remotes/origin/*",
            ];
            self.git(&folder, &all)?;
            let name = format!("origin/{wanted}");
            let found = ["checkout", "--quiet", "--detach"];
            let by_branch = self.git(&folder, &[&found[..], &[name.as_str()]].concat());
            by_branch.or_else(|_| self.git(&folder, &[&found[..], &[wanted]].concat()))?;
        } else {
            self.git(&folder, &["checkout", "--quiet", "--detach", "FETCH_HEAD"])?;
        }
        self.git(
            &folder,
            &[
                "submodule",
                "--quiet",
                "update",
                "--init",
                "--recursive",
                "--depth=1",
            ],
        )?;
        let commit = self.git(&folder, &["rev-parse", "HEAD"])?.trim().to_owned();
        if let Some(expected) = checksum
            && !commit.starts_with(expected)
        {
            return Err(at(&format!("{expected} was asked for, {commit} found")));
        }
        if !keep_git_dir {
            super::super::store::remove_tree(&folder.join(".git"));
        }
        let below = below.trim_matches('/');
        if below.is_empty() {
            return Ok((folder, commit));
        }
        let inside = folder.join(below).canonicalize().ok();
        let root = folder.canonicalize().ok();
        match inside.zip(root) {
            Some((inside, root)) if inside.starts_with(&root) && inside.is_dir() => {
                Ok((inside, format!("{commit}:{below}")))
            }
            _ => Err(at(&format!("there is no folder `{below}` in it"))),
        }
    }

    fn git(&self, folder: &std::path::Path, arguments: &[&str]) -> Result<String, Error> {
        let mut command = Command::new("git");
        // Nothing of the user's own configuration or of the repository may run programs.
        for setting in [
            "protocol.allow=never",
            "protocol.https.allow=always",
            "protocol.http.allow=always",
            "protocol.ssh.allow=always",
            "protocol.git.allow=always",
            "core.hooksPath=/dev/null",
            "core.symlinks=true",
            "advice.detachedHead=false",
            "init.defaultBranch=main",
        ] {
            command.args(["-c", setting]);
        }
        let output = command
            .arg("-C")
            .arg(folder)
            .args(arguments)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output();
        let output = match output {
            Ok(output) => output,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(self.failed(
                    None,
                    "git is not installed, which ADD of repositories needs",
                ));
            }
            Err(e) => return Err(self.failed(None, format!("cannot start git: {e}"))),
        };
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let last = text
            .lines()
            .rfind(|line| !line.trim().is_empty())
            .unwrap_or_default();
        Err(self.failed(None, format!("git {} failed: {last}", arguments[0])))
    }
}

/// The last part of a URL's path.
fn file_name(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next()?;
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
    let (_, path) = path.split_once('/')?;
    let name = path.rsplit('/').next()?;
    (!name.is_empty() && name != "." && name != "..").then(|| name.to_owned())
}
