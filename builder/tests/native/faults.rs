//! Stores on disks that are full or cannot be written to, and registries that break off.

use std::path::Path;

use kolla::engine::{Engine as _, Error};
use kolla::model::Reference;
use kolla::oci::validate::validate;

use crate::bench::Bench;
use crate::fixtures::{options, setting};
use crate::fleet::{BESIDES, Fleet};
use crate::shaky::shaky;

#[test]
fn a_full_disk_is_said_and_does_no_harm() {
    let Some(folder) = setting("KOLLA_TEST_SMALL_FOLDER") else {
        return;
    };
    let store = tempfile::tempdir_in(folder).unwrap();
    let Some(bench) = Bench::with(store, |_| {}) else {
        return;
    };
    let noise = "dd if=/dev/urandom of=/noise bs=1M";
    let large = vec![7; 60 << 20];
    for (instructions, file) in [
        // In the step, which says so; in one that keeps it to itself; in packing; in unpacking.
        (format!("RUN {noise} count=60"), None),
        (format!("RUN {noise} count=60 2>/dev/null"), None),
        (format!("RUN {noise} count=25"), None),
        ("COPY file /".to_owned(), Some(&large)),
    ] {
        let files: Vec<(&str, &[u8])> = file.iter().map(|f| ("file", f.as_slice())).collect();
        let (result, lines) = bench.on_base(&instructions, &files);
        let error = result.unwrap_err();
        assert!(
            matches!(error, Error::DiskFull { .. }),
            "{instructions}: {error:?}: {lines:?}"
        );
        assert!(!error.diagnostic().hints().is_empty());
        bench.is_quiet();
        assert_eq!(bench.prints("RUN echo fits"), [String::from("fits")]);
        bench
            .block_on(bench.native.clean(
                &kolla::engine::Limits {
                    now: std::time::SystemTime::now(),
                    unused_for: Some(std::time::Duration::ZERO),
                    size: None,
                },
                false,
            ))
            .unwrap();
        assert_eq!(validate(bench.store.path(), &BESIDES), []);
    }
}

/// Runs kolla where a folder is mounted read-only.
fn read_only(fleet: &Fleet, store: &Path, home: &Path) -> std::process::Output {
    let line = fleet.line(&["build"], store);
    let script = format!(
        "mount --bind {0} {0} && mount -o remount,bind,ro {0} && exec {line}",
        store.display()
    );
    fleet
        .command_of("unshare", home)
        .args(["--mount", "sh", "-c", &script])
        .output()
        .unwrap()
}

#[test]
fn a_store_that_cannot_be_written_to_is_said() {
    let Some(fleet) = Fleet::new() else { return };
    let _among_others = crate::among_others();
    let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = folder.path().join("store");
    for made in [false, true] {
        std::fs::create_dir_all(&store).unwrap();
        let output = read_only(&fleet, &store, home.path());
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{made}: {text}");
        assert!(
            text.contains("store") && text.contains("--store"),
            "{made}: {text}"
        );
        assert!(
            text.to_lowercase().contains("read-only file system"),
            "{made}: {text}"
        );
        fleet.builds(home.path(), &store);
        // Something to do next time.
        fleet.write("services/base/base/nonce", "another");
    }
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = kolla::engine::native::Native::open(options(&file))
        .err()
        .unwrap();
    assert!(matches!(error, Error::Store { .. }), "{error:?}");
}

#[test]
fn images_come_and_go_while_every_third_request_is_cut() {
    let Some(registry) = setting("KOLLA_TEST_REGISTRY") else {
        return;
    };
    let Some(bench) = Bench::new() else { return };
    let (address, _) = shaky(registry, 3);
    let name = format!("{address}/kolla-native/shaky-{}:x", std::process::id());
    let reference = Reference::parse(&name).unwrap();
    let noise = |n| format!("RUN dd if=/dev/urandom of=/noise-{n} bs=1M count=2\n");
    let (id, lines) = bench.on_base(&(0..4).map(noise).collect::<String>(), &[]);
    let id = id.unwrap_or_else(|error| panic!("{error:?}: {lines:?}"));
    bench.block_on(bench.native.tag(&id, &reference)).unwrap();
    // As the program does, which tries what is transient again.
    let again = |work: &dyn Fn() -> Result<(), Error>| {
        for _ in 0..20 {
            match work() {
                Ok(()) => return,
                Err(error) => {
                    assert_eq!(error.class(), kolla::model::Class::Transient, "{error:?}")
                }
            }
        }
        panic!("twenty attempts are not enough");
    };
    again(&|| {
        let push = bench
            .native
            .push(&id, std::slice::from_ref(&reference), None, &|_, _| {});
        bench.block_on(push).map(drop)
    });
    let Some(other) = Bench::new() else { return };
    again(&|| {
        let dockerfile = format!("FROM {name}\nRUN ls /noise-*\n");
        let context = crate::fixtures::archive(&[("Dockerfile", dockerfile.as_bytes())]);
        other.build(context, "kolla-native/pulled:x").0.map(drop)
    });
    other.is_quiet();
    assert_eq!(validate(other.store.path(), &BESIDES), []);
}
