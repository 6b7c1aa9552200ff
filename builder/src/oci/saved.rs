//! Reading the archive that `docker save` writes, as it comes: its layers are listed on the way, and
//! nothing is unpacked or kept on disk.
//!
//! The manifest, which says what the rest is, may come last. So everything that is a tar is listed
//! as if it were a layer, and everything small else is kept as a document. Docker before 25 names
//! layers `ID/layer.tar`, with links where two are the same; Docker since, and Podman, have blobs by
//! their digests.

use std::collections::HashMap;
use std::io::{self, Read};

use serde::Deserialize;

use super::Error;
use super::compress::Decoder;
use super::layer::{Listing, Visitor, flatten};
use super::spec::{ImageConfig, MAX_CONFIG};

/// The most entries of an archive: a few for each layer of an image.
const MAX_ENTRIES: usize = 10_000;
/// The most bytes of all documents together.
const MAX_DOCUMENTS: usize = 64 << 20;
/// How often a link may lead to another.
const MAX_LINKS: usize = 8;
const BLOCK: usize = 512;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    config: String,
    layers: Vec<String>,
}

#[derive(Default)]
struct Contents {
    documents: HashMap<String, Vec<u8>>,
    layers: HashMap<String, Listing>,
    links: HashMap<String, String>,
    kept: usize,
}

/// Shows a visitor the files of the one image in an archive, and returns the image's configuration.
///
/// # Errors
/// Those of the stream; when the archive or a layer is malformed, beyond the bounds, or holds
/// anything but one image.
pub fn walk(archive: &mut dyn Read, visitor: &dyn Visitor) -> Result<ImageConfig, Error> {
    let contents = read(archive, visitor).map_err(invalid)?;
    let manifest = contents.document("manifest.json")?;
    let manifests: Vec<Manifest> =
        serde_json::from_slice(manifest).map_err(|e| invalid(e.to_string()))?;
    let [manifest] = manifests.as_slice() else {
        let found = manifests.len();
        return Err(invalid(format!(
            "one image was expected, and {found} found"
        )));
    };
    let config = ImageConfig::parse(contents.document(&manifest.config)?, "the configuration")?;
    if config.rootfs.diff_ids.len() != manifest.layers.len() {
        return Err(invalid("it has other layers than its configuration"));
    }
    let mut layers = Vec::new();
    for name in &manifest.layers {
        let listing = contents.layers.get(contents.resolve(name));
        layers.push(listing.ok_or_else(|| missing(name))?);
    }
    flatten(layers, visitor).map_err(invalid)?;
    Ok(config)
}

fn invalid(reason: impl ToString) -> Error {
    Error::invalid("the saved image", reason.to_string())
}

fn missing(name: &str) -> Error {
    invalid(format!("`{}` is not in it", name.escape_debug()))
}

impl Contents {
    fn document(&self, name: &str) -> Result<&[u8], Error> {
        let found = self.documents.get(self.resolve(name));
        found.map(Vec::as_slice).ok_or_else(|| missing(name))
    }

    fn resolve<'a>(&'a self, name: &'a str) -> &'a str {
        let mut name = name;
        for _ in 0..MAX_LINKS {
            match self.links.get(name) {
                Some(next) => name = next,
                None => break,
            }
        }
        name
    }
}

