//! One version on a kind cluster of its own: created, loaded, given the operator, judged on, and deleted whatever happens.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use super::builds::{Loads, all_loaded, of_operator};
use super::ground::Ground;
use super::on_clusters::Judged;
use super::version::{Brought, Shared, finish};
use crate::cluster::kind::names::cluster_name;
use crate::cluster::kind::{Created, DEADLINE, Failure, Spec};
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::{Cause, CauseClass, Outcome};
use crate::report::Row;
use crate::settings::KeepCluster;
use crate::trial::cells::Cell;

impl<'a> Shared<'_, 'a, '_> {
    /// Judges cells on a cluster that is made for them.
    pub(super) async fn on_kind(&self, kubernetes: &str, cells: Vec<Cell<'a>>, ground: &Ground) -> Judged {
        let cancel = &self.work.signals.cancel;
        let image = match ground.node_image(kubernetes, &self.work.workspace.config) {
            Ok(image) => image,
            Err(found) => {
                let cause = Cause::new(CauseClass::Cluster, "UnknownVersion", found.message);
                let cause = Cause { hint: found.help.unwrap_or_default(), ..cause };
                return self.without(kubernetes, &cells, "kind", &cause);
            }
        };
        let name = cluster_name(self.work.run_id, kubernetes);
        let logs = self.work.outputs.evidence.other(&format!("{kubernetes}/cluster"));
        let left = self.work.settings.limits.deadline.map(|all| all.saturating_sub(self.work.start.clock.elapsed()));
        let spec = Spec {
            name: &name,
            kubernetes,
            image: image.as_deref(),
            config: &ground.config,
            logs: logs.path(),
            within: left.map_or(DEADLINE, |left| left.min(DEADLINE)),
        };
        tracing::info!("creating the cluster {name} ({kubernetes})");
        let created = match ground.kind.create(&spec, cancel).await {
            Ok(created) => created,
            Err(Failure::Cancelled) => return self.cancelled(&cells).await,
            Err(Failure::Cluster(cause)) => return self.without(kubernetes, &cells, "kind", &cause),
        };
        // Whatever goes wrong from here on, the cluster is deleted before it is told.
        let judged = AssertUnwindSafe(self.on_created(kubernetes, cells, ground, &created, &name)).catch_unwind().await;
        let rows = judged.as_ref().map_or(&[][..], |judged| &judged.rows);
        let remarks = self.take_down(ground, &name, &logs, rows).await;
        match judged {
            Ok(mut judged) => {
                judged.remarks.extend(remarks);
                judged.remarks.extend(created.first_failure.as_ref().map(|cause| second_try(&name, cause)));
                judged
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Everything that is done with a cluster that can take work.
    async fn on_created(
        &self,
        kubernetes: &str,
        mut cells: Vec<Cell<'a>>,
        ground: &Ground,
        created: &Created,
        name: &str,
    ) -> Judged {
        let nodes = match ground.kind.nodes(name).await {
            Ok(nodes) => nodes,
            Err(why) => {
                let cause =
                    Cause::new(CauseClass::Cluster, "NodesUnknown", format!("its nodes can't be listed: {why}"));
                return self.without(kubernetes, &cells, created.cluster.provider, &cause);
            }
        };
        self.pulls.serve(ground, &nodes).await;
        let Loads { gates, loading } = self.builds.load_into(&nodes);
        for cell in &mut cells {
            let (catalog, images) = (&self.work.workspace.catalog, &self.work.workspace.config.images);
            let needed = crate::image::needed_by(cell.example, catalog, images);
            cell.gates = needed.iter().filter_map(|place| gates.get(place)).cloned().collect();
        }
        let judging = async {
            let mut brought = Brought {
                created: created.took,
                containers: ground.kind.containers(self.brought(&created.cluster).containers.labels),
                goes: self.work.settings.cluster.keep == KeepCluster::Never,
                ..self.brought(&created.cluster)
            };
            let images = all_loaded(&gates, of_operator(self.work));
            if let Err(judged) = self.bring_operator(kubernetes, &cells, &mut brought, images).await {
                return judged;
            }
            let judged = self.on_cluster(kubernetes, cells, &brought).await;
            finish(brought.operator).await;
            judged
        };
        let loading = async {
            loading.await;
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            judged = judging => judged,
            never = loading => match never {},
            never = self.pulls.watch_disk(ground, &nodes) => match never {},
        }
    }

    /// Keeps the logs of a cluster, and deletes it, unless it is to be kept; what went wrong is for a person to know.
    async fn take_down(
        &self,
        ground: &Ground,
        name: &str,
        logs: &crate::evidence::Folder,
        rows: &[Row],
    ) -> Vec<Diagnostic> {
        let mut remarks = Vec::new();
        if !self.work.signals.cancel.is_cancelled()
            && let Err(why) = ground.kind.export_logs(name, &logs.path().join("nodes")).await
        {
            tracing::warn!("the logs of the cluster {name} are not whole: {why}");
        }
        let is_bad = |row: &Row| !matches!(row.outcome, Outcome::Passed | Outcome::Skipped);
        let keep = match self.work.settings.cluster.keep {
            KeepCluster::Never => false,
            KeepCluster::OnFailure => rows.is_empty() || rows.iter().any(is_bad),
            KeepCluster::Always => true,
        };
        if keep && !self.work.signals.cancel.is_cancelled() {
            let help = format!(
                "`kind export kubeconfig --name {name}` leads there; `example-validator clean --cluster kind` deletes it"
            );
            let kept = Diagnostic::error(format!("the cluster {name} is kept")).with_severity(Severity::Note);
            remarks.push(kept.with_help(help));
        } else if let Err(why) = ground.kind.delete(name).await {
            let left = Diagnostic::error(why).with_severity(Severity::Warning);
            remarks.push(left.with_help("`example-validator clean --cluster kind` tries it again"));
        }
        remarks
    }
}

fn second_try(name: &str, cause: &Cause) -> Diagnostic {
    Diagnostic::error(format!("the cluster {name} was created at the second try; the first failed: {}", cause.message))
        .with_severity(Severity::Warning)
}
