//! `kolla_set_configs`: makes the container what its configuration says, or says whether it is.
//!
//! # Who is trusted with what
//!
//! A service's user may run this as the superuser, through a rule of `sudo`, whenever and from
//! wherever it likes, with any environment. So where `sudo` is at work, nothing comes from the
//! caller but the moment, `--check`, and `KOLLA_CONFIG_STRATEGY`; the configuration is the one at
//! its fixed path, mounted read-only by whoever runs the container. `KOLLA_CONFIG` and
//! `KOLLA_CONFIG_FILE`, which upstream once took from anybody and then from nobody (CVE-2022-38060),
//! are taken only where there is no `sudo`: from somebody who is the superuser already, or who
//! stays what they are.
//!
//! The configuration itself is trusted: it says what runs as whom. The directories that it names
//! are not, since many belong to the service; [`crate::root`] is about those.

use std::collections::BTreeSet;
use std::path::Path;

use crate::accounts::Accounts;
use crate::cacerts;
use crate::check;
use crate::config::Config;
use crate::defaults::{self, Defaults};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::log::Log;
use crate::permissions;
use crate::plan::{self, Copy};
use crate::root::Root;
use crate::write;

/// The command, for whoever starts it.
pub(crate) const RUN_COMMAND: &str = "/run_command";
/// Marks a container that has got its configuration once.
const CONFIGURED: &str = "/configured";
const CONFIG_JSON: &str = "/var/lib/kolla/config_files/config.json";
const CONFIG_YAML: &str = "/var/lib/kolla/config_files/config.yaml";
const STRATEGY: &str = "KOLLA_CONFIG_STRATEGY";
const MAX_CONFIG: u64 = 16 << 20;

/// Where the configuration is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In the variable `KOLLA_CONFIG`.
    Variable,
    /// In a file.
    File(std::path::PathBuf),
}

/// Where the configuration of this container is, if it has one.
pub(crate) fn origin(host: &Host) -> Result<Option<Origin>> {
    if !host.through_sudo() {
        if host.var("KOLLA_CONFIG").is_some() {
            return Ok(Some(Origin::Variable));
        }
        if let Some(path) = host.var("KOLLA_CONFIG_FILE") {
            return Ok(Some(Origin::File(path.into())));
        }
    }
    let is_there = |path: &str| match host.root.follow(Path::new(path)).and_then(|p| p.node()) {
        Ok(node) => Ok(node.is_some()),
        Err(Error::Io { source, .. }) => match source.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Ok(false),
            // Somebody has put it there for the superuser alone.
            _ => Ok(true),
        },
        Err(error) => Err(error),
    };
    if is_there(CONFIG_JSON)? {
        return Ok(Some(Origin::File(CONFIG_JSON.into())));
    }
    if is_there(CONFIG_YAML)? {
        return Err(Error::Config {
            origin: CONFIG_YAML.to_owned(),
            message: "YAML is not read; expected the same as JSON in config.json".to_owned(),
        });
    }
    Ok(None)
}

/// The program: `arguments` without its name.
pub(crate) fn main(host: &mut Host, log: &mut Log<'_>, arguments: &[&str]) -> Result<()> {
    let check = match arguments {
        [] => false,
        ["--check"] => true,
        _ => {
            return Err(Error::Usage("expected no argument, or --check".to_owned()));
        }
    };
    let Some(origin) = origin(host)? else {
        return Err(Error::Config {
            origin: CONFIG_JSON.to_owned(),
            message: "is not there; mount the directory that it is in".to_owned(),
        });
    };
    run(host, log, &origin, check)
}

/// Puts the configuration at `origin` in place, or checks whether it is.
pub(crate) fn run(host: &mut Host, log: &mut Log<'_>, origin: &Origin, check: bool) -> Result<()> {
    let once = match (check, host.var(STRATEGY).and_then(|value| value.to_str())) {
        (true, _) | (false, Some("COPY_ALWAYS")) => false,
        (false, Some("COPY_ONCE")) => true,
        (false, _) => {
            return Err(Error::Config {
                origin: STRATEGY.to_owned(),
                message: "expected COPY_ALWAYS or COPY_ONCE in this variable".to_owned(),
            });
        }
    };
    let (name, text) = load(host, origin)?;
    let config = Config::parse(&name, &text)?;
    for note in &config.notes {
        log.say(note);
    }
    let root = &host.root;
    let accounts = Accounts::read(root)?;
    if check {
        let copies = plan::expand(root, &accounts, &name, &config)?;
        return check::run(root, &config, &copies);
    }
    if once && root.name(Path::new(CONFIGURED))?.node()?.is_some() {
        log.say("configured before, and KOLLA_CONFIG_STRATEGY is COPY_ONCE: left as it is");
        return Ok(());
    }
    // All that can be known to be wrong is known before anything is changed.
    let copies = plan::expand(root, &accounts, &name, &config)?;
    for made in config.directories.iter().chain(&config.files) {
        made.owner.ids(&accounts)?;
    }
    for permission in &config.permissions {
        permission.owner.ids(&accounts)?;
    }
    apply(root, log, &accounts, &config, &copies)?;
    if once {
        write::file(root, Path::new(CONFIGURED), b"", 0o644)?;
    }
    Ok(())
}

fn apply(
    root: &Root,
    log: &mut Log<'_>,
    accounts: &Accounts,
    config: &Config,
    copies: &[Copy],
) -> Result<()> {
    for made in &config.directories {
        permissions::make_dir(root, accounts, made)?;
    }
    for made in &config.files {
        permissions::make_file(root, accounts, made)?;
    }
    let defaults = Defaults::load(root)?;
    let mut replaced = BTreeSet::new();
    for copy in copies {
        copy.replaced(root, &defaults, &mut replaced)?;
    }
    defaults::prepare(root, log, &defaults, &replaced)?;
    for copy in copies {
        copy.run(root)?;
        let (source, dest) = (copy.source.display(), copy.dest.display());
        log.say(format_args!("{source} is at {dest}"));
    }
    // Everybody may read it: whoever starts the command is not the superuser.
    write::file(
        root,
        Path::new(RUN_COMMAND),
        config.command.as_bytes(),
        0o644,
    )?;
    for permission in &config.permissions {
        permissions::apply(root, accounts, log, permission)?;
    }
    Ok(())
}

fn load(host: &mut Host, origin: &Origin) -> Result<(String, Vec<u8>)> {
    use std::os::unix::ffi::OsStrExt;
    let path = match origin {
        Origin::Variable => {
            let text = host
                .var("KOLLA_CONFIG")
                .map(|text| text.as_bytes().to_vec());
            return Ok(("KOLLA_CONFIG".to_owned(), text.unwrap_or_default()));
        }
        Origin::File(path) => path,
    };
    let name = path.display().to_string();
    let place = host.root.follow(path)?;
    let Some(text) = place.read(MAX_CONFIG)? else {
        return Err(Error::Config {
            origin: name,
            message: "is not there".to_owned(),
        });
    };
    // Whoever can write this file decides what happens anyway; but the mount may be read-only, and
    // the service's user of the same number as some user of the machine.
    let owner = place.required()?.owner().0;
    if !host.asked_by(owner) {
        host.root.trust(owner);
    }
    Ok((name, text))
}

/// The program `kolla_copy_cacerts`.
pub(crate) fn copy_cacerts(host: &Host, log: &mut Log<'_>, arguments: &[&str]) -> Result<()> {
    if !arguments.is_empty() {
        return Err(Error::Usage("expected no argument".to_owned()));
    }
    cacerts::run(&host.root, log)
}