fn read(archive: &mut dyn Read, visitor: &dyn Visitor) -> io::Result<Contents> {
    let wrong = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let mut contents = Contents::default();
    let mut archive = tar::Archive::new(archive);
    for (count, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        if count >= MAX_ENTRIES {
            return Err(wrong(format!("it has more than {MAX_ENTRIES} entries")));
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = joined("", &path);
        let kind = entry.header().entry_type();
        if kind.is_symlink() || kind.is_hard_link() {
            let target = entry.link_name_bytes().unwrap_or_default();
            let folder = match kind.is_symlink() {
                true => path.rsplit_once('/').map_or("", |(folder, _)| folder),
                false => "",
            };
            let target = joined(folder, &String::from_utf8_lossy(&target));
            contents.links.insert(path, target);
            continue;
        }
        if !kind.is_file() {
            continue;
        }
        let size = entry.size();
        let mut content = Decoder::new(&mut entry)?;
        let mut block = Vec::with_capacity(BLOCK);
        content
            .by_ref()
            .take(BLOCK as u64)
            .read_to_end(&mut block)?;
        if is_tar(&block) {
            let mut tar = io::Cursor::new(block).chain(content);
            let listing = Listing::of_tar(&mut tar, visitor);
            let listing = listing.map_err(|e| wrong(format!("{}: {e}", path.escape_debug())))?;
            contents.layers.insert(path, listing);
        } else if size <= MAX_CONFIG as u64 {
            let room = MAX_DOCUMENTS.saturating_sub(contents.kept + block.len());
            content.take(room as u64).read_to_end(&mut block)?;
            contents.kept += block.len();
            contents.documents.insert(path, block);
        }
    }
    Ok(contents)
}

/// A path within the archive, from a folder of it.
fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Whether a block is the first of a tar: a header, or the zeros of an empty one.
fn is_tar(block: &[u8]) -> bool {
    block.len() == BLOCK && (&block[257..262] == b"ustar" || block.iter().all(|b| *b == 0))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::layer::File;
    use super::*;

    #[derive(Default)]
    struct Seen(Mutex<Vec<String>>);

    impl Visitor for Seen {
        fn wants(&self, file: &File) -> Option<u64> {
            file.path.ends_with("read").then_some(3)
        }

        fn visit(&self, file: &File, content: Option<&[u8]>) {
            let content = content.map(|c| String::from_utf8_lossy(c).into_owned());
            let content = content.map_or(String::new(), |c| format!("={c}"));
            let line = format!("{} {:o}{content}", file.path, file.mode);
            self.0.lock().unwrap().push(line);
        }
    }

    fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_ustar();
            header.set_mode(0o4755);
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, name, *bytes).unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn config(layers: usize) -> Vec<u8> {
        let digest = crate::model::Digest::of(b"");
        let mut config = ImageConfig::new("amd64");
        config.rootfs.diff_ids = vec![digest; layers];
        config.to_bytes().unwrap()
    }

    fn walked(archive: &[u8]) -> Result<Vec<String>, String> {
        let seen = Seen::default();
        walk(&mut &archive[..], &seen).map_err(|e| e.to_string())?;
        Ok(seen.0.into_inner().unwrap())
    }

    #[test]
    fn a_later_layer_hides_what_it_says() {
        let first = tar(&[
            ("a/x", b""),
            ("a/y", b""),
            ("b/one", b""),
            ("c", b""),
            ("d/read", b"12345"),
            ("e", b""),
        ]);
        let second = tar(&[
            ("b/two", b""),
            ("b/.wh..wh..opq", b""),
            ("a/.wh.x", b""),
            (".wh.c", b""),
            ("d/.wh.read", b""),
            ("d/read", b"abcde"),
            ("e/inner", b""),
        ]);
        let manifest = br#"[{"Config":"c.json","Layers":["1/layer.tar","2/layer.tar"]}]"#;
        let archive = tar(&[
            ("1/layer.tar", &first),
            ("2/layer.tar", &second),
            ("c.json", &config(2)),
            ("manifest.json", manifest),
        ]);
        assert_eq!(
            walked(&archive).unwrap(),
            ["a/y 4755", "b/two 4755", "d/read 4755=abc", "e/inner 4755"]
        );
    }

    #[test]
    fn what_is_no_archive_of_one_image_is_refused() {
        let empty = vec![0; 1024];
        let manifest = |text: &str| tar(&[("l", &empty), ("manifest.json", text.as_bytes())]);
        for (archive, told) in [
            (Vec::new(), "`manifest.json` is not in it"),
            (b"no tar at all".repeat(100), ""),
            (manifest("{"), "expected a sequence"),
            (manifest("[]"), "one image was expected, and 0 found"),
            (
                manifest(r#"[{"Config":"../../x","Layers":["l"]}]"#),
                "is not in it",
            ),
        ] {
            let error = walked(&archive).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
        let layer = r#"[{"Config":"c","Layers":["gone"]}]"#;
        let archive = tar(&[("c", &config(1)), ("manifest.json", layer.as_bytes())]);
        assert!(
            walked(&archive)
                .unwrap_err()
                .contains("`gone` is not in it")
        );
        let cut = tar(&[("1/layer.tar", &tar(&[("x", b"123")])[..600])]);
        assert!(walked(&cut).is_err());
    }
}
