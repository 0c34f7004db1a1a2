//! One report of several: the shards of a run, each judged by a job of its own.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Image, Report, Row, Run, words};
use crate::model::{Cause, CauseClass, Conclusion, ExampleId, Outcome, Tier};

/// More shards than this are no shards of ours: a matrix has at most 256 jobs, and a report may say anything.
const MOST_SHARDS: usize = crate::plan::MAX_JOBS;
/// How many of several missing shards a hint names.
const MOST_NAMED: usize = 10;

/// An example and the version on which the plan wants it; `None` for the basic tier alone.
pub type Cell = (ExampleId, Option<String>);

/// What the plan wants of the reports; empty if the plan is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    /// The cells.
    pub cells: Vec<Cell>,
    /// The shards that have something to do, as their count and their number, with the versions of their cells.
    pub shards: BTreeMap<(usize, usize), Vec<String>>,
}

/// What several reports come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    /// The one report.
    pub report: Report,
    /// What does not fit together, a line each: missing shards, contradicting results, several commits.
    pub remarks: Vec<String>,
}

/// Merges reports; `None` if there are none. The order in which they are given makes no difference.
///
/// Of two results for the same example and version the one of the later run holds (a shard that was run again), of two runs
/// at the same time the worse. A cell of the plan without a result is errored, and so is the run when a shard is missing: what was
/// not judged is not known to be good. Where the plan is not known, the shards are all that the others speak of. Of a run that was cancelled or
/// killed, all shards of which are there, such a cell is skipped: it had no turn.
#[must_use]
pub fn merge(mut reports: Vec<Report>, planned: &Planned, fail_on: &[Outcome]) -> Option<Merged> {
    reports.sort_by_cached_key(|report| (report.run.started_at.clone(), format!("{report:?}")));
    let run = run(&reports)?;
    let missing_shards = missing_shards(&reports, &planned.shards);
    let mut remarks = commits(&reports);
    remarks.extend(missing_shards.iter().map(|(shard, versions)| match versions.as_str() {
        "" => format!("shard {shard} is missing: no report is of it"),
        versions => format!("shard {shard} ({versions}) is missing: no report is of it"),
    }));
    let missing_shards: Vec<_> = missing_shards.into_iter().map(|(shard, _)| shard).collect();
    let was_cancelled = reports.iter().any(|report| report.summary.conclusion == Conclusion::Cancelled);
    let schemas: BTreeSet<_> = reports.iter().filter_map(|report| report.tool.schemas.clone()).collect();
    let schemas: Vec<_> = schemas.into_iter().collect();

    let mut clusters: Vec<_> = reports.iter().flat_map(|report| report.clusters.clone()).collect();
    clusters.sort_by(|a, b| words::version_key(&a.kubernetes).cmp(&words::version_key(&b.kubernetes)));
    let images = images(&reports);
    let mut rows = rows(reports, &mut remarks);
    let cut_short = was_cancelled && missing_shards.is_empty();
    rows.extend(missing_rows(&rows, &planned.cells, &missing_shards, cut_short));

    let mut report = Report::new(run, clusters, images, rows, fail_on);
    if !schemas.is_empty() {
        report = report.with_schemas(words::list(&schemas));
    }
    if was_cancelled {
        report = report.cancelled();
    } else if !missing_shards.is_empty() {
        report = report.incomplete();
    }
    Some(Merged { report, remarks })
}

/// What the runs have in common, from the first start to the last end.
fn run(reports: &[Report]) -> Option<Run> {
    let runs = || reports.iter().map(|report| &report.run);
    let first = runs().next()?;
    let ends = runs().filter_map(|run| {
        let start = start(run)?;
        Some(((start, &run.started_at), start.checked_add_unsigned(run.duration_ms)?))
    });
    let (starts, ends): (Vec<_>, Vec<_>) = ends.unzip();
    let earliest = starts.into_iter().min();
    let elapsed =
        earliest.zip(ends.iter().max()).and_then(|((start, _), end)| u64::try_from(end.checked_sub(start)?).ok());
    let longest = runs().map(|run| run.duration_ms).max().unwrap_or(0);
    Some(Run {
        started_at: earliest.map_or(&first.started_at, |(_, text)| text).clone(),
        duration_ms: elapsed.unwrap_or(longest).max(longest),
        simulated: runs().any(|run| run.simulated),
        shard: None,
        ..first.clone()
    })
}

