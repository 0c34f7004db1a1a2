//! What the action tells GitHub once a command is done: the artifact, the comment, the step's summary and outputs.
//!
//! Nothing that fails here changes a verdict, and the results are on disk before it begins. Outside GitHub Actions there is nothing to
//! do.

mod artifact;
mod comment;
mod step;

use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::diagnostic::{Diagnostic, Severity};
use crate::github::cache::policy::is_of_default_branch;
use crate::github::outputs::Output;
use crate::github::pull_request::PullRequest;
use crate::report::comment::{About, RunPage, State};
use crate::report::{Details, Report};
use crate::settings::{RunContext, Settings};

pub use comment::{Addressee, addressee, of};

/// The comment's key, where the input says nothing.
const DEFAULT_KEY: &str = "default";
/// The event of a run that judges what the merge queue is about to merge.
const MERGE_GROUP: &str = "merge_group";
/// What the comment's key has besides, of such a run. The input can't hold the slash.
const OF_QUEUE: &str = "/merge-queue";
/// How long a run that was cancelled tries to save its evidence: the runner kills its container ten seconds after the signal.
const LAST: Duration = Duration::from_secs(3);

/// What a command found out, and what is known of it besides.
pub struct Finished<'a> {
    pub settings: &'a Settings,
    pub context: &'a RunContext,
    pub report: &'a Report,
    pub details: &'a Details,
    /// Who gets the comment.
    pub addressee: &'a Addressee,
    /// Whether it was merged of the results of other jobs, whose artifacts are not to be mistaken for it.
    pub is_merged: bool,
    /// What links, notices and commands are made of; the artifact is added here.
    pub about: About,
    /// Cancelled by the first signal.
    pub cancel: &'a CancellationToken,
}

/// What became of it.
#[derive(Default)]
struct Told {
    outputs: Vec<Output>,
    /// What the last comment said, if it was read.
    before: Option<State>,
    /// What a person should know who waits for an artifact or a comment that is not there.
    remarks: Vec<String>,
}

impl Told {
    fn warnings(&self) -> Vec<Diagnostic> {
        self.remarks.iter().map(|text| Diagnostic::error(text).with_severity(Severity::Warning)).collect()
    }
}

impl Finished<'_> {
    /// Publishes; what did not succeed comes back as warnings.
    pub async fn publish(mut self) -> Vec<Diagnostic> {
        if !self.context.github_actions {
            return Vec::new();
        }
        let mut told = Told::default();
        // Not by the report: one that merges a shard that was cancelled has all the time that there is.
        if self.cancel.is_cancelled() {
            // What is quick comes first: there may be no time for the rest.
            step::summary(self.context, self.report, self.details, &self.about, &mut told);
            let artifact = tokio::time::timeout(LAST, artifact::upload(&self, &mut told)).await;
            if artifact.is_err() {
                told.remarks.push("the artifact was not uploaded: the run was cancelled".to_owned());
            }
        } else {
            let cancel = self.cancel.clone();
            let published = cancel.run_until_cancelled(self.artifact_and_comment(&mut told)).await;
            if published.is_none() {
                told.remarks.push("the artifact or the comment may be missing: the run was cancelled".to_owned());
            }
            step::summary(self.context, self.report, self.details, &self.about, &mut told);
        }
        step::outputs(self.settings, self.context, self.report, &mut told);
        told.warnings()
    }

    async fn artifact_and_comment(&mut self, told: &mut Told) {
        if let Some(uploaded) = artifact::upload(self, told).await {
            self.about.artifact = Some(uploaded);
        }
        comment::post(self, told).await;
    }
}

/// Tells the step alone, of a command that leaves nothing on disk: its summary and outputs.
pub fn tell_step(
    settings: &Settings,
    context: &RunContext,
    report: &Report,
    details: &Details,
    about: &About,
) -> Vec<Diagnostic> {
    let mut told = Told::default();
    if context.github_actions {
        step::summary(context, report, details, about, &mut told);
        step::outputs(settings, context, report, &mut told);
    }
    told.warnings()
}

/// What the comment has to know of a run besides its report. What of the change a reviewer should see comes as sentences that go on after
/// `this pull request`.
pub fn about(settings: &Settings, context: &RunContext, prefix: &str, sensitive: &[String]) -> About {
    let mut arguments = Vec::new();
    for (flag, path) in [("--config", settings.config.as_deref()), ("--root", Some(settings.root.as_path()))] {
        if let Some(path) = path.filter(|path| *path != Path::new(".")) {
            arguments.extend([flag.to_owned(), path.display().to_string()]);
        }
    }
    if let Some(kind) = settings.cluster.kind {
        arguments.extend(["--cluster".to_owned(), kind.as_str().to_owned()]);
    }
    let page = |id| RunPage { id, attempt: context.run_attempt.unwrap_or(1) };
    About {
        key: settings.github.comment_key.clone().unwrap_or_else(|| DEFAULT_KEY.to_owned()),
        server_url: context.server_url.clone(),
        repository: context.repository.clone().unwrap_or_default(),
        run: context.run_id.clone().map(page),
        prefix: prefix.to_owned(),
        notices: sensitive.iter().map(|what| format!("This pull request {what}.")).collect(),
        // A person's own history holds the runs of a person's own.
        is_default_branch: !context.github_actions || is_of_default_branch(context),
        arguments,
        ..About::default()
    }
}

/// Whether a run that this event started judged what the merge queue is about to merge.
pub fn is_of_queue(event: &str) -> bool {
    event == MERGE_GROUP
}

/// Addresses it to the pull request of a run that this event started. What the merge queue found out is of the commit of its group, which
/// holds other pull requests too: it gets a comment of its own beside the pull request's, and is compared with the queue's last one.
pub fn address(about: &mut About, event: &str, found: &PullRequest) {
    about.pull_request = Some(found.number);
    if !is_of_queue(event) {
        about.commit.clone_from(&found.head_sha);
        return;
    }
    about.key.push_str(OF_QUEUE);
    about.notices.insert(
        0,
        format!(
            "This is of the merge queue: of the commit that merges pull request {} together with what is ahead of it in the queue.",
            found.number
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_merge_queue_found_out_is_not_told_as_the_pull_requests() {
        let found = PullRequest {
            number: 6,
            head_sha: "abc".to_owned(),
            head_repository: None,
            base_ref: "main".to_owned(),
            is_fork: false,
            is_dependabot: false,
            is_open: true,
            url: String::new(),
        };
        let of = |event: &str| {
            let mut about = About { key: "default".to_owned(), ..About::default() };
            address(&mut about, event, &found);
            about
        };
        let own = of("pull_request");
        assert_eq!((own.key.as_str(), own.commit.as_str(), own.pull_request), ("default", "abc", Some(6)));
        assert_eq!(own.notices, [""; 0]);
        let queued = of("merge_group");
        // The report's own commit is told where this one is empty.
        assert_eq!((queued.key.as_str(), queued.commit.as_str()), ("default/merge-queue", ""));
        assert!(queued.notices[0].contains("merges pull request 6 together with what is ahead of it"));
    }
}
