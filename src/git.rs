//! The files that changed, as `git` tells them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// What `git` needs of the environment; nothing else is passed on.
const ENVIRONMENT: [&str; 2] = ["PATH", "HOME"];
/// Settings of a repository that would make a mere question start a program.
const SETTINGS: [&str; 2] = ["core.fsmonitor=false", "core.hooksPath=/dev/null"];
/// Where `actions/checkout` is told to fetch enough.
const HINT: &str = "set `fetch-depth: 0` at actions/checkout, or give the list with --changed-files";

/// The longest file that is read from the past, in bytes.
const MOST_TEXT: u64 = 4 << 20;

/// What the working tree is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since<'a> {
    /// Where this branch left another (`GITHUB_BASE_REF`): the merge base with `origin/<name>`, else with the local branch.
    Branch(&'a str),
    /// A commit itself, as a push event names it in `before`: what was there before the push, even if it was rewritten.
    Commit(&'a str),
    /// Nothing is known: the merge base with the remote's default branch, else the parent commit, else everything is new.
    Default,
}

/// Whether `root` is in a git repository's working tree.
#[must_use]
pub fn is_checkout(root: &Path) -> bool {
    Git::find(root).is_ok()
}

/// The id of the commit that is checked out where `root` is; `None` outside a repository, without `git`, and before the first commit.
#[must_use]
pub fn head(root: &Path) -> Option<String> {
    Git::find(root).ok()?.commit("HEAD")
}

/// The same where no file that git knows differs from that commit; else what is there is of no commit.
#[must_use]
pub fn unchanged_head(root: &Path) -> Option<String> {
    let git = Git::find(root).ok()?;
    let status = ["status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty"];
    git.commit("HEAD").filter(|_| git.run(&status).is_ok_and(|changed| changed.is_empty()))
}

/// The changed files of the repository that holds `root`, as paths relative to `root` with `/` (those outside keep their
/// `../`), in order; of a file that was moved both names. With `uncommitted`, changes in the working tree and untracked files
/// that are not ignored count too; without, only commits do, as in CI, where a job may have written files of its own.
///
/// # Errors
/// Says why the changed files can't be known: no `git`, no repository, a clone that is too shallow.
pub fn changed_files(root: &Path, since: Since, uncommitted: bool) -> Result<Vec<String>, String> {
    let git = Git::find(root)?;
    let base = git.base(since)?;
    let mut diff =
        vec!["diff", "--name-only", "--no-renames", "--no-ext-diff", "--ignore-submodules=dirty", "-z", &base];
    diff.extend((!uncommitted).then_some("HEAD"));
    diff.push("--");
    let mut files = git.lines(&diff)?;
    if uncommitted {
        files.extend(git.lines(&["ls-files", "--others", "--exclude-standard", "-z"])?);
    }
    let relative: BTreeSet<String> = files.iter().map(|file| seen_from(&git.inside, file)).collect();
    Ok(relative.into_iter().collect())
}

/// Paths from the repository's top, as seen from the root. Where the root is no part of a clone, `workspace` is the top.
///
/// # Errors
/// Says why the top can't be known.
pub fn from_top(root: &Path, workspace: Option<&Path>, files: &[String]) -> Result<Vec<String>, String> {
    let inside = inside(root, workspace)?;
    let seen: BTreeSet<String> = files.iter().map(|file| seen_from(&inside, file)).collect();
    Ok(seen.into_iter().collect())
}

/// A path from the root, as seen from the repository's top; the other way round than [`from_top`].
///
/// # Errors
/// Says why the top can't be known, or that the path is outside of the repository.
pub fn to_top(root: &Path, workspace: Option<&Path>, path: &str) -> Result<String, String> {
    let path = crate::plan::paths::join(&inside(root, workspace)?.join("/"), path);
    if path.starts_with("../") || path.starts_with('/') {
        return Err(format!("{path} is outside of the repository"));
    }
    Ok(path)
}

/// The root's path from the repository's top, by its segments.
fn inside(root: &Path, workspace: Option<&Path>) -> Result<Vec<String>, String> {
    Git::find(root).map(|git| git.inside).or_else(|why| {
        let real = |path: &Path| path.canonicalize().ok();
        let below = workspace.and_then(real).zip(real(root)).and_then(|(workspace, root)| {
            let rest = root.strip_prefix(workspace).ok()?.to_str()?;
            Some(rest.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect())
        });
        below.ok_or(why)
    })
}

/// The text of a file before the change: at the commit that [`changed_files`] compares with; `None` if it was not there. `path` is
/// relative to the root, and may climb out of it.
///
/// # Errors
/// Says why it can't be known.
pub fn file_before(root: &Path, since: Since, path: &str) -> Result<Option<String>, String> {
    let git = Git::find(root)?;
    let base = git.base(since)?;
    let from_top = crate::plan::paths::join(&git.inside.join("/"), path);
    let object = format!("{base}:{from_top}");
    let Ok(size) = git.text(&["cat-file", "-s", &object]) else { return Ok(None) };
    if size.parse::<u64>().is_ok_and(|size| size > MOST_TEXT) {
        return Err(format!("{path} was longer than {MOST_TEXT} bytes"));
    }
    String::from_utf8(git.run(&["cat-file", "blob", &object])?)
        .map(Some)
        .map_err(|_| format!("{path} was not UTF-8 text"))
}

/// Lines that hold a text, in a file that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedLines {
    /// The file, relative to the root.
    pub file: String,
    /// Those that went.
    pub before: Vec<String>,
    /// Those that came.
    pub after: Vec<String>,
}

