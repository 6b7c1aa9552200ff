//! One request to one server, over connections that are kept.

use std::io::{self, Read};
use std::time::Duration;

use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, Method, Request, Response};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, SendBody};
use url::Url;

use super::address::Trust;
use super::options::Options;
use super::shared::plain;

/// How long connecting may take, with the handshakes.
const CONNECT: Duration = Duration::from_secs(30);
/// How much longer than usual a registry may think about the end of an upload: some hash or copy the
/// whole blob before they answer.
const COMMIT_FACTOR: u32 = 5;
/// The most that is read of an answer only to keep its connection, in bytes.
const MAX_DRAINED: u64 = 64 * 1024;
/// Connections kept, of which ureq by itself keeps three.
const IDLE: usize = 16;

/// What is sent behind the headers.
#[derive(Clone, Copy)]
pub(super) enum Payload<'a> {
    /// Nothing; no length is told either.
    None,
    /// These bytes.
    Bytes(&'a [u8]),
    /// So many bytes of a reader, which is opened anew for each try.
    Stream(u64, &'a dyn Fn() -> io::Result<Box<dyn Read + 'a>>),
}

/// A request without an address.
pub(super) struct Message<'a> {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload<'a>,
    /// Whether the answer may take long.
    pub(super) commits: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    Connection(String),
    /// The other side does not speak TLS, or its certificate is not good.
    Tls(String),
    /// The payload could not be read.
    Local(String),
    Cancelled,
}

/// Three sets of connections: what is verified never shares one with what is not.
pub(super) struct Wire {
    verified: Agent,
    insecure: Agent,
    local: Agent,
    stall: Duration,
}

impl Wire {
    pub(super) fn new(options: &Options) -> Self {
        let agent = |verify: bool, proxy: Option<&ureq::Proxy>| -> Agent {
            Agent::config_builder()
                .http_status_as_error(false)
                // Redirects are followed by who knows where credentials may go.
                .max_redirects(0)
                .max_redirects_will_error(false)
                .proxy(proxy.cloned())
                .tls_config(
                    TlsConfig::builder()
                        .root_certs(RootCerts::PlatformVerifier)
                        .disable_verification(!verify)
                        .build(),
                )
                .user_agent(concat!("kolla/", env!("CARGO_PKG_VERSION")))
                .timeout_resolve(Some(CONNECT))
                .timeout_connect(Some(CONNECT))
                .timeout_per_read(Some(options.stall))
                .timeout_per_write(Some(options.stall))
                .max_idle_connections(2 * IDLE)
                .max_idle_connections_per_host(IDLE)
                .build()
                .into()
        };
        let proxy = options.proxy.as_ref().map(|proxy| proxy.inner());
        Self {
            verified: agent(true, proxy),
            insecure: agent(false, proxy),
            local: agent(false, None),
            stall: options.stall,
        }
    }

    /// Closes all connections for good; what waits for one of them fails at once.
    pub(super) fn shut_down(&self) {
        for agent in [&self.verified, &self.insecure, &self.local] {
            agent.clone().shutdown();
        }
    }

