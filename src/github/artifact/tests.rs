//! What is read from answers, and what is asked for. The protocol is in `tests/artifacts.rs`.

use super::*;

#[test]
fn an_artifact_is_kept_for_as_long_as_the_repository_allows() {
    let now: Timestamp = "2026-07-01T10:00:00.25Z".parse().unwrap();
    let kept = |days, longest| expiry(now, days, longest).map(|time| time.to_string());
    assert_eq!(kept(Some(7), None).as_deref(), Some("2026-07-08T10:00:00Z"));
    assert_eq!(kept(Some(90), Some(5)).as_deref(), Some("2026-07-06T10:00:00Z"));
    assert_eq!(kept(Some(1), Some(0)).as_deref(), Some("2026-07-02T10:00:00Z"));
    assert_eq!(kept(None, Some(5)), None, "the repository's own setting holds");
}

#[test]
fn of_each_name_the_newest_is_listed() {
    let artifact = |name: &str, id: u64, job: &str| {
        json!({"workflow_run_backend_id": "r", "workflow_job_run_backend_id": job, "name": name, "database_id": id.to_string(),
               "size": "12", "created_at": "2026-07-01T10:00:00Z", "digest": format!("sha256:{id}")})
    };
    let answer = json!({"artifacts": [artifact("b", 7, "x"), artifact("a", 1, "x"), artifact("b", 12, "y"), artifact("b", 9, "z")]});
    let found = listed::newest(&answer).unwrap();
    let shown: Vec<_> =
        found.iter().map(|found| (found.name.as_str(), found.id, found.ids.job.as_str(), found.size)).collect();
    assert_eq!(shown, [("a", 1, "x", 12), ("b", 12, "y", 12)]);
    assert_eq!(found[1].digest.as_deref(), Some("sha256:12"));
    assert_eq!(listed::newest(&json!({})).unwrap(), []);
    assert!(listed::newest(&json!({"artifacts": [{"name": "a"}]})).unwrap_err().to_string().contains("ListArtifacts"));
}

#[test]
fn an_artifact_has_a_page() {
    assert_eq!(page("https://github.com", "o/r", "5", 77), "https://github.com/o/r/actions/runs/5/artifacts/77");
}
