//! One request to a registry: addressed, authenticated, redirected.

use http::header::{AUTHORIZATION, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Response};
use std::io::Read;
use ureq::Body;
use url::Url;

use super::address::{Trust, same_origin};
use super::auth::Scope;
use super::challenge::Challenge;
use super::endpoint::{Endpoint, failed};
use super::shared::shown;
use super::wire::{Message, Payload, drain, fault};
use super::{Client, Error, Repository};

/// As many as browsers of old followed; object stores need one or two.
const MAX_REDIRECTS: usize = 5;
/// The most of an error's body that is looked at, in bytes.
const MAX_ERROR: u64 = 64 * 1024;

/// Where a request goes.
#[derive(Clone, Copy)]
pub(super) enum Target<'a> {
    /// Below the registry: `_catalog`.
    Registry(&'a str),
    /// Below the repository: `manifests/13`.
    Path(&'a str),
    /// Where the registry said.
    Url(&'a Url),
}

/// One request.
pub(super) struct Call<'a> {
    pub(super) repository: &'a Repository,
    pub(super) scopes: &'a [Scope<'a>],
    pub(super) method: Method,
    pub(super) target: Target<'a>,
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload<'a>,
    pub(super) commits: bool,
    /// What is asked for, for messages: "blob sha256:…".
    pub(super) what: &'a str,
}

/// What came back, and from where.
pub(super) struct Answer {
    pub(super) response: Response<Body>,
    pub(super) url: Url,
}

impl Answer {
    pub(super) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    pub(super) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }
}

impl Client {
    /// Sends a request once, or twice where the registry first wants to know who asks. An answer of
    /// any status but 401 is returned.
    pub(super) fn exchange(&self, call: &Call<'_>) -> Result<Answer, Error> {
        let endpoint = self.endpoint(call.repository);
        let base = endpoint.base(&self.shared, call.repository)?;
        let joined = |path: &str| {
            base.join(path)
                .map_err(|_| Error::protocol(call.repository, 0, "the address is not valid"))
        };
        let url = match call.target {
            Target::Registry(path) => joined(path)?,
            Target::Path(path) => joined(&format!("{}/{path}", call.repository.path()))?,
            Target::Url(url) => url.clone(),
        };
        let auth = &endpoint.auth;
        let mut authorization = auth.header(&self.shared, call, &[], None, &base)?;
        let mut asked_again = false;
        loop {
            let answer = self.follow(call, &base, url.clone(), authorization.as_ref())?;
            if answer.status() != 401 || !same_origin(&answer.url, &base) {
                return Ok(answer);
            }
            let challenge = Challenge::read(answer.response.headers());
            let Some(challenge) = challenge.filter(|_| !asked_again) else {
                return Err(self.failure(call, answer));
            };
            let more = match &challenge {
                Challenge::Bearer { scopes, .. } => scopes.clone(),
                Challenge::Basic => Vec::new(),
            };
            auth.challenged(challenge);
            let refused = authorization.as_ref();
            let next = auth.header(&self.shared, call, &more, refused, &base)?;
            if next.is_none() || next == authorization {
                return Err(self.failure(call, answer));
            }
            drain(answer.response);
            authorization = next;
            asked_again = true;
        }
    }

