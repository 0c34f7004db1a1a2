//! Literal catalogs for the tests of this room.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::{Changes, Dependencies, Plan, PlanInputs, make};
use crate::catalog::{Catalog, Example, ExampleKind, ExampleSettings, Object};
use crate::config::{Config, ImageBuild, Resources};
use crate::diagnostic::Source;
use crate::framework::Frameworks;
use crate::model::{ExampleId, Expect, Tier};
use crate::pod_template::pod_templates;
use crate::yaml::{Node, parse};

/// A Job with so many pods.
pub fn job(pods: u32) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: a}}\nspec:\n  parallelism: {pods}\n  template:\n    spec:\n      \
         containers: [{{name: main, image: busybox}}]\n"
    )
}

/// A Job whose container has more fields.
pub fn job_with(fields: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: a}}\nspec:\n  template:\n    spec:\n      \
         containers: [{{name: main, {fields}}}]\n"
    )
}

/// A manifest of tier `full`, with its objects read from `text`; those that have pods are judged.
pub fn example(id: &str, text: &str) -> Example {
    let field = |root: &Node, key: &str| root.get(key).and_then(Node::as_str).unwrap_or_default().to_owned();
    let objects: Vec<Object> = parse(text)
        .documents
        .into_iter()
        .map(|document| Object {
            api_version: field(&document.root, "apiVersion"),
            kind: field(&document.root, "kind"),
            name: "a".to_owned(),
            namespace: None,
            root: document.root,
        })
        .collect();
    let frameworks = Frameworks::default();
    let judged: Vec<usize> =
        (0..objects.len()).filter(|index| !pod_templates(&objects[*index].root).is_empty()).collect();
    Example {
        id: ExampleId::new(id),
        kind: ExampleKind::Manifest,
        path: PathBuf::from(id),
        source: Source::new(id, text),
        diagnostics: Vec::new(),
        framework: judged
            .first()
            .and_then(|index| frameworks.find(&objects[*index]).or_else(|| frameworks.generic(&objects[*index]))),
        settings: settings(judged.is_empty()),
        judged,
        objects,
    }
}

fn settings(support: bool) -> ExampleSettings {
    ExampleSettings {
        tier: Tier::Full,
        timeout: Duration::from_secs(600),
        retries: 1,
        expect: Expect::Succeeded,
        needs: Vec::new(),
        resources: Resources::default(),
        support,
        representative: false,
        quarantine: None,
        checks: Vec::new(),
        run: None,
    }
}

/// An image that is built from a folder.
pub fn image(name: &str, context: &str) -> ImageBuild {
    ImageBuild {
        name: name.to_owned(),
        context: PathBuf::from(context),
        dockerfile: PathBuf::from("Dockerfile"),
        args: BTreeMap::new(),
        target: None,
        inputs: Vec::new(),
        replaces: Vec::new(),
    }
}

/// Everything that a plan is made from, to be changed field by field.
#[derive(Debug)]
pub struct World {
    pub catalog: Catalog,
    pub config: Config,
    pub tier: Option<Tier>,
    pub event: &'static str,
    pub kubernetes: Vec<String>,
    pub shards: Option<usize>,
    pub changed: Option<Vec<String>>,
    pub dependencies: Dependencies,
    pub workflows: BTreeSet<String>,
    pub durations: BTreeMap<ExampleId, u64>,
    pub last_periodic: BTreeMap<ExampleId, Timestamp>,
    pub now: Timestamp,
}

impl World {
    /// A pull request that changes nothing, on one version.
    pub fn new(mut examples: Vec<Example>) -> Self {
        examples.sort_by(|one, other| one.id.cmp(&other.id));
        let mut catalog = Catalog::default();
        catalog.examples.extend(examples);
        Self {
            catalog,
            config: Config::default(),
            tier: None,
            event: "pull_request",
            kubernetes: vec!["v1.34.0".to_owned()],
            shards: None,
            changed: Some(Vec::new()),
            dependencies: Dependencies::new(),
            workflows: BTreeSet::new(),
            durations: BTreeMap::new(),
            last_periodic: BTreeMap::new(),
            now: "2026-11-23T12:00:00Z".parse().unwrap(),
        }
    }

    /// One Job per id.
    pub fn jobs(ids: &[&str]) -> Self {
        Self::new(ids.iter().map(|id| example(id, &job(1))).collect())
    }

    /// The same world after these files changed.
    pub fn change(mut self, files: &[&str]) -> Self {
        self.changed = Some(files.iter().map(ToString::to_string).collect());
        self
    }

    /// The same world on another event.
    pub fn on(mut self, event: &'static str) -> Self {
        self.event = event;
        self
    }

    /// An example, to change it.
    pub fn example(&mut self, id: &str) -> &mut Example {
        self.catalog.examples.iter_mut().find(|example| example.id.as_str() == id).unwrap()
    }

    pub fn plan(&self) -> Plan {
        make(&PlanInputs {
            catalog: &self.catalog,
            config: &self.config,
            config_path: Some(".github/example-validator.yml"),
            root: Path::new("/repo"),
            tier: self.tier,
            event: self.event,
            is_local: false,
            kubernetes: &self.kubernetes,
            cluster: self.config.cluster,
            shards: self.shards,
            changes: self.changed.as_deref().map_or(Changes::Unknown("this clone is shallow"), Changes::Known),
            dependencies: &self.dependencies,
            workflows: &self.workflows,
            durations: &self.durations,
            last_periodic: &self.last_periodic,
            now: self.now,
        })
    }

    /// The ids that run on a cluster, each with its reason.
    pub fn on_cluster(&self) -> Vec<(String, String)> {
        let plan = self.plan();
        let rows = plan.rows.iter().filter(|row| row.selected && row.kubernetes.is_some());
        rows.map(|row| (row.example.to_string(), row.reason.clone())).collect()
    }

    /// The reason of an example's first row.
    pub fn reason(&self, id: &str) -> String {
        let plan = self.plan();
        plan.rows.iter().find(|row| row.example.as_str() == id).unwrap().reason.clone()
    }
}
