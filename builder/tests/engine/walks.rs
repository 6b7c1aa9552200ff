//! Looking into images.

use std::sync::{Arc, Mutex};

use kolla::engine::{Error, Visitor};
use kolla::inventory::Inventory;
use kolla::model::ImageId;
use kolla::oci::layer::{File, FileKind};

use crate::bench::{BASE, on_every_engine, reference};

#[derive(Default)]
struct Seen(Mutex<Vec<String>>);

impl Visitor for Seen {
    fn wants(&self, file: &File) -> Option<u64> {
        file.path.starts_with("w/").then_some(4)
    }

    fn visit(&self, file: &File, content: Option<&[u8]>) {
        let File {
            path, mode, target, ..
        } = file;
        if !path.starts_with("w") {
            return;
        }
        let letter = match file.kind {
            FileKind::File => "f",
            FileKind::Directory => "d",
            FileKind::Symlink => "l",
            FileKind::Fifo => "p",
            FileKind::Device => "c",
        };
        let mut line = format!("{letter}{mode:o} {}:{} {path}", file.uid, file.gid);
        if let Some(target) = target {
            line += &format!(" -> {target}");
        }
        if let Some(content) = content {
            line += &format!(" {} {}", file.size, String::from_utf8_lossy(content));
        }
        self.0.lock().unwrap().push(line);
    }
}

#[test]
fn the_files_of_an_image_are_seen_as_a_container_sees_them() {
    on_every_engine(async |bench| {
        let before = bench.backstage.traces().await;
        let dockerfile = format!(
            "FROM {BASE}\n\
             RUN mkdir -p /w/old/deep /w/kept && echo gone > /w/gone && echo one > /w/old/deep/x && echo under > /w/kept/under\n\
             RUN rm -r /w/gone /w/old && mkdir /w/old && echo content > /w/old/new && ln -s ../bin/sh /w/link && ln /w/old/new /w/same\n\
             COPY --chown=12:34 file /w/set\n\
             RUN busybox chmod 4755 /w/set\n\
             ENV MARK=yes\nEXPOSE 80\nUSER 42\n"
        );
        let request = bench.dockerfile(&dockerfile, "kolla-suite/walked:x");
        let (built, events) = bench.build(&request).await;
        let id = ImageId::new(built.unwrap_or_else(|e| panic!("{}: {e:?} {events:?}", bench.name)));
        let seen = Arc::new(Seen::default());
        let config = bench.engine.walk(&id, seen.clone()).await.unwrap();
        let lines = seen.0.lock().unwrap().clone();
        assert_eq!(
            lines,
            [
                "d755 0:0 w",
                "d755 0:0 w/kept",
                "f644 0:0 w/kept/under 6 unde",
                "l777 0:0 w/link -> ../bin/sh",
                "d755 0:0 w/old",
                "f644 0:0 w/old/new 8 cont",
                "f644 0:0 w/same 8 cont",
                "f4755 12:34 w/set 8 cont",
            ],
            "{}",
            bench.name
        );
        assert_eq!(config.config.user, "42", "{}", bench.name);
        assert!(config.config.env.iter().any(|e| e == "MARK=yes"));
        assert!(config.config.exposed_ports.contains("80/tcp"));
        let (inventory, _) = Inventory::of(&*bench.engine, &id).await.unwrap();
        let privileged: Vec<_> = inventory.privileged.iter().map(|p| &p.path).collect();
        assert_eq!(privileged, ["/w/set"], "{}", bench.name);
        assert_eq!(bench.backstage.traces().await, before, "{}", bench.name);
        bench
            .engine
            .untag(&reference("kolla-suite/walked:x"))
            .await
            .unwrap();
    });
}

#[test]
fn an_image_that_is_not_there_cannot_be_looked_into() {
    on_every_engine(async |bench| {
        let id = ImageId::new(format!("sha256:{}", "0".repeat(64)));
        let walked = bench.engine.walk(&id, Arc::new(Seen::default())).await;
        assert!(
            matches!(walked, Err(Error::NoSuchImage { .. })),
            "{}: {walked:?}",
            bench.name
        );
    });
}
