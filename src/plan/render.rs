//! The plan for people, for programs, and for GitHub's job matrix.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use super::shards::MAX_JOBS;
use super::{Plan, PlanRow};
use crate::diagnostic::Diagnostic;
use crate::duration;
use crate::error::{Error, Result};

/// Columns of ids wider than this are not padded to the widest.
const WIDEST_ID: usize = 72;

/// The plan as `plan.json` has it.
#[must_use]
pub fn json(plan: &Plan) -> String {
    // Numbers, texts and maps with text keys always become JSON.
    let mut text = serde_json::to_string_pretty(plan).unwrap_or_default();
    text.push('\n');
    text
}

/// The plan for people, in plain text: one line an example, with its versions, expected duration and reason. `is_local` if it is shown
/// outside GitHub Actions, where nobody sent its event.
#[must_use]
pub fn table(plan: &Plan, is_local: bool) -> String {
    let lines: Vec<[String; 6]> = groups(&plan.rows).map(line).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths = [5, width(1).min(WIDEST_ID), width(2), width(3), width(4)];
    let mut text = String::new();
    for line in &lines {
        let mut row = String::new();
        for (cell, width) in line.iter().zip(widths) {
            row.push_str(&format!("{cell:width$}  "));
        }
        row.push_str(&line[5]);
        text.push_str(row.trim_end());
        text.push('\n');
    }
    if !lines.is_empty() {
        text.push('\n');
    }
    plan.notes.iter().for_each(|note| text.push_str(&format!("Note: {}\n", printable(note))));
    text.push_str(&summary(plan, is_local));
    text
}

/// Consecutive rows of one example that differ in the version alone.
fn groups(rows: &[PlanRow]) -> impl Iterator<Item = &[PlanRow]> {
    rows.chunk_by(|one, other| {
        one.example == other.example && one.selected == other.selected && one.reason == other.reason
    })
}

/// What is done comes first: no line begins with text from outside, which the runner might take for a command.
fn line(group: &[PlanRow]) -> [String; 6] {
    let row = &group[0];
    let action = match (row.selected, &row.kubernetes) {
        (true, Some(_)) => "run",
        (true, None) => "check",
        (false, _) => "skip",
    };
    let versions: Vec<&str> = group.iter().filter_map(|row| row.kubernetes.as_deref()).collect();
    let versions = if versions.is_empty() { "-".to_owned() } else { versions.join(",") };
    let expected = if action == "run" { about(row.expected_ms) } else { "-".to_owned() };
    let id = printable(row.example.as_str());
    [action.to_owned(), id, row.tier.to_string(), printable(&versions), expected, printable(&row.reason)]
}

fn summary(plan: &Plan, is_local: bool) -> String {
    let on_cluster: Vec<&PlanRow> = plan.selected().filter(|row| row.kubernetes.is_some()).collect();
    let distinct = |rows: &[&PlanRow]| rows.iter().map(|row| &row.example).collect::<BTreeSet<_>>().len();
    let all: Vec<&PlanRow> = plan.rows.iter().collect();
    let checked = plan.selected().count() - on_cluster.len();
    let skipped: Vec<&PlanRow> = plan.rows.iter().filter(|row| !row.selected).collect();
    let work = on_cluster.iter().map(|row| row.expected_ms).fold(0, u64::saturating_add);
    let tiers: Vec<String> = plan.tiers.iter().map(|(tier, selection)| format!("{tier} {selection}")).collect();
    let cells = match on_cluster.len() {
        0 => String::new(),
        1 => format!(" (1 cell on {}, about {})", plan.kubernetes.join(", "), about(work)),
        cells => format!(" ({cells} cells on {}, about {})", plan.kubernetes.join(", "), about(work)),
    };
    let local = if is_local { "a local run, as for " } else { "" };
    format!(
        "Plan for {local}{} ({}): {}; {} on a cluster{}, {checked} checked statically alone, {} skipped\n",
        printable(&plan.event),
        tiers.join(", "),
        crate::report::plural(distinct(&all), "example"),
        distinct(&on_cluster),
        printable(&cells),
        distinct(&skipped),
    )
}

fn about(ms: u64) -> String {
    duration::format(Duration::from_millis(ms.max(1_000)))
}

/// Control characters as escapes: names come from a repository, and must stay on their line.
fn printable(text: &str) -> String {
    let escape = |text: String, character: char| match character {
        control if control.is_control() => text + &control.escape_default().to_string(),
        plain => text + plain.encode_utf8(&mut [0; 4]),
    };
    text.chars().fold(String::with_capacity(text.len()), escape)
}

