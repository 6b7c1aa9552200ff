//! Who asks: passwords and tokens (Docker's token authentication specification).

use std::collections::HashMap;
use std::io::Read;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use url::Url;

use super::address::Trust;
use super::challenge::Challenge;
use super::client::Shared;
use super::credentials::Credentials;
use super::endpoint::failed;
use super::exchange::Call;
use super::options::Options;
use super::shared::{lock, shown};
use super::wire::{Message, Payload, fault};
use super::{Error, Repository};

/// The largest answer of a token server that is read, in bytes.
const MAX_ANSWER: u64 = 1 << 20;
/// How long a token lasts whose server does not say (the specification's default).
const DEFAULT_LIFE: u64 = 60;
/// A token is not used any more when this part of its life is left.
const MARGIN: u32 = 5;

/// What is to be done in which repository.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope<'a> {
    /// The names of all repositories of the registry that this one is in.
    Catalog(&'a Repository),
    Pull(&'a Repository),
    Push(&'a Repository),
    Delete(&'a Repository),
}

impl<'a> Scope<'a> {
    pub(super) fn repository(self) -> &'a Repository {
        match self {
            Self::Catalog(repository)
            | Self::Pull(repository)
            | Self::Push(repository)
            | Self::Delete(repository) => repository,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Catalog(_) => "registry:catalog:*".to_owned(),
            Self::Pull(repository) => format!("repository:{}:pull", repository.path()),
            Self::Push(repository) => format!("repository:{}:pull,push", repository.path()),
            Self::Delete(repository) => format!("repository:{}:pull,delete", repository.path()),
        }
    }
}

/// What one registry is told about who asks.
#[derive(Default)]
pub(super) struct Auth {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    credentials: Option<Credentials>,
    challenge: Option<Challenge>,
    /// By scopes.
    tokens: HashMap<String, Token>,
}

struct Token {
    header: HeaderValue,
    /// By the options' clock.
    expires: Option<Duration>,
}

impl Auth {
    pub(super) fn log_in(&self, credentials: Option<&Credentials>) {
        let mut state = lock(&self.state);
        if state.credentials.as_ref() != credentials {
            state.credentials = credentials.cloned();
            state.tokens.clear();
        }
    }

    pub(super) fn challenged(&self, challenge: Challenge) {
        lock(&self.state).challenge = Some(challenge);
    }

    /// A text of the registry without the secrets that it may have got from us.
    pub(super) fn conceal(&self, text: &str) -> String {
        let state = lock(&self.state);
        let tokens = state.tokens.values().filter_map(|t| t.header.to_str().ok());
        let tokens = tokens.filter_map(|header| header.split_once(' '));
        let mut secrets: Vec<String> = tokens.map(|(_, token)| token.to_owned()).collect();
        if let Some(credentials) = &state.credentials {
            secrets.push(credentials.secret().to_owned());
            if let Credentials::Password { username, password } = credentials {
                secrets.push(encoded(username, password));
            }
        }
        let secrets = secrets.iter().filter(|secret| !secret.is_empty());
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }

    /// The header for a request; `more` are scopes that the registry named itself, `refused` is what
    /// it did not accept just now.
    pub(super) fn header(
        &self,
        shared: &Shared,
        call: &Call<'_>,
        more: &[String],
        refused: Option<&HeaderValue>,
        base: &Url,
    ) -> Result<Option<HeaderValue>, Error> {
        // Held while a token is fetched: others most likely need the same.
        let mut state = lock(&self.state);
        let (realm, service) = match &state.challenge {
            None => return Ok(None),
            Some(Challenge::Basic) => {
                return match &state.credentials {
                    Some(Credentials::Password { username, password }) => {
                        let text = format!("Basic {}", encoded(username, password));
                        secret_header(call.repository, &text).map(Some)
                    }
                    Some(Credentials::Token(_)) => Err(unauthorized(
                        call.repository,
                        "it wants a password, and an identity token is all there is",
                    )),
                    None => Ok(None),
                };
            }
            Some(Challenge::Bearer { realm, service, .. }) => (realm.clone(), service.clone()),
        };
        let mut scopes: Vec<String> = call.scopes.iter().map(|scope| scope.text()).collect();
        scopes.extend(more.iter().cloned());
        scopes.sort_unstable();
        scopes.dedup();
        let key = scopes.join(" ");
        let now = shared.options.clock.as_ref().map(|clock| clock());
        if let Some(token) = state.tokens.get(&key) {
            let fresh = match (token.expires, now) {
                (Some(expires), Some(now)) => now < expires,
                _ => true,
            };
            if fresh && refused != Some(&token.header) {
                return Ok(Some(token.header.clone()));
            }
        }
        let asked = Question {
            repository: call.repository,
            realm: &realm,
            service: &service,
            scopes: &scopes,
            base,
        };
        let (text, life) = asked.ask(shared, state.credentials.as_ref())?;
        let header = secret_header(call.repository, &format!("Bearer {text}"))?;
        let life = Duration::from_secs(life);
        let token = Token {
            header: header.clone(),
            expires: now.map(|now| now + life.saturating_sub(life / MARGIN)),
        };
        state.tokens.insert(key, token);
        Ok(Some(header))
    }
}

fn encoded(username: &str, password: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"))
}

fn secret_header(repository: &Repository, text: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| unauthorized(repository, "the token server's answer is not a token"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn unauthorized(repository: &Repository, message: &str) -> Error {
    Error::Unauthorized {
        repository: repository.clone(),
        message: message.to_owned(),
    }
}

/// What a token server is asked.
struct Question<'a> {
    repository: &'a Repository,
    realm: &'a str,
    service: &'a str,
    scopes: &'a [String],
    base: &'a Url,
}

impl Question<'_> {
    /// The token and the seconds that it lasts.
    fn ask(
        &self,
        shared: &Shared,
        credentials: Option<&Credentials>,
    ) -> Result<(String, u64), Error> {
        let options = &shared.options;
        let mut url = self.url(options)?;
        let mut headers = HeaderMap::new();
        let form;
        let (method, payload) = match credentials {
            Some(Credentials::Token(token)) => {
                // OAuth 2.0 (RFC 6749, section 6), as Docker's token servers speak it.
                form = url::form_urlencoded::Serializer::new(String::new())
                    .append_pair("grant_type", "refresh_token")
                    .append_pair("service", self.service)
                    .append_pair("client_id", "kolla")
                    .append_pair("scope", &self.scopes.join(" "))
                    .append_pair("refresh_token", token)
                    .finish();
                headers.insert(
                    CONTENT_TYPE,
                    HeaderValue::from_static("application/x-www-form-urlencoded"),
                );
                (Method::POST, Payload::Bytes(form.as_bytes()))
            }
            other => {
                {
                    let mut query = url.query_pairs_mut();
                    if !self.service.is_empty() {
                        query.append_pair("service", self.service);
                    }
                    for scope in self.scopes {
                        query.append_pair("scope", scope);
                    }
                    if let Some(Credentials::Password { username, .. }) = other {
                        query.append_pair("account", username);
                    }
                }
                if let Some(Credentials::Password { username, password }) = other {
                    let text = format!("Basic {}", encoded(username, password));
                    headers.insert(AUTHORIZATION, secret_header(self.repository, &text)?);
                }
                (Method::GET, Payload::None)
            }
        };
        let message = Message {
            method,
            headers,
            payload,
            commits: false,
        };
        let trust = Trust::of(&url, &options.insecure);
        let response = shared
            .wire
            .send(&url, trust, &message, options)
            .map_err(|fault| failed(self.repository, fault))?;
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get(http::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let mut body = Vec::new();
        response
            .into_body()
            .into_reader()
            .take(MAX_ANSWER)
            .read_to_end(&mut body)
            .map_err(|error| {
                let fault = fault(error.into(), url.scheme() == "https", options);
                failed(self.repository, fault)
            })?;
        if !(200..300).contains(&status) {
            return Err(self.refused(status, retry_after, &body, credentials));
        }
        token(&body).ok_or_else(|| {
            unauthorized(self.repository, "the token server's answer holds no token")
        })
    }

    fn refused(
        &self,
        status: u16,
        retry_after: Option<u64>,
        body: &[u8],
        credentials: Option<&Credentials>,
    ) -> Error {
        let mut body = String::from_utf8_lossy(body).into_owned();
        let secret = credentials.map(Credentials::secret);
        if let Some(secret) = secret.filter(|secret| !secret.is_empty()) {
            body = body.replace(secret, "***");
        }
        // Whatever else a token server says no with, it is about who asks.
        let status = match status {
            408 | 429 | 500.. => status,
            _ => 401,
        };
        let words: String = body.chars().take(4096).collect();
        Error::from_status(self.repository, status, retry_after, &words, "a token")
    }

    /// Where the token server is; one without TLS only for a registry without.
    fn url(&self, options: &Options) -> Result<Url, Error> {
        let Ok(mut url) = Url::parse(self.realm) else {
            return Err(unauthorized(
                self.repository,
                "the address of its token server is not valid",
            ));
        };
        url.set_fragment(None);
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let plain = self.base.scheme() == "http"
            || Trust::of(self.base, &options.insecure) != Trust::Verified;
        match url.scheme() {
            "https" => Ok(url),
            "http" if plain => Ok(url),
            _ => Err(unauthorized(
                self.repository,
                &format!(
                    "its token server at {} is not reached by a secure connection",
                    shown(&url)
                ),
            )),
        }
    }
}

/// `token`, or by OAuth's name `access_token`, and `expires_in`.
fn token(body: &[u8]) -> Option<(String, u64)> {
    let json: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = |key: &str| json.get(key)?.as_str().filter(|t| !t.is_empty());
    let token = text("token").or_else(|| text("access_token"))?;
    let life = json.get("expires_in").and_then(serde_json::Value::as_u64);
    // A server's odd zero would mean a new token for each request.
    let life = life.unwrap_or(DEFAULT_LIFE).clamp(DEFAULT_LIFE, 1 << 31);
    Some((token.to_owned(), life))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::Reference;

    #[test]
    fn a_password_goes_to_a_token_server_by_a_secure_connection() {
        let url = |realm: &str, base: &str| {
            let repository = Repository::of(&Reference::parse("reg.example/a").unwrap());
            let question = Question {
                repository: &repository,
                realm,
                service: "",
                scopes: &[],
                base: &Url::parse(base).unwrap(),
            };
            question.url(&Options::default()).map(|url| url.to_string())
        };
        let (verified, local) = ("https://reg.example/v2/", "http://127.0.0.1:5000/v2/");
        let found = url("https://u:p@auth.example/token#x", verified);
        assert_eq!(found, Ok("https://auth.example/token".to_owned()));
        assert!(url("http://127.0.0.1:5001/token", local).is_ok());
        for bad in [
            "http://auth.example/token",
            "ftp://auth.example",
            "token",
            "",
        ] {
            assert!(url(bad, verified).is_err(), "{bad}");
        }
    }

    #[test]
    fn tokens_are_read() {
        for (body, found) in [
            (r#"{"token":"a","expires_in":300}"#, Some(("a", 300))),
            (r#"{"access_token":"b"}"#, Some(("b", 60))),
            (
                r#"{"token":"","access_token":"c","expires_in":0}"#,
                Some(("c", 60)),
            ),
            (r#"{"token":7}"#, None),
            ("<html>", None),
        ] {
            let found = found.map(|(text, life)| (text.to_owned(), life));
            assert_eq!(token(body.as_bytes()), found, "{body}");
        }
    }
}
