//! Diagnosis: from a cause and all evidence to one line that says why.
//!
//! The judge knows which container is to blame and how it ended; its log knows why. [`diagnose`] finds the error in it (a
//! trace, or a line that a pattern of [`patterns`] knows), puts it behind the cause's message, and says what to do. It is pure:
//! logs come in as texts that are redacted already, and what comes out is one bounded line without a control character.

pub(crate) mod clean;
mod exit_code;
mod findings;
mod owners;
mod patterns;
mod terminated;
#[cfg(test)]
mod tests;
mod traces;

use std::sync::LazyLock;

use regex::Regex;

pub use owners::owner_chain;
pub use terminated::{Terminated, terminated};

use crate::model::{Cause, CauseClass};
use clean::{one_line, shorten};
use findings::Finding;
use patterns::Tier;

/// Most characters of a message or a hint.
const LONGEST: usize = 400;
/// Most characters of a message that is left as it is: what an API server or a registry says may be long.
const WHOLE: usize = 600;
/// Characters of a message that are kept free for what the log says.
const ROOM: usize = 150;
/// Most characters of a place in the code.
const PLACE: usize = 80;

/// What is known of one container.
#[derive(Clone, Copy, Debug, Default)]
pub struct ContainerEvidence<'a> {
    /// The pod's name; empty for a script, which has none.
    pub pod: &'a str,
    /// The container's name; empty for a script.
    pub container: &'a str,
    /// Its exit code, if it ended.
    pub exit_code: Option<i32>,
    /// When it ended: `finishedAt`, RFC 3339 in UTC.
    pub finished_at: Option<&'a str>,
    /// Its termination message (`state.terminated.message`): a file of its own, or the end of its log.
    pub termination_message: &'a str,
    /// The end of its log, redacted; with or without the kubelet's timestamps, cut anywhere.
    pub log: &'a str,
}

/// All that is known besides the cause itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence<'a> {
    /// The container that is to blame, where one is.
    pub culprit: Option<ContainerEvidence<'a>>,
    /// The attempt's other containers; the more telling ones first, if nobody is to blame (as when time is up).
    pub others: &'a [ContainerEvidence<'a>],
    /// The [`owner_chain`] of the culprit's pod; empty if unknown.
    pub owners: &'a str,
}

/// The cause with the reason for it: what its exit code means, the error in the log, where in the code, and what to do. A
/// message of the cause stays in front, whole unless it is very long. Without evidence the cause says what it said.
#[must_use]
pub fn diagnose(cause: Cause, evidence: &Evidence<'_>) -> Cause {
    let base = one_line(&cause.message, WHOLE);
    let hint = one_line(&cause.hint, WHOLE);
    let (message, hint) = match cause.class {
        CauseClass::Runtime => runtime(&base, &hint, &cause.reason, evidence),
        CauseClass::Timeout => waiting(&base, &hint, evidence),
        _ => (base, hint),
    };
    Cause { reason: one_line(&cause.reason, 100), object: one_line(&cause.object, 300), message, hint, ..cause }
}

/// The last lines of a log that say anything, cleaned and bounded, oldest first: what a report shows below the cause.
#[must_use]
pub fn excerpt(log: &str, most: usize) -> Vec<String> {
    let said = clean::lines(log).rev().filter(|line| !line.text.trim().is_empty());
    let mut last: Vec<String> = said.take(most).map(|line| indented(&line.text)).collect();
    last.reverse();
    last
}

/// A line with its indentation, which traces are read by.
fn indented(text: &str) -> String {
    let depth = text.chars().take_while(|c| c.is_whitespace()).count().min(16);
    format!("{}{}", " ".repeat(depth), one_line(text, 300))
}

