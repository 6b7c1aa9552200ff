//! Files that say something of how an image was made: rights, leftovers, secrets.

use serde::{Deserialize, Serialize};

use crate::oci::layer::{File, FileKind};

/// A program that gives rights to who starts it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Privileged {
    /// Where it is, with a `/` before it.
    pub path: String,
    /// Its permissions.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its owning group.
    pub gid: u32,
    /// Whether it gives capabilities.
    pub capabilities: bool,
}

impl Privileged {
    pub(super) fn of(file: &File) -> Option<Self> {
        let gives = file.mode & 0o6000 != 0 || file.capabilities;
        (file.kind == FileKind::File && gives).then(|| Self {
            path: format!("/{}", file.path),
            mode: file.mode,
            uid: file.uid,
            gid: file.gid,
            capabilities: file.capabilities,
        })
    }

    /// "setuid root", "setgid 42", "with capabilities".
    pub fn describe(&self) -> String {
        let name = |id: u32| match id {
            0 => "root".to_owned(),
            id => id.to_string(),
        };
        let mut words = Vec::new();
        if self.mode & 0o4000 != 0 {
            words.push(format!("setuid {}", name(self.uid)));
        }
        if self.mode & 0o2000 != 0 {
            words.push(format!("setgid {}", name(self.gid)));
        }
        if self.capabilities {
            words.push("with capabilities".to_owned());
        }
        words.join(", ")
    }
}

/// A folder in which a package manager kept what it fetched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cache {
    /// Where it is, with a `/` before it.
    pub folder: String,
    /// How many files are below it.
    pub files: u64,
    /// Their bytes.
    pub size: u64,
}

/// The cache that a file belongs to.
pub(super) fn cache_of(path: &str) -> Option<&str> {
    const WHOLE: [&str; 4] = [
        "var/cache/dnf/",
        "var/cache/yum/",
        "var/cache/apk/",
        "root/.npm/_cacache/",
    ];
    const APT: [(&str, &str); 2] = [
        ("var/cache/apt/", ".bin"),
        ("var/cache/apt/archives/", ".deb"),
    ];
    let name = path.rsplit('/').next().unwrap_or_default();
    let folder = |folder: &'static str| folder.trim_end_matches('/');
    if let Some(found) = WHOLE.iter().find(|whole| path.starts_with(**whole)) {
        return Some(folder(found));
    }
    if let Some((found, _)) = APT
        .iter()
        .rev()
        .find(|(folder, end)| path.starts_with(folder) && path.ends_with(end))
    {
        return Some(folder(found));
    }
    // A lock is left by every run, and holds nothing.
    if path.starts_with("var/lib/apt/lists/") && name != "lock" {
        return Some("var/lib/apt/lists");
    }
    let pip = path.find("/.cache/pip/").map(|at| at + "/.cache/pip".len());
    pip.map(|end| &path[..end])
}

/// A file that looks like a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Secret {
    /// Where it is, with a `/` before it.
    pub path: String,
    /// What it looks like: "a private key". Never its content.
    pub what: String,
}

/// The most bytes of a file that are looked into for secrets.
const MAX_LOOKED_AT: u64 = 256 << 10;

/// How many bytes of a file are to be looked into for secrets.
pub(super) fn suspicious(file: &File) -> Option<u64> {
    // No key is shorter, and none of the files that hold one is long.
    if file.size < 16 || file.size > MAX_LOOKED_AT {
        return None;
    }
    let path = file.path.as_str();
    let name = path.rsplit('/').next().unwrap_or_default();
    let of_system = ["usr/", "lib/", "bin/", "sbin/", "var/lib/dpkg/", "boot/"];
    let named = [".pem", ".key", ".p8", ".ppk"]
        .iter()
        .any(|end| name.ends_with(end))
        || name.starts_with("id_");
    let looked_at = named || !of_system.iter().any(|folder| path.starts_with(folder));
    (looked_at || credentials(path).is_some()).then_some(MAX_LOOKED_AT)
}

/// What a file looks like, by its name and content.
pub(super) fn secret(file: &File, content: &[u8]) -> Option<Secret> {
    let what = if has_private_key(content) {
        "a private key"
    } else {
        let (words, what) = credentials(&file.path)?;
        let text = String::from_utf8_lossy(content).to_lowercase();
        if !words.iter().any(|word| text.contains(word)) {
            return None;
        }
        what
    };
    Some(Secret {
        path: format!("/{}", file.path),
        what: what.to_owned(),
    })
}

