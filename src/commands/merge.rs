//! `report`: one report from the results of several shards.

use std::collections::BTreeSet;

use super::judge::{Shown, show, write_reports};
use super::planning;
use crate::config;
use crate::diagnostic::{Diagnostic, Severity};
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::report::merge::{self, Cell};
use crate::report::{self, Details, Report};
use crate::settings::{Format, RunContext, Settings};

/// Merges the reports of the folders that were named (of `--output`, if none was), writes the merged one and prints it.
pub fn report(settings: &Settings, context: &RunContext, format: Format, from_run: Option<u64>) -> Result<u8> {
    if from_run.is_some() {
        return Err(Error::usage(
            Diagnostic::error("--from-run: this version can't download the artifacts of a run")
                .with_help("download them first (actions/download-artifact), and name their folder"),
        ));
    }
    let config = settings.over(config::read(&settings.root, settings.config.as_deref())?)?;
    let plan = settings.selection.plan.as_deref().map(planning::read_plan).transpose()?;
    let folders = if settings.paths.is_empty() { vec![settings.output.clone()] } else { settings.paths.clone() };
    // This version keeps no journal that a killed run could leave.
    let reports = report::read_all(&folders, |_| Ok(None))?;
    let planned = plan.as_ref().map(|plan| cells(plan, &reports)).unwrap_or_default();
    let merged = merge::merge(reports, &planned, &config.fail_on)
        .ok_or_else(|| Error::usage(Diagnostic::error("there is no report to merge")))?;
    let remarks: Vec<_> =
        merged.remarks.iter().map(|remark| Diagnostic::error(remark).with_severity(Severity::Warning)).collect();
    let details = Details::default();
    let written = write_reports(settings, context, &merged.report, &details, plan.as_ref());
    show(&merged.report, &details, &remarks, context, settings, Shown { format, rows_are: false })?;
    written?;
    Ok(report::exit_code(&merged.report, &config.fail_on))
}

/// What the plan wants judged: each example on its versions, and without one where the basic tier is all. Where no report
/// knows of a version, none of the runs had a cluster, and one result an example is all that there can be.
fn cells(plan: &Plan, reports: &[Report]) -> Vec<Cell> {
    let on_clusters =
        |report: &Report| !report.clusters.is_empty() || report.results.iter().any(|row| row.kubernetes.is_some());
    let cells: BTreeSet<Cell> = if reports.iter().any(on_clusters) {
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
        assert_eq!(shown(&cells(&plan(), &[report])), [("a", Some("v1.33.4")), ("a", Some("v1.34.0")), ("b", None)]);
    }

    #[test]
    fn without_clusters_an_example_is_wanted_once() {
        let report = Report::new(Run::default(), vec![], vec![], vec![], &[]);
        assert_eq!(shown(&cells(&plan(), &[report])), [("a", None), ("b", None), ("gpu", None)]);
    }
}
