//! How each kind of value is read from text. An error says what was found and what was expected.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use crate::config::{self, History};
use crate::model::Outcome;
use crate::schema::closest;

/// The M-th of N parts of a plan, `1/4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which part, from 1.
    pub number: NonZeroUsize,
    /// How many parts there are.
    pub count: NonZeroUsize,
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('/').and_then(|(number, count)| {
            Some(Self { number: number.trim().parse().ok()?, count: count.trim().parse().ok()? })
        });
        let shard = parts.ok_or_else(|| format!("`{text}` is not a shard: expected M/N, both from 1, like 1/4"))?;
        if shard.number > shard.count {
            return Err(format!("`{text}` is not a shard: there is no part {} of {}", shard.number, shard.count));
        }
        Ok(shard)
    }
}

/// How many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parallel {
    /// As many as the machine or the cluster bears.
    Auto,
    /// This many.
    At(NonZeroUsize),
}

impl Parallel {
    /// The number, if one was given.
    #[must_use]
    pub fn number(self) -> Option<NonZeroUsize> {
        match self {
            Self::Auto => None,
            Self::At(number) => Some(number),
        }
    }
}

/// How changed files are found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ChangedFiles {
    /// From the event and git.
    #[default]
    Auto,
    /// Not at all: everything counts as changed.
    Off,
    /// From a file with a path a line.
    File(PathBuf),
}

/// Where the plan is that is obeyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanSource {
    /// In a file.
    File(PathBuf),
    /// In the workflow run's artifact of plans: the one with this digest, `sha256:` and 64 hex digits in lower case.
    Digest(String),
}

/// Where the history is kept, if it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistorySetting {
    /// Nowhere, whatever the config says.
    Off,
    /// Here.
    Keep(History),
}

/// A text that must not be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text that must not be shown.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for an authorization header.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A reader of one of several words.
pub(super) fn word<T: Copy>(table: &'static [(&'static str, T)]) -> impl Fn(&str) -> Result<T, String> {
    move |text| {
        if let Some((_, value)) = table.iter().find(|(word, _)| *word == text) {
            return Ok(*value);
        }
        let words: Vec<_> = table.iter().map(|(word, _)| *word).collect();
        let near = closest(text, words.iter().copied()).map(|near| format!(" (did you mean `{near}`?)"));
        Err(format!("`{text}` is unknown: expected one of {}{}", words.join(", "), near.unwrap_or_default()))
    }
}

/// A boolean as YAML authors and GitHub write it, in any case.
pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(format!("`{text}` is not a boolean: expected true or false")),
    }
}

/// `auto` or a number from 1.
pub(super) fn parallel(text: &str) -> Result<Parallel, String> {
    match text {
        "auto" => Ok(Parallel::Auto),
        _ => text.parse().map(Parallel::At).map_err(|_| format!("`{text}`: expected auto or a whole number from 1")),
    }
}

/// A number from 1.
pub(super) fn count(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| format!("`{text}`: expected a whole number from 1"))
}

/// A number of tries after the first.
pub(super) fn retries(text: &str) -> Result<u32, String> {
    within(text, 0, config::MAX_RETRIES)
}

/// A number of days that GitHub keeps an artifact: at most 400, in private repositories.
pub(super) fn retention_days(text: &str) -> Result<u32, String> {
    within(text, 1, 400)
}

fn within(text: &str, low: u32, high: u32) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (low..=high).contains(number));
    number.ok_or_else(|| format!("`{text}`: expected a whole number from {low} to {high}"))
}

/// An outcome that can fail a run.
pub(super) fn outcome_that_counts(text: &str) -> Result<Outcome, String> {
    word(&[
        ("failed", Outcome::Failed),
        ("timed-out", Outcome::TimedOut),
        ("flaky", Outcome::Flaky),
        ("errored", Outcome::Errored),
    ])(text)
}