/// A container that failed: its exit code's meaning, and its error.
fn runtime(base: &str, hint: &str, reason: &str, evidence: &Evidence<'_>) -> (String, String) {
    if reason.contains("Deadline") {
        return waiting(base, hint, evidence);
    }
    let Some(culprit) = evidence.culprit else { return (base.to_owned(), hint.to_owned()) };
    let code = culprit.exit_code.or_else(|| told_code(base));
    let out_of_memory = reason == "OOMKilled";
    let own = of_container(&culprit, code);
    // A small code means what the program says that it means, and a trace says more.
    let told = own.as_ref().is_some_and(|own| own.tier == Tier::Trace);
    let meaning = code.filter(|code| !out_of_memory && (*code > 125 || !told)).and_then(exit_code::meaning);
    let base = with_owners(&with_meaning(base, code, meaning.map(|(meaning, _)| meaning)), evidence.owners);
    // What another container says counts only where this one's error is the echo of it, or it has none.
    let elsewhere = || first_failure(evidence.others).filter(|(_, finding)| finding.tier > Tier::Echo);
    match own {
        Some(finding) if finding.tier != Tier::Echo && !out_of_memory => {
            (said(&base, &sentence(&finding)), hints(&finding.hint, hint, meaning))
        }
        Some(finding) if out_of_memory && finding.tier >= Tier::Fatal => {
            (said(&base, &sentence(&finding)), hints("", hint, meaning))
        }
        own if !out_of_memory && let Some((other, finding)) = elsewhere() => {
            let echo = own.map(|own| format!("{}; ", one_line(&own.text, 100))).unwrap_or_default();
            (
                said(&base, &format!("{echo}{} failed first: {}", named(other), sentence(&finding))),
                hints(&finding.hint, hint, meaning),
            )
        }
        Some(finding) if !out_of_memory => (said(&base, &sentence(&finding)), hints(&finding.hint, hint, meaning)),
        _ => (last_words(&base, &culprit), hints("", hint, meaning)),
    }
}

/// Something that did not come to its end: an error, if a log has one, else the last thing that was done.
fn waiting(base: &str, hint: &str, evidence: &Evidence<'_>) -> (String, String) {
    let base = &with_owners(base, evidence.owners);
    let containers = || evidence.culprit.iter().chain(evidence.others);
    let failed = containers().find_map(|container| {
        let finding = of_container(container, container.exit_code)?;
        // A program that runs has survived the errors that it logged, but an uncaught one of a process or a thread.
        let tells = if container.exit_code.is_some_and(|code| code != 0) { Tier::Echo } else { Tier::Trace };
        (finding.tier >= tells).then_some((container, finding))
    });
    if let Some((container, finding)) = failed {
        return (
            said(base, &format!("{} says: {}", named(container), sentence(&finding))),
            hints(&finding.hint, hint, None),
        );
    }
    let logged = containers().find_map(|container| Some((container, findings::last_line(container.log)?)));
    match logged {
        Some((container, line)) => {
            (said(base, &format!("{} last logged `{}`", named(container), one_line(&line, 160))), hint.to_owned())
        }
        None if containers().next().is_some() => (said(base, "nothing was logged"), hint.to_owned()),
        None => (base.clone(), hint.to_owned()),
    }
}

/// The best error of a container: of its log, else of its termination message.
fn of_container(container: &ContainerEvidence<'_>, code: Option<i32>) -> Option<Finding> {
    let by_message = || findings::best(container.termination_message, code);
    findings::best(container.log, code).or_else(by_message)
}

/// The container that failed before the others, with its error.
fn first_failure<'a, 'b>(others: &'b [ContainerEvidence<'a>]) -> Option<(&'b ContainerEvidence<'a>, Finding)> {
    let mut failed: Vec<_> = others.iter().filter(|other| other.exit_code.is_some_and(|code| code != 0)).collect();
    // Times of one form and one zone are in order as texts.
    failed.sort_by_key(|other| (other.finished_at.is_none(), other.finished_at));
    let of_other = |other: &'b ContainerEvidence<'a>| Some((other, of_container(other, other.exit_code)?));
    let mut found: Vec<_> = failed.into_iter().filter_map(of_other).collect();
    let real = found.iter().position(|(_, finding)| finding.tier > Tier::Echo)?;
    Some(found.swap_remove(real))
}

