//! The task that sees: takes in what the watches tell, and says what it comes to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use kube::api::ListParams;
use serde_json::{Value as Json, json};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::pods::is_of_operator;
use super::{Sight, Told};
use crate::config::Graces;
use crate::evidence::{Folder, FollowContext, LogFollower};
use crate::framework::Frameworks;
use crate::model::{Cause, CauseClass, Expect, Outcome};
use crate::operator::ready::secrets::{Secrets, is_mounted};
use crate::operator::ready::{self, Expected, World};
use crate::operator::restarts::Restarts;
use crate::trial::apply::request::{Objects, text};
use crate::trial::judge::{Judge, JudgedObject, Subject};
use crate::trial::{Change, Verdict};

/// How many of the operator's logs are followed at once.
const FOLLOWED: usize = 16;
/// The annotation by which a pod is changed, so that its kubelet brings a Secret up to date.
const SYNCED: &str = "example-validator.dev/synced";
/// The time after which the deadline of the deployment has long passed: it alone counts.
const NEVER: Duration = Duration::from_secs(30 * 24 * 3600);

/// The graces of an operator's pods. What they lack (a Secret that a Job, cert-manager or a later step brings, room, a volume, an
/// account) may come until the time of the deployment is up; it shows in what they wait for.
fn patient(graces: &Graces) -> Graces {
    Graces { config_missing: NEVER, create_failed: NEVER, claim_unbound: NEVER, unschedulable: NEVER, ..graces.clone() }
}

fn statuses(pod: &Json) -> impl Iterator<Item = &Json> {
    pod.pointer("/status/containerStatuses").and_then(Json::as_array).into_iter().flatten()
}

/// A number of each container's status.
fn counts<'a>(pod: &'a Json, field: &'a str) -> impl Iterator<Item = i64> + 'a {
    statuses(pod).filter_map(move |status| status[field].as_i64())
}

/// How many containers have ended.
fn ended(pod: &Json) -> i64 {
    statuses(pod).filter(|status| status["state"]["terminated"].is_object()).map(|_| 1).sum()
}

pub(super) struct Eye {
    client: Client,
    graces: Graces,
    frameworks: Frameworks,
    folder: Folder,
    restarts: Restarts,
    sight: watch::Sender<Sight>,
    started: Instant,
    settled: bool,
    told: u32,
    expected: Expected,
    world: World,
    secrets: Secrets,
    /// One for the workloads of each namespace, until it has seen them well.
    judges: BTreeMap<String, Judge>,
    /// Namespaces whose workloads were seen well, and are judged again if they do not stay so.
    well: BTreeSet<String>,
    /// How often a container had restarted when the last step was installed.
    restarted: u32,
    hopeless: Option<Cause>,
    follow: FollowContext,
    followers: BTreeMap<String, LogFollower>,
}

impl Eye {
    pub(super) fn new(
        client: Client,
        graces: &Graces,
        folder: Folder,
        restarts: Restarts,
        sight: watch::Sender<Sight>,
    ) -> Self {
        Self {
            follow: FollowContext::new(client.clone(), FOLLOWED),
            client,
            graces: patient(graces),
            frameworks: Frameworks::default(),
            folder,
            restarts,
            sight,
            started: Instant::now(),
            settled: false,
            told: 0,
            expected: Expected::default(),
            world: World::default(),
            secrets: Secrets::default(),
            judges: BTreeMap::new(),
            well: BTreeSet::new(),
            restarted: 0,
            hopeless: None,
            followers: BTreeMap::new(),
        }
    }

    /// Sees until nothing more is told.
    pub(super) async fn watch(mut self, mut told: UnboundedReceiver<Told>) -> Self {
        loop {
            let wake = self.judges.values().filter_map(Judge::wake_at).min().map(|moment| self.started + moment);
            tokio::select! {
                biased;
                next = told.recv() => {
                    let Some(next) = next else { return self };
                    let mut next = Ok(next);
                    while let Ok(told_now) = next {
                        if matches!(told_now, Told::End) {
                            return self;
                        }
                        self.take(told_now);
                        next = told.try_recv();
                    }
                }
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => self.tick(),
            }
            self.show();
        }
    }

    fn take(&mut self, told: Told) {
        match told {
            Told::Change(change) => self.change(&change),
            Told::Expect(expected) => self.expect(expected),
            Told::Settled => {
                self.settled = true;
                self.judges.clear();
                self.restarts.begin();
            }
            Told::End => {}
        }
    }

