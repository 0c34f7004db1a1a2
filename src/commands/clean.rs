//! `clean`: deletes what earlier runs left behind: on the cluster of a kubeconfig, or kind clusters and containers of a Docker engine.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::say;
use crate::child::{Tool, environment};
use crate::cluster::existing::{Access, Unconnected, connect_from};
use crate::cluster::kind::{Kind, Leftover as Cluster, end_orphans, names};
use crate::cluster::own::Own;
use crate::commands::run::scratch::remove_abandoned;
use crate::config::{self, ClusterKind};
use crate::diagnostic::inert::inert;
use crate::diagnostic::{Diagnostic, Severity};
use crate::error::{Error, Result, chain};
use crate::image::Engine;
use crate::model::Cause;
use crate::settings::{KeepCluster, RunContext, Settings};
use crate::trial::apply::Target;
use crate::trial::cleanup::{self, Leftover, Patience, Removed};
use crate::trial::script::leftovers;

/// Below this age the run may still be at work.
const YOUNG: SignedDuration = SignedDuration::from_mins(30);

const SIMULATED: &str = "nothing to delete: a simulated cluster ends with its run\n";
const NOTHING: &str = "nothing to delete: earlier runs left nothing behind\n";

/// Whose leftovers are deleted.
#[derive(Clone, Copy)]
enum Whose<'a> {
    /// Those of any run.
    Anybodys,
    /// Those of this run: others may be at work.
    Run(&'a str),
}

impl Whose<'_> {
    fn run(&self) -> Option<&str> {
        match self {
            Self::Anybodys => None,
            Self::Run(run) => Some(run),
        }
    }

    fn has_cluster(self, name: &str) -> bool {
        self.run().is_none_or(|run| names::is_of(name, run))
    }
}

/// What the action's post step does: deletes what this run left, if it was killed. A failure is a warning, since the examples were
/// judged long before; clusters that were to be kept stay.
pub fn clean_own(settings: &Settings, context: &RunContext) -> u8 {
    let id = context.unique_id(settings.selection.shard);
    let Some(run) = id.filter(|_| settings.cluster.keep == KeepCluster::Never) else { return 0 };
    if let Err(error) = clean_of(settings, context, Whose::Run(&run)) {
        warn(&[chain(&error)], context);
    }
    0
}

/// Deletes every leftover of any run on the cluster, or the Docker engine, of the settings, and says so. Exit code 0 if nothing is
/// left, 3 otherwise.
pub fn clean(settings: &Settings, context: &RunContext) -> Result<u8> {
    clean_of(settings, context, Whose::Anybodys)
}

fn clean_of(settings: &Settings, context: &RunContext, whose: Whose<'_>) -> Result<u8> {
    let named = settings.cluster.kubeconfig.is_some() || settings.cluster.context.is_some();
    let kind = match settings.cluster.kind {
        _ if named => ClusterKind::Existing,
        Some(kind) => kind,
        None => config::read(&settings.root, settings.config.as_deref())?.cluster,
    };
    match kind {
        ClusterKind::Existing => on_cluster(settings, context, whose),
        ClusterKind::Simulated => say(SIMULATED),
        ClusterKind::Auto | ClusterKind::Kind => on_engine(context, whose),
    }
}

fn on_cluster(settings: &Settings, context: &RunContext, whose: Whose<'_>) -> Result<u8> {
    let access = Access { kubeconfig: settings.cluster.kubeconfig.clone(), context: settings.cluster.context.clone() };
    let runtime = super::runtime()?;
    let folder = tempfile::tempdir().map_err(|error| Error::io("create", "a temporary folder", error))?;
    let folders: Vec<_> = abandoned(context.runner_temp.iter().cloned()).collect();
    let mut own = runtime.block_on(Own::find(&context.environment, folder.path()));
    let found = runtime.block_on(async {
        let (cluster, _) = connect_from(&access, folder.path(), &mut own).await.map_err(unconnected)?;
        let patience = Patience::on(cluster.provider);
        let target = Target::new(cluster.client);
        let found = cleanup::leftovers(&target, whose.run()).await;
        let found = found.map_err(|error| Error::Internal(format!("can't look for leftovers: {}", chain(&error))))?;
        if whose.run().is_none() {
            warn(&found.iter().filter_map(|left| still_young(left, Timestamp::now())).collect::<Vec<_>>(), context);
        }
        Ok::<_, Error>(cleanup::remove_leftovers(&target, found, patience).await)
    });
    warn(&runtime.block_on(own.leave()).err().into_iter().collect::<Vec<_>>(), context);
    let mut removed = found?;
    removed.gone.extend(folders);
    if removed == Removed::default() {
        return say(NOTHING);
    }
    tell(&removed, context)
}

/// The private folders that killed runs left in these places, whose ever they were: nobody holds them any more. They are deleted.
fn abandoned(places: impl Iterator<Item = PathBuf>) -> impl Iterator<Item = String> {
    places.flat_map(|place| remove_abandoned(&place)).map(|path| format!("the folder {}", path.display()))
}

/// kind clusters, and containers of scripts.
fn on_engine(context: &RunContext, whose: Whose<'_>) -> Result<u8> {
    let folder = tempfile::tempdir().map_err(|error| Error::io("create", "a temporary folder", error))?;
    let engine = Engine::new(&context.environment, folder.path());
    let runtime = super::runtime()?;
    let removed = runtime.block_on(async {
        if let Err(cause) = engine.platform().await {
            return Err(cause.message);
        }
        let own = Own::find(&context.environment, folder.path()).await;
        let kind = Kind::new(Path::new("kind"), &context.environment, folder.path(), own);
        let clusters = left_clusters(&kind, whose).await?;
        let now = Timestamp::now();
        if whose.run().is_none() {
            warn(&clusters.iter().filter_map(|left| young_cluster(left, now)).collect::<Vec<_>>(), context);
        }
        let mut removed = Removed { gone: Vec::new(), left: Vec::new(), warnings: Vec::new() };
        removed.gone.extend(abandoned(context.runner_temp.iter().cloned().chain([std::env::temp_dir()])));
        if whose.run().is_none() {
            removed.gone.extend(engine.remove_built().await.into_iter().map(|tag| format!("the image {tag}")));
        }
        let docker = Tool::new("docker", environment::for_docker(&context.environment), folder.path());
        match leftovers::remove(&docker, whose.run()).await {
            Ok(names) => removed.gone.extend(names.into_iter().map(|name| format!("the container {name}"))),
            Err(why) => {
                removed.warnings.push(why);
                removed.left.push("containers of scripts".to_owned());
            }
        }
        for cluster in clusters {
            if young_cluster(&cluster, now).is_some() {
                kind.distrust(&cluster.name);
            }
            let Cluster { name, .. } = cluster;
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

/// The clusters to delete, those included that a killed run's kind would still have finished.
async fn left_clusters(kind: &Kind, whose: Whose<'_>) -> Result<Vec<Cluster>, String> {
    // Before anything is listed: what these would still make can't be seen yet.
    let orphans = if whose.run().is_none() { end_orphans() } else { Vec::new() };
    let mut clusters = kind.leftovers().await?;
    clusters.retain(|cluster| whose.has_cluster(&cluster.name));
    for name in orphans {
        kind.distrust(&name);
        if !clusters.iter().any(|cluster| cluster.name == name) {
            clusters.push(Cluster { name, created: None });
        }
    }
    Ok(clusters)
}

fn tell(removed: &Removed, context: &RunContext) -> Result<u8> {
    say(&super::for_log(&told(removed), context))?;
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
    super::tell(&warnings, context);
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
