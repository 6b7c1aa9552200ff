//! Which images a change affects: those whose fingerprints are others, and no more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use kolla_tests::fleet::TINY;
use kolla_tests::{Fleet, Kolla, Run, eventually};
use yaml_rust2::{Yaml, YamlLoader};

/// The names that are printed.
fn names(kolla: &Kolla, arguments: &[&str]) -> Vec<String> {
    let all = [&["affected", "--format", "names"], arguments].concat();
    let run = kolla.ok(&all);
    assert_eq!(run.stderr, "");
    run.stdout.lines().map(str::to_owned).collect()
}

/// A committed tiny fleet after a change that is not.
fn changed(change: impl FnOnce(&Fleet)) -> (Fleet, Kolla) {
    let fleet = Fleet::tiny();
    change(&fleet);
    let kolla = Kolla::without_engine(&fleet);
    (fleet, kolla)
}

fn has(run: &Run, text: &str) {
    assert!(run.stdout.contains(text), "no {text:?} in\n{run}");
}

#[test]
fn nothing_affects_nothing_and_git_is_left_alone() {
    let (fleet, kolla) = changed(|_| {});
    let before = fleet.files();
    let run = kolla.ok(&["affected", "--since", "HEAD"]);
    assert_eq!(run.stdout, "");
    let told = format!("0 of 6 images affected since {}\n", fleet.head());
    assert_eq!(run.stderr, told);
    assert_eq!(names(&kolla, &["--since", "HEAD"]), [""; 0]);
    assert_eq!(fleet.files(), before);
}

#[test]
fn where_temporary_files_are_makes_no_difference() {
    let (_fleet, kolla) = changed(|fleet| fleet.append("services/web/web-api/motd", "more\n"));
    let kolla = kolla.with("TMPDIR", "");
    assert_eq!(names(&kolla, &["--since", "HEAD"]), ["web-api", "tool"]);
}

#[test]
fn a_comment_in_what_images_share_affects_nothing() {
    let comment = |fleet: &Fleet| {
        fleet.edit(
            "templates/layouts/image.tera",
            "{% block from %}",
            "{# where it begins #}{% block from %}",
        );
        fleet.edit(
            "services/web/service.toml",
            "packages =",
            "# two of them\npackages =",
        );
    };
    let (_fleet, kolla) = changed(comment);
    assert_eq!(names(&kolla, &["--since", "HEAD"]), [""; 0]);
}

#[test]
fn a_changed_layout_affects_what_is_rendered_from_it() {
    let (_fleet, kolla) = changed(|fleet| {
        fleet.edit("templates/layouts/image.tera", "[\"sh\"]", "[\"cat\"]");
    });
    let all = ["web-base", "web-api", "tool", "web-worker"];
    assert_eq!(names(&kolla, &["--since", "HEAD"]), all);
    assert_eq!(
        names(&kolla, &["--since", "HEAD", "web-*"]),
        ["web-base", "web-api", "web-worker"]
    );
    assert_eq!(names(&kolla, &["--since", "HEAD", "@base"]), [""; 0]);
    let run = kolla.run(&["affected", "--since", "HEAD", "webb"]).exits(2);
    run.says("no image matches `webb`");
}

#[test]
fn why_names_the_inputs() {
    let (_fleet, kolla) = changed(|fleet| {
        fleet.append("services/web/web-api/motd", "more\n");
        fleet.edit("kolla.toml", "hello", "hi");
        fleet.append("kolla.toml", "[images.web-worker.args]\nCOLOUR = \"red\"\n");
    });
    let run = kolla.ok(&["affected", "--since", "HEAD", "--why"]);
    let lines: Vec<&str> = run.stdout.lines().skip(1).collect();
    assert_eq!(lines.len(), 3, "{run}");
    has(&run, "file motd changed");
    has(&run, "parent web-api changed");
    has(&run, "build argument COLOUR changed");
    let run = run.says("3 of 6 images affected");
    assert!(run.stderr.lines().count() == 2, "{run}");
}

