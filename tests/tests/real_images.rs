//! The images of OpenStack, MariaDB and RabbitMQ themselves: built, looked into, started, pushed.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use kolla_tests::{Docker, Fleet, Kolla, Registry, Run};

/// Every image with the account that it runs as and its number.
const IMAGES: [(&str, &str, u32); 20] = [
    ("base", "kolla", 42400),
    ("glance-api", "glance", 42415),
    ("heat-api", "heat", 42418),
    ("heat-api-cfn", "heat", 42418),
    ("heat-base", "heat", 42418),
    ("heat-engine", "heat", 42418),
    ("keystone", "keystone", 42425),
    ("mariadb", "mysql", 42434),
    ("memcached", "memcached", 42457),
    ("nova-api", "nova", 42436),
    ("nova-base", "nova", 42436),
    ("nova-compute", "nova", 42436),
    ("nova-conductor", "nova", 42436),
    ("nova-libvirt", "root", 0),
    ("nova-novncproxy", "nova", 42436),
    ("nova-scheduler", "nova", 42436),
    ("openstack-base", "kolla", 42400),
    ("openstack-client", "kolla", 42400),
    ("placement-api", "placement", 42482),
    ("rabbitmq", "rabbitmq", 42439),
];

/// The fleet, built once for all tests of this file.
struct Real {
    docker: Docker,
    fleet: Fleet,
    kolla: Kolla,
    first: Run,
    /// Tests that take something away for a while do it alone.
    alone: Mutex<()>,
}

impl Real {
    fn built() -> Option<&'static Self> {
        static REAL: OnceLock<Option<Real>> = OnceLock::new();
        REAL.get_or_init(|| {
            let docker = Docker::own()?;
            let fleet = Fleet::real();
            let kolla = Kolla::without_engine(&fleet)
                .with("DOCKER_HOST", &docker.host)
                .with("KOLLA_CACHE_DIR", &kolla_tests::shared_cache());
            let first = kolla.ok(&["build", "--format", "json"]);
            Some(Self {
                docker,
                fleet,
                kolla,
                first,
                alone: Mutex::new(()),
            })
        })
        .as_ref()
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.alone
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn reference(&self, image: &str) -> String {
        format!("kollaglue/{image}:{}", self.fleet.head())
    }

    /// What a script prints that root runs in a container of an image.
    fn script(&self, image: &str, script: &str) -> String {
        let reference = self.reference(image);
        let line = [
            "run",
            "--rm",
            "--network",
            "none",
            "--user",
            "0",
            "--entrypoint",
            "bash",
            &reference,
            "-c",
            script,
        ];
        self.docker.run(&line)
    }
}

#[test]
fn all_images_are_there_with_their_labels_and_the_commit_as_their_tag() {
    let Some(real) = Real::built() else { return };
    let _turn = real.turn();
    let mut names: Vec<String> = IMAGES
        .iter()
        .map(|(image, ..)| real.reference(image))
        .collect();
    names.sort();
    let tag = format!(":{}", real.fleet.head());
    let mut tagged = real.docker.tagged("kollaglue");
    tagged.retain(|name| name.ends_with(&tag));
    assert_eq!(tagged, names);
    for (image, ..) in IMAGES {
        let label = |name: &str| real.docker.label(&real.reference(image), name);
        assert_eq!(label("org.openstack.kolla.image"), image);
        let told = real.first.image(image);
        let fingerprint = label("org.openstack.kolla.fingerprint");
        assert_eq!(told["fingerprint"], fingerprint.as_str());
        assert_eq!(label("org.opencontainers.image.title"), image);
        for name in ["description", "vendor", "licenses"] {
            assert_ne!(
                label(&format!("org.opencontainers.image.{name}")),
                "",
                "{image}: {name}"
            );
        }
    }
}

#[test]
fn images_run_as_the_account_and_the_number_that_deployments_use() {
    let Some(real) = Real::built() else { return };
    let _turn = real.turn();
    for (image, user, uid) in IMAGES {
        let line = real
            .docker
            .in_container(&real.reference(image), &["bash", "-c", "id -un; id -u"]);
        assert_eq!(line, format!("{user}\n{uid}"), "{image}");
    }
    let libvirt = real.script(
        "nova-libvirt",
        "id -u qemu; getent group libvirt | cut -d: -f3; id -u nova",
    );
    assert_eq!(libvirt, "42427\n42473\n42436");
}

#[test]
fn every_image_passes_its_smoke_test() {
    let Some(real) = Real::built() else { return };
    let _turn = real.turn();
    let run = real.kolla.ok(&["test", "--format", "json"]);
    let mut tested = run.images("tested");
    tested.sort();
    assert_eq!(tested, IMAGES.map(|(image, ..)| image));
}

