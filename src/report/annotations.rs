//! Workflow commands of GitHub Actions: annotations at files and lines, and texts that cannot pass for a command.
//!
//! Source of the escapes and of how commands are recognised: `ActionCommand.cs` of <https://github.com/actions/runner>.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::details::{cause_name, errors, place};
use super::{CheckResult, Cluster, Finding, Report, Row, words};
use crate::diagnostic::Severity;
use crate::diagnostic::inert::inert;

/// GitHub shows that many of each level and step.
pub const MAX_EACH: usize = 10;

/// The three levels of an annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something that counts against the run.
    Error,
    /// Something that does not, but should be looked at.
    Warning,
    /// Something to know.
    Notice,
}

/// A remark that GitHub shows at a line of a changed file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Annotation {
    /// How it is shown.
    pub level: Level,
    /// The file, relative to the workspace; empty for none.
    pub file: String,
    /// The line, from 1; 0 for none.
    pub line: u32,
    /// The column, from 1; 0 for none.
    pub column: u32,
    /// The heading.
    pub title: String,
    /// The text, which may have several lines.
    pub message: String,
}

impl Annotation {
    /// The workflow command that makes the annotation, without a line end.
    #[must_use]
    pub fn command(&self) -> String {
        let name = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Notice => "notice",
        };
        let mut properties = Vec::new();
        if !self.file.is_empty() {
            properties.push(format!("file={}", escape_property(&inert(&self.file))));
            let numbers = [("line", self.line), ("endLine", self.line), ("col", self.column)];
            properties.extend(numbers.iter().filter(|(_, n)| *n > 0).map(|(key, n)| format!("{key}={n}")));
        }
        properties.push(format!("title={}", escape_property(&inert(&self.title))));
        let message: Vec<_> = self.message.lines().map(inert).collect();
        format!("::{name} {}::{}", properties.join(","), escape_data(&message.join("\n")))
    }
}

/// The annotations of a report, worst first, at most [`MAX_EACH`] of each level. `prefix` leads from the workspace to the root
/// (`services/a/`, empty if they are the same). One example does not crowd out the others: the first finding of each comes
/// before the second of any.
#[must_use]
pub fn annotations(report: &Report, prefix: &str) -> Vec<Annotation> {
    let mut ranked: Vec<(Level, usize, usize, Annotation)> = Vec::new();
    let mut seen = BTreeSet::new();
    let run_wide = report.clusters.iter().map(of_cluster);
    for (place, found) in run_wide.chain(report.results.iter().map(of_row)).enumerate() {
        let mut ranks = [0; 3];
        for mut annotation in found {
            annotation.file.insert_str(0, if annotation.file.is_empty() { "" } else { prefix });
            annotation.title.insert_str(0, if report.run.simulated { "simulated: " } else { "" });
            // The same finding on several versions is one annotation.
            if seen.insert(annotation.clone()) {
                let rank = &mut ranks[annotation.level as usize];
                ranked.push((annotation.level, *rank, place, annotation));
                *rank += 1;
            }
        }
    }
    ranked.sort_by_key(|(level, rank, place, _)| (*level, *rank, *place));
    let mut counts = [0; 3];
    ranked.retain(|(level, ..)| {
        counts[*level as usize] += 1;
        counts[*level as usize] <= MAX_EACH
    });
    ranked.into_iter().map(|(.., annotation)| annotation).collect()
}

/// The run-wide checks of a cluster that failed, and those of which nobody can tell: they have no file.
fn of_cluster(cluster: &Cluster) -> Vec<Annotation> {
    let told = cluster.checks.iter().filter(|check| check.outcome != "passed");
    let annotation = |check: &CheckResult| Annotation {
        level: if check.outcome == "failed" { Level::Error } else { Level::Warning },
        file: String::new(),
        line: 0,
        column: 0,
        title: format!("Run-wide check on {}: {} {}", cluster.kubernetes, check.check, check.outcome),
        message: inert(&check.message).into_owned(),
    };
    told.map(annotation).collect()
}

/// What is to be said of one row. What is quarantined, flaky or expected is no error.
fn of_row(row: &Row) -> Vec<Annotation> {
    let worst = if row.is_bad() && !row.quarantined { Level::Error } else { Level::Warning };
    let mut found = Vec::new();
    if let Some(cause) = row.cause.as_ref().filter(|_| errors(row).next().is_none()) {
        let on = row.kubernetes.as_ref().map(|version| format!(" on {version}")).unwrap_or_default();
        let file = if cause.file.is_empty() { row.example.as_str() } else { &cause.file };
        found.push(Annotation {
            level: worst,
            file: file.to_owned(),
            line: cause.line,
            column: 0,
            title: format!("{} {}{on}: {}", row.example, words::past(row.outcome), cause_name(row)),
            message: with_help(&cause.message, &cause.hint),
        });
    }
    found.extend(row.diagnostics.iter().map(|finding| of_finding(finding, worst)));
    found
}

