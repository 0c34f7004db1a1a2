//! The files that a change touches, sorted once so that each question about them is a binary search.

use std::path::Path;

use super::paths::below_root;

/// What is known about the files that changed.
#[derive(Clone, Copy, Debug)]
pub enum Changes<'a> {
    /// These, relative to the root, with the old and the new names of what was moved.
    Known(&'a [String]),
    /// Unknown, and why: everything runs.
    Unknown(&'a str),
}

/// Changed files in their normal form, in order.
#[derive(Clone, Debug)]
pub(super) struct ChangedFiles {
    sorted: Vec<String>,
}

impl ChangedFiles {
    /// The files as they are named from the root, which is absolute.
    pub(super) fn new(root: &Path, files: &[String]) -> Self {
        let mut sorted: Vec<String> = files.iter().map(|file| below_root(root, Path::new(file))).collect();
        sorted.sort_unstable();
        sorted.dedup();
        Self { sorted }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.sorted.iter().map(String::as_str)
    }

    /// The change that touches the file `path`: the file itself, or a folder above it (git names a submodule so).
    pub(super) fn file(&self, path: &str) -> Option<&str> {
        let mut path = path;
        loop {
            if let Some(found) = self.exactly(path) {
                return Some(found);
            }
            path = path.rsplit_once('/')?.0;
        }
    }

    /// The first change that touches the folder, or anything below it; the empty string is the root.
    pub(super) fn below(&self, folder: &str) -> Option<&str> {
        if folder.split('/').all(|segment| segment.is_empty() || segment == "..") && !folder.starts_with('/') {
            // `../..` holds every file that does not climb further.
            let beyond = format!("{folder}/..");
            let outside = beyond.trim_start_matches('/');
            return self.iter().find(|file| !file.starts_with(outside) && !file.starts_with('/'));
        }
        let prefix = format!("{folder}/");
        let first = self.sorted.partition_point(|file| *file < prefix);
        let below = self.sorted.get(first).map(String::as_str).filter(|file| file.starts_with(&prefix));
        below.or_else(|| self.file(folder))
    }

    fn exactly(&self, path: &str) -> Option<&str> {
        let found = self.sorted.binary_search_by(|file| file.as_str().cmp(path)).ok()?;
        Some(&self.sorted[found])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(files: &[&str]) -> ChangedFiles {
        ChangedFiles::new(Path::new("/repo"), &files.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn a_file_is_touched_by_itself_or_by_the_submodule_that_holds_it() {
        let files = changed(&["./a/b.yaml", "third-party"]);
        assert_eq!(files.file("a/b.yaml"), Some("a/b.yaml"));
        assert_eq!(files.file("a/b.yam"), None);
        assert_eq!(changed(&["/repo/a/b.yaml"]).file("a/b.yaml"), Some("a/b.yaml"));
        assert_eq!(files.file("third-party/x/y.yaml"), Some("third-party"));
    }

    #[test]
    fn a_folder_is_touched_by_what_lies_below_it_and_not_by_its_namesakes() {
        let files = changed(&["a-b/x", "a.yaml", "ab/x"]);
        assert_eq!(files.below("a"), None);
        assert_eq!(files.below("ab"), Some("ab/x"));
        assert_eq!(changed(&["a/deep/x", "a"]).below("a"), Some("a/deep/x"));
    }

    #[test]
    fn the_root_and_the_folders_above_it_hold_everything_inside() {
        assert_eq!(changed(&["x"]).below(""), Some("x"));
        assert_eq!(changed(&["../x"]).below(""), None);
        assert_eq!(changed(&["x"]).below(".."), Some("x"));
        assert_eq!(changed(&["../x"]).below(".."), Some("../x"));
        assert_eq!(changed(&["../../x"]).below(".."), None);
    }
}
