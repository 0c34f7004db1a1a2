//! Whether a run may run the code that it was given.
//!
//! A `pull_request` from a fork is harmless: GitHub gives its jobs a token that reads and no secrets. Other events run a
//! workflow of the default branch, with secrets and a token that may write, about a change that anybody may have proposed.
//! Judging examples there would hand all of that to the change: `run` starts its containers, scripts and builds, and even the
//! basic tier follows its symbolic links and renders its kustomize folders. Such a run is refused before anything is created.
//! <https://docs.github.com/en/actions/reference/security/secure-use#mitigating-the-risks-of-untrusted-code-checkout>
//!
//! It is refused by the event, not by what was checked out: what a step before this one checked out can't be told for sure, and
//! where it left the default branch, the run would judge the wrong commit. Changes from branches of the repository itself pass:
//! who can push there can change its workflows too.
//!
//! The token of a job is masked in its log by the runner; that of the results service is too. Neither is put into the
//! environment of a child process (see `child`), and this program never prints them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::api::Api;
use super::collect::WorkflowRun;
use super::pull_request::{self, Lookup, PullRequest};
use crate::config::{self, Config};
use crate::diagnostic::Diagnostic;
use crate::diagnostic::inert::inert;
use crate::error::{Error, Result};
use crate::git::ChangedLines;
use crate::settings::{Command, RunContext};

/// The most of a line that a sentence quotes, in characters.
const LONGEST_QUOTE: usize = 120;
/// Where the pair of workflows is described that comments on pull requests of forks without running their code where the
/// token can write.
pub const FORK_SAFE_PAIR: &str =
    "https://github.com/org/example-validator/blob/v1/docs/fan-out.md#pull-requests-from-forks";

/// Refuses to look at a stranger's change in a job that may have secrets and a token that writes, unless it is allowed by the
/// input `allow-untrusted`.
///
/// # Errors
/// [`Error::Usage`], with what could happen and what to do instead.
pub fn check(context: &RunContext, allow_untrusted: bool, command: &Command) -> Result<()> {
    // The other commands read nothing of the checkout but the config, and start nothing of it.
    let looks_at_code = matches!(command, Command::Run(_) | Command::Lint(_) | Command::Plan(_));
    if allow_untrusted || !looks_at_code || !context.github_actions {
        return Ok(());
    }
    let Some(origin) = stranger(context.event(), &context.event_payload) else { return Ok(()) };
    let message = format!(
        "the event {} may bring {origin} to a job with secrets and a token that can write: its containers, builds and scripts \
         could take both",
        context.event()
    );
    let help = format!(
        "let a workflow on `pull_request` run the examples, and one on `workflow_run` comment: {FORK_SAFE_PAIR}; or set \
         `allow-untrusted: true`, if somebody looks at each change before it runs"
    );
    Err(Error::usage(Diagnostic::error(message).with_help(help)))
}

/// Whose code a privileged event may bring; `None` where it can only be that of people who can write to the repository.
/// Events: <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows>.
fn stranger(event: &str, payload: &Value) -> Option<&'static str> {
    match event {
        // Which branch a step before this one checked out the payload does not say; none of them needs this event to be judged.
        "pull_request_target" => Some("the change of a pull request"),
        "workflow_run" => {
            let run = payload.get("workflow_run");
            let head = run.and_then(|run| run.pointer("/head_repository/full_name"));
            let base = payload.pointer("/repository/full_name");
            (!is_same(head, base)).then_some("the change of a fork")
        }
        // Anybody may comment, and what the pull request is of at that moment the payload does not say.
        "issue_comment" => payload.pointer("/issue/pull_request").is_some().then_some("the change of a pull request"),
        _ => None,
    }
}

/// What of a change a reviewer should see before believing its results, a sentence each that begins with a verb (`changes ...`):
/// what it changes in the config (`before` is `None` where there was none), the workflows by which it runs this action, the
/// settings that its manifests carry. Pure. File names and reasons in it come from the change: they are inert for a terminal, and still
/// have to be escaped for Markdown.
#[must_use]
pub fn sensitive(
    before: Option<&Config>,
    after: &Config,
    workflows: &BTreeSet<String>,
    lines: &[ChangedLines],
) -> Vec<String> {
    let none = Config::default();
    let mut told = config::differences(before.unwrap_or(&none), after);
    told.extend(
        workflows.iter().map(|file| format!("changes the workflow {}, which may run this action", inert(file))),
    );
    let changed = lines.iter().filter(|lines| lines.before != lines.after);
    told.extend(changed.map(|ChangedLines { file, before, after }| {
        let quoted = |lines: &[String]| {
            let text: String = lines.join(" ").chars().take(LONGEST_QUOTE).collect();
            inert(&text).into_owned()
        };
        match (before.as_slice(), after.as_slice()) {
            ([], after) => format!("gives {} settings of its own: {}", inert(file), quoted(after)),
            (before, []) => format!("takes its own settings from {}: {}", inert(file), quoted(before)),
            (before, after) => {
                format!("changes the own settings of {} from {} to {}", inert(file), quoted(before), quoted(after))
            }
        }
    }));
    told
}

/// Why results of another run are not published on a pull request: a sentence for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice(pub String);

