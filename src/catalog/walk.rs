//! Which files may be examples: found by walking folders, or named.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use ignore::WalkBuilder;

use super::paths::{Globs, Root, has_wildcard};
use super::rules::Rules;
use crate::diagnostic::{Diagnostic, Severity};
use crate::kustomize::is_kustomization;

/// Where PATHS are looked for.
const PLACES: &str = "paths are relative to the current directory, or to the root";

/// A file that may be an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its path from the root.
    pub id: String,
    /// Where it is.
    pub path: PathBuf,
    /// Somebody named it, so that it is an example whatever it holds.
    pub named: bool,
}

/// The candidates by id, and what could not be looked at.
#[derive(Debug, Default)]
pub struct Found {
    /// Files by id.
    pub candidates: BTreeMap<String, Candidate>,
    /// Links that lead nowhere or in circles, folders without permission.
    pub diagnostics: Vec<Diagnostic>,
}

impl Found {
    fn add(&mut self, id: String, path: PathBuf, named: bool) {
        let candidate = self.candidates.entry(id.clone()).or_insert(Candidate { id, path, named });
        candidate.named |= named;
    }
}

/// A file of a walk.
struct Seen {
    id: String,
    path: PathBuf,
}

/// Looks at PATHS: a file is named; of a folder every manifest and every script that an entry says how to run.
///
/// # Errors
/// One diagnostic for each path that does not exist.
pub fn paths(root: &Root, paths: &[PathBuf], rules: &Rules) -> Result<Found, Vec<Diagnostic>> {
    let mut found = Found::default();
    let mut missing = Vec::new();
    for written in paths {
        let from_root = root.join(&written.to_string_lossy());
        let path = if written.exists() { written.clone() } else { from_root };
        if path.is_dir() {
            for seen in walk(root, &path, false, &mut found.diagnostics) {
                if is_manifest(&seen.path) || rules.is_script(&seen.id) {
                    found.add(seen.id, seen.path, false);
                }
            }
        } else if path.symlink_metadata().is_ok() {
            found.add(root.id(&path), path, true);
        } else if let Some(globs) = written_globs(root, written) {
            let before = found.candidates.len();
            globs.map_err(|error| vec![error])?.iter().for_each(|globs| below(root, globs, rules, &mut found));
            if found.candidates.len() == before {
                missing.push(Diagnostic::error(format!("{}: no file matches", written.display())).with_help(PLACES));
            }
        } else {
            missing.push(Diagnostic::error(format!("{}: no such file or folder", written.display())).with_help(PLACES));
        }
    }
    if missing.is_empty() { Ok(found) } else { Err(missing) }
}

/// What a path means that does not exist but has wildcards: relative to the current directory, and to the root.
pub(super) fn written_globs(root: &Root, written: &Path) -> Option<Result<[Globs; 2], Diagnostic>> {
    let text = written.to_str().filter(|text| has_wildcard(text) && !written.exists())?;
    let here = std::path::absolute(written).ok()?.to_str()?.to_owned();
    let globs = |glob: &str| Globs::new(root, &[glob.to_owned()]);
    Some(globs(text).and_then(|from_root| Ok([globs(&here)?, from_root])))
}

/// Adds the manifests and scripts that globs mean.
fn below(root: &Root, globs: &Globs, rules: &Rules, found: &mut Found) {
    for (base, hidden) in globs.bases() {
        let path = root.join(&base);
        if !path.exists() {
            continue;
        }
        for seen in walk(root, &path, hidden, &mut found.diagnostics) {
            if globs.matches(&seen.id) && (is_manifest(&seen.path) || rules.is_script(&seen.id)) {
                found.add(seen.id, seen.path, false);
            }
        }
    }
}

/// Looks where the entries of `examples` (or the convention) point to.
#[must_use]
pub fn globs(root: &Root, rules: &Rules) -> Found {
    let mut found = Found::default();
    let bases: BTreeSet<(String, bool)> = rules.rules.iter().flat_map(super::rules::Rule::bases).collect();
    for (base, hidden) in bases {
        let path = root.join(&base);
        if path.symlink_metadata().is_err() {
            continue;
        }
        for seen in walk(root, &path, hidden, &mut found.diagnostics) {
            let mut matching = rules.rules.iter().filter(|rule| rule.matches(&seen.id)).peekable();
            let matched = matching.peek().is_some();
            let named = matching.any(|rule| rule.names(&seen.id));
            if matched && (named || is_manifest(&seen.path) || rules.is_script(&seen.id)) {
                found.add(seen.id, seen.path, named);
            }
        }
    }
    found
}

