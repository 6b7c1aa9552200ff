//! What `kolla_set_configs` makes of a container, by its documented interface.

#![allow(clippy::unwrap_used)] // a test says what went wrong by failing

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;

use common::{Container, entry, entry_with};
use serde_json::json;

const FILES: &str = "/var/lib/kolla/config_files";

#[test]
fn a_file_gets_its_owner_its_permissions_and_its_parents() {
    let container = Container::new();
    container.write("/var/lib/kolla/config_files/nova.conf", "[DEFAULT]\n");
    container.configure(&json!([entry(
        &format!("{FILES}/nova.conf"),
        "/etc/nova/sub/nova.conf"
    )]));
    container.apply();
    assert_eq!(container.read("/etc/nova/sub/nova.conf"), "[DEFAULT]\n");
    assert_eq!(container.mode("/etc/nova/sub/nova.conf"), 0o640);
    assert_eq!(container.mode("/etc/nova/sub"), 0o755);
    assert_eq!(container.read("/run_command"), "run it");
    assert_eq!(container.mode("/run_command"), 0o644);
}

#[test]
fn wildcards_copy_each_file_below_a_destination_with_a_slash() {
    let container = Container::new();
    container.write("/src/bar.conf", "1");
    container.write("/src/bar.yml", "2");
    container.write("/src/other", "3");
    container.configure(&json!([entry("/src/bar.*", "/foo/")]));
    container.apply();
    assert_eq!(container.read("/foo/bar.conf"), "1");
    assert_eq!(container.read("/foo/bar.yml"), "2");
    assert!(!container.exists("/foo/other"));
}

#[test]
fn a_directory_replaces_and_with_merge_joins() {
    for merge in [false, true] {
        let container = Container::new();
        container.write("/src/dir/sub/a", "new");
        container.write("/etc/dir/sub/a", "old");
        container.write("/etc/dir/sub/b", "stays?");
        container.configure(&json!([entry_with(
            "/src/dir",
            "/etc/dir",
            &json!({"merge": merge})
        )]));
        container.apply();
        assert_eq!(container.read("/etc/dir/sub/a"), "new");
        assert_eq!(container.exists("/etc/dir/sub/b"), merge);
        assert_eq!(
            container.mode("/etc/dir/sub"),
            0o750,
            "who may read may enter"
        );
        assert_eq!(container.mode("/etc/dir/sub/a"), 0o640);
        assert_eq!(container.check().status, 0);
    }
}

#[test]
fn a_source_with_a_slash_is_a_directory_and_leaves_its_name_behind() {
    let container = Container::new();
    container.write("/src/dir/a", "a");
    container.write("/src/file", "");
    container.configure(&json!([
        entry("/src/dir/", "/etc/one/"),
        entry("/src/dir/", "/etc/two"),
        entry("/src/dir", "/etc/three/"),
        entry_with("/src/file/", "/etc/four", &json!({"optional": true})),
    ]));
    container.apply();
    for path in ["/etc/one/a", "/etc/two/a", "/etc/three/dir/a"] {
        assert_eq!(container.read(path), "a");
    }
    assert!(!container.exists("/etc/four"));
    assert_eq!(container.check().status, 0);
}

#[test]
fn a_file_takes_the_place_of_a_directory_and_the_other_way_round() {
    let container = Container::new();
    container.write("/src/file", "file");
    container.write("/src/dir/a", "a");
    container.write("/etc/one/x", "");
    container.write("/etc/two", "");
    container.write("/etc/three", "");
    container.configure(&json!([
        entry("/src/file", "/etc/one"),
        entry("/src/dir", "/etc/two"),
        entry_with("/src/dir", "/etc/three", &json!({"merge": true})),
    ]));
    container.apply();
    assert_eq!(container.read("/etc/one"), "file");
    assert_eq!(container.read("/etc/two/a"), "a");
    assert_eq!(container.read("/etc/three/a"), "a");
    container.apply();
    assert_eq!(container.check().status, 0);
    container.configure(&json!([]));
    container.apply();
    assert!(container.exists("/etc/one/x"));
    assert_eq!(container.read("/etc/two"), "");
    assert_eq!(container.read("/etc/three"), "");
}

