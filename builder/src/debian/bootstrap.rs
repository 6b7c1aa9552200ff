//! From a suite's name to the tar of a root file system.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rayon::prelude::*;

use super::database::{self, Control};
use super::deb::{self, Part};
use super::fetch::{Downloads, Wanted};
use super::index::{Index, Package};
use super::keyring::Keyring;
use super::layout::Layout;
use super::members::{self, Member, MemberKind};
use super::release::Release;
use super::resolve::{Resolution, ResolveError, resolve};
use super::second_stage;
use super::sources::{self, Mirrors, Source};
use super::variant::Variant;
use super::write::{Made, Spool, write};
use crate::model::{Class, Diagnostic, Digest};

/// The largest Release taken, in bytes. Debian's have some 150 kB.
const MAX_RELEASE: u64 = 16 << 20;
/// The largest index taken, unpacked, in bytes. Debian's have some 60 MB.
const MAX_INDEX: u64 = 1 << 30;
/// What a decompressor of an index may take, in KiB.
const MAX_MEMORY: u32 = 256 << 10;
/// The packages that others may not be laid out before: its folders are everybody's.
const FIRST: &str = "base-files";
const KEYRING: &str = "etc/apt/keyrings/bootstrap";

/// What is to be made.
#[derive(Debug, Clone)]
pub struct Request {
    /// The suite or codename, `trixie`.
    pub suite: String,
    /// Which packages beside the included ones.
    pub variant: Variant,
    /// Further packages.
    pub include: Vec<String>,
    /// Areas of the archive, `main`.
    pub components: Vec<String>,
    /// Debian's name of the architecture.
    pub architecture: String,
    /// Where from.
    pub mirrors: Mirrors,
    /// The keys to trust in place of Debian's.
    pub keyring: Option<Arc<[u8]>>,
    /// The time now, which signatures and indices must be valid at.
    pub now: SystemTime,
    /// The digest of each suite's InRelease, where only that state of the archive will do.
    pub pinned: BTreeMap<String, Digest>,
}

/// A suite of an archive in the state that it is in at the moment.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteState {
    /// The digest of its InRelease, which has the digests of all its indices, and those of all packages.
    pub inrelease: Digest,
    /// When it came to be, as the archive says.
    pub date: String,
}

/// A suite with what its signed Release says.
struct Signed {
    source: Source,
    release: Release,
    inrelease: Digest,
}

/// A package that was fetched and taken apart.
struct Unpacked {
    control: Control,
    members: Vec<Member>,
    spool: Spool,
}

/// Makes the root file system as a tar at `file`. The same packages from the same sources give the
/// same bytes. In it, packages are unpacked and not configured: `/bootstrap/second-stage`, run as
/// root in the image, configures them and removes itself.
///
/// # Errors
/// Transient where the network is at fault; definition where what was asked for cannot be; and
/// environment for everything that is not signed or not as the signed indices say.
pub fn bootstrap(request: &Request, downloads: &Downloads, file: &Path) -> Result<(), Diagnostic> {
    let failed =
        |why: String| Diagnostic::environment(format!("cannot bootstrap {}: {why}", request.suite));
    let (sources, index) = read_archive(request, downloads)?;
    let resolution = resolve(
        &index,
        &request.architecture,
        request.variant,
        &request.include,
    )
    .map_err(|e| unresolved(&request.suite, e))?;
    drop(index);
    let packages = in_order(&resolution);
    let wanted: Vec<Wanted> = packages
        .iter()
        .map(|package| Wanted {
            url: format!("{}/{}", sources[package.archive].uri, package.filename),
            size: package.size,
            digest: package.sha256.clone(),
        })
        .collect();
    let paths = downloads.files(&wanted)?;
    let unpacked = unpack(&packages, &paths, downloads)?;
    downloads.go_on()?;

    let described: Vec<(&Package, &[Member])> = packages
        .iter()
        .zip(&unpacked)
        .map(|(p, u)| (p.as_ref(), u.members.as_slice()))
        .collect();
    let layout = Layout::new(&described).map_err(|e| failed(e.to_string()))?;
    let with_control: Vec<(&Package, &Control, &[Member])> = described
        .iter()
        .zip(&unpacked)
        .map(|((package, members), u)| (*package, &u.control, *members))
        .collect();
    let (mut made, conffiles) = database::records(&with_control, &layout);
    let steps: Vec<(&Package, &Control)> = with_control
        .iter()
        .map(|(package, control, _)| (*package, *control))
        .collect();
    made.extend(second_stage::files(&steps, &request.architecture));
    made.extend(settings(request, &sources, &resolution));
    let spools: Vec<Spool> = unpacked.into_iter().map(|u| u.spool).collect();
    let written = File::create(file)
        .map(|out| BufWriter::with_capacity(1 << 20, out))
        .and_then(|out| write(out, &layout, &conffiles, &spools, &made));
    written.map_err(|e| {
        Diagnostic::environment(format!("cannot write {}: {e}", file.display()))
            .hint("free some space there, or name another folder with --cache-dir")
    })
}

