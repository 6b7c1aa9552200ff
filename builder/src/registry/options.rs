use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::model::{Diagnostic, Registry};

/// Time since any fixed moment, never going back.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Waits.
pub type Sleep = Arc<dyn Fn(Duration) + Send + Sync>;

/// How a client behaves; see [`Options::default`].
#[derive(Clone)]
pub struct Options {
    /// Registries used without a verified certificate, or over plain HTTP, beside those of this
    /// machine. None.
    pub insecure: Vec<Registry>,
    /// The proxy for everything but this machine. None.
    pub proxy: Option<Proxy>,
    /// The most bytes sent in one request of an upload; without it a blob is sent in one, which every
    /// registry understands. None.
    pub chunk: Option<u64>,
    /// The folder in which uploads that are under way are noted, so that what a killed process left open
    /// is gone on with. None.
    pub uploads: Option<PathBuf>,
    /// How often one request is tried. 5.
    pub attempts: u32,
    /// The first pause before a retry; each further one is twice as long, up to half a minute. Half
    /// a second.
    pub pause: Duration,
    /// How long nothing may move on a connection. One minute.
    pub stall: Duration,
    /// What tells that a token is about to expire; without it one is used until it is refused. None.
    pub clock: Option<Clock>,
    /// How to wait. `std::thread::sleep`.
    pub sleep: Sleep,
    /// Set by anyone to stop all work: it ends with [`Error::Cancelled`](super::Error::Cancelled) as
    /// soon as something moves on the connection. [`Client::interrupt`](super::Client::interrupt)
    /// does not wait for that.
    pub cancel: Arc<AtomicBool>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            insecure: Vec::new(),
            proxy: None,
            chunk: None,
            uploads: None,
            attempts: 5,
            pause: Duration::from_millis(500),
            stall: Duration::from_secs(60),
            clock: None,
            sleep: Arc::new(std::thread::sleep),
            cancel: Arc::default(),
        }
    }
}

impl Options {
    pub(super) fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("insecure", &self.insecure)
            .field("chunk", &self.chunk)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

/// An HTTP proxy, asked to connect through by `CONNECT`. Its `Debug` shows no secret.
#[derive(Clone)]
pub struct Proxy(ureq::Proxy);

impl Proxy {
    /// Reads `http://[USER:PASSWORD@]HOST[:PORT]`, and hosts to reach without it: names, names with a
    /// leading dot or `*`.
    ///
    /// # Errors
    /// A definition error when it is not such a URL; never with a password in it.
    pub fn new(url: &str, except: &[String]) -> Result<Self, Diagnostic> {
        let problem = || {
            Diagnostic::definition("the proxy's address is not valid")
                .hint("a proxy is http://HOST:PORT or https://HOST:PORT")
        };
        // Checks the protocol and decodes user and password.
        let parsed = ureq::Proxy::new(url).map_err(|_| problem())?;
        if !matches!(
            parsed.protocol(),
            ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https
        ) {
            return Err(problem().note("proxies other than of HTTP are not supported"));
        }
        let mut builder = ureq::Proxy::builder(parsed.protocol())
            .host(parsed.host())
            .port(parsed.port());
        if let Some(name) = parsed.username() {
            builder = builder.username(name);
        }
        if let Some(password) = parsed.password() {
            builder = builder.password(password);
        }
        let except = except.iter().map(|host| host.trim());
        for host in except.filter(|host| !host.is_empty()) {
            builder = builder.no_proxy(host);
        }
        builder.build().map(Self).map_err(|_| problem())
    }

    pub(super) fn inner(&self) -> &ureq::Proxy {
        &self.0
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({}:{})", self.0.host(), self.0.port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_http_and_keeps_its_password() {
        let proxy = Proxy::new("http://u:s3cret@proxy.example:3128", &["x.example".into()]);
        assert_eq!(
            proxy.as_ref().map(|p| format!("{p:?}")),
            Ok("Proxy(proxy.example:3128)".to_owned())
        );
        assert_eq!(
            proxy.ok().and_then(|p| p.0.password().map(str::to_owned)),
            Some("s3cret".to_owned())
        );
        for bad in ["socks5://x", "ftp://u:s3cret@x", "", "http://"] {
            let problem = Proxy::new(bad, &[]).err();
            assert!(problem.is_some(), "{bad}");
            assert!(!format!("{problem:?}").contains("s3cret"));
        }
    }
}