#[test]
fn an_optional_source_may_be_missing_and_its_owner_too() {
    let container = Container::new();
    let missing = json!({"optional": true, "owner": "nobody-here"});
    container.configure(&json!([
        entry_with("/src/none", "/etc/none", &missing),
        entry_with("/src/*.none", "/etc/", &missing),
    ]));
    container.apply();
    assert!(!container.exists("/etc/none"));
    assert_eq!(container.check().status, 0);
}

#[test]
fn a_required_source_that_is_missing_changes_nothing() {
    let container = Container::new();
    container.write("/src/a", "a");
    container.configure(&json!([
        entry("/src/a", "/etc/a"),
        entry("/src/none", "/etc/b")
    ]));
    let before = container.snapshot();
    let run = container.run(&["kolla_set_configs"]);
    assert_eq!(run.status, 1);
    assert_eq!(
        run.said,
        "kolla_set_configs: /var/lib/kolla/config_files/config.json: config_files[1].source: \
         /src/none is not there; mount it, or set `optional`\n"
    );
    assert_eq!(container.snapshot(), before);
}

#[test]
fn an_owner_that_is_unknown_changes_nothing() {
    let container = Container::new();
    container.config(&json!({
        "command": "x",
        "directories": [{"path": "/new", "owner": "me", "perm": "0755"}],
        "permissions": [{"path": "/etc", "owner": "me:mee"}],
    }));
    let before = container.snapshot();
    let run = container.run(&["kolla_set_configs"]);
    assert_eq!(run.status, 1);
    let expected = "permissions[0].owner: /etc/group has no group `mee`; is `me` meant?\n";
    assert!(run.said.ends_with(expected), "{}", run.said);
    assert_eq!(container.snapshot(), before);
}

#[test]
fn preserved_are_permissions_times_and_attributes() {
    let container = Container::new();
    container.write("/src/dir/a", "a");
    container.chmod("/src/dir/a", 0o741);
    container.chmod("/src/dir", 0o711);
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 500);
    for path in ["/src/dir/a", "/src/dir"] {
        let file = fs::File::open(container.path(path)).unwrap();
        file.set_modified(time).unwrap();
    }
    let attribute = rustix::fs::setxattr(
        container.path("/src/dir/a"),
        "user.kolla",
        b"x",
        rustix::fs::XattrFlags::empty(),
    );
    let preserve = json!([{"source": "/src/dir", "dest": "/etc/dir", "preserve_properties": true}]);
    container.configure(&preserve);
    container.apply();
    for path in ["/etc/dir/a", "/etc/dir"] {
        let meta = fs::metadata(container.path(path)).unwrap();
        assert_eq!(meta.modified().unwrap(), time, "{path}");
    }
    assert_eq!(container.mode("/etc/dir/a"), 0o741);
    assert_eq!(container.mode("/etc/dir"), 0o711);
    if attribute.is_ok() {
        let mut value = [0; 8];
        let path = container.path("/etc/dir/a");
        assert_eq!(rustix::fs::getxattr(path, "user.kolla", &mut value), Ok(1));
    }
    // Upstream finds a difference here whatever there is.
    assert_eq!(container.check().status, 0);
    container.chmod("/etc/dir/a", 0o740);
    assert_eq!(container.check().status, 1);
}

#[test]
fn links_of_a_kubernetes_volume_are_seen_through() {
    let container = Container::new();
    container.write("/src/..2026/nova.conf", "text");
    container.link("/src/..data", "..2026");
    container.link("/src/nova.conf", "..data/nova.conf");
    container.configure(&json!([
        entry("/src/nova.conf", "/etc/nova.conf"),
        entry("/src/*.conf", "/etc/all/"),
    ]));
    container.apply();
    for path in ["/etc/nova.conf", "/etc/all/nova.conf"] {
        assert!(
            fs::symlink_metadata(container.path(path))
                .unwrap()
                .is_file()
        );
        assert_eq!(container.read(path), "text");
    }
}

