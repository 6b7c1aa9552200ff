//! A small HTTP server that can be told to misbehave.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A request as it arrived.
#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// From 1, over all connections.
    pub(super) number: usize,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Method and path.
    pub(super) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What the server does.
#[derive(Debug, Clone, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Closes the connection after so many bytes of the body.
    pub(super) cut: Option<usize>,
    /// Ends the body by closing the connection, without telling its length.
    pub(super) unsized_body: bool,
    /// Closes the connection without an answer.
    pub(super) none: bool,
}

impl Reply {
    pub(super) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            body: body.into(),
            ..Self::default()
        }
    }

    pub(super) fn nothing() -> Self {
        Self {
            none: true,
            ..Self::default()
        }
    }

    pub(super) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
}

/// What happens to a request whose head has arrived.
pub(super) enum Gate {
    /// It is served.
    Pass,
    /// The connection is closed.
    Cut,
    /// So much of its body is read and served, and then the connection is closed unanswered.
    Part(usize),
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;
type Guard = dyn Fn(&Request) -> Gate + Send + Sync;

pub(super) struct Server {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

struct Shared {
    handler: Box<Handler>,
    guard: Box<Guard>,
    seen: Arc<Mutex<Vec<Request>>>,
    count: AtomicUsize,
    connections: Arc<AtomicUsize>,
}

impl Server {
    pub(super) fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1", |_| Gate::Pass, handler)
    }

    pub(super) fn guarded(
        guard: impl Fn(&Request) -> Gate + Send + Sync + 'static,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start_at("127.0.0.1", guard, handler)
    }

    pub(super) fn start_at(
        host: &str,
        guard: impl Fn(&Request) -> Gate + Send + Sync + 'static,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let connections = Arc::<AtomicUsize>::default();
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            guard: Box::new(guard),
            seen: Arc::clone(&seen),
            count: AtomicUsize::new(0),
            connections: Arc::clone(&connections),
        });
        let ended = Arc::clone(&stop);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    // A client that goes away is no concern of the server.
                    let _ = shared.connection(stream?);
                    Ok::<_, std::io::Error>(())
                });
            }
        });
        Self {
            address,
            seen,
            connections,
            stop,
        }
    }

    /// How often somebody connected to speak plain HTTP.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// All requests so far, those that were cut too.
    pub(super) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// Method and path of all but the first question for `/v2/`.
    pub(super) fn lines(&self) -> Vec<String> {
        let lines = self.seen().into_iter().map(|r| r.line());
        lines.filter(|line| line != "GET /v2/").collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn connection(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut writer = stream.try_clone()?;
        let mut reader = BufReader::new(stream);
        // TLS is answered as Go's server of plain HTTP does.
        if reader.fill_buf()?.first() == Some(&0x16) {
            return writer.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n");
        }
        self.connections.fetch_add(1, Ordering::Relaxed);
        while let Some(mut request) = head(&mut reader)? {
            request.number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
            let length = request.header("content-length");
            let length: usize = length.map_or(0, |l| l.parse().unwrap());
            let (read, answered) = match (self.guard)(&request) {
                Gate::Pass => (length, true),
                Gate::Part(most) => (most.min(length), false),
                Gate::Cut => {
                    self.seen.lock().unwrap().push(request);
                    return Ok(());
                }
            };
            request.body = vec![0; read];
            reader.read_exact(&mut request.body)?;
            self.seen.lock().unwrap().push(request.clone());
            let reply = (self.handler)(&request);
            if !answered || reply.none || !send(&mut writer, &request, &reply)? {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Whether the connection may go on.
fn send(writer: &mut TcpStream, request: &Request, reply: &Reply) -> std::io::Result<bool> {
    let mut head = format!("HTTP/1.1 {} x\r\n", reply.status);
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    let own_length = reply
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    if reply.unsized_body {
        head += "Connection: close\r\n";
    } else if !own_length && reply.status != 204 {
        head += &format!("Content-Length: {}\r\n", reply.body.len());
    }
    writer.write_all((head + "\r\n").as_bytes())?;
    if request.method != "HEAD" {
        let end = reply.cut.unwrap_or(reply.body.len()).min(reply.body.len());
        writer.write_all(&reply.body[..end])?;
    }
    Ok(reply.cut.is_none() && !reply.unsized_body)
}

fn head(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let method = words.next().unwrap().to_owned();
    let target = words.next().unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method,
        path: path.to_owned(),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        ..Request::default()
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            None => return Ok(Some(request)),
            Some((name, value)) => request
                .headers
                .push((name.to_ascii_lowercase(), value.trim().to_owned())),
        }
    }
}
