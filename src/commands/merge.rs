//! `report`: one report from the results of several shards.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::gather::{self, Another, Artifacts, Found, Gathered, warning};
use super::history::Kept;
use super::judge::{self, Shown, Start, show, write_reports};
use super::publish::{self, Addressee, Finished};
use super::{changes, planning};
use crate::config;
use crate::diagnostic::{Diagnostic, Severity};
use crate::error::{Error, Result};
use crate::github::collect;
use crate::github::trust::Notice;
use crate::model::{Conclusion, ExampleId};
use crate::plan::Plan;
use crate::report::comment::{Artifact, RunPage};
use crate::report::merge::{self, Cell, Planned};
use crate::report::{self, Details, Report, Row};
use crate::settings::{Format, PlanSource, RunContext, Settings};

/// What a reader must know of results that a stranger's code had in its hands.
const OF_FORK: &str = "These results were made where the code of a fork ran, which could have written anything: they are as trustworthy as that \
                       code.";
/// More shards than this are none of ours, whatever a report says.
const MOST_SHARDS: usize = crate::plan::MAX_JOBS;

/// Merges the reports of the folders that were named, or of the artifacts of a workflow run (of `--output`, where there is
/// neither), writes the merged one and prints it.
pub fn report(settings: &Settings, context: &RunContext, format: Format, from_run: Option<u64>) -> Result<u8> {
    report::output::check_place(&settings.output, &settings.root)?;
    let config = settings.over(config::read(&settings.root, settings.config.as_deref())?)?;
    let given = match &settings.selection.plan {
        Some(PlanSource::File(_)) => planning::given_plan(settings, context)?,
        Some(PlanSource::Digest(_)) | None => None,
    };
    let digest = digest(settings, given.as_ref());
    let mut gathered = match gather::gather(settings, context, &config, from_run, digest)? {
        Found::Results(gathered) => *gathered,
        Found::Nothing(why) => {
            super::tell(&[warning(why)], context);
            return Ok(0);
        }
    };
    let plan = plan(settings, context, given, &mut gathered)?;
    let runtime = super::runtime()?;
    let mut kept = runtime.block_on(Kept::read(settings, context, &config))?;
    let Gathered { mut reports, mut remarks, artifacts, .. } = gathered;
    kept.merges(&reports);
    let planned = plan.as_ref().map(|plan| planned(plan, &reports)).unwrap_or_default();
    if reports.is_empty() && plan.is_some() {
        // None has arrived: what is planned is missing, all of it.
        let run = judge::run_of(context, settings, &Start::now(), false);
        reports.push(Report::new(report::Run { shard: None, ..run }, vec![], vec![], vec![], &config.fail_on));
    }
    let merged =
        merge::merge(reports, &planned, &config.fail_on).ok_or_else(|| nothing(&remarks, artifacts.as_ref()))?;
    let mut told: Vec<_> = merged.remarks.iter().map(warning).collect();
    told.append(&mut remarks);
    told.extend(kept.told.iter().cloned());
    let another = artifacts.as_ref().and_then(|artifacts| artifacts.another.as_ref());
    let sensitive = match another {
        Some(another) => another.sensitive.clone(),
        None => changes::sensitive(settings, context),
    };
    told.extend(sensitive.iter().map(|what| warning(format!("this change {what}"))));
    told.extend(artifacts.iter().flat_map(|artifacts| evidence(&merged.report, artifacts)));
    let (mut report, lost) = match &artifacts {
        Some(artifacts) => of_artifacts(merged.report, artifacts),
        None => (merged.report, Vec::new()),
    };
    kept.assess(&mut report, Timestamp::now());
    let details = Details::default();
    let prefix = judge::prefix(settings, context);
    let mut about = publish::about(settings, context, &prefix, &sensitive);
    about.notices.extend(merged.remarks);
    about.notices.extend(lost);
    about.artifacts = artifacts.iter().flat_map(|artifacts| links(&report, artifacts)).collect();
    if let Some(Another { run, .. }) = another {
        if run.is_of_fork {
            // First: what follows it was in that code's hands.
            about.notices.insert(0, OF_FORK.to_owned());
        }
        about.run = Some(RunPage { id: run.id.to_string(), attempt: run.attempt });
    }
    let written = write_reports(settings, &report, &details, plan.as_ref(), &about);
    show(&report, &details, &told, context, settings, Shown { format, rows_are: false })?;
    // Only now that everything is on disk: GitHub may take its time.
    let cancel = &CancellationToken::new();
    let addressee = runtime.block_on(addressee(settings, context, another, cancel));
    if let Some(found) = addressee.pull_request() {
        let event = another.map_or(context.event(), |another| another.run.event.as_str());
        publish::address(&mut about, event, found);
    }
    if another.is_none() {
        // Another run's results are what its code left: only a run itself enters the history.
        runtime.block_on(kept.remember(&report, settings, context, &mut about, cancel));
    }
    let finished = Finished {
        settings,
        context,
        report: &report,
        details: &details,
        addressee: &addressee,
        is_merged: true,
        about,
        cancel,
    };
    super::tell(&runtime.block_on(finished.publish()), context);
    written?;
    Ok(report::exit_code(&report, &config.fail_on))
}

