//! What ADD fetches: files over HTTP, and a git repository over git's own protocol on HTTP.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use super::git;

/// A server on a port of its own; it lives as long as the process.
#[derive(Debug)]
pub struct Server {
    address: String,
    _folder: TempDir,
}

impl Server {
    /// Starts one with everything that cases ask for.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("hello.txt"), "hello\n").unwrap();
        fs::write(folder.path().join("tool.sh"), "#!/bin/sh\necho tool\n").unwrap();
        tree(folder.path());
        git::repository(&folder.path().join("project.git"));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let root = folder.path().to_path_buf();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let root = root.clone();
                // A client that hangs up is its own business.
                thread::spawn(move || answer(&root, client));
            }
        });
        Self {
            address,
            _folder: folder,
        }
    }

    /// A report without the address, which is another in every run.
    pub fn nowhere(&self, report: Value) -> Value {
        serde_json::from_str(&report.to_string().replace(&self.address, "server")).unwrap()
    }

    /// HOST:PORT.
    pub fn address(&self) -> &str {
        &self.address
    }
}

fn tree(folder: &Path) {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(6);
    header.set_mode(0o640);
    header.set_uid(7);
    header.set_gid(8);
    tar.append_data(&mut header, "packed/file", &b"inside"[..])
        .unwrap();
    let tar = tar.into_inner().unwrap();
    // Stored as it is: compressed, its bytes would depend on who compresses, and reports are kept.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    gzip.write_all(&tar).unwrap();
    fs::write(folder.join("tree.tar.gz"), gzip.finish().unwrap()).unwrap();
}

fn answer(root: &Path, client: TcpStream) -> std::io::Result<()> {
    let mut input = BufReader::new(client.try_clone()?);
    let mut line = String::new();
    input.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let header = |name: &str| {
        headers
            .iter()
            .find(|(n, _)| n == name)
            .map_or("", |(_, value)| value)
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut output = client;
    if path.contains(".git/") {
        let body = body(
            &mut input,
            header("content-length"),
            header("transfer-encoding"),
        )?;
        let variables = [
            ("REQUEST_METHOD", method),
            ("PATH_INFO", path),
            ("QUERY_STRING", query),
            ("CONTENT_TYPE", header("content-type")),
            ("HTTP_CONTENT_ENCODING", header("content-encoding")),
            ("GIT_PROTOCOL", header("git-protocol")),
        ];
        return output.write_all(&git::http_backend(root, &variables, &body)?);
    }
    let file: PathBuf = root.join(path.trim_start_matches('/'));
    let (status, content) = match fs::read(file) {
        Ok(content) => ("200 OK", content),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    write!(
        output,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         Content-Type: application/octet-stream\r\nConnection: close\r\n\r\n",
        content.len()
    )?;
    if method != "HEAD" {
        output.write_all(&content)?;
    }
    Ok(())
}

fn body(input: &mut impl BufRead, length: &str, encoding: &str) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if !encoding.eq_ignore_ascii_case("chunked") {
        input
            .take(length.parse().unwrap_or(0))
            .read_to_end(&mut body)?;
        return Ok(body);
    }
    loop {
        let mut line = String::new();
        input.read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
        input.by_ref().take(size).read_to_end(&mut body)?;
        input.read_line(&mut String::new())?;
        if size == 0 {
            return Ok(body);
        }
    }
}

/// Runs a program with this on its standard input, and returns its standard output.
pub(super) fn piped(command: &mut Command, input: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(input)?;
    }
    Ok(child.wait_with_output()?.stdout)
}
