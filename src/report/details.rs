//! What a person needs to know of a row that is not good: the same facts in every rendering.

use std::collections::BTreeMap;

use super::summary::health::history;
use super::{ContainerUse, Finding, Report, Row, words};
use crate::diagnostic::inert::inert;
use crate::diagnostic::render::{label, render};
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::{CauseClass, ExampleId, Outcome};
use crate::quantity;

/// Most errors of one row that are shown in full.
const MAX_SHOWN: usize = 10;
/// What a run knows beyond its report, for the renderings that show it: findings with their sources. Empty for a report that was
/// read from disk: its findings are then shown in one line each.
#[derive(Clone, Debug, Default)]
pub struct Details {
    diagnostics: BTreeMap<ExampleId, Vec<Diagnostic>>,
}

impl Details {
    /// Adds what was found in an example.
    pub fn add(&mut self, example: ExampleId, diagnostics: Vec<Diagnostic>) {
        self.diagnostics.insert(example, diagnostics);
    }

    /// The errors of a row, as rustc prints them. Empty if there are none.
    pub(super) fn errors(&self, row: &Row, colored: bool) -> String {
        let count = errors(row).count();
        let mut text = match self.diagnostics.get(&row.example) {
            Some(all) => {
                let is_error = |diagnostic: &&Diagnostic| diagnostic.severity == Severity::Error;
                let shown: Vec<_> = all.iter().filter(is_error).take(MAX_SHOWN).cloned().collect();
                render(&shown, colored)
            }
            None => errors(row).take(MAX_SHOWN).map(|finding| one_line(finding) + "\n").collect(),
        };
        if count > MAX_SHOWN {
            let more = words::plural(count - MAX_SHOWN, "more error");
            text.push_str(&format!("\n... and {more}, in report.json\n"));
        }
        text
    }
}

/// The error findings of a row.
pub(super) fn errors(row: &Row) -> impl Iterator<Item = &Finding> {
    row.diagnostics.iter().filter(|finding| finding.severity == Severity::Error)
}

/// One thing to know, under its label. The text is as it was found: each rendering escapes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) label: &'static str,
    pub(super) text: String,
    /// Whether the text is a name or a path, not prose.
    pub(super) verbatim: bool,
}

/// What there is to know of a row of `report`, the most important first. With `errors_shown` without a cause that the row's
/// errors, which are shown besides, already tell.
pub(super) fn facts(row: &Row, report: &Report, errors_shown: bool) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |label, text: String| {
        if !text.is_empty() {
            let verbatim = matches!(label, "object" | "at" | "evidence");
            facts.push(Fact { label, text, verbatim });
        }
    };
    if let Some(cause) = row.cause.as_ref().filter(|_| !(errors_shown && is_told_by_errors(row))) {
        add("cause", format!("{}: {}", cause_name(row), cause.message));
        add("hint", cause.hint.clone());
        add("object", cause.object.clone());
        add("at", place(&cause.file, cause.line));
    }
    if row.attempts.len() > 1 {
        let outcomes: Vec<_> = row.attempts.iter().map(|attempt| words::past(attempt.outcome)).collect();
        add("attempts", outcomes.join(", then "));
    }
    add("versions", elsewhere(row, &report.results));
    add("history", history(row, report));
    add("usage", usage(row));
    for check in row.checks.iter().filter(|check| check.outcome != "passed") {
        add("check", format!("{} {}: {}", check.check, check.outcome, check.message));
    }
    add("evidence", row.evidence.clone().unwrap_or_default());
    facts
}

