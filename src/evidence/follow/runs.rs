//! Which runs of containers there are to read, from the states of pods. Pure.

use std::collections::BTreeMap;

use serde_json::Value as Json;

/// One run of a container: from its start to its exit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Run {
    /// The pod's uid: another pod may take the name.
    pub uid: String,
    pub pod: String,
    pub container: String,
    /// How often it had been restarted before.
    pub restart: u32,
}

/// How a run's log can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// It runs: its log can be followed.
    Running,
    /// It ended, and its log is the container's current one.
    Ended,
    /// It ended, and its log is the container's previous one.
    Previous,
    /// The container was restarted more than once since: the server has no log of it any more.
    Lost,
}

/// The runs that were seen, and their phases.
#[derive(Debug, Default)]
pub(super) struct Runs(BTreeMap<Run, Phase>);

impl Runs {
    /// Takes a pod's state. Returns the runs that are new or in another phase now; a phase never goes back.
    pub(super) fn see(&mut self, pod: &Json) -> Vec<(Run, Phase)> {
        let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default().to_owned();
        let (uid, name) = (text("uid"), text("name"));
        let mut news = Vec::new();
        for status in ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"]
            .iter()
            .flat_map(|list| pod["status"][list].as_array().into_iter().flatten())
        {
            let Some(container) = status["name"].as_str() else { continue };
            let run = |restart| Run { uid: uid.clone(), pod: name.clone(), container: container.into(), restart };
            let seen = phases(status);
            let oldest = seen.iter().map(|(restart, _)| *restart).min();
            let older = self.0.range(run(0)..oldest.map_or(run(0), run)).map(|(run, _)| (run.clone(), Phase::Lost));
            let older: Vec<_> = older.collect();
            for (run, phase) in seen.into_iter().map(|(restart, phase)| (run(restart), phase)).chain(older) {
                if self.0.get(&run).is_none_or(|known| *known < phase) {
                    self.0.insert(run.clone(), phase);
                    news.push((run, phase));
                }
            }
        }
        news
    }
}

/// The runs that a container's status tells of. While a container waits to be restarted, its last run already bears the
/// current count; once it was restarted, that run's is one less.
fn phases(status: &Json) -> Vec<(u32, Phase)> {
    let count = status["restartCount"].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or_default();
    let (state, has_last) = (&status["state"], status["lastState"]["terminated"].is_object());
    let current = if state["running"].is_object() {
        Phase::Running
    } else if state["terminated"].is_object() {
        Phase::Ended
    } else if has_last {
        return vec![(count, Phase::Previous)];
    } else {
        return Vec::new();
    };
    let last = count.checked_sub(1).filter(|_| has_last).map(|restart| (restart, Phase::Previous));
    last.into_iter().chain([(count, current)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(statuses: &str, restarts: u32, state: &str, has_last: bool) -> Json {
        let last = if has_last { json!({"terminated": {"exitCode": 1}}) } else { json!({}) };
        json!({"metadata": {"name": "p", "uid": "u"}, "status": {statuses: [
            {"name": "main", "restartCount": restarts, "state": {state: {}}, "lastState": last}]}})
    }

    fn see(runs: &mut Runs, restarts: u32, state: &str, last: bool) -> Vec<(u32, Phase)> {
        let news = runs.see(&pod("containerStatuses", restarts, state, last));
        news.into_iter().map(|(run, phase)| (run.restart, phase)).collect()
    }

    #[test]
    fn a_crash_loop_is_told_run_by_run_as_a_server_shows_it() {
        let mut runs = Runs::default();
        assert_eq!(see(&mut runs, 0, "waiting", false), []);
        assert_eq!(see(&mut runs, 0, "running", false), [(0, Phase::Running)]);
        assert_eq!(see(&mut runs, 0, "running", false), [], "the same state twice");
        assert_eq!(see(&mut runs, 0, "terminated", false), [(0, Phase::Ended)]);
        assert_eq!(see(&mut runs, 1, "running", true), [(0, Phase::Previous), (1, Phase::Running)]);
        assert_eq!(see(&mut runs, 1, "terminated", true), [(1, Phase::Ended)]);
        assert_eq!(see(&mut runs, 1, "waiting", true), [(1, Phase::Previous), (0, Phase::Lost)]);
        assert_eq!(see(&mut runs, 2, "running", true), [(2, Phase::Running)]);
        assert_eq!(see(&mut runs, 2, "terminated", true), [(2, Phase::Ended)]);
    }

    #[test]
    fn a_run_that_was_missed_is_found_as_the_previous_one() {
        let mut runs = Runs::default();
        assert_eq!(see(&mut runs, 3, "running", true), [(2, Phase::Previous), (3, Phase::Running)]);
        assert_eq!(see(&mut runs, 5, "waiting", true), [(5, Phase::Previous), (2, Phase::Lost), (3, Phase::Lost)]);
    }

    #[test]
    fn init_and_ephemeral_containers_are_containers() {
        for list in ["initContainerStatuses", "ephemeralContainerStatuses"] {
            assert_eq!(Runs::default().see(&pod(list, 0, "running", false)).len(), 1, "{list}");
        }
    }

    #[test]
    fn another_pod_of_the_same_name_is_another_pod() {
        let mut runs = Runs::default();
        let mut pod = pod("containerStatuses", 0, "running", false);
        assert_eq!(runs.see(&pod).len(), 1);
        pod["metadata"]["uid"] = "other".into();
        assert_eq!(runs.see(&pod).len(), 1);
    }
}
