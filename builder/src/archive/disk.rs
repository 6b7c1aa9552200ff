//! What has to be known of a file on disk before it may be in an archive.

use std::io::Read as _;
use std::path::{Component, Path};

use crate::model::Digest;

/// A file's size and the digest of its content.
///
/// # Errors
/// When it cannot be read.
pub fn digest_of(file: &Path) -> std::io::Result<(u64, Digest)> {
    let mut hasher = <sha2::Sha256 as sha2::Digest>::new();
    let mut file = std::fs::File::open(file)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut size = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((size, Digest::from_hasher(hasher))),
            n => {
                sha2::Digest::update(&mut hasher, &buffer[..n]);
                size += n as u64;
            }
        }
    }
}

/// Whether a link at `path` points out of the folder that the path is relative to, taken as text: an
/// absolute target, or more `..` than there are folders above it. The target's own links are judged
/// where they stand.
pub fn leads_out(path: &str, target: &Path) -> bool {
    let mut depth = path.matches('/').count();
    for component in target.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir => match depth.checked_sub(1) {
                Some(up) => depth = up,
                None => return true,
            },
            Component::RootDir | Component::Prefix(_) => return true,
        }
    }
    target.to_str().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_leave_the_folder_are_seen() {
        for (path, target) in [
            ("l", "f"),
            ("a/l", "../f"),
            ("a/b/l", "../../f/../g"),
            ("l", "./x"),
        ] {
            assert!(!leads_out(path, Path::new(target)), "{path} -> {target}");
        }
        for (path, target) in [
            ("l", "/etc/passwd"),
            ("l", ".."),
            ("a/l", "../../x"),
            ("l", "a/../../x"),
        ] {
            assert!(leads_out(path, Path::new(target)), "{path} -> {target}");
        }
    }
}
