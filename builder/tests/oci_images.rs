//! Layouts and archives as other programs see them: umoci, skopeo, podman and Docker read what is
//! written, and the validator finds what was damaged.

// A test says what went wrong by failing, and why it is left out.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

mod layers;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use kolla::model::{Digest, Platform};
use kolla::oci::Error;
use kolla::oci::compress::{Compression, Decoder};
use kolla::oci::docker_archive::{self, ArchiveImage};
use kolla::oci::layer::pack;
use kolla::oci::layout::{BlobSource, Layout, read_config};
use kolla::oci::spec::{Descriptor, History, ImageConfig, Index, Manifest, RootFs, media};
use kolla::oci::validate::{Finding, validate};
use layers::{blob, options, root_only, run, skip, tar_of, tool};

const NAME: &str = "v1";

/// A layout with one image of two layers, and the manifest.
fn image(root: &Path, compression: [Compression; 2]) -> (Layout, Manifest) {
    let layout = Layout::create(root).unwrap();
    let trees = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [lower, upper] = [trees[0].path(), trees[1].path()];
    for (path, content) in [
        ("etc/kept", "kept"),
        ("etc/gone", "gone"),
        ("hidden/old", "old"),
    ] {
        fs::create_dir_all(lower.join(path).parent().unwrap()).unwrap();
        fs::write(lower.join(path), content).unwrap();
    }
    fs::create_dir_all(upper.join("etc")).unwrap();
    layers::node(
        &upper.join("etc/gone"),
        rustix::fs::FileType::CharacterDevice,
        0,
        0,
    );
    fs::create_dir(upper.join("hidden")).unwrap();
    layers::set_attribute(&upper.join("hidden"), "trusted.overlay.opaque", "y");
    fs::write(upper.join("hidden/new"), layers::noise(150_000)).unwrap();
    let mut config = ImageConfig::new("amd64");
    config.created = Some("2020-01-01T00:00:00Z".into());
    config.config.cmd = Some(vec!["/etc/kept".into()]);
    config
        .config
        .labels
        .insert("made-by".into(), "kolla".into());
    let (mut blobs, mut diff_ids) = (Vec::new(), Vec::new());
    for (tree, compression) in trees.iter().zip(compression) {
        let incoming = layout.begin().unwrap();
        let packed = pack(
            tree.path(),
            &options(),
            compression,
            2,
            incoming.file().unwrap(),
        )
        .unwrap();
        incoming.finish(&packed.digest).unwrap();
        config.history.push(History {
            created_by: Some("COPY".into()),
            ..History::default()
        });
        blobs.push(packed.descriptor());
        diff_ids.push(packed.diff_id);
    }
    config.rootfs = RootFs::new(diff_ids);
    let config = layout
        .put(media::CONFIG, &config.to_bytes().unwrap())
        .unwrap();
    let manifest = Manifest::new(config, blobs);
    layout
        .add_image(NAME, &manifest.to_bytes().unwrap(), &layout)
        .unwrap();
    (layout, manifest)
}

const PAIRS: [[Compression; 2]; 3] = [
    [Compression::GZIP, Compression::GZIP],
    [Compression::GZIP, Compression::ZSTD],
    [Compression::None, Compression::GZIP],
];

fn found(root: &Path) -> Vec<String> {
    let shown = |f: Finding| {
        format!(
            "{}: {}",
            f.path.strip_prefix(root).unwrap().display(),
            f.problem
        )
    };
    validate(root, &[]).into_iter().map(shown).collect()
}

/// Whether a program is here; in continuous integration all are.
fn installed(name: &str) -> bool {
    let here = tool(name)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !here {
        skip(&format!("{name} is not installed"));
    }
    here
}