/// Every file below `base` with its id, as [`globs`] would see them.
#[must_use]
pub fn files(root: &Root, base: &Path) -> Vec<(String, PathBuf)> {
    walk(root, base, false, &mut Vec::new()).into_iter().map(|seen| (seen.id, seen.path)).collect()
}

/// Whether a file's name says that it holds manifests: YAML or JSON, or a kustomization.
fn is_manifest(path: &Path) -> bool {
    let known = |extension: &std::ffi::OsStr| ["yaml", "yml", "json"].into_iter().any(|name| extension == name);
    path.extension().is_some_and(known) || path.file_name().and_then(|name| name.to_str()).is_some_and(is_kustomization)
}

/// Every file below `base` (or `base` itself) that git does not ignore and whose name is not hidden, in no order. Links
/// are followed, but not in circles; one that leads nowhere is kept, so that reading it tells.
fn walk(root: &Root, base: &Path, hidden: bool, diagnostics: &mut Vec<Diagnostic>) -> Vec<Seen> {
    let warning = |message: String| Diagnostic::error(message).with_severity(Severity::Warning);
    let (circles, seen_circles) = mpsc::channel();
    let mut builder = WalkBuilder::new(base);
    builder.hidden(!hidden).ignore(false).git_global(false).require_git(false).follow_links(true);
    builder.filter_entry(move |entry| {
        let circle = entry.depth() > 0 && entry.path_is_symlink() && leads_upwards(entry.path());
        if circle {
            // The receiver lives as long as the walk.
            let _ = circles.send(entry.path().to_owned());
        }
        !circle && (entry.depth() == 0 || entry.file_name() != ".git")
    });
    let mut seen = Vec::new();
    for entry in builder.build() {
        match entry {
            Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => seen.push(entry.into_path()),
            Ok(_) => {}
            Err(error) => match broken_link(&error).filter(|path| is_manifest(path)) {
                Some(path) => seen.push(path.to_owned()),
                None => {
                    diagnostics.push(warning(format!("not all of {} could be looked at: {error}", root.id(base))));
                }
            },
        }
    }
    drop(builder);
    let circles = seen_circles.iter().map(|path| warning(format!("{}: this link goes in a circle", root.id(&path))));
    diagnostics.extend(circles);
    seen.retain(|path| !is_chart_template(path));
    seen.into_iter().map(|path| Seen { id: root.id(&path), path }).collect()
}

/// Whether a link leads to a folder that it lies in itself.
fn leads_upwards(link: &Path) -> bool {
    let own = link.parent().and_then(|folder| folder.canonicalize().ok());
    link.canonicalize().is_ok_and(|target| own.is_some_and(|own| own.starts_with(target)))
}

/// The link that an error of the walk is about, if that is what leads nowhere.
fn broken_link(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithDepth { err, .. } => broken_link(err),
        ignore::Error::WithPath { path, err } if err.io_error().is_some() => {
            path.symlink_metadata().is_ok_and(|found| found.is_symlink()).then_some(path.as_path())
        }
        _ => None,
    }
}

