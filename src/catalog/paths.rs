//! Paths as ids, and globs over ids. Lexical alone: what a symlink points to does not change a name.

use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::diagnostic::Diagnostic;

/// Characters that make a path a glob.
const META: [char; 4] = ['*', '?', '[', '{'];

/// The folder that ids are relative to.
#[derive(Clone, Debug)]
pub struct Root {
    absolute: PathBuf,
}

impl Root {
    /// The root at `path`, which may be relative to the current directory.
    ///
    /// # Errors
    /// The current directory cannot be told.
    pub fn new(path: &Path) -> std::io::Result<Self> {
        Ok(Self { absolute: clean(&std::path::absolute(path)?) })
    }

    /// Where the file of an id is.
    #[must_use]
    pub fn join(&self, id: &str) -> PathBuf {
        clean(&self.absolute.join(id))
    }

    /// The id of a path: relative to the root with `/`, `../` where it lies outside, `.` for the root itself.
    #[must_use]
    pub fn id(&self, path: &Path) -> String {
        let path = clean(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        let shared = self.absolute.components().zip(path.components()).take_while(|(own, other)| own == other).count();
        let up = self.absolute.components().skip(shared).map(|_| "..".into());
        let down = path.components().skip(shared).map(|part| part.as_os_str().to_string_lossy());
        let parts: Vec<std::borrow::Cow<'_, str>> = up.chain(down).collect();
        if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
    }

    /// An id as a user writes it, made like those of the catalog: no `./`, no trailing `/`.
    #[must_use]
    pub fn normalize(&self, id: &str) -> String {
        self.id(&self.absolute.join(id))
    }

    /// A glob made relative to the root: its part before the first wildcard is cleaned as a path, the rest stays.
    fn normalize_glob(&self, glob: &str) -> String {
        let (literal, rest) = split_glob(glob);
        // Folders, so what is below them: `*` and `**` alone never end in a slash.
        let rest = if rest.ends_with('/') { format!("{rest}**") } else { rest.to_owned() };
        let base = self.normalize(&literal);
        match (base.as_str(), rest.as_str()) {
            (_, "") => base,
            (".", rest) => rest.to_owned(),
            (base, rest) => format!("{base}/{rest}"),
        }
    }
}

/// Which ids some globs mean.
#[derive(Clone, Debug)]
pub struct Globs {
    set: GlobSet,
    patterns: Vec<String>,
}

impl Globs {
    /// Globs as users write them, relative to the root. `*` stays within a folder, `**` does not; a path without a
    /// wildcard means the file, or everything below the folder.
    ///
    /// # Errors
    /// One of them is not a glob; the diagnostic says which and why.
    pub fn new(root: &Root, globs: &[String]) -> Result<Self, Diagnostic> {
        let mut set = GlobSetBuilder::new();
        let mut patterns = Vec::new();
        for written in globs {
            let bad = |error: &globset::Error| {
                Diagnostic::error(format!("`{written}` is not a glob: {}", error.kind()))
                    .with_help("globs are relative to the root, like `examples/**/*.yaml` or `samples/{a,b}/*.yaml`")
            };
            let pattern = root.normalize_glob(written);
            let mut add = |glob: &str| -> Result<(), Diagnostic> {
                let glob = GlobBuilder::new(glob).literal_separator(true).build().map_err(|error| bad(&error))?;
                set.add(glob);
                Ok(())
            };
            add(&pattern)?;
            if !pattern.contains(META) {
                add(&if pattern == "." { "**".to_owned() } else { format!("{pattern}/**") })?;
            }
            patterns.push(pattern);
        }
        let set = set.build().map_err(|error| Diagnostic::error(format!("the globs can't be combined: {error}")))?;
        Ok(Self { set, patterns })
    }

    /// Whether one of them means this id.
    #[must_use]
    pub fn matches(&self, id: &str) -> bool {
        self.set.is_match(id)
    }

    /// Whether one of them is this very id, without a wildcard.
    #[must_use]
    pub fn name(&self, id: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern == id && !pattern.contains(META))
    }

