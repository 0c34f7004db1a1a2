//! Taking away what attempts made: the namespace with all that is in it, and objects of the whole cluster.
//!
//! What is deleted is found by its labels and annotations, not by what an attempt remembers, so that an attempt may be dropped at any
//! moment. CRDs are never deleted.

mod force;
mod leftovers;
#[cfg(test)]
mod tests;

use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use serde_json::Value as Json;
use tokio::time::Instant;

use super::apply::answer::is_gone;
use super::apply::request::{Objects, text};
use super::apply::{Limits, Target, persist};
use super::isolate::{Isolated, NAMESPACE, RUN, is_definition};
use crate::cluster::discovery::Lookup;
use crate::error::chain;
pub(super) use force::holding;
pub use leftovers::{Leftover, find as leftovers, remove as remove_leftovers};

/// How often it is looked whether something is gone, at most.
const LOOK: Duration = Duration::from_secs(2);
/// How long pods may take to end, in seconds: what they have to say was heard before.
const POD_GRACE: u32 = 1;

/// How long a request may still be on its way after nobody waits for its answer any more.
const UNDER_WAY: Duration = Duration::from_millis(300);
/// Requests at once.
const AT_ONCE: usize = 16;

/// How patient a removal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long the cluster has to take everything away by itself.
    pub wait: Duration,
    /// How long after that, with finalizers taken away by us; `None` leaves what is stuck.
    pub force: Option<Duration>,
    /// Whether Services, Ingresses and what has a finalizer of Kubernetes itself are left even then: what is outside of the cluster and goes
    /// with them (a load balancer, a disk), nobody would take away any more.
    pub spares: bool,
}

impl Patience {
    /// What is right on a cluster of this provider: a minute, for pods may take half of it to end; then twenty seconds by force. A cloud's
    /// load balancer, which takes one to three minutes to be taken down, hangs on a cluster that is not ours alone.
    #[must_use]
    pub fn on(provider: &str) -> Self {
        let spares = provider == "existing";
        Self { wait: Duration::from_secs(60), force: Some(Duration::from_secs(20)), spares }
    }

    /// Whether something of this kind with these finalizers stays as it is.
    fn leaves(&self, kind: &str, finalizers: &[String]) -> bool {
        let is_outside = ["Service", "Ingress"].contains(&kind);
        let is_kubernetes = finalizers.iter().any(|finalizer| finalizer.contains("kubernetes.io/"));
        self.force.is_none() || self.spares && (is_outside || is_kubernetes)
    }
}

/// An object that an attempt may have made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// `scheduling.k8s.io/v1`.
    pub api_version: String,
    /// `PriorityClass`.
    pub kind: String,
    /// Its name; `None` where the server made it up.
    pub name: Option<String>,
}

/// What an attempt may have made, whether or not it came so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces {
    /// The run, as its label has it.
    pub run: String,
    /// The namespace.
    pub namespace: String,
    /// The objects, CRDs left out. Those that turn out to live in the namespace go with it.
    pub objects: Vec<Trace>,
}

impl Traces {
    /// The traces that applying `isolated` leaves.
    #[must_use]
    pub fn of(isolated: &Isolated<'_>) -> Self {
        let objects = isolated.objects.iter().filter(|item| !is_definition(item.object));
        let traces = objects.map(|item| Trace {
            api_version: item.object.api_version.clone(),
            kind: item.object.kind.clone(),
            name: item.object.root.at(&["metadata", "name"]).is_some().then(|| item.object.name.clone()),
        });
        Self {
            run: isolated.labels.get(RUN).cloned().unwrap_or_default(),
            namespace: isolated.namespace.clone(),
            objects: traces.collect(),
        }
    }
}

/// What became of a removal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// What was deleted and is gone: `Namespace/ev-a-...`.
    pub gone: Vec<String>,
    /// What is still there.
    pub left: Vec<String>,
    /// What a person should know: what was stuck and on whom it waited, what had to be forced, what could not be deleted.
    pub warnings: Vec<String>,
}

