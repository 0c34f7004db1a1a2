//! One version on a kind cluster of its own: created, loaded, given the operator, judged on, and deleted whatever happens.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures::FutureExt;

use super::builds::{Loads, all_loaded};
use super::ground::{Ground, cause};
use super::on_clusters::Judged;
use super::version::{Brought, Shared, finish};
use crate::cluster::Cluster;
use crate::cluster::kind::names::cluster_name;
use crate::cluster::kind::{DEADLINE, Failure, Spec};
use crate::commands::judge::Span;
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::{Cause, CauseClass, Outcome};
use crate::report::Row;
use crate::settings::KeepCluster;
use crate::trial::cells::Cell;

impl<'a> Shared<'_, 'a, '_> {
    /// Judges cells on a cluster that is made for them. A panic of this program costs these cells alone, and no cluster is left.
    pub(super) async fn on_kind_whatever_happens(
        &self,
        kubernetes: &str,
        cells: Vec<Cell<'a>>,
        ground: &Ground,
    ) -> Judged {
        let name = cluster_name(self.work.run_id, kubernetes);
        let judging = AssertUnwindSafe(self.on_kind(kubernetes, cells.clone(), ground, &name));
        if let Ok(judged) = judging.catch_unwind().await {
            return judged;
        }
        let left = ground.kind.delete(&name).await.err().map(not_deleted);
        let cause = Cause {
            hint: "report it as a bug of example-validator, with the config".to_owned(),
            ..Cause::new(CauseClass::Internal, "Panic", "this program panicked while it had the cluster")
        };
        let mut judged = self.without(kubernetes, &cells, "kind", &cause);
        judged.remarks.extend(left);
        judged
    }

    async fn on_kind(&self, kubernetes: &str, cells: Vec<Cell<'a>>, ground: &Ground, name: &str) -> Judged {
        if self.stop.is_cancelled() {
            return self.cancelled(&cells).await;
        }
        let image = match ground.node_image(kubernetes, &self.work.workspace.config) {
            Ok(image) => image,
            Err(found) => return self.without(kubernetes, &cells, "kind", &cause("UnknownVersion", found)),
        };
        let logs = self.work.outputs.evidence.other(&format!("{kubernetes}/cluster"));
        let spec = Spec {
            name,
            kubernetes,
            image: image.as_deref(),
            config: &ground.config,
            logs: logs.path(),
            within: DEADLINE,
        };
        tracing::info!("creating the cluster {name} ({kubernetes})");
        let began = Instant::now();
        let mut created = match ground.kind.create(&spec, &self.stop).await {
            Ok(created) => created,
            Err(_) if self.stop.is_cancelled() => return self.cancelled(&cells).await,
            Err(Failure::Cancelled) => return self.cancelled(&cells).await,
            Err(Failure::Cluster(cause)) => return self.not_created(kubernetes, &cells, &cause, began),
        };
        let span = Span { took: created.took, ..self.work.start.span(began) };
        ground.share(&mut created.cluster);
        let mut judged = self.on_created(kubernetes, cells, ground, (&created.cluster, span), name).await;
        let remarks = self.take_down(ground, name, &logs, &judged.rows).await;
        judged.remarks.extend(remarks);
        judged.remarks.extend(created.first_failure.as_ref().map(|cause| second_try(name, cause)));
        judged
    }

    /// Everything that is done with a cluster that can take work.
    async fn on_created(
        &self,
        kubernetes: &str,
        mut cells: Vec<Cell<'a>>,
        ground: &Ground,
        (cluster, created): (&Cluster, Span),
        name: &str,
    ) -> Judged {
        let nodes = match ground.kind.nodes(name).await {
            Ok(nodes) => nodes,
            Err(why) => {
                let cause =
                    Cause::new(CauseClass::Cluster, "NodesUnknown", format!("its nodes can't be listed: {why}"));
                return self.without(kubernetes, &cells, cluster.provider, &cause);
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
                created: Some(created),
                containers: ground.kind.containers(self.brought(cluster).containers.labels),
                goes: self.work.settings.cluster.keep == KeepCluster::Never,
                ..self.brought(cluster)
            };
            let images = all_loaded(self.work, &gates);
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
            remarks.push(not_deleted(why));
        }
        remarks
    }
}

fn not_deleted(why: String) -> Diagnostic {
    let left = Diagnostic::error(why).with_severity(Severity::Warning);
    left.with_help("`example-validator clean --cluster kind` tries it again")
}

fn second_try(name: &str, cause: &Cause) -> Diagnostic {
    Diagnostic::error(format!("the cluster {name} was created at the second try; the first failed: {}", cause.message))
        .with_severity(Severity::Warning)
}
