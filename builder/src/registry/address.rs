use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::model::{Reference, Registry};

/// What references without a registry mean, and what Docker calls it where it has to.
const DOCKER_HUB: &str = "docker.io";
/// Where Docker Hub speaks the protocol.
const DOCKER_HUB_ADDRESS: &str = "registry-1.docker.io";

/// A repository of a registry, by Docker's rules: without a registry it is Docker Hub's, and there a
/// name of one part is in `library`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    /// None is Docker Hub.
    registry: Option<Registry>,
    path: String,
}

impl Repository {
    /// The repository that a reference is in.
    pub fn of(reference: &Reference) -> Self {
        let aliases = [DOCKER_HUB, "index.docker.io", DOCKER_HUB_ADDRESS];
        let registry = reference
            .registry()
            .filter(|registry| !aliases.contains(&registry.as_str()));
        let path = reference.path();
        let path = match registry {
            None if !path.contains('/') => format!("library/{path}"),
            _ => path.to_owned(),
        };
        Self {
            registry: registry.cloned(),
            path,
        }
    }

    /// The registry as it is shown: `docker.io`, `127.0.0.1:5000`.
    pub fn registry(&self) -> &str {
        self.registry.as_ref().map_or(DOCKER_HUB, Registry::as_str)
    }

    /// Whether it is in Docker's own registry.
    pub fn is_docker_hub(&self) -> bool {
        self.registry.is_none()
    }

    /// The path in it: `library/debian`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Host and optional port to connect to.
    pub(super) fn authority(&self) -> &str {
        self.registry
            .as_ref()
            .map_or(DOCKER_HUB_ADDRESS, Registry::as_str)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry(), self.path)
    }
}

/// How far a host is believed to be who it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// TLS with a certificate that the machine's authorities vouch for.
    Verified,
    /// TLS with any certificate, or none at all: the user said so.
    Insecure,
    /// The same, since it is this machine; and never through a proxy.
    Local,
}

impl Trust {
    /// Of a URL's host; `insecure` holds hosts, with or without a port.
    pub(super) fn of(url: &url::Url, insecure: &[Registry]) -> Self {
        let Some(host) = url.host() else {
            return Self::Verified;
        };
        let local = match host {
            url::Host::Ipv4(address) => Ipv4Addr::is_loopback(&address),
            url::Host::Ipv6(address) => Ipv6Addr::is_loopback(&address),
            url::Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        };
        if local {
            return Self::Local;
        }
        let host = host.to_string();
        let with_port = url.port_or_known_default().map(|p| format!("{host}:{p}"));
        let listed = insecure.iter().any(|registry| {
            let name = registry.as_str();
            name.eq_ignore_ascii_case(&host)
                || with_port
                    .as_ref()
                    .is_some_and(|host| name.eq_ignore_ascii_case(host))
        });
        if listed {
            Self::Insecure
        } else {
            Self::Verified
        }
    }
}

/// Whether two URLs are of one server: the same scheme, host and port (RFC 6454, section 5).
pub(super) fn same_origin(a: &url::Url, b: &url::Url) -> bool {
    a.origin() == b.origin()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(text: &str) -> String {
        match Reference::parse(text) {
            Ok(reference) => {
                let repository = Repository::of(&reference);
                format!("{} at {}", repository, repository.authority())
            }
            Err(problem) => unreachable!("{problem}"),
        }
    }

    #[test]
    fn names_are_docker_s() {
        for (text, found) in [
            (
                "debian:13",
                "docker.io/library/debian at registry-1.docker.io",
            ),
            (
                "docker.io/debian",
                "docker.io/library/debian at registry-1.docker.io",
            ),
            (
                "index.docker.io/a/b",
                "docker.io/a/b at registry-1.docker.io",
            ),
            ("a/b", "docker.io/a/b at registry-1.docker.io"),
            ("localhost/b", "localhost/b at localhost"),
            ("[::1]:5000/b", "[::1]:5000/b at [::1]:5000"),
            ("reg.example/b", "reg.example/b at reg.example"),
        ] {
            assert_eq!(repository(text), found);
        }
    }

    #[test]
    fn only_this_machine_and_what_is_listed_goes_unverified() {
        let list: Vec<_> = ["lab.example", "port.example:5000"]
            .into_iter()
            .filter_map(|name| Registry::new(name).ok())
            .collect();
        for (url, trust) in [
            ("http://127.0.0.1:5000", Trust::Local),
            ("http://127.9.9.9", Trust::Local),
            ("https://[::1]:1", Trust::Local),
            ("https://LOCALHOST", Trust::Local),
            ("https://localhost.example", Trust::Verified),
            ("https://127.0.0.1.example", Trust::Verified),
            ("https://10.0.0.1", Trust::Verified),
            ("https://lab.example:99", Trust::Insecure),
            ("https://x.lab.example", Trust::Verified),
            ("https://port.example:5000", Trust::Insecure),
            ("https://port.example", Trust::Verified),
        ] {
            let found = url::Url::parse(url).map(|url| Trust::of(&url, &list));
            assert_eq!(found, Ok(trust), "{url}");
        }
    }
}