/// Who gets the comment: the pull request of the other run, as GitHub knows it, or of this one.
async fn addressee(
    settings: &Settings,
    context: &RunContext,
    another: Option<&Another>,
    cancel: &CancellationToken,
) -> Addressee {
    let Some(Another { pull_request, .. }) = another else {
        return publish::addressee(settings, context, cancel).await;
    };
    match pull_request {
        Ok(found) => publish::of(settings, context, found.clone()),
        Err(Notice(why)) => Addressee::Unknown(why.clone()),
    }
}

/// The digest of the plan that was named: of a file that was read, or by itself.
fn digest<'a>(settings: &'a Settings, given: Option<&'a Plan>) -> Option<&'a str> {
    match (given, &settings.selection.plan) {
        (Some(plan), _) => Some(&plan.digest),
        (None, Some(PlanSource::Digest(digest))) => Some(digest),
        _ => None,
    }
}

/// The plan that the results are held to: the one that was given, else the one that came along.
fn plan(
    settings: &Settings,
    context: &RunContext,
    given: Option<Plan>,
    gathered: &mut Gathered,
) -> Result<Option<Plan>> {
    let came = gathered.plan.take();
    match (&settings.selection.plan, given.or(came)) {
        // The plan of another run is not looked for in this one.
        (Some(PlanSource::Digest(digest)), None) if gathered.artifacts.is_some() => {
            let message = format!("--plan {digest}: the run has no such plan among its artifacts");
            let error = Diagnostic::error(message).with_help("name the plan that the shards obeyed, its file, or none");
            Err(Error::Usage(gathered.remarks.drain(..).chain([error]).collect()))
        }
        (Some(PlanSource::Digest(_)), None) => planning::given_plan(settings, context),
        (_, plan) => Ok(plan),
    }
}

fn nothing(remarks: &[Diagnostic], artifacts: Option<&Artifacts>) -> Error {
    let error = Diagnostic::error("there is no report to merge");
    let error = match artifacts {
        None => error,
        Some(_) => error.with_help(
            "the jobs that judge leave an artifact each; if `artifact-name` is set there, this step needs the same value",
        ),
    };
    Error::Usage(remarks.iter().cloned().chain([error]).collect())
}

/// In which artifact the evidence of each cell is: it stays where the job put it that collected it.
fn links(report: &Report, artifacts: &Artifacts) -> Vec<((ExampleId, Option<String>), Artifact)> {
    let link = |row: &Row| {
        let collect::Artifact { name, url, .. } = artifacts.collected.artifact_of(row)?;
        let artifact = Artifact { name: name.clone(), url: Some(url.clone()) };
        Some(((row.example.clone(), row.kubernetes.clone()), artifact))
    };
    report.results.iter().filter_map(link).collect()
}

/// Where the evidence of what went wrong is: it stays in the artifacts of the jobs that collected it.
fn evidence(report: &Report, artifacts: &Artifacts) -> Vec<Diagnostic> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for row in report.results.iter().filter(|row| row.is_bad() && row.evidence.is_some()) {
        if let Some(artifact) = artifacts.collected.artifact_of(row) {
            *counts.entry((&artifact.name, &artifact.url)).or_default() += 1;
        }
    }
    let told = counts.into_iter().map(|((name, url), count)| {
        let cells = report::plural(count, "cell");
        Diagnostic::error(format!("the evidence of {cells} that went wrong is in the artifact {name}: {url}"))
            .with_severity(Severity::Note)
    });
    told.collect()
}