#[test]
fn merged_and_preserved_links_to_files_stay_links() {
    let container = Container::new();
    container.write("/src/d/file", "text");
    container.write("/src/elsewhere/inner", "text");
    container.link("/src/d/link", "file");
    container.link("/src/d/dangling", "nowhere");
    container.link("/src/d/dir", "../elsewhere");
    container.configure(&json!([
        {"source": "/src/d", "dest": "/etc/d", "preserve_properties": true, "merge": true}
    ]));
    container.apply();
    for (path, target) in [("/etc/d/link", "file"), ("/etc/d/dangling", "nowhere")] {
        assert_eq!(
            fs::read_link(container.path(path)).unwrap().to_str(),
            Some(target)
        );
    }
    assert!(
        fs::symlink_metadata(container.path("/etc/d/dir"))
            .unwrap()
            .is_dir()
    );
    assert_eq!(container.read("/etc/d/dir/inner"), "text");
    assert_eq!(container.check().status, 0);
}

#[test]
fn a_directory_that_links_to_itself_is_an_error() {
    let container = Container::new();
    container.link("/src/d/self", ".");
    container.configure(&json!([entry("/src/d", "/etc/d")]));
    let run = container.run(&["kolla_set_configs"]);
    assert_eq!(run.status, 2, "{}", run.said);
    assert!(!container.exists("/etc/d") && !container.exists("/etc/.d.kolla-new"));
}

#[test]
fn what_an_interrupted_run_left_is_in_nobodys_way() {
    let container = Container::new();
    container.write("/src/a", "a");
    container.write("/etc/.a.kolla-new/half", "");
    container.write("/.run_command.kolla-new", "half");
    container.configure(&json!([entry("/src/a", "/etc/a")]));
    container.apply();
    assert_eq!(container.read("/etc/a"), "a");
    assert!(!container.exists("/etc/.a.kolla-new"));
    assert!(!container.exists("/.run_command.kolla-new"));
}

#[test]
fn directories_are_made_with_those_above_and_files_are_not() {
    let container = Container::new();
    container.write("/var/full/log", "text");
    container.config(&json!({
        "command": "x",
        "directories": [{"path": "/var/new/dir", "owner": "me", "perm": "0640"}],
        "files": [
            {"path": "/var/new/dir/log", "owner": "me:me", "perm": "0600"},
            {"path": "/var/full/log", "owner": "me:", "perm": "0604"},
        ],
    }));
    container.apply();
    assert_eq!(container.mode("/var/new/dir"), 0o750);
    assert_eq!(container.mode("/var/new"), 0o755);
    assert_eq!(container.read("/var/new/dir/log"), "");
    assert_eq!(container.mode("/var/new/dir/log"), 0o600);
    assert_eq!(container.read("/var/full/log"), "text");
    assert_eq!(container.mode("/var/full/log"), 0o604);
}

#[test]
fn a_file_to_make_is_neither_link_nor_directory_and_has_a_parent() {
    let container = Container::new();
    container.write("/var/target", "");
    container.link("/var/link", "target");
    for (path, expected) in [
        (
            "/var/link",
            "/var/link: a symbolic link, expected a regular file",
        ),
        ("/var", "/var: a directory, expected a regular file"),
        (
            "/none/log",
            "cannot find /none/log: No such file or directory",
        ),
    ] {
        let files = json!([{"path": path, "owner": "me", "perm": "0600"}]);
        container.config(&json!({"command": "x", "files": files}));
        let run = container.run(&["kolla_set_configs"]);
        assert_eq!(run.status, 2);
        assert!(run.said.contains(expected), "{}", run.said);
    }
}

#[test]
fn permissions_go_down_and_leave_out_what_any_expression_excludes() {
    let container = Container::new();
    for path in ["/v/a", "/v/snapshot1", "/v/d/b", "/v/d/keep.me"] {
        container.write(path, "");
        container.chmod(path, 0o600);
    }
    container.config(&json!({
        "command": "x",
        "permissions": [
            {"path": "/v*", "owner": "me", "perm": "0644", "recurse": true,
             "exclude": ["/v/snapshot.*", "keep"]},
            {"path": "/none", "owner": "me"},
        ],
    }));
    container.apply();
    let modes = [
        "/v",
        "/v/d",
        "/v/a",
        "/v/d/b",
        "/v/snapshot1",
        "/v/d/keep.me",
    ];
    let modes = modes.map(|path| container.mode(path));
    assert_eq!(modes, [0o755, 0o755, 0o644, 0o644, 0o600, 0o600]);
}