#[test]
fn a_layout_is_valid_and_the_same_each_time() {
    if !root_only() {
        return;
    }
    for compression in PAIRS {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (layout, _) = image(a.path(), compression);
        image(b.path(), compression);
        assert_eq!(found(a.path()), [""; 0]);
        assert_eq!(tar_of(a.path()), tar_of(b.path()));
        // A copy made through the other door is the same, too.
        let c = tempfile::tempdir().unwrap();
        let copy = Layout::create(c.path()).unwrap();
        let entry = layout.find(NAME).unwrap().unwrap();
        let manifest = fs::read(layout.blob_path(&entry.digest)).unwrap();
        assert_eq!(copy.add_image(NAME, &manifest, &layout).unwrap(), entry);
        assert_eq!(copy.add_image(NAME, &manifest, &layout).unwrap(), entry);
        assert_eq!(tar_of(a.path()), tar_of(c.path()));
        assert_eq!(
            layout
                .index()
                .unwrap()
                .find(&Platform::parse("linux/amd64").unwrap()),
            Some(&entry)
        );
    }
}

#[test]
fn skopeo_reads_a_layout() {
    if !root_only() || !installed("skopeo") {
        return;
    }
    for compression in PAIRS {
        let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (layout, manifest) = image(folder.path(), compression);
        let source = format!("oci:{}:{NAME}", folder.path().display());
        let text = run(tool("skopeo").args(["inspect", "--config", &source]));
        assert!(text.contains("made-by"), "{text}");
        // Copied with every digest checked.
        let target = format!("dir:{}", copy.path().display());
        run(tool("skopeo").args([
            "--insecure-policy",
            "copy",
            "--preserve-digests",
            &source,
            &target,
        ]));
        for blob in manifest.layers.iter().chain([&manifest.config]) {
            let copied = fs::read(copy.path().join(blob.digest.hex())).unwrap();
            assert_eq!(Digest::of(copied), blob.digest);
        }
        drop(layout);
    }
}

#[test]
fn umoci_unpacks_a_layout() {
    if !root_only() || !installed("umoci") {
        return;
    }
    let (folder, bundle) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    image(folder.path(), [Compression::GZIP, Compression::GZIP]);
    let source = format!("{}:{NAME}", folder.path().display());
    let target = bundle.path().join("bundle");
    run(tool("umoci")
        .args(["unpack", "--image", &source])
        .arg(&target));
    let root = target.join("rootfs");
    assert_eq!(fs::read_to_string(root.join("etc/kept")).unwrap(), "kept");
    assert_eq!(
        fs::read(root.join("hidden/new")).unwrap(),
        layers::noise(150_000)
    );
    assert!(!root.join("etc/gone").exists() && !root.join("hidden/old").exists());
}

#[test]
fn what_umoci_writes_is_read() {
    if !root_only() || !installed("umoci") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("layout");
    run(tool("umoci").args(["init", "--layout"]).arg(&root));
    let name = format!("{}:new", root.display());
    run(tool("umoci").args(["new", "--image", &name]));
    let tree = tempfile::tempdir().unwrap();
    layers::rich_tree(tree.path());
    let tar = blob(&tar_of(tree.path()));
    run(tool("umoci")
        .args(["raw", "add-layer", "--image", &name])
        .arg(tar.path()));
    run(tool("umoci").args(["gc", "--layout"]).arg(&root));
    assert_eq!(found(&root), [""; 0]);
    let layout = Layout::open(&root).unwrap();
    let entry = layout.find("new").unwrap().unwrap();
    let bytes = fs::read(layout.blob_path(&entry.digest)).unwrap();
    let manifest = Manifest::parse(&bytes, "m").unwrap();
    let config = read_config(&layout, &manifest, "m").unwrap();
    let stored = layout.open_blob(&manifest.layers[0].digest).unwrap();
    let target = tempfile::tempdir().unwrap();
    let mut plain = Vec::new();
    Decoder::new(stored)
        .unwrap()
        .read_to_end(&mut plain)
        .unwrap();
    let applied = layers::unpack(&plain, target.path()).unwrap();
    assert_eq!(applied.diff_id.as_ref(), config.rootfs.diff_ids.first());
    assert!(tar_of(tree.path()) == tar_of(target.path()));
}