/// The report as GitHub, and what became of the artifacts, let it stand; and what its reader must know of what is missing.
fn of_artifacts(report: Report, artifacts: &Artifacts) -> (Report, Vec<String>) {
    let report = of_run(report, artifacts);
    let collected = &artifacts.collected;
    let mut lost = Vec::new();
    if let Some(Another { run, .. }) = &artifacts.another
        && let Some(conclusion) = run.conclusion.as_deref().filter(|conclusion| *conclusion != "success")
        && report.summary.conclusion == Conclusion::Success
    {
        lost.push(format!(
            "The workflow run itself ended as `{conclusion}`: a job of it may have left no results, or old ones."
        ));
    }
    if !collected.is_incomplete {
        return (report, lost);
    }
    lost.extend(collected.remarks.iter().cloned());
    (report.incomplete(), lost)
}

/// The report of another run says of that run what GitHub says, not what the artifacts say.
fn of_run(mut report: Report, artifacts: &Artifacts) -> Report {
    let Some(Another { run, pull_request, .. }) = &artifacts.another else { return report };
    report.run.id = run.id.to_string();
    report.run.repository.clone_from(&run.repository);
    report.run.commit.clone_from(&run.head_sha);
    report.run.event.clone_from(&run.event);
    // The queue's group is more than the one pull request that is told of it.
    let found = pull_request.as_ref().ok().filter(|_| !publish::is_of_queue(&run.event));
    report.run.pull_request = found.map(|found| found.number);
    if run.was_cancelled() { report.cancelled() } else { report }
}

/// What the plan wants of the reports.
fn planned(plan: &Plan, reports: &[Report]) -> Planned {
    let shards = shards(plan, reports);
    let there: BTreeSet<_> = reports.iter().filter_map(|report| merge::shard(&report.run)).collect();
    let lost_clusters = shards.iter().any(|(shard, versions)| !there.contains(shard) && !versions.is_empty());
    Planned { cells: cells(plan, reports, lost_clusters), shards }
}

/// The plan's shards that have something to do: of as many as the reports speak of; where there is none, of as many as the matrix
/// has. A run that is not parted has no shards.
fn shards(plan: &Plan, reports: &[Report]) -> BTreeMap<(usize, usize), Vec<String>> {
    let mut counts: BTreeSet<usize> =
        reports.iter().filter_map(|report| merge::shard(&report.run)).map(|(count, _)| count).collect();
    if reports.is_empty() {
        counts.insert(plan.shards);
    }
    // More than there can be jobs are no shards of this plan.
    let counts = counts.into_iter().filter(|count| *count <= MOST_SHARDS);
    let of = |count: usize| {
        let shards = plan.shards_with_work(count).into_iter();
        shards.map(move |(number, versions)| ((count, number), versions.into_iter().map(str::to_owned).collect()))
    };
    counts.flat_map(of).collect()
}

