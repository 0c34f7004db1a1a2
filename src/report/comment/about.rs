//! What a comment has to know besides the report: where things are on GitHub, and what there is to say of the run itself.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::model::ExampleId;
use crate::report::markdown::Markdown;
use crate::report::{Report, Row};

/// What a part of a path can't hold in an address. The slash parts the folders.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// What is known of the run and its place. Whatever is left empty is not told or not linked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The comment's key: two workflows, two comments.
    pub key: String,
    /// The site, without a slash at its end: `https://github.com`.
    pub server_url: String,
    /// `owner/name`.
    pub repository: String,
    /// The commit whose files are linked. Of a pull request better its head than GitHub's test merge, whose address dies with
    /// the next push; empty for the report's.
    pub commit: String,
    /// Which page shows the run.
    pub run: Option<RunPage>,
    /// Where the evidence is; `None` if none was uploaded.
    pub artifact: Option<Artifact>,
    /// Whose evidence is in another one, by example and version: what a shard collected stays in its own.
    pub artifacts: BTreeMap<(ExampleId, Option<String>), Artifact>,
    /// What leads from the top of the repository to the root: `services/a/`, or nothing.
    pub prefix: String,
    /// What a reader must know besides: that this comes from a fork, that the pull request changes `fail-on`.
    pub notices: Vec<String>,
    /// The pull request.
    pub pull_request: Option<u64>,
    /// Whether the default branch itself was judged, whose runs the history holds: the run before is one of them.
    pub is_default_branch: bool,
    /// What commands need besides to judge the same: `--config`, `ci/examples.yml`. Each is one word, as it is before quoting.
    pub arguments: Vec<String>,
}

/// A run of a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPage {
    /// Its number.
    pub id: String,
    /// Which attempt at it, from 1.
    pub attempt: u32,
}

/// An uploaded artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Its name.
    pub name: String,
    /// The page that downloads it; `None` if it did not get there.
    pub url: Option<String>,
}

impl About {
    /// The same, with the report's commit and repository where none are given.
    pub(in crate::report) fn of_report(&self, report: &Report) -> Self {
        let or = |own: &str, other: &str| if own.is_empty() { other.to_owned() } else { own.to_owned() };
        let commit = or(&self.commit, &report.run.commit);
        Self { commit, repository: or(&self.repository, &report.run.repository), ..self.clone() }
    }

    /// The page of the run; empty if it is not known.
    #[must_use]
    pub fn run_url(&self) -> String {
        match &self.run {
            Some(RunPage { id, attempt }) => self.page(&format!("actions/runs/{}/attempts/{attempt}", encoded(id))),
            None => String::new(),
        }
    }

    /// The page of the repository.
    pub(in crate::report) fn repository_url(&self) -> String {
        self.page("").trim_end_matches('/').to_owned()
    }

    /// The page of a pull request.
    pub(in crate::report) fn pull_request_url(&self, number: u64) -> String {
        self.page(&format!("pull/{number}"))
    }

    /// The page of a commit.
    pub(in crate::report) fn commit_url(&self, commit: &str) -> String {
        if commit.is_empty() { String::new() } else { self.page(&format!("commit/{}", encoded(commit))) }
    }

    /// The page of a file of the root, at a line (0 for none). Empty for what is not in the repository.
    pub(in crate::report) fn file_url(&self, file: &str, line: u32) -> String {
        let Some(path) = self.path(file) else { return String::new() };
        if self.commit.is_empty() {
            return String::new();
        }
        // What GitHub would show as a document has no lines unless it is asked for its source.
        let is_document = [".md", ".ipynb"].iter().any(|end| path.ends_with(end));
        let query = if is_document && line > 0 { "?plain=1" } else { "" };
        let line = if line > 0 { format!("#L{line}") } else { String::new() };
        self.page(&format!("blob/{}/{}{query}{line}", encoded(&self.commit), encoded(&path)))
    }