#[test]
fn images_come_and_go() {
    let (fleet, kolla) = changed(|fleet| {
        fleet.write(
            "services/late/service.toml",
            "description = \"New\"\n[images.late]\ndescription = \"New\"\n",
        );
        fleet.write("services/late/late/Dockerfile", "FROM base\n");
        fs::remove_dir_all(fleet.path("services/plain")).unwrap();
    });
    let run = kolla.ok(&["affected", "--since", "HEAD", "--format", "json"]);
    let json = run.json();
    assert_eq!(json["since"], "HEAD");
    assert_eq!(json["commit"], fleet.git(&["rev-parse", "HEAD"]));
    assert_eq!(json["removed"][0], "plain");
    assert_eq!(json["images"].as_array().unwrap().len(), 1);
    let late = run.image("late");
    assert_eq!(
        (&late["how"], &late["before"]),
        (&"added".into(), &serde_json::Value::Null)
    );
    // What is no more is found by its name.
    let run = kolla.ok(&["affected", "--since", "HEAD", "plain"]);
    assert_eq!(run.stdout, "");
    run.says("removed: plain");
    // From the other side.
    fleet.commit();
    fleet.git(&["revert", "--no-edit", "HEAD"]);
    assert_eq!(names(&kolla, &["--since", "HEAD~"]), ["plain"]);
}

#[test]
fn overlays_and_overrides_are_those_of_each_revision() {
    let motd = "services/web/web-api/motd";
    let (fleet, kolla) = changed(|fleet| {
        fleet.write(&format!("over/{motd}"), "overlaid\n");
        fleet.write(
            "site.tera",
            "{% extends \"web-worker\" %}\n{% block command %}CMD [\"ls\"]{% endblock command %}\n",
        );
        let lists = "overlays = [\"over\"]\noverrides = [\"site.tera\"]\n";
        fleet.write(
            "kolla.toml",
            &format!("{lists}[vars]\ngreeting = \"hello\"\n"),
        );
    });
    // Not there before, listed now.
    assert_eq!(
        names(&kolla, &["--since", "HEAD"]),
        ["web-api", "tool", "web-worker"]
    );
    fleet.commit();
    assert_eq!(names(&kolla, &["--since", "HEAD"]), [""; 0]);
    // What they shadow does not count.
    fleet.write(motd, "unseen\n");
    assert_eq!(names(&kolla, &["--since", "HEAD"]), [""; 0]);
    fleet.append(&format!("over/{motd}"), "more\n");
    assert_eq!(names(&kolla, &["--since", "HEAD"]), ["web-api", "tool"]);
    fleet.edit("site.tera", "ls", "env");
    assert_eq!(
        names(&kolla, &["--since", "HEAD", "web-worker"]),
        ["web-worker"]
    );
}

#[test]
fn flags_count_on_both_sides() {
    let (fleet, kolla) = changed(|fleet| {
        fleet.write("ci/services/web/web-api/motd", "for CI\n");
        fleet.commit();
    });
    let outside = tempfile::tempdir().unwrap();
    let motd = outside.path().join("services/web/web-api/motd");
    fs::create_dir_all(motd.parent().unwrap()).unwrap();
    fs::write(motd, "from elsewhere\n").unwrap();
    let outside = outside.path().display().to_string();
    let with = |arguments: &[&str]| names(&kolla, &[&["--since", "HEAD"], arguments].concat());
    assert_eq!(with(&["--overlay", &outside]), [""; 0]);
    assert_eq!(with(&["--overlay", "ci"]), [""; 0]);
    assert_eq!(with(&["--platform", "linux/arm64"]), [""; 0]);
    fleet.append("ci/services/web/web-api/motd", "more\n");
    assert_eq!(with(&[]), [""; 0]);
    assert_eq!(with(&["--overlay", "ci"]), ["web-api", "tool"]);
    // It shadows what would have changed.
    fleet.write("services/web/web-api/motd", "unseen\n");
    assert_eq!(with(&["--overlay", &outside]), [""; 0]);
}

#[test]
fn a_branch_is_compared_with_where_it_began() {
    let (fleet, kolla) = changed(|fleet| {
        fleet.git(&["branch", "-M", "main"]);
        fleet.git(&["checkout", "--quiet", "-b", "topic"]);
        fleet.append("services/web/web-api/motd", "more\n");
        fleet.commit();
        fleet.git(&["checkout", "--quiet", "main"]);
        fleet.append("services/plain/plain/Dockerfile", "USER 1\n");
        fleet.commit();
        fleet.git(&["checkout", "--quiet", "topic"]);
    });
    assert_eq!(
        names(&kolla, &["--since", "main"]),
        ["plain", "web-api", "tool"]
    );
    assert_eq!(names(&kolla, &["--since", "main..."]), ["web-api", "tool"]);
    assert_eq!(
        names(&kolla, &["--since", "main", "--merge-base"]),
        ["web-api", "tool"]
    );
    fleet.git(&["checkout", "--quiet", "--orphan", "alone"]);
    fleet.commit();
    let run = kolla.run(&["affected", "--since", "main..."]).exits(2);
    run.says("have no commit in common");
}

