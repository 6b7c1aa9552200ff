//! Steps that reach for the host: its disks, its files, its kernel.

use crate::bench::{BASE, Bench, Host};
use crate::fixtures::archive;

/// A block device of this machine, as mknod(1) takes it.
fn disk() -> String {
    let partitions = std::fs::read_to_string("/proc/partitions").unwrap();
    let first = partitions
        .lines()
        .nth(2)
        .expect("a machine without any disk");
    let numbers: Vec<_> = first.split_whitespace().take(2).collect();
    numbers.join(" ")
}

#[test]
fn devices_are_made_and_not_opened() {
    let Some(bench) = Bench::new() else { return };
    let disk = disk();
    let mounts = "--mount=type=tmpfs,target=/memory --mount=type=cache,target=/cache \
                  --mount=type=bind,target=/bound,readwrite \
                  --mount=type=bind,from=other,target=/other,readwrite";
    let dockerfile = format!(
        "FROM {BASE} AS other\nRUN mknod /made b {disk}\nFROM {BASE}\n\
         RUN {mounts} for at in / /dev /dev/shm /memory /cache /bound /other; do \
         rm -f $at/disk; mknod $at/disk b {disk} || exit 1; \
         if dd if=$at/disk of=/dev/null count=1; then echo HOLE $at; fi; done; \
         if dd if=/other/made of=/dev/null count=1; then echo HOLE made; fi; \
         rm -f /cache/disk; echo tried\n\
         COPY --from=other /made /copied\n\
         RUN --mount=type=cache,target=/cache,readonly --mount=type=bind,from=other,target=/other \
         for it in /copied /other/made; do [ -b $it ] || exit 1; \
         if dd if=$it of=/dev/null count=1; then echo HOLE $it; fi; done\n\
         RUN cat /dev/null && dd if=/dev/zero of=/dev/null count=1 && dd if=/dev/urandom of=/x count=1\n"
    );
    let context = archive(&[("Dockerfile", dockerfile.as_bytes())]);
    let (id, lines) = bench.build(context, "kolla-native/devices:x");
    let id = id.unwrap_or_else(|error| panic!("{error:?}: {lines:#?}"));
    assert!(!lines.iter().any(|l| l.contains("HOLE")), "{lines:#?}");
    assert!(lines.iter().any(|l| l == "tried"), "{lines:#?}");
    let ran = bench.run(
        &id,
        &["sh", "-c", "[ -b /disk ] && exec dd if=/disk count=1"],
    );
    assert_eq!(ran.status, 1, "{}", ran.output);
}

#[test]
fn files_of_the_host_are_out_of_sight() {
    let Some(bench) = Bench::new() else { return };
    let host = Host::new();
    let path = host.path().display();
    let up = "../".repeat(20);
    bench.withstands(&format!(
        "WORKDIR /work\n\
         RUN for root in '' /proc/1/root /proc/self/root /proc/self/cwd /proc/1/cwd /proc/[0-9]*/root \
         {up} /dev/fd/{up} /proc/self/fd/{up} /proc/1/fd/0/{up} /sys/{up}; do \
         if cat $root{path}/secret 2>/dev/null; then echo HOLE $root; fi; done; \
         for id in /proc/[0-9]*; do if grep -q kolla $id/comm; then echo HOLE $id; fi; done; \
         if grep -q {path} /proc/self/mountinfo; then echo HOLE; fi; echo tried"
    ));
    host.is_untouched();
}