/// The changed lines that hold `text`, by file in git's order: of what [`changed_files`] compares.
///
/// # Errors
/// Says why they can't be known.
pub fn changed_lines(root: &Path, since: Since, uncommitted: bool, text: &str) -> Result<Vec<ChangedLines>, String> {
    let git = Git::find(root)?;
    let base = git.base(since)?;
    let wanted = format!("-G{}", regex::escape(text));
    let mut diff =
        vec!["-c", "core.quotePath=false", "diff", "--unified=0", "--no-color", "--no-ext-diff", "--no-textconv"];
    diff.extend(["--no-renames", "--src-prefix=a/", "--dst-prefix=b/", &wanted, &base]);
    diff.extend((!uncommitted).then_some("HEAD"));
    diff.push("--");
    let patch = git.run(&diff)?;
    Ok(lines_of_patch(&String::from_utf8_lossy(&patch), text)
        .into_iter()
        .map(|lines| ChangedLines { file: seen_from(&git.inside, &lines.file), ..lines })
        .collect())
}

/// The lines of a patch without context that hold `text`. How long a part is its head says: what follows may look like a head.
fn lines_of_patch(patch: &str, text: &str) -> Vec<ChangedLines> {
    let mut found: Vec<ChangedLines> = Vec::new();
    let (mut file, mut left) = (None, 0_usize);
    for line in patch.split('\n') {
        if left > 0 && line.starts_with(['+', '-']) {
            left -= 1;
            let Some(file) = file.filter(|_| line.contains(text)) else { continue };
            if found.last().is_none_or(|last| last.file != file) {
                found.push(ChangedLines { file: String::from(file), before: Vec::new(), after: Vec::new() });
            }
            if let Some(last) = found.last_mut() {
                let side = if line.starts_with('-') { &mut last.before } else { &mut last.after };
                side.push(line[1..].trim_end().to_owned());
            }
        } else if let Some(name) = line.strip_prefix("--- a/").or_else(|| line.strip_prefix("+++ b/")) {
            // A name with a blank has a tab behind it.
            file = Some(name.trim_end_matches('\t'));
        } else if let Some(ranges) = line.strip_prefix("@@ ") {
            let lines = |range: &str| match range.split_once(',') {
                Some((_, count)) => count.parse().unwrap_or(0),
                None => 1,
            };
            left = ranges.split(' ').take(2).map(lines).sum();
        }
    }
    found
}

/// A repository, and where the root is inside it.
struct Git {
    top: PathBuf,
    /// The root's path from the top, by its segments.
    inside: Vec<String>,
}

