//! What a change touches: its files, and what of it a reviewer should see (`trust::sensitive`).

use std::collections::BTreeSet;

use base64::Engine as _;
use serde::Deserialize;

use super::planning::config_path;
use crate::config::{self, Config};
use crate::diagnostic::Source;
use crate::git::{self, ChangedLines, Since};
use crate::github::api::{self, Api, query, repository_route};
use crate::github::changed::{self, Question, files, question};
use crate::github::pull_request::PullRequest;
use crate::github::trust;
use crate::plan::workflows;
use crate::settings::{RunContext, Settings};

/// What the comment lines of manifests begin with, by which they set something.
const COMMENT_LINE: &str = "example-validator:";
/// Where GitHub looks for workflows.
const WORKFLOWS: &str = ".github/workflows/";

/// The changed files, relative to the root, or why they can't be known: as the API tells them, where the event says what to ask, else
/// as git does.
pub fn changed_files(settings: &Settings, context: &RunContext) -> Result<Vec<String>, String> {
    let asked = question(context.event(), &context.event_payload).filter(|_| context.github_actions);
    let Some((question, token)) = asked.zip(settings.github.token.as_ref()) else { return by_git(settings, context) };
    let told = super::runtime().map_err(|error| error.to_string()).and_then(|runtime| {
        runtime.block_on(async {
            let api = Api::new(context, token).map_err(|error| error.to_string())?;
            let repository = context.repository.as_deref().ok_or("GITHUB_REPOSITORY is not set")?;
            files(&api, repository, &question).await
        })
    });
    match told.and_then(|files| git::from_top(&settings.root, context.workspace.as_deref(), &files)) {
        Ok(files) => Ok(files),
        Err(why) => {
            tracing::debug!("the API does not tell the changed files: {why}");
            by_git(settings, context).map_err(|git| format!("{git}; by the API: {why}"))
        }
    }
}

fn by_git(settings: &Settings, context: &RunContext) -> Result<Vec<String>, String> {
    git::changed_files(&settings.root, since(context), !context.ci)
}

/// What the working tree is compared with.
fn since(context: &RunContext) -> Since<'_> {
    let payload = |path: &str| context.event_payload.pointer(path).and_then(serde_json::Value::as_str);
    // The commit before a push, or the one that a merge queue builds upon.
    let before = payload("/before").or_else(|| payload("/merge_group/base_sha"));
    match (context.base_ref.as_deref(), before) {
        (Some(base), _) => Since::Branch(base),
        (None, Some(commit)) => Since::Commit(commit),
        (None, None) => Since::Default,
    }
}

/// What of the change that is checked out a reviewer should see, a sentence each; nothing unless the event is about a pull request.
/// The config before the change is read by git, else by the API. Call it outside of asynchronous code.
#[must_use]
pub fn sensitive(settings: &Settings, context: &RunContext) -> Vec<String> {
    let base = context.event_payload.pointer("/pull_request/base/sha").and_then(serde_json::Value::as_str);
    let Some(base) = base.filter(|_| context.github_actions) else { return Vec::new() };
    let is_here = |path: String| settings.root.join(path).exists();
    if !git::is_checkout(&settings.root) && !config_path(settings).is_some_and(is_here) {
        // A job without a checkout: nothing here could be compared with anything.
        return Vec::new();
    }
    let Ok(after) = config::read(&settings.root, settings.config.as_deref()) else { return Vec::new() };
    let changed = changed_files(settings, context).unwrap_or_default();
    let workflows = workflows::using_this_action(&settings.root, &changed);
    let lines = changed_lines(settings, context).unwrap_or_else(|why| {
        tracing::debug!("settings in changed manifests are not known: {why}");
        Vec::new()
    });
    let before = config_path(settings).map(|path| config_before(settings, context, base, &path));
    match before {
        // A config that lies outside of the root came from elsewhere: the change can't change it.
        None => trust::sensitive(Some(&after), &after, &workflows, &lines),
        Some(Ok(before)) => trust::sensitive(before.as_ref(), &after, &workflows, &lines),
        Some(Err(why)) => {
            let mut told = vec![format!("may change the config, which can't be compared: {why}")];
            told.extend(trust::sensitive(Some(&after), &after, &workflows, &lines));
            told
        }
    }
}

/// The changed lines that set something, by git, else by the API.
fn changed_lines(settings: &Settings, context: &RunContext) -> Result<Vec<ChangedLines>, String> {
    git::changed_lines(&settings.root, since(context), false, COMMENT_LINE).or_else(|why| {
        let asked = question(context.event(), &context.event_payload).zip(settings.github.token.as_ref());
        let (question, token) = asked.ok_or(why)?;
        let runtime = super::runtime().map_err(|error| error.to_string())?;
        runtime.block_on(async {
            let api = Api::new(context, token).map_err(|error| error.to_string())?;
            let repository = context.repository.as_deref().ok_or("GITHUB_REPOSITORY is not set")?;
            changed::lines(&api, repository, &question, COMMENT_LINE).await
        })
    })
}