#[test]
fn a_shallow_clone_says_what_it_lacks_and_what_gets_it() {
    let fleet = Fleet::tiny();
    let first = fleet.git(&["rev-parse", "HEAD"]);
    fleet.git(&["branch", "-M", "main"]);
    fleet.append("services/web/web-api/motd", "more\n");
    fleet.commit();
    fleet.git(&["checkout", "--quiet", "-b", "topic"]);
    let origin = format!("file://{}", fleet.root().display());
    let clone = Fleet::empty();
    clone.git(&["clone", "--quiet", "--depth=1", &origin, "."]);
    let kolla = Kolla::without_engine(&clone);
    let motd = "services/web/web-api/motd";
    clone.append(motd, "again\n");
    assert_eq!(names(&kolla, &["--since", "HEAD"]), ["web-api", "tool"]);
    clone.git(&["checkout", "--quiet", motd]);

    let missing = |revision: &str| kolla.run(&["affected", "--since", revision]).exits(3);
    let run = missing("HEAD~1")
        .says("shallow clone")
        .says("git fetch --unshallow");
    assert_eq!(run.stdout, "");
    missing("origin/main").says("git fetch --depth=1 origin main:refs/remotes/origin/main");
    let command = format!("git fetch --depth=1 origin {first}");
    missing(&first).says(&command);
    // Which is true.
    clone.git(&command.split(' ').skip(1).collect::<Vec<_>>());
    assert_eq!(names(&kolla, &["--since", &first]), ["web-api", "tool"]);
    let run = kolla
        .run(&["affected", "--since", &format!("{first}...")])
        .exits(3);
    run.says("does not reach back")
        .says("git fetch --unshallow");
    clone.git(&["fetch", "--quiet", "--unshallow"]);
    assert_eq!(
        names(&kolla, &["--since", &format!("{first}...")]),
        ["web-api", "tool"]
    );
}

#[test]
fn a_revision_that_is_none_is_told() {
    let (fleet, kolla) = changed(|fleet| {
        fleet.git(&["branch", "release"]);
    });
    let told = |revision: &str| {
        let since = format!("--since={revision}");
        kolla.run(&["affected", &since]).exits(2)
    };
    told("relase")
        .says("there is no revision `relase`")
        .says("release");
    told("--upload-pack=x").says("there is no revision `--upload-pack=x`");
    told("").says("there is no revision");
    let empty = Fleet::empty();
    fleet.edit("kolla.toml", "hello", "hi");
    fs::copy(fleet.path("kolla.toml"), empty.path("kolla.toml")).unwrap();
    fs::create_dir_all(empty.path("app")).unwrap();
    empty.write("app/Dockerfile", "FROM scratch\n");
    let run = Kolla::without_engine(&empty)
        .run(&["affected", "--since", "HEAD"])
        .exits(2);
    run.says("in no repository");
}

#[test]
fn a_mistake_of_the_past_is_told_as_that() {
    let template = "services/web/web-api/Dockerfile.tera";
    let (_fleet, kolla) = changed(|fleet| {
        fleet.edit(template, "{% endblock files %}", "{% endblok files %}");
        fleet.commit();
        fleet.edit(template, "{% endblok files %}", "{% endblock files %}");
    });
    let run = kolla.run(&["affected", "--since", "HEAD"]).exits(2);
    let run = run
        .says(&format!(" {template}:2"))
        .says("in the fleet as it was at `HEAD`");
    run.hides("kolla-since-");
}