    /// Follows redirects. Only the registry itself is told who asks, and a connection that began
    /// verified never goes on by plain HTTP (OCI distribution specification, "Pulling blobs").
    fn follow(
        &self,
        call: &Call<'_>,
        base: &Url,
        mut url: Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Error> {
        let shared = &self.shared;
        for _ in 0..=MAX_REDIRECTS {
            let mut headers = call.headers.clone();
            if let Some(value) = authorization.filter(|_| same_origin(&url, base)) {
                headers.insert(AUTHORIZATION, value.clone());
            }
            let message = Message {
                method: call.method.clone(),
                headers,
                payload: call.payload,
                commits: call.commits,
            };
            let trust = Trust::of(&url, &shared.options.insecure);
            let response = shared
                .wire
                .send(&url, trust, &message, &shared.options)
                .map_err(|fault| failed(call.repository, fault))?;
            let answer = Answer { response, url };
            let reads = matches!(call.method, Method::GET | Method::HEAD);
            let redirects = match answer.status() {
                301..=303 => reads,
                307 | 308 => true,
                _ => false,
            };
            let next = redirects.then(|| answer.header(LOCATION)).flatten();
            let Some(next) = next else {
                return Ok(answer);
            };
            url = self.resolve_location(call.repository, &answer, next)?;
            drain(answer.response);
        }
        Err(Error::protocol(
            call.repository,
            0,
            &format!("more than {MAX_REDIRECTS} redirects for {}", call.what),
        ))
    }

    /// A `Location`, relative or absolute, beside the URL that it was the answer to.
    pub(super) fn resolve_location(
        &self,
        repository: &Repository,
        answer: &Answer,
        location: &str,
    ) -> Result<Url, Error> {
        let from = &answer.url;
        let refuse = |reason: &str| Err(Error::protocol(repository, answer.status(), reason));
        let Ok(mut url) = from.join(location) else {
            return refuse("it sends us to an address that is not valid");
        };
        // Registries behind a proxy that ends TLS often do not know that it does.
        let behind = url.scheme() == "http"
            && from.scheme() == "https"
            && url.host() == from.host()
            && (url.port() == from.port() || url.port() == from.port_or_known_default());
        if behind {
            let port = from.port();
            let _ = url.set_scheme("https");
            let _ = url.set_port(port);
        }
        url.set_fragment(None);
        let _ = url.set_username("");
        let _ = url.set_password(None);
        match url.scheme() {
            "https" => Ok(url),
            "http" if from.scheme() == "http" => Ok(url),
            _ => refuse(&format!(
                "it sends us from a secure connection to {}",
                shown(&url)
            )),
        }
    }

    /// An answer that is not what was hoped for, as an error.
    pub(super) fn failure(&self, call: &Call<'_>, answer: Answer) -> Error {
        let status = answer.status();
        let retry_after = answer
            .header(RETRY_AFTER)
            .and_then(|value| value.trim().parse().ok());
        let mut body = Vec::new();
        // What an error says is a courtesy: nothing depends on its being read to the end.
        let _ = answer
            .response
            .into_body()
            .into_reader()
            .take(MAX_ERROR)
            .read_to_end(&mut body);
        let body = String::from_utf8_lossy(&body);
        let endpoint: &Endpoint = &self.endpoint(call.repository);
        let body = endpoint.auth.conceal(&body);
        Error::from_status(call.repository, status, retry_after, &body, call.what)
    }

    /// A failure while an answer's body was read.
    pub(super) fn broken(
        &self,
        repository: &Repository,
        url: &Url,
        error: std::io::Error,
    ) -> Error {
        let error = ureq::Error::from(error);
        let fault = fault(error, url.scheme() == "https", &self.shared.options);
        failed(repository, fault)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::Options;
    use super::*;
    use crate::model::Reference;

    fn resolve(from: &str, location: &str) -> Result<String, String> {
        let response = Response::new(Body::builder().data(""));
        let url = Url::parse(from).unwrap();
        let repository = Repository::of(&Reference::parse("reg.example/a").unwrap());
        Client::new(Options::default())
            .resolve_location(&repository, &Answer { response, url }, location)
            .map(|url| url.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn locations_are_relative_or_absolute_and_keep_their_query() {
        let from = "https://reg.example/v2/a/blobs/uploads/";
        for (location, found) in [
            ("/v2/u?s=a%2Fb", "https://reg.example/v2/u?s=a%2Fb"),
            ("u1", "https://reg.example/v2/a/blobs/uploads/u1"),
            ("?s=1", "https://reg.example/v2/a/blobs/uploads/?s=1"),
            ("https://store.example/x?y#z", "https://store.example/x?y"),
            ("https://u:p@store.example/x", "https://store.example/x"),
            // A registry that does not know of the TLS in front of it.
            ("http://reg.example/u", "https://reg.example/u"),
            ("http://reg.example:443/u", "https://reg.example/u"),
        ] {
            assert_eq!(resolve(from, location), Ok(found.to_owned()));
        }
        let from = "https://reg.example:5000/v2/";
        assert_eq!(
            resolve(from, "http://reg.example:5000/u"),
            Ok("https://reg.example:5000/u".to_owned())
        );
        let from = "http://127.0.0.1:5000/v2/";
        assert!(resolve(from, "http://127.0.0.2/u").is_ok());
    }

    #[test]
    fn a_secure_connection_does_not_go_on_in_the_open() {
        for location in [
            "http://store.example/x?signature=1",
            "http://reg.example:5000/x",
            "ftp://reg.example/x",
            "file:///etc/passwd",
            "http://",
        ] {
            let error = resolve("https://reg.example/v2/", location).unwrap_err();
            assert!(error.starts_with("reg.example/a: "), "{error}");
            assert!(!error.contains("signature"), "{error}");
        }
    }
}
