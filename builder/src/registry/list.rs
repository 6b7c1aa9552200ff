//! What a registry has, by name: its repositories, and the tags of one.

use std::io::Read as _;

use http::header::LINK;
use http::{HeaderMap, Method};
use url::Url;

use super::auth::Scope;
use super::exchange::{Answer, Call, Target};
use super::retry::retrying;
use super::wire::Payload;
use super::{Client, Error, Repository};

/// The largest page taken, in bytes, and the most pages.
const MAX_PAGE: u64 = 4 << 20;
const MAX_PAGES: usize = 10_000;

impl Client {
    /// The names of all repositories of the registry that `any` is in, as far as it tells them (Docker's
    /// registry protocol, "Listing Repositories"; many registries do not).
    ///
    /// # Errors
    /// As the registry has it: one that does not list them answers not found, denied or refused.
    pub fn repositories(&self, any: &Repository) -> Result<Vec<String>, Error> {
        #[derive(serde::Deserialize)]
        struct Page {
            repositories: Option<Vec<String>>,
        }
        let scope = Scope::Catalog(any);
        self.pages(
            scope,
            Target::Registry("_catalog?n=1000"),
            "its repositories",
            |bytes| {
                let page: Page = serde_json::from_slice(bytes)?;
                Ok(page.repositories.unwrap_or_default())
            },
        )
    }

    /// The tags of a repository (OCI distribution specification 1.1, "Listing Tags").
    ///
    /// # Errors
    /// Not found where there is no such repository.
    pub fn tags(&self, repository: &Repository) -> Result<Vec<String>, Error> {
        #[derive(serde::Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let scope = Scope::Pull(repository);
        self.pages(
            scope,
            Target::Path("tags/list?n=1000"),
            "its tags",
            |bytes| {
                let page: Page = serde_json::from_slice(bytes)?;
                Ok(page.tags.unwrap_or_default())
            },
        )
    }

    /// All pages of a list, each of which says where the next one is.
    fn pages(
        &self,
        scope: Scope<'_>,
        first: Target<'_>,
        what: &str,
        read: impl Fn(&[u8]) -> serde_json::Result<Vec<String>>,
    ) -> Result<Vec<String>, Error> {
        let repository = scope.repository();
        let mut all = Vec::new();
        let mut next: Option<Url> = None;
        for _ in 0..MAX_PAGES {
            let (names, following) = retrying(&self.shared.options, || {
                let call = Call {
                    repository,
                    scopes: &[scope],
                    method: Method::GET,
                    target: next.as_ref().map_or(first, Target::Url),
                    headers: HeaderMap::new(),
                    payload: Payload::None,
                    commits: false,
                    what,
                };
                let answer = self.exchange(&call)?;
                if answer.status() != 200 {
                    return Err(self.failure(&call, answer));
                }
                let following = match next_page(&answer) {
                    Some(link) => Some(self.resolve_location(repository, &answer, &link)?),
                    None => None,
                };
                let bytes = self.read_page(repository, answer)?;
                let names = read(&bytes).map_err(|error| {
                    Error::protocol(repository, 200, &format!("{what} are not a list: {error}"))
                })?;
                Ok((names, following))
            })?;
            all.extend(names);
            match following {
                // One that sends us in circles has no more.
                Some(url) if next.as_ref() != Some(&url) => next = Some(url),
                _ => return Ok(all),
            }
        }
        Err(Error::protocol(
            repository,
            200,
            &format!("more than {MAX_PAGES} pages of {what}"),
        ))
    }

    fn read_page(&self, repository: &Repository, answer: Answer) -> Result<Vec<u8>, Error> {
        let url = answer.url;
        let mut bytes = Vec::new();
        answer
            .response
            .into_body()
            .into_reader()
            .take(MAX_PAGE + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| self.broken(repository, &url, error))?;
        if bytes.len() as u64 > MAX_PAGE {
            return Err(Error::corrupt(
                repository,
                format!("a page of a list is larger than {MAX_PAGE} bytes"),
            ));
        }
        Ok(bytes)
    }
}

/// `</v2/_catalog?last=x&n=2>; rel="next"` (RFC 8288).
fn next_page(answer: &Answer) -> Option<String> {
    let links = answer.response.headers().get_all(LINK).iter();
    links
        .filter_map(|link| next_link(link.to_str().ok()?))
        .next()
}

fn next_link(header: &str) -> Option<String> {
    let (target, parameters) = header.trim().strip_prefix('<')?.split_once('>')?;
    let mut parameters = parameters.split([';', ',']).map(str::trim);
    let next = parameters
        .any(|p| p.eq_ignore_ascii_case("rel=next") || p.eq_ignore_ascii_case("rel=\"next\""));
    next.then(|| target.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_named_by_a_link() {
        let found = next_link("</v2/_catalog?last=b&n=2>; rel=\"next\"");
        assert_eq!(found.as_deref(), Some("/v2/_catalog?last=b&n=2"));
        assert_eq!(next_link("</v2/a>; rel=\"prev\""), None);
        assert_eq!(next_link("/v2/a; rel=next"), None);
    }
}
