//! Where the time of a run went: what was built, created, deployed and tried, and when. What charts draw; pure.

use std::fmt;

use jiff::Timestamp;

use super::{Attempt, Cluster, Image, Report, Row, words};
use crate::model::Outcome;

/// No bar begins later than this or is longer, in milliseconds: 35 days, which is what GitHub gives a workflow. What a report
/// says beyond it is no time of a run.
const LONGEST: u64 = 35 * 24 * 60 * 60 * 1000;

/// Something that took a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    pub lane: Lane,
    /// What was done: the name of an image or an example, `create`, `deploy`. Text of others, as it was found.
    pub label: String,
    /// Milliseconds since the run began.
    pub start_ms: u64,
    pub length_ms: u64,
    /// What became of it; `None` of what has no outcome of its own, and did not fail.
    pub outcome: Option<Outcome>,
}

/// What bars are told under, in the order in which they are told: the versions by their numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Images that were built.
    Build,
    /// The creation of the cluster of a version.
    Cluster(String),
    /// The deployment of the operator on a version.
    Operator(String),
    /// The attempts at examples on a version.
    Examples(String),
}

impl Lane {
    /// The version; `None` of what serves all of them.
    #[must_use]
    pub fn kubernetes(&self) -> Option<&str> {
        match self {
            Self::Build => None,
            Self::Cluster(version) | Self::Operator(version) | Self::Examples(version) => Some(version),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Build => 0,
            Self::Cluster(_) => 1,
            Self::Operator(_) => 2,
            Self::Examples(_) => 3,
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build => f.write_str("Build"),
            Self::Cluster(version) => write!(f, "Cluster {version}"),
            Self::Operator(version) => write!(f, "Operator {version}"),
            Self::Examples(version) => write!(f, "Examples {version}"),
        }
    }
}

/// All that is known to have taken time, by lane and then by start: one bar an image that was built, a cluster, a deployment,
/// an attempt. What is not known to have begun is left out; what began before the run (another job's clock) begins with it.
///
/// Reports of earlier versions don't say when a cluster was begun: with the run then, and the operator after it.
#[must_use]
pub fn bars(report: &Report) -> Vec<Bar> {
    let Some(zero) = zero(report) else { return Vec::new() };
    let images = report.images.iter().filter_map(|image| build(image, zero));
    let clusters = report.clusters.iter().flat_map(|cluster| cluster_bars(cluster, zero));
    let attempts = report.results.iter().flat_map(|row| attempts(row, zero));
    let mut bars: Vec<_> = images.chain(clusters).chain(attempts).collect();
    bars.sort_by_cached_key(|bar| {
        let version = bar.lane.kubernetes().map(|version| (words::version_key(version).0, version.to_owned()));
        (version, bar.lane.rank(), bar.start_ms, bar.label.clone(), bar.length_ms)
    });
    bars
}

/// When the run began: its own word, else the earliest that anything in it did.
fn zero(report: &Report) -> Option<Timestamp> {
    let clusters = report.clusters.iter().map(|cluster| &cluster.started_at);
    let attempts = report.results.iter().flat_map(|row| &row.attempts).map(|attempt| &attempt.started_at);
    moment(&report.run.started_at).or_else(|| clusters.chain(attempts).filter_map(|text| moment(text)).min())
}

fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// A bar, if it can be one of a run.
fn bar(lane: Lane, label: impl Into<String>, start_ms: u64, length_ms: u64, outcome: Option<Outcome>) -> Option<Bar> {
    let bar = Bar { lane, label: label.into(), start_ms, length_ms: length_ms.min(LONGEST), outcome };
    (bar.start_ms <= LONGEST).then_some(bar)
}

/// Milliseconds from `zero` to a moment, 0 if it is before; `None` if the text is no moment.
fn since(zero: Timestamp, text: &str) -> Option<u64> {
    let passed = moment(text)?.as_millisecond().saturating_sub(zero.as_millisecond());
    Some(u64::try_from(passed).unwrap_or(0))
}

fn build(image: &Image, zero: Timestamp) -> Option<Bar> {
    bar(Lane::Build, &image.name, since(zero, &image.started_at)?, image.build_ms, None)
}

