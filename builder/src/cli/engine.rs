//! Which engine builds.

use super::Environment;
use super::keychain::DockerKeychain;
use super::rootless;
use super::settings::{CompressionChoice, EngineChoice, Settings};
use crate::engine::docker::{Docker, Surroundings, candidates};
use crate::engine::native::{Native, Options};
use crate::engine::{self, Engine};
use crate::model::{Diagnostic, Diagnostics};
use crate::oci::compress::Compression;
use crate::registry;

/// Name servers that a network of containers cannot reach are those of the host alone, and steps
/// are in the host's network.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Variables that say where a proxy is, in either case.
const PROXIES: [&str; 5] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

/// The engine that the settings ask for.
pub(super) async fn connect(
    settings: &Settings,
    environment: &Environment,
) -> Result<Box<dyn Engine>, Diagnostics> {
    if settings.engine == EngineChoice::Native {
        return Ok(Box::new(native(settings, environment)?));
    }
    // Somebody who names an engine wants that one or none.
    let named = settings.engine_url.is_some() || environment.get("DOCKER_HOST").is_some();
    match discover(settings, environment).await? {
        Ok(engine) => {
            if !settings.secrets.is_empty() {
                return Err(Diagnostic::definition("secrets are for the native engine")
                    .hint("add --engine native, or leave --secret out")
                    .into());
            }
            Ok(Box::new(engine))
        }
        Err(engine::Error::NoneAnswers { .. })
            if settings.engine == EngineChoice::Auto && !named =>
        {
            Ok(Box::new(native(settings, environment)?))
        }
        Err(error) => Err(error.diagnostic().into()),
    }
}

/// Docker or Podman, whatever builds.
///
/// # Errors
/// When none answers.
pub(super) async fn docker(
    settings: &Settings,
    environment: &Environment,
) -> Result<Docker, Diagnostics> {
    let found = discover(settings, environment).await?;
    Ok(found.map_err(|e| e.diagnostic())?)
}

async fn discover(
    settings: &Settings,
    environment: &Environment,
) -> Result<Result<Docker, engine::Error>, Diagnostics> {
    let surroundings = Surroundings {
        engine_url: settings.engine_url.clone(),
        docker_host: environment.get("DOCKER_HOST"),
        tls_verify: environment.get("DOCKER_TLS_VERIFY").is_some(),
        cert_path: environment
            .get("DOCKER_CERT_PATH")
            .map(Into::into)
            .or_else(|| Some(environment.home()?.join(".docker"))),
        runtime_dir: environment.get("XDG_RUNTIME_DIR").map(Into::into),
    };
    Ok(Docker::discover(&candidates(&surroundings)?).await)
}

/// The proxy that registries are reached through.
fn proxy(environment: &Environment) -> Result<Option<registry::Proxy>, Diagnostic> {
    let either = |name: &str| {
        environment
            .get(name)
            .or_else(|| environment.get(&name.to_lowercase()))
    };
    let Some(url) = either("HTTPS_PROXY").or_else(|| either("ALL_PROXY")) else {
        return Ok(None);
    };
    let except = either("NO_PROXY").unwrap_or_default();
    let except: Vec<String> = except
        .split(',')
        .map(|name| name.trim().to_owned())
        .collect();
    registry::Proxy::new(&url, &except).map(Some)
}

/// How registries are spoken to.
pub(super) fn registry_options(environment: &Environment) -> Result<registry::Options, Diagnostic> {
    Ok(registry::Options {
        proxy: proxy(environment)?,
        ..registry::Options::default()
    })
}

/// The same for sending images.
pub(super) fn noting_uploads(
    settings: &Settings,
    environment: &Environment,
) -> Result<registry::Options, Diagnostic> {
    Ok(registry::Options {
        uploads: Some(settings.cache_dir()?.join("uploads")),
        ..registry_options(environment)?
    })
}

fn native(settings: &Settings, environment: &Environment) -> Result<Native, Diagnostic> {
    if rootless::is_needed() {
        match rootless::begin_anew(&environment.arguments)? {}
    }
    let program = std::env::current_exe()
        .map_err(|e| Diagnostic::environment(format!("cannot tell where this program is: {e}")))?;
    let compression = match settings.compression {
        CompressionChoice::Gzip => Compression::GZIP,
        CompressionChoice::Zstd => Compression::ZSTD,
    };
    let both = PROXIES
        .iter()
        .flat_map(|name| [(*name).to_owned(), name.to_lowercase()]);
    let proxies = both.filter_map(|name| Some((name.clone(), environment.get(&name)?)));
    Native::open(Options {
        store: settings.store()?.to_path_buf(),
        program,
        clamp: settings.source_date_epoch,
        compression,
        resolv_conf: std::fs::read_to_string(RESOLV_CONF).unwrap_or_default(),
        proxies: proxies.collect(),
        secrets: settings.secrets.clone(),
        registry: noting_uploads(settings, environment)?,
        keychain: std::sync::Arc::new(DockerKeychain::new(environment)),
    })
    .map_err(|e| e.diagnostic())
}