/// When a run started, in milliseconds of Unix time.
fn start(run: &Run) -> Option<i64> {
    run.started_at.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

fn commits(reports: &[Report]) -> Vec<String> {
    let commits: BTreeSet<_> = reports.iter().map(|report| report.run.commit.as_str()).collect();
    let commits: Vec<_> = commits.into_iter().filter(|commit| !commit.is_empty()).collect();
    if commits.len() < 2 {
        return Vec::new();
    }
    vec![format!(
        "the reports are of {} different commits ({}): merge those of one run",
        commits.len(),
        words::list(&commits)
    )]
}

/// The shards, `3/4`, that are planned (or, without a plan, that the others speak of) and not there, with their versions.
fn missing_shards(reports: &[Report], planned: &BTreeMap<(usize, usize), Vec<String>>) -> Vec<(String, String)> {
    let there: BTreeSet<(usize, usize)> = reports.iter().filter_map(|report| shard(&report.run)).collect();
    let wanted: BTreeMap<(usize, usize), String> = if planned.is_empty() {
        let counts: BTreeSet<usize> =
            there.iter().map(|(count, _)| *count).filter(|count| *count <= MOST_SHARDS).collect();
        counts.into_iter().flat_map(|count| (1..=count).map(move |number| ((count, number), String::new()))).collect()
    } else {
        planned.iter().map(|(shard, versions)| (*shard, versions.join(", "))).collect()
    };
    let missing = wanted.into_iter().filter(|(shard, _)| !there.contains(shard));
    missing.map(|((count, number), versions)| (format!("{number}/{count}"), versions)).collect()
}

/// The count of the shards of a run, and which of them it is.
#[must_use]
pub fn shard(run: &Run) -> Option<(usize, usize)> {
    let (number, count) = run.shard.as_deref()?.split_once('/')?;
    Some((count.parse().ok()?, number.parse().ok()?))
}

/// Each image once: where it was built rather than where it was taken from the cache.
fn images(reports: &[Report]) -> Vec<Image> {
    let mut images: BTreeMap<(String, String), Image> = BTreeMap::new();
    for image in reports.iter().flat_map(|report| &report.images) {
        let kept = images.entry((image.name.clone(), image.digest.clone())).or_insert_with(|| image.clone());
        if image.build_ms > kept.build_ms {
            *kept = image.clone();
        }
    }
    images.into_values().collect()
}

/// The rows of reports that are in the order of their start, each example and version once.
fn rows(reports: Vec<Report>, remarks: &mut Vec<String>) -> Vec<Row> {
    let mut kept: BTreeMap<Cell, (String, Row)> = BTreeMap::new();
    for report in reports {
        for row in report.results {
            let cell = (row.example.clone(), row.kubernetes.clone());
            let started_at = report.run.started_at.clone();
            let Some((before_at, before)) = kept.get(&cell) else {
                kept.insert(cell, (started_at, row));
                continue;
            };
            if before.outcome != row.outcome {
                let (was, is) = (words::past(before.outcome), words::past(row.outcome));
                remarks.push(format!("{} {was} in one report and {is} in another", name(&cell)));
            }
            if *before_at < started_at || rank(row.outcome) > rank(before.outcome) {
                kept.insert(cell, (started_at, row));
            }
        }
    }
    let on_versions: BTreeSet<ExampleId> =
        kept.keys().filter(|(_, version)| version.is_some()).map(|(example, _)| example.clone()).collect();
    // A shard may tell what another one judges on a cluster as judged statically alone.
    let is_needed = |row: &Row| row.kubernetes.is_some() || row.is_bad() || !on_versions.contains(&row.example);
    kept.into_values().map(|(_, row)| row).filter(is_needed).collect()
}

/// How bad an outcome is.
fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Skipped => 0,
        Outcome::Passed => 1,
        Outcome::Flaky => 2,
        Outcome::Errored => 3,
        Outcome::TimedOut => 4,
        Outcome::Failed => 5,
    }
}