fn cluster_bars(cluster: &Cluster, zero: Timestamp) -> impl Iterator<Item = Bar> {
    let took = |phase: &str| cluster.phases.get(phase).and_then(serde_json::Value::as_u64);
    let version = || cluster.kubernetes.clone();
    let failed = cluster.cause.as_ref().map(|_| Outcome::Errored);
    let (create, operator) = (took("createMs"), took("operatorMs"));
    let began = since(zero, &cluster.started_at).unwrap_or(0);
    let deployed =
        since(zero, &cluster.operator_started_at).unwrap_or_else(|| began.saturating_add(create.unwrap_or(0)));
    // What came last is what failed.
    let created = create
        .filter(|_| !cluster.is_found())
        .and_then(|took| bar(Lane::Cluster(version()), "create", began, took, failed.filter(|_| operator.is_none())));
    let deployed = operator.and_then(|took| bar(Lane::Operator(version()), "deploy", deployed, took, failed));
    created.into_iter().chain(deployed)
}

fn attempts(row: &Row, zero: Timestamp) -> impl Iterator<Item = Bar> {
    let version = row.kubernetes.as_ref().filter(|_| !row.attempts.is_empty());
    let all =
        version.into_iter().flat_map(move |version| row.attempts.iter().enumerate().map(move |all| (version, all)));
    all.filter_map(move |(version, (index, attempt))| {
        let label = match index {
            0 => row.example.to_string(),
            _ => format!("{} (attempt {})", row.example, index + 1),
        };
        let start = since(zero, &attempt.started_at)?;
        bar(Lane::Examples(version.clone()), label, start, length(row, attempt), Some(attempt.outcome))
    })
}

