//! From the findings of the basic tier to a row of the report.

use std::time::Duration;

use super::{Finding, Row};
use crate::catalog::Example;
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::{Cause, CauseClass, ExampleId, Expect, Outcome, Tier};

/// An example and all that the basic tier has to say about it.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// The example.
    pub example: &'a Example,
    /// What was found in it, what was found while it was read included, in the order of the source.
    pub diagnostics: &'a [Diagnostic],
    /// Why the plan chose it.
    pub reason: &'a str,
    /// How long that took.
    pub duration: Duration,
    /// The day on which it is judged, by which a quarantine holds or has run out.
    pub today: jiff::civil::Date,
}

impl From<&Diagnostic> for Finding {
    fn from(diagnostic: &Diagnostic) -> Self {
        let (file, line, column) = diagnostic.position().unwrap_or_default();
        Self {
            code: diagnostic.code.unwrap_or_default().to_owned(),
            severity: diagnostic.severity,
            message: diagnostic.message.clone(),
            help: diagnostic.help.clone().unwrap_or_default(),
            file: file.to_owned(),
            line,
            column,
        }
    }
}

impl Row {
    /// A row of which nothing but this is known.
    pub(super) fn bare(example: ExampleId, tier: Tier, outcome: Outcome, reason: impl Into<String>) -> Self {
        Self {
            example,
            framework: None,
            objects: Vec::new(),
            support: false,
            tier,
            kubernetes: None,
            outcome,
            quarantined: false,
            duration_ms: 0,
            cause: None,
            reason: reason.into(),
            attempts: Vec::new(),
            checks: Vec::new(),
            diagnostics: Vec::new(),
            resources: None,
            log: None,
            health: None,
            evidence: None,
        }
    }

    /// A row of an example that was not tried, with the reason for that.
    #[must_use]
    pub fn skipped(example: &Example, tier: Tier, today: jiff::civil::Date, reason: impl Into<String>) -> Self {
        let quarantine = example.settings.quarantine.as_ref();
        Self {
            framework: example.framework.as_ref().map(|framework| framework.name.clone()),
            objects: example.judged.iter().map(|index| example.objects[*index].reference()).collect(),
            support: example.settings.support,
            quarantined: quarantine.is_some_and(|quarantine| !quarantine.is_expired(today)),
            ..Self::bare(example.id.clone(), tier, Outcome::Skipped, reason)
        }
    }
}

impl Row {
    /// The findings that are worth a remark: without the errors for which an example passes that is to be rejected.
    pub(super) fn remarks(&self) -> impl Iterator<Item = &Finding> {
        let is_rejected = self.outcome == Outcome::Passed && self.reason.starts_with(REJECTED);
        self.diagnostics.iter().filter(move |finding| finding.severity != Severity::Error || !is_rejected)
    }
}

/// Why an example could not be judged.
const NOT_RENDERED: &str = "NotRendered";

/// Why an example passes that is to be rejected; the code follows.
const REJECTED: &str = "rejected, as expected, for ";

const ONLY_A_SERVER: &str = "expected to be rejected: no error was found in the file, so only an API server can tell";

/// The row of an example that is judged statically alone. Any error fails it, its first one being the cause; what is wrong with its own
/// settings comes before all else.
///
/// An example that is expected to be rejected passes with an error of which it is known that the API server refuses it, too.
/// Without one it is skipped: only an API server can tell, and neither a pass nor a failure would be true.
#[must_use]
pub fn static_row(judged: &Judged<'_>) -> Row {
    let mut row = Row::skipped(judged.example, Tier::Basic, judged.today, judged.reason);
    row.duration_ms = u64::try_from(judged.duration.as_millis()).unwrap_or(u64::MAX);
    row.diagnostics = judged.diagnostics.iter().map(Finding::from).collect();
    if let Some(tool) = judged.example.unrendered() {
        row.outcome = Outcome::Errored;
        row.cause =
            Some(Cause { class: CauseClass::Internal, reason: NOT_RENDERED.to_owned(), ..cause(judged.example, tool) });
    } else if let Some(mistake) = judged.diagnostics.iter().find(|diagnostic| diagnostic.is_mistake()) {
        row.outcome = Outcome::Failed;
        row.cause = Some(cause(judged.example, mistake));
    } else if judged.example.settings.expect == Expect::Rejected {
        let refusal = judged.diagnostics.iter().find(|diagnostic| diagnostic.is_refusal());
        (row.outcome, row.reason) = match refusal.and_then(|refusal| refusal.code) {
            Some(code) => (Outcome::Passed, format!("{REJECTED}{code}")),
            None => (Outcome::Skipped, ONLY_A_SERVER.to_owned()),
        };
    } else if let Some(error) = judged.diagnostics.iter().find(|diagnostic| diagnostic.severity == Severity::Error) {
        row.outcome = Outcome::Failed;
        row.cause = Some(cause(judged.example, error));
    } else {
        row.outcome = Outcome::Passed;
    }
    row
}