/// What the plan wants judged: each example on its versions, and without one where the basic tier is all. Where no report
/// knows of a version and none is missing that would, none of the runs had a cluster, and one result an example is all that there
/// can be.
fn cells(plan: &Plan, reports: &[Report], lost_clusters: bool) -> Vec<Cell> {
    let on_clusters =
        |report: &Report| !report.clusters.is_empty() || report.results.iter().any(|row| row.kubernetes.is_some());
    let cells: BTreeSet<Cell> = if lost_clusters || reports.iter().any(on_clusters) {
        plan.selected().map(|row| (row.example.clone(), row.kubernetes.clone())).collect()
    } else {
        plan.rows.iter().filter(|row| row.basic).map(|row| (row.example.clone(), None)).collect()
    };
    cells.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ExampleId, Outcome, Tier};
    use crate::plan::PlanRow;
    use crate::report::{Row, Run};

    fn planned(example: &str, kubernetes: Option<&str>, selected: bool) -> PlanRow {
        PlanRow {
            example: ExampleId::new(example),
            tier: if kubernetes.is_some() { Tier::Full } else { Tier::Basic },
            kubernetes: kubernetes.map(str::to_owned),
            selected,
            basic: true,
            outcome: (!selected).then_some(Outcome::Skipped),
            reason: String::new(),
            expected_ms: 1,
        }
    }

    fn plan() -> Plan {
        Plan {
            schema_version: 1,
            digest: String::new(),
            event: "push".to_owned(),
            tier: "auto".to_owned(),
            tiers: std::collections::BTreeMap::new(),
            kubernetes: vec!["v1.33.4".to_owned(), "v1.34.0".to_owned()],
            shards: 1,
            notes: vec![],
            rows: vec![
                planned("a", Some("v1.33.4"), true),
                planned("a", Some("v1.34.0"), true),
                planned("b", None, true),
                planned("gpu", Some("v1.33.4"), false),
            ],
        }
    }

    fn shown(cells: &[Cell]) -> Vec<(&str, Option<&str>)> {
        cells.iter().map(|(example, version)| (example.as_str(), version.as_deref())).collect()
    }

    #[test]
    fn on_clusters_an_example_is_wanted_on_each_of_its_versions() {
        let row: Row = serde_json::from_value(serde_json::json!({
            "example": "a", "framework": null, "objects": [], "tier": "full", "kubernetes": "v1.34.0", "outcome": "passed",
            "quarantined": false, "durationMs": 1, "cause": null, "reason": "", "attempts": [], "checks": [],
            "diagnostics": [], "resources": null, "health": null, "evidence": null
        }))
        .unwrap();
        let report = Report::new(Run::default(), vec![], vec![], vec![row], &[]);
        assert_eq!(
            shown(&cells(&plan(), &[report], false)),
            [("a", Some("v1.33.4")), ("a", Some("v1.34.0")), ("b", None)]
        );
    }

    #[test]
    fn without_clusters_an_example_is_wanted_once() {
        let report = Report::new(Run::default(), vec![], vec![], vec![], &[]);
        assert_eq!(shown(&cells(&plan(), &[report], false)), [("a", None), ("b", None), ("gpu", None)]);
    }

    fn report_of(shard: Option<&str>) -> Report {
        let run = report::Run { shard: shard.map(str::to_owned), ..report::Run::default() };
        Report::new(run, vec![], vec![], vec![], &[])
    }

    /// Two examples on two versions, and one that is checked statically, in four shards.
    fn plan_of_shards() -> Plan {
        let rows = vec![
            planned("a", Some("v1.33.4"), true),
            planned("a", Some("v1.34.0"), true),
            planned("b", None, true),
            planned("gpu", Some("v1.33.4"), false),
        ];
        Plan { shards: 4, rows, ..plan() }
    }

    #[test]
    fn a_shard_without_work_is_not_missed_and_the_others_are_with_their_versions() {
        let plan = plan_of_shards();
        let wanted = super::planned(&plan, &[]);
        let shards: Vec<_> =
            wanted.shards.iter().map(|((_, number), versions)| (*number, versions.join(","))).collect();
        assert_eq!(shards, [(1, "v1.33.4".to_owned()), (2, "v1.34.0".to_owned())]);
        assert_eq!(shown(&wanted.cells), [("a", Some("v1.33.4")), ("a", Some("v1.34.0")), ("b", None)]);

        let merged = merge::merge(vec![report_of(Some("1/4"))], &super::planned(&plan, &[report_of(Some("1/4"))]), &[]);
        let remarks = merged.map(|merged| (merged.remarks, merged.report.summary.conclusion));
        let expected = "shard 2/4 (v1.34.0) is missing: no report is of it".to_owned();
        assert_eq!(remarks, Some((vec![expected], crate::model::Conclusion::Error)));
    }

    #[test]
    fn a_run_that_is_not_parted_misses_no_shard() {
        let wanted = super::planned(&plan_of_shards(), &[report_of(None)]);
        assert_eq!(wanted.shards, BTreeMap::new());
    }

    #[test]
    fn where_none_has_arrived_all_are_missing() {
        let plan = plan_of_shards();
        let merged = merge::merge(vec![report_of(None)], &super::planned(&plan, &[]), &[]).unwrap();
        assert_eq!(merged.remarks.len(), 2);
        let outcomes: Vec<_> = merged.report.results.iter().map(|row| (row.example.as_str(), row.outcome)).collect();
        assert_eq!(outcomes, [("a", Outcome::Errored), ("a", Outcome::Errored), ("b", Outcome::Errored)]);
        assert_eq!(merged.report.summary.conclusion, crate::model::Conclusion::Error);
    }
}