fn archive(layout: &Layout, manifest: &Manifest) -> Vec<u8> {
    let images = [
        ArchiveImage {
            manifest: manifest.clone(),
            tags: vec!["kolla.invalid/a/b:1".into()],
        },
        ArchiveImage {
            manifest: manifest.clone(),
            tags: vec!["kolla.invalid/c:2".into(), "kolla.invalid/c:3".into()],
        },
    ];
    let mut bytes = Vec::new();
    docker_archive::write(&images, layout, &mut bytes).unwrap();
    bytes
}

#[test]
fn an_archive_holds_each_blob_once_and_no_zstd() {
    if !root_only() {
        return;
    }
    for compression in PAIRS {
        let folder = tempfile::tempdir().unwrap();
        let (layout, manifest) = image(folder.path(), compression);
        let bytes = archive(&layout, &manifest);
        assert!(bytes == archive(&layout, &manifest));
        let config = read_config(&layout, &manifest, "m").unwrap();
        let mut seen = Vec::new();
        let mut tar = tar::Archive::new(bytes.as_slice());
        for entry in tar.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            if let Some(diff_id) = name.strip_suffix(".tar") {
                assert_ne!(kolla::oci::compress::sniff(&content), media::Encoding::Zstd);
                let mut plain = Vec::new();
                Decoder::new(content.as_slice())
                    .unwrap()
                    .read_to_end(&mut plain)
                    .unwrap();
                assert_eq!(Digest::of(plain).hex(), diff_id);
            }
            seen.push(name);
        }
        let ids = &config.rootfs.diff_ids;
        let names = [
            "manifest.json".to_owned(),
            format!("{}.json", manifest.config.digest.hex()),
            format!("{}.tar", ids[0].hex()),
            format!("{}.tar", ids[1].hex()),
        ];
        assert_eq!(seen, names);
    }
}

#[test]
fn podman_loads_an_archive() {
    if !root_only() || !installed("podman") {
        return;
    }
    for compression in PAIRS {
        let folder = tempfile::tempdir().unwrap();
        let (layout, manifest) = image(&folder.path().join("layout"), compression);
        let file = blob(&archive(&layout, &manifest));
        let podman = |arguments: &[&str]| {
            let mut command = tool("podman");
            command
                .arg("--root")
                .arg(folder.path().join("root"))
                .arg("--runroot")
                .arg(folder.path().join("run"));
            run(command.args(["--storage-driver", "vfs"]).args(arguments))
        };
        podman(&["load", "-i", file.path().to_str().unwrap()]);
        let id = podman(&[
            "images",
            "--no-trunc",
            "--format",
            "{{.Id}}",
            "kolla.invalid/c:3",
        ]);
        assert_eq!(
            id.lines().next().unwrap().trim_start_matches("sha256:"),
            manifest.config.digest.hex()
        );
        let mount = PathBuf::from(podman(&["image", "mount", "kolla.invalid/a/b:1"]).trim());
        assert_eq!(fs::read_to_string(mount.join("etc/kept")).unwrap(), "kept");
        assert!(!mount.join("etc/gone").exists() && !mount.join("hidden/old").exists());
        podman(&["image", "unmount", "-a"]);
    }
}

#[test]
fn docker_loads_an_archive() {
    let Ok(engine) = std::env::var("KOLLA_TEST_ENGINE") else {
        return skip("KOLLA_TEST_ENGINE is not set");
    };
    for compression in PAIRS {
        let folder = tempfile::tempdir().unwrap();
        let (layout, manifest) = image(folder.path(), compression);
        let file = blob(&archive(&layout, &manifest));
        let docker = |arguments: &[&str]| run(tool("docker").args(["-H", &engine]).args(arguments));
        let names = [
            "kolla.invalid/a/b:1",
            "kolla.invalid/c:2",
            "kolla.invalid/c:3",
        ];
        docker(&["load", "-i", file.path().to_str().unwrap()]);
        let id = docker(&["image", "inspect", "--format", "{{.Id}}", names[2]]);
        assert_eq!(id.trim(), manifest.config.digest.to_string());
        let container = docker(&["create", names[0]]);
        let target = folder.path().join("out");
        let from = format!("{}:/", container.trim());
        docker(&["cp", &from, target.to_str().unwrap()]);
        docker(&["rm", container.trim()]);
        assert_eq!(fs::read_to_string(target.join("etc/kept")).unwrap(), "kept");
        assert!(!target.join("etc/gone").exists() && !target.join("hidden/old").exists());
        docker(&["rmi", names[0], names[1], names[2]]);
    }
}

