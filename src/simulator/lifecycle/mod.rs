//! What controllers, the scheduler, kubelets and operators do, played on a [`Store`].
//!
//! Reconcilers are functions from an object and what is around it ([`world::World`]) to what is to be done
//! ([`action::Action`]); one task does it ([`start`]). What a container does is read off its command ([`shell`]) and its
//! image ([`image`]), or told by an annotation ([`script::SCRIPTS`]).

pub mod action;
pub mod admission;
mod controllers;
mod defaults;
mod engine;
pub mod image;
mod index;
mod kubelet;
mod needs;
mod object;
mod operators;
pub mod pace;
pub mod play;
mod recorder;
mod scheduler;
pub mod script;
mod seed;
pub mod shell;
#[cfg(test)]
mod tests;
mod timers;
pub mod usage;
pub mod world;

use std::time::Duration;

use serde_json::Value as Json;

use action::{Action, Cue};
use engine::Engine;
pub use object::{is_ready, selects};
pub use operators::{Counted, Counters};
pub use pace::Pace;
pub use seed::Node;
use world::World;

use crate::simulator::store::{Key, Store};

/// What the simulated cluster is like.
#[derive(Clone, Debug)]
pub struct Options {
    /// How fast it works.
    pub pace: Pace,
    /// Images that are on its nodes already, by name, or by the beginning of the name with a `*` after it.
    pub present_images: Vec<String>,
    /// Its nodes.
    pub nodes: Vec<Node>,
    /// Whether claims of the StorageClass `standard` get a volume.
    pub provisions: bool,
    /// How often what containers use is measured, at the pace of what the cluster waits for: as often as a kubelet does.
    pub housekeeping: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pace: Pace::Instant,
            present_images: Vec::new(),
            nodes: vec![Node::default()],
            provisions: true,
            housekeeping: Duration::from_secs(10),
        }
    }
}

/// A cluster at work; it stops when this is dropped.
#[derive(Debug)]
pub struct Lifecycle {
    task: tokio::task::JoinHandle<()>,
    counters: Counters,
}

impl Lifecycle {
    /// What its operators count.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters.clone()
    }
}

impl Drop for Lifecycle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Makes nodes, namespaces and the StorageClass that every cluster has, and plays what happens from then on, in a task of
/// the runtime that this is called in. New objects are filled in as an API server does it, and what the store holds
/// already is taken over.
#[must_use]
pub fn start(store: Store, options: Options) -> Lifecycle {
    store.complete_with(admission::complete);
    let counters = Counters::default();
    Lifecycle { task: tokio::spawn(Engine::new(store, options, counters.clone()).work()), counters }
}

/// What becomes of an object.
fn reconcile(object: &Json, key: &Key, cue: &Cue, world: World<'_>) -> Vec<Action> {
    match (key.group.as_str(), key.plural.as_str()) {
        ("", "namespaces") => controllers::namespace::begin(object, cue, world),
        ("", "pods") => match cue {
            Cue::Schedule => scheduler::schedule(object, world),
            Cue::Pod(cue) => kubelet::step(object, cue, world),
            Cue::Deadline(_) => kubelet::deadline(object),
            _ => kubelet::changed(object, world),
        },
        ("", "persistentvolumeclaims") => controllers::claims::reconcile(object, cue, world),
        ("", "services") => controllers::endpoints::reconcile(object, world),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations" | "validatingwebhookconfigurations") => {
            controllers::endpoints::certify(object, key, world)
        }
        ("", "persistentvolumes") => controllers::claims::reclaim(object, world),
        ("", "replicationcontrollers") | ("apps", "replicasets") => {
            controllers::deployment::reconcile_set(object, key, cue, world)
        }
        ("apps", "deployments") => controllers::deployment::reconcile(object, cue, world),
        ("apps", "statefulsets") => controllers::sets::stateful(object, cue, world),
        ("apps", "daemonsets") => controllers::sets::daemon(object, cue, world),
        ("batch", "cronjobs") => controllers::cron::reconcile(object, cue, world),
        ("batch", "jobs") => controllers::job::reconcile(object, cue, world),
        (group, _) if group.contains('.') && !group.ends_with(".k8s.io") || group.ends_with(".x-k8s.io") => {
            operators::reconcile(object, key, cue, world)
        }
        _ => Vec::new(),
    }
}
