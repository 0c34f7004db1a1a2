//! The comment: which pull request gets one, what the last one said, and what to do where the token may not write.

use super::{Finished, Told};
use crate::github::api::Api;
use crate::github::comment::{self, Action, Body, Error, decide};
use crate::github::pull_request::PullRequest;
use crate::report::comment::{State, render};
use crate::settings::CommentWhen;

/// Who gets the comment.
pub enum Addressee<'a> {
    /// A pull request.
    PullRequest(&'a Api, &'a PullRequest),
    /// Nobody: no pull request, no token, or a shard, whose report is merged by another job.
    Nobody,
    /// A pull request that could not be found or believed, for this reason.
    Unknown(String),
}

/// Posts the comment, if there is to be one.
pub(super) async fn post(finished: &mut Finished<'_>, told: &mut Told) {
    let when = finished.settings.github.comment;
    let (api, pull_request) = match &finished.addressee {
        _ if when == CommentWhen::Never => return,
        Addressee::Nobody => return,
        Addressee::Unknown(why) => {
            told.remarks.push(format!("no comment was posted: {why}"));
            return;
        }
        Addressee::PullRequest(api, pull_request) => (*api, *pull_request),
    };
    match write(finished, api, pull_request, told).await {
        Ok(Some(url)) => told.outputs.push(("comment-url", url)),
        Ok(None) => {}
        Err(error) => {
            let notice = refusal(&error, pull_request);
            finished.about.notices.push(notice.clone());
            told.remarks.push(notice);
        }
    }
}

async fn write(
    finished: &Finished<'_>,
    api: &Api,
    pull_request: &PullRequest,
    told: &mut Told,
) -> Result<Option<String>, Error> {
    let Finished { settings, report, details, about, .. } = finished;
    let repository = about.repository.as_str();
    let existing = comment::find(api, repository, pull_request.number, &about.key).await?;
    told.before = existing.as_ref().and_then(|existing| State::read(&existing.body));
    let digest = State::of(report, &about.commit).digest;
    let changed = told.before.as_ref().is_none_or(|before| before.digest != digest);
    match decide(settings.github.comment, report.summary.conclusion, changed, existing.is_some()) {
        Action::Leave(why) => {
            tracing::info!("the comment stays as it is: {why}");
            return Ok(existing.map(|existing| existing.url));
        }
        Action::Publish => {}
    }
    let text = render(report, details, about, told.before.as_ref()).unwrap_or_else(|error| {
        // Only a template that can't be filled in comes here.
        tracing::warn!("the comment can't be rendered: {error}");
        String::new()
    });
    let body = Body::new(&about.key, text)?;
    let published = comment::publish(api, repository, pull_request.number, existing.as_ref(), &body).await?;
    tracing::debug!("comment {:?}: {}", published.what, published.url);
    Ok(Some(published.url))
}

/// What a reader of the summary should know who waits for a comment.
fn refusal(error: &Error, pull_request: &PullRequest) -> String {
    let number = pull_request.number;
    match error {
        Error::Denied { .. } if pull_request.is_read_only() => {
            let whose = if pull_request.is_dependabot { "Dependabot" } else { "a fork" };
            format!(
                "pull request {number} got no comment: the token of a run for {whose} can only read. Here is what the comment would say; two \
                 workflows can comment all the same, see docs/fan-out.md of example-validator"
            )
        }
        Error::Denied { message } => format!(
            "pull request {number} got no comment: the token may not write ({message}); give the job `permissions: {{pull-requests: write}}`"
        ),
        other => format!("pull request {number} got no comment: {other}"),
    }
}