#[test]
fn a_fleet_in_a_folder_of_its_repository_and_in_a_second_work_tree() {
    let fleet = Fleet::empty();
    fleet.write("images/lower/Dockerfile", "FROM scratch\nCOPY file /\n");
    fleet.write("images/lower/file", "a\n");
    fleet.write("images/upper/Dockerfile", "FROM lower\n");
    fleet.write("unrelated", "a\n");
    fleet.git(&["init", "--quiet"]);
    fleet.commit();
    let images = fleet.path("images");
    let kolla = Kolla::at(&images);
    fleet.write("unrelated", "b\n");
    assert_eq!(names(&kolla, &["--since", "HEAD"]), [""; 0]);
    fleet.write("images/lower/file", "b\n");
    assert_eq!(names(&kolla, &["--since", "HEAD"]), ["lower", "upper"]);
    let second = tempfile::tempdir().unwrap();
    let tree = second.path().join("tree");
    let path = tree.display().to_string();
    fleet.git(&["worktree", "add", "--quiet", &path, "HEAD"]);
    fs::write(tree.join("Dockerfile"), "FROM lower\nCOPY . /\n").unwrap();
    let add = |arguments: &[&str]| {
        let git = std::process::Command::new("git")
            .arg("-C")
            .arg(&tree)
            .args(arguments)
            .output();
        assert!(git.unwrap().status.success());
    };
    add(&["add", "Dockerfile"]);
    add(&[
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@localhost",
        "commit",
        "--quiet",
        "--message",
        "top",
    ]);
    // The image at the top is named after the folder, and has all of it but git's own.
    let kolla = Kolla::at(&tree);
    assert_eq!(names(&kolla, &["--since", "HEAD"]), [""; 0]);
    assert_eq!(names(&kolla, &["--since", "HEAD~"]), ["tree"]);
}

#[test]
fn jobs_for_github() {
    let (fleet, kolla) = changed(|_| {});
    let matrix = |arguments: &[&str]| {
        let all = [
            &["affected", "--since", "HEAD", "--format", "github"],
            arguments,
        ]
        .concat();
        let run = kolla.ok(&all);
        // GITHUB_OUTPUT takes a line.
        assert_eq!(run.stdout.lines().count(), 1, "{run}");
        run.json()["include"].as_array().unwrap().clone()
    };
    assert!(matrix(&[]).is_empty());
    assert!(matrix(&["--shards", "3"]).is_empty());
    fleet.append(
        "services/web/web-base/Dockerfile.tera",
        "{% block files %}USER 1{% endblock files %}\n",
    );
    fleet.append("services/plain/plain/Dockerfile", "USER 1\n");
    let jobs = matrix(&[]);
    let images: Vec<_> = jobs
        .iter()
        .map(|job| job["images"].as_str().unwrap())
        .collect();
    assert_eq!(
        images,
        ["plain", "web-base", "web-api", "tool", "web-worker"]
    );
    let jobs = matrix(&["--shards", "2"]);
    let images: Vec<_> = jobs
        .iter()
        .map(|job| job["images"].as_str().unwrap())
        .collect();
    assert_eq!(images, ["web-base web-api tool", "plain web-worker"]);
    let run = kolla.run(&["affected", "--since", "HEAD", "--shards", "2"]);
    run.exits(2).says("--shards goes with");
}

#[test]
fn a_pipeline_for_gitlab() {
    let (fleet, kolla) = changed(|_| {});
    let pipeline = |arguments: &[&str]| -> Yaml {
        let all = [
            &["affected", "--since", "HEAD", "--format", "gitlab"],
            arguments,
        ]
        .concat();
        let run = kolla.ok(&all);
        fleet.write("pipeline.yml", &run.stdout);
        kolla_tests::is_valid("gitlab-ci", &fleet.path("pipeline.yml"));
        fs::remove_file(fleet.path("pipeline.yml")).unwrap();
        let mut documents =
            YamlLoader::load_from_str(&run.stdout).unwrap_or_else(|e| panic!("{e} in\n{run}"));
        assert_eq!(documents.len(), 1);
        documents.remove(0)
    };
    // Hidden jobs begin with a dot; a pipeline without another one is refused.
    let jobs = |pipeline: &Yaml| -> Vec<String> {
        let all = pipeline
            .as_hash()
            .unwrap()
            .keys()
            .map(|k| k.as_str().unwrap().to_owned());
        all.filter(|name| !name.starts_with('.')).collect()
    };
    let nothing = pipeline(&[]);
    assert_eq!(jobs(&nothing).len(), 1);
    assert_eq!(
        nothing["nothing is affected"]["script"][0].as_str(),
        Some("true")
    );
    fleet.append("services/web/web-api/motd", "more\n");
    let two = pipeline(&[]);
    assert_eq!(jobs(&two), ["build web-api", "build tool"]);
    assert_eq!(
        two["build tool"]["needs"][0].as_str(),
        Some("build web-api")
    );
    assert_eq!(
        two["build tool"]["variables"]["IMAGES"].as_str(),
        Some("tool")
    );
    assert!(two[two["build tool"]["extends"].as_str().unwrap()]["script"].is_array());
    let one = pipeline(&["--shards", "4"]);
    assert_eq!(jobs(&one), ["build 1/1"]);
    assert_eq!(
        one["build 1/1"]["variables"]["IMAGES"].as_str(),
        Some("web-api tool")
    );
}

