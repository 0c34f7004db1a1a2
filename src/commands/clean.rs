//! `clean`: deletes what earlier runs left behind: on the cluster of a kubeconfig, or kind clusters and containers of a Docker engine.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::say;
use crate::child::{Tool, environment};
use crate::cluster::existing::{Access, Unconnected, connect};
use crate::cluster::kind::{Kind, Leftover as Cluster};
use crate::cluster::own::Own;
use crate::config::{self, ClusterKind};
use crate::diagnostic::inert::inert;
use crate::diagnostic::render::render;
use crate::diagnostic::{Diagnostic, Severity};
use crate::error::{Error, Result, chain};
use crate::image::Engine;
use crate::model::Cause;
use crate::settings::{RunContext, Settings};
use crate::trial::apply::Target;
use crate::trial::cleanup::{self, Leftover, Patience, Removed};
use crate::trial::script::leftovers;

/// Below this age the run may still be at work.
const YOUNG: SignedDuration = SignedDuration::from_mins(30);

const SIMULATED: &str = "nothing to delete: a simulated cluster ends with its run\n";
const NOTHING: &str = "nothing to delete: earlier runs left nothing behind\n";

/// Deletes every leftover of any run on the cluster, or the Docker engine, of the settings, and says so. Exit code 0 if nothing is
/// left, 3 otherwise.
pub fn clean(settings: &Settings, context: &RunContext) -> Result<u8> {
    let named = settings.cluster.kubeconfig.is_some() || settings.cluster.context.is_some();
    let kind = match settings.cluster.kind {
        _ if named => ClusterKind::Existing,
        Some(kind) => kind,
        None => config::read(&settings.root, settings.config.as_deref())?.cluster,
    };
    match kind {
        ClusterKind::Existing => on_cluster(settings, context),
        ClusterKind::Simulated => say(SIMULATED),
        ClusterKind::Auto | ClusterKind::Kind => on_engine(context),
    }
}

fn on_cluster(settings: &Settings, context: &RunContext) -> Result<u8> {
    let access = Access { kubeconfig: settings.cluster.kubeconfig.clone(), context: settings.cluster.context.clone() };
    let runtime = super::runtime()?;
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
    tell(&removed, context)
}

/// kind clusters, and containers of scripts.
fn on_engine(context: &RunContext) -> Result<u8> {
    let folder = tempfile::tempdir().map_err(|error| Error::io("create", "a temporary folder", error))?;
    let variables: Vec<_> = std::env::vars_os().collect();
    let engine = Engine::new(&variables, folder.path());
    let runtime = super::runtime()?;
    let removed = runtime.block_on(async {
        if let Err(cause) = engine.platform().await {
            return Err(cause.message);
        }
        let own = Own::find(&variables, folder.path()).await;
        let kind = Kind::new(Path::new("kind"), &variables, folder.path(), own);
        let clusters = kind.leftovers().await?;
        let now = Timestamp::now();
        warn(&clusters.iter().filter_map(|left| young_cluster(left, now)).collect::<Vec<_>>(), context);
        let docker = Tool::new("docker", environment::for_docker(&variables), folder.path());
        let containers = leftovers::remove(&docker).await?;
        let gone = containers.into_iter().map(|name| format!("the container {name}")).collect();
        let mut removed = Removed { gone, left: Vec::new(), warnings: Vec::new() };
        for Cluster { name, .. } in clusters {
            match kind.delete(&name).await {
                Ok(()) => removed.gone.push(format!("the kind cluster {name}")),
                Err(why) => {
                    removed.warnings.push(why);
                    removed.left.push(format!("the kind cluster {name}"));
                }
            }
        }
        Ok(removed)
    });
    match removed {
        Ok(removed) if removed.gone.is_empty() && removed.left.is_empty() => say(NOTHING),
        Ok(removed) => tell(&removed, context),
        Err(why) => say(&format!("nothing to delete that can be seen: {}\n", inert(&why))),
    }
}

fn tell(removed: &Removed, context: &RunContext) -> Result<u8> {
    say(&told(removed))?;
    warn(&removed.warnings, context);
    Ok(if removed.left.is_empty() { 0 } else { 3 })
}

/// That the run of a cluster may still be at work.
fn young_cluster(cluster: &Cluster, now: Timestamp) -> Option<String> {
    let age = now.duration_since(cluster.created?);
    let minutes = age.as_mins().max(0);
    (age < YOUNG)
        .then(|| format!("{} is {minutes} min old: if its run is still at work, it loses its cluster", cluster.name))
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
