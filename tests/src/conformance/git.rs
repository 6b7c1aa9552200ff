//! A git repository, and git's own server of it behind ours.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::server::piped;

/// Two branches, a tag, a folder, an executable and a symbolic link; the same commit ids every time.
const SCRIPT: &str = r#"
git init --quiet --initial-branch main work
cd work
mkdir -p docs/deep
echo readme > README
echo page > docs/page
echo deep > docs/deep/page
printf '#!/bin/sh\n' > run
chmod +x run
ln -s docs/page link
git add --all
git commit --quiet --message first
git tag v1
echo second > docs/page
git commit --quiet --all --message second
git checkout --quiet -b other
echo other > README
git commit --quiet --all --message other
git checkout --quiet main
git clone --quiet --bare . "$1"
"#;

/// Makes the repository.
pub(super) fn repository(folder: &Path) {
    let scratch = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-euc", SCRIPT, "sh"])
        .arg(folder)
        .current_dir(scratch.path())
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    for who in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{who}_NAME"), "test")
            .env(format!("GIT_{who}_EMAIL"), "test@localhost")
            .env(format!("GIT_{who}_DATE"), "2020-01-01T00:00:00Z");
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let config = "[http]\n\treceivepack = false\n[uploadpack]\n\tallowAnySHA1InWant = true\n";
    let path = folder.join("config");
    let before = fs::read_to_string(&path).unwrap();
    fs::write(path, before + config).unwrap();
}

/// One request to `git http-backend`, a CGI program (RFC 3875): the whole answer.
pub(super) fn http_backend(
    root: &Path,
    variables: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Vec<u8>> {
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("CONTENT_LENGTH", body.len().to_string())
        // The owner of the folder is not always who runs this.
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .envs(
            variables
                .iter()
                .filter(|(_, value)| !value.is_empty())
                .copied(),
        );
    let answer = piped(&mut command, body)?;
    let split = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap_or(0);
    let (head, content) = answer.split_at(split);
    let head = String::from_utf8_lossy(head);
    let status = head
        .lines()
        .find_map(|line| line.strip_prefix("Status: "))
        .unwrap_or("200 OK");
    let mut out = format!(
        "HTTP/1.1 {status}\r\n{}\r\nContent-Length: {}\r\nConnection: close",
        head.trim(),
        content.len().saturating_sub(4)
    )
    .into_bytes();
    out.extend_from_slice(content);
    Ok(out)
}