#[test]
fn once_is_once() {
    let mut container = Container::new();
    container.set("KOLLA_CONFIG_STRATEGY", "COPY_ONCE");
    container.write("/src/a", "first");
    container.configure(&json!([entry("/src/a", "/etc/a")]));
    container.apply();
    container.write("/src/a", "second");
    assert_eq!(container.check().status, 1);
    let said = container.apply();
    assert!(said.contains("COPY_ONCE: left as it is"), "{said}");
    assert_eq!(container.read("/etc/a"), "first");
    container.set("KOLLA_CONFIG_STRATEGY", "COPY_ALWAYS");
    container.apply();
    assert_eq!(container.read("/etc/a"), "second");
}

#[test]
fn without_a_strategy_nothing_is_done_but_a_check() {
    let mut container = Container::new();
    container.configure(&json!([]));
    container.apply();
    for strategy in [None, Some("copy_always"), Some("")] {
        container.environment.clear();
        if let Some(strategy) = strategy {
            container.set("KOLLA_CONFIG_STRATEGY", strategy);
        }
        let run = container.run(&["kolla_set_configs"]);
        assert_eq!(run.status, 1);
        assert!(
            run.said.contains("expected COPY_ALWAYS or COPY_ONCE"),
            "{}",
            run.said
        );
        assert_eq!(container.check().status, 0);
    }
}

#[test]
fn a_check_names_every_difference_and_changes_nothing() {
    let container = Container::new();
    for name in ["a", "b", "c", "d", "e"] {
        container.write(&format!("/src/{name}"), "text");
    }
    let all = ["a", "b", "c", "d", "e"].map(|n| entry(&format!("/src/{n}"), &format!("/etc/{n}")));
    container.configure(&json!(all));
    assert_eq!(container.check().status, 1, "before it was applied");
    container.apply();
    assert_eq!(container.check().status, 0);

    container.write("/src/a", "TEXT");
    container.chmod("/etc/b", 0o644);
    fs::remove_file(container.path("/etc/c")).unwrap();
    let config = json!({"command": "run that", "config_files": all[..4]});
    container.config(&config);
    let before = container.snapshot();
    let run = container.check();
    assert_eq!(run.status, 1);
    assert_eq!(
        run.said,
        "kolla_set_configs: 5 not as the configuration says: the command is another; /etc/e is no \
         longer configured; /etc/a has other content; /etc/b has other permissions; /etc/c is not \
         there\n"
    );
    assert_eq!(container.snapshot(), before);

    container.apply();
    assert_eq!(container.check().status, 0);
    assert!(!container.exists("/etc/e"));
}

#[test]
fn what_is_no_longer_configured_is_as_the_image_has_it_again() {
    let container = Container::new();
    container.write("/src/a", "configured");
    container.write("/src/dir/x", "configured");
    container.write("/etc/file", "default");
    container.chmod("/etc/file", 0o604);
    container.write("/etc/dir/own", "default");
    container.link("/etc/dir/link", "own");
    container.link("/etc/link", "file");
    let before = container.snapshot();
    container.configure(&json!([
        entry("/src/a", "/etc/file"),
        entry("/src/a", "/etc/deep/er/new"),
        entry("/src/a", "/etc/link"),
        entry("/src/dir", "/etc/dir"),
    ]));
    // Upstream's third start takes the configuration for the default.
    for _ in 0..4 {
        container.apply();
        assert_eq!(container.read("/etc/file"), "configured");
    }
    assert!(!container.exists("/etc/dir/own"));
    container.configure(&json!([]));
    container.apply();
    let mut after = container.snapshot();
    after.retain(|path, _| {
        !path.starts_with("etc/kolla") && path != "run_command" && !path.ends_with("config.json")
    });
    assert_eq!(after, before);
    assert_eq!(container.read("/etc/kolla/defaults/state"), "{}");
    assert_eq!(container.mode("/etc/kolla/defaults"), 0o700);
    assert_eq!(
        fs::read_dir(container.path("/etc/kolla/defaults"))
            .unwrap()
            .count(),
        1
    );
}