    /// Where to look: for each glob the folder (or file) before its first wildcard, and whether it asks for hidden names
    /// below.
    pub fn bases(&self) -> impl Iterator<Item = (String, bool)> {
        self.patterns.iter().map(|pattern| {
            let (base, rest) = split_glob(pattern);
            let hidden = rest.split('/').any(|part| part.starts_with('.'));
            (if base.is_empty() { ".".to_owned() } else { base }, hidden)
        })
    }
}

/// Whether a path is a glob.
#[must_use]
pub fn has_wildcard(path: &str) -> bool {
    path.contains(META)
}

/// The folders of a glob before its first wildcard, and the rest.
fn split_glob(glob: &str) -> (String, &str) {
    let Some(first) = glob.find(META) else { return (glob.to_owned(), "") };
    let cut = glob[..first].rfind('/').map_or(0, |slash| slash + 1);
    let base = &glob[..cut];
    let base = if base == "/" { base } else { base.trim_end_matches('/') };
    (base.to_owned(), &glob[cut..])
}

/// Resolves `.` and `..` without looking at the disk.
fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            Component::ParentDir if out.has_root() => {}
            part => out.push(part),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn root() -> Root {
        Root::new(Path::new("/repo/sub")).unwrap()
    }

    fn globs(patterns: &[&str]) -> Globs {
        Globs::new(&root(), &patterns.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn ids_are_relative_to_the_root_and_keep_their_way_out_of_it() {
        for (path, id) in [
            ("/repo/sub/examples/a.yaml", "examples/a.yaml"),
            ("/repo/sub/./x/../a.yaml", "a.yaml"),
            ("/repo/other/a.yaml", "../other/a.yaml"),
            ("/etc/a.yaml", "../../etc/a.yaml"),
            ("/repo/sub", "."),
            ("/repo", ".."),
            ("/../repo/sub/a", "a"),
        ] {
            assert_eq!(root().id(Path::new(path)), id, "{path}");
            assert_eq!(root().id(&root().join(id)), id, "{path}");
        }
        assert_eq!(root().normalize("./a//b/"), "a/b");
    }

    #[test]
    fn globs_stay_within_a_folder_unless_they_say_otherwise() {
        let found =
            globs(&["examples/*.yaml", "./deep/**/*.yaml", "/repo/sub/abs/*", "../other/**", "dir/", "a/b.yaml"]);
        for id in [
            "examples/a.yaml",
            "deep/a.yaml",
            "deep/x/y/a.yaml",
            "abs/a",
            "../other/x/a.yaml",
            "dir/x/a.yaml",
            "a/b.yaml",
        ] {
            assert!(found.matches(id), "{id}");
        }
        for id in ["examples/x/a.yaml", "a.yaml", "abs/x/a", "dirt/a.yaml", "a/b.yml"] {
            assert!(!found.matches(id), "{id}");
        }
        assert!(found.name("a/b.yaml"));
        assert!(!found.name("examples/a.yaml"));
    }

    #[test]
    fn a_glob_is_looked_for_in_the_folder_before_its_first_wildcard() {
        let bases: Vec<_> =
            globs(&["examples/a*/x.yaml", "**/*.yaml", "../o/**", "a/b.yaml", "x/**/.ci/*"]).bases().collect();
        let expected = [("examples", false), (".", false), ("../o", false), ("a/b.yaml", false), ("x", true)];
        assert_eq!(bases, expected.map(|(base, hidden)| (base.to_owned(), hidden)));
    }

    #[test]
    fn a_glob_that_ends_in_a_slash_means_what_is_below() {
        let found = globs(&["examples/**/", "samples/*/"]);
        for (id, expected) in [("examples/x/a.yaml", true), ("samples/x/y/a.yaml", true), ("samples/a.yaml", false)] {
            assert_eq!(found.matches(id), expected, "{id}");
        }
    }

    #[test]
    fn what_is_no_glob_is_named() {
        let error = Globs::new(&root(), &["examples/[a".to_owned()]).unwrap_err();
        assert!(error.message.contains("`examples/[a` is not a glob"), "{}", error.message);
    }

    proptest! {
        #[test]
        fn every_path_comes_back_from_its_id(path in "(/(\\.\\.|[a-z]{1,3})){1,6}") {
            let id = root().id(Path::new(&path));
            prop_assert_eq!(root().join(&id), clean(Path::new(&path)));
        }
    }
}
