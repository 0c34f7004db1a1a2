//! The comment: which pull request gets one, what the last one said, and what to do where the token may not write.

use tokio_util::sync::CancellationToken;

use super::{Finished, Told};
use crate::github::api::{self, Api};
use crate::github::comment::{self, Action, Body, Error, decide};
use crate::github::pull_request::{self, Lookup, PullRequest, Unconfirmed, lookup};
use crate::report::comment::{State, render};
use crate::settings::{CommentWhen, RunContext, Settings};

/// Who gets the comment.
pub enum Addressee {
    /// A pull request; without an API, its comment can't be written.
    PullRequest(Option<Box<Api>>, Box<PullRequest>),
    /// Nobody: no pull request, or a shard, whose report another job merges.
    Nobody,
    /// A pull request that could not be found or believed, for this reason.
    Unknown(String),
}

impl Addressee {
    /// The pull request.
    pub fn pull_request(&self) -> Option<&PullRequest> {
        match self {
            Self::PullRequest(_, found) => Some(found),
            Self::Nobody | Self::Unknown(_) => None,
        }
    }
}

/// The pull request that is known already. Call it within the asynchronous runtime.
pub fn of(settings: &Settings, context: &RunContext, found: PullRequest) -> Addressee {
    match settings.github.token.as_ref().map(|token| Api::new(context, token)).transpose() {
        Ok(api) => Addressee::PullRequest(api.map(Box::new), Box::new(found)),
        Err(error) => Addressee::Unknown(error.to_string()),
    }
}

/// Finds out who gets the comment of this run. What the event itself holds is not asked for.
pub async fn addressee(settings: &Settings, context: &RunContext, cancel: &CancellationToken) -> Addressee {
    if !context.github_actions {
        return Addressee::Nobody;
    }
    let lookup = lookup(context.event(), &context.event_payload, context.sha.as_deref());
    if let Lookup::Known(found) = lookup {
        return of(settings, context, *found);
    }
    // Nobody waits for it: it is not worth asking.
    if settings.github.comment == CommentWhen::Never || settings.selection.shard.is_some() {
        return Addressee::Nobody;
    }
    let (Some(token), Some(repository)) = (&settings.github.token, &context.repository) else {
        return Addressee::Nobody;
    };
    let find = async {
        let api = Api::new(context, token)?;
        let found = pull_request::find(&api, repository, lookup).await?;
        Ok::<_, api::Error>(found.map(|found| (api, found)))
    };
    match cancel.run_until_cancelled(find).await {
        None | Some(Ok(None)) => Addressee::Nobody,
        Some(Ok(Some((api, found)))) => Addressee::PullRequest(Some(Box::new(api)), Box::new(found)),
        Some(Err(error)) => Addressee::Unknown(format!("the pull request of this run could not be found: {error}")),
    }
}

/// Posts the comment, if there is to be one.
pub(super) async fn post(finished: &mut Finished<'_>, told: &mut Told) {
    let settings = finished.settings;
    if settings.github.comment == CommentWhen::Never || settings.selection.shard.is_some() {
        return;
    }
    let (api, pull_request) = match finished.addressee {
        Addressee::Nobody => return,
        Addressee::Unknown(why) => {
            told.remarks.push(format!("no comment was posted: {why}"));
            return;
        }
        Addressee::PullRequest(None, found) => {
            let number = found.number;
            told.remarks.push(format!("pull request {number} got no comment: the input `github-token` is empty"));
            return;
        }
        Addressee::PullRequest(Some(api), found) => (api, found),
    };
    match write(finished, api, pull_request, told).await {
        Ok(url) => told.outputs.extend(url.map(|url| ("comment-url", url))),
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
    // Another run has judged what the branch has become meanwhile, or will.
    // Whatever else is wrong the comment itself meets.
    let confirmed = pull_request::confirm(api, repository, pull_request.number, &pull_request.head_sha, None).await;
    if matches!(confirmed, Err(Unconfirmed::OtherHead { .. })) {
        told.remarks.push(format!("pull request {} got no comment: it has moved on since", pull_request.number));
        return Ok(existing.map(|existing| existing.url));
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
