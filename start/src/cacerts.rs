//! Certificates of further authorities, put where the distribution looks for them.
//!
//! They come from `/var/lib/kolla/share/ca-certificates` where there is such a directory, else from
//! `/var/lib/kolla/config_files/ca-certificates`. The distribution's own program is run only where
//! something has changed, since it takes a second.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::FileType;

use crate::error::{Error, Result};
use crate::log::Log;
use crate::root::{Node, Root, last_name};
use crate::write;

const SOURCES: [&str; 2] = [
    "/var/lib/kolla/share/ca-certificates",
    "/var/lib/kolla/config_files/ca-certificates",
];
const PREFIX: &str = "kolla-customca-";
/// Larger ones are no certificates.
const MAX_FILE: u64 = 4 << 20;

/// How a family of distributions does it.
struct Distribution {
    mark: &'static str,
    directory: &'static str,
    program: &'static str,
    /// What the program needs to be told to forget one.
    forget: &'static [&'static str],
}

const DISTRIBUTIONS: [Distribution; 2] = [
    Distribution {
        mark: "/etc/debian_version",
        directory: "/usr/local/share/ca-certificates",
        program: "/usr/sbin/update-ca-certificates",
        forget: &["--fresh"],
    },
    Distribution {
        mark: "/etc/redhat-release",
        directory: "/etc/pki/ca-trust/source/anchors",
        program: "/usr/bin/update-ca-trust",
        forget: &[],
    },
];

/// Whether there is anything for [`run`] to do, as far as this user can see.
pub(crate) fn pending(root: &Root) -> bool {
    // What cannot be read here is for the superuser to read.
    let wanted = wanted(root);
    let Some(distribution) = distribution(root) else {
        return wanted.is_ok_and(|wanted| !wanted.is_empty());
    };
    match (wanted, installed(root, distribution)) {
        (Ok(wanted), Ok(installed)) => wanted != installed,
        _ => true,
    }
}

/// Makes the certificates that are trusted those that are there now.
pub(crate) fn run(root: &Root, log: &mut Log<'_>) -> Result<()> {
    let wanted = wanted(root)?;
    let Some(distribution) = distribution(root) else {
        if wanted.is_empty() {
            return Ok(());
        }
        return Err(Error::Usage(
            "certificates are given, but this is neither Debian nor Red Hat: neither \
             /etc/debian_version nor /etc/redhat-release is there"
                .to_owned(),
        ));
    };
    let installed = installed(root, distribution)?;
    if wanted == installed {
        return Ok(());
    }
    let directory = Path::new(distribution.directory);
    root.make_dirs(directory)?;
    let gone = || installed.keys().filter(|name| !wanted.contains_key(*name));
    for name in gone() {
        root.name(&directory.join(name))?.remove()?;
    }
    for (name, bytes) in &wanted {
        if Path::new(name).extension().is_none_or(|ext| ext != "crt") && is_debian(distribution) {
            log.say(format_args!(
                "{name}: update-ca-certificates passes over what does not end in .crt"
            ));
        }
        if installed.get(name) != Some(bytes) {
            write::file(root, &directory.join(name), bytes, 0o644)?;
        }
    }
    let arguments = match gone().next() {
        Some(_) => distribution.forget,
        None => &[],
    };
    update(root, distribution, arguments)?;
    log.say(format_args!(
        "{} further certificates are trusted",
        wanted.len()
    ));
    Ok(())
}

fn is_debian(distribution: &Distribution) -> bool {
    distribution.mark == "/etc/debian_version"
}

fn distribution(root: &Root) -> Option<&'static Distribution> {
    DISTRIBUTIONS.iter().find(|distribution| {
        let mark = root.follow(Path::new(distribution.mark));
        mark.and_then(|place| place.node())
            .is_ok_and(|node| node.is_some())
    })
}

/// The certificates that are given, by the names that they get.
fn wanted(root: &Root) -> Result<BTreeMap<String, Vec<u8>>> {
    for source in SOURCES {
        let files = files(root, Path::new(source))?;
        if !files.is_empty() {
            let named = files
                .into_iter()
                .map(|(name, bytes)| (format!("{PREFIX}{name}"), bytes));
            return Ok(named.collect());
        }
    }
    Ok(BTreeMap::new())
}

/// Those that an earlier run has put in place.
fn installed(root: &Root, distribution: &Distribution) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = files(root, Path::new(distribution.directory))?;
    files.retain(|name, _| name.starts_with(PREFIX));
    Ok(files)
}

