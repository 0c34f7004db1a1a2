//! Why a build failed, by what it wrote. Pure.
//!
//! The texts are those of Docker 26.1 with buildx 0.13 and without it; they were seen.

use std::sync::LazyLock;

use regex::Regex;

use super::output::Tail;
use super::{Build, DISK_FULL, DISK_HINT, shown_dockerfile};
use crate::image::engine;
use crate::model::{Cause, CauseClass, Outcome};
use crate::trial::judge::images::{self, Pull};

/// Most letters of a message.
const MAX_MESSAGE: usize = 400;

/// So many lines at the end of a build are of the step that failed, and of the words around it.
const ENDING: usize = 30;

/// What a build said at its end.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    /// The step that failed, as the Dockerfile has it.
    step: String,
    /// Why.
    reason: String,
    /// Whether a program of a step ended with an error: then nobody else is at fault.
    is_program: bool,
    /// The step's line in the Dockerfile; 0 if it is not told.
    line: u32,
}

/// The outcome and the cause of the cells that need the image.
pub(super) fn cause(build: &Build<'_>, code: Option<i32>, tail: &Tail) -> (Outcome, Cause) {
    let name = &build.image.name;
    let said = said(tail);
    let errored = |class, reason: &str, hint: &str| {
        let message = short(&format!("building {name} could not be judged: {}", said.reason));
        (Outcome::Errored, Cause { hint: hint.to_owned(), ..Cause::new(class, reason, message) })
    };
    if code.is_none() {
        let message = format!("the build of {name} was ended by a signal");
        return (Outcome::Errored, Cause::new(CauseClass::Internal, "BuildKilled", message));
    }
    if is_no_engine(&said.reason) {
        return (Outcome::Errored, engine::unavailable(&said.reason));
    }
    // A program of a step tells it in its own words, most often in its last ones.
    if is_disk_full(&said.reason) || said.is_program && tail.lines().rev().take(ENDING).any(is_disk_full) {
        return errored(CauseClass::Cluster, DISK_FULL, DISK_HINT);
    }
    let is_transient = is_pull(&said) && images::classify(&said.reason) == Pull::Transient;
    if !said.is_program && (is_transient || is_bad_answer(&said.reason)) {
        let hint = "the registry, not the build, is at fault: try again, or set a mirror in the engine's settings";
        return errored(CauseClass::Image, "RegistryUnavailable", hint);
    }
    let step = if said.step.is_empty() { String::new() } else { format!("`{}`: ", said.step) };
    let message = short(&format!("building {name} failed: {step}{}", said.reason));
    let hint = "the build's log is in the evidence".to_owned();
    let cause = Cause::new(CauseClass::Image, "BuildFailed", message);
    (Outcome::Failed, Cause { hint, file: shown_dockerfile(build.image), line: said.line, ..cause })
}

/// What all programs say of a full disk, whatever their case: the C library begins with a capital.
pub(super) fn is_disk_full(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains("no space left on device") || text.contains("disk quota exceeded")
}

fn said(tail: &Tail) -> Said {
    if let Some(reason) = tail.lines().rev().find_map(|line| line.strip_prefix("ERROR: ")) {
        return of_buildkit(tail, reason.strip_prefix("failed to solve: ").unwrap_or(reason));
    }
    let meaningful = |line: &&str| !line.trim().is_empty() && !line.starts_with(' ') && !is_notice(line);
    let last = tail.lines().rev().find(meaningful).unwrap_or("it gave no reason");
    let step = tail.step.as_deref().and_then(|step| step.split_once(" : ")).map_or("", |(_, step)| step);
    let mut said = Said { step: step.trim().to_owned(), reason: last.to_owned(), ..Said::default() };
    if let Some((_, code)) = last.rsplit_once(" returned a non-zero code: ") {
        said.is_program = true;
        let is_output = |line: &&str| !line.starts_with("The command ") && !line.starts_with(" --->");
        let before = tail.lines().rev().filter(|line| !is_notice(line) && !line.trim().is_empty()).find(is_output);
        said.reason = exit(code, before.filter(|line| !line.starts_with("Step ")));
    }
    said.reason = said.reason.trim_start_matches("Error response from daemon: ").to_owned();
    said
}

