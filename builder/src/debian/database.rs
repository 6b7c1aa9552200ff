//! dpkg's records of packages that are unpacked and not configured, as `dpkg --unpack` leaves them.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::Path;

use deb822_fast::borrowed::BorrowedParser;

use super::deb::{self, Part};
use super::index::Package;
use super::layout::{Layout, Node};
use super::members::{self, Member, MemberKind};
use super::write::Made;

/// The largest control file taken, in bytes. The longest of Debian's have some 2 MB.
const MAX_FILE: u64 = 32 << 20;
const INFO: &str = "var/lib/dpkg/info";
/// Files in dpkg's folder of triggers that are no trigger's.
const NOT_TRIGGERS: [&str; 3] = ["File", "Lock", "Unincorp"];

/// What a package says of itself.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Control {
    /// The paragraph, without a line break at its end.
    text: String,
    files: Vec<ControlFile>,
    conffiles: Vec<Conffile>,
    /// The trigger, and whether who activates it waits.
    interests: Vec<(String, bool)>,
}

#[derive(Debug, PartialEq)]
struct Conffile {
    /// In the form of [`Member::path`].
    path: String,
    /// One that an upgrade removes, and that is not in the package.
    gone: bool,
}

#[derive(Debug, PartialEq)]
struct ControlFile {
    name: String,
    executable: bool,
    mtime: u64,
    bytes: Vec<u8>,
}

fn wrong(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

impl Control {
    /// Reads the control files of a package, which must be the one that the index describes.
    pub(super) fn read(path: &Path, package: &Package) -> io::Result<Self> {
        let mut control = Self::default();
        members::each(deb::open(path, Part::Control)?, |member, body| {
            if member.kind == MemberKind::Directory && member.path.is_empty() {
                return Ok(());
            }
            let named = member
                .path
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_+".contains(&b));
            if member.kind != MemberKind::File || !named || member.path == "list" {
                return Err(wrong(format!(
                    "`{}` cannot be a control file",
                    member.path.escape_debug()
                )));
            }
            let mut bytes = Vec::new();
            body.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > MAX_FILE {
                return Err(wrong(format!(
                    "its control file `{}` is larger than {MAX_FILE} bytes",
                    member.path
                )));
            }
            control.take(member, bytes)
        })?;
        control.check(package)?;
        Ok(control)
    }

    fn take(&mut self, member: Member, bytes: Vec<u8>) -> io::Result<()> {
        let text = || {
            std::str::from_utf8(&bytes)
                .map_err(|_| wrong(format!("its control file `{}` is not UTF-8", member.path)))
        };
        match member.path.as_str() {
            "control" => {
                self.text = text()?.trim().to_owned();
                return Ok(());
            }
            "conffiles" => self.conffiles = conffiles(text()?)?,
            "triggers" => self.interests = interests(text()?)?,
            _ => {}
        }
        self.files.push(ControlFile {
            name: member.path,
            executable: member.mode & 0o111 != 0,
            mtime: member.mtime,
            bytes,
        });
        Ok(())
    }

    fn check(&self, package: &Package) -> io::Result<()> {
        let paragraphs = BorrowedParser::new(&self.text)
            .parse_all()
            .map_err(|e| wrong(format!("its control file is damaged: {e}")))?;
        let [fields] = paragraphs.as_slice() else {
            return Err(wrong("its control file is not one paragraph"));
        };
        for (field, expected) in [
            ("Package", package.name.clone()),
            ("Version", package.version.to_string()),
            ("Architecture", package.architecture.clone()),
        ] {
            let found = fields.get_single(field).unwrap_or_default().trim();
            if found != expected {
                return Err(wrong(format!(
                    "its `{field}` is `{}`, the index has `{expected}`",
                    found.escape_debug()
                )));
            }
        }
        match fields.get_field("Status").or(fields.get_field("Conffiles")) {
            Some(field) => Err(wrong(format!(
                "its control file has a field `{}`",
                field.name()
            ))),
            None => Ok(()),
        }
    }

    /// Whether it has a script or another control file of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.files.iter().any(|file| file.name == name)
    }

    /// The paragraph of dpkg's status file.
    fn status(&self, conffiles: &[&Conffile]) -> String {
        let (first, rest) = self.text.split_once('\n').unwrap_or((&self.text, ""));
        let mut text = format!("{first}\nStatus: install ok unpacked\n{rest}");
        if !text.ends_with('\n') {
            text.push('\n');
        }
        if !conffiles.is_empty() {
            text.push_str("Conffiles:\n");
            for conffile in conffiles {
                let flag = if conffile.gone {
                    " remove-on-upgrade"
                } else {
                    ""
                };
                text.push_str(&format!(" /{} newconffile{flag}\n", conffile.path));
            }
        }
        text
    }
}