/// How long an attempt took. Of several it is when it finished, and the same share of the rest of the row's time for those
/// that never did.
fn length(row: &Row, attempt: &Attempt) -> u64 {
    let finished = |attempt: &Attempt| attempt.phases.get("finishedMs").and_then(serde_json::Value::as_u64);
    match (row.attempts.len(), finished(attempt)) {
        (1, _) => row.duration_ms,
        (_, Some(finished)) => finished,
        (_, None) => {
            let known = row.attempts.iter().filter_map(finished).fold(0, u64::saturating_add);
            let open = row.attempts.iter().filter(|attempt| finished(attempt).is_none()).count();
            row.duration_ms.saturating_sub(known) / u64::try_from(open).unwrap_or(u64::MAX).max(1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Cause, CauseClass};
    use crate::report::{Run, sample};
    use serde_json::json;

    const ZERO: &str = "2026-11-23T20:00:00Z";

    fn report(clusters: Vec<Cluster>, images: Vec<Image>, rows: Vec<Row>) -> Report {
        let run = Run { started_at: ZERO.to_owned(), ..Run::default() };
        Report::new(run, clusters, images, rows, &[])
    }

    fn cluster(kubernetes: &str, phases: &serde_json::Value) -> Cluster {
        let sample = sample::report().clusters.remove(0);
        Cluster {
            kubernetes: kubernetes.to_owned(),
            started_at: "2026-11-23T20:00:01Z".to_owned(),
            operator_started_at: "2026-11-23T20:01:30.5Z".to_owned(),
            phases: phases.as_object().cloned().unwrap(),
            ..sample
        }
    }

    fn row(example: &str, kubernetes: &str, starts: &[&str]) -> Row {
        let mut row = sample::slow(example, kubernetes);
        let attempt = row.attempts[0].clone();
        let attempts = starts.iter().map(|at| Attempt {
            started_at: (*at).to_owned(),
            phases: serde_json::Map::new(),
            ..attempt.clone()
        });
        row.attempts = attempts.collect();
        row
    }

    fn told(report: &Report) -> Vec<String> {
        let line = |bar: Bar| {
            let outcome = bar.outcome.map_or("-", Outcome::as_str);
            format!("{}: {} {}+{} {outcome}", bar.lane, bar.label, bar.start_ms, bar.length_ms)
        };
        bars(report).into_iter().map(line).collect()
    }

    #[test]
    fn what_was_built_created_deployed_and_tried_is_told_by_version_and_start() {
        let image = Image {
            started_at: "2026-11-23T20:00:02Z".to_owned(),
            build_ms: 9_000,
            ..sample::report().images.remove(0)
        };
        let cached = Image { started_at: String::new(), ..image.clone() };
        let phases = json!({"createMs": 40_000, "operatorMs": 20_000});
        let mut twice = row("b.yaml", "v1.34.0", &["2026-11-23T20:02:00Z", "2026-11-23T20:03:00Z"]);
        twice.duration_ms = 90_000;
        twice.attempts[0].phases.insert("finishedMs".to_owned(), 50_000.into());
        twice.attempts[1].outcome = Outcome::Passed;
        let mut once = row("a.yaml", "v1.34.0", &["2026-11-23T20:02:30Z"]);
        once.duration_ms = 7_000;
        let rows = vec![once, twice, sample::row("static.yaml", Outcome::Passed)];
        let clusters = vec![cluster("v1.34.0", &phases), cluster("v1.9.0", &phases)];
        assert_eq!(
            told(&report(clusters, vec![image, cached], rows)),
            [
                "Build: example/mnist 2000+9000 -",
                "Cluster v1.9.0: create 1000+40000 -",
                "Operator v1.9.0: deploy 90500+20000 -",
                "Cluster v1.34.0: create 1000+40000 -",
                "Operator v1.34.0: deploy 90500+20000 -",
                "Examples v1.34.0: b.yaml 120000+50000 timed-out",
                "Examples v1.34.0: a.yaml 150000+7000 timed-out",
                "Examples v1.34.0: b.yaml (attempt 2) 180000+40000 passed",
            ]
        );
    }

    #[test]
    fn an_older_report_has_its_clusters_at_its_start_and_the_operator_after_them() {
        let mut old = cluster("v1.34.0", &json!({"createMs": 40_000, "operatorMs": 20_000}));
        (old.started_at, old.operator_started_at) = Default::default();
        assert_eq!(
            told(&report(vec![old], vec![], vec![])),
            ["Cluster v1.34.0: create 0+40000 -", "Operator v1.34.0: deploy 40000+20000 -"]
        );
    }

    #[test]
    fn of_a_cluster_that_failed_the_last_step_is_what_failed() {
        let failed = |phases: &serde_json::Value| {
            let cause = Some(Cause::new(CauseClass::Cluster, "X", "x"));
            report(vec![Cluster { cause, ..cluster("v1.34.0", phases) }], vec![], vec![])
        };
        assert_eq!(told(&failed(&json!({"createMs": 5}))), ["Cluster v1.34.0: create 1000+5 errored"]);
        assert_eq!(
            told(&failed(&json!({"createMs": 5, "operatorMs": 6}))),
            ["Cluster v1.34.0: create 1000+5 -", "Operator v1.34.0: deploy 90500+6 errored"]
        );
        assert_eq!(told(&failed(&json!({}))), [""; 0]);
    }

    #[test]
    fn without_the_start_of_the_run_the_earliest_is_taken() {
        let mut report = report(
            vec![],
            vec![],
            vec![row("a", "v1", &["2026-11-23T20:00:09Z"]), row("b", "v1", &["2026-11-23T20:00:05Z"])],
        );
        "yesterday".clone_into(&mut report.run.started_at);
        let starts: Vec<_> = bars(&report).iter().map(|bar| bar.start_ms).collect();
        assert_eq!(starts, [0, 4_000]);
        report.results.clear();
        assert_eq!(bars(&report), []);
    }

    #[test]
    fn times_that_no_run_can_have_are_bounded_or_left_out() {
        let hostile = |at: &str| row("a", "v1", &[at]);
        let mut long = row("long", "v1", &["1999-01-01T00:00:00Z"]);
        long.duration_ms = u64::MAX;
        let rows = vec![
            hostile(""),
            hostile("never"),
            hostile("9999-12-30T22:00:00Z"),
            hostile("-009999-01-02T01:59:59Z"),
            long,
        ];
        let phases = json!({"createMs": u64::MAX, "operatorMs": -5});
        let mut endless = cluster("v1", &json!({"createMs": u64::MAX, "operatorMs": u64::MAX}));
        endless.operator_started_at.clear();
        let told = told(&report(vec![cluster("v1", &phases), endless], vec![], rows));
        assert_eq!(
            told,
            [
                "Cluster v1: create 1000+3024000000 -".to_owned(),
                "Cluster v1: create 1000+3024000000 -".to_owned(),
                "Examples v1: a 0+900120 timed-out".to_owned(),
                format!("Examples v1: long 0+{LONGEST} timed-out"),
            ]
        );
    }
}
