//! The cells of a run, on the clusters of its place.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;

use super::builds::Builds;
use super::chosen::{Choice, Chosen, Planned};
use super::outputs::Outputs;
use super::place::Place;
use super::pulls::Pulls;
use super::version::Shared;
use crate::cancel::Signals;
use crate::child::Variable;
use crate::commands::judge::Start;
use crate::commands::workspace::Workspace;
use crate::diagnostic::Diagnostic;
use crate::error::{Error, Result};
use crate::image::Store;
use crate::model::{ExampleId, Outcome};
use crate::report::{self, Row};
use crate::settings::Settings;
use crate::trial::cells::{self, Cell};

/// Clusters at once, where it is not known what the machine bears.
const CLUSTERS: usize = 4;
/// How long a run waits at its end for what it keeps for the next one.
const SAVING: Duration = Duration::from_secs(10 * 60);

/// What is to be judged, and with what.
pub struct Work<'a, 'o> {
    pub settings: &'a Settings,
    pub workspace: &'a Workspace,
    pub chosen: &'a Chosen,
    pub start: &'a Start,
    /// Examples that no cluster has to be asked about.
    pub settled: &'a HashSet<ExampleId>,
    pub place: &'a Place,
    /// What identifies the run on a cluster.
    pub run_id: &'a str,
    /// A private folder.
    pub scratch: &'a Path,
    pub outputs: &'a Outputs<'o>,
    /// Where archives of built images are kept between runs.
    pub store: Store,
    /// Helm: a file, or a name to look for on the PATH.
    pub helm: PathBuf,
    pub signals: &'a Signals,
    /// This program's environment, of which child processes get what an allow-list leaves.
    pub environment: &'a [Variable],
}

/// What was found out.
#[derive(Default)]
pub struct Judged {
    pub rows: Vec<Row>,
    pub clusters: Vec<report::Cluster>,
    /// The images that were built.
    pub images: Vec<report::Image>,
    /// What concerns no single example.
    pub remarks: Vec<Diagnostic>,
}

impl Judged {
    fn add(&mut self, other: Self) {
        self.rows.extend(other.rows);
        self.clusters.extend(other.clusters);
        self.images.extend(other.images);
        self.remarks.extend(other.remarks);
    }
}

impl<'a> Work<'a, '_> {
    /// Judges what is to be judged on clusters. `rows` are those of the basic tier, one an example; those of examples with cells
    /// become rows of their versions.
    ///
    /// # Errors
    /// A simulator can't be started.
    pub async fn judge(&self, rows: Vec<Row>) -> Result<Judged> {
        let mut judged = Judged::default();
        let mut versions: BTreeMap<&str, Vec<Cell<'_>>> = BTreeMap::new();
        for row in rows {
            let Some(Choice::Cells(planned)) = self.chosen.of(&row.example) else {
                judged.rows.push(row);
                continue;
            };
            for cell in planned {
                match self.cell(&row, cell) {
                    Err(row) => judged.rows.push(*row),
                    Ok(ready) => versions.entry(&cell.kubernetes).or_default().push(ready),
                }
            }
        }
        for row in &judged.rows {
            self.outputs.finished(row);
        }
        let all: Vec<_> = versions.values().flatten().collect();
        let (builds, pulls) = match self.place {
            Place::Kind(Ok(ground)) => (Builds::plan(self, &all, ground), Pulls::plan(self, &all)),
            _ => (Builds::none(self), Pulls::none()),
        };
        let shared = Shared {
            work: self,
            definitions: match self.place {
                Place::Simulated => self.workspace.definitions(&self.outputs.root),
                _ => Vec::new(),
            },
            images: builds.replacements(),
            builds: &builds,
            pulls: &pulls,
            stop: self.signals.cancel.child_token(),
            failures: Arc::new(AtomicUsize::new(0)),
            environment: self.environment.to_vec(),
            logs: Mutex::default(),
        };
        let judging = async {
            let version = async |(place, (kubernetes, cells))| (place, shared.on_version(kubernetes, cells).await);
            let versions = versions.into_iter().enumerate().map(version);
            // A cluster that ends makes room for the next, whichever it is; they are told in their order.
            let results = futures::stream::iter(versions).buffer_unordered(self.clusters_at_once());
            let mut results: Vec<_> = results.collect().await;
            results.sort_by_key(|(place, _)| *place);
            for (_, result) in results {
                judged.add(result?);
            }
            Ok::<_, Error>(judged)
        };
        // What is built and fetched comes beside; nobody waits for what no cell waits for.
        let coming = async {
            if let Place::Kind(Ok(ground)) = self.place {
                futures::join!(builds.run(self), pulls.run(self, ground, &ground.platform));
            }
            std::future::pending::<Infallible>().await
        };
        let ending = async {
            if let Some(left) = self.left() {
                tokio::time::sleep(left).await;
                shared.stop.cancel();
            }
            std::future::pending::<Infallible>().await
        };
        let mut judged = tokio::select! {
            judged = judging => judged?,
            never = coming => match never {},
            never = ending => match never {},
        };
        judged.images = builds.told();
        judged.remarks.extend(pulls.remarks());
        pulls.told(&mut judged.clusters);
        builds.forget().await;
        // What was built is kept for the next run, as long as this one may still take.
        self.store.finish(self.left().map_or(SAVING, |left| left.min(SAVING)), &self.signals.cancel).await;
        judged.remarks.extend(self.store.remarks());
        Ok(judged)
    }

    /// How long the whole run may still take, if it is bounded.
    pub fn left(&self) -> Option<Duration> {
        self.settings.limits.deadline.map(|all| all.saturating_sub(self.start.clock.elapsed()))
    }

    fn clusters_at_once(&self) -> usize {
        let bearable = match self.place {
            Place::Kind(Ok(ground)) => ground.clusters_at_once,
            _ => CLUSTERS,
        };
        self.settings.cluster.parallel.map_or(bearable, std::num::NonZeroUsize::get).max(1)
    }

    /// A cell that is ready to be tried, or the row of one that is not.
    fn cell(&self, row: &Row, planned: &'a Planned) -> std::result::Result<Cell<'a>, Box<Row>> {
        let example = self.workspace.catalog.get(&row.example);
        let on_version =
            |row: &Row| Row { kubernetes: Some(planned.kubernetes.clone()), tier: planned.tier, ..row.clone() };
        // Without any cluster the basic tier has the last word.
        let is_known = matches!(self.place, Place::Nowhere(_)) && row.outcome != Outcome::Passed;
        if let Some(why) = planned.skipped.as_ref().filter(|_| !is_known) {
            let skipped = Row { outcome: Outcome::Skipped, cause: None, reason: why.clone(), ..on_version(row) };
            return Err(Box::new(skipped));
        }
        let Some(example) = example.filter(|example| !is_known && !self.settled.contains(&example.id)) else {
            return Err(Box::new(on_version(row)));
        };
        Ok(Cell {
            example,
            kubernetes: &planned.kubernetes,
            tier: planned.tier,
            reason: planned.reason.clone(),
            expected: Duration::from_millis(planned.expected_ms),
            diagnostics: row.diagnostics.clone(),
            locks: std::collections::BTreeSet::new(),
            alone: crate::trial::metrics::are_shared(&example.settings.checks),
            request: example.settings.resources,
            pods: cells::packing::pods(example),
            gates: Vec::new(),
        })
    }
}
