//! The folder of a report's files: written whole, or left as it was.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

use crate::diagnostic::Diagnostic;
use crate::error::{Error, Result};

/// A file's contents under its plain name.
pub type File<'a> = (&'a str, &'a [u8]);

/// Sees that a report's files may go into `folder`: it is neither the repository's root nor above it, where they would lie among files that are
/// not theirs, and go into an artifact with them.
///
/// # Errors
/// [`Error::Usage`].
pub fn check_place(folder: &Path, root: &Path) -> Result<()> {
    let (Ok(place), Ok(root)) = (folder.canonicalize(), root.canonicalize()) else { return Ok(()) };
    if !root.starts_with(&place) {
        return Ok(());
    }
    let message =
        format!("--output {}: a report needs a folder of its own, and this one holds the repository", folder.display());
    Err(Error::usage(
        Diagnostic::error(message).with_help("leave it out (`example-validator-report`), or name another"),
    ))
}

/// Writes the files into the folder, which is created if it is missing. Each appears whole, and either all of them are new or
/// none is: they are first written beside their places, then renamed into them; what could not be replaced is put back.
///
/// # Errors
/// [`Error::Io`], with the path and what was tried; the folder then holds what it held before.
pub fn write_all(folder: &Path, files: &[File<'_>]) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| Error::io("create the folder", folder, error))?;
    let mut staged = Vec::with_capacity(files.len());
    for (name, contents) in files {
        let target = folder.join(name);
        let temporary = stage(folder, contents).map_err(|error| Error::io("write", &target, error))?;
        staged.push((temporary, target));
    }
    let mut replaced: Vec<Replaced> = Vec::with_capacity(staged.len());
    for (temporary, target) in staged {
        match replace(folder, temporary, &target) {
            Ok(done) => replaced.push(done),
            Err(error) => {
                for done in replaced.into_iter().rev() {
                    done.put_back();
                }
                return Err(Error::io("write", &target, error));
            }
        }
    }
    Ok(())
}

/// Writes the contents to a file beside their place, readable as other files of the user are: later steps of a workflow may
/// run as somebody else.
fn stage(folder: &Path, contents: &[u8]) -> io::Result<TempPath> {
    use std::os::unix::fs::PermissionsExt;
    let mut file = beside().permissions(fs::Permissions::from_mode(0o644)).tempfile_in(folder)?;
    file.write_all(contents)?;
    Ok(file.into_temp_path())
}

fn beside() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".example-validator-");
    builder
}

/// A file that was put into its place, and what was there before.
struct Replaced {
    target: PathBuf,
    before: Option<TempPath>,
}

impl Replaced {
    /// Undoes the replacement, as far as the system lets it: this runs when something has already failed, and the first error
    /// is the one to tell.
    fn put_back(self) {
        let _ = match self.before {
            Some(before) => before.persist(&self.target).map_err(|error| error.error),
            None => fs::remove_file(&self.target),
        };
    }
}

/// Renames a staged file into its place, keeping what was there.
fn replace(folder: &Path, temporary: TempPath, target: &Path) -> io::Result<Replaced> {
    let before = keep(folder, target)?;
    temporary.persist(target).map_err(|error| error.error)?;
    Ok(Replaced { target: target.to_owned(), before })
}

/// A second name for the file, which goes when it is dropped; a copy where the file system knows no second names.
fn keep(folder: &Path, target: &Path) -> io::Result<Option<TempPath>> {
    if !target.try_exists()? {
        return Ok(None);
    }
    let linked = beside().make_in(folder, |path| fs::hard_link(target, path));
    linked.map(NamedTempFile::into_temp_path).map(Some).or_else(|_| {
        let copy = beside().tempfile_in(folder)?.into_temp_path();
        fs::copy(target, &copy)?;
        Ok(Some(copy))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_are_written_into_a_new_folder_and_replaced_in_an_old_one() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        write_all(&folder, &[("x.json", b"1"), ("y.md", b"2")]).unwrap();
        write_all(&folder, &[("x.json", b"3")]).unwrap();
        assert_eq!(names(&folder), ["x.json", "y.md"]);
        assert_eq!(fs::read(folder.join("x.json")).unwrap(), b"3");
        assert_eq!(fs::read(folder.join("y.md")).unwrap(), b"2");
    }

    #[test]
    fn a_report_lies_beside_the_repositorys_files_and_not_among_them() {
        let root = tempfile::tempdir().unwrap();
        let within = root.path().join("out");
        assert!(check_place(&within, root.path()).is_ok(), "it is not there yet");
        fs::create_dir(&within).unwrap();
        assert!(check_place(&within, root.path()).is_ok());
        let above = root.path().join("out/..");
        for (folder, root) in [(root.path(), root.path()), (&above, root.path()), (root.path(), &within)] {
            let error = check_place(folder, root).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().starts_with(&format!("--output {}: ", folder.display())), "{error}");
        }
    }

    #[test]
    fn others_may_read_the_files() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        write_all(root.path(), &[("x.json", b"1")]).unwrap();
        let mode = fs::metadata(root.path().join("x.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o444, 0o444);
    }

    #[test]
    fn a_failure_leaves_the_folder_as_it_was_and_names_the_file() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path();
        write_all(folder, &[("a", b"old")]).unwrap();
        fs::create_dir(folder.join("c")).unwrap();
        let error = write_all(folder, &[("a", b"new"), ("b", b"new"), ("c", b"new")]).unwrap_err();
        assert_eq!(error.to_string(), format!("can't write {}", folder.join("c").display()));
        assert_eq!(names(folder), ["a", "c"]);
        assert_eq!(fs::read(folder.join("a")).unwrap(), b"old");
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_is_told() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "x").unwrap();
        let error = write_all(&file, &[("a", b"1")]).unwrap_err();
        assert_eq!(error.to_string(), format!("can't create the folder {}", file.display()));
        assert_eq!(fs::read(&file).unwrap(), b"x");
    }
}
