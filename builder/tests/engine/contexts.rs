//! Contexts that break off, and contexts that are large.

use std::io::{Cursor, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kolla::engine::{Context, Error};

use crate::bench::{BASE, LABEL, on_every_engine, reference};
use crate::fixtures::archive;

/// A context that breaks off.
struct Broken(Vec<u8>);

impl Context for Broken {
    fn open(&self) -> std::io::Result<Box<dyn Read + Send>> {
        struct Fault;
        impl Read for Fault {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("the file changed while it was read"))
            }
        }
        Ok(Box::new(Cursor::new(self.0.clone()).chain(Fault)))
    }
}

#[test]
fn a_context_that_cannot_be_read_ends_the_build() {
    on_every_engine(async |bench| {
        let dockerfile = format!("FROM {BASE}\nCOPY file /\n");
        let mut tar = archive(&[
            ("Dockerfile", dockerfile.as_bytes()),
            ("file", &vec![7; 3_000_000]),
        ]);
        for size in [0, 700, 2_000_000] {
            tar.truncate(size.max(1));
            let before = Instant::now();
            let request = bench.request(Arc::new(Broken(tar.clone())), "kolla-suite/broken:x");
            let (result, _) = bench.build(&request).await;
            let message = "the file changed while it was read".to_owned();
            assert_eq!(result, Err(Error::Context { message }), "{}", bench.name);
            assert!(before.elapsed() < Duration::from_secs(20));
        }
    });
}

/// A context with one large file, made while it is read.
struct Large(u64);

impl Context for Large {
    fn open(&self) -> std::io::Result<Box<dyn Read + Send>> {
        let mut tar = tar::Builder::new(Vec::new());
        let dockerfile = format!("FROM {BASE}\nCOPY large /\n");
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(dockerfile.len() as u64);
        header.set_mtime(0);
        tar.append_data(&mut header, "Dockerfile", dockerfile.as_bytes())?;
        let mut header = tar::Header::new_ustar();
        header.set_path("large")?;
        header.set_mode(0o644);
        header.set_size(self.0);
        header.set_mtime(0);
        header.set_cksum();
        let start = [tar.get_ref().as_slice(), header.as_bytes()].concat();
        let end = std::io::repeat(0).take(1024);
        let large = std::io::repeat(b'x').take(self.0);
        Ok(Box::new(Cursor::new(start).chain(large).chain(end)))
    }
}

/// The most memory this process has held, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn a_large_context_is_never_whole_in_memory() {
    on_every_engine(async |bench| {
        let size = 96 << 20;
        let before = peak();
        let name = "kolla-suite/large:x";
        let (result, events) = bench
            .build(&bench.request(Arc::new(Large(size)), name))
            .await;
        result.unwrap_or_else(|error| panic!("{}: {error}: {events:?}", bench.name));
        assert!(
            peak() - before < 48 << 20,
            "{}: {} bytes",
            bench.name,
            peak() - before
        );
        let images = bench.engine.images(LABEL).await.unwrap();
        let large = images
            .iter()
            .find(|i| i.references.contains(&reference(name)))
            .unwrap();
        assert!(large.size > size);
        bench.engine.untag(&reference(name)).await.unwrap();
    });
}