/// The pull request that the results of another workflow run are published on. Its number comes from GitHub alone, never from an
/// artifact: from what it says of the run, confirmed by the commit and the repository that the pull request is at now.
///
/// # Errors
/// Why there is none: the branch has moved on (a newer run will comment), it is closed, the run belongs to another repository.
pub async fn published_for(api: &Api, repository: &str, run: &WorkflowRun) -> Result<PullRequest, Notice> {
    let notice = |why: String| Notice(format!("workflow run {}: {why}: no pull request gets a comment", run.id));
    if !run.repository.eq_ignore_ascii_case(repository) {
        return Err(notice(format!("it is of {}, and not {repository}", run.repository)));
    }
    let lookup = run.lookup();
    if let Lookup::None(why) = lookup {
        return Err(notice(why.to_owned()));
    }
    match pull_request::find(api, repository, lookup).await {
        Ok(Some(found)) if found.is_open => Ok(found),
        Ok(Some(found)) => Err(notice(format!("pull request {} is closed", found.number))),
        Ok(None) => Err(notice(format!("no pull request is at its commit {} now", run.head_sha))),
        Err(error) => Err(notice(error.to_string())),
    }
}

/// Whether both are there and the same repository: that of a deleted fork is `null`.
fn is_same(head: Option<&Value>, base: Option<&Value>) -> bool {
    let name = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_lowercase);
    name(head).is_some_and(|head| name(base) == Some(head))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Format, PlanFormat};
    use serde_json::json;

    const RUN: Command = Command::Run(Format::Github);

    fn context(event: &str, payload: Value) -> RunContext {
        RunContext {
            github_actions: true,
            event_name: Some(event.to_owned()),
            event_payload: payload,
            ..RunContext::default()
        }
    }

    fn target(head: &Value) -> Value {
        json!({"pull_request": {"head": {"repo": head}, "base": {"repo": {"full_name": "o/r"}}}, "repository": {"full_name": "o/r"}})
    }

    fn of_run(head: &Value) -> Value {
        json!({"workflow_run": {"event": "pull_request", "head_repository": head}, "repository": {"full_name": "o/r"}})
    }

    fn passes(event: &str, payload: Value) -> bool {
        check(&context(event, payload), false, &RUN).is_ok()
    }

    #[test]
    fn the_change_of_a_fork_is_refused_where_the_token_can_write() {
        for fork in [json!({"full_name": "stranger/r"}), Value::Null] {
            assert!(!passes("pull_request_target", target(&fork)));
            assert!(!passes("workflow_run", of_run(&fork)));
        }
        assert!(!passes("issue_comment", json!({"issue": {"pull_request": {"url": "u"}}})));
        // A payload that says nothing proves nothing.
        assert!(!passes("pull_request_target", Value::Null) && !passes("workflow_run", json!({})));
    }

    #[test]
    fn what_people_with_access_bring_passes() {
        let own = || json!({"full_name": "O/r"});
        assert!(passes("workflow_run", of_run(&own())));
        // Of this one nobody knows what was checked out.
        assert!(!passes("pull_request_target", target(&own())));
        assert!(passes("issue_comment", json!({"issue": {"number": 1}})));
        assert!(passes("push", Value::Null) && passes("schedule", Value::Null) && passes("merge_group", Value::Null));
        // A fork's own pull request has neither secrets nor a token that writes.
        assert!(passes("pull_request", target(&json!({"full_name": "stranger/r"}))));
    }

    #[test]
    fn every_command_that_looks_at_the_code_is_refused_and_no_other() {
        let context = context("pull_request_target", target(&Value::Null));
        let of = |command: Command| check(&context, false, &command).is_ok();
        assert!(!of(RUN) && !of(Command::Lint(Format::Text)) && !of(Command::Plan(PlanFormat::Table)));
        assert!(of(Command::Report { format: Format::Github, from_run: Some(1) }) && of(Command::Clean { own: true }));
    }

    #[test]
    fn it_can_be_allowed_knowingly_and_does_not_concern_a_terminal() {
        let mut context = context("pull_request_target", target(&Value::Null));
        assert!(check(&context, true, &RUN).is_ok());
        context.github_actions = false;
        assert!(check(&context, false, &RUN).is_ok());
    }

    #[test]
    fn what_a_reviewer_should_see_is_told_in_sentences() {
        let lines = |file: &str, before: &[&str], after: &[&str]| ChangedLines {
            file: file.to_owned(),
            before: before.iter().map(ToString::to_string).collect(),
            after: after.iter().map(ToString::to_string).collect(),
        };
        let after = Config { fail_on: vec![], ..Config::default() };
        let workflows = BTreeSet::from([".github/workflows/e2e.yml".to_owned()]);
        let changed = [
            lines("a.yaml", &["# example-validator: tier=full"], &["# example-validator: tier=basic"]),
            lines("b.yaml", &[], &["# example-validator: expect=failed\u{1b}"]),
            lines("c.yaml", &["# example-validator: x"], &[]),
            lines("same.yaml", &["# example-validator: x"], &["# example-validator: x"]),
        ];
        assert_eq!(
            sensitive(None, &after, &workflows, &changed),
            [
                "changes `fail-on` from failed, timed-out, errored to nothing",
                "changes the workflow .github/workflows/e2e.yml, which may run this action",
                "changes the own settings of a.yaml from # example-validator: tier=full to # example-validator: tier=basic",
                "gives b.yaml settings of its own: # example-validator: expect=failed␛",
                "takes its own settings from c.yaml: # example-validator: x",
            ]
        );
        assert_eq!(sensitive(Some(&after), &after, &BTreeSet::new(), &[]), [""; 0]);
    }

    #[test]
    fn the_refusal_says_what_could_happen_and_what_to_do() {
        let error = check(&context("workflow_run", json!({})), false, &RUN).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let Error::Usage(diagnostics) = error else { panic!("expected a usage error") };
        assert!(diagnostics[0].message.contains("the change of a fork"), "{}", diagnostics[0].message);
        let help = diagnostics[0].help.as_deref().unwrap_or_default();
        assert!(
            help.contains("pull_request") && help.contains("allow-untrusted: true") && help.contains(FORK_SAFE_PAIR)
        );
    }
}