#[test]
fn a_second_build_builds_nothing_under_any_name() {
    let Some(real) = Real::built() else { return };
    let _turn = real.turn();
    assert_eq!(
        real.kolla
            .ok(&["build", "--format", "json"])
            .images("reused")
            .len(),
        IMAGES.len()
    );
    let run = real.kolla.ok(&[
        "build",
        "--namespace",
        "someone",
        "--tag",
        "other",
        "--format",
        "json",
    ]);
    assert_eq!(run.images("reused").len(), IMAGES.len());
}

#[test]
fn a_touched_file_of_keystone_means_keystone_and_nothing_else() {
    let Some(real) = Real::built() else { return };
    let _turn = real.turn();
    let fleet = Fleet::real();
    fleet.write("services/keystone/keystone/touched", "");
    let kolla =
        Kolla::new(&fleet, &real.docker).with("KOLLA_CACHE_DIR", &kolla_tests::shared_cache());
    let plan = kolla.ok(&["plan", "--format", "json"]);
    assert_eq!(plan.planned("build"), ["keystone"]);
    assert_eq!(plan.planned("reuse").len(), IMAGES.len() - 1);
}

#[test]
fn nothing_is_left_of_the_installation() {
    let Some(real) = Real::built() else { return };
    let _turn = real.turn();
    // Each line that this prints is something that should not be there.
    let script = r#"
        shopt -s nullglob globstar
        look() { find "$@" 2>/dev/null | head -n 5; }
        look /var/lib/apt/lists /var/cache/apt -type f
        look /usr/share/doc -type f ! -name copyright
        look /usr/share/man /usr/share/info /usr/share/locale /usr/share/i18n -type f
        look /var/log -type f
        look /tmp /var/tmp -mindepth 1
        look / -xdev \( -name '*.dpkg-*' -o -name 'ssl-cert-snakeoil*' -o -name 'ssh_host_*' -o -name .erlang.cookie \)
        look /etc -maxdepth 1 -name '*-' -type f
        [ ! -s /etc/machine-id ] || echo /etc/machine-id
        [ ! -s /var/lib/dbus/machine-id ] || echo /var/lib/dbus/machine-id
        for pyc in /usr/lib/python3/**/__pycache__/*.pyc /usr/lib/python3.*/**/__pycache__/*.pyc; do
            name=${pyc##*/}
            [ -e "${pyc%/__pycache__/*}/${name%%.*}.py" ] || echo "$pyc"
        done | head -n 5
        dpkg --audit
    "#;
    let mut left = BTreeMap::new();
    for (image, ..) in IMAGES {
        let lines = real.script(image, script);
        if !lines.is_empty() {
            left.insert(image, lines);
        }
    }
    assert!(left.is_empty(), "{left:#?}");
}

/// mmdebstrap, which leaves the choice of packages to apt, as a second opinion.
#[test]
fn base_has_the_packages_that_apt_would_choose() {
    let Some(real) = Real::built() else { return };
    let _turn = real.turn();
    let folder = tempfile::tempdir().unwrap();
    let (list, status) = (
        folder.path().join("sources.list"),
        folder.path().join("status"),
    );
    std::fs::write(
        &list,
        real.script("base", "cat /etc/apt/sources.list") + "\n",
    )
    .unwrap();
    let keep = format!(
        "--customize-hook=cp \"$1/var/lib/dpkg/status\" {}",
        status.display()
    );
    let output = std::process::Command::new("mmdebstrap")
        .args([
            "--quiet",
            "--variant=minbase",
            "--include=ca-certificates,sudo",
            &keep,
        ])
        .args(["trixie", "/dev/null"])
        .arg(&list)
        .output()
        .expect("mmdebstrap is a Debian package of the same name");
    assert!(output.status.success(), "{output:?}");
    let status = std::fs::read_to_string(&status).unwrap();
    let mut theirs: Vec<&str> = status
        .lines()
        .filter_map(|line| line.strip_prefix("Package: "))
        .collect();
    theirs.sort_unstable();
    // Not their versions: the image may be older than what the archive holds now.
    let ours = real.script("base", "dpkg-query --show --showformat '${Package}\\n'");
    let mut ours: Vec<&str> = ours.lines().collect();
    ours.sort_unstable();
    assert_eq!(ours, theirs);
    let said = real.script(
        "base",
        "apt-get --quiet --quiet check; ls -d /bootstrap* 2>&1 || true",
    );
    assert!(said.contains("No such file"), "{said}");
}

