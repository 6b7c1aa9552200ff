//! The worked example of the documentation, carried out as it stands there.

use std::fs;
use std::process::Command;

use kolla_tests::document::{Action, actions};
use kolla_tests::{Docker, Fleet, Kolla, repository};

#[test]
fn the_example_of_adding_a_service_works() {
    let Some(docker) = Docker::own() else { return };
    let text = fs::read_to_string(repository().join("docs/adding-a-service.md")).unwrap();
    let actions = actions(&text);
    let files = actions
        .iter()
        .filter(|action| matches!(action, Action::Write { .. }))
        .count();
    assert!(
        files > 0 && actions.len() > files,
        "the document has no files or no commands"
    );
    let fleet = Fleet::real();
    let kolla = Kolla::new(&fleet, &docker);
    // `kolla` in a command is the program under test.
    let program = kolla_tests::kolla::program();
    let bin = kolla.home().join("bin");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(&program, bin.join("kolla")).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let cache = kolla_tests::shared_cache();
    for action in actions {
        match action {
            Action::Write { path, text } => match path.strip_prefix("~/") {
                Some(path) => {
                    let path = kolla.home().join(path);
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, text).unwrap();
                }
                None => fleet.write(&path, &text),
            },
            Action::Run { command, shown } => {
                let output = Command::new("sh")
                    .args(["-euc", &command])
                    .current_dir(fleet.root())
                    .env_clear()
                    .env("HOME", kolla.home())
                    .env("PATH", &path)
                    .envs(kolla_tests::kolla::rust_homes())
                    .env("LC_ALL", "C.UTF-8")
                    .env("DOCKER_HOST", &docker.host)
                    .env("KOLLA_CACHE_DIR", &cache)
                    .output()
                    .unwrap();
                let said = String::from_utf8(output.stdout).unwrap()
                    + &String::from_utf8(output.stderr).unwrap();
                assert!(output.status.success(), "$ {command}\n{said}");
                // Where an engine is at work, times and tags differ from one run to the next.
                if !command.contains("# engine") {
                    for line in shown {
                        assert!(said.contains(&line), "$ {command}\nno {line:?} in\n{said}");
                    }
                }
            }
        }
    }
    // The last steps gave the image a name of the reader's own.
    let own = docker.tagged("alice");
    assert!(
        own.iter().any(|name| name.starts_with("alice/dnsmasq:")),
        "{own:?}"
    );
}
