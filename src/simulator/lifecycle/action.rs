//! What reconcilers decide: values, which the engine then does.

use serde_json::{Value as Json, json};

use super::object::{name, namespace, text, uid};
use super::operators::Counted;
use super::pace::Delay;
use super::play::End;
use crate::simulator::store::{Key, Propagation};

/// A change of an object.
pub type Edit = Box<dyn FnOnce(&mut Json) + Send>;

/// What is to be done.
pub enum Action {
    /// Create an object, unless it is there already.
    Create(Json),
    /// Create a pod for its owner, with the event that tells of it or of its refusal.
    CreatePod(Json, CreatePod),
    /// Replace an object's status.
    Status(Key, Json),
    /// Change an object.
    Edit(Key, Edit),
    /// Delete an object.
    Delete(Key, Propagation),
    /// Delete a pod without any grace left.
    DeleteNow(Key),
    /// Tell of something.
    Tell(Happening),
    /// Come back to an object later.
    Later(Delay, Key, String, Cue),
    /// Print to a container's log: pod, container, restart, text.
    Print(Key, String, u32, String),
    /// A run of a container begins: pod, container, restart, how it goes on.
    Begin(Key, String, u32, End),
    /// A run of a container is over: pod, container, restart.
    EndLog(Key, String, u32),
    /// Count something that happened to an object.
    Count(Counted, Json),
    /// Remember something of an object, by its uid, until it is gone.
    Mark(String, String),
}

/// How a pod is created for an owner.
#[derive(Clone, Debug)]
pub struct CreatePod {
    /// The owner.
    pub owner: Json,
    /// Who does it.
    pub by: &'static str,
    /// The reason and message of the event once it is there; `{}` is its name.
    pub done: (&'static str, &'static str),
    /// How often it was refused before.
    pub turn: u32,
}

/// Why an object is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cue {
    /// It changed, or something did that it depends on.
    Changed,
    /// It asked to be looked at again, for the n-th time.
    Again(u32),
    /// Its deadline is over; the start that it counts from.
    Deadline(String),
    /// What it is about to decide stands: nothing else happened at the same moment.
    Settled,
    /// It has been over for long enough.
    Expired,
    /// A node is wanted.
    Schedule,
    /// A kubelet's next step.
    Pod(PodCue),
}

/// A kubelet's next step with a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodCue {
    /// It was given a node.
    Sync,
    /// Its volumes are to be mounted, for the n-th time.
    Mount(u32),
    /// Its sandbox is there.
    Sandbox,
    /// An image is to be pulled, for the n-th time.
    Pull(String, u32),
    /// A pull was tried, for the n-th time.
    Pulled(String, u32),
    /// A failed pull is held back, for the n-th time.
    PullBackOff(String, u32),
    /// A container is to be created, for the n-th time.
    Create(String, u32),
    /// A container is to be started; how often it was before.
    Start(String, u32),
    /// A container prints; its restart, the text.
    Output(String, u32, String),
    /// A container ends; its restart.
    Exit(String, u32, End),
    /// A container is not started again at once; its restart.
    BackOff(String, u32),
    /// A container's readiness is asked for; its restart, for the n-th time.
    Probe(String, u32, u32),
    /// All its containers have ended.
    Finish,
    /// Its containers are stopped, since it was deleted.
    Stopped,
}

/// Something that an `Event` object tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// What it is about.
    pub about: Json,
    /// `Warning`, not `Normal`.
    pub warning: bool,
    /// A word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// Who tells.
    pub by: &'static str,
    /// On which node, if a kubelet tells.
    pub host: String,
}

impl Happening {
    /// A normal event about an object.
    #[must_use]
    pub fn normal(object: &Json, by: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self {
            about: json!({"kind": text(object, "/kind"), "namespace": namespace(object), "name": name(object),
                "uid": uid(object), "apiVersion": text(object, "/apiVersion"),
                "resourceVersion": text(object, "/metadata/resourceVersion")}),
            warning: false,
            reason: reason.to_owned(),
            message: message.into(),
            by,
            host: String::new(),
        }
    }

    /// A warning about an object.
    #[must_use]
    pub fn warning(object: &Json, by: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self { warning: true, ..Self::normal(object, by, reason, message) }
    }
}

impl From<Happening> for Action {
    fn from(happening: Happening) -> Self {
        Self::Tell(happening)
    }
}

/// The key of a pod.
#[must_use]
pub fn pod_key(pod: &Json) -> Key {
    Key::namespaced("", "pods", namespace(pod), name(pod))
}
