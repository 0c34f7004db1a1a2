//! The lines of all logs of an attempt, looked at while they stream by.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use regex::{Regex, RegexSet};

use crate::config::Check;
use crate::error::{Error, Result};
use crate::trial::diagnosis::clean::{one_line, without_escapes};

/// Most characters of a line that is kept.
const LINE: usize = 160;
/// Most bytes of a value that is kept.
const VALUE: usize = 200;
/// Most containers whose lines are counted apart.
const CONTAINERS: usize = 2_000;

/// The `logs` checks of an attempt, and what they have found so far. Many tasks may give it lines at once; a line that no
/// pattern matches takes no lock but to be counted. It holds one line a pattern and one value a name, however long the logs are.
#[derive(Debug)]
pub struct LogScan {
    rules: Vec<Rule>,
    /// Every pattern of the rules, then their hints.
    set: RegexSet,
    found: Mutex<Found>,
    /// Lines, by pod and container.
    lines: RwLock<HashMap<String, HashMap<String, AtomicU64>>>,
}

/// A pattern of a `logs` check.
#[derive(Debug)]
struct Rule {
    /// The check's place in the config.
    check: usize,
    role: Role,
    container: Option<String>,
    regex: Regex,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Matches,
    Absent,
    /// A word of a pattern that must match, in any case: lines that have it come near.
    Near,
}

/// What was found so far.
#[derive(Debug, Default)]
struct Found {
    /// By rule: the first line of `absent`, the last one of the others.
    lines: BTreeMap<usize, Place>,
    values: BTreeMap<String, Caught>,
}

/// A line, and where it was logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) pod: String,
    pub(super) container: String,
    pub(super) line: String,
    /// The name of the first named group that caught something, and what it caught.
    pub(super) value: Option<(String, String)>,
}

/// What a named group caught, the last time that it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caught {
    pub(super) text: String,
    pub(super) pod: String,
    pub(super) container: String,
}

/// What a check's patterns have found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) matched: Option<Place>,
    pub(super) forbidden: Option<Place>,
    pub(super) near: Option<Place>,
    /// How many lines were looked at, by container.
    pub(super) lines: BTreeMap<String, u64>,
}

impl LogScan {
    /// The `logs` checks among these.
    ///
    /// # Errors
    /// A pattern is not a regular expression.
    pub fn new(checks: &[Check]) -> Result<Self> {
        let compiled = |regex: &str| Regex::new(regex).map_err(|error| Error::Internal(error.to_string()));
        let mut rules = Vec::new();
        for (check, form) in checks.iter().enumerate() {
            let Check::Logs { container, matches, absent } = form else { continue };
            let near = matches.as_deref().and_then(telling_word).map(|word| format!("(?i){}", regex::escape(word)));
            for (role, pattern) in [(Role::Matches, matches), (Role::Absent, absent), (Role::Near, &near)] {
                let Some(pattern) = pattern else { continue };
                rules.push(Rule { check, role, container: container.clone(), regex: compiled(pattern)? });
            }
        }
        let set = RegexSet::new(rules.iter().map(|rule| rule.regex.as_str()));
        Ok(Self {
            set: set.map_err(|error| Error::Internal(error.to_string()))?,
            rules,
            found: Mutex::default(),
            lines: RwLock::default(),
        })
    }

    /// Whether there is nothing to look for: then no line needs to be given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Looks at one line of a container's log, without its line end and without the kubelet's timestamp; escape sequences are
    /// left out before the patterns see it. What of it is kept is shown in reports: give lines that are redacted.
    pub fn line(&self, pod: &str, container: &str, line: &str) {
        if self.rules.is_empty() {
            return;
        }
        self.count(pod, container);
        let line = without_escapes(line.trim_end_matches(['\r', '\n']));
        for index in self.set.matches(&line) {
            let rule = &self.rules[index];
            if rule.container.as_deref().is_none_or(|own| own == container) {
                self.keep(index, rule, (pod, container), &line);
            }
        }
    }