/// What `docker build` says of itself at every build.
fn is_notice(line: &str) -> bool {
    line.starts_with("DEPRECATED:")
        || line.contains("Install the buildx component")
        || line.contains("docs.docker.com/go/buildx")
}

fn of_buildkit(tail: &Tail, reason: &str) -> Said {
    static PLACE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\S.*:(\d+)$").ok());
    let lines: Vec<&str> = tail.lines().collect();
    // ` > [2/3] RUN x:`, then what the step wrote, up to a rule.
    let head = lines.iter().rposition(|line| line.starts_with(" > "));
    let step = head.map_or("", |head| lines[head]).trim_start_matches(" > ").trim_end_matches(':');
    let step = step.split_once("] ").map_or(step, |(_, step)| step);
    let end = |line: &&&str| line.starts_with("------");
    let written = head.map_or(&[][..], |head| &lines[head + 1..]);
    let written = written.iter().take_while(|line| !end(line)).map(|line| without_time(line));
    let last = written.filter(|line| !line.is_empty()).last();
    let place = PLACE.as_ref().and_then(|place| lines.iter().rev().find_map(|line| place.captures(line)));
    let line = place.and_then(|found| found[1].parse().ok()).unwrap_or(0);
    let exit_code = reason.rsplit_once("did not complete successfully: exit code: ");
    let reason = match exit_code {
        Some((_, code)) => exit(code, last),
        None => plain_reason(reason).to_owned(),
    };
    Said { step: step.to_owned(), reason, is_program: exit_code.is_some(), line }
}

fn exit(code: &str, last: Option<&str>) -> String {
    let code = code.trim();
    let last = last.map(|last| format!(": {}", last.trim())).unwrap_or_default();
    format!("exit code {code}{last}")
}

/// A line of a step without the seconds in front.
fn without_time(line: &str) -> &str {
    match line.split_once(' ') {
        Some((time, rest)) if time.parse::<f64>().is_ok() => rest,
        _ => line,
    }
}

/// A reason without what says nothing to its reader.
fn plain_reason(reason: &str) -> &str {
    let reason = reason.strip_prefix("failed to compute cache key: ").unwrap_or(reason);
    match reason.strip_prefix("failed to calculate checksum of ref ").and_then(|rest| rest.split_once(": ")) {
        Some((_, rest)) => rest,
        None => reason,
    }
}

/// Whether the step gets an image: only then its words are those of a registry.
fn is_pull(said: &Said) -> bool {
    const WORDS: [&str; 6] =
        ["failed to resolve", "failed to do request", "failed to copy", "Get \"", "Head \"", "pull"];
    said.step.starts_with("FROM ")
        || said.step.contains("load metadata")
        || WORDS.iter().any(|word| said.reason.contains(word))
}

/// An `ADD` of a URL whose server has a bad day.
fn is_bad_answer(reason: &str) -> bool {
    reason
        .rsplit_once("invalid response status ")
        .is_some_and(|(_, code)| code.starts_with(['5']) || code.starts_with("429"))
}

fn is_no_engine(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    ["cannot connect to the docker daemon", "is the docker daemon running", "error during connect"]
        .iter()
        .any(|words| reason.contains(words))
}