#[test]
fn a_file_configured_later_below_a_configured_directory_has_the_images_default() {
    let container = Container::new();
    container.write("/src/dir/x", "directory's");
    container.write("/src/x", "file's");
    container.write("/etc/dir/x", "default");
    let dir = entry("/src/dir", "/etc/dir");
    container.configure(&json!([dir]));
    container.apply();
    container.configure(&json!([dir, entry("/src/x", "/etc/dir/x")]));
    container.apply();
    assert_eq!(container.read("/etc/dir/x"), "file's");
    container.configure(&json!([dir]));
    container.apply();
    assert_eq!(container.read("/etc/dir/x"), "directory's");
    container.configure(&json!([]));
    container.apply();
    assert_eq!(container.read("/etc/dir/x"), "default");
}

#[test]
fn merging_keeps_the_services_files_even_when_it_is_undone() {
    let container = Container::new();
    container.write("/src/new/file", "configured");
    container.write("/src/theme.css", "configured");
    container.write("/srv/theme.css", "default");
    container.configure(&json!([entry_with(
        "/src",
        "/srv",
        &json!({"merge": true})
    )]));
    container.apply();
    container.write("/srv/data", "the service's");
    container.configure(&json!([]));
    container.apply();
    assert_eq!(container.read("/srv/data"), "the service's");
    assert_eq!(container.read("/srv/theme.css"), "default");
    assert!(!container.exists("/srv/new/file"));
}

#[test]
fn the_state_is_upstreams_and_so_is_one_that_it_has_swapped() {
    let container = Container::new();
    container.write("/src/a", "configured");
    container.write("/etc/a", "default");
    container.configure(&json!([
        entry("/src/a", "/etc/a"),
        entry("/src/a", "/etc/b")
    ]));
    container.apply();
    let state: serde_json::Value =
        serde_json::from_str(&container.read("/etc/kolla/defaults/state")).unwrap();
    let expected = json!({
        "/etc/a": {"source": "/etc/a", "preserve_properties": true,
                   "dest": "/etc/kolla/defaults/etc/a"},
        "/etc/b": {"source": "/etc/b", "preserve_properties": true, "dest": null},
    });
    assert_eq!(state, expected);
    let swapped = json!({
        "/etc/a": {"source": "/etc/kolla/defaults/etc/a", "preserve_properties": true,
                   "dest": "/etc/a"},
        "/etc/b": {"source": "/etc/b", "preserve_properties": true, "dest": null},
    });
    container.write("/etc/kolla/defaults/state", &swapped.to_string());
    container.configure(&json!([]));
    container.apply();
    assert_eq!(container.read("/etc/a"), "default");
    assert!(!container.exists("/etc/b"));
}

#[test]
fn a_state_that_is_broken_stops_everything() {
    let container = Container::new();
    container.write("/src/a", "a");
    container.configure(&json!([entry("/src/a", "/etc/a")]));
    for text in [
        "{",
        "[]",
        r#"{"relative": {"source": "x", "preserve_properties": true}}"#,
    ] {
        container.write("/etc/kolla/defaults/state", text);
        let before = container.snapshot();
        let run = container.run(&["kolla_set_configs"]);
        assert_eq!(run.status, 2, "{}", run.said);
        assert_eq!(container.snapshot(), before);
    }
}

