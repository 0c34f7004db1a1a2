//! Names that are safe on disk and in an archive, from names that others chose.

use sha2::{Digest, Sha256};

/// The longest path that is made, in bytes: others come before and after it, and systems stop at some point.
const LONGEST: usize = 180;

/// A relative path with `/`: no `..`, no absolute form, no empty part, nothing but letters, digits and a few marks. What had
/// to be changed ends in `~` and a digest of the whole name, so that two names never become one.
#[must_use]
pub fn path(name: &str) -> String {
    let mut path = name.split('/').map(part).collect::<Vec<_>>().join("/");
    if path == name && path.len() <= LONGEST {
        return path;
    }
    let digest: String = Sha256::digest(name).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let end = (0..=LONGEST.min(path.len())).rev().find(|&at| path.is_char_boundary(at)).unwrap_or(0);
    path.truncate(end);
    format!("{}~{digest}", path.trim_end_matches('/'))
}

/// One part of a path, made as [`path`] is.
#[must_use]
pub fn segment(name: &str) -> String {
    let flat = part(name);
    if flat == name { path(name) } else { path(&format!("{flat}/{name}")).replace('/', "_") }
}

fn part(name: &str) -> String {
    let safe = |c: char| c.is_alphanumeric() || "._-+=@,()~".contains(c);
    let mut part: String = name.chars().map(|c| if safe(c) { c } else { '_' }).collect();
    // `.` and `..` lead elsewhere, and some systems drop dots at the end.
    if part.ends_with('.') {
        part = format!("{}_", part.trim_end_matches('.'));
    }
    if part.is_empty() {
        part.push('_');
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_names_stay_as_they_are() {
        for name in ["v1.34.0", "examples/pytorch/mnist/v1/job.yaml", ".github/x.yaml", "a+b=c@d"] {
            assert_eq!(path(name), name);
        }
    }

    #[test]
    fn what_leads_elsewhere_is_made_harmless_and_stays_distinct() {
        assert!(path("../other/x.yaml").starts_with("_/other/x.yaml~"));
        assert!(path("/etc/passwd").starts_with("_/etc/passwd~"));
        assert!(path(r"..\..\x").starts_with(".._.._x~"));
        assert!(path("C:/x").starts_with("C_/x~"));
        assert_ne!(path("../x"), path("_/x"));
        assert_ne!(path("a b"), path("a\tb"));
        assert!(!segment("kindest/node:v1@sha256:0").contains('/'));
        assert_ne!(segment("a/b"), segment("a:b"));
    }

    proptest! {
        #[test]
        fn no_name_leads_out(name in r"[./\\~a-c: \x00]{0,30}|\PC{0,300}") {
            for path in [path(&name), segment(&name)] {
                prop_assert!(!path.is_empty() && path.len() <= LONGEST + 9);
                for part in path.split('/') {
                    prop_assert!(!part.is_empty() && part != "." && part != ".." && !part.contains(['\\', ':', '\0']));
                }
            }
        }
    }
}
