//! The words of the project: what an example, a tier, an outcome, a cause is. Pure data, used by every room.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An example's path from the repository's root, with `/`; outside the root it keeps its `../`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExampleId(String);

impl ExampleId {
    /// The id of a path that is already relative to the root and written with `/`.
    #[must_use]
    pub fn new(path: impl Into<String>) -> Self {
        Self(path.into())
    }

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ExampleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How far an example is taken. Tiers are cumulative: what runs on a cluster has passed `basic` first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Static, no cluster, seconds.
    Basic,
    /// End to end on a cluster.
    Full,
    /// End to end, too heavy for every change.
    Periodic,
}

/// What an example has to do to pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    /// Its judged objects succeed.
    #[default]
    Succeeded,
    /// They run, and go on running for the grace.
    Running,
    /// They fail.
    Failed,
    /// The API server (or the basic tier) refuses it.
    Rejected,
}

/// How a cell, or an attempt, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It did what was expected.
    Passed,
    /// It did not.
    Failed,
    /// Its time was up.
    TimedOut,
    /// It failed, then passed on a retry.
    Flaky,
    /// It was not tried; the row's reason says why.
    Skipped,
    /// It could not be judged: the cluster, the registry or the tool itself is at fault.
    Errored,
}

/// Which part of the world a cause lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CauseClass {
    /// The manifest itself.
    Manifest,
    /// The API server refused it.
    Admission,
    /// An image.
    Image,
    /// No node takes it.
    Scheduling,
    /// Its containers.
    Runtime,
    /// A check.
    Assertion,
    /// Its time.
    Timeout,
    /// The operator under test.
    Operator,
    /// The cluster.
    Cluster,
    /// This program.
    Internal,
}

/// Why, as one line that a person can act on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The class.
    pub class: CauseClass,
    /// A word to search for: `ImagePullBackOff`, or a diagnostic's code for class `manifest`.
    pub reason: String,
    /// What happened, in one line.
    pub message: String,
    /// What to do about it; empty if nothing is known.
    pub hint: String,
    /// The object, as `Kind/name`; empty if none.
    pub object: String,
    /// The file, relative to the root; empty if none.
    pub file: String,
    /// The line in the file, from 1; 0 if none.
    pub line: u32,
}

impl Cause {
    /// A cause of which only this is known: no hint, no object, no place.
    #[must_use]
    pub fn new(class: CauseClass, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            class,
            reason: reason.into(),
            message: message.into(),
            hint: String::new(),
            object: String::new(),
            file: String::new(),
            line: 0,
        }
    }
}

/// What the whole run comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conclusion {
    /// Nothing that counts went wrong.
    Success,
    /// An example that counts failed.
    Failure,
    /// An example that counts could not be judged.
    Error,
    /// The run was cancelled.
    Cancelled,
    /// The run was simulated.
    Simulated,
}

/// Gives an enum of plain words its `Display`, `FromStr` and list of words, from one table.
macro_rules! words {
    ($type:ident, $what:literal: $($variant:ident = $word:literal),+ $(,)?) => {
        impl $type {
            /// Every value, in the order of the design.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word that stands for this value in config, output and reports.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text).ok_or_else(|| {
                    let words: Vec<_> = Self::ALL.iter().map(|value| value.as_str()).collect();
                    format!("`{text}` is not {}: expected one of {}", $what, words.join(", "))
                })
            }
        }
    };
}

words!(Tier, "a tier": Basic = "basic", Full = "full", Periodic = "periodic");
words!(Expect, "an expectation": Succeeded = "succeeded", Running = "running", Failed = "failed", Rejected = "rejected");
words!(Outcome, "an outcome": Passed = "passed", Failed = "failed", TimedOut = "timed-out", Flaky = "flaky",
    Skipped = "skipped", Errored = "errored");
words!(CauseClass, "a cause's class": Manifest = "manifest", Admission = "admission", Image = "image",
    Scheduling = "scheduling", Runtime = "runtime", Assertion = "assertion", Timeout = "timeout",
    Operator = "operator", Cluster = "cluster", Internal = "internal");
words!(Conclusion, "a conclusion": Success = "success", Failure = "failure", Error = "error",
    Cancelled = "cancelled", Simulated = "simulated");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_same_in_text_and_in_json() {
        for outcome in Outcome::ALL {
            assert_eq!(outcome.as_str().parse(), Ok(*outcome));
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.as_str());
        }
        for tier in Tier::ALL {
            assert_eq!(serde_json::to_value(tier).unwrap(), tier.as_str());
        }
        for class in CauseClass::ALL {
            assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
        }
    }

    #[test]
    fn an_unknown_word_names_the_known_ones() {
        assert_eq!(
            "fast".parse::<Tier>(),
            Err("`fast` is not a tier: expected one of basic, full, periodic".to_owned())
        );
    }
}