impl Git {
    fn find(root: &Path) -> Result<Self, String> {
        let root = root.canonicalize().map_err(|error| format!("can't read {}: {error}", root.display()))?;
        let top = root.ancestors().find(|folder| folder.join(".git").exists());
        let top = top.ok_or_else(|| format!("{} is not inside a git repository", root.display()))?;
        let inside = root.strip_prefix(top).into_iter().flat_map(Path::components);
        let inside = inside.filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        });
        Ok(Self { top: top.to_owned(), inside: inside.collect() })
    }

    /// The commit (or for a first commit the empty tree) to compare with.
    fn base(&self, since: Since) -> Result<String, String> {
        match since {
            Since::Branch(name) => {
                let candidates = [format!("refs/remotes/origin/{name}"), format!("refs/heads/{name}")];
                let branch = candidates.iter().find_map(|candidate| self.commit(candidate));
                let branch = branch.ok_or_else(|| format!("this clone has no branch origin/{name}: {HINT}"))?;
                self.merge_base(&branch).ok_or_else(|| format!("{} no commit with {name}: {HINT}", self.shares()))
            }
            Since::Commit(id) if !id.is_empty() && id.bytes().all(|byte| byte == b'0') => self.base(Since::Default),
            Since::Commit(id) => {
                self.commit(id).ok_or_else(|| format!("this clone does not have commit {id}, the one before: {HINT}"))
            }
            Since::Default => {
                let default = self.commit("refs/remotes/origin/HEAD").and_then(|branch| self.merge_base(&branch));
                match default.or_else(|| self.commit("HEAD^")) {
                    Some(base) => Ok(base),
                    None if self.is_shallow() => Err(format!("this clone is shallow and has one commit: {HINT}")),
                    None => self.text(&["hash-object", "-t", "tree", "--stdin"]),
                }
            }
        }
    }

    fn shares(&self) -> &'static str {
        if self.is_shallow() { "this clone is shallow and shares" } else { "this branch shares" }
    }

    fn is_shallow(&self) -> bool {
        self.text(&["rev-parse", "--is-shallow-repository"]).is_ok_and(|answer| answer == "true")
    }

    /// The id of a commit, if the clone has it. What comes from an event must not begin with `-`: it would be an option.
    fn commit(&self, name: &str) -> Option<String> {
        let known = || self.text(&["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")]).ok();
        if name.starts_with('-') { None } else { known() }
    }

    fn merge_base(&self, commit: &str) -> Option<String> {
        self.text(&["merge-base", commit, "HEAD"]).ok().filter(|base| !base.is_empty())
    }

    fn text(&self, arguments: &[&str]) -> Result<String, String> {
        Ok(String::from_utf8_lossy(&self.run(arguments)?).trim().to_owned())
    }

    /// The names of an answer in which each ends with a zero byte.
    fn lines(&self, arguments: &[&str]) -> Result<Vec<String>, String> {
        let answer = self.run(arguments)?;
        let names = answer.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
    }

    fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, String> {
        let mut command = Command::new("git");
        command.env_clear().env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0").env("GIT_TERMINAL_PROMPT", "0");
        command.envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        // In a container the checkout belongs to another user, which git refuses unless told that this folder is meant.
        let mut safe = OsStr::new("safe.directory=").to_owned();
        safe.push(&self.top);
        command.arg("-C").arg(&self.top).arg("-c").arg(safe);
        command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        let output = command.args(arguments).stdin(std::process::Stdio::null()).output();
        let output = output.map_err(|error| format!("can't start `git`: {error}; is it installed and on PATH?"))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let first = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or("no message").to_owned();
        let verb = arguments.iter().find(|argument| !argument.starts_with('-') && !argument.contains('='));
        Err(format!("`git {}` failed: {first}", verb.unwrap_or(&"")))
    }
}