/// What it used, where something is to be changed about that, or where it failed by it: `cpu 12 % of 500m, memory 180Mi of 4Gi (4 %),
/// 6 samples; main of x-worker-0 uses ...`.
fn usage(row: &Row) -> String {
    let Some(used) = row.resources.as_ref().filter(|used| used.samples > 0) else { return String::new() };
    let mut advice = used.pods.iter().flat_map(|of| of.advice.iter().map(move |advice| (of, advice)));
    let first = advice.next();
    let reasons = ["OOMKilled", "MemoryOverBudget", "CpuOverBudget", "CpuInefficient", "MemoryInefficient"];
    let is_why = row.cause.as_ref().is_some_and(|cause| reasons.contains(&cause.reason.as_str()));
    if first.is_none() && !is_why {
        return String::new();
    }
    let sum = |of: fn(&ContainerUse) -> u64| {
        used.pods.iter().filter(|of| of.samples > 0).map(of).fold(0, u64::saturating_add)
    };
    let (cpu_request, memory_request) = (sum(|of| of.cpu_request_milli), sum(|of| of.memory_request_bytes));
    let cpu = match used.cpu_efficiency {
        Some(share) => format!("{:.0} % of {}", share * 100.0, quantity::cpu(cpu_request)),
        None => quantity::cpu(used.cpu_peak_milli),
    };
    let memory = match used.memory_efficiency {
        Some(share) => format!(
            "{} of {} ({:.0} %)",
            quantity::memory(used.memory_peak_bytes),
            quantity::memory(memory_request),
            share * 100.0
        ),
        None => quantity::memory(used.memory_peak_bytes),
    };
    let mut text = format!("cpu {cpu}, memory {memory}, {}", words::plural(used.samples as usize, "sample"));
    if let Some((of, first)) = first {
        let instead = if first.suggested.is_empty() { String::new() } else { format!(" (try {})", first.suggested) };
        text.push_str(&format!("; {} of {} {}{instead}", of.container, of.pod, first.message));
        let more = advice.count();
        if more > 0 {
            text.push_str(&format!(", and {more} more in report.json"));
        }
    }
    text
}

/// Where else the example passed, if it did not here: `failed on v1.34.0 alone, passed on v1.33.4`. `rows` are in the order of
/// their examples.
fn elsewhere(row: &Row, rows: &[Row]) -> String {
    let Some(here) = row.kubernetes.as_deref().filter(|_| row.is_bad()) else { return String::new() };
    let first = rows.partition_point(|other| other.example < row.example);
    let same: Vec<_> = rows[first..].iter().take_while(|other| other.example == row.example).collect();
    let good = same.iter().filter(|other| matches!(other.outcome, Outcome::Passed | Outcome::Flaky));
    let good: Vec<_> = good.filter_map(|other| other.kubernetes.as_deref()).collect();
    if good.is_empty() {
        return String::new();
    }
    let alone = same.iter().filter(|other| other.is_bad()).count() == 1;
    let only = if alone { format!("{} on {here} alone, ", words::past(row.outcome)) } else { String::new() };
    format!("{only}passed on {}", words::list(&good))
}

/// The cause in two words, `image/ImagePullBackOff`; empty if there is none.
pub(super) fn cause_name(row: &Row) -> String {
    row.cause.as_ref().map_or_else(String::new, |cause| match cause.reason.as_str() {
        "" => cause.class.to_string(),
        reason => format!("{}/{reason}", cause.class),
    })
}

/// `file:line`, or the file alone where no line is known.
pub(super) fn place(file: &str, line: u32) -> String {
    if line == 0 { file.to_owned() } else { format!("{file}:{line}") }
}

/// A finding in one line, inert: `error[EV105]: a.yaml:3:5: unknown field (help: ...)`.
pub(super) fn one_line(finding: &Finding) -> String {
    let mut text = label(finding.severity, &finding.code);
    if !finding.file.is_empty() {
        text.push_str(&format!(": {}:{}", place(&finding.file, finding.line), finding.column));
    }
    text.push_str(&format!(": {}", finding.message));
    if !finding.help.is_empty() {
        text.push_str(&format!(" (help: {})", finding.help));
    }
    inert(&text).into_owned()
}