    fn keep(&self, index: usize, rule: &Rule, (pod, container): (&str, &str), line: &str) {
        let mut found = self.found();
        if rule.role == Role::Absent && found.lines.contains_key(&index) {
            return;
        }
        let mut value = None;
        if rule.role == Role::Matches {
            // A progress bar may hold the same value many times in a line.
            let last = rule.regex.captures_iter(line).last();
            let names = rule.regex.capture_names().flatten();
            let groups = names.filter_map(|name| Some((name, last.as_ref()?.name(name)?.as_str())));
            for (name, text) in groups {
                let text: String = text.chars().take(VALUE).collect();
                let caught = Caught { text: text.clone(), pod: pod.to_owned(), container: container.to_owned() };
                found.values.insert(name.to_owned(), caught);
                value.get_or_insert((name.to_owned(), text));
            }
        }
        let place = Place { pod: pod.to_owned(), container: container.to_owned(), line: one_line(line, LINE), value };
        found.lines.insert(index, place);
    }

    fn count(&self, pod: &str, container: &str) {
        let lines = self.lines.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = lines.get(pod).and_then(|pod| pod.get(container)) {
            count.fetch_add(1, Ordering::Relaxed);
            return;
        }
        drop(lines);
        let mut lines = self.lines.write().unwrap_or_else(PoisonError::into_inner);
        if lines.values().map(HashMap::len).sum::<usize>() < CONTAINERS {
            let pod = lines.entry(pod.to_owned()).or_default();
            pod.entry(container.to_owned()).or_default().fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What the check at this place of the config has found.
    pub(super) fn seen(&self, check: usize) -> Seen {
        let found = self.found();
        let of = |role: Role| {
            let index = self.rules.iter().position(|rule| rule.check == check && rule.role == role)?;
            found.lines.get(&index).cloned()
        };
        let own = self.rules.iter().find(|rule| rule.check == check).and_then(|rule| rule.container.as_deref());
        let mut lines: BTreeMap<String, u64> = BTreeMap::new();
        for pod in self.lines.read().unwrap_or_else(PoisonError::into_inner).values() {
            for (container, count) in pod.iter().filter(|(container, _)| own.is_none_or(|own| own == *container)) {
                *lines.entry(container.clone()).or_default() += count.load(Ordering::Relaxed);
            }
        }
        Seen { matched: of(Role::Matches), forbidden: of(Role::Absent), near: of(Role::Near), lines }
    }

    /// Every value that was caught, by the name of its group.
    pub(super) fn caught(&self) -> BTreeMap<String, Caught> {
        self.found().values.clone()
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The longest word that a line which matches must have, as far as that is easily told: letters outside of groups' names,
/// classes and escapes. `None` if it has fewer than four.
fn telling_word(pattern: &str) -> Option<&str> {
    static NO_WORDS: std::sync::LazyLock<Option<Regex>> = std::sync::LazyLock::new(|| {
        Regex::new(r"\\[pPx]\{[^}]*\}|\\.|\(\?P?<\w+>|\(\?[a-zA-Z-]+[:)]|\[[^\]]*\]|\{[^}]*\}").ok()
    });
    let cut = NO_WORDS.as_ref()?;
    let words = cut.split(pattern).flat_map(|part| part.split(|c: char| !c.is_alphabetic()));
    words.filter(|word| word.chars().count() >= 4).max_by_key(|word| word.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_telling_word_of_a_pattern_is_its_longest() {
        for (pattern, word) in [
            ("accuracy=(?P<accuracy_of_it>[0-9.]+)", Some("accuracy")),
            (r"\bTest set: Average loss: (?P<loss>\d+)", Some("Average")),
            (r"(?i)done\s+now[abcdefgh]{10}", Some("done")),
            (r"\d+", None),
        ] {
            assert_eq!(telling_word(pattern), word, "{pattern}");
        }
    }
}