/// A path from the repository's top as seen from the folder `inside` it.
fn seen_from(inside: &[String], file: &str) -> String {
    let segments: Vec<&str> = file.split('/').collect();
    let shared = inside.iter().zip(&segments).take_while(|(folder, segment)| folder == *segment).count();
    let up = vec![".."; inside.len() - shared];
    up.into_iter().chain(segments[shared..].iter().copied()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Repository(tempfile::TempDir);

    impl Repository {
        fn new() -> Self {
            let repository = Self(tempfile::tempdir().unwrap());
            repository.git(&["init", "--quiet", "--initial-branch=main"]);
            repository
        }

        fn path(&self) -> &Path {
            self.0.path()
        }

        fn git(&self, arguments: &[&str]) {
            let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
            let allowed = ["-c", "protocol.file.allow=always"];
            let status = Command::new("git")
                .env_clear()
                .env("PATH", std::env::var_os("PATH").unwrap())
                .env("GIT_CONFIG_NOSYSTEM", "1")
                .current_dir(self.path())
                .args(identity.iter().chain(&allowed).chain(arguments))
                .output()
                .unwrap();
            assert!(status.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&status.stderr));
        }

        fn write(&self, path: &str, text: &str) -> &Self {
            let path = self.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
            self
        }

        fn commit(&self) -> String {
            self.git(&["add", "--all"]);
            self.git(&["commit", "--quiet", "--allow-empty", "-m", "x"]);
            self.head()
        }

        fn head(&self) -> String {
            Git::find(self.path()).unwrap().text(&["rev-parse", "HEAD"]).unwrap()
        }

        fn clone(&self, flags: &[&str]) -> Self {
            let clone = Self(tempfile::tempdir().unwrap());
            let url = format!("file://{}", self.path().display());
            let mut arguments = vec!["clone", "--quiet"];
            arguments.extend(flags);
            arguments.extend([url.as_str(), "."]);
            clone.git(&arguments);
            clone
        }

        fn changed(&self, since: Since) -> Result<Vec<String>, String> {
            changed_files(self.path(), since, false)
        }
    }

    /// A branch `topic` that left `main` before `main` went on.
    fn branched() -> Repository {
        let repository = Repository::new();
        repository
            .write("a.yaml", "some text\nthat is long\nenough\n")
            .write("b.yaml", "b")
            .write("c.yaml", "c")
            .commit();
        repository.git(&["checkout", "--quiet", "-b", "topic"]);
        repository.git(&["mv", "a.yaml", "moved.yaml"]);
        repository.git(&["rm", "--quiet", "b.yaml"]);
        repository.write("dir/ü \"x\".yaml", "x").commit();
        repository.git(&["checkout", "--quiet", "main"]);
        repository.write("c.yaml", "changed on main").commit();
        repository.git(&["checkout", "--quiet", "topic"]);
        repository
    }

    #[test]
    fn a_tree_that_was_changed_is_of_no_commit() {
        let repository = Repository::new();
        repository.write("a", "1");
        assert_eq!(unchanged_head(repository.path()), None);
        let commit = repository.commit();
        repository.write("new", "1");
        assert_eq!(unchanged_head(repository.path()), Some(commit));
        repository.write("a", "2");
        assert_eq!(unchanged_head(repository.path()), None);
    }

    #[test]
    fn a_branch_is_compared_with_where_it_left_its_base() {
        let expected = ["a.yaml", "b.yaml", "dir/ü \"x\".yaml", "moved.yaml"].map(str::to_owned);
        let repository = branched();
        assert_eq!(repository.changed(Since::Branch("main")).unwrap(), expected);
        repository.git(&["branch", "-q", "-m", "main", "old-main"]);
        repository.git(&["update-ref", "refs/remotes/origin/main", "old-main"]);
        assert_eq!(repository.changed(Since::Branch("main")).unwrap(), expected);
    }

    #[test]
    fn what_is_checked_out_is_known_inside_a_repository() {
        let repository = Repository::new();
        assert_eq!(head(repository.path()), None);
        let commit = repository.write("dir/a", "a").commit();
        assert_eq!(head(&repository.path().join("dir")), Some(commit));
        assert_eq!(head(tempfile::tempdir().unwrap().path()), None);
    }

    #[test]
    fn a_push_is_compared_with_what_was_there_before() {
        let repository = Repository::new();
        let before = repository.write("a.yaml", "1").commit();
        repository.write("b.yaml", "1").commit();
        repository.write("c.yaml", "1").commit();
        assert_eq!(repository.changed(Since::Commit(&before)).unwrap(), ["b.yaml", "c.yaml"]);
        let error = repository.changed(Since::Commit(&"1".repeat(40))).unwrap_err();
        assert!(error.contains("fetch-depth: 0"), "{error}");
        let zeros = "0".repeat(40);
        assert_eq!(repository.changed(Since::Commit(&zeros)).unwrap(), ["c.yaml"], "a new branch: the last commit");
    }

    #[test]
    fn without_a_base_the_default_branch_counts() {
        let origin = branched();
        let clone = origin.clone(&["--branch", "topic"]);
        clone.git(&["remote", "set-head", "origin", "main"]);
        assert_eq!(clone.changed(Since::Default).unwrap().len(), 4);
    }

    #[test]
    fn in_a_first_commit_everything_is_new() {
        let repository = Repository::new();
        repository.write("a.yaml", "1").commit();
        assert_eq!(repository.changed(Since::Default).unwrap(), ["a.yaml"]);
    }

    #[test]
    fn what_is_not_committed_counts_outside_ci() {
        let repository = Repository::new();
        repository.write("a.yaml", "1").write(".gitignore", "ignored\n").write("b.yaml", "1").commit();
        repository.commit();
        repository.write("a.yaml", "2").write("new.yaml", "1").write("ignored", "1").write("staged.yaml", "1");
        repository.git(&["add", "staged.yaml"]);
        std::fs::remove_file(repository.path().join("b.yaml")).unwrap();
        let changed = changed_files(repository.path(), Since::Default, true).unwrap();
        assert_eq!(changed, ["a.yaml", "b.yaml", "new.yaml", "staged.yaml"]);
        assert_eq!(repository.changed(Since::Default).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn paths_are_seen_from_a_root_inside_the_repository() {
        let repository = Repository::new();
        repository.write("sub/dir/a.yaml", "1").write("sub/b.yaml", "1").write("c.yaml", "1").commit();
        let changed = changed_files(&repository.path().join("sub/dir"), Since::Default, true).unwrap();
        assert_eq!(changed, ["../../c.yaml", "../b.yaml", "a.yaml"]);
    }

    #[test]
    fn a_shallow_clone_says_what_to_do() {
        let clone = branched().clone(&["--depth", "1", "--no-single-branch", "--branch", "topic"]);
        let error = clone.changed(Since::Branch("main")).unwrap_err();
        assert!(error.contains("shallow") && error.contains("fetch-depth: 0"), "{error}");
        let alone = branched().clone(&["--depth", "1", "--branch", "topic"]);
        let error = alone.changed(Since::Branch("main")).unwrap_err();
        assert!(error.contains("no branch origin/main") && error.contains("fetch-depth: 0"), "{error}");
        alone.git(&["remote", "remove", "origin"]);
        let error = alone.changed(Since::Default).unwrap_err();
        assert!(error.contains("shallow and has one commit"), "{error}");
    }

    #[test]
    fn a_folder_outside_any_repository_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = changed_files(folder.path(), Since::Default, true).unwrap_err();
        assert!(error.contains("not inside a git repository"), "{error}");
    }

    #[test]
    fn a_file_is_read_as_it_was_before_the_change() {
        let repository = branched();
        repository.write("sub/x", "").write("c.yaml", "changed on topic").commit();
        let before = |root: &Path, path: &str| file_before(root, Since::Branch("main"), path).unwrap();
        assert_eq!(before(repository.path(), "c.yaml").as_deref(), Some("c"));
        assert_eq!(before(&repository.path().join("sub"), "../b.yaml").as_deref(), Some("b"));
        assert_eq!(before(repository.path(), "moved.yaml"), None, "it is new");
        assert!(file_before(repository.path(), Since::Branch("other"), "c.yaml").is_err());
    }

    #[test]
    fn paths_from_the_top_are_seen_from_the_root_with_and_without_a_clone() {
        let repository = Repository::new();
        repository.write("sub/dir/x", "").write("a", "");
        let plain = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(plain.path().join("sub/dir")).unwrap();
        let files = ["sub/a.yaml", "sub/dir/b.yaml", "c.yaml"].map(str::to_owned);
        for (top, workspace) in [(repository.path(), None), (plain.path(), Some(plain.path()))] {
            let root = top.join("sub/dir");
            assert_eq!(from_top(&root, workspace, &files).unwrap(), ["../../c.yaml", "../a.yaml", "b.yaml"]);
            assert_eq!(to_top(&root, workspace, "../x.yaml").as_deref(), Ok("sub/x.yaml"));
            assert!(to_top(&root, workspace, "../../../x").is_err());
        }
        assert!(from_top(plain.path(), None, &files).is_err());
    }

    #[test]
    fn changed_lines_are_told_by_file() {
        let repository = Repository::new();
        repository
            .write("sub/a b.yaml", "# ev: tier=full\nx: 1\n")
            .write("gone.yaml", "# ev: x\n")
            .write("same.yaml", "# ev: y\n")
            .commit();
        std::fs::remove_file(repository.path().join("gone.yaml")).unwrap();
        repository
            .write("sub/a b.yaml", "# ev: tier=basic\nx: 2\n")
            .write("new.yaml", "a\n-- a/fake\n# ev: n\n")
            .commit();
        let lines = |file: &str, before: &[&str], after: &[&str]| ChangedLines {
            file: file.to_owned(),
            before: before.iter().map(ToString::to_string).collect(),
            after: after.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(
            changed_lines(&repository.path().join("sub"), Since::Default, false, "# ev:").unwrap(),
            [
                lines("../gone.yaml", &["# ev: x"], &[]),
                lines("../new.yaml", &[], &["# ev: n"]),
                lines("a b.yaml", &["# ev: tier=full"], &["# ev: tier=basic"]),
            ]
        );
    }

    #[test]
    fn what_looks_like_the_head_of_a_file_inside_a_part_is_a_line() {
        let patch = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n--- a/evil\n-# ev: 1\n+++ b/evil # ev: 2\n";
        let found = lines_of_patch(patch, "# ev:");
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].file.as_str(), found[0].after[0].as_str()), ("x", "++ b/evil # ev: 2"));
    }

    #[test]
    fn a_checkout_of_another_user_is_read() {
        let repository = branched();
        let other = || Some(rustix::fs::Uid::from_raw(54_321));
        let mut folders = vec![repository.path().to_owned()];
        while let Some(path) = folders.pop() {
            if rustix::fs::chown(&path, other(), None).is_err() {
                eprintln!("skipped: only root can give files away");
                return;
            }
            if path.is_dir() && !path.is_symlink() {
                folders.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
        // That git would refuse it is what this is about.
        let mut plain = Command::new("git");
        plain
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("HOME", "/nowhere");
        let refused = plain.arg("-C").arg(repository.path()).args(["rev-parse", "HEAD"]).output().unwrap();
        assert!(String::from_utf8_lossy(&refused.stderr).contains("dubious ownership"), "{refused:?}");
        assert_eq!(repository.changed(Since::Branch("main")).unwrap().len(), 4);
    }

    #[test]
    fn a_name_from_an_event_is_never_an_option() {
        let repository = branched();
        for name in ["--output=x", "-h", "main --output=x"] {
            assert!(repository.changed(Since::Branch(name)).is_err(), "{name}");
            assert!(repository.changed(Since::Commit(name)).is_err(), "{name}");
        }
        assert!(!repository.path().join("x").exists());
    }

    proptest! {
        #[test]
        fn a_path_seen_from_a_folder_leads_back(inside in "[ab](/[ab]){0,3}", file in "([ab]/){0,4}x") {
            let folder: Vec<String> = inside.split('/').map(str::to_owned).collect();
            let mut reached = folder.clone();
            for segment in seen_from(&folder, &file).split('/') {
                if segment == ".." { reached.pop(); } else { reached.push(segment.to_owned()); }
            }
            prop_assert_eq!(reached.join("/"), file);
        }
    }
}
