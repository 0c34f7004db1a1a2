//! Patterns: the errors that take one line, as data. A table each for a family of programs; a more telling pattern stands
//! before a more general one, and the first that matches counts.

mod distributed;
mod logs;
mod native;
mod network;
mod python;
mod shell;

use std::sync::LazyLock;

use regex::{Captures, Regex, RegexSet};

/// How much an error says about why a program ended, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tier {
    /// A line that a logger marked as an error; programs go on after many of them.
    Logged,
    /// The echo of another error: of another process, of another rank, of a launcher.
    Echo,
    /// The last words of a program.
    Fatal,
    /// An error with a trace: nobody caught it.
    Trace,
}

/// What errors look like, and what to do about them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pattern {
    /// Its name; a sample of that name shows that it works.
    pub(super) name: &'static str,
    /// How much it says. An error with a trace is a `Trace`, except for echoes.
    pub(super) tier: Tier,
    /// The exit codes that go with it: with one of them it says more than any other error.
    pub(super) exit: &'static [i32],
    /// What a line looks like. A group `what` is what is worth showing of it, else all of it is.
    pub(super) regex: &'static str,
    /// What to do; `{group}` stands for what that group caught. Empty if nothing is known.
    pub(super) hint: &'static str,
}

impl Pattern {
    const fn fatal(name: &'static str, regex: &'static str, hint: &'static str) -> Self {
        Self { name, tier: Tier::Fatal, exit: &[], regex, hint }
    }

    const fn echo(name: &'static str, regex: &'static str, hint: &'static str) -> Self {
        Self { name, tier: Tier::Echo, exit: &[], regex, hint }
    }

    const fn logged(name: &'static str, regex: &'static str) -> Self {
        Self { name, tier: Tier::Logged, exit: &[], regex, hint: "" }
    }

    const fn ending(self, exit: &'static [i32]) -> Self {
        Self { exit, ..self }
    }
}

/// A line that a pattern explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Match {
    /// The pattern's name.
    pub(super) name: &'static str,
    /// The pattern's tier.
    pub(super) tier: Tier,
    /// The exit codes that go with it.
    pub(super) exit: &'static [i32],
    /// What the line says.
    pub(super) text: String,
    /// What to do about it.
    pub(super) hint: String,
}

/// Every pattern, in the order in which they are tried.
pub(super) fn all() -> impl Iterator<Item = &'static Pattern> {
    [distributed::PATTERNS, python::PATTERNS, network::PATTERNS, native::PATTERNS, shell::PATTERNS, logs::PATTERNS]
        .into_iter()
        .flatten()
}

/// The patterns, compiled once. A test shows that each of them compiles.
static COMPILED: LazyLock<Option<(RegexSet, Vec<Regex>)>> = LazyLock::new(|| {
    let set = RegexSet::new(all().map(|pattern| pattern.regex)).ok()?;
    let each: Result<Vec<_>, _> = all().map(|pattern| Regex::new(pattern.regex)).collect();
    Some((set, each.ok()?))
});

/// What the first pattern that matches says of a line.
pub(super) fn explain(line: &str) -> Option<Match> {
    let (set, each) = COMPILED.as_ref()?;
    let first = set.matches(line).iter().next()?;
    let pattern = all().nth(first)?;
    let found = each[first].captures(line)?;
    let text = logs::message(line).or_else(|| found.name("what").map(|what| what.as_str().to_owned()));
    Some(Match {
        name: pattern.name,
        tier: pattern.tier,
        exit: pattern.exit,
        text: text.unwrap_or_else(|| line.trim().to_owned()),
        hint: filled(pattern.hint, &found),
    })
}

/// Whether a logger marked the line as less than an error: it tells no cause, whatever it says.
pub(super) fn is_harmless(line: &str) -> bool {
    static MARKED: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r#"^[WI]\d{4} \d\d:|^\d{4}-\S+ \S+ ?[WI] |^\S{0,80}(?:\s\S{0,80}){0,4}?\b(?:WARN|WARNING|INFO|DEBUG|NOTICE)\b[\])]?[:\s|]|^\S{0,80}(?:\s\S{0,80}){0,4}?(?:[\[(](?:warn|warning|info|debug)[\])]|\b(?:warn|warning|info|debug): )|\w+Warning: |"?level"?[=:]\s*"?(?:warn|info|debug)"#,
        )
        .ok()
    });
    MARKED.as_ref().is_some_and(|marked| marked.is_match(line))
}

/// A hint with what the groups caught.
fn filled(hint: &str, found: &Captures<'_>) -> String {
    let mut text = String::new();
    let mut rest = hint;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, tail)) = after.split_once('}') else { break };
        text.push_str(before);
        text.push_str(found.name(name).map_or("…", |group| group.as_str()));
        rest = tail;
    }
    text.push_str(rest);
    text
}
