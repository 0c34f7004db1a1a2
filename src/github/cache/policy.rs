//! Who may read and who may save, and how much.

use crate::settings::{CacheMode, RunContext};

/// Events that run the repository's own code on its default branch. Others that have its reference run code, or read artifacts, of
/// anyone: what they would save, the default branch would run.
const TRUSTED: [&str; 4] = ["push", "schedule", "workflow_dispatch", "repository_dispatch"];

/// What a run does with the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// It looks for entries.
    pub reads: bool,
    /// It saves entries.
    pub saves: bool,
}

/// How much a run saves, in bytes. A repository has 10 GB in all, and what is above drives out the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// The largest entry.
    pub entry: u64,
    /// All entries of the run.
    pub run: u64,
}

impl Default for Caps {
    fn default() -> Self {
        Self { entry: 2 << 30, run: 5 << 30 }
    }
}

impl Access {
    /// What the flag, the event and the runner leave. `on_pull_request` is the config's `cache.on-pull-request`.
    #[must_use]
    pub fn new(mode: CacheMode, on_pull_request: bool, context: &RunContext) -> Self {
        let runner = Self::of_runner(context.services.cache_mode.as_deref().unwrap_or_default());
        let wanted = match mode {
            CacheMode::On => Self { reads: true, saves: is_saved_by(context, on_pull_request) },
            CacheMode::Read => Self { reads: true, saves: false },
            CacheMode::Off => Self { reads: false, saves: false },
        };
        Self { reads: wanted.reads && runner.reads, saves: wanted.saves && runner.saves }
    }

    /// What `ACTIONS_CACHE_MODE` allows. Without it, and where it is not known, everything: the service has the last word.
    ///
    /// `isCacheReadable`, `isCacheWritable` of `@actions/cache` 6.3 (`internal/config`).
    fn of_runner(mode: &str) -> Self {
        match mode.trim().to_lowercase().as_str() {
            "none" => Self { reads: false, saves: false },
            "read" => Self { reads: true, saves: false },
            "write-only" => Self { reads: false, saves: true },
            _ => Self { reads: true, saves: true },
        }
    }
}

fn is_saved_by(context: &RunContext, on_pull_request: bool) -> bool {
    let event = context.event();
    if event == "pull_request" {
        return on_pull_request;
    }
    is_of_default_branch(context)
}

/// Whether the repository's own code on its default branch is what runs: what it leaves, every later run may rely on.
#[must_use]
pub fn is_of_default_branch(context: &RunContext) -> bool {
    let event = context.event();
    // A schedule runs on the default branch alone, and its payload does not say which that is.
    let is_default = event == "schedule"
        || context.default_branch().is_some_and(|branch| {
            context.reference.as_deref().and_then(|reference| reference.strip_prefix("refs/heads/")) == Some(branch)
        });
    TRUSTED.contains(&event) && is_default
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::Services;

    fn context(event: &str, reference: &str) -> RunContext {
        RunContext {
            event_name: Some(event.to_owned()),
            reference: Some(reference.to_owned()),
            event_payload: json!({"repository": {"default_branch": "trunk"}}),
            ..RunContext::default()
        }
    }

    fn saves(event: &str, reference: &str, on_pull_request: bool) -> bool {
        Access::new(CacheMode::On, on_pull_request, &context(event, reference)).saves
    }

    #[test]
    fn only_the_projects_own_code_on_the_default_branch_saves() {
        for event in TRUSTED {
            assert!(saves(event, "refs/heads/trunk", false), "{event}");
        }
        for (event, reference) in [
            ("push", "refs/heads/topic"),
            ("push", "refs/heads/trunk/x"),
            ("push", "refs/tags/trunk"),
            ("workflow_dispatch", "refs/heads/topic"),
            ("pull_request", "refs/pull/7/merge"),
            ("pull_request_target", "refs/heads/trunk"),
            ("workflow_run", "refs/heads/trunk"),
            ("issue_comment", "refs/heads/trunk"),
            ("merge_group", "refs/heads/gh-readonly-queue/trunk/pr-7-abc"),
        ] {
            assert!(!saves(event, reference, false), "{event} on {reference}");
        }
    }

    #[test]
    fn a_schedule_is_the_default_branchs_though_its_payload_does_not_say_so() {
        let payload = json!({"schedule": "0 0 * * *"});
        let context = RunContext { event_payload: payload, ..context("schedule", "refs/heads/trunk") };
        assert!(Access::new(CacheMode::On, false, &context).saves);
    }

    #[test]
    fn pull_requests_save_where_the_config_says_so_but_never_with_the_targets_rights() {
        assert!(saves("pull_request", "refs/pull/7/merge", true));
        assert!(!saves("pull_request_target", "refs/heads/trunk", true));
    }

    #[test]
    fn the_flag_and_the_runner_both_have_to_allow_it() {
        let access = |mode, runner: &str| {
            let services = Services { cache_mode: Some(runner.to_owned()), ..Services::default() };
            let access = Access::new(mode, false, &RunContext { services, ..context("push", "refs/heads/trunk") });
            (access.reads, access.saves)
        };
        for (runner, expected) in [
            ("", (true, true)),
            ("write", (true, true)),
            (" READ ", (true, false)),
            ("write-only", (false, true)),
            ("none", (false, false)),
            ("something-new", (true, true)),
        ] {
            assert_eq!(access(CacheMode::On, runner), expected, "{runner}");
        }
        assert_eq!(access(CacheMode::Read, "write"), (true, false));
        assert_eq!(access(CacheMode::Off, "write"), (false, false));
    }
}
