//! What each code means: `explain CODE`. The texts are data, in `codes/`.
//!
//! Those files are lists of entries with these keys:
//!
//! - `code`, `title`, `severity` (`error`, `warning` or `note`; the worst one, where it depends), `what`, `why`, `fix`: for
//!   people, in whole sentences;
//! - `bad` and `good`: whole manifests. The bad one has a finding of this code and of no other, the good one none of this;
//! - `context`, where the manifest alone is not enough: `crd` (a CustomResourceDefinition that is given), `kubernetes` (the
//!   versions of the plan), `images` (what the config builds), `other` (another example of the catalog), `registry` (what
//!   registries say of images: `absent` or `unknown`; they have all others).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use serde::Deserialize;

use super::code;
use crate::diagnostic::Severity;
use crate::yaml::parse;

/// The documentation of one code.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    /// `EV105`.
    pub code: String,
    /// What it is about, in a few words.
    pub title: String,
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub what: String,
    /// Why it matters.
    pub why: String,
    /// What to do.
    pub fix: String,
    /// A whole manifest that has this finding and no other.
    pub bad: String,
    /// A whole manifest that does not have it.
    pub good: String,
    /// What the manifests are judged with.
    #[serde(default)]
    pub context: Context,
}

/// What the manifests of an explanation are judged with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Context {
    /// A CustomResourceDefinition that is given.
    pub crd: Option<String>,
    /// The Kubernetes versions of the plan.
    pub kubernetes: Vec<String>,
    /// The names of the images that the config builds.
    pub images: Vec<String>,
    /// Another example of the same catalog.
    pub other: Option<String>,
    /// What registries say of images, by reference: `absent` or `unknown`.
    pub registry: BTreeMap<String, String>,
}

static EXPLANATIONS: LazyLock<Vec<Explanation>> = LazyLock::new(|| {
    [
        include_str!("codes/ev1_refused.yaml"),
        include_str!("codes/ev2_pods.yaml"),
        include_str!("codes/ev3_images.yaml"),
        include_str!("codes/ev4_versions.yaml"),
        include_str!("codes/ev5_isolation.yaml"),
    ]
    .into_iter()
    .flat_map(read)
    .collect()
});

#[expect(clippy::expect_used, reason = "the texts are compiled in")]
fn read(text: &str) -> Vec<Explanation> {
    let json = parse(text).documents.first().map(|document| document.root.to_json()).unwrap_or_default();
    serde_json::from_value(json).expect("the files in codes/ are lists of explanations, as a test shows")
}

/// The documentation of every code, in order.
#[must_use]
pub fn explanations() -> &'static [Explanation] {
    &EXPLANATIONS
}

/// The documentation of a code as text for a terminal; capital letters don't matter. `None` if there is no such code.
#[must_use]
pub fn explain(code: &str) -> Option<String> {
    let found = explanations().iter().find(|explanation| explanation.code.eq_ignore_ascii_case(code.trim()))?;
    Some(render(found))
}

/// Why a code is not known, with the closest one that is, and the list of all.
#[must_use]
pub fn unknown(code: &str) -> String {
    let wanted = code.trim().to_ascii_uppercase();
    let closest = code::ALL.iter().min_by_key(|known| strsim::damerau_levenshtein(known, &wanted));
    let close = closest.filter(|known| strsim::damerau_levenshtein(known, &wanted) <= 2);
    let hint = close.map(|known| format!(" Did you mean {known}?")).unwrap_or_default();
    format!("`{code}` is not a code of this program.{hint} The codes are:\n\n{}", list())
}

/// Every code with its severity and title, a line each.
#[must_use]
pub fn list() -> String {
    explanations()
        .iter()
        .map(|entry| format!("{}  {:<7}  {}\n", entry.code, word(entry.severity), entry.title))
        .collect()
}

/// Characters of a line of prose.
const WIDTH: usize = 88;

fn render(entry: &Explanation) -> String {
    let mut text = format!("{} ({}): {}\n\n", entry.code, word(entry.severity), entry.title);
    for (heading, prose) in [("What", &entry.what), ("Why", &entry.why), ("What to do", &entry.fix)] {
        // Writing into a string can't fail.
        let _ = write!(text, "{heading}\n{}\n", wrap(prose));
    }
    for note in notes(&entry.context) {
        text.push_str(&wrap(&note));
        text.push('\n');
    }
    let _ = write!(text, "Bad\n{}\nGood\n{}", indent(&entry.bad), indent(&entry.good));
    text
}

/// What a reader must know of the context to understand the examples.
fn notes(context: &Context) -> Vec<String> {
    let mut notes = Vec::new();
    if !context.kubernetes.is_empty() {
        notes.push(format!("In the examples the plan has Kubernetes {}.", context.kubernetes.join(", ")));
    }
    if !context.images.is_empty() {
        notes.push(format!("In the examples the config builds {}.", context.images.join(", ")));
    }
    if context.other.is_some() {
        notes.push("In the examples another file has the same object as the bad one.".to_owned());
    }
    notes
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// Prose in lines of at most [`WIDTH`] characters, set in by two.
fn wrap(prose: &str) -> String {
    let mut text = String::new();
    let mut line = String::new();
    for word in prose.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(&indent(&line));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    text + &indent(&line)
}

fn indent(block: &str) -> String {
    block.trim_end().lines().map(|line| format!("  {line}").trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_once_and_in_order() {
        let codes: Vec<_> = explanations().iter().map(|entry| entry.code.as_str()).collect();
        assert_eq!(codes, code::ALL);
    }

    #[test]
    fn every_explanation_is_whole() {
        for entry in explanations() {
            for text in [&entry.what, &entry.why, &entry.fix] {
                assert!(text.ends_with('.'), "{}: {text}", entry.code);
            }
            assert!(!entry.title.ends_with('.') && entry.title.len() <= 70, "{}", entry.code);
            assert_ne!(entry.bad, entry.good, "{}", entry.code);
            assert!(parse(&entry.good).errors.is_empty(), "{}", entry.code);
            for text in [&entry.context.crd, &entry.context.other].into_iter().flatten() {
                assert!(parse(text).errors.is_empty(), "{}", entry.code);
            }
            assert!(entry.context.registry.values().all(|answer| answer == "absent" || answer == "unknown"));
        }
    }

    #[test]
    fn an_explanation_says_what_why_and_what_to_do() {
        let text = explain("ev303").unwrap();
        assert!(
            text.starts_with("EV303 (warning): An image of this project that is always pulled\n\nWhat\n  The config")
        );
        for part in [
            "\nWhy\n  The cluster",
            "\nWhat to do\n  Set",
            "config builds ghcr.io/example/app",
            "\nBad\n  apiVersion",
            "\nGood\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH + 2), "{text}");
    }

    #[test]
    fn an_unknown_code_is_answered_with_the_closest_one_and_the_list() {
        assert_eq!(explain("EV999"), None);
        assert!(unknown("EV1O5").starts_with("`EV1O5` is not a code of this program. Did you mean EV105?"));
        let far = unknown("nonsense");
        assert!(!far.contains("Did you mean") && far.lines().count() == code::ALL.len() + 2, "{far}");
    }
}