/// Another source that gives what was asked for, but changed.
struct Changed<'a>(&'a Layout, fn(Vec<u8>) -> Vec<u8>);

impl BlobSource for Changed<'_> {
    fn open(&self, digest: &Digest) -> Result<Box<dyn Read + Send + '_>, Error> {
        let bytes = fs::read(self.0.blob_path(digest)).unwrap();
        Ok(Box::new(std::io::Cursor::new((self.1)(bytes))))
    }
}

#[test]
fn a_source_that_lies_leaves_nothing_behind() {
    if !root_only() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (layout, manifest) = image(folder.path(), PAIRS[1]);
    let changes: [fn(Vec<u8>) -> Vec<u8>; 4] = [
        |mut bytes| {
            bytes[5] ^= 1;
            bytes
        },
        |bytes| bytes[..bytes.len() - 1].to_vec(),
        |bytes| [bytes, vec![0]].concat(),
        |_| Vec::new(),
    ];
    for change in changes {
        let target = tempfile::tempdir().unwrap();
        let copy = Layout::create(target.path()).unwrap();
        let empty = tar_of(target.path());
        let source = Changed(&layout, change);
        assert!(
            copy.add_image(NAME, &manifest.to_bytes().unwrap(), &source)
                .is_err()
        );
        for blob in manifest.layers.iter().chain([&manifest.config]) {
            assert!(
                copy.take(blob, &mut source.open(&blob.digest).unwrap())
                    .is_err()
            );
        }
        assert!(empty == tar_of(target.path()));
        let image = ArchiveImage {
            manifest: manifest.clone(),
            tags: Vec::new(),
        };
        assert!(docker_archive::write(&[image], &source, &mut Vec::new()).is_err());
    }
    for name in ["", "a b", "../\0", "é"] {
        assert!(
            layout
                .add_image(name, &manifest.to_bytes().unwrap(), &layout)
                .is_err()
        );
    }
}

#[test]
fn names_added_at_once_are_all_there() {
    if !root_only() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (layout, manifest) = image(folder.path(), PAIRS[0]);
    let manifest = manifest.to_bytes().unwrap();
    std::thread::scope(|scope| {
        for at in 0..8 {
            let (layout, manifest) = (&layout, &manifest);
            scope.spawn(move || {
                layout
                    .add_image(&format!("n{at}"), manifest, layout)
                    .unwrap()
            });
        }
    });
    assert_eq!(layout.index().unwrap().manifests.len(), 9);
    assert_eq!(found(folder.path()), [""; 0]);
}