    /// Which artifact the evidence of a row is in.
    pub(in crate::report) fn artifact_of(&self, row: &Row) -> Option<&Artifact> {
        let own = self.artifacts.get(&(row.example.clone(), row.kubernetes.clone()));
        own.or(self.artifact.as_ref())
    }

    /// The path of a file of the root from the top of the repository; `None` for what lies outside of it.
    fn path(&self, file: &str) -> Option<String> {
        let mut parts = Vec::new();
        if file.is_empty() || file.starts_with('/') {
            return None;
        }
        for part in self.prefix.split('/').chain(file.split('/')) {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()?),
                part => parts.push(part),
            }
        }
        (!parts.is_empty()).then(|| parts.join("/"))
    }

    fn page(&self, path: &str) -> String {
        if self.server_url.is_empty() || self.repository.is_empty() {
            return String::new();
        }
        format!("{}/{}/{path}", self.server_url, encoded(&self.repository))
    }
}

impl Artifact {
    /// Its name, which leads to it.
    pub(in crate::report) fn link(&self) -> Markdown {
        Markdown::link(&Markdown::code(&self.name), self.url.as_deref().unwrap_or_default())
    }
}

fn encoded(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about() -> About {
        About {
            server_url: "https://github.com".to_owned(),
            repository: "o/r".to_owned(),
            commit: "abc".to_owned(),
            prefix: "services/a/".to_owned(),
            run: Some(RunPage { id: "7".to_owned(), attempt: 2 }),
            ..About::default()
        }
    }

    #[test]
    fn files_are_linked_at_their_line_and_commit() {
        let about = about();
        for (file, line, path) in [
            ("examples/a.yaml", 12, "services/a/examples/a.yaml#L12"),
            ("examples/a.yaml", 0, "services/a/examples/a.yaml"),
            ("../b/x y(1)#?%.yaml", 1, "services/b/x%20y%281%29%23%3F%25.yaml#L1"),
            ("é\n<`.yaml", 1, "services/a/%C3%A9%0A%3C%60.yaml#L1"),
            ("guide.md", 3, "services/a/guide.md?plain=1#L3"),
        ] {
            assert_eq!(about.file_url(file, line), format!("https://github.com/o/r/blob/abc/{path}"));
        }
    }

    #[test]
    fn what_is_not_in_the_repository_has_no_address() {
        for file in ["../../../etc/passwd", "/etc/passwd", "", "../.."] {
            assert_eq!(about().file_url(file, 1), "", "{file}");
        }
        assert_eq!(About::default().file_url("a.yaml", 1), "");
        assert_eq!(About { commit: String::new(), ..about() }.file_url("a.yaml", 1), "");
        assert_eq!(About::default().run_url(), "");
    }

    #[test]
    fn the_evidence_of_a_shard_is_in_its_own_artifact() {
        let artifact = |name: &str| Artifact { name: name.to_owned(), url: Some(format!("https://e/{name}")) };
        let row = |version: &str| {
            let mut row = crate::report::sample::slow("a.yaml", version);
            row.evidence = Some(format!("{version}/a.yaml"));
            row
        };
        let (one, other) = (row("v1.33.4"), row("v1.34.0"));
        let own = ((one.example.clone(), one.kubernetes.clone()), artifact("r-1-of-2"));
        let about = About { artifact: Some(artifact("r")), artifacts: [own].into(), ..about() };
        let names = [&one, &other].map(|row| about.artifact_of(row).map(|artifact| artifact.name.as_str()));
        assert_eq!(names, [Some("r-1-of-2"), Some("r")]);
    }

    #[test]
    fn a_repository_and_a_pull_request_have_pages() {
        assert_eq!(about().repository_url(), "https://github.com/o/r");
        assert_eq!(about().pull_request_url(12), "https://github.com/o/r/pull/12");
        assert_eq!(About::default().repository_url(), "");
    }

    #[test]
    fn a_run_is_linked_at_its_attempt() {
        assert_eq!(about().run_url(), "https://github.com/o/r/actions/runs/7/attempts/2");
    }
}
