//! Paths relative to the root, as text with `/`: the one form in which changed files and dependencies are compared.

use std::path::Path;

/// The path without `.`, empty segments and those `..` that can be undone: `./a/../b/` is `b`, `../a` stays, the root
/// itself is the empty string.
#[must_use]
pub fn normal(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." if segments.last().is_some_and(|last| *last != "..") => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    let joined = segments.join("/");
    if path.starts_with('/') { format!("/{joined}") } else { joined }
}

/// `path` as seen from `folder`, both relative to the root; an absolute `path` stays what it is.
#[must_use]
pub fn join(folder: &str, path: &str) -> String {
    if folder.is_empty() || path.starts_with('/') { normal(path) } else { normal(&format!("{folder}/{path}")) }
}

/// A path of the config, relative to the root: an absolute one below the root loses the root, others stay absolute.
#[must_use]
pub fn below_root(root: &Path, path: &Path) -> String {
    let relative = if path.is_absolute() { path.strip_prefix(root).unwrap_or(path) } else { path };
    normal(&relative.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_what_says_nothing() {
        for (path, expected) in [
            ("./a/b/", "a/b"),
            ("a/../b", "b"),
            ("../../a", "../../a"),
            ("a/../../b", "../b"),
            (".", ""),
            ("a//b", "a/b"),
            ("/x/../y", "/y"),
        ] {
            assert_eq!(normal(path), expected, "{path}");
        }
    }

    #[test]
    fn a_reference_is_seen_from_its_folder() {
        assert_eq!(join("examples/overlay", "../base"), "examples/base");
        assert_eq!(join("", "base"), "base");
        assert_eq!(join("a", "/etc/x"), "/etc/x");
    }

    #[test]
    fn absolute_paths_below_the_root_become_relative() {
        let root = Path::new("/repo");
        assert_eq!(below_root(root, Path::new("/repo/a/b")), "a/b");
        assert_eq!(below_root(root, Path::new("/elsewhere")), "/elsewhere");
        assert_eq!(below_root(root, Path::new("./a")), "a");
    }
}
