//! How a program is compiled, so that it needs nothing of the image and holds nothing of the machine.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The profile, whatever the manifest says. Whether overflow is checked is left to the manifest.
pub(super) const PROFILE: [(&str, &str); 10] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_STRIP", "symbols"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
    ("CARGO_PROFILE_RELEASE_SPLIT_DEBUGINFO", "off"),
    ("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "false"),
    ("CARGO_PROFILE_RELEASE_INCREMENTAL", "false"),
    ("CARGO_PROFILE_RELEASE_RPATH", "false"),
];

/// Paths of the machine and what stands for them in a program; of several that fit, the last counts.
pub(super) type Remapped<'a> = Vec<(&'a Path, &'static str)>;

/// The value of `CARGO_ENCODED_RUSTFLAGS`.
pub(super) fn encoded(remapped: &Remapped<'_>) -> OsString {
    let mut flags = OsString::from("-Ctarget-feature=+crt-static");
    for (path, name) in remapped {
        flags.push("\x1f--remap-path-prefix=");
        flags.push(path);
        flags.push("=");
        flags.push(name);
    }
    flags
}

/// The first of the paths that a program holds nevertheless. One of a single part, such as `/src`, may
/// stand in a program for other reasons and is not looked for.
pub(super) fn held<'a>(program: &[u8], remapped: &Remapped<'a>) -> Option<&'a Path> {
    let paths = remapped.iter().map(|(path, _)| *path);
    let mut telling = paths.filter(|path| path.components().count() > 2);
    telling.find(|path| {
        let path = path.as_os_str().as_bytes();
        program.windows(path.len()).any(|window| window == path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_keep_paths_with_spaces_together() {
        let remapped = vec![
            (Path::new("/a b"), "/source"),
            (Path::new("/c/d"), "/cargo"),
        ];
        assert_eq!(
            encoded(&remapped),
            "-Ctarget-feature=+crt-static\x1f--remap-path-prefix=/a b=/source\
             \x1f--remap-path-prefix=/c/d=/cargo"
        );
        assert_eq!(held(b"x/c/d/e", &remapped), Some(Path::new("/c/d")));
        assert_eq!(held(b"x/a b/e", &remapped), None);
    }
}
