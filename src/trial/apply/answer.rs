//! What an API server's answer to an apply means: try again, the example is refused, or nobody can tell. Pure; a table.
//!
//! Source of the texts: recorded answers of a real API server, and `k8s.io/apiserver` (admission, webhook, registry).

use std::time::Duration;

use kube::core::Status;

use crate::model::CauseClass;

/// What an answer means for what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It may pass soon; if it does not, this is to blame, and the example can't be judged.
    Transient(Blame),
    /// It is refused, but what it misses may only not have been seen yet (caches of admission lag behind): worth a few tries.
    Lagging,
    /// It is refused for good: the example's own fault.
    Refused,
    /// Trying again is of no use, and the example is not to blame.
    Fault(Blame),
}

/// Who is to blame when an example can't be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The operator under test: its webhook can't be reached.
    Operator,
    /// The cluster.
    Cluster,
}

impl From<Blame> for CauseClass {
    fn from(blame: Blame) -> Self {
        match blame {
            Blame::Operator => Self::Operator,
            Blame::Cluster => Self::Cluster,
        }
    }
}

/// Texts that say more than the code, from the strongest to the weakest: a message means what stands beside the first
/// that it contains.
const TEXTS: &[(&str, Meaning)] = &[
    // A webhook that answers: what it says of a runtime comes from its cache.
    ("must be created before", Meaning::Lagging),
    ("denied the request", Meaning::Refused),
    // A webhook that does not.
    ("failed calling webhook", Meaning::Transient(Blame::Operator)),
    ("conversion webhook for", Meaning::Transient(Blame::Operator)),
    // Server-side apply answers a schema error with code 500.
    ("failed to create typed patch object", Meaning::Refused),
    ("field not declared in schema", Meaning::Refused),
    ("failed to create manager for", Meaning::Refused),
    // The namespace is being deleted by somebody else.
    ("because it is being terminated", Meaning::Fault(Blame::Cluster)),
    // Admission plugins that read caches.
    ("error looking up service account", Meaning::Lagging),
    ("no PriorityClass with name", Meaning::Lagging),
    ("pod rejected: RuntimeClass", Meaning::Lagging),
    ("status unknown for quota", Meaning::Transient(Blame::Cluster)),
    ("not yet ready to handle request", Meaning::Transient(Blame::Cluster)),
    // Our identity, not the example.
    ("is attempting to grant RBAC permissions not currently held", Meaning::Fault(Blame::Cluster)),
    ("cannot create resource", Meaning::Fault(Blame::Cluster)),
    ("cannot patch resource", Meaning::Fault(Blame::Cluster)),
    ("cannot get resource", Meaning::Fault(Blame::Cluster)),
    // Optimistic locking.
    ("the object has been modified", Meaning::Transient(Blame::Cluster)),
    ("object is being deleted", Meaning::Transient(Blame::Cluster)),
];

/// What each HTTP code means where no text says more. Others from 400 on are refusals, from 500 on transient.
const CODES: &[(u16, Meaning)] = &[
    (401, Meaning::Fault(Blame::Cluster)),
    (404, Meaning::Transient(Blame::Cluster)),
    (408, Meaning::Transient(Blame::Cluster)),
    (410, Meaning::Transient(Blame::Cluster)),
    (429, Meaning::Transient(Blame::Cluster)),
];

/// What an error means.
#[must_use]
pub fn meaning(error: &kube::Error) -> Meaning {
    match error {
        kube::Error::Api(status) => of_status(status),
        // A connection that could not be made or was cut, or an answer that did not arrive whole.
        kube::Error::HyperError(_)
        | kube::Error::Service(_)
        | kube::Error::ReadEvents(_)
        | kube::Error::SerdeError(_)
        | kube::Error::FromUtf8(_)
        | kube::Error::HttpError(_) => Meaning::Transient(Blame::Cluster),
        _ => Meaning::Fault(Blame::Cluster),
    }
}

/// What a `Status` means.
#[must_use]
pub fn of_status(status: &Status) -> Meaning {
    let by_text = TEXTS.iter().find(|(text, _)| status.message.contains(text));
    let by_code = CODES.iter().find(|(code, _)| *code == status.code);
    match (by_text, by_code) {
        (Some((_, meaning)), _) => *meaning,
        (None, Some((_, meaning))) => *meaning,
        (None, None) if status.code >= 500 => Meaning::Transient(Blame::Cluster),
        (None, None) => Meaning::Refused,
    }
}

/// How long the server asks to wait before the next try.
#[must_use]
pub fn retry_after(error: &kube::Error) -> Option<Duration> {
    let kube::Error::Api(status) = error else { return None };
    let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    match (seconds, status.code) {
        (0, 429) => Some(Duration::from_secs(1)),
        (0, _) => None,
        (seconds, _) => Some(Duration::from_secs(u64::from(seconds))),
    }
}

/// Whether an object of that name is there already.
#[must_use]
pub fn is_already_there(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_already_exists())
}

/// Whether what was asked for is not there.
#[must_use]
pub fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