    fn change(&mut self, change: &Change) {
        let object = change.object();
        self.world.take(change);
        match text(object, "/kind") {
            "Pod" => self.pod(change),
            "Secret" => {
                self.folder.redactor().learn(object);
                if self.secrets.changed(object) {
                    self.sync(object);
                }
            }
            "Deployment" | "StatefulSet" | "DaemonSet" => self.pods_again(text(object, "/metadata/namespace")),
            _ => {}
        }
        let namespace = text(object, "/metadata/namespace");
        let now = self.started.elapsed();
        let verdict = self.judges.get_mut(namespace).and_then(|judge| judge.observe(now, change));
        self.verdict(namespace, verdict);
    }

    fn pod(&mut self, change: &Change) {
        let pod = change.object();
        if !is_of_operator(pod, &self.world, &self.expected) {
            return;
        }
        self.restarts.take(Instant::now(), change);
        let namespace = text(pod, "/metadata/namespace");
        if !self.followers.contains_key(namespace) {
            let folder = if self.followers.is_empty() { self.folder.clone() } else { self.folder.within(namespace) };
            let follower = LogFollower::new(&self.follow, namespace, folder, None);
            self.followers.insert(namespace.to_owned(), follower);
        }
        if let Some(follower) = self.followers.get(namespace) {
            follower.pod(pod);
        }
        for secret in self.secrets.changed_since(pod) {
            self.sync_pod(pod, &secret);
        }
    }

    /// Pods may be seen before what says whose they are.
    fn pods_again(&mut self, namespace: &str) {
        let pods: Vec<_> = self.world.list("Pod", namespace).cloned().collect();
        for pod in pods {
            self.pod(&Change::Seen(pod));
        }
    }

    /// Brings a Secret that changed to the pods that were started with its old content.
    fn sync(&self, secret: &Arc<Json>) {
        let namespace = text(secret, "/metadata/namespace");
        for pod in self.world.list("Pod", namespace).filter(|pod| is_mounted(secret, pod)) {
            if is_of_operator(pod, &self.world, &self.expected) {
                self.sync_pod(pod, secret);
            }
        }
    }

    /// Changes a pod, so that its kubelet brings it a Secret's new content now.
    fn sync_pod(&self, pod: &Json, secret: &Json) {
        if self.settled {
            return;
        }
        let pods = Objects::core(&self.client, "pods", Some(text(pod, "/metadata/namespace")));
        let mark = format!("{}.{}", text(secret, "/metadata/name"), text(secret, "/metadata/resourceVersion"));
        let patch = json!({"metadata": {"annotations": {SYNCED: mark}}});
        let name = text(pod, "/metadata/name").to_owned();
        tokio::spawn(async move {
            if let Err(error) = pods.merge(&name, &patch).await {
                tracing::debug!("Pod/{name} gets its Secret only later: {error}");
            }
        });
    }

    fn expect(&mut self, expected: Expected) {
        self.told += 1;
        self.expected = expected;
        if self.expected.installed {
            self.baseline();
        }
        let namespaces: BTreeSet<_> =
            self.expected.workloads.iter().filter_map(|workload| workload.namespace.clone()).collect();
        self.judges.clear();
        self.well.clear();
        for namespace in namespaces {
            self.judge(&namespace);
            self.pods_again(&namespace);
        }
    }