/// Whether the row's errors tell the cause.
fn is_told_by_errors(row: &Row) -> bool {
    row.cause.as_ref().is_some_and(|cause| {
        cause.class == CauseClass::Manifest
            && errors(row)
                .take(MAX_SHOWN)
                .any(|finding| finding.code == cause.reason && finding.message == cause.message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Advice, Resources, Run, sample};

    fn report(rows: Vec<Row>) -> Report {
        Report::new(Run::default(), vec![], vec![], rows, &[])
    }

    #[test]
    fn a_cause_that_the_errors_tell_is_not_told_twice() {
        let mut row = sample::broken("a.yaml");
        assert_eq!(facts(&row, &report(vec![]), true), []);
        row.diagnostics.clear();
        let labels: Vec<_> = facts(&row, &report(vec![]), true).iter().map(|fact| fact.label).collect();
        assert_eq!(labels, ["cause", "hint", "object", "at"]);
    }

    #[test]
    fn a_cell_tells_its_cause_attempts_checks_and_evidence() {
        let report = sample::report();
        let facts = facts(&report.results[0], &report, true);
        let facts: Vec<_> = facts.iter().map(|fact| format!("{} {}", fact.label, fact.text)).collect();
        assert_eq!(
            facts,
            [
                "cause timeout/Timeout: not finished after 15m",
                "hint raise `timeout`",
                "object Pod/x-worker-0",
                "at examples/slow.yaml:1",
                "attempts timed out, then timed out",
                "check logs failed: no line matches",
                "evidence v1.34.0/examples/slow.yaml",
            ]
        );
    }

    #[test]
    fn what_it_used_is_told_where_something_is_to_be_changed_or_it_failed_by_it() {
        let mut row = sample::slow("a.yaml", "v1.34.0");
        let used = ContainerUse {
            pod: "x".to_owned(),
            container: "main".to_owned(),
            samples: 6,
            cpu_request_milli: 500,
            memory_request_bytes: 4 << 30,
            ..ContainerUse::default()
        };
        let resources = Resources {
            samples: 6,
            cpu_efficiency: Some(0.12),
            memory_efficiency: Some(0.0439),
            memory_peak_bytes: 180 << 20,
            pods: vec![used],
            ..Resources::default()
        };
        row.resources = Some(resources);
        assert_eq!(usage(&row), "");
        let advice = Advice {
            kind: "over-provisioned".to_owned(),
            resource: "memory".to_owned(),
            message: "uses too little".to_owned(),
            suggested: "256Mi".to_owned(),
        };
        row.resources.as_mut().unwrap().pods[0].advice = vec![advice.clone(), advice];
        let figures = "cpu 12 % of 500m, memory 180Mi of 4Gi (4 %), 6 samples";
        assert_eq!(usage(&row), format!("{figures}; main of x uses too little (try 256Mi), and 1 more in report.json"));
        row.resources.as_mut().unwrap().pods[0].advice.clear();
        row.cause.as_mut().unwrap().reason = "OOMKilled".to_owned();
        assert_eq!(usage(&row), figures);
        row.resources.as_mut().unwrap().samples = 0;
        assert_eq!(usage(&row), "");
    }

    #[test]
    fn what_passes_on_other_versions_is_told_with_them() {
        let on = |version: &str, outcome| {
            let mut row = sample::slow("a.yaml", version);
            row.outcome = outcome;
            row
        };
        let told = |rows: Vec<Row>| {
            let report = report(rows);
            report.results.iter().map(|row| elsewhere(row, &report.results)).collect::<Vec<_>>()
        };
        let [passed, failed] = [Outcome::Passed, Outcome::Failed];
        assert_eq!(
            told(vec![on("v1.33.4", passed), on("v1.34.0", failed), sample::slow("b.yaml", "v1.33.4")]),
            ["", "failed on v1.34.0 alone, passed on v1.33.4", ""]
        );
        assert_eq!(
            told(vec![on("v1.32.0", Outcome::Flaky), on("v1.33.4", failed), on("v1.34.0", Outcome::TimedOut)]),
            ["", "passed on v1.32.0", "passed on v1.32.0"]
        );
    }

    #[test]
    fn without_sources_findings_are_told_in_one_line_and_many_are_counted() {
        let mut row = sample::broken("a.yaml");
        let shown = Details::default().errors(&row, false);
        assert_eq!(shown, "error[EV105]: a.yaml:3:5: spec.x: unknown field (help: remove it)\n");
        row.diagnostics = vec![row.diagnostics[0].clone(); MAX_SHOWN + 1];
        assert!(Details::default().errors(&row, false).ends_with("\n... and 1 more error, in report.json\n"));
        assert_eq!(Details::default().errors(&sample::row("b", Outcome::Passed), false), "");
    }
}
