//! The error in a log that says best why the program ended.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use super::clean::{Line, lines};
use super::patterns::{self, Tier};
use super::traces;

/// An error that a log tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// How much it says.
    pub(super) tier: Tier,
    /// Whether the program's exit code is one that goes with it.
    pub(super) fits: bool,
    /// What it says.
    pub(super) text: String,
    /// The error below it, where that is the real one.
    pub(super) root: Option<String>,
    /// The place in the user's own code, `file:line`.
    pub(super) place: Option<String>,
    /// What to do about it; empty if nothing is known.
    pub(super) hint: String,
    /// The pattern that knew it, if one did.
    pub(super) pattern: Option<&'static str>,
    /// The line, from 0.
    line: usize,
    /// The rank whose output it is.
    rank: Option<u32>,
}

/// What torchrun says of the process that failed first.
struct RootCause {
    rank: u32,
    line: usize,
    code: i32,
}

/// The best of all errors in a log: one whose exit code fits, else one that nobody caught, else the last words of a program,
/// else an echo of another's error, else what a logger marked as an error. Among equals, that of the rank that the
/// launcher names as the first to fail, else the last one.
pub(super) fn best(log: &str, exit_code: Option<i32>) -> Option<Finding> {
    let lines: Vec<Line<'_>> = lines(log).collect();
    let root = root_cause(&lines);
    let mut found = all(&lines, exit_code);
    found.extend(root.as_ref().map(RootCause::finding));
    let rank = root.map(|root| root.rank);
    found
        .into_iter()
        .max_by_key(|finding| (finding.fits, finding.tier, rank.is_some() && finding.rank == rank, finding.line))
}

/// The last line that says anything.
pub(super) fn last_line(log: &str) -> Option<String> {
    let said = |line: &Line<'_>| line.text.chars().any(char::is_alphanumeric);
    lines(log).rfind(said).map(|line| line.text.trim().to_owned())
}

/// Every error, in no order. The lines of each stream are read apart from the others, between which they stand.
fn all(lines: &[Line<'_>], exit_code: Option<i32>) -> Vec<Finding> {
    let mut streams: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
    for (at, line) in lines.iter().enumerate() {
        streams.entry(line.stream).or_default().push(at);
    }
    let mut found = Vec::new();
    for numbers in streams.values() {
        let texts: Vec<&str> = numbers.iter().map(|at| lines[*at].text.as_ref()).collect();
        let mut at = 0;
        while at < texts.len() {
            let trace = traces::read(&texts[at..]);
            let finding = match &trace {
                Some(trace) => (!trace.error.is_empty()).then(|| of_trace(trace, exit_code)),
                None => of_line(texts[at], exit_code),
            };
            let step = trace.map_or(1, |trace| trace.lines.max(1));
            let line = numbers[(at + step - 1).min(numbers.len() - 1)];
            found.extend(finding.map(|finding| Finding { line, rank: lines[line].rank(), ..finding }));
            at += step;
        }
    }
    found
}

fn of_trace(trace: &traces::Trace, exit_code: Option<i32>) -> Finding {
    let of_error = patterns::explain(&trace.error);
    let echo = trace.survived || of_error.as_ref().is_some_and(|found| found.tier == Tier::Echo);
    // The root may be better known than what was made of it.
    let of_root = || patterns::explain(trace.root.as_deref()?);
    let known = match of_error {
        Some(found) if !found.hint.is_empty() => Some(found),
        other => of_root().or(other),
    };
    let known = known.filter(|_| !trace.survived);
    Finding {
        tier: if echo { Tier::Echo } else { Tier::Trace },
        fits: !echo && known.as_ref().is_some_and(|known| exit_code.is_some_and(|code| known.exit.contains(&code))),
        text: trace.error.clone(),
        root: trace.root.clone(),
        place: trace.place.clone(),
        pattern: known.as_ref().map(|known| known.name),
        hint: known.map(|known| known.hint).unwrap_or_default(),
        line: 0,
        rank: None,
    }
}

fn of_line(line: &str, exit_code: Option<i32>) -> Option<Finding> {
    if line.trim().is_empty() || patterns::is_harmless(line) {
        return None;
    }
    let found = patterns::explain(line)?;
    Some(Finding {
        tier: found.tier,
        fits: exit_code.is_some_and(|code| found.exit.contains(&code)),
        text: found.text,
        root: None,
        place: None,
        hint: found.hint,
        pattern: Some(found.name),
        line: 0,
        rank: None,
    })
}

impl RootCause {
    /// What it says where nothing else does: a process that a signal ended leaves no trace.
    fn finding(&self) -> Finding {
        let by_signal = self.code < 0;
        let code = if by_signal { 128_i32.saturating_sub(self.code) } else { self.code };
        let meaning = super::exit_code::meaning(code);
        let means = meaning.map(|(meaning, _)| format!(" ({meaning})")).unwrap_or_default();
        Finding {
            tier: if by_signal { Tier::Fatal } else { Tier::Echo },
            fits: false,
            text: format!("rank {} failed first, with exit code {}{means}", self.rank, self.code),
            root: None,
            place: None,
            hint: meaning.map(|(_, hint)| hint.to_owned()).unwrap_or_default(),
            pattern: Some("torch-root-cause"),
            line: self.line,
            rank: Some(self.rank),
        }
    }
}

/// The last block of torchrun that names the first failure.
fn root_cause(lines: &[Line<'_>]) -> Option<RootCause> {
    static RANK: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\s*rank\s*:\s*(\d+)").ok());
    static CODE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\s*exitcode\s*:\s*(-?\d+)").ok());
    let number = |regex: &Option<Regex>, text: &str| regex.as_ref()?.captures(text)?[1].parse::<i32>().ok();
    let start = lines.iter().rposition(|line| line.text.contains("Root Cause (first observed failure)"))?;
    let block = || lines[start..].iter().take(12);
    let rank = block().find_map(|line| number(&RANK, &line.text))?;
    let code = block().find_map(|line| number(&CODE, &line.text))?;
    Some(RootCause { rank: u32::try_from(rank).ok()?, line: start, code })
}
