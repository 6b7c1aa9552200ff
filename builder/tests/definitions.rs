//! What a person gets to read who makes a mistake in a definition, a template or a name.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what went wrong by failing

mod fleet;

use fleet::Fleet;

fn told(change: impl FnOnce(&mut Fleet)) -> String {
    let mut fleet = Fleet::sample();
    assert_eq!(fleet.problems(), "nothing");
    change(&mut fleet);
    fleet.problems()
}

/// A crate that is right, in `start`.
fn write_crate(f: &mut Fleet) {
    let package = "name = \"start\"\nversion = \"0.1.0\"\n";
    f.write("start/Cargo.toml", &format!("[package]\n{package}"));
    f.write(
        "start/Cargo.lock",
        &format!("version = 4\n\n[[package]]\n{package}"),
    );
    f.write("start/src/main.rs", "fn main() {}\n");
}

/// An image whose source is a crate, by this table.
fn name_crate(f: &mut Fleet, table: &str) {
    let sources = format!("[images.web-admin]\nsources = [{{ to = \"x\", crate = {table} }}]");
    f.replace("services/web/service.toml", "[images.web-admin]", &sources);
}

macro_rules! tells {
    ($($name:ident: $change:expr;)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(told($change));
        }
    )*};
}

tells! {
    an_unknown_key: |f| {
        f.replace("services/web/service.toml", "packages", "pakages");
    };
    a_missing_description: |f| {
        f.write("services/base/service.toml", "[images.base]\ndescription = \"x\"\n");
    };
    several_problems_at_once: |f| {
        f.replace("services/web/service.toml", "\"curl\"", "\"cu rl\"");
        f.replace("services/web/service.toml", "name = \"web\"", "name = \"W\"");
        f.write("services/base/service.toml", "nonsense");
    };
    an_image_without_a_table: |f| {
        f.replace("services/web/service.toml", "[images.web-admin]\ndescription = \"The console\"\n", "");
    };
    a_table_without_an_image: |f| {
        f.replace("services/web/service.toml", "[images.web]", "[images.wbe]");
    };
    a_service_without_a_definition: |f| {
        f.remove("services/web/service.toml");
    };
    an_image_name_that_is_none: |f| {
        f.replace("services/web/service.toml", "[images.web]", "[images.Web]");
        f.write("services/web/Web/Dockerfile", "FROM base\n");
    };
    an_image_defined_twice: |f| {
        f.write("services/other/service.toml", "description = \"x\"\n[images.web]\ndescription = \"x\"\n");
        f.write("services/other/web/Dockerfile", "FROM base\n");
    };
    a_template_that_does_not_parse: |f| {
        f.write("services/web/web-admin/Dockerfile.tera", "FROM {{ image(name=\"web\" }}\n");
    };
    an_unknown_variable: |f| {
        f.replace("templates/layout.tera", "user.uid", "user.ui");
    };
    an_unknown_filter: |f| {
        f.replace("templates/layout.tera", "join(", "jion(");
    };
    an_unknown_variable_before_a_filter: |f| {
        f.replace("templates/layout.tera", "packages |", "packges |");
    };
    an_unknown_function: |f| {
        f.replace("templates/layout.tera", "image(", "imag(");
    };
    a_layout_that_is_not_there: |f| {
        f.replace("services/web/web/Dockerfile.tera", "layout.tera", "layuot.tera");
    };
    a_template_that_extends_another_image: |f| {
        f.write("services/web/web-admin/Dockerfile.tera", "{% extends \"web\" %}\n");
    };
    a_parent_that_is_not_there: |f| {
        f.replace("services/web/web-admin/Dockerfile.tera", "name=\"web\"", "name=\"wbe\"");
    };
    a_plain_parent_that_is_not_there: |f| {
        f.write("services/web/web-admin/Dockerfile.tera", "FROM weeb\n");
    };
    a_parent_in_the_release_namespace_that_is_not_there: |f| {
        f.write("services/web/web-admin/Dockerfile.tera", "FROM kollaglue/wbe:1\n");
    };
    a_reference_that_is_none: |f| {
        f.write("services/base/base/Dockerfile", "FROM Debian:13\n");
    };
    an_instruction_that_is_none: |f| {
        f.write("services/base/base/Dockerfile", "FROM debian:13\nRUM true\n");
    };
    a_circle: |f| {
        f.write("services/base/base/Dockerfile", "FROM debian:13\nCOPY --from=web-admin /x /x\n");
    };
    an_image_made_from_itself: |f| {
        f.write("services/base/base/Dockerfile", "FROM base\n");
    };
    a_copy_of_what_is_not_there: |f| {
        f.replace("services/web/web/Dockerfile.tera", "index.html", "indx.html");
    };
    a_copy_of_what_is_ignored: |f| {
        f.write("services/web/web/.dockerignore", "*.html\n");
    };
    a_link_out_of_the_context: |f| {
        std::os::unix::fs::symlink("../../../secret", f.path().join("services/web/web/link")).unwrap();
    };
    a_pipe_in_the_context: |f| {
        let path = f.path().join("services/web/web/pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
    };
    an_undeclared_argument: |f| {
        f.replace("services/web/service.toml", "[images.web-admin]", "[images.web-admin]\nargs = { COLOR = \"red\" }");
    };
    a_url_without_a_digest: |f| {
        f.replace("services/web/service.toml", "[images.web-admin]", "[images.web-admin]\nsources = [{ to = \"x\", url = \"https://example.org/x\" }]");
    };
    a_password_in_a_url: |f| {
        f.replace("services/web/service.toml", "[images.web-admin]", "[images.web-admin]\nsources = [{ to = \"x\", url = \"https://me:secret@example.org/x\", sha256 = \"0\" }]");
    };
    a_branch_where_a_commit_belongs: |f| {
        f.replace("services/web/service.toml", "[images.web-admin]", "[images.web-admin]\nsources = [{ to = \"x.tar\", git = \"https://example.org/x\", commit = \"main\" }]");
    };
    a_source_that_leaves_the_context: |f| {
        f.replace("services/web/service.toml", "[images.web-admin]", "[images.web-admin]\nsources = [{ to = \"../x\", local = \"service.toml\" }]");
    };
    a_local_source_outside: |f| {
        f.replace("services/web/service.toml", "[images.web-admin]", "[images.web-admin]\nsources = [{ to = \"x\", local = \"../base/service.toml\" }]");
    };
    two_origins_of_one_source: |f| {
        write_crate(f);
        f.replace("services/web/service.toml", "[images.web-admin]", "[images.web-admin]\nsources = [{ to = \"x\", local = \"service.toml\", crate = { path = \"start\" } }]");
    };
    a_crate_outside: |f| {
        write_crate(f);
        name_crate(f, "{ path = \"../start\" }");
    };
    a_crate_by_an_absolute_path: |f| {
        write_crate(f);
        name_crate(f, "{ path = \"/etc\" }");
    };
    a_crate_that_is_not_there: |f| {
        write_crate(f);
        name_crate(f, "{ path = \"strat\" }");
    };
    a_crate_over_a_link_that_leads_out: |f| {
        std::os::unix::fs::symlink("/usr", f.path().join("link")).unwrap();
        name_crate(f, "{ path = \"link\" }");
    };
    a_crate_without_a_manifest: |f| {
        write_crate(f);
        name_crate(f, "{ path = \"services\" }");
    };
    a_crate_that_is_only_a_workspace: |f| {
        write_crate(f);
        f.write("start/Cargo.toml", "[workspace]\nmembers = []\n");
        name_crate(f, "{ path = \"start\" }");
    };
    a_crate_with_a_broken_manifest: |f| {
        write_crate(f);
        f.write("start/Cargo.toml", "[package]\nname = \n");
        name_crate(f, "{ path = \"start\" }");
    };
    a_crate_without_a_lock: |f| {
        write_crate(f);
        f.remove("start/Cargo.lock");
        name_crate(f, "{ path = \"start\" }");
    };
    a_crate_that_its_lock_does_not_know: |f| {
        write_crate(f);
        f.write("start/Cargo.lock", "version = 4\n");
        name_crate(f, "{ path = \"start\" }");
    };
    a_crate_with_a_dependency_by_path: |f| {
        write_crate(f);
        f.write("start/Cargo.lock", "version = 4\n\n[[package]]\nname = \"helper\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"start\"\nversion = \"0.1.0\"\ndependencies = [\"helper\"]\n");
        name_crate(f, "{ path = \"start\" }");
    };
    a_crate_with_a_link_that_leads_out: |f| {
        write_crate(f);
        std::os::unix::fs::symlink("../../secret.rs", f.path().join("start/src/secret.rs")).unwrap();
        name_crate(f, "{ path = \"start\" }");
    };
    a_manifest_over_a_link_that_leads_out: |f| {
        write_crate(f);
        f.remove("start/Cargo.toml");
        std::os::unix::fs::symlink("/etc/os-release", f.path().join("start/Cargo.toml")).unwrap();
        name_crate(f, "{ path = \"start\" }");
    };
    a_program_that_the_crate_does_not_have: |f| {
        write_crate(f);
        name_crate(f, "{ path = \"start\", bin = \"strat\" }");
    };
    an_unknown_key_of_a_crate: |f| {
        write_crate(f);
        name_crate(f, "{ path = \"start\", bim = \"x\" }");
    };
    an_override_of_no_image: |f| {
        f.overrides.push(("my.tera", "{% extends \"wbe\" %}\n{% block user %}{% endblock user %}\n".into()));
    };
    an_override_of_no_block: |f| {
        f.overrides.push(("my.tera", "{% extends \"web\" %}\n{% block usr %}{% endblock usr %}\n".into()));
    };
    an_override_without_an_image: |f| {
        f.overrides.push(("my.tera", "{% block user %}{% endblock user %}\n".into()));
    };
    an_override_of_a_plain_dockerfile: |f| {
        f.overrides.push(("my.tera", "{% extends \"base\" %}\n".into()));
    };
    an_override_that_fails_to_render: |f| {
        f.overrides.push(("my.tera", "{% extends \"web\" %}\n\n{% block user %}USER {{ nobody }}{% endblock user %}\n".into()));
    };
    an_overlay_of_nothing: |f| {
        f.write("over/services/web/web/indx.html", "x");
        f.overlays.push(f.path().join("over"));
    };
    an_overlay_that_is_not_there: |f| {
        f.overlays.push(f.path().join("ovre"));
    };
    no_fleet_at_all: |f| {
        *f = Fleet::with(&[("README", "nothing here")]);
    };
}
