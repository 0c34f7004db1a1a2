//! Deploying the operator: the steps in order, until it is ready or can't be.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::install::{self, Helm};
use super::installed::{Installed, Reference};
use super::lookout::{Lookout, Sight};
use super::ready::{Expected, probe};
use super::restarts::Restarts;
use crate::config::{Graces, OperatorReady, OperatorStep};
use crate::evidence::Folder;
use crate::image::replace::Replacements;
use crate::model::{Cause, CauseClass};
use crate::trial::apply::Target;
use crate::trial::apply::request::Objects;

/// How long logs and events may take to come to disk when the operator is not ready.
const EVIDENCE: Duration = Duration::from_secs(5);
/// The pause between two questions to webhooks that do not answer.
const PROBE_PAUSE: Duration = Duration::from_millis(500);
/// Most things that are named of what is missing.
const NAMED: usize = 3;

/// What is deployed, and how.
#[derive(Clone, Copy)]
pub struct Deployment<'a> {
    /// The steps of the config.
    pub steps: &'a [OperatorStep],
    /// When the operator is ready, and how long all of it may take.
    pub ready: &'a OperatorReady,
    /// How long each bad sign of its pods may last.
    pub graces: &'a Graces,
    /// The repository's root: paths of the steps are relative to it.
    pub root: &'a Path,
    /// The images that the run has built.
    pub built: &'a Replacements,
    /// Helm, for the steps that are charts.
    pub helm: Helm<'a>,
    /// Whether the cluster is this run's own. On any other one, what is there and is not ours is never touched.
    pub own_cluster: bool,
    /// Where its logs, events and objects are kept.
    pub folder: &'a Folder,
}

/// An operator that was deployed and is ready. Watched until it is finished with, or dropped.
pub struct Operator {
    installed: Installed,
    lookout: Lookout,
}

impl Operator {
    /// What was put onto the cluster.
    #[must_use]
    pub fn installed(&self) -> &Installed {
        &self.installed
    }

    /// What its pods do from now on: to be asked when a cell has ended badly.
    #[must_use]
    pub fn restarts(&self) -> Restarts {
        self.lookout.restarts()
    }

    /// The end of the run, before the cluster goes: brings its logs and events to disk, in at most about twice `patience`.
    pub async fn finish(self, patience: Duration) {
        self.lookout.finish(patience).await;
    }
}

/// Deploys the operator, and waits until it is ready: its workloads available, the servers of its webhooks there and answering. All of
/// that has the time of `operator-ready.timeout`; what can't come right is told at once.
///
/// # Errors
/// Why it is not ready; its logs and events are in the folder then.
pub async fn deploy(
    target: &Target,
    deployment: &Deployment<'_>,
    cancel: &CancellationToken,
) -> Result<Operator, Box<Cause>> {
    let mut lookout = Lookout::new(target.client.clone(), deployment.graces, deployment.folder);
    let deploying = Deploying { target, deployment, deadline: Instant::now() + deployment.ready.timeout };
    let deployed = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(cancelled().into()),
        deployed = deploying.run(&mut lookout) => deployed,
    };
    match deployed {
        Ok(installed) => {
            lookout.settle();
            Ok(Operator { installed, lookout })
        }
        Err(mut cause) => {
            if !cancel.is_cancelled() {
                lookout.finish(EVIDENCE).await;
            }
            let redactor = deployment.folder.redactor();
            cause.message = redactor.text(&cause.message).into_owned();
            Err(cause)
        }
    }
}

struct Deploying<'a> {
    target: &'a Target,
    deployment: &'a Deployment<'a>,
    deadline: Instant,
}

