//! What the end of a script means, together with what became of the objects in its namespace. Pure.

use std::time::Duration;

use super::{ScriptEnd, ScriptError};
use crate::duration;
use crate::model::{Cause, CauseClass, ExampleId, Expect, Outcome};
use crate::trial::{Culprit, Moment, Verdict};

/// Everything that a verdict on a script follows from. Texts are redacted already.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// The example.
    pub example: &'a ExampleId,
    /// What it has to do to pass.
    pub expect: Expect,
    /// How long it was allowed to run.
    pub timeout: Duration,
    /// How it ended.
    pub end: Result<&'a ScriptEnd, &'a ScriptError>,
    /// The [last line](super::last_line) of its output. It is told where an object is to blame; of a script that is to blame
    /// itself, the diagnosis of its output tells more.
    pub line: Option<&'a str>,
    /// What the judged objects in its namespace came to, as if each had to succeed; `None` if there are none, or none is decided.
    pub objects: Option<&'a Verdict>,
    /// Now.
    pub at: Moment,
}

/// Signals that end a process, by their numbers on Linux (`signal(7)`).
const SIGNALS: [(i32, &str); 12] = [
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (6, "SIGABRT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (9, "SIGKILL"),
    (11, "SIGSEGV"),
    (13, "SIGPIPE"),
    (14, "SIGALRM"),
    (15, "SIGTERM"),
];

/// The verdict: exit code 0 passes, unless a judged object failed; where one is to blame, its cause goes first. A script that is
/// expected to fail (or to be rejected) passes when it, or an object of its own, did. The cause is the bare fact: a diagnosis adds what
/// the exit code means and what the output says.
#[must_use]
pub fn verdict(seen: &Seen<'_>) -> Verdict {
    let own = own(seen);
    let blamed = seen.objects.filter(|objects| objects.outcome != Outcome::Passed && seen.end.is_ok());
    let (outcome, cause, culprit) = match blamed {
        Some(objects) => (objects.outcome, Some(joined(objects, own.as_ref(), seen)), objects.culprit.clone()),
        None => (own.as_ref().map_or(Outcome::Passed, |(outcome, _)| *outcome), own.map(|(_, cause)| cause), None),
    };
    let (outcome, cause, culprit) = expected(seen, outcome, cause, culprit);
    Verdict { outcome, cause, culprit, at: seen.at }
}

/// What the script alone comes to; `None` if it ended well.
fn own(seen: &Seen<'_>) -> Option<(Outcome, Cause)> {
    let end = match seen.end {
        Ok(end) => end,
        Err(error) => return Some((Outcome::Errored, error.cause(seen.example))),
    };
    let (outcome, class, reason, message) = match end {
        ScriptEnd::Exited { code: 0 } => return None,
        ScriptEnd::Exited { code } => {
            (Outcome::Failed, CauseClass::Runtime, "Error", format!("the script ended with exit code {code}"))
        }
        ScriptEnd::Signalled { signal } => {
            let message = format!("the script was killed by {}", signal_name(*signal));
            (Outcome::Failed, CauseClass::Runtime, "Error", message)
        }
        ScriptEnd::TimedOut => {
            let message = format!("the script still ran after {}", duration::format(seen.timeout));
            (Outcome::TimedOut, CauseClass::Timeout, "Timeout", message)
        }
        ScriptEnd::Cancelled => {
            let message = "the run was cancelled while the script ran".to_owned();
            (Outcome::Errored, CauseClass::Internal, "Cancelled", message)
        }
        ScriptEnd::Stopped => {
            let message = "the script was stopped: what it waits for can't come".to_owned();
            (Outcome::Failed, CauseClass::Runtime, "Stopped", message)
        }
        ScriptEnd::NotStarted { class, reason, message, hint } => {
            return Some((Outcome::Failed, cause(seen, *class, reason, message.clone(), hint)));
        }
    };
    let longer = "its output shows what it waited for; if it needs longer, raise its `timeout:`";
    let hint = if outcome == Outcome::TimedOut { longer } else { "" };
    Some((outcome, cause(seen, class, reason, message, hint)))
}

fn cause(seen: &Seen<'_>, class: CauseClass, reason: &str, message: String, hint: &str) -> Cause {
    let (reason, hint, file) = (reason.to_owned(), hint.to_owned(), seen.example.as_str().to_owned());
    Cause { class, reason, message, hint, object: String::new(), file, line: 0 }
}

/// The cause of an object that is to blame, with what the script said of it.
fn joined(objects: &Verdict, own: Option<&(Outcome, Cause)>, seen: &Seen<'_>) -> Cause {
    let objects = objects.cause.clone();
    let mut whole =
        objects.unwrap_or_else(|| cause(seen, CauseClass::Runtime, "Error", "an object failed".to_owned(), ""));
    let line = || seen.line.map(|line| format!(": {line}")).unwrap_or_default();
    // In front: what a diagnosis finds in the object's log is put behind.
    let before = match own {
        // It has nothing to add.
        _ if matches!(seen.end, Ok(ScriptEnd::Stopped)) => String::new(),
        Some((_, own)) => format!("{}{}; in its namespace, ", own.message, line()),
        None => "the script ended with exit code 0, but ".to_owned(),
    };
    whole.message.insert_str(0, &before);
    if whole.file.is_empty() {
        seen.example.as_str().clone_into(&mut whole.file);
    }
    whole
}

/// The same, as the expectation has it.
fn expected(
    seen: &Seen<'_>,
    outcome: Outcome,
    cause: Option<Cause>,
    culprit: Option<Culprit>,
) -> (Outcome, Option<Cause>, Option<Culprit>) {
    let ran = !matches!(seen.end, Ok(ScriptEnd::NotStarted { .. }) | Err(_));
    match (seen.expect, outcome) {
        (Expect::Failed | Expect::Rejected, Outcome::Failed) if ran => (Outcome::Passed, None, None),
        (Expect::Failed | Expect::Rejected, Outcome::Passed) => {
            let message = format!("the script ended with exit code 0, though it has `expect: {}`", seen.expect);
            let hint = "if it works now, leave out `expect:`";
            let cause = self::cause(seen, CauseClass::Assertion, "UnexpectedSuccess", message, hint);
            (Outcome::Failed, Some(cause), None)
        }
        _ => (outcome, cause, culprit),
    }
}

fn signal_name(signal: i32) -> String {
    let known = SIGNALS.iter().find(|(number, _)| *number == signal);
    known.map_or_else(|| format!("signal {signal}"), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Case {
        end: Result<ScriptEnd, ScriptError>,
        expect: Expect,
        line: Option<&'static str>,
        objects: Option<Verdict>,
    }

    impl Case {
        fn of(end: ScriptEnd) -> Self {
            Self { end: Ok(end), expect: Expect::Succeeded, line: None, objects: None }
        }

        fn verdict(&self) -> Verdict {
            verdict(&Seen {
                example: &ExampleId::new("examples/a.ipynb"),
                expect: self.expect,
                timeout: Duration::from_secs(900),
                end: self.end.as_ref(),
                line: self.line,
                objects: self.objects.as_ref(),
                at: Duration::from_secs(3),
            })
        }

        /// Outcome, class, reason, message.
        fn told(&self) -> (Outcome, Option<CauseClass>, String, String) {
            let verdict = self.verdict();
            let cause = verdict.cause;
            let text = |of: fn(&Cause) -> &str| cause.as_ref().map(of).unwrap_or_default().to_owned();
            (verdict.outcome, cause.as_ref().map(|cause| cause.class), text(|c| &c.reason), text(|c| &c.message))
        }
    }

    fn job(outcome: Outcome, class: CauseClass) -> Verdict {
        let cause = (outcome != Outcome::Passed).then(|| Cause {
            class,
            reason: "BackoffLimitExceeded".to_owned(),
            message: "exit code 1".to_owned(),
            hint: String::new(),
            object: "Job/a".to_owned(),
            file: String::new(),
            line: 0,
        });
        let culprit = Some(Culprit { pod: "a-x".to_owned(), container: "main".to_owned(), restart: 0 });
        Verdict { outcome, cause, culprit, at: Duration::ZERO }
    }

    fn exited(code: i32) -> ScriptEnd {
        ScriptEnd::Exited { code }
    }

    #[test]
    fn exit_code_0_passes() {
        for objects in [None, Some(job(Outcome::Passed, CauseClass::Runtime))] {
            let verdict = Case { objects, ..Case::of(exited(0)) }.verdict();
            assert_eq!((verdict.outcome, verdict.cause, verdict.at), (Outcome::Passed, None, Duration::from_secs(3)));
        }
    }

    #[test]
    fn another_exit_code_or_a_signal_fails() {
        for (end, expected) in [
            (exited(1), "the script ended with exit code 1"),
            (exited(137), "the script ended with exit code 137"),
            (ScriptEnd::Signalled { signal: 11 }, "the script was killed by SIGSEGV"),
            (ScriptEnd::Signalled { signal: 64 }, "the script was killed by signal 64"),
        ] {
            let told = Case::of(end).told();
            assert_eq!(told, (Outcome::Failed, Some(CauseClass::Runtime), "Error".to_owned(), expected.to_owned()));
        }
    }

    #[test]
    fn a_script_that_ended_well_fails_with_its_object() {
        let objects = Some(job(Outcome::Failed, CauseClass::Runtime));
        let verdict = Case { objects, ..Case::of(exited(0)) }.verdict();
        let cause = verdict.cause.unwrap();
        assert_eq!(
            (verdict.outcome, cause.object.as_str(), cause.file.as_str()),
            (Outcome::Failed, "Job/a", "examples/a.ipynb")
        );
        assert_eq!(cause.message, "the script ended with exit code 0, but exit code 1");
        assert_eq!(verdict.culprit.unwrap().pod, "a-x");
    }

    #[test]
    fn an_object_that_is_to_blame_is_the_cause_and_the_script_is_named_too() {
        let failed = job(Outcome::Failed, CauseClass::Image);
        for (end, expected) in [
            (exited(1), "the script ended with exit code 1: job failed; in its namespace, exit code 1"),
            (ScriptEnd::TimedOut, "the script still ran after 15m: job failed; in its namespace, exit code 1"),
            (ScriptEnd::Stopped, "exit code 1"),
        ] {
            let case = Case { objects: Some(failed.clone()), line: Some("job failed"), ..Case::of(end) };
            let (outcome, class, _, message) = case.told();
            assert_eq!((outcome, class, message.as_str()), (Outcome::Failed, Some(CauseClass::Image), expected));
        }
    }

    #[test]
    fn a_cluster_at_fault_is_never_the_scripts_failure() {
        for code in [0, 1] {
            let objects = Some(job(Outcome::Errored, CauseClass::Cluster));
            let (outcome, class, ..) = Case { objects, ..Case::of(exited(code)) }.told();
            assert_eq!((outcome, class), (Outcome::Errored, Some(CauseClass::Cluster)));
        }
    }

    #[test]
    fn a_script_without_end_timed_out() {
        let (outcome, class, reason, message) = Case::of(ScriptEnd::TimedOut).told();
        assert_eq!((outcome, class, reason.as_str()), (Outcome::TimedOut, Some(CauseClass::Timeout), "Timeout"));
        assert_eq!(message, "the script still ran after 15m");
    }

    #[test]
    fn what_could_not_be_judged_is_errored_whatever_the_objects_say() {
        let objects = Some(job(Outcome::Failed, CauseClass::Runtime));
        let case = Case { end: Err(ScriptError::DockerNotFound), objects, ..Case::of(exited(0)) };
        let (outcome, class, reason, message) = case.told();
        assert_eq!((outcome, class, reason.as_str()), (Outcome::Errored, Some(CauseClass::Internal), "DockerNotFound"));
        assert!(message.contains("`docker` is not on the PATH"));
        assert_eq!(Case::of(ScriptEnd::Cancelled).told().0, Outcome::Errored);
    }

    #[test]
    fn an_expected_failure_passes_and_a_success_then_fails() {
        for expect in [Expect::Failed, Expect::Rejected] {
            assert_eq!(Case { expect, ..Case::of(exited(1)) }.told().0, Outcome::Passed);
            let objects = Some(job(Outcome::Failed, CauseClass::Runtime));
            assert_eq!(Case { expect, objects, ..Case::of(exited(0)) }.told().0, Outcome::Passed);
            let (outcome, class, _, message) = Case { expect, ..Case::of(exited(0)) }.told();
            assert_eq!((outcome, class), (Outcome::Failed, Some(CauseClass::Assertion)));
            assert!(message.contains(&format!("expect: {expect}")), "{message}");
            assert_eq!(Case { expect, ..Case::of(ScriptEnd::TimedOut) }.told().0, Outcome::TimedOut);
        }
    }

    #[test]
    fn a_script_that_never_started_is_not_the_expected_failure() {
        let end = ScriptEnd::NotStarted {
            class: CauseClass::Image,
            reason: "ErrImagePull",
            message: "gone".to_owned(),
            hint: "push it",
        };
        for expect in [Expect::Succeeded, Expect::Failed] {
            let told = Case { expect, ..Case::of(end.clone()) }.told();
            assert_eq!(told, (Outcome::Failed, Some(CauseClass::Image), "ErrImagePull".to_owned(), "gone".to_owned()));
        }
    }
}
