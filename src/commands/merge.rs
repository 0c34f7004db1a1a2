//! `report`: one report from the results of several shards.

use std::collections::BTreeSet;

use super::judge::{show, write_reports};
use super::planning;
use crate::config;
use crate::diagnostic::{Diagnostic, Severity};
use crate::error::{Error, Result};
use crate::model::ExampleId;
use crate::plan::Plan;
use crate::report::merge::{self, Cell};
use crate::report::{self, Details};
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
    let reports = report::read_all(&folders)?;
    let planned = plan.as_ref().map(cells).unwrap_or_default();
    let merged = merge::merge(reports, &planned, &config.fail_on)
        .ok_or_else(|| Error::usage(Diagnostic::error("there is no report to merge")))?;
    let remarks: Vec<_> =
        merged.remarks.iter().map(|remark| Diagnostic::error(remark).with_severity(Severity::Warning)).collect();
    let details = Details::default();
    let written = write_reports(settings, context, &merged.report, &details, plan.as_ref());
    show(&merged.report, &details, &remarks, context, settings, format)?;
    written?;
    Ok(report::exit_code(&merged.report, &config.fail_on))
}

/// What the plan wants judged. This version judges without a cluster, so that each example has one result.
fn cells(plan: &Plan) -> Vec<Cell> {
    let examples: BTreeSet<&ExampleId> = plan.rows.iter().filter(|row| row.basic).map(|row| &row.example).collect();
    examples.into_iter().map(|example| (example.clone(), None)).collect()
}
