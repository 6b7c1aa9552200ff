//! How files are fetched by URL: one configuration for all that is not a registry.

use std::time::Duration;

use ureq::config::ConfigBuilder;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::typestate::AgentScope;

/// How long a server may take to be reached, and to begin its answer.
const REACHED: Duration = Duration::from_secs(30);
const ANSWERED: Duration = Duration::from_secs(60);

/// What an agent begins with: patience with slow servers, this program's name, and trust in the
/// authorities that the machine trusts.
pub fn agent() -> ConfigBuilder<AgentScope> {
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    ureq::Agent::config_builder()
        .timeout_connect(Some(REACHED))
        .timeout_recv_response(Some(ANSWERED))
        .user_agent(concat!("kolla/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
}
