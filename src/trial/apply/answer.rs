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
    // Our own cells wait for each other ([`lock_keys`](crate::trial::isolate::lock_keys)), so somebody else has it.
    ("provided port is already allocated", Meaning::Transient(Blame::Cluster)),
    ("provided IP is already allocated", Meaning::Transient(Blame::Cluster)),
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
        (Some((_, meaning)), _) | (None, Some((_, meaning))) => *meaning,
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

/// Whether an apply is refused for no more than that two items of a list have the same key (the same port twice, the same variable
/// twice): server-side apply can't tell them apart, while a POST takes both, with a warning
/// (<https://github.com/kubernetes/kubernetes/issues/113482>).
#[must_use]
pub fn has_twins(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.message.contains("duplicate entries for key"))
}

/// Whether a port or an address that was asked for belongs to another object.
#[must_use]
pub fn is_taken(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.message.contains("is already allocated"))
}

/// Whether what was asked for is not there.
#[must_use]
pub fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of a real API server, and of its admission plugins' sources, by code and message.
    const ANSWERS: &[(u16, &str, Meaning)] = &[
        (422, "ConfigMap \"Bad_Name\" is invalid: metadata.name: Invalid value", Meaning::Refused),
        (
            400,
            "PyTorchJob in version \"v1\" cannot be handled as a PyTorchJob: strict decoding error: unknown field \"a\"",
            Meaning::Refused,
        ),
        (
            500,
            "failed to create typed patch object (/q; kubeflow.org/v1, Kind=PyTorchJob): .spec.x: field not declared in schema",
            Meaning::Refused,
        ),
        (403, "admission webhook \"v.x\" denied the request: metadata.name: Invalid value", Meaning::Refused),
        (403, "pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\": privileged", Meaning::Refused),
        (403, "pods \"a\" is forbidden: exceeded quota: q, requested: requests.cpu=500m", Meaning::Refused),
        (409, "Apply failed with 1 conflict: conflict with \"other\": .spec.replicas", Meaning::Refused),
        (
            403,
            "admission webhook \"v.trainer\" denied the request: specified runtime must be created before the TrainJob is created",
            Meaning::Lagging,
        ),
        (
            403,
            "pods \"a\" is forbidden: error looking up service account ev-a/default: serviceaccount \"default\" not found",
            Meaning::Lagging,
        ),
        (403, "pods \"a\" is forbidden: no PriorityClass with name high was found", Meaning::Lagging),
        (
            403,
            "pods \"a\" is forbidden: status unknown for quota: q, resources: requests.cpu",
            Meaning::Transient(Blame::Cluster),
        ),
        (
            500,
            "Internal error occurred: failed calling webhook \"v.rec.test\": failed to call webhook: Post \"https://hook.dryrun.svc:443/v?timeout=10s\": service \"hook\" not found",
            Meaning::Transient(Blame::Operator),
        ),
        (
            500,
            "Internal error occurred: failed calling webhook \"v\": no endpoints available for service \"hook\"",
            Meaning::Transient(Blame::Operator),
        ),
        (
            500,
            "conversion webhook for a.b/v1, Kind=X failed: Post \"https://x.svc:443/\": connection refused",
            Meaning::Transient(Blame::Operator),
        ),
        (404, "404 page not found", Meaning::Transient(Blame::Cluster)),
        (404, "namespaces \"nope\" not found", Meaning::Transient(Blame::Cluster)),
        (
            409,
            "Operation cannot be fulfilled on jobs \"a\": the object has been modified",
            Meaning::Transient(Blame::Cluster),
        ),
        (
            422,
            "Service \"a\" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated",
            Meaning::Transient(Blame::Cluster),
        ),
        (
            422,
            "Service \"a\" is invalid: spec.clusterIPs: Invalid value: [\"10.96.0.10\"]: failed to allocate IP 10.96.0.10: provided IP is already allocated",
            Meaning::Transient(Blame::Cluster),
        ),
        (429, "Too many requests, please try again later.", Meaning::Transient(Blame::Cluster)),
        (500, "etcdserver: leader changed", Meaning::Transient(Blame::Cluster)),
        (503, "the server is currently unable to handle the request", Meaning::Transient(Blame::Cluster)),
        (401, "Unauthorized", Meaning::Fault(Blame::Cluster)),
        (
            403,
            "jobs.batch is forbidden: User \"ci\" cannot create resource \"jobs\" in API group \"batch\"",
            Meaning::Fault(Blame::Cluster),
        ),
        (
            403,
            "configmaps \"late\" is forbidden: unable to create new content in namespace dryrun because it is being terminated",
            Meaning::Fault(Blame::Cluster),
        ),
    ];

    #[test]
    fn answers_mean_what_the_table_says() {
        for (code, message, expected) in ANSWERS {
            let status = Status::failure(message, "").with_code(*code);
            assert_eq!(of_status(&status), *expected, "{code} {message}");
        }
    }

    #[test]
    fn the_server_s_wish_is_read_from_its_details() {
        let mut status = Status::failure("busy", "ServerTimeout").with_code(500);
        status.details = serde_json::from_value(serde_json::json!({"retryAfterSeconds": 7})).unwrap();
        assert_eq!(retry_after(&kube::Error::Api(status.boxed())), Some(Duration::from_secs(7)));
        let plain = |code| kube::Error::Api(Status::failure("busy", "").with_code(code).boxed());
        assert_eq!((retry_after(&plain(429)), retry_after(&plain(500))), (Some(Duration::from_secs(1)), None));
    }
}
