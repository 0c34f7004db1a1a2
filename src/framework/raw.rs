//! The written form of a framework: an entry of the config's `frameworks`, and of `builtin.yaml`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::expression::{Expression, ExpressionError};
use super::{Framework, Match, States, generic, registry};
use crate::duration;

/// How long an attempt may take where no framework says more.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// One kind of object that can be judged. Keys that are left out are those of the built-in framework of the same group
/// and kind, else those of the generic conditions (Complete, Succeeded, Ready, Available; Failed; Running; Suspended).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawFramework {
    /// The name in reports: `rayjob`.
    pub name: String,
    /// The objects that it describes.
    #[serde(rename = "match")]
    pub matches: RawMatch,
    /// Whether such an object finishes (default), or only becomes ready.
    pub finishes: Option<bool>,
    /// CEL over `object` and `conditions` (status by type): it finished well, or is ready.
    pub succeeded: Option<String>,
    /// CEL: it ended badly. Goes before `succeeded`.
    pub failed: Option<String>,
    /// CEL: it is at work.
    pub running: Option<String>,
    /// CEL: somebody has to resume it before anything runs.
    pub suspended: Option<String>,
    /// A label selector of pods besides those that it owns; `{path}` is taken from the object:
    /// `ray.io/cluster={status.rayClusterName}`.
    pub pods: Option<String>,
    /// The main container's name.
    pub container: Option<String>,
    /// Whether the operator refuses a pod template without that container.
    pub container_required: Option<bool>,
    /// How long an attempt may take: `90s`, `15m`, `1h30m`.
    pub timeout: Option<String>,
}

/// Which objects a framework describes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawMatch {
    /// The API group: `ray.io`; empty (or left out) for the core group.
    #[serde(default)]
    pub group: String,
    /// The API version, `v1`; any if it is left out.
    pub version: Option<String>,
    /// The kind: `RayJob`.
    pub kind: String,
}

/// Why a framework is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}")]
pub struct FrameworkError {
    /// The key that is wrong, as written: `succeeded`, `timeout`, `match`.
    pub key: &'static str,
    /// What was found, and what is expected.
    pub message: String,
}

impl RawFramework {
    /// This description, with what it leaves out taken from `base`.
    fn or(self, base: &Self) -> Self {
        let base = base.clone();
        Self {
            name: self.name,
            matches: self.matches,
            finishes: self.finishes.or(base.finishes),
            succeeded: self.succeeded.or(base.succeeded),
            failed: self.failed.or(base.failed),
            running: self.running.or(base.running),
            suspended: self.suspended.or(base.suspended),
            pods: self.pods.or(base.pods),
            container: self.container.or(base.container),
            container_required: self.container_required.or(base.container_required),
            timeout: self.timeout.or(base.timeout),
        }
    }

    /// The framework, its expressions made by `expression` (checked for a user's, trusted for the built-in ones).
    pub(super) fn build(
        self,
        expression: impl Fn(&str) -> Result<Expression, ExpressionError>,
    ) -> Result<Framework, FrameworkError> {
        let compile = |key: &'static str, own: &Option<String>, generic: &str| {
            own.as_deref()
                .map_or_else(|| Ok(Expression::trusted(generic)), &expression)
                .map_err(|error| FrameworkError { key, message: error.to_string() })
        };
        let states = States {
            failed: compile("failed", &self.failed, generic::FAILED)?,
            succeeded: compile("succeeded", &self.succeeded, generic::SUCCEEDED)?,
            suspended: compile("suspended", &self.suspended, generic::SUSPENDED)?,
            running: compile("running", &self.running, generic::RUNNING)?,
        };
        let timeout = self.timeout.as_deref().map_or(Ok(DEFAULT_TIMEOUT), duration::parse);
        let RawMatch { group, version, kind } = self.matches;
        Ok(Framework {
            name: self.name,
            matches: Match { group, version, kind },
            finishes: self.finishes.unwrap_or(true),
            pods: self.pods,
            container: self.container,
            container_required: self.container_required.unwrap_or(false),
            timeout: timeout.map_err(|message| FrameworkError { key: "timeout", message })?,
            states,
        })
    }

    fn check(&self) -> Result<(), FrameworkError> {
        let error = |key, message: String| Err(FrameworkError { key, message });
        if self.name.trim().is_empty() {
            return error("name", "it is empty: expected a short name for reports, like rayjob".to_owned());
        }
        if self.matches.kind.trim().is_empty() {
            return error("match", "its `kind` is empty: expected the kind of the objects, like RayJob".to_owned());
        }
        if self.matches.group.contains('/') {
            let group = &self.matches.group;
            return error(
                "match",
                format!("`{group}` is not an API group: expected it without its version, like ray.io"),
            );
        }
        match &self.pods {
            Some(pods) if pods.matches('{').count() != pods.matches('}').count() => {
                error("pods", format!("`{pods}` has braces that don't pair: expected key={{path}}"))
            }
            _ => Ok(()),
        }
    }
}

impl TryFrom<RawFramework> for Framework {
    type Error = FrameworkError;

    /// A user's framework, checked, with the built-in one of the same kind behind it.
    fn try_from(raw: RawFramework) -> Result<Self, FrameworkError> {
        raw.check()?;
        let base = registry::builtin_raw().iter().find(|base| {
            let RawMatch { group, version, kind } = &raw.matches;
            let same_version = base.matches.version.is_none() || version.is_none() || base.matches.version == *version;
            base.matches.group == *group && base.matches.kind == *kind && same_version
        });
        let raw = match base {
            Some(base) => raw.or(base),
            None => raw,
        };
        raw.build(Expression::compile)
    }
}
