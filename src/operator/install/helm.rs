//! Helm charts: `helm upgrade --install`, again while what it lacks may still come.

mod command;
mod dependencies;
mod homes;
mod post_renderer;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::installed::Reference;
use super::failed;
use crate::catalog::objects_of;
use crate::child::environment::for_helm;
use crate::child::{ChildError, Tool};
use crate::cluster::discovery::Lookup;
use crate::diagnostic::Source;
use crate::image::replace::Replacements;
use crate::model::{Cause, CauseClass};
use crate::trial::apply::{Target, pauses};

pub use post_renderer::post_render;

/// How long a question to Helm may take that touches no network but the cluster's.
const SHORT: Duration = Duration::from_secs(60);

/// Why the images of hooks may not be replaced.
const HOOKS: &str = "Helm 3 does not hand hooks to post-renderers; set these images with `values` or `set`";
/// The label of releases that are ours.
const LABEL: &str = "installed-by=example-validator";

/// Helm, and what it needs around it.
#[derive(Clone, Copy, Debug)]
pub struct Helm<'a> {
    /// The program: `helm`, to be looked for on the PATH, or a file.
    pub program: &'a Path,
    /// The kubeconfig of the cluster, which holds its access alone.
    pub kubeconfig: &'a Path,
    /// A folder of this deployment's own, for Helm's caches and what it is to read.
    pub scratch: &'a Path,
    /// The whole environment of this program: Helm gets what it is allowed.
    pub environment: &'a [(OsString, OsString)],
    /// This program, which Helm calls to have images replaced.
    pub renderer: &'a Path,
}

/// A chart that is to be installed.
pub(in super::super) struct Release {
    /// Its folder, or a reference.
    chart: OsString,
    /// The same, as the config has it.
    shown: String,
    /// The chart's folder, if it is one.
    folder: Option<PathBuf>,
    name: String,
    namespace: String,
    values: Vec<PathBuf>,
    set: BTreeMap<String, String>,
    replacements: Replacements,
    /// Whether it gets the label by which a later run knows it.
    labelled: bool,
    scratch: PathBuf,
    renderer: PathBuf,
    tool: Tool,
}

/// A release as the config describes it.
pub(super) struct Described<'a> {
    pub chart: &'a str,
    pub release: &'a str,
    pub namespace: &'a str,
    pub values: &'a [PathBuf],
    pub set: &'a BTreeMap<String, String>,
}

impl Release {
    /// Reads what it can of a chart.
    pub(super) fn read(root: &Path, described: &Described<'_>, replacements: Replacements, helm: Helm<'_>) -> Self {
        let folder = Some(root.join(described.chart)).filter(|folder| folder.is_dir());
        // Each release has a folder of its own.
        let scratch = helm.scratch.join(format!("helm-{}-{}", described.namespace, described.release));
        let tool = Tool::new(helm.program, for_helm(helm.environment), root).with("KUBECONFIG", helm.kubeconfig);
        Self {
            chart: folder.clone().map_or_else(|| described.chart.into(), PathBuf::into_os_string),
            shown: described.chart.to_owned(),
            name: described.release.to_owned(),
            namespace: described.namespace.to_owned(),
            values: described.values.to_vec(),
            set: described.set.clone(),
            tool: homes::chosen(tool, helm.environment, &scratch, described.chart, folder.as_deref()),
            folder,
            replacements,
            labelled: false,
            scratch,
            renderer: helm.renderer.to_owned(),
        }
    }

    /// Its namespace.
    pub(super) fn namespaces(&self) -> BTreeSet<String> {
        BTreeSet::from([self.namespace.clone()])
    }

    /// Makes sure that an earlier run has installed it, if it is there. From now on its label tells.
    ///
    /// # Errors
    /// Somebody else has installed it.
    pub(super) async fn claim(&mut self) -> Result<(), Box<Cause>> {
        self.labelled = true;
        let status = ["status", &self.name, "--namespace", &self.namespace];
        let answer = self.ask(&self.tool, &arguments(&status), SHORT).await?;
        if !answer.succeeded {
            let is_absent = answer.err.contains("not found");
            return if is_absent { Ok(()) } else { Err(self.refused("status", &answer.err).into()) };
        }
        let filter = format!("^{}$", self.name);
        let mut list =
            vec!["list", "--short", "--namespace", &self.namespace, "--filter", &filter, "--selector", LABEL];
        list.extend(["--deployed", "--failed", "--pending", "--superseded", "--uninstalled", "--uninstalling"]);
        let answer = self.ask(&self.tool, &arguments(&list), SHORT).await?;
        if !answer.succeeded {
            return Err(self.refused("list", &answer.err).into());
        }
        if answer.out.lines().any(|line| line.trim() == self.name) {
            return Ok(());
        }
        let what = format!("Helm's release {} in the namespace {}", self.name, self.namespace);
        Err(super::not_ours(&what, String::new()).into())
    }