impl Deploying<'_> {
    async fn run(&self, lookout: &mut Lookout) -> Result<Installed, Box<Cause>> {
        let mut steps = self.read().await?;
        if !self.deployment.own_cluster {
            for step in &mut steps {
                step.claim(self.target).await?;
            }
        }
        let namespaces: BTreeSet<_> = steps.iter().flat_map(install::Step::namespaces).chain(self.named()).collect();
        lookout.join(&namespaces).await?;
        let known = steps.iter().flat_map(install::Step::brings).collect();
        lookout.expect(self.expected(known, false));
        let mut installed = Installed::default();
        for step in &steps {
            let brought = tokio::select! {
                biased;
                brought = step.install(self.target, self.deadline) => brought?,
                cause = lookout.hopeless() => return Err(Box::new(cause)),
            };
            installed.objects.extend(brought);
        }
        let expected = self.expected(installed.objects.clone(), true);
        lookout.join(&self.places(&expected)).await?;
        lookout.expect(expected.clone());
        self.ready(lookout, &expected).await?;
        Ok(installed)
    }

    /// Reads all steps before the first is installed: a mistake in the last one shows at once.
    async fn read(&self) -> Result<Vec<install::Step>, Box<Cause>> {
        let mut steps = Vec::new();
        for step in self.deployment.steps {
            steps.push(install::read(self.deployment.root, step, self.deployment.built, self.deployment.helm).await?);
        }
        Ok(steps)
    }

    /// What has to be ready, if this is there; `installed`: nothing comes after it.
    fn expected(&self, objects: Vec<Reference>, installed: bool) -> Expected {
        let named = &self.deployment.ready.deployments;
        let deployment = |named: &String| {
            let (namespace, name) = named.split_once('/')?;
            let (api_version, kind) = ("apps/v1".to_owned(), "Deployment".to_owned());
            Some(Reference { api_version, kind, namespace: Some(namespace.to_owned()), name: name.to_owned() })
        };
        let all = Installed { objects };
        let workloads = if named.is_empty() {
            all.workloads().cloned().collect()
        } else {
            named.iter().filter_map(deployment).collect()
        };
        Expected { workloads, webhooks: all.webhook_configurations().cloned().collect(), installed }
    }

    /// The namespaces of the Deployments that the config names.
    fn named(&self) -> impl Iterator<Item = String> {
        let named = self.deployment.ready.deployments.iter();
        named.filter_map(|named| Some(named.split_once('/')?.0.to_owned()))
    }

    /// The namespaces of what is expected.
    fn places(&self, expected: &Expected) -> BTreeSet<String> {
        expected.workloads.iter().filter_map(|workload| workload.namespace.clone()).chain(self.named()).collect()
    }

    /// Waits until nothing is missing and every webhook answers.
    async fn ready(&self, lookout: &Lookout, expected: &Expected) -> Result<(), Box<Cause>> {
        let mut unanswered = None;
        let waiting = async {
            loop {
                lookout.complete().await;
                if !lookout.stays().await {
                    unanswered = Some("its containers do not stay up".to_owned());
                    continue;
                }
                match self.probe(expected).await {
                    Ok(()) => return,
                    Err(why) => unanswered = Some(why),
                }
                sleep(PROBE_PAUSE).await;
            }
        };
        tokio::select! {
            biased;
            () = waiting => return Ok(()),
            cause = lookout.hopeless() => return Err(Box::new(cause)),
            () = sleep_until(self.deadline) => {}
        }
        Err(Box::new(late(&lookout.sight(), unanswered, self.deployment.ready.timeout)))
    }

    /// Whether the webhooks answer, as far as that can be asked.
    async fn probe(&self, expected: &Expected) -> Result<(), String> {
        let mut configurations = Vec::new();
        for reference in &expected.webhooks {
            let plural = format!("{}s", reference.kind.to_lowercase());
            let resource = kube::api::ApiResource {
                group: "admissionregistration.k8s.io".to_owned(),
                version: "v1".to_owned(),
                api_version: reference.api_version.clone(),
                kind: reference.kind.clone(),
                plural,
            };
            let objects = Objects::new(&self.target.client, &resource, None);
            // One that can't be read now was seen a moment ago: there is only nothing to ask with.
            configurations.extend(objects.get(&reference.name).await.ok());
        }
        let configurations: Vec<_> = configurations.iter().collect();
        in_time(self.deadline, probe::ask(&self.target.client, &configurations)).await
    }
}

/// What the webhooks answer; one that hangs has not answered.
async fn in_time(deadline: Instant, asked: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let late = || Err("its webhooks gave no answer in time".to_owned());
    timeout_at(deadline, asked).await.unwrap_or_else(|_| late())
}

/// Time is up: what it was waiting for.
fn late(sight: &Sight, unanswered: Option<String>, timeout: Duration) -> Cause {
    let object = sight.missing.first().map(|(reference, _)| reference.short()).unwrap_or_default();
    let missing = sight.missing.iter().map(|(_, why)| why.clone());
    let more: Vec<_> = if sight.missing.is_empty() { unanswered.into_iter().collect() } else { sight.waiting.clone() };
    let all: Vec<_> = missing.chain(more).collect();
    let rest = all.len().saturating_sub(NAMED);
    let rest = if rest == 0 { String::new() } else { format!("; and {rest} more") };
    let shown = all[..all.len().min(NAMED)].join("; ");
    let message = format!("the operator is not ready after {} s: {shown}{rest}", timeout.as_secs());
    let hint = "see its logs and events in the evidence of the operator; if it only needs longer, raise operator-ready.timeout";
    Cause { hint: hint.to_owned(), object, ..Cause::new(CauseClass::Operator, "OperatorNotReady", message) }
}

fn cancelled() -> Cause {
    let message = "the run was cancelled while the operator was being deployed";
    Cause::new(CauseClass::Internal, "Cancelled", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(missing: &[&str]) -> Sight {
        let reference = |name: &str| Reference {
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            namespace: Some("a".to_owned()),
            name: name.to_owned(),
        };
        let missing = missing.iter().map(|name| (reference(name), format!("Deployment a/{name}: 0 of 1 available")));
        Sight { missing: missing.collect(), waiting: vec!["its pod waits".to_owned()], ..Sight::default() }
    }

    #[test]
    fn what_is_missing_is_told_with_its_object_and_not_too_much_of_it() {
        let cause = late(&sight(&["x", "y", "z"]), None, Duration::from_secs(300));
        let expected = "the operator is not ready after 300 s: Deployment a/x: 0 of 1 available; Deployment a/y: 0 of 1 available; \
                        Deployment a/z: 0 of 1 available; and 1 more";
        assert_eq!((cause.message.as_str(), cause.object.as_str()), (expected, "Deployment/x"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_webhook_that_hangs_has_not_answered() {
        let deadline = Instant::now() + Duration::from_secs(1);
        let hung = in_time(deadline, std::future::pending()).await;
        assert_eq!(hung.unwrap_err(), "its webhooks gave no answer in time");
        assert_eq!(in_time(deadline, async { Ok(()) }).await, Ok(()));
    }

    #[test]
    fn a_webhook_that_does_not_answer_is_told_where_nothing_else_is_missing() {
        let cause = late(&sight(&[]), Some("webhook v does not answer: refused".to_owned()), Duration::from_secs(2));
        assert_eq!(cause.message, "the operator is not ready after 2 s: webhook v does not answer: refused");
        assert_eq!(cause.class, CauseClass::Operator);
    }
}