fn of_finding(finding: &Finding, worst: Level) -> Annotation {
    let level = match finding.severity {
        Severity::Error => worst,
        Severity::Warning => Level::Warning,
        Severity::Note => Level::Notice,
    };
    let title = if finding.code.is_empty() { place(&finding.file, finding.line) } else { finding.code.clone() };
    let message = with_help(&finding.message, &finding.help);
    Annotation { level, file: finding.file.clone(), line: finding.line, column: finding.column, title, message }
}

fn with_help(message: &str, help: &str) -> String {
    if help.is_empty() { inert(message).into_owned() } else { format!("{}\nhelp: {}", inert(message), inert(help)) }
}

/// The text of a command, escaped.
#[must_use]
pub fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a command, escaped.
#[must_use]
pub fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

/// A line that the runner prints and does not obey: it takes `::command::` at the start of a line (after white space) and
/// `##[command]` anywhere in it. A carriage return ends a line for it, too, so none is left.
#[must_use]
pub fn neutral(line: &str) -> Cow<'_, str> {
    if line.contains('\r') {
        return neutral(&line.replace('\r', "␍")).into_owned().into();
    }
    let start = line.len() - line.trim_start().len();
    let is_command = line[start..].starts_with("::");
    if !is_command && !line.contains("##[") {
        return line.into();
    }
    let (white, rest) = line.split_at(start);
    let rest = rest.replace("##[", "## [");
    format!("{white}{}{rest}", if is_command { "\\" } else { "" }).into()
}