/// Whether a file is a template (or a sub-chart) of a Helm chart: text for Helm, not YAML for anybody.
fn is_chart_template(path: &Path) -> bool {
    path.ancestors().skip(1).any(|folder| {
        folder.file_name().is_some_and(|name| name == "templates" || name == "charts")
            && folder.parent().is_some_and(|chart| chart.join("Chart.yaml").is_file())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Command, ExampleRule, Run};
    use std::fs;

    fn tree(files: &[&str]) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let (name, text) = file.split_once('=').unwrap_or((file, "kind: Pod"));
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let root = Root::new(dir.path()).unwrap();
        (dir, root)
    }

    fn ids(found: &Found) -> Vec<(&str, bool)> {
        found.candidates.values().map(|candidate| (candidate.id.as_str(), candidate.named)).collect()
    }

    fn rules(root: &Root, paths: &[&str]) -> Rules {
        let rule = |path: &&str| ExampleRule { paths: vec![path.to_string()], ..ExampleRule::default() };
        Rules::new(root, &paths.iter().map(rule).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn manifests_are_found_by_convention_and_hidden_and_ignored_ones_are_not() {
        let (_dir, root) = tree(&[
            "examples/a.yaml",
            "examples/deep/er/b.yml",
            "examples/c.json",
            "examples/README.md",
            "examples/.hidden/d.yaml",
            "examples/.e.yaml",
            "examples/out/f.yaml",
            "examples/chart/Chart.yaml",
            "examples/chart/templates/g.yaml",
            "samples/h.yaml",
            "config/samples/i.yaml",
            "config/j.yaml",
            ".gitignore=out/\n",
        ]);
        let found = globs(&root, &rules(&root, &[]));
        let expected = [
            "config/samples/i.yaml",
            "examples/a.yaml",
            "examples/c.json",
            "examples/chart/Chart.yaml",
            "examples/deep/er/b.yml",
            "samples/h.yaml",
        ];
        assert_eq!(ids(&found), expected.map(|id| (id, false)));
    }

    #[test]
    fn entries_find_hidden_folders_that_they_name_and_files_of_any_kind() {
        let (_dir, root) =
            tree(&["a/.ci/x.yaml", "a/y.yaml", ".github/z.yaml", "a/manifest.txt", "a/other.txt", "b/c.yaml"]);
        let found = globs(&root, &rules(&root, &["a/.ci/*.yaml", "./.github/**", "a/manifest.txt", "b", "a/*.txt"]));
        let expected =
            [(".github/z.yaml", false), ("a/.ci/x.yaml", false), ("a/manifest.txt", true), ("b/c.yaml", false)];
        assert_eq!(ids(&found), expected);
    }

    #[test]
    fn scripts_are_found_where_an_entry_says_how_they_are_run() {
        let (_dir, root) = tree(&["examples/a.sh", "examples/a.yaml", "examples/b.ipynb"]);
        let run = Some(Run { image: None, command: Command::Argv(vec!["sh".to_owned(), "{path}".to_owned()]) });
        let rule = ExampleRule { paths: vec!["examples/*.sh".to_owned()], run, ..ExampleRule::default() };
        let rules = Rules::new(&root, &[rule]).unwrap();
        assert_eq!(ids(&globs(&root, &rules)), [("examples/a.sh", false)]);
        let found = paths(&root, &[root.join("examples")], &rules).unwrap();
        assert_eq!(ids(&found), [("examples/a.sh", false), ("examples/a.yaml", false)]);
    }

    #[test]
    fn a_path_that_is_a_file_is_named_and_one_that_does_not_exist_is_an_error() {
        let (_dir, root) = tree(&["x/a.yaml", "x/b.txt"]);
        let found =
            paths(&root, &[root.join("x/b.txt"), root.join("x"), PathBuf::from("x/a.yaml")], &rules(&root, &[]));
        assert_eq!(ids(&found.unwrap()), [("x/a.yaml", true), ("x/b.txt", true)]);
        let errors =
            paths(&root, &[PathBuf::from("no/such"), PathBuf::from("nor/this")], &rules(&root, &[])).unwrap_err();
        assert_eq!(errors.len(), 2);
        assert!(errors[0].message.contains("no/such"));
    }

    #[test]
    fn a_path_with_wildcards_is_a_glob_unless_a_file_has_that_name() {
        let (_dir, root) = tree(&["x/a.yaml", "x/b.txt", "x/y/c.yaml", "x/[d].yaml", "x/d.yaml"]);
        let found = |path: &str| paths(&root, &[PathBuf::from(path)], &rules(&root, &[]));
        assert_eq!(ids(&found("x/*").unwrap()), [("x/[d].yaml", false), ("x/a.yaml", false), ("x/d.yaml", false)]);
        assert_eq!(ids(&found("x/**/c.yaml").unwrap()), [("x/y/c.yaml", false)]);
        assert_eq!(ids(&found("x/[d].yaml").unwrap()), [("x/[d].yaml", true)]);
        assert!(found("x/*.json").unwrap_err()[0].message.contains("no file matches"));
        assert!(found("x/[").unwrap_err()[0].message.contains("is not a glob"));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_broken_or_circular_ones_are_told() {
        use std::os::unix::fs::symlink;
        let (dir, root) = tree(&["shared/a.yaml", "examples/b.yaml"]);
        let link = |to: &str, at: &str| symlink(to, dir.path().join(at)).unwrap();
        link("../shared/a.yaml", "examples/linked.yaml");
        link("nowhere.yaml", "examples/broken.yaml");
        link("self.yaml", "examples/self.yaml");
        link("..", "examples/loop");
        let found = globs(&root, &rules(&root, &[]));
        let expected = ["examples/b.yaml", "examples/broken.yaml", "examples/linked.yaml", "examples/self.yaml"];
        assert_eq!(ids(&found), expected.map(|id| (id, false)));
        let told: Vec<_> = found.diagnostics.iter().map(|told| told.message.as_str()).collect();
        assert_eq!(told, ["examples/loop: this link goes in a circle"]);
    }
}