/// Damages a layout of one image, and gives the words of a finding that has to come of it.
type Damage = (&'static str, fn(&Layout, &Manifest));

#[test]
fn the_validator_finds_what_was_damaged() {
    if !root_only() {
        return;
    }
    fn rewrite(layout: &Layout, change: impl FnOnce(&mut Index)) {
        layout.update(change).unwrap();
    }
    fn layer(layout: &Layout, manifest: &Manifest) -> PathBuf {
        layout.blob_path(&manifest.layers[1].digest)
    }
    fn add(layout: &Layout, manifest: &Manifest) {
        let entry = layout
            .put(media::MANIFEST, &manifest.to_bytes().unwrap())
            .unwrap();
        rewrite(layout, |index| index.manifests.push(entry));
    }
    let damages: [Damage; 22] = [
        ("it has more than", |l, _| {
            fs::write(l.root().join("oci-layout"), vec![b' '; 10_000]).unwrap()
        }),
        ("version 1.0.0 was expected", |l, _| {
            fs::write(l.root().join("oci-layout"), r#"{"imageLayoutVersion":"9"}"#).unwrap();
        }),
        ("No such file", |l, _| {
            fs::remove_file(l.root().join("index.json")).unwrap()
        }),
        ("is not valid", |l, _| {
            fs::write(l.root().join("index.json"), "{").unwrap()
        }),
        ("a plain file was expected", |l, _| {
            fs::remove_file(l.root().join("index.json")).unwrap();
            run(tool("mkfifo").arg(l.root().join("index.json")));
        }),
        ("No such file", |l, _| {
            fs::remove_dir_all(l.root().join("blobs")).unwrap()
        }),
        ("does not belong here", |l, _| {
            fs::write(l.root().join("other"), "").unwrap()
        }),
        ("does not belong here", |l, _| {
            fs::create_dir(l.root().join("blobs/md5")).unwrap()
        }),
        ("is not a digest", |l, _| {
            fs::write(l.root().join("blobs/sha256/x"), "").unwrap()
        }),
        ("nothing names it", |l, _| {
            drop(l.put("x", b"orphan").unwrap())
        }),
        ("named, and missing", |l, m| {
            fs::remove_file(layer(l, m)).unwrap()
        }),
        ("named, and missing", |l, m| {
            fs::remove_file(l.blob_path(&m.config.digest)).unwrap()
        }),
        ("its digest is", |l, m| {
            let mut bytes = fs::read(layer(l, m)).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(layer(l, m), bytes).unwrap();
        }),
        ("cannot be decompressed", |l, m| {
            let bytes = fs::read(layer(l, m)).unwrap();
            fs::write(layer(l, m), &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("bytes were expected", |l, m| {
            fs::write(layer(l, m), "").unwrap()
        }),
        ("symbolic link", |l, m| {
            let moved = l.root().join("blobs/moved");
            fs::rename(layer(l, m), &moved).unwrap();
            std::os::unix::fs::symlink(&moved, layer(l, m)).unwrap();
        }),
        ("a plain file was expected", |l, m| {
            fs::remove_file(layer(l, m)).unwrap();
            fs::create_dir(layer(l, m)).unwrap();
        }),
        ("media type `text/plain` is not known", |l, _| {
            rewrite(l, |index| {
                index.manifests[0].media_type = "text/plain".into()
            });
        }),
        ("media type `text/plain` is not known", |l, m| {
            let mut other = m.clone();
            other.layers[0].media_type = "text/plain".into();
            add(l, &other);
        }),
        ("and its bytes are Gzip", |l, m| {
            let mut other = m.clone();
            other.layers[1].media_type = media::LAYER_ZSTD.into();
            add(l, &other);
        }),
        ("decompressed it should have the digest", |l, m| {
            let mut other = m.clone();
            other.layers.swap(0, 1);
            add(l, &other);
        }),
        ("names 1 layers, and its configuration 2", |l, m| {
            let mut other = m.clone();
            other.layers.pop();
            add(l, &other);
        }),
    ];
    for (at, (words, damage)) in damages.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let (layout, manifest) = image(folder.path(), PAIRS[0]);
        damage(&layout, &manifest);
        let findings = found(folder.path());
        assert!(
            findings.iter().any(|f| f.contains(words)),
            "{at} {words}: {findings:?}"
        );
    }
}

#[test]
fn nested_indices_are_walked_and_have_an_end() {
    if !root_only() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (layout, _) = image(folder.path(), PAIRS[0]);
    for depth in 0..12 {
        let index = layout.index().unwrap();
        let inner = layout
            .put(media::INDEX, &index.to_bytes().unwrap())
            .unwrap();
        layout
            .update(|index| index.manifests = vec![inner])
            .unwrap();
        let findings = found(folder.path());
        if depth < 8 {
            assert_eq!(findings, [""; 0], "{depth}");
        } else {
            assert!(
                findings.iter().any(|f| f.contains("deep in each other")),
                "{findings:?}"
            );
        }
    }
    // An index that names itself has to name it by a digest, which cannot be had; one that names a
    // blob twice can.
    layout
        .update(|index| {
            let twice = index.manifests[0].clone();
            index.manifests.push(twice);
            index
                .manifests
                .push(Descriptor::new(media::INDEX, Digest::of("nowhere"), 5));
        })
        .unwrap();
    assert!(found(folder.path()).iter().any(|f| f.contains("missing")));
}