#[test]
fn variables_give_a_configuration_but_never_through_sudo() {
    let mut container = Container::new();
    container.configure(&json!([]));
    container.write("/tmp/evil.json", r#"{"command": "from a file"}"#);
    container.set("KOLLA_CONFIG_FILE", "/tmp/evil.json");
    container.apply();
    assert_eq!(container.read("/run_command"), "from a file");
    container.set("KOLLA_CONFIG", r#"{"command": "from a variable"}"#);
    container.apply();
    assert_eq!(container.read("/run_command"), "from a variable");
    container.set("SUDO_UID", "42436");
    container.apply();
    assert_eq!(container.read("/run_command"), "run it");
}

#[test]
fn yaml_and_nothing_at_all_are_said_to_be_so() {
    let container = Container::new();
    let run = container.run(&["kolla_set_configs"]);
    assert_eq!(run.status, 1);
    assert!(
        run.said.contains("config.json: is not there"),
        "{}",
        run.said
    );
    container.write("/var/lib/kolla/config_files/config.yaml", "command: x\n");
    let run = container.run(&["kolla_set_configs"]);
    assert_eq!(run.status, 1);
    assert!(
        run.said.contains("config.yaml: YAML is not read"),
        "{}",
        run.said
    );
    let run = container.run(&["kolla_set_configs", "--chek"]);
    assert_eq!(run.status, 1);
}

/// Every beginning of a configuration, and every configuration with one thing of another type: an
/// error of one line, status 1, nothing changed, and nothing of the password in it.
#[test]
fn malformed_configurations_change_nothing_and_show_nothing() {
    let container = Container::new();
    container.write("/src/a", "hunter2");
    let good = json!({
        "command": "run --password=hunter2",
        "config_files": [entry_with("/src/a", "/etc/a", &json!({"optional": true}))],
        "directories": [{"path": "/d", "owner": "me", "perm": "0755"}],
        "files": [{"path": "/f", "owner": "me", "perm": "0755"}],
        "permissions": [{"path": "/d", "owner": "me", "perm": "0755", "recurse": true,
                         "exclude": ["hunter2"]}],
    });
    let mut texts: Vec<String> = Vec::new();
    let text = good.to_string();
    texts.extend((0..text.len()).map(|end| text[..end].to_owned()));
    for pointer in pointers(&good) {
        for wrong in [
            json!(2),
            json!(["hunter2", {"hunter2": []}]),
            json!({"x": "hunter2"}),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(&pointer).unwrap() = wrong;
            texts.push(bad.to_string());
        }
    }
    for text in texts {
        container.write("/var/lib/kolla/config_files/config.json", &text);
        let before = container.snapshot();
        for arguments in [
            &["kolla_set_configs"][..],
            &["kolla_set_configs", "--check"],
        ] {
            let run = container.run(arguments);
            assert_eq!(run.status, 1, "{text}: {}", run.said);
            assert!(!run.said.contains("hunter2"), "{}", run.said);
            assert!(run.said.starts_with("kolla_set_configs: "), "{}", run.said);
        }
        assert_eq!(container.snapshot(), before, "{text}");
    }
}

/// Every place in a value but the array's elements that may be of several types.
fn pointers(value: &serde_json::Value) -> Vec<String> {
    let mut all = vec![String::new()];
    let children: Vec<(String, &serde_json::Value)> = match value {
        serde_json::Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), v)).collect(),
        serde_json::Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(i, v)| (i.to_string(), v))
            .collect(),
        _ => Vec::new(),
    };
    for (name, child) in children {
        all.extend(pointers(child).iter().map(|rest| format!("/{name}{rest}")));
    }
    all
}

#[test]
fn secrets_of_files_are_in_no_output() {
    let mut container = Container::new();
    container.write("/src/a", "hunter2");
    container.set("KOLLA_SECRET", "hunter2");
    container.config(&json!({
        "command": "run --password=hunter2",
        "config_files": [entry("/src/a", "/etc/a")],
    }));
    let mut said = container.apply();
    container.write("/src/a", "hunter2 hunter2");
    container.config(&json!({
        "command": "run --password=hunter2 -v",
        "config_files": [entry("/src/a", "/etc/a")],
    }));
    said += &container.check().said;
    assert!(
        said.contains("/etc/a") && !said.contains("hunter2"),
        "{said}"
    );
}

#[test]
fn a_destination_that_is_a_link_is_replaced_and_not_followed() {
    let container = Container::new();
    container.write("/src/a", "configured");
    container.write("/src/dir/x", "configured");
    container.write("/etc/shadow", "secret");
    container.write("/etc/secrets/x", "secret");
    container.link("/srv/file", "/etc/shadow");
    container.link("/srv/dir", "/etc/secrets");
    container.configure(&json!([
        entry("/src/a", "/srv/file"),
        entry("/src/dir", "/srv/dir")
    ]));
    container.apply();
    assert_eq!(container.read("/etc/shadow"), "secret");
    assert_eq!(container.read("/etc/secrets/x"), "secret");
    assert_eq!(container.read("/srv/file"), "configured");
    assert_eq!(container.read("/srv/dir/x"), "configured");
}

