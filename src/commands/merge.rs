//! `report`: one report from the results of several shards.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;

use super::judge::{Shown, show, write_reports};
use super::planning;
use crate::config;
use crate::diagnostic::{Diagnostic, Severity};
use crate::error::{Error, Result};
use crate::evidence::archive::{self, ARCHIVE, COLLECTED};
use crate::evidence::{Journal, Limits};
use crate::plan::Plan;
use crate::report::merge::{self, Cell, Planned};
use crate::report::{self, Details, Report, Run};
use crate::settings::{Format, RunContext, Settings};

/// More shards than this are none of ours, whatever a report says.
const MOST_SHARDS: usize = 10_000;

/// Merges the reports of the folders that were named (of `--output`, if none was), writes the merged one and prints it.
pub fn report(settings: &Settings, context: &RunContext, format: Format, from_run: Option<u64>) -> Result<u8> {
    if from_run.is_some() {
        return Err(Error::usage(
            Diagnostic::error("--from-run: this version can't download the artifacts of a run")
                .with_help("download them first (actions/download-artifact), and name their folder"),
        ));
    }
    let config = settings.over(config::read(&settings.root, settings.config.as_deref())?)?;
    let plan = planning::given_plan(settings)?;
    let folders = if settings.paths.is_empty() { vec![settings.output.clone()] } else { settings.paths.clone() };
    let left = RefCell::new(Vec::new());
    let reports = report::read_all(&folders, |folder, there| {
        let journal = Journal::read(folder);
        let journal = journal.filter(|journal| there.is_none_or(|there| began_after(&journal.header.run, &there.run)));
        Ok(journal.map(|journal| {
            left.borrow_mut().push((folder.to_owned(), journal.warnings));
            Report::of_killed(journal.header.run, journal.clusters, journal.rows, &config.fail_on)
        }))
    })?;
    let left = left.into_inner();
    let planned = plan.as_ref().map(|plan| planned(plan, &reports)).unwrap_or_default();
    let merged = merge::merge(reports, &planned, &config.fail_on)
        .ok_or_else(|| Error::usage(Diagnostic::error("there is no report to merge")))?;
    let mut remarks: Vec<_> = merged.remarks.iter().map(warning).collect();
    for (folder, warnings) in left {
        remarks.push(killed(&folder));
        remarks.extend(warnings.iter().map(warning));
        remarks.extend(archived(&folder));
    }
    let details = Details::default();
    let written = write_reports(settings, context, &merged.report, &details, plan.as_ref());
    show(&merged.report, &details, &remarks, context, settings, Shown { format, rows_are: false })?;
    written?;
    Ok(report::exit_code(&merged.report, &config.fail_on))
}

fn warning(text: impl AsRef<str>) -> Diagnostic {
    Diagnostic::error(text.as_ref()).with_severity(Severity::Warning)
}

/// Whether a run began after another: the report of an earlier run says nothing of one that was killed later.
fn began_after(run: &Run, other: &Run) -> bool {
    let at = |run: &Run| run.started_at.parse::<Timestamp>().ok();
    at(run) > at(other)
}

fn killed(folder: &Path) -> Diagnostic {
    warning(format!("{}: the run was killed before it could report: this is what its journal holds", folder.display()))
        .with_help("`example-validator clean` deletes what it left on an existing cluster")
}

/// Archives the evidence that a killed run left beside its journal. What can't be archived is told, and stays where it is.
fn archived(folder: &Path) -> Vec<Diagnostic> {
    match archive::archive_left(folder, &folder.join(COLLECTED), &folder.join(ARCHIVE), Limits::default()) {
        Ok(archived) => archived
            .into_iter()
            .flat_map(|archived| archived.left_out)
            .map(|left| warning(format!("not in {ARCHIVE}: {}: {}", left.file, left.why)))
            .collect(),
        Err(error) => vec![warning(format!("the evidence is not archived: {error}"))],
    }
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
    use crate::report::Row;

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
}
