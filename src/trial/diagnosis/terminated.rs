//! How a container ended, by its pod's status.

use serde_json::Value as Json;

use crate::trial::Culprit;

/// How a run of a container ended: `state.terminated`, or `lastState.terminated` of one that was restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminated<'a> {
    /// The exit code.
    pub exit_code: i32,
    /// `Error`, `OOMKilled`, `StartError`, ...
    pub reason: &'a str,
    /// The termination message; empty if none.
    pub message: &'a str,
    /// RFC 3339; empty if unknown.
    pub finished_at: &'a str,
}

/// How the culprit's run ended, by the pod's status: of the state now and the state before, the one of that restart. Works
/// for init containers and ephemeral containers, too. `None` if the pod no longer tells.
#[must_use]
pub fn terminated<'a>(pod: &'a Json, culprit: &Culprit) -> Option<Terminated<'a>> {
    let lists = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
    let statuses = lists.iter().filter_map(|list| pod.get("status")?.get(list)?.as_array()).flatten();
    let named = |status: &&Json| status.get("name").and_then(Json::as_str) == Some(&culprit.container);
    let status = statuses.into_iter().find(named)?;
    let ended = |key: &str| status.get(key)?.get("terminated").filter(|ended| ended.is_object());
    let restarts = status.get("restartCount").and_then(Json::as_u64).unwrap_or_default();
    // A container that was started again tells of its runs before by `lastState`; one that waits to be started does too.
    let before = restarts > u64::from(culprit.restart);
    let ended = if before { ended("lastState") } else { ended("state").or_else(|| ended("lastState")) }?;
    let text = |key: &str| ended.get(key).and_then(Json::as_str).unwrap_or_default();
    Some(Terminated {
        exit_code: ended.get("exitCode").and_then(Json::as_i64).and_then(|code| i32::try_from(code).ok())?,
        reason: text("reason"),
        message: text("message"),
        finished_at: text("finishedAt"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn culprit(restart: u32) -> Culprit {
        Culprit { pod: "p".to_owned(), container: "main".to_owned(), restart }
    }

    #[test]
    fn a_restart_is_told_by_the_state_before() {
        let ended = |code: i32| json!({"terminated": {"exitCode": code, "reason": "Error", "message": "m"}});
        let pod = json!({"status": {"containerStatuses": [
            {"name": "other", "state": ended(9)},
            {"name": "main", "restartCount": 2, "state": ended(2), "lastState": ended(1)},
        ]}});
        let code = |pod: &Json, restart| terminated(pod, &culprit(restart)).map(|ended| ended.exit_code);
        assert_eq!((code(&pod, 2), code(&pod, 1)), (Some(2), Some(1)));
        let waiting = json!({"status": {"initContainerStatuses": [
            {"name": "main", "restartCount": 3, "state": {"waiting": {}}, "lastState": ended(7)},
        ]}});
        assert_eq!(code(&waiting, 3), Some(7));
        assert_eq!(code(&json!({"status": {}}), 0), None);
        assert_eq!(terminated(&pod, &culprit(2)).unwrap().message, "m");
    }
}