/// The files that a package's administrator may change (deb-conffiles(5)).
fn conffiles(text: &str) -> io::Result<Vec<Conffile>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let rest = line.strip_prefix("remove-on-upgrade").map(str::trim_start);
            let path = rest.unwrap_or(line);
            let good = !path.contains("/../") && !path.contains(char::is_whitespace);
            match path.strip_prefix('/') {
                Some(path) if good => Ok(Conffile {
                    path: path.to_owned(),
                    gone: rest.is_some(),
                }),
                _ => Err(wrong(format!(
                    "`{}` cannot be a conffile",
                    line.escape_debug()
                ))),
            }
        })
        .collect()
}

/// The triggers that a package waits for (deb-triggers(5)).
fn interests(text: &str) -> io::Result<Vec<(String, bool)>> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line
            .split('#')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let waits = match words.next() {
            Some("interest" | "interest-await") => true,
            Some("interest-noawait") => false,
            _ => continue,
        };
        let name = words.next().unwrap_or_default();
        let good = if name.starts_with('/') {
            !name.contains("/../")
        } else {
            let named = |b: u8| b.is_ascii_alphanumeric() || b"-_+.:~".contains(&b);
            !name.is_empty() && !name.starts_with('.') && name.bytes().all(named)
        };
        if !good || NOT_TRIGGERS.contains(&name) || words.next().is_some() {
            return Err(wrong(format!(
                "`{}` cannot be a trigger",
                name.escape_debug()
            )));
        }
        found.push((name.to_owned(), waits));
    }
    Ok(found)
}

/// How dpkg names a package where it may be there for several architectures.
pub(super) fn label(package: &Package) -> String {
    match package.multi_arch.as_str() {
        "same" => format!("{}:{}", package.name, package.architecture),
        _ => package.name.clone(),
    }
}

/// dpkg's files for packages, in the order of the layout, and the places of conffiles: those are laid
/// out as `NAME.dpkg-new` and get their name when their package is configured.
pub(super) fn records(
    packages: &[(&Package, &Control, &[Member])],
    layout: &Layout,
) -> (Vec<Made>, Vec<String>) {
    let mut made = vec![Made::new(format!("{INFO}/format"), "1\n")];
    let mut renamed = Vec::new();
    let mut status = BTreeMap::new();
    let mut triggers: BTreeMap<String, String> = BTreeMap::new();
    for (number, (package, control, members)) in packages.iter().enumerate() {
        let label = label(package);
        let mut list = String::from("/.\n");
        for member in members.iter().filter(|m| !m.path.is_empty()) {
            let place = layout.place(&member.path).unwrap_or_default();
            if !layout.is_taken(number, &place) {
                list.push_str(&format!("/{}\n", member.path));
            }
        }
        made.push(Made::new(format!("{INFO}/{label}.list"), list));
        for file in &control.files {
            made.push(Made {
                path: format!("{INFO}/{label}.{}", file.name),
                mode: if file.executable { 0o755 } else { 0o644 },
                mtime: file.mtime,
                bytes: file.bytes.clone(),
            });
        }
        let mut own = Vec::new();
        for conffile in &control.conffiles {
            if conffile.gone {
                own.push(conffile);
                continue;
            }
            let place = layout.place(&conffile.path).unwrap_or_default();
            let placed = layout.entries().get(&place);
            let is_own = placed.is_some_and(|placed| {
                placed.package == number && matches!(placed.node, Node::File(_))
            });
            if is_own {
                own.push(conffile);
                renamed.push(place);
            }
        }
        status.insert(&package.name, control.status(&own));
        for (name, waits) in &control.interests {
            let await_ = if *waits { "" } else { "/noawait" };
            let (file, line) = match name.strip_prefix('/') {
                Some(_) => ("File", format!("{name} {label}{await_}\n")),
                None => (name.as_str(), format!("{label}{await_}\n")),
            };
            triggers.entry(file.to_owned()).or_default().push_str(&line);
        }
    }
    let status: Vec<String> = status.into_values().collect();
    made.push(Made::new("var/lib/dpkg/status", status.join("\n")));
    for (name, text) in triggers {
        made.push(Made::new(format!("var/lib/dpkg/triggers/{name}"), text));
    }
    (made, renamed)
}

#[cfg(test)]
#[path = "tests/database.rs"]
mod tests;