fn name((example, version): &Cell) -> String {
    version.as_ref().map_or_else(|| example.to_string(), |version| format!("{example} on {version}"))
}

/// A row for each cell of the plan that no report has: errored, or skipped where the run was `cut_short`.
fn missing_rows(rows: &[Row], planned: &[Cell], missing_shards: &[String], cut_short: bool) -> Vec<Row> {
    let there: BTreeSet<(&ExampleId, Option<&str>)> =
        rows.iter().map(|row| (&row.example, row.kubernetes.as_deref())).collect();
    let planned: BTreeSet<&Cell> = planned.iter().collect();
    let absent = planned.into_iter().filter(|(example, version)| !there.contains(&(example, version.as_deref())));
    let hint = match missing_shards {
        [] => "see whether the job that had to judge it was cancelled".to_owned(),
        [shard] => format!("run shard {shard} again"),
        shards if shards.len() > MOST_NAMED => {
            format!("run the {} missing shards again, {} the first of them", shards.len(), shards[0])
        }
        shards => format!("run the shards {} again", words::list(shards)),
    };
    let row = |cell| if cut_short { row_without_turn(cell) } else { missing_row(cell, &hint) };
    absent.map(row).collect()
}

fn row_without_turn((example, kubernetes): &Cell) -> Row {
    let reason = "not judged: the run was cancelled or killed before its turn";
    let row = Row::bare(example.clone(), tier_of(kubernetes.as_deref()), Outcome::Skipped, reason);
    Row { kubernetes: kubernetes.clone(), ..row }
}

/// The tier of a cell of which no more is known.
fn tier_of(kubernetes: Option<&str>) -> Tier {
    if kubernetes.is_some() { Tier::Full } else { Tier::Basic }
}