#[test]
fn permissions_do_not_go_through_a_link() {
    let container = Container::new();
    container.write("/etc/shadow", "secret");
    container.chmod("/etc/shadow", 0o600);
    container.write("/outside/x", "");
    container.chmod("/outside/x", 0o600);
    container.link("/var/log/kolla/nova/x", "/etc/shadow");
    container.link("/var/log/kolla/nova/dir", "/outside");
    container.config(&json!({"command": "x", "permissions": [
        {"path": "/var/log/kolla/nova", "owner": "me", "perm": "0666", "recurse": true}]}));
    container.apply();
    assert_eq!(container.mode("/etc/shadow"), 0o600);
    assert_eq!(container.mode("/outside/x"), 0o600);
}

#[test]
fn links_of_others_are_not_followed_by_the_superuser() {
    if !common::superuser() {
        return;
    }
    let container = Container::new();
    container.write("/src/a", "configured");
    container.write("/etc/cron.d/x", "");
    container.write("/etc/shadow", "secret");
    container.chmod("/etc/shadow", 0o600);
    container.link("/home/nova/way", "/etc/cron.d");
    container.link("/home/nova/x", "/etc/shadow");
    for link in ["/home/nova/way", "/home/nova/x"] {
        std::os::unix::fs::lchown(container.path(link), Some(42436), Some(42436)).unwrap();
    }
    for config in [
        json!({"command": "x", "config_files": [entry("/src/a", "/home/nova/way/evil")]}),
        json!({"command": "x", "config_files": [entry("/home/nova/x", "/etc/a")]}),
        json!({"command": "x", "config_files": [
            entry_with("/src", "/home/nova/way", &json!({"merge": true}))]}),
        json!({"command": "x", "directories": [
            {"path": "/home/nova/way/evil", "owner": "me", "perm": "0777"}]}),
    ] {
        container.config(&config);
        let before = fs::read_dir(container.path("/etc/cron.d")).unwrap().count();
        let run = container.run(&["kolla_set_configs"]);
        assert_eq!(run.status, 2, "{config}: {}", run.said);
        assert!(run.said.contains("not followed"), "{}", run.said);
        assert_eq!(
            fs::read_dir(container.path("/etc/cron.d")).unwrap().count(),
            before
        );
        assert_eq!(container.mode("/etc/shadow"), 0o600);
    }
}

#[test]
fn a_link_that_a_service_has_laid_does_not_keep_others_from_starting() {
    if !common::superuser() {
        return;
    }
    let container = Container::new();
    container.write("/var/log/kolla/nova/own", "");
    container.chmod("/var/log/kolla/nova/own", 0o600);
    container.write("/etc/cron.d/x", "");
    container.chmod("/etc/cron.d/x", 0o600);
    container.link("/var/log/kolla/evil", "/etc/cron.d");
    let link = container.path("/var/log/kolla/evil");
    std::os::unix::fs::lchown(link, Some(42436), Some(42436)).unwrap();
    container.config(&json!({"command": "x", "permissions": [
        {"path": "/var/log/kolla/evil/x", "owner": "me", "perm": "0666"},
        {"path": "/var/log/kolla/*/x", "owner": "me", "perm": "0666"},
        {"path": "/var/log/kolla/nova/*", "owner": "me", "perm": "0644"}]}));
    let said = container.apply();
    assert_eq!(said.matches("not followed").count(), 2, "{said}");
    assert_eq!(container.mode("/etc/cron.d/x"), 0o600);
    assert_eq!(container.mode("/var/log/kolla/nova/own"), 0o644);
}

#[test]
fn links_of_the_configurations_owner_are_followed_unless_it_is_the_service() {
    if !common::superuser() {
        return;
    }
    let mut container = Container::new();
    container.write("/src/real", "text");
    container.link("/src/link", "real");
    container.configure(&json!([entry("/src/link", "/etc/a")]));
    std::os::unix::fs::lchown(container.path("/src/link"), Some(1000), None).unwrap();
    assert_eq!(container.run(&["kolla_set_configs"]).status, 2);
    let config = container.path("/var/lib/kolla/config_files/config.json");
    std::os::unix::fs::chown(config, Some(1000), None).unwrap();
    container.apply();
    container.set("SUDO_UID", "1000");
    assert_eq!(container.run(&["kolla_set_configs"]).status, 2);
}