/// The suite and its updates as they are now, by name.
///
/// # Errors
/// Those of [`bootstrap`].
pub fn archive_state(
    request: &Request,
    downloads: &Downloads,
) -> Result<BTreeMap<String, SuiteState>, Diagnostic> {
    let suites = read_releases(request, downloads)?.into_iter();
    let states = suites.map(|signed| {
        let state = SuiteState {
            inrelease: signed.inrelease,
            date: signed.release.date().to_owned(),
        };
        (signed.source.suite, state)
    });
    Ok(states.collect())
}

/// The signed Releases of the suite and of its updates.
fn read_releases(request: &Request, downloads: &Downloads) -> Result<Vec<Signed>, Diagnostic> {
    let keyring = match &request.keyring {
        Some(keys) => Keyring::parse(keys),
        None => Keyring::debian(),
    }
    .map_err(|e| {
        Diagnostic::definition(format!("cannot bootstrap {}: {e}", request.suite))
            .hint("`keyring` names a file as `gpg --export` writes it")
    })?;
    let first = request.mirrors.suite(&request.suite);
    let first = read_release(first, &keyring, request, downloads)?;
    let updates = request
        .mirrors
        .updates(&request.suite, first.release.suite());
    let mut suites = vec![first];
    for source in updates {
        suites.push(read_release(source, &keyring, request, downloads)?);
    }
    Ok(suites)
}

/// The signed indices of the suite and of its updates, as one.
fn read_archive(
    request: &Request,
    downloads: &Downloads,
) -> Result<(Vec<Source>, Index), Diagnostic> {
    let suites = read_releases(request, downloads)?;
    let as_pinned = |s: &Signed| request.pinned.get(&s.source.suite) == Some(&s.inrelease);
    if !request.pinned.is_empty()
        && let Some(other) = suites.iter().find(|signed| !as_pinned(signed))
    {
        return Err(Diagnostic::environment(format!(
            "cannot bootstrap {}: {} is not in the state that is pinned, but in that of {}",
            request.suite,
            other.source.suite,
            other.release.date()
        ))
        .hint("`kolla lock --update` moves on to it"));
    }
    let mut wanted = Vec::new();
    let mut of = Vec::new();
    for (number, signed) in suites.iter().enumerate() {
        let Signed {
            source, release, ..
        } = signed;
        for component in &request.components {
            let plain = format!("{component}/binary-{}/Packages", request.architecture);
            let found = [".xz", ".gz"].iter().find_map(|packing| {
                let (size, digest) = release.file(&format!("{plain}{packing}"))?;
                Some((*packing, size, digest.clone()))
            });
            let Some((packing, size, digest)) = found else {
                // Updates of a component may not be there yet.
                if number > 0 {
                    continue;
                }
                return Err(Diagnostic::definition(format!(
                    "cannot bootstrap {}: the archive has no packages of `{component}` for {}",
                    request.suite, request.architecture
                ))
                .hint("check `components` and the platform"));
            };
            let folder = format!("{}/dists/{}", source.uri, source.suite);
            let url = match (release.by_hash(), plain.rsplit_once('/')) {
                (true, Some((parent, _))) => {
                    format!("{folder}/{parent}/by-hash/SHA256/{}", digest.hex())
                }
                _ => format!("{folder}/{plain}{packing}"),
            };
            let unpacked = release
                .file(&plain)
                .map_or(MAX_INDEX, |(size, _)| size.min(MAX_INDEX));
            of.push((number, packing, unpacked));
            wanted.push(Wanted { url, size, digest });
        }
    }
    let paths = downloads.files(&wanted)?;
    let mut index = Index::default();
    for ((wanted, path), (number, packing, limit)) in wanted.iter().zip(&paths).zip(of) {
        let read = File::open(path)
            .map(BufReader::new)
            .map(|file| -> Box<dyn Read> {
                match packing {
                    ".xz" => Box::new(lzma_rust2::XzReader::new_mem_limit(file, true, MAX_MEMORY)),
                    _ => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
                }
            });
        let read = read.map_err(Into::into).and_then(|plain| {
            let plain = BufReader::with_capacity(1 << 16, plain.take(limit));
            index.read(plain, number)
        });
        read.map_err(|e| {
            Diagnostic::environment(format!(
                "cannot bootstrap {}: the index {} is of no use: {e}",
                request.suite, wanted.url
            ))
        })?;
        downloads.go_on()?;
    }
    let sources = suites.into_iter().map(|signed| signed.source);
    Ok((sources.collect(), index))
}

