//! The archives that this machine itself gets its packages from.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::debian::{Format, Mirrors};

/// The longest list read, in bytes.
const MAX_LIST: u64 = 1 << 20;

/// What apt's lists of sources say, in apt's order; none on a machine without Debian's archive.
pub(super) fn of_machine() -> Option<Mirrors> {
    below(Path::new("/etc/apt"))
}

fn below(folder: &Path) -> Option<Mirrors> {
    let entries = std::fs::read_dir(folder.join("sources.list.d"))
        .into_iter()
        .flatten();
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    paths.insert(0, folder.join("sources.list"));
    let lists: Vec<(Format, String)> = paths.iter().filter_map(|path| read(path)).collect();
    Mirrors::find(lists.iter().map(|(format, text)| (*format, text.as_str())))
}

/// A list that cannot be read is none: what it would have named can be given with --mirror.
fn read(path: &Path) -> Option<(Format, String)> {
    let format = match path.extension()?.to_str()? {
        "list" => Format::Lines,
        "sources" => Format::Paragraphs,
        _ => return None,
    };
    let mut text = String::new();
    File::open(path)
        .ok()?
        .take(MAX_LIST)
        .read_to_string(&mut text)
        .ok()?;
    Some((format, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_in_apts_order() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        assert_eq!(below(folder.path()), None);
        let parts = folder.path().join("sources.list.d");
        std::fs::create_dir(&parts)?;
        for (name, host) in [("b.list", "b"), ("c.disabled", "c"), ("d.list", "d")] {
            let line = format!("deb http://{host}.example/debian trixie main\n");
            std::fs::write(parts.join(name), line)?;
        }
        let main = |host: &str| {
            let main = format!("http://{host}.example/debian");
            Some(Mirrors::Found {
                main,
                security: None,
            })
        };
        assert_eq!(below(folder.path()), main("b"));
        let paragraph =
            "Types: deb\nURIs: http://a.example/debian\nSuites: trixie\nComponents: main\n";
        std::fs::write(parts.join("a.sources"), paragraph)?;
        assert_eq!(below(folder.path()), main("a"));
        let line = "deb http://first.example/debian trixie main\n";
        std::fs::write(folder.path().join("sources.list"), line)?;
        assert_eq!(below(folder.path()), main("first"));
        Ok(())
    }
}