/// The plan as the value of a job's `strategy.matrix`, on one line: an entry for each of the plan's shards that has anything
/// to do. `kubernetes` names the versions of the shard's cells, joined by commas where there are fewer shards than versions,
/// and is empty where nothing runs on a cluster; it tells what the job does, and need not be passed on: `--plan` and
/// `--shard` say everything.
///
/// # Errors
/// A usage error if there would be more jobs than GitHub takes.
pub fn github_matrix(plan: &Plan) -> Result<String> {
    let n = plan.shards;
    if n > MAX_JOBS {
        let message = format!("{n} shards are more than the {MAX_JOBS} jobs that GitHub takes in one matrix");
        let help = format!("ask for at most {MAX_JOBS} shards (--shard 1/{MAX_JOBS}); each then takes more examples");
        return Err(Error::usage(Diagnostic::error(message).with_help(help)));
    }
    let entry = |(number, versions): (usize, Vec<&str>)| json!({"shard": format!("{number}/{n}"), "kubernetes": versions.join(","), "plan": plan.digest});
    let include: Vec<_> = plan.shards_with_work(n).into_iter().map(entry).collect();
    Ok(json!({ "include": include }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::{World, example, job, job_with};

    fn matrix(world: &World) -> Vec<(String, String)> {
        let plan = world.plan();
        let value: serde_json::Value = serde_json::from_str(&github_matrix(&plan).unwrap()).unwrap();
        let entries = value["include"].as_array().unwrap().iter();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        entries
            .map(|entry| {
                assert_eq!(text(&entry["plan"]), plan.digest);
                (text(&entry["shard"]), text(&entry["kubernetes"]))
            })
            .collect()
    }

    fn texts(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect()
    }

    #[test]
    fn the_table_has_a_line_an_example() {
        let mut world = World::new(vec![
            example("examples/a.yaml", &job(2)),
            example("examples/gpu.yaml", &job_with("resources: {limits: {nvidia.com/gpu: 1}}")),
            example("examples/pv.yaml", "kind: PersistentVolume\n"),
        ])
        .on("workflow_dispatch");
        world.kubernetes = vec!["v1.33.4".to_owned(), "v1.34.0".to_owned()];
        let expected = "\
run    examples/a.yaml    full   v1.33.4,v1.34.0  2m30s  event workflow_dispatch runs all full examples
skip   examples/gpu.yaml  full   v1.33.4,v1.34.0  -      asks for nvidia.com/gpu, which no node of a kind cluster has
check  examples/pv.yaml   basic  -                -      support file: nothing in it is judged, and no example needs it

Plan for workflow_dispatch (basic all, full all, periodic none): 3 examples; 1 on a cluster (2 cells on v1.33.4, v1.34.0, \
about 5m), 1 checked statically alone, 1 skipped
";
        assert_eq!(table(&world.plan(), false), expected);
    }

    #[test]
    fn no_name_breaks_out_of_its_line() {
        let world = World::jobs(&["a\n::error::x\u{1b}[31m.yaml"]);
        let text = table(&world.plan(), false);
        assert!(text.starts_with("check  a\\n::error::x\\u{1b}[31m.yaml"), "{text}");
    }

    #[test]
    fn the_matrix_has_a_job_for_each_shard_with_one_version() {
        let mut world = World::jobs(&["a.yaml", "b.yaml", "c.yaml"]).on("workflow_dispatch");
        world.kubernetes = vec!["v1.34.0".to_owned(), "v1.33.4".to_owned()];
        assert_eq!(matrix(&world), texts(&[("1/2", "v1.33.4"), ("2/2", "v1.34.0")]));
        world.shards = Some(4);
        let two = [("1/4", "v1.33.4"), ("2/4", "v1.33.4"), ("3/4", "v1.34.0"), ("4/4", "v1.34.0")];
        assert_eq!(matrix(&world), texts(&two));
        world.shards = Some(1);
        assert_eq!(matrix(&world), texts(&[("1/1", "v1.34.0,v1.33.4")]));
    }

    #[test]
    fn shards_with_nothing_to_do_have_no_job() {
        let mut world = World::jobs(&["a.yaml"]).on("workflow_dispatch");
        world.shards = Some(200);
        assert_eq!(matrix(&world), texts(&[("1/200", "v1.34.0")]));
        let mut world = World::jobs(&["a.yaml"]);
        assert_eq!(matrix(&world), texts(&[("1/1", "")]), "static checks alone need no version");
        world.catalog.examples.clear();
        assert_eq!(matrix(&world), []);
    }

    #[test]
    fn without_a_version_the_default_has_a_name() {
        let mut world = World::jobs(&["a.yaml"]).on("workflow_dispatch");
        world.kubernetes.clear();
        assert_eq!(matrix(&world), texts(&[("1/1", "default")]));
    }

    #[test]
    fn more_jobs_than_github_takes_are_refused_with_advice() {
        let mut world = World::jobs(&["a.yaml"]);
        world.shards = Some(256);
        assert!(github_matrix(&world.plan()).is_ok());
        world.shards = Some(257);
        let Err(Error::Usage(diagnostics)) = github_matrix(&world.plan()) else { panic!("257 jobs were planned") };
        assert!(diagnostics[0].message.contains("257 shards are more than the 256 jobs"));
        assert!(diagnostics[0].help.as_ref().unwrap().contains("--shard 1/256"));
    }
}
