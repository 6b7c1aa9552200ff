#![allow(clippy::unwrap_used)]

use std::io::Write as _;

use super::*;

/// An ar archive of these members, as dpkg-deb writes it.
pub(in crate::debian) fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for (name, content) in members {
        let header = format!(
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
            0,
            0,
            0,
            100_644,
            content.len()
        );
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(content);
        if content.len() % 2 == 1 {
            bytes.push(b'\n');
        }
    }
    bytes
}

fn read(bytes: &[u8], part: Part) -> io::Result<Vec<u8>> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(bytes)?;
    let mut all = Vec::new();
    open(file.path(), part)?.read_to_end(&mut all)?;
    Ok(all)
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// "data\n" as `xz` packs it.
const XZ: &[u8] =
    b"\xfd\x37\x7a\x58\x5a\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\x00\x00\
    \x74\x2f\xe5\xa3\x01\x00\x04\x64\x61\x74\x61\x0a\x00\x00\x00\x00\x10\x55\x44\x12\
    \x54\xcf\x8a\x35\x00\x01\x1d\x05\xb8\x2d\x80\xaf\x1f\xb6\xf3\x7d\x01\x00\x00\x00\
    \x00\x04\x59\x5a";

#[test]
fn members_of_every_packing_are_read() {
    let zstd = zstd::encode_all(&b"data\n"[..], 3).unwrap();
    for (name, content) in [
        ("data.tar", b"data\n".to_vec()),
        ("data.tar.gz", gzip(b"data\n")),
        ("data.tar.xz", XZ.to_vec()),
        ("data.tar.zst", zstd),
    ] {
        for slash in ["", "/"] {
            let bytes = ar(&[
                (&format!("debian-binary{slash}"), b"2.0\n"),
                (&format!("control.tar.gz{slash}"), &gzip(b"control\n")),
                ("_extra", b"odd"),
                (&format!("{name}{slash}"), &content),
            ]);
            assert_eq!(read(&bytes, Part::Data).unwrap(), b"data\n", "{name}");
            assert_eq!(read(&bytes, Part::Control).unwrap(), b"control\n");
        }
    }
}

#[test]
fn hostile_containers_are_errors() {
    let good = ar(&[("debian-binary", b"2.0\n"), ("data.tar", b"data")]);
    assert!(read(&good, Part::Data).is_ok());
    let changed = |from: usize, new: &[u8]| {
        let mut bytes = good.clone();
        bytes[from..from + new.len()].copy_from_slice(new);
        bytes
    };
    let second = 8 + 60 + 4;
    for (what, bytes) in [
        ("empty", Vec::new()),
        (
            "no archive",
            b"PK\x03\x04 and so on, for quite a while, longer than a header is".to_vec(),
        ),
        ("cut in a header", good[..40].to_vec()),
        ("cut in a member", good[..good.len() - 2].to_vec()),
        ("another version", changed(8 + 60, b"3.")),
        ("no version", changed(8, b"debian-other ")),
        ("no end of header", changed(8 + 58, b"xx")),
        ("size beyond the file", changed(second + 48, b"9999999999")),
        ("negative size", changed(second + 48, b"-1        ")),
        ("no size", changed(second + 48, b"          ")),
        ("unknown packing", changed(second, b"data.tar.bz2    ")),
        ("not text", changed(second, b"\xff")),
    ] {
        assert!(read(&bytes, Part::Data).is_err(), "{what}");
    }
    assert!(read(&good, Part::Control).is_err());
    let many: Vec<(&str, &[u8])> = std::iter::once(("debian-binary", &b"2.0\n"[..]))
        .chain(std::iter::repeat_n(("_x", &b""[..]), 100))
        .chain([("data.tar", &b"data"[..])])
        .collect();
    assert!(read(&ar(&many), Part::Data).is_err());
}

#[test]
fn what_unpacks_to_too_much_is_an_error() {
    // 65 MiB of nothing in 64 kB.
    let bomb = gzip(&vec![0; (MAX_CONTROL + (1 << 20)) as usize]);
    let bytes = ar(&[("debian-binary", b"2.0\n"), ("control.tar.gz", &bomb)]);
    let error = read(&bytes, Part::Control).unwrap_err();
    assert!(error.to_string().contains("unpacks to more"), "{error}");
}

#[test]
fn damaged_members_are_errors() {
    for (name, content) in [
        ("data.tar.xz", &XZ[..XZ.len() - 9]),
        ("data.tar.gz", b"\x1f\x8b\x08"),
        ("data.tar.zst", b"\x28\xb5\x2f\xfd\xff"),
    ] {
        let bytes = ar(&[("debian-binary", b"2.0\n"), (name, content)]);
        assert!(read(&bytes, Part::Data).is_err(), "{name}");
    }
}
