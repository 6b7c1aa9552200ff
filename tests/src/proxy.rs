//! A registry that is unwell: passes requests on to a real one, except where it is told to fail.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// The first byte of a connection by TLS (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: it is passed on.
    None,
    /// An answer of this status, with `Retry-After: 1`.
    Status(u16),
    /// The connection ends when so many bytes of the request were passed on.
    Cut(usize),
}

/// The proxy; it lives as long as the test's process.
#[derive(Debug)]
pub struct Proxy {
    /// HOST:PORT.
    pub address: String,
    failed: Arc<Mutex<Vec<String>>>,
    passed: Arc<Mutex<Vec<Passed>>>,
    bytes: Arc<AtomicUsize>,
}

/// A request that was passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// "METHOD PATH".
    pub request: String,
    /// Bytes of its body.
    pub bytes: usize,
}

impl Proxy {
    /// Only watches.
    pub fn watching(registry: &str) -> Self {
        Self::before(registry, |_, _| Fault::None)
    }

    /// Stands before a registry over plain HTTP. `fault` is asked for each request, given as
    /// "METHOD PATH" and how many requests were failed before.
    pub fn before(
        registry: &str,
        fault: impl Fn(&str, usize) -> Fault + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let failed = Arc::new(Mutex::new(Vec::new()));
        let passed = Arc::new(Mutex::new(Vec::new()));
        let (registry, fault, seen) = (registry.to_owned(), Arc::new(fault), Arc::clone(&failed));
        let all_passed = Arc::clone(&passed);
        let bytes = Arc::new(AtomicUsize::new(0));
        let all_bytes = Arc::clone(&bytes);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (registry, fault) = (registry.clone(), Arc::clone(&fault));
                let (seen, passed) = (Arc::clone(&seen), Arc::clone(&all_passed));
                let bytes = Arc::clone(&all_bytes);
                thread::spawn(move || {
                    let choose = |request: &str| {
                        let mut seen = seen.lock().unwrap();
                        let fault = fault(request, seen.len());
                        if fault != Fault::None {
                            seen.push(request.to_owned());
                        }
                        fault
                    };
                    let note = |request| passed.lock().unwrap().push(request);
                    // A connection that breaks is what this is for.
                    let _ = serve(client, &registry, &choose, &note, &bytes);
                });
            }
        });
        Self {
            address,
            failed,
            passed,
            bytes,
        }
    }

    /// Bytes of bodies that were passed on so far, those of requests that are under way too.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The requests that were passed on, whole or cut, in order of their ends.
    pub fn passed(&self) -> Vec<Passed> {
        self.passed.lock().unwrap().clone()
    }

    /// Forgets what was passed on so far.
    pub fn forget(&self) {
        self.passed.lock().unwrap().clear();
        self.bytes.store(0, Ordering::Relaxed);
    }

    /// The requests that were failed, in order.
    pub fn failed(&self) -> Vec<String> {
        self.failed.lock().unwrap().clone()
    }
}

/// One request; the client has to connect anew for the next.
fn serve(
    mut client: TcpStream,
    registry: &str,
    fault: &dyn Fn(&str) -> Fault,
    note: &dyn Fn(Passed),
    bytes: &AtomicUsize,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if client.read(&mut byte)? == 0 {
            return Ok(());
        }
        head.push(byte[0]);
        // Somebody tries TLS, and waits for an answer before a line ends.
        if head[0] == TLS_HANDSHAKE {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let request: Vec<&str> = head.split_whitespace().take(2).collect();
    let request = request.join(" ");
    let limit = match fault(&request) {
        Fault::None => usize::MAX,
        Fault::Cut(bytes) => bytes,
        Fault::Status(status) => {
            let answer = format!(
                "HTTP/1.1 {status} Unwell\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            client.write_all(answer.as_bytes())?;
            // What the client still sends has to be read, or it never sees the answer.
            client.shutdown(Shutdown::Write)?;
            std::io::copy(&mut client, &mut std::io::sink())?;
            return Ok(());
        }
    };
    let mut server = TcpStream::connect(registry)?;
    let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    server.write_all(head.as_bytes())?;
    let (mut answers, mut back) = (server.try_clone()?, client.try_clone()?);
    let answering = thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let mut sent = 0;
    let mut buffer = [0; 16 * 1024];
    while sent < limit {
        let count = match client.read(&mut buffer) {
            // A client that is killed leaves what it sent.
            Ok(0) | Err(_) => break,
            Ok(count) => count.min(limit - sent),
        };
        server.write_all(&buffer[..count])?;
        sent += count;
        bytes.fetch_add(count, Ordering::Relaxed);
    }
    note(Passed {
        request,
        bytes: sent,
    });
    if sent >= limit {
        let _ = server.shutdown(Shutdown::Both);
        let _ = client.shutdown(Shutdown::Both);
    } else {
        // Nothing more comes, and a registry that waits for more is to know.
        let _ = server.shutdown(Shutdown::Write);
    }
    let _ = answering.join();
    Ok(())
}