    /// Installs it, or brings it up to date. What Helm says of things that may still come is no answer before the deadline.
    ///
    /// # Errors
    /// Helm is missing, refuses, or the deadline is over.
    pub(super) async fn install(&self, target: &Target, deadline: Instant) -> Result<Vec<Reference>, Box<Cause>> {
        let major = self.major().await?;
        let complete = match &self.folder {
            Some(folder) => dependencies::complete(&self.tool, folder, &self.scratch, &self.shown, deadline).await?,
            None => None,
        };
        let chart = complete.map_or_else(|| self.chart.clone(), PathBuf::into_os_string);
        let rendering = post_renderer::arrange(self, major)?;
        for pause in pauses() {
            let left = deadline.saturating_duration_since(Instant::now());
            let arguments = command::upgrade(self, &chart, &rendering, left);
            let answer = self.ask(&rendering.tool, &arguments, left + SHORT).await?;
            if answer.succeeded {
                break;
            }
            let may_come = command::may_come(&answer.err);
            if !may_come || Instant::now() + pause >= deadline {
                return Err(self.refused("upgrade --install", &answer.err).into());
            }
            tracing::debug!("Helm is early: {}", command::reason(&answer.err));
            sleep(pause).await;
        }
        self.brought(target).await
    }

    /// Helm's major version.
    async fn major(&self) -> Result<u32, Box<Cause>> {
        let answer = self.ask(&self.tool, &arguments(&["version", "--template", "{{.Version}}"]), SHORT).await?;
        let major = answer.out.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
        major.filter(|_| answer.succeeded).ok_or_else(|| self.refused("version", &answer.err).into())
    }

    /// What it has put onto the cluster.
    async fn brought(&self, target: &Target) -> Result<Vec<Reference>, Box<Cause>> {
        let mut found = Vec::new();
        for what in ["manifest", "hooks"] {
            let question = arguments(&["get", what, &self.name, "--namespace", &self.namespace]);
            let answer = self.ask(&self.tool, &question, SHORT).await?;
            if !answer.succeeded {
                return Err(self.refused(&format!("get {what}"), &answer.err).into());
            }
            let source = Source::new(self.shown.clone(), answer.out);
            for object in objects_of(&source) {
                if what == "hooks" && self.keeps_images(&object.root.to_json()) {
                    tracing::warn!(
                        "Helm leaves the images of the hook {}/{} as they are: {}",
                        object.kind,
                        object.name,
                        HOOKS
                    );
                }
                // What was just installed is served; what is not known any more is of no interest.
                let lookup = target.discovery.find(&object.api_version, &object.kind).await;
                let Ok(Lookup::Found(served)) = lookup else { continue };
                let namespace = served.namespaced.then_some(self.namespace.as_str());
                found.push(Reference::in_manifest(&object, namespace));
            }
        }
        Ok(found)
    }

    /// Whether an object has images that should have been replaced.
    fn keeps_images(&self, object: &serde_json::Value) -> bool {
        let mut replaced = object.clone();
        self.replacements.apply(&mut replaced) && replaced != *object
    }

    async fn ask(
        &self,
        tool: &Tool,
        arguments: &[OsString],
        bound: Duration,
    ) -> Result<crate::child::Answer, Box<Cause>> {
        tool.ask_os(arguments, bound).await.map_err(|error| missing(&error, &self.shown).into())
    }

    fn refused(&self, what: &str, stderr: &str) -> Cause {
        let message = format!("`helm {what}` of {} failed: {}", self.name, command::reason(stderr));
        failed("HelmFailed", message, command::hint(stderr), self.shown.clone(), 0)
    }
}

fn arguments(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn missing(error: &ChildError, chart: &str) -> Cause {
    let message = format!("Helm can't be run for the chart {chart}: {error}");
    let hint = "put Helm 3 or 4 on the PATH, or name it with --tool-dir";
    Cause { hint: hint.to_owned(), ..Cause::new(CauseClass::Cluster, "HelmMissing", message) }
}