#[test]
fn a_second_name_of_a_superusers_file_is_left_alone() {
    if !common::superuser() {
        return;
    }
    let container = Container::new();
    container.write("/etc/shadow", "secret");
    container.chmod("/etc/shadow", 0o600);
    container.write("/home/nova/own", "");
    fs::hard_link(
        container.path("/etc/shadow"),
        container.path("/home/nova/x"),
    )
    .unwrap();
    for path in ["/home/nova", "/home/nova/own"] {
        std::os::unix::fs::chown(container.path(path), Some(42436), Some(42436)).unwrap();
    }
    container.write("/etc/passwd", "nova:x:42436:42436::/:\n");
    container.write("/etc/group", "nova:x:42436:\n");
    container.config(&json!({"command": "x", "permissions": [
        {"path": "/home/nova", "owner": "nova", "perm": "0660", "recurse": true},
        {"path": "/home/nova/x", "owner": "nova", "perm": "0660"}]}));
    let said = container.apply();
    assert!(said.contains("/home/nova/x is another name for a file of the superuser"));
    let shadow = fs::metadata(container.path("/etc/shadow")).unwrap();
    assert_eq!((shadow.uid(), shadow.mode() & 0o777), (0, 0o600));
    assert_eq!(container.mode("/home/nova/own"), 0o660);
    container.config(&json!({"command": "x", "files": [
        {"path": "/home/nova/x", "owner": "nova", "perm": "0660"}]}));
    assert_eq!(container.run(&["kolla_set_configs"]).status, 2);
    assert_eq!(container.mode("/etc/shadow"), 0o600);
}

#[test]
fn owners_are_given_and_preserved() {
    if !common::superuser() {
        return;
    }
    let container = Container::new();
    container.write("/etc/passwd", "nova:x:42436:42436::/:\n");
    container.write("/etc/group", "nova:x:42436:\nkolla:x:42400:\n");
    container.write("/src/a", "a");
    std::os::unix::fs::chown(container.path("/src/a"), Some(7), Some(8)).unwrap();
    container.chmod("/src/a", 0o4755);
    container.configure(&json!([
        {"source": "/src/a", "dest": "/etc/given", "owner": "nova:kolla", "perm": "0600"},
        {"source": "/src/a", "dest": "/etc/preserved", "preserve_properties": true},
    ]));
    container.apply();
    let owner = |path: &str| {
        let meta = fs::metadata(container.path(path)).unwrap();
        (meta.uid(), meta.gid())
    };
    assert_eq!(owner("/etc/given"), (42436, 42400));
    assert_eq!(owner("/etc/preserved"), (7, 8));
    assert_eq!(container.mode("/etc/preserved"), 0o4755);
    std::os::unix::fs::chown(container.path("/etc/given"), Some(7), Some(42400)).unwrap();
    let run = container.check();
    assert!(run.status == 1 && run.said.contains("/etc/given has another owner"));
}

/// The configuration of the page that users read, with all of its sources and with the least.
#[test]
fn the_example_of_the_documentation_does_what_the_page_says() {
    let page = include_str!("../../docs/container-contract.md");
    let example = page
        .split("```json\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    for all in [false, true] {
        let container = Container::new();
        let ids: String = container
            .read("/etc/group")
            .trim_start_matches("me")
            .to_owned();
        let users = container.read("/etc/passwd").replace("me:", "nova:");
        container.write("/etc/passwd", &users);
        container.write("/etc/group", &format!("nova{ids}kolla{ids}"));
        container.write(&format!("{FILES}/nova.conf"), "text");
        container.write("/var/log/kolla/other.log", "");
        container.write("/var/lib/nova/instances/snapshot1", "");
        container.chmod("/var/lib/nova/instances/snapshot1", 0o600);
        if all {
            container.write(&format!("{FILES}/policy.yaml"), "text");
            container.write(&format!("{FILES}/vendor/data.json"), "text");
        }
        container.write(&format!("{FILES}/config.json"), example);
        container.apply();
        assert_eq!(container.mode("/etc/nova/nova.conf"), 0o600);
        assert_eq!(container.mode("/var/log/kolla/nova-compute.log"), 0o640);
        assert_eq!(container.exists("/etc/nova/policy.yaml"), all);
        assert_eq!(container.exists("/usr/share/nova/vendor/data.json"), all);
        assert_eq!(container.check().status, 0);
    }
}
