//! Frameworks: which kinds of object can be judged, in data, and their evaluation as pure functions of an object.
//!
//! `builtin.yaml` describes the kinds that everybody uses; a user's config may describe more, in the same form
//! ([`RawFramework`]). An object's state is what the CEL expressions of its framework say of it: nothing here watches,
//! waits or knows of a cluster.

pub mod expression;
mod generic;
mod raw;
mod registry;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::Value as Json;

pub use raw::{FrameworkError, RawFramework, RawMatch};
pub use registry::Frameworks;

use expression::{Expression, ExpressionError, Scope};

/// A description of one kind of object that can be judged.
#[derive(Clone, Debug)]
pub struct Framework {
    /// Its name in reports: `pytorchjob`.
    pub name: String,
    /// The objects that it describes.
    pub matches: Match,
    /// Whether such an object finishes (a batch kind), or only becomes ready.
    pub finishes: bool,
    /// A selector of pods besides those that the object owns; `{status.x}` is taken from the object.
    pub pods: Option<String>,
    /// The main container's name.
    pub container: Option<String>,
    /// Whether the operator refuses a pod template without that container.
    pub container_required: bool,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// What its states look like.
    states: States,
}

/// Which objects: a group (empty for the core group), a version, a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// `kubeflow.org`; empty for the core group.
    pub group: String,
    /// `v1`; `None` for any.
    pub version: Option<String>,
    /// `PyTorchJob`.
    pub kind: String,
}

/// The expressions of a framework, one a state.
#[derive(Clone, Debug)]
struct States {
    failed: Expression,
    succeeded: Expression,
    suspended: Expression,
    running: Expression,
}

/// What an object says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing yet.
    Pending,
    /// Somebody has to resume it before anything runs.
    Suspended,
    /// At work; what does not finish is not ready yet.
    Running,
    /// It finished well; what does not finish is ready.
    Succeeded,
    /// It ended badly, for good.
    Failed,
}

impl Framework {
    /// The state of `object`, by the first expression that holds: failed, succeeded, suspended, running. An object can
    /// say that it succeeded and that it failed at once (a TFJob whose first worker finished while another broke); then
    /// it failed.
    ///
    /// # Errors
    /// An expression cannot be evaluated on this object (not: a key is missing, which means "not yet"). The message names
    /// the framework and the expression.
    pub fn state(&self, object: &Json) -> Result<State, ExpressionError> {
        let scope = Scope::new(object);
        let order = [
            (&self.states.failed, State::Failed),
            (&self.states.succeeded, State::Succeeded),
            (&self.states.suspended, State::Suspended),
            (&self.states.running, State::Running),
        ];
        for (expression, state) in order {
            if expression.holds(&scope)? {
                return Ok(state);
            }
        }
        Ok(State::Pending)
    }

    /// The label selector of the pods besides those that `object` owns, with each `{path}` filled in from the object.
    /// `None` if the framework has none, or the object does not have the value yet.
    #[must_use]
    pub fn pod_selector(&self, object: &Json) -> Option<String> {
        let mut rest = self.pods.as_deref()?;
        let mut selector = String::new();
        while let Some((before, after)) = rest.split_once('{') {
            let (path, tail) = after.split_once('}')?;
            let value = path.split('.').try_fold(object, |value, key| value.get(key))?;
            selector.push_str(before);
            match value {
                Json::String(text) if !text.is_empty() => selector.push_str(text),
                Json::Number(number) => selector.push_str(&number.to_string()),
                _ => return None,
            }
            rest = tail;
        }
        selector.push_str(rest);
        Some(selector)
    }
}

impl Match {
    /// Whether an object of this group, version and kind is meant.
    #[must_use]
    pub fn covers(&self, group: &str, version: &str, kind: &str) -> bool {
        self.kind == kind && self.group == group && self.version.as_deref().is_none_or(|own| own == version)
    }
}