#[test]
fn one_that_is_stopped_leaves_nothing() {
    let fleet = Fleet::tiny();
    let sign = format!("filter-of-{}", fleet.namespace);
    fleet.write(".gitattributes", "motd filter=slow\n");
    fleet.commit();
    fleet.git(&[
        "config",
        "filter.slow.smudge",
        &format!(": {sign}; sleep 100000"),
    ]);
    let kolla = Kolla::without_engine(&fleet);
    let mut started = kolla.start(&["affected", "--since", "HEAD"]);
    eventually("git writes files", || {
        assert!(started.is_running());
        kolla_tests::runs(&sign)
    });
    let left = || fs::read_dir(kolla.home().join("tmp")).unwrap().count();
    assert_eq!(left(), 1);
    started.signal("TERM");
    started.wait().exits(130).says("stopping");
    assert_eq!(left(), 0);
    eventually("the filter ends", || !kolla_tests::runs(&sign));
}

/// Every file of every image's rendering, by image.
fn rendering(kolla: &Kolla) -> BTreeMap<String, BTreeMap<String, Vec<u8>>> {
    let out = tempfile::tempdir().unwrap();
    let path = out.path().display().to_string();
    kolla.ok(&["render", "--no-sources", "--output", &path]);
    let mut all: BTreeMap<String, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
    for (file, _) in kolla_tests::fleet::files(out.path()) {
        let below = file.strip_prefix(out.path()).unwrap().display().to_string();
        let (image, path) = below.split_once('/').unwrap();
        let content = fs::read(Path::new(&file)).unwrap();
        all.entry(image.to_owned())
            .or_default()
            .insert(path.to_owned(), content);
    }
    all
}

#[test]
fn of_the_real_images_those_are_affected_that_are_rendered_otherwise() {
    let fleet = Fleet::real();
    let kolla = Kolla::without_engine(&fleet);
    let before = rendering(&kolla);
    let component = "templates/components/uwsgi.tera";
    let affected =
        || -> BTreeSet<String> { names(&kolla, &["--since", "HEAD"]).into_iter().collect() };
    // Every image is rendered with the name by fingerprint of its parent, so a change goes down.
    let others = || -> BTreeSet<String> {
        let now = rendering(&kolla);
        let changed = now
            .iter()
            .filter(|(image, files)| before.get(*image) != Some(files));
        changed.map(|(image, _)| image.clone()).collect()
    };
    fleet.edit(component, "{#- Serves", "{#- Said otherwise: serves");
    assert_eq!(affected(), BTreeSet::new());
    fleet.edit(component, "\"uwsgi\", ", "\"uwsgi\", \"--master\", ");
    let uwsgi = affected();
    assert!(uwsgi.contains("keystone") && uwsgi.len() < before.len());
    assert_eq!(uwsgi, others());
    fleet.git(&["checkout", "--quiet", component]);

    // The program in all images: what it is compiled from counts, its tests do not.
    fleet.append("start/README.md", "More.\n");
    assert_eq!(affected(), BTreeSet::new());
    fleet.append("start/src/lib.rs", "// more\n");
    let run = kolla.ok(&["affected", "--since", "HEAD", "--why"]);
    has(&run, "file start/src/lib.rs changed");
    assert_eq!(affected().len(), before.len());
}

#[test]
fn the_first_commit_with_the_fleet_affects_all_of_it() {
    let fleet = Fleet::tiny();
    let outer = Fleet::empty();
    outer.git(&["init", "--quiet"]);
    outer.write("README", "nothing yet\n");
    outer.commit();
    let inner = outer.path("fleet");
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(fleet.root())
        .arg(&inner)
        .status();
    assert!(copied.unwrap().success());
    fs::remove_dir_all(inner.join(".git")).unwrap();
    assert_eq!(names(&Kolla::at(&inner), &["--since", "HEAD"]), TINY);
}
