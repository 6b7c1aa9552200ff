//! The cargo of this machine.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::Environment;
use crate::cargo::Toolchain;

/// The cargo that PATH finds, and the rustc beside it or else in PATH; none on a machine without them.
pub(super) fn of_machine(environment: &Environment, cache: &Path) -> Option<Toolchain> {
    let here = &environment.working_directory;
    let path = environment.get("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).map(|f| here.join(f)).collect();
    let find = |name: &str| folders.iter().map(|f| f.join(name)).find(|f| runs(f));
    let cargo = find("cargo")?;
    let beside = cargo.with_file_name("rustc");
    let rustc = Some(beside).filter(|f| runs(f)).or_else(|| find("rustc"))?;
    let named = environment.get("CARGO_HOME").map(|home| here.join(home));
    let home = named
        .or_else(|| Some(here.join(environment.home()?).join(".cargo")))
        .unwrap_or_else(|| here.join(cache).join("cargo"));
    Some(Toolchain::new(cargo, rustc, home, &environment.variables))
}

fn runs(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_programs_are_needed() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let mut environment = Environment {
            working_directory: folder.path().to_path_buf(),
            ..Environment::default()
        };
        let mut found = |path: &str| {
            let variables = [("PATH".to_owned(), path.to_owned())];
            environment.variables = variables.into();
            of_machine(&environment, Path::new("cache")).is_some()
        };
        let put = |name: &str, mode: u32| {
            std::fs::write(folder.path().join(name), "")?;
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(folder.path().join(name), mode)
        };
        assert!(!found("."));
        put("cargo", 0o755)?;
        put("rustc", 0o644)?;
        assert!(!found("."));
        put("rustc", 0o755)?;
        assert!(found("."));
        assert!(found("/nowhere:."));
        assert!(!found(""));
        Ok(())
    }
}