/// The same for JSON, whose meaning it keeps: no line of it begins with a command, and in its strings `##[` is written otherwise.
#[must_use]
pub fn neutral_json(json: &str) -> String {
    json.replace("##[", "#\\u0023[")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Outcome;
    use crate::report::{Run, sample};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn commands(rows: Vec<Row>) -> Vec<String> {
        let report = Report::new(Run::default(), vec![], vec![], rows, &[]);
        annotations(&report, "").iter().map(Annotation::command).collect()
    }

    #[test]
    fn an_error_is_annotated_at_its_line() {
        assert_eq!(
            commands(vec![sample::broken("a.yaml")]),
            ["::error file=a.yaml,line=3,endLine=3,col=5,title=EV105::spec.x: unknown field%0Ahelp: remove it"]
        );
    }

    #[test]
    fn a_cause_without_errors_is_annotated_with_its_version() {
        assert_eq!(
            commands(vec![sample::slow("a.yaml", "v1.34.0")]),
            [
                "::error file=a.yaml,line=1,endLine=1,title=a.yaml timed out on v1.34.0%3A timeout/Timeout::not finished \
                 after 15m%0Ahelp: raise `timeout`",
                "::warning file=a.yaml,line=9,endLine=9,col=5,title=EV302::image `x` has no tag",
            ]
        );
    }

    #[test]
    fn a_simulated_failure_says_so() {
        let run = Run { simulated: true, ..Run::default() };
        let report = Report::new(run, vec![], vec![], vec![sample::slow("a.yaml", "v1.34.0")], &[]);
        let titles: Vec<_> = annotations(&report, "").into_iter().map(|annotation| annotation.title).collect();
        assert_eq!(titles, ["simulated: a.yaml timed out on v1.34.0: timeout/Timeout", "simulated: EV302"]);
    }

    #[test]
    fn run_wide_checks_that_did_not_pass_are_annotated_without_a_file() {
        let checks = vec![
            sample::check("restarts", "passed", "up"),
            sample::check("logs", "inconclusive", "there was no time"),
            sample::check("metrics", "failed", "errors rose by 2"),
        ];
        let clusters = vec![Cluster { checks, ..sample::report().clusters.remove(0) }];
        let report = Report::new(Run::default(), clusters, vec![], vec![sample::broken("a.yaml")], &[]);
        let commands: Vec<_> = annotations(&report, "sub/").iter().map(Annotation::command).collect();
        assert_eq!(commands[0], "::error title=Run-wide check on v1.34.0%3A metrics failed::errors rose by 2");
        assert!(commands[1].starts_with("::error file=sub/a.yaml,"));
        assert_eq!(commands[2], "::warning title=Run-wide check on v1.34.0%3A logs inconclusive::there was no time");
    }

    #[test]
    fn a_quarantined_failure_is_a_warning() {
        let mut row = sample::broken("a.yaml");
        row.quarantined = true;
        assert!(commands(vec![row])[0].starts_with("::warning "));
    }

    #[test]
    fn there_are_ten_of_each_at_most_and_every_example_has_its_first() {
        let mut rows: Vec<_> = (0..9).map(|index| sample::broken(&format!("{index}.yaml"))).collect();
        let more = (0..20).map(|line| sample::finding("EV106", Severity::Error, "0.yaml", line, "wrong"));
        rows[0].diagnostics.extend(more);
        let commands = commands(rows);
        assert_eq!(commands.len(), MAX_EACH);
        assert!(commands[8].contains("file=8.yaml") && commands[9].contains("file=0.yaml"));
    }

    #[test]
    fn the_same_finding_on_two_versions_is_one_annotation() {
        let rows = ["v1.33.0", "v1.34.0"].map(|version| {
            let mut row = sample::row("a.yaml", Outcome::Passed);
            row.kubernetes = Some(version.to_owned());
            row.diagnostics = vec![sample::finding("EV302", Severity::Warning, "a.yaml", 1, "no tag")];
            row
        });
        assert_eq!(commands(rows.to_vec()).len(), 1);
    }

    #[test]
    fn the_prefix_leads_from_the_workspace_to_the_file() {
        let report = Report::new(Run::default(), vec![], vec![], vec![sample::broken("a.yaml")], &[]);
        assert_eq!(annotations(&report, "sub/")[0].file, "sub/a.yaml");
    }

    #[test]
    fn texts_of_others_cannot_leave_their_place_in_a_command() {
        let mut row = sample::row("a,b:c%.yaml", Outcome::Passed);
        let message = "100%\r\n::set-env name=x::y";
        row.diagnostics = vec![sample::finding("EV1", Severity::Warning, "a,b:c%.yaml", 1, message)];
        assert_eq!(
            commands(vec![row]),
            ["::warning file=a%2Cb%3Ac%25.yaml,line=1,endLine=1,col=5,title=EV1::100%25␍␊::set-env name=x::y"]
        );
    }

    #[test]
    fn json_that_would_be_a_command_is_written_otherwise_and_means_the_same() {
        let json = serde_json::json!({"file": "##[add-path]/tmp ###[x"}).to_string();
        let neutral = neutral_json(&json);
        assert!(!neutral.contains("##["), "{neutral}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&neutral).unwrap().to_string(), json);
    }

    #[test]
    fn lines_that_would_be_commands_are_disarmed() {
        for (line, neutralised) in [
            ("::error::x", "\\::error::x"),
            ("\t ::stop-commands::x", "\t \\::stop-commands::x"),
            ("log ##[add-path]/tmp", "log ## [add-path]/tmp"),
            ("12 | a: ::error::x", "12 | a: ::error::x"),
            ("x\r::error::x", "x␍::error::x"),
            ("\r::error::x", "␍::error::x"),
        ] {
            assert_eq!(neutral(line), neutralised);
        }
    }

    /// A command as the runner reads it: its name, its properties and its text. Source: `ActionCommand.cs`.
    fn read(line: &str) -> Option<(String, BTreeMap<String, String>, String)> {
        let unescape = |text: &str, escapes: &[(&str, &str)]| {
            escapes.iter().fold(text.to_owned(), |text, (escaped, c)| text.replace(escaped, c))
        };
        let data = [("%0D", "\r"), ("%0A", "\n"), ("%25", "%")];
        let property = [("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")];
        let (command, text) = line.trim_start().strip_prefix("::")?.split_once("::")?;
        let (name, properties) = command.split_once(' ').unwrap_or((command, ""));
        let properties = properties.split(',').filter_map(|pair| pair.split_once('='));
        let properties = properties.map(|(key, value)| (key.to_owned(), unescape(value, &property)));
        Some((name.to_owned(), properties.collect(), unescape(text, &data)))
    }

    proptest! {
        #[test]
        fn the_runner_reads_back_what_was_said(
            file in "[a%:,=0-9DA ]{1,12}", title in "[a%:,=0-9DA#\\[]{0,12}", message in "[a%:,=0-9DA]{0,12}(\n[a%:]{1,9})?",
        ) {
            let annotation = Annotation {
                level: Level::Error, file: file.clone(), line: 3, column: 0, title: title.clone(), message: message.clone(),
            };
            let property = |key: &str, value: &str| (key.to_owned(), value.to_owned());
            let properties = [
                property("file", &file),
                property("line", "3"),
                property("endLine", "3"),
                property("title", &title),
            ];
            let properties = properties.into();
            prop_assert_eq!(read(&annotation.command()), Some(("error".to_owned(), properties, message)));
        }

        #[test]
        fn escapes_are_undone_by_the_runner(text in "[a%\r\n:,0-9DAC]{0,20}") {
            let line = format!("::x p={}::{}", escape_property(&text), escape_data(&text));
            prop_assert!(!line.contains(['\r', '\n']));
            prop_assert_eq!(read(&line), Some(("x".to_owned(), [("p".to_owned(), text.clone())].into(), text)));
        }

        #[test]
        fn no_line_is_obeyed(line in "[ \t\r\u{85}\u{2003}]{0,3}[#:\\[\\]a\r]{0,12}") {
            let shown = neutral(&line).into_owned();
            prop_assert!(!shown.contains('\r'));
            prop_assert!(!shown.trim_start().starts_with("::"));
            prop_assert!(!shown.contains("##["));
        }
    }
}