/// A finding as the cause of a failure.
fn cause(example: &Example, error: &Diagnostic) -> Cause {
    let (file, line) = error.position().map_or((example.id.as_str(), 0), |(file, line, _)| (file, line));
    Cause {
        class: CauseClass::Manifest,
        reason: error.code.unwrap_or_default().to_owned(),
        message: error.message.clone(),
        hint: error.help.clone().unwrap_or_default(),
        object: object_of(example, error).unwrap_or_default(),
        file: file.to_owned(),
        line,
    }
}

/// The object that a finding is in, as `Kind/name`.
fn object_of(example: &Example, finding: &Diagnostic) -> Option<String> {
    let start = finding.location.as_ref()?.span.start;
    let holds = |start: u32, span: crate::yaml::Span| span.start <= start && start < span.end;
    example.objects.iter().find(|object| holds(start, object.root.span)).map(crate::catalog::Object::reference)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::catalog::{ExampleKind, ExampleSettings, Object};
    use crate::config::{Quarantine, Resources};
    use crate::diagnostic::Source;
    use crate::yaml::{Span, parse};

    const TEXT: &str = "kind: A\nmetadata: {name: one}\n---\nkind: B\nmetadata: {name: two}\nbad: 1\n";

    fn example(expect: Expect) -> Example {
        let object = |root: crate::yaml::Node| Object {
            api_version: "v1".to_owned(),
            kind: root.get("kind").and_then(|kind| kind.as_str()).unwrap().to_owned(),
            name: root.at(&["metadata", "name"]).and_then(|name| name.as_str()).unwrap().to_owned(),
            namespace: None,
            root,
        };
        Example {
            id: ExampleId::new("a.yaml"),
            kind: ExampleKind::Manifest,
            path: PathBuf::from("a.yaml"),
            source: Source::new("a.yaml", TEXT),
            objects: parse(TEXT).documents.into_iter().map(|document| object(document.root)).collect(),
            diagnostics: vec![],
            framework: None,
            judged: vec![1],
            settings: ExampleSettings {
                tier: Tier::Full,
                timeout: Duration::from_secs(60),
                retries: 0,
                expect,
                needs: vec![],
                resources: Resources::default(),
                support: false,
                representative: false,
                quarantine: None,
                checks: vec![],
                run: None,
            },
        }
    }

    fn finding(example: &Example, code: &'static str, severity: Severity, meant: &str) -> Diagnostic {
        let start = TEXT.find(meant).unwrap();
        let place = Span::new(start, start + meant.len());
        let mut finding = Diagnostic::error(format!("`{meant}`")).at(&example.source, place).with_severity(severity);
        finding.code = Some(code);
        finding.with_help("mend it")
    }

    fn row_on(example: &Example, diagnostics: &[Diagnostic], day: &str) -> Row {
        let (duration, today) = (Duration::from_micros(1_900), day.parse().unwrap());
        static_row(&Judged { example, diagnostics, reason: "basic: all", duration, today })
    }

    #[test]
    fn the_first_error_is_the_cause_with_its_object_and_line() {
        let example = example(Expect::Succeeded);
        let warning = finding(&example, "EV302", Severity::Warning, "kind: A");
        let error = finding(&example, "EV202", Severity::Error, "bad");
        let later = finding(&example, "EV105", Severity::Error, "1");
        let row = row_on(&example, &[warning, error, later], "2026-11-23");
        assert_eq!(
            (row.outcome, row.duration_ms, row.objects.as_slice()),
            (Outcome::Failed, 1, &["B/two".to_owned()][..])
        );
        let cause = row.cause.unwrap();
        assert_eq!(
            (cause.class, cause.reason.as_str(), cause.message.as_str()),
            (CauseClass::Manifest, "EV202", "`bad`")
        );
        assert_eq!((cause.hint.as_str(), cause.object.as_str()), ("mend it", "B/two"));
        assert_eq!((cause.file.as_str(), cause.line), ("a.yaml", 6));
        assert_eq!(row.diagnostics.len(), 3);
    }

    #[test]
    fn warnings_and_notes_fail_nothing() {
        let example = example(Expect::Failed);
        let warning = finding(&example, "EV302", Severity::Warning, "bad");
        let row = row_on(&example, &[warning], "2026-11-23");
        assert_eq!((row.outcome, row.cause, row.reason.as_str()), (Outcome::Passed, None, "basic: all"));
    }

    #[test]
    fn settings_that_are_wrong_fail_whatever_is_expected() {
        for expect in [Expect::Succeeded, Expect::Rejected] {
            let example = example(expect);
            let refusal = finding(&example, "EV105", Severity::Error, "bad");
            let mistake = Diagnostic::error("`needs` names `x`, and there is no such example").with_help("no such");
            let row = row_on(&example, &[refusal, mistake], "2026-11-23");
            let cause = row.cause.unwrap();
            assert_eq!((row.outcome, cause.class, cause.reason.as_str()), (Outcome::Failed, CauseClass::Manifest, ""));
            assert_eq!(
                (cause.message.as_str(), cause.hint.as_str()),
                ("`needs` names `x`, and there is no such example", "no such")
            );
        }
    }

    #[test]
    fn an_expected_rejection_passes_only_where_a_server_is_known_to_refuse() {
        let example = example(Expect::Rejected);
        let refusal = finding(&example, "EV105", Severity::Error, "bad");
        let row = row_on(&example, &[refusal], "2026-11-23");
        assert_eq!((row.outcome, row.reason.as_str()), (Outcome::Passed, "rejected, as expected, for EV105"));
        assert_eq!(row.remarks().count(), 0);
        let beyond = finding(&example, "EV202", Severity::Error, "bad");
        for diagnostics in [&[][..], &[beyond]] {
            let row = row_on(&example, diagnostics, "2026-11-23");
            assert_eq!((row.outcome, row.cause), (Outcome::Skipped, None));
            assert!(row.reason.contains("only an API server can tell"));
        }
    }

    #[test]
    fn a_folder_that_no_tool_could_render_is_errored_and_not_the_examples_failure() {
        let mut example = example(Expect::Rejected);
        let missing = Diagnostic::error("kubectl is not on the PATH").at(&example.source, Span::default());
        (example.kind, example.diagnostics) = (ExampleKind::Kustomize, vec![missing.clone()]);
        example.objects.clear();
        example.judged.clear();
        let row = row_on(&example, std::slice::from_ref(&missing), "2026-11-23");
        let cause = row.cause.unwrap();
        assert_eq!(
            (row.outcome, cause.class, cause.reason.as_str()),
            (Outcome::Errored, CauseClass::Internal, "NotRendered")
        );
        example.settings.expect = Expect::Succeeded;
        let refused = Diagnostic { code: Some("EV119"), ..missing };
        example.diagnostics = vec![refused.clone()];
        assert_eq!(row_on(&example, &[refused], "2026-11-23").outcome, Outcome::Failed);
    }

    #[test]
    fn a_support_file_is_told_whether_it_is_tried_or_not() {
        let mut example = example(Expect::Succeeded);
        assert!(!row_on(&example, &[], "2026-11-23").support);
        example.settings.support = true;
        assert!(row_on(&example, &[], "2026-11-23").support);
        assert!(Row::skipped(&example, Tier::Basic, "2026-11-23".parse().unwrap(), "not changed").support);
    }

    #[test]
    fn a_quarantine_holds_on_its_last_day_and_not_after() {
        let mut example = example(Expect::Succeeded);
        let until = "2027-01-31".parse().unwrap();
        example.settings.quarantine = Some(Quarantine { until, reason: "issue 123".to_owned() });
        assert!(row_on(&example, &[], "2027-01-31").quarantined);
        assert!(!row_on(&example, &[], "2027-02-01").quarantined);
    }

    #[test]
    fn an_error_without_a_place_names_the_example() {
        let example = example(Expect::Succeeded);
        let row = row_on(&example, &[Diagnostic::error("kubectl is missing")], "2026-11-23");
        let cause = row.cause.unwrap();
        assert_eq!((cause.file.as_str(), cause.line, cause.object.as_str()), ("a.yaml", 0, ""));
    }
}
