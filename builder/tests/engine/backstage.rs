//! Looking behind an engine under test, by other means than the engine's own.

use std::path::PathBuf;

use async_trait::async_trait;
use kolla::engine::docker::Address;

use crate::fixtures;

/// What the behaviours need to see of an engine.
#[async_trait]
pub(crate) trait Backstage: Send + Sync {
    /// Everything that is under way, or was left of it: containers; or helpers, mounts and
    /// unfinished files.
    async fn traces(&self) -> Vec<String>;

    /// Where the engine is, in the words in which it says so itself.
    fn address(&self) -> String;

    /// A client of Docker's API, where that is what the engine speaks.
    fn client(&self) -> Option<bollard::Docker> {
        None
    }
}

/// An engine with Docker's API.
pub(crate) struct OfDocker(pub(crate) Address);

#[async_trait]
impl Backstage for OfDocker {
    async fn traces(&self) -> Vec<String> {
        let options = bollard::query_parameters::ListContainersOptionsBuilder::default()
            .all(true)
            .build();
        let client = self.client().unwrap();
        let containers = client.list_containers(Some(options)).await.unwrap();
        containers.into_iter().filter_map(|c| c.id).collect()
    }

    fn address(&self) -> String {
        self.0.to_string()
    }

    fn client(&self) -> Option<bollard::Docker> {
        let address = self.address();
        let version = bollard::API_DEFAULT_VERSION;
        let client = if address.starts_with("unix:") {
            bollard::Docker::connect_with_unix(&address, 60, version)
        } else if let Some(directory) = certificates() {
            let file = |name| directory.join(name);
            let (key, cert, ca) = (file("key.pem"), file("cert.pem"), file("ca.pem"));
            bollard::Docker::connect_with_ssl(&address, &key, &cert, &ca, 60, version)
        } else {
            bollard::Docker::connect_with_http(&address, 60, version)
        };
        Some(client.unwrap())
    }
}

/// Where the certificates of an engine behind TLS are.
pub(crate) fn certificates() -> Option<PathBuf> {
    std::env::var_os("KOLLA_TEST_CERTIFICATES").map(Into::into)
}

/// The native engine, with a store that ends with this.
pub(crate) struct OfNative(pub(crate) tempfile::TempDir);

#[async_trait]
impl Backstage for OfNative {
    async fn traces(&self) -> Vec<String> {
        fixtures::traces(self.0.path())
    }

    fn address(&self) -> String {
        self.0.path().canonicalize().unwrap().display().to_string()
    }
}