#[test]
fn a_working_directory_is_no_way_out_through_an_open_folder() {
    let Some(bench) = Bench::new() else { return };
    let host = Host::new();
    // As a careless shell would leave it open for this process, and so for all that it starts.
    let folder = std::fs::File::open(host.path()).unwrap();
    rustix::io::fcntl_setfd(&folder, rustix::io::FdFlags::empty()).unwrap();
    let open = std::os::fd::AsRawFd::as_raw_fd(&folder);
    for number in (0..20).chain([open]) {
        let up = "../".repeat(20);
        let instructions = format!(
            "WORKDIR /proc/self/fd/{number}\nRUN cat {up}{}/secret",
            host.path().display()
        );
        let (result, lines) = bench.on_base(&instructions, &[]);
        result.unwrap_err();
        assert!(
            !lines.iter().any(|l| l.contains(Host::SECRET)),
            "{number}: {lines:?}"
        );
    }
}

#[test]
fn the_kernel_is_not_changed() {
    let Some(bench) = Bench::new() else { return };
    bench.withstands(
        "RUN for file in /proc/sys/kernel/core_pattern /proc/sys/vm/swappiness /proc/sysrq-trigger \
         /proc/irq/default_smp_affinity /sys/kernel/uevent_helper /sys/power/state \
         /sys/kernel/mm/transparent_hugepage/enabled /sys/x; do \
         if (echo 1 >>$file) 2>/dev/null; then echo HOLE $file; fi; done; \
         for file in /proc/kcore /proc/keys /proc/timer_list /proc/latency_stats; do \
         if [ -e $file ] && [ -n \"$(dd if=$file bs=64 count=1 2>/dev/null)\" ]; \
         then echo HOLE $file; fi; done; echo tried",
    );
    bench.withstands(
        "RUN mkdir /at; try() { if \"$@\" 2>/dev/null; then echo HOLE \"$@\"; fi; }; \
         try mount -t tmpfs none /at; try mount -t proc proc /at; try mount --bind / /at; \
         try mount -o remount,rw /proc/sys; try mount -o remount,rw /sys; \
         try mount -o remount,dev /; try mount -o remount,dev /dev; \
         try umount /proc/sys; try umount -l /proc; try umount /dev; \
         try busybox unshare -m true; try busybox chroot /proc/1/root/.. /no-such-program; \
         try busybox hostname other; \
         try busybox insmod /bin/busybox; try busybox swapon /bin/busybox; \
         try busybox nsenter -t 1 -m true; try busybox ip link set lo down; \
         busybox date -s 2001-01-01; [ $(busybox date +%Y) != 2001 ] || echo HOLE date; echo tried",
    );
}

#[test]
fn a_mount_leads_to_its_source_alone() {
    let Some(bench) = Bench::new() else { return };
    let host = Host::new();
    let path = host.path().display();
    let up = "../".repeat(20);
    for instructions in [
        format!("RUN --mount=type=bind,source={up}{path},target=/at cat /at/secret"),
        format!("RUN --mount=type=bind,source={path}/secret,target=/at cat /at"),
        format!("RUN --mount=type=bind,from={BASE},source={up}{path},target=/at cat /at/secret"),
        format!(
            "RUN true\nFROM {BASE} AS first\nRUN ln -s {path} /out\nFROM {BASE}\n\
             RUN --mount=type=bind,from=first,source=/out,target=/at cat /at/secret"
        ),
        format!(
            "FROM scratch AS none\nFROM {BASE}\nRUN --mount=type=bind,from=none,source={up}{path},target=/at cat /at/secret"
        ),
    ] {
        let (result, lines) = bench.on_base(&instructions, &[]);
        result.unwrap_err();
        assert!(
            !lines.iter().any(|l| l.contains(Host::SECRET)),
            "{instructions}: {lines:?}"
        );
    }
    // Where a link of the image lies in the way of a mount's target, it leads where it does inside.
    for kind in ["tmpfs", "cache", "bind,source=/,readwrite"] {
        let target = format!("RUN ln -s {path} /out && mkdir -p {path}");
        bench.withstands(&format!(
            "{target}\nRUN --mount=type={kind},target=/out/at echo x > /out/at/file && \
             [ -e {path}/at/file ] && echo tried"
        ));
        host.is_untouched();
    }
    bench.is_quiet();
}