/// Any text.
pub(super) fn text(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err("is empty: expected a text, or leave it out".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// A path.
pub(super) fn path(given: &str) -> Result<PathBuf, String> {
    text(given).map(PathBuf::from)
}

/// A text that must not be shown.
pub(super) fn secret(given: &str) -> Result<Secret, String> {
    text(given).map(Secret)
}

/// The id of a workflow run.
pub(super) fn run_id(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is not the id of a workflow run: expected a whole number"))
}

/// A plan's digest or a file.
pub(super) fn plan(given: &str) -> Result<PlanSource, String> {
    let Some(hex) = given.strip_prefix("sha256:") else { return path(given).map(PlanSource::File) };
    if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(PlanSource::Digest(given.to_ascii_lowercase()));
    }
    Err(format!("`{given}` is not a plan's digest: expected `sha256:` and 64 hex digits, as the plan's matrix has it"))
}

/// `auto`, `off` or a file.
pub(super) fn changed_files(text: &str) -> Result<ChangedFiles, String> {
    match text {
        "auto" => Ok(ChangedFiles::Auto),
        "off" => Ok(ChangedFiles::Off),
        _ => path(text).map(ChangedFiles::File),
    }
}

/// `off`, `branch:NAME` or a file.
pub(super) fn history(given: &str) -> Result<HistorySetting, String> {
    match given.split_once(':') {
        _ if given == "off" => Ok(HistorySetting::Off),
        Some(("branch", name)) => config::branch_name(name).map(|name| HistorySetting::Keep(History::Branch(name))),
        _ => path(given).map(|file| HistorySetting::Keep(History::File(file))),
    }
}

/// A glob over paths from the root.
pub(super) fn glob(pattern: &str) -> Result<String, String> {
    config::glob(pattern).map(|glob| glob.glob().to_owned())
}

/// A key that is safe in an HTML comment.
pub(super) fn key(text: &str) -> Result<String, String> {
    let safe = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    if !text.is_empty() && text.chars().all(safe) && !text.contains("--") {
        return Ok(text.to_owned());
    }
    Err(format!("`{text}`: expected letters, digits, `_`, `.` and single `-`"))
}

/// The name of an artifact, without the characters that GitHub refuses.
pub(crate) fn artifact_name(given: &str) -> Result<String, String> {
    const REFUSED: &str = "\":<>|*?\r\n\\/";
    match given.chars().find(|character| REFUSED.contains(*character)) {
        Some(character) => Err(format!("`{given}`: an artifact's name can't hold {character:?}")),
        None => text(given),
    }
}

/// The items of a list, which commas and lines part; a comma inside braces or brackets belongs to its glob.
pub(super) fn items(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let parts = text.split(|character: char| {
        match character {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            '\n' => depth = 0,
            _ => {}
        }
        character == '\n' || (character == ',' && depth == 0)
    });
    parts.map(str::trim).filter(|item| !item.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_shard_is_a_part_of_what_there_is() {
        let shard: Shard = "2/4".parse().unwrap();
        assert_eq!((shard.number.get(), shard.count.get(), shard.to_string().as_str()), (2, 4, "2/4"));
        for text in ["0/4", "1/0", "4", "a/b", "-1/2", "1/2/3", ""] {
            assert!(text.parse::<Shard>().unwrap_err().contains("expected M/N"), "{text}");
        }
        assert_eq!("5/4".parse::<Shard>().unwrap_err(), "`5/4` is not a shard: there is no part 5 of 4");
    }

    #[test]
    fn a_list_is_parted_by_commas_and_lines_but_not_inside_a_glob() {
        assert_eq!(items("a, b\n c ,,\n"), ["a", "b", "c"]);
        assert_eq!(items("x/*.{yaml,yml},y/[a,b]"), ["x/*.{yaml,yml}", "y/[a,b]"]);
        assert_eq!(items("broken{\nnext,last"), ["broken{", "next", "last"]);
    }

    #[test]
    fn booleans_are_read_in_every_spelling() {
        for text in ["true", "True", "TRUE", "yes", "on", "1"] {
            assert_eq!(boolean(text), Ok(true));
        }
        for text in ["false", "No", "OFF", "0"] {
            assert_eq!(boolean(text), Ok(false));
        }
        assert!(boolean("maybe").is_err());
    }

    #[test]
    fn a_plan_is_a_file_or_the_digest_of_one() {
        let hex = "0123456789abcdef".repeat(4);
        assert_eq!(plan("p.json"), Ok(PlanSource::File(PathBuf::from("p.json"))));
        let digest = format!("sha256:{hex}");
        assert_eq!(plan(&digest), Ok(PlanSource::Digest(digest.clone())));
        assert_eq!(plan(&format!("sha256:{}", hex.to_uppercase())), Ok(PlanSource::Digest(digest)));
        for wrong in ["sha256:", "sha256:12", &format!("sha256:{}g", &hex[1..]), &format!("sha256:{hex}0")] {
            assert!(plan(wrong).unwrap_err().contains("64 hex digits"), "{wrong}");
        }
        assert!(plan(" ").is_err());
    }

    #[test]
    fn a_secret_does_not_show() {
        assert_eq!(format!("{:?}", secret("ghs_x").unwrap()), "***");
    }

    #[test]
    fn histories_are_files_or_branches() {
        assert_eq!(history("off"), Ok(HistorySetting::Off));
        assert_eq!(history("branch:h"), Ok(HistorySetting::Keep(History::Branch("h".to_owned()))));
        assert_eq!(history("h.json"), Ok(HistorySetting::Keep(History::File(PathBuf::from("h.json")))));
        assert!(history("branch:").unwrap_err().contains("branch"));
    }

    #[test]
    fn names_that_github_refuses_are_refused_here() {
        assert!(artifact_name("a/b").unwrap_err().contains("'/'"));
        assert!(artifact_name("report 1").is_ok());
        assert!(key("--> x").is_err());
        assert_eq!(key("nightly-1"), Ok("nightly-1".to_owned()));
    }

    proptest! {
        #[test]
        fn a_shard_is_read_back(count in 1_usize..300, seed in 0_usize..300) {
            let text = format!("{}/{count}", seed % count + 1);
            prop_assert_eq!(text.parse::<Shard>().unwrap().to_string(), text);
        }

        #[test]
        fn no_item_is_empty_or_padded(text in "[a-c{},\\n ]{0,20}") {
            for item in items(&text) {
                prop_assert_eq!(item, item.trim());
                prop_assert!(!item.is_empty());
            }
        }
    }
}
