//! What all attempts on one cluster share.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Mutex;

use crate::catalog::Catalog;
use crate::cluster::Cluster;
use crate::config::Config;
use crate::evidence::{Evidence, FollowContext, Redactor};
use crate::framework::Frameworks;
use crate::image::replace::Replacements;
use crate::model::{Cause, ExampleId};
use crate::operator::Restarts;
use crate::report::{CheckResult, ContainerUse, LogTail, Resources};
use crate::trial::apply::Target;
use crate::trial::hub::{Hub, WatchError, resource};
use crate::trial::janitor::Janitor;
use crate::trial::metrics::Meter;
use crate::trial::resources::Sampler;
use crate::trial::script::Containers;

/// Everything that the attempts on one cluster share.
pub struct World<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// How objects get there.
    pub target: Target,
    /// Its watches.
    pub hub: Hub,
    /// Who asks what pods use.
    pub sampler: Sampler,
    /// Who deletes what attempts leave.
    pub janitor: Janitor,
    /// The config.
    pub config: &'a Config,
    /// Which kinds can be judged.
    pub frameworks: &'a Frameworks,
    /// The examples, for those that are needed.
    pub catalog: &'a Catalog,
    /// The repository's root, absolute.
    pub root: &'a Path,
    /// What identifies this run on the cluster.
    pub run_id: &'a str,
    /// What the images mean that the project builds.
    pub images: &'a Replacements,
    /// Reads metrics, where the config says from where.
    pub meter: Option<Meter>,
    /// What the operator's pods do, if we deployed it.
    pub operator: Option<Restarts>,
    /// How containers of scripts are started beside the cluster.
    pub containers: Containers,
    /// How logs are followed.
    pub follow: FollowContext,
    /// Where evidence goes.
    pub evidence: &'a Evidence,
    /// What must not be shown.
    pub redactor: &'a Redactor,
    /// This program's environment, from which child processes get what an allow-list names.
    pub environment: &'a [(OsString, OsString)],
    /// A private folder for files of child processes.
    pub scratch: &'a Path,
    /// The ends of telling logs, by example and version, for the console.
    pub logs: &'a Mutex<Vec<(ExampleId, String, LogTail)>>,
}

/// The kinds that every attempt needs: group, version, kind, plural.
const NEEDED: [(&str, &str, &str, &str); 2] = [("", "v1", "Pod", "pods"), ("", "v1", "Event", "events")];
/// Those that only tell more; an identity that may not see them does without.
const USEFUL: [(&str, &str, &str, &str); 4] = [
    ("", "v1", "Node", "nodes"),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    ("apps", "v1", "ReplicaSet", "replicasets"),
    ("batch", "v1", "Job", "jobs"),
];

impl World<'_> {
    /// Starts the watches that every attempt needs.
    ///
    /// # Errors
    /// The API server refuses them, or does not answer.
    pub async fn watch(&self, patience: std::time::Duration) -> Result<(), WatchError> {
        for kind in USEFUL {
            self.hub.also_watch(&resource(kind));
        }
        self.hub.watch(&NEEDED.map(resource), patience).await
    }

    /// Watches every kind that can be judged, for scripts: what they create is not known before.
    pub async fn watch_what_scripts_may_create(&self) {
        let kinds = match self.target.discovery.listable().await {
            Ok(kinds) => kinds,
            Err(error) => return tracing::debug!("what scripts create may be noticed late: {error}"),
        };
        for kind in kinds.into_iter().map(|served| served.resource) {
            if self.frameworks.describe(&kind.group, &kind.version, &kind.kind).is_some() {
                self.hub.also_watch(&kind);
            }
        }
    }

    /// A cause without secrets.
    pub fn redacted(&self, cause: Cause) -> Cause {
        let text = |text: &str| self.redactor.text(text).into_owned();
        Cause { message: text(&cause.message), hint: text(&cause.hint), object: text(&cause.object), ..cause }
    }

    /// What pods used, without secrets.
    pub fn redacted_resources(&self, resources: Resources) -> Resources {
        let text = |text: &str| self.redactor.text(text).into_owned();
        let container =
            |used: ContainerUse| ContainerUse { pod: text(&used.pod), container: text(&used.container), ..used };
        let pods = resources.pods.into_iter().map(container).collect();
        Resources { note: text(&resources.note), pods, ..resources }
    }

    /// What became of a check, without secrets.
    pub fn redacted_check(&self, check: CheckResult) -> CheckResult {
        CheckResult { message: self.redactor.text(&check.message).into_owned(), ..check }
    }
}