/// The config before the change; `None` if there was none.
fn config_before(settings: &Settings, context: &RunContext, base: &str, path: &str) -> Result<Option<Config>, String> {
    let by_git = git::file_before(&settings.root, since(context), path);
    let text = by_git.or_else(|git| {
        let token = settings.github.token.as_ref().ok_or_else(|| git.clone())?;
        let from_top = git::to_top(&settings.root, context.workspace.as_deref(), path)?;
        let runtime = super::runtime().map_err(|error| error.to_string())?;
        runtime.block_on(async {
            let api = Api::new(context, token).map_err(|error| error.to_string())?;
            let repository = context.repository.as_deref().ok_or("GITHUB_REPOSITORY is not set")?;
            content(&api, repository, &from_top, base).await.map_err(|error| format!("{git}; by the API: {error}"))
        })
    })?;
    text.map(|text| parsed(path, text)).transpose()
}

fn parsed(path: &str, text: String) -> Result<Config, String> {
    config::load(&Source::new(path, text)).map_err(|mistakes| {
        let first = mistakes.first().map(|mistake| mistake.message.clone()).unwrap_or_default();
        format!("the config has mistakes: {first}")
    })
}

/// What of the change that another workflow run judged a reviewer should see: its pull request's, compared with the config of the branch that it
/// goes into. What that run's own artifacts say of it counts for nothing.
pub async fn sensitive_of(
    settings: &Settings,
    context: &RunContext,
    api: &Api,
    repository: &str,
    pull_request: &PullRequest,
) -> Vec<String> {
    let question = Question::PullRequest { number: pull_request.number, head: pull_request.head_sha.clone() };
    let changed = match files(api, repository, &question).await {
        Ok(changed) => changed,
        Err(why) => return vec![format!("may change anything, its files being unknown: {why}")],
    };
    let lines = changed::lines(api, repository, &question, COMMENT_LINE).await.unwrap_or_default();
    // What they hold is not here: each may run this action.
    let workflows: BTreeSet<String> = changed.iter().filter(|file| file.starts_with(WORKFLOWS)).cloned().collect();
    let path = config_path(settings).and_then(|path| {
        git::to_top(&settings.root, context.workspace.as_deref(), &path).ok().filter(|path| changed.contains(path))
    });
    let none = Config::default();
    let Some(path) = path else { return trust::sensitive(Some(&none), &none, &workflows, &lines) };
    // What is checked out here, if anything, need not be what the pull request goes into.
    let before = match content(api, repository, &path, &pull_request.base_ref).await {
        Ok(Some(text)) => parsed(&path, text),
        Ok(None) => Ok(Config::default()),
        Err(error) => Err(error.to_string()),
    };
    let after = match content(api, repository, &path, &pull_request.head_sha).await {
        Ok(Some(text)) => parsed(&path, text),
        Ok(None) => Ok(Config::default()),
        Err(error) => Err(error.to_string()),
    };
    match before.and_then(|before| Ok((before, after?))) {
        Ok((before, after)) => trust::sensitive(Some(&before), &after, &workflows, &lines),
        Err(why) => {
            let mut told = vec![format!("may change the config, which can't be compared: {why}")];
            told.extend(trust::sensitive(Some(&none), &none, &workflows, &lines));
            told
        }
    }
}

/// A file in the API's answers: <https://docs.github.com/en/rest/repos/contents#get-repository-content>.
#[derive(Deserialize)]
struct Content {
    content: String,
    encoding: String,
}

/// The text of a file at a commit; `None` if it is not there.
async fn content(api: &Api, repository: &str, path: &str, commit: &str) -> api::Result<Option<String>> {
    let segments = path.split('/').map(|segment| query(&[("", segment)]).trim_start_matches("?=").replace('+', "%20"));
    let path = segments.collect::<Vec<_>>().join("/");
    let route = repository_route(repository, &format!("/contents/{path}{}", query(&[("ref", commit)])))?;
    let found: Content = match api.get(&route).await {
        Err(api::Error::NotFound { .. }) => return Ok(None),
        answer => answer?,
    };
    let unreadable = || api::Error::Unreadable { route: route.clone(), message: "it is no text in base64".to_owned() };
    if found.encoding != "base64" {
        return Err(unreadable());
    }
    let packed: String = found.content.split_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(packed).map_err(|_| unreadable())?;
    String::from_utf8(bytes).map(Some).map_err(|_| unreadable())
}
