//! Layers of anybody, unpacked: nothing beside the target changes, and what came out of one layer
//! goes into another and comes out the same.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use kolla::oci::layer::{ApplyOptions, OverlayAttributes, Refused, WriteOptions, apply, write};

const BLOCK: usize = 512;

/// Any bytes as the tar of a layer, its checksums mended: hardly any input would pass them by
/// chance.
pub fn check(data: &[u8]) {
    let mut tar = data.to_vec();
    mend(&mut tar);
    let room = tempfile::tempdir().unwrap();
    let (first, second) = (room.path().join("first"), room.path().join("second"));
    let outside = room.path().join("outside");
    for folder in [&first, &second, &outside] {
        fs::create_dir(folder).unwrap();
    }
    fs::write(outside.join("file"), "as it was").unwrap();
    let before = look(room.path());

    let options = ApplyOptions {
        max_size: 1 << 20,
        max_entries: 100,
        refused: Refused::LeaveOut,
        ..ApplyOptions::new(overlay())
    };
    let applied = apply(&mut tar.as_slice(), &first, &options);
    assert_eq!(look(room.path()), before);
    if let Ok(applied) = applied {
        assert!(applied.size <= options.max_size && applied.entries <= options.max_entries);
        let tar = written(&first);
        apply(&mut tar.as_slice(), &second, &ApplyOptions::new(overlay())).unwrap();
        assert!(written(&second) == tar, "not the same once unpacked");
    }
}

/// The marks that this user may set.
fn overlay() -> OverlayAttributes {
    if rustix::process::geteuid().is_root() {
        OverlayAttributes::Trusted
    } else {
        OverlayAttributes::User
    }
}

fn written(root: &Path) -> Vec<u8> {
    let options = WriteOptions {
        clamp: 1_577_836_800,
        overlay: overlay(),
        root_entry: false,
    };
    let mut tar = Vec::new();
    write(root, &options, &mut tar).unwrap();
    tar
}

/// What lies beside the targets.
#[derive(Debug, PartialEq, Eq)]
struct Beside {
    names: Vec<String>,
    content: Vec<u8>,
    mode: u32,
    links: u64,
    /// Seconds and nanoseconds.
    changed: (i64, i64),
}

fn look(room: &Path) -> Beside {
    let outside = room.join("outside");
    let mut names: Vec<_> = [room, &outside]
        .into_iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path().display().to_string())
        .collect();
    names.sort();
    let file = outside.join("file");
    let meta = fs::symlink_metadata(&file).unwrap();
    Beside {
        names,
        content: fs::read(&file).unwrap(),
        mode: meta.mode(),
        links: meta.nlink(),
        changed: (meta.ctime(), meta.ctime_nsec()),
    }
}

/// Writes the right checksum into every header, as far as sizes lead from one to the next.
fn mend(tar: &mut [u8]) {
    let mut at = 0;
    while let Some(header) = tar.get_mut(at..at + BLOCK) {
        at += BLOCK;
        if header.iter().all(|byte| *byte == 0) {
            continue;
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        let digits = header[124..136].iter().skip_while(|byte| **byte == b' ');
        let size = digits
            .take_while(|byte| (b'0'..=b'7').contains(byte))
            .fold(0, |size, digit| size * 8 + usize::from(digit - b'0'));
        at = at.saturating_add(size.div_ceil(BLOCK).saturating_mul(BLOCK));
    }
}
