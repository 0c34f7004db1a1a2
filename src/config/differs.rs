//! What differs between two configs, in sentences: what a reviewer of a change should see.

use std::collections::BTreeMap;
use std::fmt::Debug;

use super::{Config, ExampleRule, Quarantine};
use crate::diagnostic::inert::inert;
use crate::model::Outcome;

/// The longest value that a sentence quotes, in characters.
const LONGEST: usize = 80;

/// How a key's value is told apart from another.
type Seen = fn(&Config) -> String;
/// The same of an entry of `examples`.
type SeenOfEntry = fn(&ExampleRule) -> String;

/// Keys of which it is enough to say that they changed.
const KEYS: [(&str, Seen); 18] = [
    ("kubernetes", |config| shown(&config.kubernetes)),
    ("crds", |config| shown(&config.crds)),
    ("images", |config| shown(&config.images)),
    ("registries", |config| shown(&config.registries)),
    ("operator", |config| shown(&config.operator)),
    ("operator-ready", |config| shown(&config.operator_ready)),
    ("metrics", |config| shown(&config.metrics)),
    ("frameworks", |config| shown(&config.frameworks)),
    ("tiers", |config| shown(&config.tiers)),
    ("checks", |config| shown(&config.checks)),
    ("graces", |config| shown(&config.graces)),
    ("pull-secrets", |config| shown(&config.pull_secrets)),
    ("cluster", |config| shown(&config.cluster)),
    ("periodic", |config| shown(&config.periodic_every)),
    ("retries", |config| shown(&config.retries)),
    ("kind", |config| shown(&config.kind)),
    ("history", |config| shown(&config.history)),
    ("cache", |config| shown(&config.cache_on_pull_request)),
];

/// Keys of an entry of `examples`, but for `quarantine`.
const ENTRY_KEYS: [(&str, SeenOfEntry); 11] = [
    ("exclude", |rule| shown(&rule.exclude)),
    ("tier", |rule| shown(&rule.tier)),
    ("timeout", |rule| shown(&rule.timeout)),
    ("retries", |rule| shown(&rule.retries)),
    ("expect", |rule| shown(&rule.expect)),
    ("needs", |rule| shown(&rule.needs)),
    ("resources", |rule| shown(&rule.resources)),
    ("support", |rule| shown(&rule.support)),
    ("representative", |rule| shown(&rule.representative)),
    ("checks", |rule| shown(&rule.checks)),
    ("run", |rule| shown(&rule.run)),
];

/// What `after` says otherwise than `before`, a sentence each, what weakens verdicts first. Keys are in backquotes; what the
/// config quotes is inert for a terminal, and still has to be escaped for Markdown. `parallel` changes no verdict and is left out.
#[must_use]
pub fn differences(before: &Config, after: &Config) -> Vec<String> {
    let mut told = Vec::new();
    if before.fail_on != after.fail_on {
        told.push(format!("changes `fail-on` from {} to {}", words(&before.fail_on), words(&after.fail_on)));
    }
    told.extend(quarantines(before, after));
    told.extend(entries(before, after));
    let differs = |(_, seen): &&(&str, Seen)| seen(before) != seen(after);
    told.extend(KEYS.iter().filter(differs).map(|(key, _)| format!("changes `{key}`")));
    told
}

fn shown(value: &impl Debug) -> String {
    format!("{value:?}")
}

fn words(outcomes: &[Outcome]) -> String {
    if outcomes.is_empty() {
        return "nothing".to_owned();
    }
    outcomes.iter().map(|outcome| outcome.as_str()).collect::<Vec<_>>().join(", ")
}

