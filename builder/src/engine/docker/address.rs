use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::ClientVersion;

use super::super::Error;
use crate::model::Diagnostic;

/// Where Docker listens unless it was told otherwise.
const DOCKER_SOCKET: &str = "/var/run/docker.sock";
/// Where Podman listens for the system's own containers.
const PODMAN_SOCKET: &str = "/run/podman/podman.sock";

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// A socket in the file system.
    Unix(PathBuf),
    /// `HOST:PORT`, in the clear.
    Http(String),
    /// `HOST:PORT`, with the certificates of a directory.
    Https(String, PathBuf),
    /// `[USER@]HOST[:PORT]`; the other side runs `docker system dial-stdio`.
    Ssh(String),
}

/// What the caller knows of its surroundings that may say where an engine is.
///
/// All of it comes from flags and environment variables, which this library does not read itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// What the user named, `--engine-url`.
    pub engine_url: Option<String>,
    /// `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// Whether `DOCKER_TLS_VERIFY` is set and not empty.
    pub tls_verify: bool,
    /// `DOCKER_CERT_PATH`, or the user's `.docker`: holds `ca.pem`, `cert.pem` and `key.pem`.
    pub cert_path: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`, where engines without root put their sockets.
    pub runtime_dir: Option<PathBuf>,
}

impl Address {
    /// Reads `unix://PATH`, `tcp://HOST:PORT`, `http://…`, `https://…` or `ssh://[USER@]HOST`.
    ///
    /// `tcp` is encrypted where `certificates` names a directory, as Docker's own client does;
    /// `https` cannot do without one.
    ///
    /// # Errors
    /// A definition error that shows the forms an address may have.
    pub fn parse(text: &str, certificates: Option<&Path>) -> Result<Self, Diagnostic> {
        let wrong = |what: &str| {
            Diagnostic::definition(format!(
                "`{}` is not the address of an engine: {what}",
                text.escape_debug()
            ))
            .hint("write unix:///PATH, tcp://HOST:PORT, https://HOST:PORT or ssh://USER@HOST")
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(wrong("it does not begin with a scheme"));
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.is_empty() || rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(wrong("what follows the scheme is not a path or a host"));
        }
        let host = |default_port: u16| {
            if rest.contains('/') || (rest.contains('@') && scheme != "ssh") {
                return Err(wrong("only a host and a port may follow the scheme"));
            }
            let bare = rest.rsplit_once(']').map_or(rest, |(_, port)| port);
            Ok(match bare.rsplit_once(':') {
                Some((_, port)) if port.parse::<u16>().is_ok() => rest.to_owned(),
                Some(_) => return Err(wrong("its port is not a number up to 65535")),
                None => format!("{rest}:{default_port}"),
            })
        };
        let kind = match (scheme, certificates) {
            ("unix", _) if rest.starts_with('/') => Kind::Unix(PathBuf::from(rest)),
            ("unix", _) => return Err(wrong("the path of a socket begins with `/`")),
            ("tcp" | "https", Some(directory)) => Kind::Https(host(2376)?, directory.to_owned()),
            ("tcp", None) => Kind::Http(host(2375)?),
            ("http", _) => Kind::Http(host(2375)?),
            ("https", None) => {
                return Err(wrong("its certificates are not known").hint(
                    "name the directory of ca.pem, cert.pem and key.pem in DOCKER_CERT_PATH",
                ));
            }
            ("ssh", _) => Kind::Ssh(host(22).map(|_| rest.to_owned())?),
            _ => {
                return Err(wrong(&format!(
                    "the scheme `{}` is not known",
                    scheme.escape_debug()
                )));
            }
        };
        Ok(Self(kind))
    }

    /// Whether it is on this machine, so that bytes sent there cost no network.
    pub fn is_local(&self) -> bool {
        match &self.0 {
            Kind::Unix(_) => true,
            Kind::Http(host) | Kind::Https(host, _) => is_loopback(host),
            Kind::Ssh(_) => false,
        }
    }

    /// A client for it. Nothing is sent yet.
    pub(super) fn client(
        &self,
        timeout: Duration,
        version: &ClientVersion,
    ) -> Result<bollard::Docker, Error> {
        let seconds = timeout.as_secs();
        let client = match &self.0 {
            Kind::Unix(path) => match path.to_str() {
                Some(path) => bollard::Docker::connect_with_unix(path, seconds, version),
                None => return Err(self.unreachable("the path is not UTF-8".to_owned())),
            },
            Kind::Http(host) => bollard::Docker::connect_with_http(host, seconds, version),
            Kind::Https(host, directory) => bollard::Docker::connect_with_ssl(
                host,
                &directory.join("key.pem"),
                &directory.join("cert.pem"),
                &directory.join("ca.pem"),
                seconds,
                version,
            ),
            Kind::Ssh(host) => {
                bollard::Docker::connect_with_ssh(&format!("ssh://{host}"), seconds, version, None)
            }
        };
        match client {
            Ok(client) => Ok(client),
            Err(bollard::errors::Error::SocketNotFoundError(_)) => {
                Err(self.unreachable("there is no such socket".to_owned()))
            }
            Err(error) => Err(self.unreachable(error.to_string())),
        }
    }

    pub(super) fn unreachable(&self, reason: String) -> Error {
        Error::Unreachable {
            address: self.to_string(),
            reason,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Unix(path) => write!(f, "unix://{}", path.display()),
            Kind::Http(host) => write!(f, "tcp://{host}"),
            Kind::Https(host, _) => write!(f, "https://{host}"),
            Kind::Ssh(host) => write!(f, "ssh://{host}"),
        }
    }
}