#[test]
fn python_is_compiled_and_packages_are_recorded() {
    let Some(real) = Real::built() else { return };
    let _turn = real.turn();
    // In a container as its user nothing could be compiled any more.
    let script = r#"
        for py in /usr/lib/python3/dist-packages/keystone/*.py; do
            compiled=(${py%/*}/__pycache__/"$(basename "$py" .py)".cpython-*.pyc)
            [ -e "${compiled[0]}" ] || echo "$py"
        done
        dpkg-query --show --showformat '${Status}\n' keystone
    "#;
    assert_eq!(real.script("keystone", script), "install ok installed");
}

#[test]
fn an_image_is_pushed_and_pulled_by_its_digest() {
    let Some(real) = Real::built() else { return };
    let Some(registry) = Registry::plain() else {
        return;
    };
    let _turn = real.turn();
    let run = real
        .kolla
        .ok(&["push", "--registry", &registry.address, "--format", "json"]);
    assert_eq!(run.images("pushed").len(), IMAGES.len());
    for (image, ..) in IMAGES {
        let held = registry.digest(&format!("kollaglue/{image}"), &real.fleet.head());
        let told = run.image(image);
        assert_eq!(
            told["pushed"][0]["digest"].as_str(),
            held.as_deref(),
            "{image}"
        );
    }
    let told = run.image("memcached");
    let id = told["id"].as_str().unwrap();
    let names = real.docker.inspect(id)["RepoTags"].clone();
    real.docker.run(&["image", "rm", "--force", id]);
    assert!(!real.docker.has(id));
    let digest = told["pushed"][0]["digest"].as_str().unwrap();
    let pulled = format!("{}/kollaglue/memcached@{digest}", registry.address);
    real.docker.run(&["pull", "--quiet", &pulled]);
    assert_eq!(real.docker.id(&pulled), id);
    for name in names.as_array().unwrap() {
        real.docker.run(&["tag", id, name.as_str().unwrap()]);
    }
}

/// Starts an image as it is, and waits until its own health check is content with it. `options` are
/// what it cannot do without.
fn starts(real: &Real, image: &str, options: &[&str]) {
    let docker = &real.docker;
    let reference = real.reference(image);
    let test = docker.inspect(&reference)["Config"]["Healthcheck"]["Test"].clone();
    let test: Vec<&str> = test
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect();
    assert_eq!(test[0], "CMD", "{image}");
    let mut line = vec!["run", "--detach"];
    line.extend(options);
    line.push(&reference);
    let container = docker.run(&line);
    let mut check = vec!["exec", &container];
    check.extend(&test[1..]);
    let start = Instant::now();
    let healthy = loop {
        let output = docker.output(&check);
        if output.status.success() {
            break Ok(());
        }
        let running = docker.run(&[
            "container",
            "inspect",
            "--format",
            "{{.State.Running}}",
            &container,
        ]);
        if running != "true" || start.elapsed() > Duration::from_secs(120) {
            break Err(format!("running: {running}; the last check: {output:?}"));
        }
        std::thread::sleep(Duration::from_millis(500));
    };
    let logs = docker.output(&["logs", &container]);
    docker.run(&["rm", "--force", "--volumes", &container]);
    if let Err(reason) = healthy {
        panic!(
            "{image} does not become healthy: {reason}\nit said:\n{}{}",
            String::from_utf8_lossy(&logs.stdout),
            String::from_utf8_lossy(&logs.stderr)
        );
    }
}

#[test]
fn mariadb_starts() {
    let Some(real) = Real::built() else { return };
    let _turn = real.turn();
    starts(real, "mariadb", &[]);
}

#[test]
fn rabbitmq_starts() {
    let Some(real) = Real::built() else { return };
    let _turn = real.turn();
    starts(real, "rabbitmq", &[]);
}

#[test]
fn memcached_starts() {
    let Some(real) = Real::built() else { return };
    let _turn = real.turn();
    starts(real, "memcached", &[]);
}

#[test]
fn keystone_starts() {
    let Some(real) = Real::built() else { return };
    let _turn = real.turn();
    // The keys that it signs tokens with are its deployment's, so no image has any.
    let volume = kolla_tests::unique("keys");
    let mount = format!("{volume}:/etc/keystone/fernet-keys");
    let reference = real.reference("keystone");
    let prepare = "chown keystone:keystone /etc/keystone/fernet-keys \
                   && keystone-manage fernet_setup --keystone-user keystone --keystone-group keystone";
    let line = [
        "run", "--rm", "--user", "0", "--volume", &mount, &reference, "bash", "-c", prepare,
    ];
    real.docker.run(&line);
    starts(real, "keystone", &["--volume", &mount]);
    real.docker.run(&["volume", "rm", &volume]);
}