/// A text of the config on one line of bounded length.
fn quoted(text: &str) -> String {
    let text = inert(text);
    if text.chars().count() <= LONGEST {
        return text.into_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

fn globs(rule: &ExampleRule) -> String {
    quoted(&rule.paths.join(", "))
}

/// The entries by what they are for; of two for the same paths the first, second, ...
fn by_paths(config: &Config) -> BTreeMap<(Vec<String>, usize), &ExampleRule> {
    let mut counts: BTreeMap<&[String], usize> = BTreeMap::new();
    let mut entries = BTreeMap::new();
    for rule in &config.examples {
        let count = counts.entry(&rule.paths).or_default();
        entries.insert((rule.paths.clone(), *count), rule);
        *count += 1;
    }
    entries
}

/// Quarantines that are new, changed or lifted.
fn quarantines(before: &Config, after: &Config) -> Vec<String> {
    let (old, new) = (by_paths(before), by_paths(after));
    let quarantine = |rule: Option<&&ExampleRule>| rule.and_then(|rule| rule.quarantine.clone());
    let mut told = Vec::new();
    for (key, rule) in &new {
        let sentence = match (quarantine(old.get(key)), &rule.quarantine) {
            (None, Some(Quarantine { until, reason })) => {
                format!("quarantines {} until {until}: {}", globs(rule), quoted(reason))
            }
            (Some(was), Some(is)) if was.until != is.until => {
                format!("moves the quarantine of {} from {} to {}", globs(rule), was.until, is.until)
            }
            (Some(was), Some(is)) if was.reason != is.reason => {
                format!("changes the reason for the quarantine of {}: {}", globs(rule), quoted(&is.reason))
            }
            _ => continue,
        };
        told.push(sentence);
    }
    let lifted = old.iter().filter(|(key, rule)| rule.quarantine.is_some() && quarantine(new.get(key)).is_none());
    told.extend(lifted.map(|(_, rule)| format!("lifts the quarantine of {}", globs(rule))));
    told
}

/// Entries of `examples` that came, went, changed or were put into another order.
fn entries(before: &Config, after: &Config) -> Vec<String> {
    let (old, new) = (by_paths(before), by_paths(after));
    let mut told = Vec::new();
    for (key, rule) in &new {
        let Some(was) = old.get(key) else {
            told.push(format!("adds an entry to `examples` for {}", globs(rule)));
            continue;
        };
        let differs = |(_, seen): &&(&str, SeenOfEntry)| seen(was) != seen(rule);
        let keys: Vec<_> = ENTRY_KEYS.iter().filter(differs).map(|(key, _)| format!("`{key}`")).collect();
        if !keys.is_empty() {
            told.push(format!("changes {} of {}", keys.join(", "), globs(rule)));
        }
    }
    let gone = old.iter().filter(|(key, _)| !new.contains_key(*key));
    told.extend(gone.map(|(_, rule)| format!("takes the entry for {} out of `examples`", globs(rule))));
    let order = |config: &Config, other: &BTreeMap<(Vec<String>, usize), &ExampleRule>| -> Vec<Vec<String>> {
        let kept = |rule: &&ExampleRule| other.keys().any(|(paths, _)| *paths == rule.paths);
        config.examples.iter().filter(kept).map(|rule| rule.paths.clone()).collect()
    };
    // The last entry that matches wins, so their order has a meaning.
    if told.is_empty() && order(before, &new) != order(after, &old) {
        told.push("changes the order of the entries of `examples`".to_owned());
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;
    use crate::diagnostic::Source;

    fn config(text: &str) -> Config {
        load(&Source::new("config.yml", text)).unwrap()
    }

    fn told(before: &str, after: &str) -> Vec<String> {
        differences(&config(before), &config(after))
    }

    #[test]
    fn what_weakens_verdicts_is_told_with_its_values() {
        let before = "examples: [{paths: [a.yaml]}, {paths: [b.yaml], quarantine: {until: 2027-01-31, reason: x}}]\n";
        let after = "fail-on: [failed]\nexamples:\n- {paths: [a.yaml], expect: failed, checks: [], quarantine: {until: 2027-02-01, reason: \"#1\\e[31m\"}}\n- {paths: [b.yaml]}\n";
        assert_eq!(
            told(before, after),
            [
                "changes `fail-on` from failed, timed-out, errored to failed",
                "quarantines a.yaml until 2027-02-01: #1␛[31m",
                "lifts the quarantine of b.yaml",
                "changes `expect`, `checks` of a.yaml",
            ]
        );
    }

    #[test]
    fn a_quarantine_that_moves_is_told() {
        let with = |until: &str, reason: &str| {
            format!("examples: [{{paths: [a.yaml], quarantine: {{until: {until}, reason: {reason}}}}}]\n")
        };
        assert_eq!(
            told(&with("2027-01-31", "x"), &with("2028-01-31", "x")),
            ["moves the quarantine of a.yaml from 2027-01-31 to 2028-01-31"]
        );
        assert_eq!(
            told(&with("2027-01-31", "x"), &with("2027-01-31", "other")),
            ["changes the reason for the quarantine of a.yaml: other"]
        );
    }

    #[test]
    fn entries_that_come_go_and_move_are_told() {
        let one = "examples: [{paths: [a.yaml], tier: full}, {paths: ['**'], tier: basic}]\n";
        let other = "examples: [{paths: ['**'], tier: basic}, {paths: [a.yaml], tier: full}]\n";
        assert_eq!(told(one, other), ["changes the order of the entries of `examples`"]);
        assert_eq!(
            told("examples: [{paths: [a.yaml]}]\n", "examples: [{paths: [b.yaml]}]\n"),
            ["adds an entry to `examples` for b.yaml", "takes the entry for a.yaml out of `examples`"]
        );
    }

    #[test]
    fn every_other_key_is_named() {
        let after = "kubernetes: [v1.34.0]\noperator: [{manifests: [a.yaml]}]\ntiers: {push: {basic: none}}\nretries: 3\nkind: {version: v0.30.0}\n";
        assert_eq!(
            told("", after),
            ["changes `kubernetes`", "changes `operator`", "changes `tiers`", "changes `retries`", "changes `kind`"]
        );
        let framework = |expression: &str| {
            format!(
                "frameworks: [{{name: x, match: {{group: a.b, version: v1, kind: X}}, succeeded: '{expression}', failed: 'false', running: 'true'}}]\n"
            )
        };
        assert_eq!(told(&framework("true"), &framework("1 == 1")), ["changes `frameworks`"]);
    }

    #[test]
    fn what_says_the_same_differs_in_nothing() {
        let text = "examples: [{paths: [a.yaml]}, {paths: [a.yaml], tier: basic}]\n";
        assert_eq!(told(text, text), [""; 0]);
        assert_eq!(told("", "fail-on: [failed, timed-out, errored]\nparallel: 3\n"), [""; 0]);
    }

    #[test]
    fn long_texts_are_cut() {
        let after = format!(
            "examples: [{{paths: ['{}'], quarantine: {{until: 2027-01-31, reason: {}}}}}]\n",
            "a/".repeat(100),
            "r".repeat(999)
        );
        assert!(told("", &after).iter().all(|sentence| sentence.chars().count() < 250));
    }
}