fn missing_row((example, kubernetes): &Cell, hint: &str) -> Row {
    let tier = tier_of(kubernetes.as_deref());
    Row {
        kubernetes: kubernetes.clone(),
        cause: Some(Cause {
            class: CauseClass::Internal,
            reason: "NoResult".to_owned(),
            message: "it is in the plan, but in none of the reports".to_owned(),
            hint: hint.to_owned(),
            object: String::new(),
            file: String::new(),
            line: 0,
        }),
        ..Row::bare(example.clone(), tier, Outcome::Errored, "in the plan")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{exit_code, sample};
    use proptest::prelude::*;

    const FAIL_ON: &[Outcome] = &[Outcome::Failed, Outcome::TimedOut, Outcome::Errored];

    fn report(shard: &str, started_at: &str, rows: Vec<Row>) -> Report {
        let run = Run {
            shard: Some(shard.to_owned()),
            started_at: started_at.to_owned(),
            duration_ms: 1_000,
            ..Run::default()
        };
        Report::new(run, vec![], vec![], rows, FAIL_ON).with_schemas("v1.37")
    }

    fn cells<const N: usize>(cells: [Cell; N]) -> Planned {
        Planned { cells: cells.into(), ..Planned::default() }
    }

    fn on(example: &str, version: &str, outcome: Outcome) -> Row {
        let mut row = sample::row(example, outcome);
        row.kubernetes = Some(version.to_owned());
        row
    }

    fn outcomes(merged: &Merged) -> Vec<(&str, Option<&str>, Outcome)> {
        let rows = &merged.report.results;
        rows.iter().map(|row| (row.example.as_str(), row.kubernetes.as_deref(), row.outcome)).collect()
    }

    #[test]
    fn shards_add_up() {
        let one = report("1/2", "2026-11-23T20:00:00Z", vec![on("b", "v1.34.0", Outcome::Passed)]);
        let two = report("2/2", "2026-11-23T20:00:05Z", vec![on("a", "v1.34.0", Outcome::Failed)]);
        let merged = merge(vec![two, one], &Planned::default(), FAIL_ON).unwrap();
        assert_eq!(
            outcomes(&merged),
            [("a", Some("v1.34.0"), Outcome::Failed), ("b", Some("v1.34.0"), Outcome::Passed)]
        );
        assert_eq!((merged.report.summary.passed, merged.report.summary.failed), (1, 1));
        assert_eq!(merged.report.summary.conclusion, Conclusion::Failure);
        assert_eq!((merged.report.run.shard.as_deref(), merged.report.run.duration_ms), (None, 6_000));
        assert_eq!(merged.report.tool.schemas.as_deref(), Some("v1.37"));
        assert_eq!(merged.remarks, [""; 0]);
    }

    #[test]
    fn the_run_starts_with_its_earliest_shard_and_no_claim_of_time_overflows() {
        let of = |shard: &str, at: &str, ms: u64| {
            let mut report = report(shard, at, vec![]);
            report.run.duration_ms = ms;
            report
        };
        let (early, late) = ("2026-11-23T20:00:00Z", "2026-11-23T20:00:00.5Z");
        let run = |reports| merge(reports, &Planned::default(), FAIL_ON).unwrap().report.run;
        let merged = run(vec![of("2/2", late, 1_000), of("1/2", early, 1_000)]);
        assert_eq!((merged.started_at.as_str(), merged.duration_ms), (early, 1_500));
        let endless = run(vec![of("1/2", early, u64::MAX), of("2/2", "-009999-01-02T01:59:59Z", 1 << 62)]);
        assert_eq!(endless.duration_ms, u64::MAX);
    }

    #[test]
    fn a_later_result_replaces_an_earlier_one_and_that_is_told() {
        let early = report("1/1", "2026-11-23T20:00:00Z", vec![on("a", "v1.34.0", Outcome::Failed)]);
        let late = report("1/1", "2026-11-23T21:00:00Z", vec![on("a", "v1.34.0", Outcome::Passed)]);
        let merged = merge(vec![late, early], &Planned::default(), FAIL_ON).unwrap();
        assert_eq!(outcomes(&merged), [("a", Some("v1.34.0"), Outcome::Passed)]);
        assert_eq!(merged.remarks, ["a on v1.34.0 failed in one report and passed in another"]);
    }

    #[test]
    fn of_two_results_at_the_same_time_the_worse_holds() {
        let report = |outcome| report("1/1", "2026-11-23T20:00:00Z", vec![on("a", "v1.34.0", outcome)]);
        for order in [[Outcome::Passed, Outcome::Errored], [Outcome::Errored, Outcome::Passed]] {
            let merged = merge(order.map(report).to_vec(), &Planned::default(), FAIL_ON).unwrap();
            assert_eq!(outcomes(&merged), [("a", Some("v1.34.0"), Outcome::Errored)]);
        }
    }

    #[test]
    fn a_static_row_gives_way_to_a_cell_unless_it_is_bad() {
        let shard = |rows| report("1/1", "2026-11-23T20:00:00Z", rows);
        let merged = |basic| {
            let cell = on("a", "v1.34.0", Outcome::Passed);
            merge(vec![shard(vec![sample::row("a", basic)]), shard(vec![cell])], &Planned::default(), FAIL_ON).unwrap()
        };
        assert_eq!(outcomes(&merged(Outcome::Passed)), [("a", Some("v1.34.0"), Outcome::Passed)]);
        assert_eq!(merged(Outcome::Failed).report.results.len(), 2);
    }

    #[test]
    fn a_missing_shard_is_named_and_the_run_is_no_success() {
        let there = report("1/3", "2026-11-23T20:00:00Z", vec![sample::row("a", Outcome::Passed)]);
        let merged = merge(vec![there], &Planned::default(), FAIL_ON).unwrap();
        assert_eq!(
            merged.remarks,
            ["shard 2/3 is missing: no report is of it", "shard 3/3 is missing: no report is of it"]
        );
        assert_eq!(merged.report.summary.conclusion, Conclusion::Error);
        assert_eq!(exit_code(&merged.report, FAIL_ON), 3);
    }

    #[test]
    fn a_cell_of_the_plan_without_a_result_is_errored_and_says_what_to_run_again() {
        let there = report("1/2", "2026-11-23T20:00:00Z", vec![on("a", "v1.34.0", Outcome::Passed)]);
        let cell = |example: &str| (ExampleId::new(example), Some("v1.34.0".to_owned()));
        let merged = merge(vec![there], &cells([cell("a"), cell("b")]), FAIL_ON).unwrap();
        let row = &merged.report.results[1];
        assert_eq!((row.example.as_str(), row.outcome, row.tier), ("b", Outcome::Errored, Tier::Full));
        assert_eq!(row.cause.as_ref().map(|cause| cause.hint.as_str()), Some("run shard 2/2 again"));
    }

    #[test]
    fn a_cell_that_a_killed_run_did_not_come_to_is_skipped_and_the_run_is_cancelled() {
        let cell = |example: &str| (ExampleId::new(example), Some("v1.34.0".to_owned()));
        let planned = cells([cell("a"), cell("b")]);
        let rows = || vec![on("a", "v1.34.0", Outcome::Failed)];
        let killed = Report::of_killed(Run::default(), vec![], rows(), FAIL_ON);
        let merged = merge(vec![killed], &planned, FAIL_ON).unwrap();
        assert_eq!(
            outcomes(&merged),
            [("a", Some("v1.34.0"), Outcome::Failed), ("b", Some("v1.34.0"), Outcome::Skipped)]
        );
        assert_eq!(merged.report.results[1].reason, "not judged: the run was cancelled or killed before its turn");
        assert_eq!(
            (merged.report.summary.conclusion, exit_code(&merged.report, FAIL_ON)),
            (Conclusion::Cancelled, 130)
        );
        // A shard that is missing altogether may have been judged: that has to be found out.
        let half = report("1/2", "2026-11-23T20:00:00Z", rows()).cancelled();
        assert_eq!(outcomes(&merge(vec![half], &planned, FAIL_ON).unwrap())[1].2, Outcome::Errored);
    }

    #[test]
    fn what_one_shard_is_the_whole_run_is() {
        let simulated = {
            let mut report = report("1/2", "2026-11-23T20:00:00Z", vec![]);
            report.run.simulated = true;
            report
        };
        let cancelled = report("2/2", "2026-11-23T20:00:00Z", vec![]).cancelled();
        let conclusion = |reports| merge(reports, &Planned::default(), FAIL_ON).unwrap().report.summary.conclusion;
        let good = report("2/2", "2026-11-23T20:00:00Z", vec![]);
        assert_eq!(conclusion(vec![simulated.clone(), good]), Conclusion::Simulated);
        assert_eq!(conclusion(vec![simulated, cancelled]), Conclusion::Cancelled);
    }

    #[test]
    fn reports_of_several_commits_are_told() {
        let of = |shard: &str, commit: &str| {
            let mut report = report(shard, "2026-11-23T20:00:00Z", vec![]);
            report.run.commit = commit.to_owned();
            report
        };
        let merged = merge(vec![of("1/2", "abc"), of("2/2", "def")], &Planned::default(), FAIL_ON).unwrap();
        assert_eq!(merged.remarks, ["the reports are of 2 different commits (abc and def): merge those of one run"]);
        assert_eq!(merge(vec![], &Planned::default(), FAIL_ON), None);
    }

    proptest! {
        #[test]
        fn the_order_of_the_reports_makes_no_difference(
            cells in proptest::collection::vec((0usize..3, 0usize..3, 0usize..6, 0usize..2), 0..12),
        ) {
            let reports: Vec<_> = (0..3)
                .map(|shard| {
                    let mine = cells.iter().filter(|cell| cell.0 == shard);
                    let rows = mine.map(|cell| on(&cell.1.to_string(), "v1.34.0", Outcome::ALL[cell.2]));
                    let time = if shard == 0 { "2026-11-23T20:00:00Z" } else { "2026-11-23T20:00:01Z" };
                    report(&format!("{}/3", shard + 1), time, rows.collect())
                })
                .collect();
            let forward = merge(reports.clone(), &Planned::default(), FAIL_ON);
            let backward = merge(reports.into_iter().rev().collect(), &Planned::default(), FAIL_ON);
            prop_assert_eq!(forward, backward);
        }
    }
}
