//! Reports that other runs wrote.

use std::path::{Path, PathBuf};

use super::{Report, json};
use crate::diagnostic::Diagnostic;
use crate::error::{Error, Result};

const NAME: &str = "report.json";

/// The reports at the paths: each a `report.json`, a folder that has one, or a folder of such folders (as artifacts are
/// downloaded). Of every folder `journalled` is asked for what a killed run left there, and told the report that it has: what it
/// gives goes before that.
///
/// # Errors
/// [`Error::Usage`] with a diagnostic for every path without a report and every file that is not one; [`Error::Io`] for what
/// can't be read.
pub fn read_all(
    paths: &[PathBuf],
    journalled: impl Fn(&Path, Option<&Report>) -> Result<Option<Report>>,
) -> Result<Vec<Report>> {
    let mut reports = Vec::new();
    let mut wrong = Vec::new();
    for path in paths {
        if !path.exists() {
            let message = format!("{}: no such file or folder", path.display());
            wrong.push(Diagnostic::error(message).with_help("name folders that `--output` wrote, or folders of those"));
            continue;
        }
        let (files, folders) = find(path)?;
        let before = reports.len();
        for folder in &folders {
            reports.extend(journalled(folder, None)?);
        }
        if files.is_empty() && reports.len() == before {
            let message = format!("no {NAME} in {}", path.display());
            wrong.push(Diagnostic::error(message).with_help("name folders that `--output` wrote, or folders of those"));
        }
        for file in files {
            let text = std::fs::read_to_string(&file).map_err(|error| Error::io("read", &file, error))?;
            match json::parse(&text) {
                Ok(report) => {
                    let folder = file.parent().unwrap_or(Path::new("."));
                    reports.push(journalled(folder, Some(&report))?.unwrap_or(report));
                }
                Err(why) => wrong.push(Diagnostic::error(format!("can't use {}: {why}", file.display()))),
            }
        }
    }
    if wrong.is_empty() { Ok(reports) } else { Err(Error::Usage(wrong)) }
}

/// The report files at a path, and the folders there that have none, both in the order of their names.
fn find(path: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    if path.is_file() {
        return Ok((vec![path.to_owned()], Vec::new()));
    }
    let own = path.join(NAME);
    if own.is_file() {
        return Ok((vec![own], Vec::new()));
    }
    let entries = std::fs::read_dir(path).map_err(|error| Error::io("read", path, error))?;
    let (mut files, mut folders) = (Vec::new(), vec![path.to_owned()]);
    for entry in entries {
        let folder = entry.map_err(|error| Error::io("read", path, error))?.path();
        let file = folder.join(NAME);
        if file.is_file() {
            files.push(file);
        } else if folder.is_dir() {
            folders.push(folder);
        }
    }
    files.sort();
    folders.sort();
    Ok((files, folders))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::model::Conclusion;
    use crate::report::sample;

    #[expect(clippy::unnecessary_wraps, reason = "the form of what reads journals")]
    fn none(_: &Path, _: Option<&Report>) -> Result<Option<Report>> {
        Ok(None)
    }

    #[test]
    fn a_killed_run_has_its_journal_and_a_report_holds_unless_that_is_newer() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["killed", "whole", "other"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        fs::write(root.path().join("whole").join(NAME), json::render(&sample::report()).unwrap()).unwrap();
        let journalled = |folder: &Path, there: Option<&Report>| {
            assert_eq!(there.is_some(), folder.ends_with("whole"));
            Ok(folder.ends_with("killed").then(|| Report::of_killed(sample::report().run, vec![], vec![], &[])))
        };
        let read = |path: &str| read_all(&[root.path().join(path)], journalled);
        assert_eq!(read("").unwrap().len(), 2);
        assert_eq!(read("killed").unwrap()[0].summary.conclusion, Conclusion::Cancelled);
        assert_eq!(read("whole").unwrap(), [sample::report()]);
        assert!(matches!(read("other"), Err(Error::Usage(_))));
    }

    #[test]
    fn a_file_a_folder_and_a_folder_of_folders_are_read() {
        let root = tempfile::tempdir().unwrap();
        let text = json::render(&sample::report()).unwrap();
        for shard in ["1", "2"] {
            fs::create_dir(root.path().join(shard)).unwrap();
            fs::write(root.path().join(shard).join(NAME), &text).unwrap();
        }
        for (path, count) in [("1/report.json", 1), ("1", 1), ("", 2)] {
            assert_eq!(read_all(&[root.path().join(path)], none).unwrap().len(), count, "{path}");
        }
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("empty")).unwrap();
        fs::write(root.path().join("bad.json"), "{}").unwrap();
        let Err(Error::Usage(wrong)) = read_all(&[root.path().join("empty"), root.path().join("bad.json")], none)
        else {
            panic!("expected a usage error");
        };
        assert!(wrong[0].message.starts_with("no report.json in "));
        assert!(wrong[1].message.contains("`schemaVersion` is null, expected 1"));
    }

    #[test]
    fn a_path_that_does_not_exist_is_named() {
        let error = read_all(&[PathBuf::from("/does/not/exist")], none).unwrap_err();
        assert_eq!(error.exit_code(), 2, "the user's mistake");
        let Error::Usage(wrong) = error else { panic!("expected a usage error") };
        assert_eq!(wrong[0].message, "/does/not/exist: no such file or folder");
    }
}