    /// Sends a message and waits for the head of the answer, of any status.
    pub(super) fn send(
        &self,
        url: &Url,
        trust: Trust,
        message: &Message<'_>,
        options: &Options,
    ) -> Result<Response<Body>, Fault> {
        if options.cancelled() {
            return Err(Fault::Cancelled);
        }
        let agent = match trust {
            Trust::Verified => &self.verified,
            Trust::Insecure => &self.insecure,
            Trust::Local => &self.local,
        };
        let mut request = Request::builder()
            .method(message.method.clone())
            .uri(url.as_str());
        if let Some(headers) = request.headers_mut() {
            headers.clone_from(&message.headers);
            // A digest is over the bytes as they are stored.
            headers.insert(ACCEPT_ENCODING, http::HeaderValue::from_static("identity"));
            let length = match message.payload {
                Payload::None => None,
                Payload::Bytes(bytes) => Some(bytes.len() as u64),
                Payload::Stream(length, _) => Some(length),
            };
            if let Some(length) = length {
                headers.insert(CONTENT_LENGTH, length.into());
            }
        }
        let built = |error: http::Error| Fault::Connection(plain(&error.to_string()));
        let mut feed;
        let answer = match message.payload {
            Payload::None => self.run(agent, request.body(()).map_err(built)?, message),
            Payload::Bytes(bytes) => self.run(agent, request.body(bytes).map_err(built)?, message),
            Payload::Stream(length, open) => {
                feed = Feed {
                    inner: open().map_err(|error| Fault::Local(error.to_string()))?,
                    left: length,
                    options,
                    failed: None,
                };
                let body = SendBody::from_reader(&mut feed);
                let answer = self.run(agent, request.body(body).map_err(built)?, message);
                if let (Err(_), Some(error)) = (&answer, feed.failed) {
                    return Err(Fault::Local(error));
                }
                answer
            }
        };
        answer.map_err(|error| fault(error, url.scheme() == "https", options))
    }

    fn run(
        &self,
        agent: &Agent,
        request: Request<impl ureq::AsSendBody>,
        message: &Message<'_>,
    ) -> Result<Response<Body>, ureq::Error> {
        if !message.commits {
            return agent.run(request);
        }
        let patience = self.stall.saturating_mul(COMMIT_FACTOR);
        let request = agent
            .configure_request(request)
            .timeout_per_read(Some(patience))
            .build();
        agent.run(request)
    }
}

/// Reads what is left of a short answer, without which its connection could not be used again.
pub(super) fn drain(response: Response<Body>) {
    let mut rest = response.into_body().into_reader().take(MAX_DRAINED);
    // Where it fails, the connection is closed instead.
    let _ = io::copy(&mut rest, &mut io::sink());
}

/// A payload under way, which remembers when it was the payload's own fault.
struct Feed<'a> {
    inner: Box<dyn Read + 'a>,
    left: u64,
    options: &'a Options,
    failed: Option<String>,
}

impl Read for Feed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.options.cancelled() {
            return Err(io::Error::other("stopped"));
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let count = loop {
            match self.inner.read(&mut buffer[..most]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => break Err(io::Error::other("it is shorter than it was said to be")),
                other => break other,
            }
        };
        match count {
            Ok(count) => {
                self.left -= count as u64;
                Ok(count)
            }
            Err(error) => {
                self.failed = Some(error.to_string());
                Err(error)
            }
        }
    }
}

/// What a failure means; a URL, which some of ureq's errors show whole, is left out.
pub(super) fn fault(error: ureq::Error, secure: bool, options: &Options) -> Fault {
    use ureq::Error as E;
    if options.cancelled() {
        return Fault::Cancelled;
    }
    match error {
        // How rustls says, through the reader or writer, that what came is not TLS or not trusted.
        E::Io(error) if secure && error.kind() == io::ErrorKind::InvalidData => {
            Fault::Tls(plain(&error.to_string()))
        }
        E::Io(error) => Fault::Connection(plain(&error.to_string())),
        E::HostNotFound => Fault::Connection("the host is not known".to_owned()),
        E::Timeout(which) => Fault::Connection(format!("nothing moved for too long ({which:?})")),
        E::Tls(reason) => Fault::Tls(reason.to_owned()),
        E::TlsRequired => Fault::Tls("there is none".to_owned()),
        E::Rustls(error) => Fault::Tls(plain(&error.to_string())),
        E::Pem(error) => Fault::Tls(plain(&error.to_string())),
        E::BadUri(_) | E::RequireHttpsOnly(_) => {
            Fault::Connection("the address cannot be used".to_owned())
        }
        E::ConnectProxyFailed(reason) => {
            Fault::Connection(format!("the proxy refuses: {}", plain(&reason)))
        }
        error => Fault::Connection(plain(&error.to_string())),
    }
}