    /// Judges the workloads of a namespace from now on, by what is known of them.
    fn judge(&mut self, namespace: &str) {
        let judge = Judge::new(self.subject(namespace));
        self.judges.insert(namespace.to_owned(), judge);
        for kind in ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Pod", "Event"] {
            let objects: Vec<_> = self.world.list(kind, namespace).cloned().collect();
            for object in objects {
                let now = self.started.elapsed();
                let change = Change::Seen(object);
                let verdict = self.judges.get_mut(namespace).and_then(|judge| judge.observe(now, &change));
                self.verdict(namespace, verdict);
            }
        }
    }

    /// Restarts until the last step is installed are no sign: the operator may wait for what that brings.
    fn baseline(&mut self) {
        let pods = self.world.all().filter(|object| text(object, "/kind") == "Pod");
        let counts = pods.flat_map(|pod| counts(pod, "restartCount"));
        self.restarted = counts.max().and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
    }

    /// The workloads of a namespace, as what is judged.
    fn subject(&self, namespace: &str) -> Subject {
        let here = self.expected.workloads.iter().filter(|workload| workload.namespace.as_deref() == Some(namespace));
        let judged = here.filter_map(|workload| {
            Some(JudgedObject {
                api_version: workload.api_version.clone(),
                kind: workload.kind.clone(),
                name: workload.name.clone(),
                framework: self.frameworks.describe("apps", "v1", &workload.kind)?,
            })
        });
        let mut graces = self.graces.clone();
        let limit = if self.expected.installed { self.restarted } else { u32::MAX };
        graces.crash_loop_restarts = graces.crash_loop_restarts.max(1).saturating_add(limit);
        Subject {
            judged: judged.collect(),
            companion: false,
            expect: Expect::Succeeded,
            timeout: NEVER,
            graces,
            frameworks: self.frameworks.clone(),
        }
    }

    fn tick(&mut self) {
        let namespaces: Vec<_> = self.judges.keys().cloned().collect();
        for namespace in namespaces {
            let now = self.started.elapsed();
            let verdict = self.judges.get_mut(&namespace).and_then(|judge| judge.tick(now));
            self.verdict(&namespace, verdict);
        }
    }

    /// What a judge says of a namespace's workloads: they are well, or can't be.
    fn verdict(&mut self, namespace: &str, verdict: Option<Verdict>) {
        let Some(verdict) = verdict else { return };
        self.judges.remove(namespace);
        if verdict.outcome == Outcome::Passed {
            self.well.insert(namespace.to_owned());
            return;
        }
        let found = verdict.cause.unwrap_or_else(|| Cause::new(CauseClass::Operator, "", "its pods failed"));
        let message = format!("the operator can't become ready: {}", found.message);
        // What is said to authors of examples is of no use to those of an operator.
        let hint = if found.hint.contains("example") || found.hint.contains("`needs`") {
            "the logs of its pods and its events are in the evidence of the operator".to_owned()
        } else {
            found.hint
        };
        let cause = Cause::new(CauseClass::Operator, "OperatorNotReady", message);
        self.hopeless.get_or_insert(Cause { hint, object: found.object, ..cause });
    }

    fn show(&mut self) {
        if self.settled {
            return;
        }
        let missing = ready::missing(&self.world, &self.expected);
        let places: BTreeSet<_> = missing.iter().filter_map(|(reference, _)| reference.namespace.clone()).collect();
        for namespace in places {
            // What was well and is so no more is judged again: it may crash as soon as it was available.
            if self.well.remove(&namespace) {
                self.judge(&namespace);
            }
        }
        let waiting = self.judges.values().map(Judge::waiting_for).collect();
        let hopeless = self.hopeless.clone();
        let probed = ready::is_probed(&self.world, &self.expected);
        let ends = self.ends();
        self.sight.send_replace(Sight { told: self.told, missing, waiting, probed, ends, hopeless });
    }

    /// How often containers of the operator have started anew or ended.
    fn ends(&self) -> i64 {
        let pods = self.world.all().filter(|object| text(object, "/kind") == "Pod");
        let own = pods.filter(|pod| is_of_operator(pod, &self.world, &self.expected));
        own.map(|pod| counts(pod, "restartCount").sum::<i64>() + ended(pod)).sum()
    }

    /// Brings what was seen to disk.
    pub(super) async fn close(mut self, patience: Duration) {
        let namespaces: Vec<_> = self.followers.keys().cloned().collect();
        for (_, follower) in std::mem::take(&mut self.followers) {
            follower.finish(patience).await;
        }
        let mut events = Vec::new();
        for namespace in namespaces {
            let objects = Objects::core(&self.client, "events", Some(&namespace));
            match tokio::time::timeout(patience, objects.list(&ListParams::default())).await {
                Ok(Ok(found)) => events.extend(found),
                _ => events.extend(self.world.list("Event", &namespace).map(|event| Json::clone(event))),
            }
        }
        if let Err(error) = self.write(events) {
            tracing::warn!("evidence of the operator is missing: {error}");
        }
    }

    fn write(&self, mut events: Vec<Json>) -> crate::error::Result<()> {
        let time = |event: &Json| {
            let fields = ["/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
            let times = fields.into_iter().map(|field| text(event, field));
            times.into_iter().find(|time| !time.is_empty()).unwrap_or_default().to_owned()
        };
        if !events.is_empty() {
            events.sort_by_cached_key(time);
            self.folder.write_json("events.json", &Json::Array(events))?;
        }
        let is_of_interest = |object: &Json| match text(object, "/kind") {
            "Pod" => is_of_operator(object, &self.world, &self.expected),
            "Deployment" | "StatefulSet" | "DaemonSet" | "EndpointSlice" => true,
            _ => false,
        };
        for object in self.world.all().filter(|object| is_of_interest(object)) {
            let name = format!("objects/{}-{}.json", text(object, "/kind"), text(object, "/metadata/name"));
            self.folder.write_json(&name, object)?;
        }
        Ok(())
    }
}