/// Files in which tools keep passwords, by the end of their path, with words of which one is in those
/// that have some.
fn credentials(path: &str) -> Option<(&'static [&'static str], &'static str)> {
    const FILES: [(&str, &[&str], &str); 11] = [
        ("/.netrc", &["password"], "passwords of a .netrc"),
        ("/.git-credentials", &["://"], "credentials of git"),
        ("/.pypirc", &["password"], "credentials of PyPI"),
        ("/.pgpass", &[":"], "passwords of PostgreSQL"),
        ("/.my.cnf", &["password"], "a password of MySQL"),
        ("/.npmrc", &["_auth", "_password"], "credentials of npm"),
        (
            "/.docker/config.json",
            &["\"auth\"", "token"],
            "credentials of registries",
        ),
        ("/.dockercfg", &["\"auth\""], "credentials of registries"),
        ("/.aws/credentials", &["secret"], "keys of AWS"),
        (
            "/.config/openstack/clouds.yaml",
            &["password", "secret"],
            "credentials of a cloud",
        ),
        (
            "/etc/openstack/clouds.yaml",
            &["password", "secret"],
            "credentials of a cloud",
        ),
    ];
    let found = FILES
        .iter()
        .find(|(end, ..)| path.ends_with(end) || path == &end[1..]);
    found.map(|(_, words, what)| (*words, *what))
}

/// Whether there is a line that begins a private key (RFC 7468, and PuTTY's own), with something
/// behind it.
fn has_private_key(content: &[u8]) -> bool {
    let mut lines = content.split(|b| *b == b'\n').map(|line| line.trim_ascii());
    while let Some(line) = lines.next() {
        let begins = (line.starts_with(b"-----BEGIN ")
            && (line.ends_with(b" PRIVATE KEY-----") || line.ends_with(b"PRIVATE KEY BLOCK-----"))
            || line == b"-----BEGIN PRIVATE KEY-----")
            || line.starts_with(b"PuTTY-User-Key-File-");
        if begins {
            return lines.any(|line| !line.is_empty());
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_of_package_managers() {
        for (path, cache) in [
            (
                "var/cache/apt/archives/bash.deb",
                Some("var/cache/apt/archives"),
            ),
            ("var/cache/apt/pkgcache.bin", Some("var/cache/apt")),
            ("var/cache/apt/archives/lock", None),
            ("var/lib/apt/lists/x_InRelease", Some("var/lib/apt/lists")),
            ("var/lib/apt/lists/lock", None),
            ("root/.cache/pip/http/0", Some("root/.cache/pip")),
            ("var/lib/nova/.cache/pip/x", Some("var/lib/nova/.cache/pip")),
            ("usr/lib/python3/dist-packages/pip/_internal/cache.py", None),
        ] {
            assert_eq!(cache_of(path), cache, "{path}");
        }
    }

    #[test]
    fn secrets_are_told_by_name_and_content() {
        let file = |path: &str, content: &[u8]| File {
            path: path.to_owned(),
            kind: FileKind::File,
            mode: 0o600,
            uid: 0,
            gid: 0,
            size: content.len() as u64,
            target: None,
            capabilities: false,
        };
        let key = b"-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n";
        let bare = b"-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n";
        for (path, content, expected) in [
            ("etc/ssl/private/x.key", &key[..], Some("a private key")),
            ("etc/any.conf", bare, Some("a private key")),
            ("usr/share/x/server.pem", key, Some("a private key")),
            ("usr/lib/python3/x.py", key, None),
            ("etc/cert.pem", b"-----BEGIN CERTIFICATE-----\nMIIE\n", None),
            (
                "etc/doc.txt",
                b"write -----BEGIN PRIVATE KEY----- first",
                None,
            ),
            ("etc/start.pem", b"-----BEGIN PRIVATE KEY-----\n\n", None),
            (
                "root/.netrc",
                b"machine x login y password z",
                Some("passwords of a .netrc"),
            ),
            (
                "root/.docker/config.json",
                b"{\"credsStore\": \"pass\"}",
                None,
            ),
            (
                "etc/openstack/clouds.yaml",
                b"clouds:\n  password: x\n",
                Some("credentials of a cloud"),
            ),
        ] {
            let file = file(path, content);
            let found = suspicious(&file).and_then(|_| secret(&file, content));
            assert_eq!(found.map(|s| s.what).as_deref(), expected, "{path}");
        }
    }
}