fn files(root: &Root, directory: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let parent = directory.parent().unwrap_or(Path::new("/"));
    if !root.missing_dirs(parent)?.is_empty() {
        return Ok(BTreeMap::new());
    }
    let Some(node) = root.follow(directory)?.node()?.filter(Node::is_dir) else {
        return Ok(BTreeMap::new());
    };
    let mut files = BTreeMap::new();
    for child in node.children()? {
        let name = last_name(child.path()).to_string_lossy().into_owned();
        // Kubernetes keeps the files of a volume in hidden directories, with links to them.
        let place = root.follow(&directory.join(&name))?;
        let is_file = place
            .node()?
            .is_some_and(|node| node.kind() == FileType::RegularFile);
        if !name.starts_with('.') && is_file {
            files.insert(name, place.read(MAX_FILE)?.unwrap_or_default());
        }
    }
    Ok(files)
}

/// Runs the distribution's program with an environment of its own: this one may have come through
/// `sudo` from anybody, and shells do much that variables tell them.
fn update(root: &Root, distribution: &Distribution, arguments: &[&str]) -> Result<()> {
    let program: PathBuf = root.host_path(Path::new(distribution.program));
    let failed = |how: String| Error::Program {
        program: distribution.program.to_owned(),
        how,
        status: 2,
    };
    let output = Command::new(&program)
        .args(arguments)
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(format!("cannot be run: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = text.lines().last().unwrap_or_default();
    Err(failed(format!("failed ({}): {last}", output.status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        for path in [
            "etc",
            "usr/sbin",
            "var/lib/kolla/config_files/ca-certificates",
        ] {
            std::fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        std::fs::write(dir.path().join("etc/debian_version"), "13\n").unwrap();
        let program = dir.path().join("usr/sbin/update-ca-certificates");
        let ran = dir.path().join("ran");
        // Not written by this process: while another test forks, it could not be executed.
        let script = format!("#!/bin/sh\necho \"$@\" >> {0}; env >> {0}", ran.display());
        let write = "printf '%s\n' \"$1\" > \"$2\" && chmod 755 \"$2\"";
        let mut writer = Command::new("sh");
        writer.args(["-c", write, "write", &script]).arg(&program);
        assert!(writer.status().unwrap().success());
        let root = Root::new(dir.path()).unwrap();
        (dir, root)
    }

    fn run_once(root: &Root) -> String {
        let mut said = Vec::new();
        run(root, &mut Log::new("t", &mut said)).unwrap();
        String::from_utf8(said).unwrap()
    }

    #[test]
    fn certificates_come_and_go_and_the_program_runs_only_then() {
        let (dir, root) = image();
        let given = dir
            .path()
            .join("var/lib/kolla/config_files/ca-certificates");
        let ran = dir.path().join("ran");
        assert!(!pending(&root));
        run_once(&root);
        assert!(!ran.exists());

        std::fs::write(given.join("corp.crt"), "C").unwrap();
        std::fs::write(given.join("odd.pem"), "P").unwrap();
        assert!(pending(&root));
        let said = run_once(&root);
        assert!(said.contains("kolla-customca-odd.pem: update-ca-certificates passes over"));
        let directory = dir.path().join("usr/local/share/ca-certificates");
        let installed = directory.join("kolla-customca-corp.crt");
        assert_eq!(std::fs::read(&installed).unwrap(), b"C");
        let environment = std::fs::read_to_string(&ran).unwrap();
        assert!(!environment.contains("HOME=") && !environment.contains("CARGO"));

        std::fs::remove_file(&ran).unwrap();
        assert!(!pending(&root));
        run_once(&root);
        assert!(!ran.exists());

        std::fs::write(directory.join("other.crt"), "the image's own").unwrap();
        std::fs::remove_file(given.join("corp.crt")).unwrap();
        std::fs::remove_file(given.join("odd.pem")).unwrap();
        run_once(&root);
        let told = std::fs::read_to_string(&ran).unwrap();
        assert!(
            told.starts_with("--fresh\n"),
            "or links to what is gone stay"
        );
        assert!(!installed.exists() && directory.join("other.crt").exists());
    }

    #[test]
    fn a_shared_directory_comes_first() {
        let (dir, root) = image();
        let shared = dir.path().join("var/lib/kolla/share/ca-certificates");
        std::fs::create_dir_all(&shared).unwrap();
        std::fs::write(shared.join("a.crt"), "A").unwrap();
        let given = dir
            .path()
            .join("var/lib/kolla/config_files/ca-certificates");
        std::fs::write(given.join("b.crt"), "B").unwrap();
        run_once(&root);
        let directory = dir.path().join("usr/local/share/ca-certificates");
        assert!(directory.join("kolla-customca-a.crt").exists());
        assert!(!directory.join("kolla-customca-b.crt").exists());
    }

    #[test]
    fn elsewhere_certificates_are_an_error_and_none_are_not() {
        let (dir, root) = image();
        std::fs::remove_file(dir.path().join("etc/debian_version")).unwrap();
        run_once(&root);
        let given = dir
            .path()
            .join("var/lib/kolla/config_files/ca-certificates");
        std::fs::write(given.join("b.crt"), "B").unwrap();
        let error = run(&root, &mut Log::new("t", &mut Vec::new())).unwrap_err();
        assert!(error.line().contains("neither Debian nor Red Hat"));
    }
}