/// The message, and the last line of the log or the termination message where no error is known.
fn last_words(base: &str, container: &ContainerEvidence<'_>) -> String {
    let line = findings::last_line(container.log).or_else(|| findings::last_line(container.termination_message));
    match line {
        Some(line) => said(base, &format!("it last logged `{}`", one_line(&line, 160))),
        None => base.to_owned(),
    }
}

/// An error in one line: what, the real error below it, and the place.
fn sentence(finding: &Finding) -> String {
    let mut text = one_line(&finding.text, LONGEST);
    if let Some(root) = finding.root.as_deref().filter(|root| !finding.text.contains(root)) {
        text = format!("{}, caused by {}", shorten(&text, 160), one_line(root, 160));
    }
    if let Some(place) = &finding.place {
        let most = LONGEST.saturating_sub(PLACE + 10);
        text = format!("{} (at {})", shorten(&text, most), one_line(place, PLACE));
    }
    text
}

/// A message and what is known besides, in bounds: the message gives way only where it alone would fill them. What the
/// owner says of a container's end (`; Job/x failed: ...`) comes after what is known of the end itself.
fn said(base: &str, more: &str) -> String {
    let base = shorten(base.trim_end_matches('.'), LONGEST - ROOM);
    let room = LONGEST - base.chars().count() - 2;
    let (end, owner) = base.split_at(owners_word(&base).unwrap_or(base.len()));
    // The place at the end stays, since the middle is left out.
    format!("{end}: {}{owner}", shorten(more, room))
}

/// Where in a message what the owner of a container says of it begins.
fn owners_word(message: &str) -> Option<usize> {
    let is_owners = |after: &str| {
        let reference = after.split_once(" failed: ").map_or("", |(reference, _)| reference);
        reference.contains('/') && !reference.contains(char::is_whitespace)
    };
    let (at, _) = message.rmatch_indices("; ").find(|(at, _)| is_owners(&message[at + 2..]))?;
    message[..at].contains(" ended with ").then_some(at)
}

/// The hints, the most telling first, each once.
fn hints(finding: &str, cause: &str, meaning: Option<(&str, &str)>) -> String {
    let of_code = meaning.map(|(_, hint)| hint).filter(|_| finding.is_empty() && cause.is_empty()).unwrap_or_default();
    let mut all: Vec<&str> = Vec::new();
    for hint in [finding, cause, of_code] {
        if !hint.is_empty() && !all.iter().any(|known| known.contains(hint)) {
            all.push(hint);
        }
    }
    one_line(&all.join("; "), LONGEST)
}

/// The exit code that a message names.
fn told_code(message: &str) -> Option<i32> {
    static TOLD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"exit code (\d{1,5})\b").ok());
    TOLD.as_ref()?.captures(message)?[1].parse().ok()
}

/// The message with the meaning of the exit code, right behind the code where it is named.
fn with_meaning(message: &str, code: Option<i32>, meaning: Option<&str>) -> String {
    let (Some(code), Some(meaning)) = (code, meaning) else { return message.to_owned() };
    let told = format!("exit code {code}");
    match message.split_once(&told) {
        Some((before, after)) if !after.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("{before}{told} ({meaning}){after}")
        }
        _ => format!("{message} ({told}: {meaning})"),
    }
}

/// The message with the pod's owners behind its name, where it names the pod and there is room.
fn with_owners(message: &str, owners: &str) -> String {
    let owners = one_line(owners, LONGEST);
    let Some((pod, rest)) = owners.split_once(" of ") else { return message.to_owned() };
    let fits = message.chars().count() + rest.chars().count() + 4 + ROOM <= LONGEST;
    match message.split_once(pod) {
        Some((before, after))
            if fits
                && !after.starts_with(|c: char| c.is_alphanumeric() || c == '-' || c == '.')
                && !after.starts_with(" of ") =>
        {
            format!("{before}{owners}{after}")
        }
        _ => message.to_owned(),
    }
}

/// A container as messages name it.
fn named(container: &ContainerEvidence<'_>) -> String {
    match (container.pod, container.container) {
        ("", "") => "it".to_owned(),
        (pod, "") => one_line(&format!("Pod/{pod}"), 100),
        (pod, container) => one_line(&format!("container `{container}` of Pod/{pod}"), 160),
    }
}