fn read_release(
    source: Source,
    keyring: &Keyring,
    request: &Request,
    downloads: &Downloads,
) -> Result<Signed, Diagnostic> {
    let url = format!("{}/dists/{}/InRelease", source.uri, source.suite);
    let Some(bytes) = downloads.small(&url, MAX_RELEASE)? else {
        return Err(
            Diagnostic::environment(format!("there is no {url}")).hint(format!(
                "does the mirror have the suite `{}`? name another mirror with --mirror",
                source.suite
            )),
        );
    };
    let text = keyring.verify(&bytes, request.now).map_err(|e| {
        Diagnostic::environment(format!("cannot trust {url}: {e}"))
            .hint("use another mirror with --mirror; for an archive that is not Debian's, name its keys with `keyring` in the bootstrap table")
    })?;
    let inrelease = Digest::of(&bytes);
    let pinned = request.pinned.get(&source.suite) == Some(&inrelease);
    let release = Release::parse(&text, &source.suite, request.now, pinned).map_err(|e| {
        Diagnostic::environment(format!("cannot use {url}: {e}"))
            .hint("use another mirror with --mirror")
    })?;
    Ok(Signed {
        source,
        release,
        inrelease,
    })
}

fn unresolved(suite: &str, error: ResolveError) -> Diagnostic {
    let class = match error {
        ResolveError::Unknown { .. } | ResolveError::Conflict { .. } => Class::Definition,
        _ => Class::Environment,
    };
    let problem = Diagnostic::new(class, format!("cannot bootstrap {suite}: {error}"));
    match error {
        ResolveError::Unknown { near, .. } => {
            problem.maybe_hint(near.map(|near| format!("did you mean `{near}`?")))
        }
        ResolveError::Unsatisfied { chain, .. } => problem.note(chain),
        ResolveError::Conflict {
            relation, chain, ..
        } => problem.note(relation).note(chain),
        _ => problem,
    }
}

/// The order in which packages are laid out.
fn in_order(resolution: &Resolution) -> Vec<Arc<Package>> {
    let mut packages: Vec<Arc<Package>> = resolution.packages.values().cloned().collect();
    packages.sort_by_key(|package| package.name != FIRST);
    packages
}

/// Takes packages apart, as many at once as there are CPUs. Contents go to disk.
fn unpack(
    packages: &[Arc<Package>],
    paths: &[PathBuf],
    downloads: &Downloads,
) -> Result<Vec<Unpacked>, Diagnostic> {
    packages
        .par_iter()
        .zip(paths)
        .enumerate()
        .map(|(number, (package, path))| {
            downloads.go_on()?;
            let spool = downloads.scratch().join(format!("spool-{number}"));
            take_apart(package, path, spool).map_err(|e| {
                Diagnostic::environment(format!(
                    "cannot unpack the package {} {}: {e}",
                    package.name, package.version
                ))
            })
        })
        .collect()
}

fn take_apart(package: &Package, path: &Path, spool: PathBuf) -> io::Result<Unpacked> {
    let control = Control::read(path, package)?;
    let mut out = BufWriter::with_capacity(1 << 18, File::create(&spool)?);
    let (mut members, mut extents, mut end) = (Vec::new(), Vec::new(), 0);
    members::each(deb::open(path, Part::Data)?, |member, body| {
        let size = match member.kind {
            MemberKind::File => io::copy(body, &mut out)?,
            _ => 0,
        };
        extents.push((end, size));
        end += size;
        members.push(member);
        Ok(())
    })?;
    out.flush()?;
    Ok(Unpacked {
        control,
        members,
        spool: Spool {
            path: spool,
            extents,
        },
    })
}

/// What tells apt where packages come from and which are there only for others.
fn settings(request: &Request, sources: &[Source], resolution: &Resolution) -> Vec<Made> {
    let mut made = Vec::new();
    let signed_by = request.keyring.as_ref().map(|keys| {
        // The name's ending tells apt the form.
        let armoured = keys.starts_with(b"-----BEGIN");
        let path = format!("{KEYRING}.{}", if armoured { "asc" } else { "gpg" });
        made.push(Made::new(path.clone(), keys.to_vec()));
        path
    });
    let list = sources::list(sources, &request.components, signed_by.as_deref());
    made.push(Made::new("etc/apt/sources.list", list));
    if !resolution.automatic.is_empty() {
        let text = second_stage::extended_states(&resolution.automatic, &request.architecture);
        made.push(Made::new("var/lib/apt/extended_states", text));
    }
    made
}

#[cfg(test)]
#[path = "tests/bootstrap.rs"]
mod tests;