fn short(message: &str) -> String {
    message.chars().take(MAX_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Said {
        let mut tail = Tail::default();
        tail.push(text.as_bytes());
        tail.close();
        said(&tail)
    }

    #[test]
    fn the_failing_step_of_buildkit_is_told_with_its_last_words_and_its_line() {
        let text = "#5 [2/2] RUN echo hi && exit 3\n#5 0.168 oops\n#5 ERROR: process \"/bin/sh -c echo hi && exit 3\" did not complete successfully: exit code: 3\n------\n > [2/2] RUN echo hi && exit 3:\n0.152 hi\n0.168 oops\n------\nDockerfile:2\n--------------------\n   1 |     FROM debian\n   2 | >>> RUN echo hi && exit 3\n   3 |     \n--------------------\nERROR: failed to solve: process \"/bin/sh -c echo hi && exit 3\" did not complete successfully: exit code: 3\n";
        let expected = Said {
            step: "RUN echo hi && exit 3".to_owned(),
            reason: "exit code 3: oops".to_owned(),
            is_program: true,
            line: 2,
        };
        assert_eq!(read(text), expected);
    }

    #[test]
    fn a_file_that_is_not_in_the_context_is_told_without_the_words_around_it() {
        let text = "------\n > [2/2] COPY nosuch /:\n------\nDockerfile:2\n--------------------\nERROR: failed to solve: failed to compute cache key: failed to calculate checksum of ref b93-1::my: \"/nosuch\": not found\n";
        let said = read(text);
        assert_eq!(
            (said.step.as_str(), said.reason.as_str(), said.line),
            ("COPY nosuch /", "\"/nosuch\": not found", 2)
        );
    }

    #[test]
    fn the_old_builder_is_understood_too() {
        let notice = "DEPRECATED: The legacy builder is deprecated\n            Install the buildx component to build images\n            https://docs.docker.com/go/buildx/\n\n";
        let text = format!(
            "{notice}Sending build context to Docker daemon  2.048kB\nStep 1/2 : FROM debian\n ---> e69\nStep 2/2 : RUN x\n ---> Running in 40f\noops\nThe command '/bin/sh -c x' returned a non-zero code: 3\n"
        );
        let expected =
            Said { step: "RUN x".to_owned(), reason: "exit code 3: oops".to_owned(), is_program: true, line: 0 };
        assert_eq!(read(&text), expected);
        let said = read("Step 2/2 : COPY nosuch /\nCOPY failed: file not found in build context\n");
        assert_eq!(said.reason, "COPY failed: file not found in build context");
        let said = read(
            "Step 1/1 : FROM x.invalid/y\nGet \"https://x.invalid/v2/\": dial tcp: lookup x.invalid: no such host\n",
        );
        assert!(is_pull(&said) && images::classify(&said.reason) == Pull::Never);
    }

    #[test]
    fn a_registry_with_a_bad_day_is_told_from_a_reference_that_nobody_serves() {
        for (reason, step, expected) in [
            (
                "x/y:1: failed to resolve source metadata for x/y:1: unexpected status code [manifests 1]: 429 Too Many Requests",
                "load metadata for x/y:1",
                true,
            ),
            (
                "x/y:1: failed to resolve source metadata for x/y:1: failed to do request: Head \"https://x/\": dial tcp 10.0.0.1:443: connect: connection refused",
                "load metadata",
                true,
            ),
            ("x/y:1: failed to resolve source metadata for x/y:1: x/y:1: not found", "load metadata", false),
            ("invalid response status 503", "ADD https://x/y /y", true),
            ("invalid response status 404", "ADD https://x/y /y", false),
            ("\"/timed out\": not found", "COPY a b", false),
        ] {
            let said = Said { step: step.to_owned(), reason: reason.to_owned(), ..Said::default() };
            let is_transient = is_pull(&said) && images::classify(reason) == Pull::Transient || is_bad_answer(reason);
            assert_eq!(is_transient, expected, "{reason}");
        }
    }

    #[test]
    fn a_full_disk_is_told_in_any_case() {
        for text in [
            "write /x: no space left on device",
            "OSError: [Errno 28] No space left on device",
            "tar: Disk quota exceeded",
        ] {
            assert!(is_disk_full(text), "{text}");
        }
        assert!(!is_disk_full("no device"));
    }
}