fn is_loopback(host_and_port: &str) -> bool {
    let host = host_and_port
        .rsplit_once(':')
        .map_or(host_and_port, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The addresses to try, in order.
///
/// What the user named is the only candidate: building in another engine than the one that was
/// asked for would be worse than not building.
///
/// # Errors
/// A definition error when the named address cannot be read.
pub fn candidates(surroundings: &Surroundings) -> Result<Vec<Address>, Diagnostic> {
    let named = [&surroundings.engine_url, &surroundings.docker_host];
    let named = named.into_iter().flatten().find(|text| !text.is_empty());
    if let Some(text) = named {
        // Docker's client encrypts `tcp` only when it is told to; `https` says so itself.
        let encrypted = surroundings.tls_verify || text.starts_with("https://");
        let certificates = surroundings.cert_path.as_deref().filter(|_| encrypted);
        return Ok(vec![Address::parse(text, certificates)?]);
    }
    let runtime_dir = surroundings.runtime_dir.as_deref();
    let sockets = [
        Some(PathBuf::from(DOCKER_SOCKET)),
        runtime_dir.map(|directory| directory.join("docker.sock")),
        runtime_dir.map(|directory| directory.join("podman/podman.sock")),
        Some(PathBuf::from(PODMAN_SOCKET)),
    ];
    Ok(sockets
        .into_iter()
        .flatten()
        .map(|path| Address(Kind::Unix(path)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(surroundings: &Surroundings) -> Vec<String> {
        candidates(surroundings)
            .map(|found| found.iter().map(ToString::to_string).collect())
            .unwrap_or_default()
    }

    #[test]
    fn addresses_are_read() {
        for (text, expected) in [
            ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock"),
            ("tcp://10.0.0.1", "tcp://10.0.0.1:2375"),
            ("http://host:80/", "tcp://host:80"),
            ("tcp://[::1]", "tcp://[::1]:2375"),
            ("tcp://[::1]:9", "tcp://[::1]:9"),
            (
                "ssh://root@build.example:2222",
                "ssh://root@build.example:2222",
            ),
            ("ssh://build.example", "ssh://build.example"),
        ] {
            let address = Address::parse(text, None).map(|a| a.to_string());
            assert_eq!(address.as_deref(), Ok(expected));
        }
        let encrypted = Address::parse("tcp://h", Some(Path::new("/certs")));
        assert_eq!(
            encrypted.map(|a| a.to_string()).as_deref(),
            Ok("https://h:2376")
        );
    }

    #[test]
    fn bad_addresses_are_refused() {
        for bad in [
            "",
            "docker.sock",
            "/var/run/docker.sock",
            "unix://x",
            "unix://",
            "ftp://x",
            "tcp://",
            "tcp://h:p",
            "tcp://h:99999",
            "tcp://h/path",
            "tcp://u:p@h:1",
            "https://h",
            "tcp://a b",
        ] {
            assert!(Address::parse(bad, None).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_this_machine_is_local() {
        let local = |text| Address::parse(text, None).is_ok_and(|a| a.is_local());
        assert!(local("unix:///x") && local("tcp://127.0.0.1:1") && local("tcp://[::1]:1"));
        assert!(local("tcp://localhost") && !local("tcp://10.0.0.1") && !local("ssh://localhost"));
    }

    #[test]
    fn a_named_address_is_the_only_candidate() {
        let mut surroundings = Surroundings {
            engine_url: Some("unix:///a".into()),
            docker_host: Some("unix:///b".into()),
            runtime_dir: Some("/run/user/1".into()),
            ..Surroundings::default()
        };
        assert_eq!(shown(&surroundings), ["unix:///a"]);
        surroundings.engine_url = None;
        assert_eq!(shown(&surroundings), ["unix:///b"]);
        surroundings.docker_host = Some(String::new());
        assert_eq!(
            shown(&surroundings),
            [
                "unix:///var/run/docker.sock",
                "unix:///run/user/1/docker.sock",
                "unix:///run/user/1/podman/podman.sock",
                "unix:///run/podman/podman.sock",
            ]
        );
    }

    #[test]
    fn tcp_is_encrypted_only_when_told_to() {
        let mut surroundings = Surroundings {
            docker_host: Some("tcp://h:1".into()),
            cert_path: Some("/certs".into()),
            ..Surroundings::default()
        };
        assert_eq!(shown(&surroundings), ["tcp://h:1"]);
        surroundings.tls_verify = true;
        assert_eq!(shown(&surroundings), ["https://h:1"]);
    }
}