/// Something that is being deleted.
struct Doomed {
    objects: Objects,
    kind: String,
    name: String,
    uid: String,
}

impl Doomed {
    fn reference(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

/// Deletes the traces of an attempt, and waits until they are gone. Nothing in here fails: what could not be done is a warning.
///
/// May be dropped once the requests are sent: the cluster goes on without us.
pub async fn remove(target: &Target, traces: &Traces, patience: Patience) -> Removed {
    let mut removed = Removed::default();
    let mut doomed = Vec::new();
    namespace(target, &traces.namespace, &mut doomed, &mut removed).await;
    if doomed.is_empty() && removed.warnings.is_empty() {
        // An attempt that was dropped may have a request under way.
        tokio::time::sleep(UNDER_WAY).await;
        namespace(target, &traces.namespace, &mut doomed, &mut removed).await;
    }
    owned(target, traces, &mut doomed, &mut removed).await;
    finish(target, doomed, patience, &mut removed).await;
    if removed.warnings.is_empty() {
        // The same holds for objects of the whole cluster; the namespace took long enough.
        let mut late = Vec::new();
        owned(target, traces, &mut late, &mut removed).await;
        finish(target, late, patience, &mut removed).await;
    }
    removed
}

/// Adds what the attempt made of the whole cluster's objects.
async fn owned(target: &Target, traces: &Traces, doomed: &mut Vec<Doomed>, removed: &mut Removed) {
    for trace in &traces.objects {
        find_owned(target, traces, trace, doomed, removed).await;
    }
}

/// Asks for the deletion of all, waits, and forces what is stuck.
async fn finish(target: &Target, doomed: Vec<Doomed>, patience: Patience, removed: &mut Removed) {
    let asked = doomed.into_iter().map(|one| async {
        let answer = delete(&one, target.limits).await;
        if answer.is_ok() && one.kind == "Namespace" {
            force::hurry(target, &one.name).await;
        }
        (one, answer)
    });
    let mut waiting = Vec::new();
    for (one, answer) in stream::iter(asked).buffered(AT_ONCE).collect::<Vec<_>>().await {
        if let Err(error) = answer {
            removed.warnings.push(format!("{} could not be deleted: {}", one.reference(), chain(&error)));
            removed.left.push(one.reference());
        } else {
            waiting.push(one);
        }
    }
    let mut stuck = wait(waiting, patience.wait, removed).await;
    if !stuck.is_empty() {
        for one in &stuck {
            removed
                .warnings
                .extend(force::holders(target, one, &|kind, finalizers| patience.leaves(kind, finalizers)).await);
        }
        if let Some(wait_more) = patience.force {
            for one in &stuck {
                removed
                    .warnings
                    .extend(force::force(target, one, &|kind, finalizers| patience.leaves(kind, finalizers)).await);
            }
            stuck = wait(stuck, wait_more / 2, removed).await;
            for one in stuck.iter().filter(|one| one.kind == "Namespace") {
                removed.warnings.extend(force::finalize(target, one).await);
            }
            stuck = wait(stuck, wait_more / 2, removed).await;
        }
    }
    removed.left.extend(stuck.iter().map(Doomed::reference));
}

/// Adds the namespace, if it is there and ours.
async fn namespace(target: &Target, name: &str, doomed: &mut Vec<Doomed>, removed: &mut Removed) {
    let objects = Objects::core(&target.client, "namespaces", None);
    match present(&objects, name, target.limits).await {
        Ok(Some(found)) if found["metadata"]["annotations"].get(NAMESPACE).and_then(Json::as_str) == Some(name) => {
            doomed.push(doom(objects, "Namespace", &found));
        }
        Ok(Some(_)) => removed.warnings.push(format!("the namespace {name} is not ours: it is left as it is")),
        Ok(None) => {}
        Err(error) => {
            removed.warnings.push(format!("Namespace/{name} could not be read: {}", chain(&error)));
            removed.left.push(format!("Namespace/{name}"));
        }
    }
}

fn doom(objects: Objects, kind: &str, found: &Json) -> Doomed {
    let owned = |pointer: &str| text(found, pointer).to_owned();
    Doomed { objects, kind: kind.to_owned(), name: owned("/metadata/name"), uid: owned("/metadata/uid") }
}

/// Adds what the attempt made of an object of the whole cluster: nothing that another attempt or anybody else made.
async fn find_owned(target: &Target, traces: &Traces, trace: &Trace, doomed: &mut Vec<Doomed>, removed: &mut Removed) {
    let found = async {
        let kind = persist(target.limits, || target.discovery.find(&trace.api_version, &trace.kind)).await?;
        // A kind that is not served has no objects, and one that lives in namespaces went with its namespace.
        let Lookup::Found(served) = kind else { return Ok(Vec::new()) };
        if served.namespaced {
            return Ok(Vec::new());
        }
        let objects = Objects::new(&target.client, &served.resource, None);
        let found = match &trace.name {
            Some(name) => present(&objects, name, target.limits).await?.into_iter().collect(),
            None => persist(target.limits, || leftovers::of_run(&objects, Some(&traces.run))).await?,
        };
        Ok::<_, kube::Error>(found.into_iter().map(|found| (objects.clone(), found)).collect())
    };
    match found.await {
        Ok(found) => {
            let ours = |found: &Json| {
                let metadata = &found["metadata"];
                metadata["labels"].get(RUN).and_then(Json::as_str) == Some(&traces.run)
                    && metadata["annotations"].get(NAMESPACE).and_then(Json::as_str) == Some(&traces.namespace)
            };
            doomed.extend(
                found
                    .into_iter()
                    .filter(|(_, found)| ours(found))
                    .map(|(objects, found)| doom(objects, &trace.kind, &found)),
            );
        }
        Err(error) => {
            let reference = format!("{}/{}", trace.kind, trace.name.as_deref().unwrap_or("*"));
            removed.warnings.push(format!("{reference} could not be looked for: {}", chain(&error)));
        }
    }
}

/// Reads an object that may not be there.
async fn present(objects: &Objects, name: &str, limits: Limits) -> Result<Option<Json>, kube::Error> {
    persist(limits, || async {
        match objects.get(name).await {
            Err(error) if is_gone(&error) => Ok(None),
            answer => answer.map(Some),
        }
    })
    .await
}

/// Asks for the deletion of one, if it is still the one that was found.
async fn delete(one: &Doomed, limits: Limits) -> Result<(), kube::Error> {
    persist(limits, || async {
        match one.objects.delete(&one.name, Some(&one.uid).filter(|uid| !uid.is_empty()).map(String::as_str)).await {
            Err(error) if is_gone(&error) || is_replaced(&error) => Ok(()),
            answer => answer.map(|_| ()),
        }
    })
    .await
}

/// Whether there is another object of that name by now.
fn is_replaced(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409 && status.message.contains("UID in precondition"))
}

/// Waits until they are gone; gives back those that are not.
async fn wait(mut waiting: Vec<Doomed>, at_most: Duration, removed: &mut Removed) -> Vec<Doomed> {
    let until = Instant::now() + at_most;
    for pause in super::apply::pauses() {
        let looked = waiting.into_iter().map(|one| async { (is_there(&one).await, one) });
        let looked: Vec<_> = stream::iter(looked).buffered(AT_ONCE).collect().await;
        let (there, gone): (Vec<_>, Vec<_>) = looked.into_iter().partition(|(there, _)| *there);
        removed.gone.extend(gone.iter().map(|(_, one)| one.reference()));
        waiting = there.into_iter().map(|(_, one)| one).collect();
        if waiting.is_empty() || Instant::now() + pause > until {
            break;
        }
        tokio::time::sleep(pause.min(LOOK)).await;
    }
    waiting
}

/// Whether it is still there; where that can't be seen, it is.
async fn is_there(one: &Doomed) -> bool {
    match one.objects.get(&one.name).await {
        Err(error) => !is_gone(&error),
        Ok(found) => one.uid.is_empty() || text(&found, "/metadata/uid") == one.uid,
    }
}
