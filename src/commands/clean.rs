//! `clean`: deletes what earlier runs left behind on a cluster.

use jiff::{SignedDuration, Timestamp};

use super::say;
use crate::cluster::existing::{Access, Unconnected, connect};
use crate::config::{self, ClusterKind};
use crate::diagnostic::inert::inert;
use crate::diagnostic::render::render;
use crate::diagnostic::{Diagnostic, Severity};
use crate::error::{Error, Result, chain};
use crate::model::Cause;
use crate::settings::{RunContext, Settings};
use crate::trial::apply::Target;
use crate::trial::cleanup::{self, Leftover, Patience, Removed};

/// Below this age the run may still be at work.
const YOUNG: SignedDuration = SignedDuration::from_mins(30);

const NO_CLUSTER: &str =
    "nothing to delete: this version makes no clusters (`--cluster existing` cleans the one of the kubeconfig)\n";
const NOTHING: &str = "nothing to delete: earlier runs left nothing behind\n";

/// Deletes every leftover of any run on the cluster of the settings, and says so. Exit code 0 if nothing is left, 3 otherwise.
pub fn clean(settings: &Settings, context: &RunContext) -> Result<u8> {
    let named = settings.cluster.kubeconfig.is_some() || settings.cluster.context.is_some();
    let kind = match settings.cluster.kind {
        _ if named => ClusterKind::Existing,
        Some(kind) => kind,
        None => config::read(&settings.root, settings.config.as_deref())?.cluster,
    };
    if kind != ClusterKind::Existing {
        return say(NO_CLUSTER);
    }
    let access = Access { kubeconfig: settings.cluster.kubeconfig.clone(), context: settings.cluster.context.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Internal(format!("can't start the network: {error}")))?;
    let folder = tempfile::tempdir().map_err(|error| Error::io("create", "a temporary folder", error))?;
    let found = runtime.block_on(async {
        let cluster = connect(&access, folder.path()).await.map_err(unconnected)?;
        let target = Target::new(cluster.client);
        let found = cleanup::leftovers(&target, None).await;
        let found = found.map_err(|error| Error::Internal(format!("can't look for leftovers: {}", chain(&error))))?;
        if found.is_empty() {
            return Ok(None);
        }
        warn(&found.iter().filter_map(|leftover| still_young(leftover, Timestamp::now())).collect::<Vec<_>>(), context);
        Ok::<_, Error>(Some(cleanup::remove_leftovers(&target, found, Patience::default()).await))
    })?;
    let Some(removed) = found else { return say(NOTHING) };
    say(&told(&removed))?;
    warn(&removed.warnings, context);
    Ok(if removed.left.is_empty() { 0 } else { 3 })
}

fn unconnected(error: Unconnected) -> Error {
    match error {
        Unconnected::Usage(error) => error,
        Unconnected::Cluster(cause) => {
            let Cause { message, hint, .. } = *cause;
            Error::Internal(if hint.is_empty() { message } else { format!("{message} ({hint})") })
        }
    }
}

/// That a run may still be at work: its examples are errored once their namespaces are gone.
fn still_young(leftover: &Leftover, now: Timestamp) -> Option<String> {
    let age = now.duration_since(leftover.created?);
    (age < YOUNG).then(|| {
        let minutes = age.as_mins().max(0);
        let Leftover { run, .. } = leftover;
        format!(
            "{} of the run {run} is {minutes} min old: if that run is still at work, it loses this example",
            leftover.reference()
        )
    })
}

/// What was deleted, and what was not, a line each.
fn told(removed: &Removed) -> String {
    let lines =
        |verb: &str, names: &[String]| names.iter().map(|name| format!("{verb} {}\n", inert(name))).collect::<String>();
    lines("deleted", &removed.gone) + &lines("still there:", &removed.left)
}

fn warn(warnings: &[String], context: &RunContext) {
    let warnings: Vec<_> =
        warnings.iter().map(|text| Diagnostic::error(text).with_severity(Severity::Warning)).collect();
    if !warnings.is_empty() {
        eprint!("{}", render(&warnings, context.color.stderr));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_deleted_and_what_was_not_is_told() {
        let removed = Removed {
            gone: vec!["Namespace/ev-a".to_owned()],
            left: vec!["PriorityClass/p".to_owned()],
            warnings: Vec::new(),
        };
        assert_eq!(told(&removed), "deleted Namespace/ev-a\nstill there: PriorityClass/p\n");
    }
}
