//! Why an object's controller does not make what it should: what its warnings mean.

use crate::model::CauseClass;
use crate::trial::judge::finding::{Cure, Finding};

/// What a warning event of a controller says.
#[derive(Debug, PartialEq, Eq)]
pub enum Warning {
    /// It says nothing: healthy runs have it, or pods and conditions say it better.
    Idle,
    /// Something could not be made.
    Create(Box<Finding>, Cure),
    /// Nothing is known of it: it counts where nothing else happens.
    Other(Box<Finding>),
}

/// Messages of warnings that healthy runs have.
const IDLE: [&str; 6] = [
    "being terminated",
    "already exists",
    "object has been modified",
    "the cache is not synced",
    "StorageError: invalid object",
    // A CronJob's controller, of a Job that was made by hand.
    "that the controller did not create or forgot",
];

/// Reasons that the Training Operator copies from pods, or that conditions repeat.
const REPEATED: [&str; 15] = [
    "Error",
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "OOMKilled",
    "BackoffLimitExceeded",
    "DeadlineExceeded",
    "FailedJobs",
    "Unhealthy",
    "ProgressDeadlineExceeded",
];

/// What an API server says when it refuses an object.
const REFUSED: [&str; 8] = [
    "is forbidden",
    "is invalid",
    "denied the request",
    "exceeded quota",
    "failed calling webhook",
    "failed validation",
    "strict decoding error",
    "no matches for kind",
];

/// What a warning of `object` (`Kind/name`) means.
pub fn read(object: &str, reason: &str, message: &str) -> Warning {
    let idle = message.is_empty() && reason.is_empty();
    if idle || REPEATED.contains(&reason) || IDLE.iter().any(|text| message.contains(text)) {
        return Warning::Idle;
    }
    let lower = reason.to_lowercase();
    let creates = (lower.contains("fail") && ["creat", "valid"].iter().any(|word| lower.contains(word)))
        || lower.contains("invalid");
    if creates || REFUSED.iter().any(|text| message.contains(text)) {
        let (finding, cure) = create(object, reason, message);
        return Warning::Create(Box::new(finding), cure);
    }
    let text = format!("nothing comes of {object}, and its controller warns: {message}");
    let hint = "read the events and the log of the operator that serves this kind";
    Warning::Other(Box::new(Finding::failed(CauseClass::Admission, reason, text, hint).of(object)))
}

/// Something could not be made for `object`.
pub fn create(object: &str, reason: &str, message: &str) -> (Finding, Cure) {
    const HINTS: [(&str, &str); 9] = [
        ("exceeded quota", "raise the ResourceQuota, or request less"),
        ("failed quota", "the ResourceQuota wants every container to say its requests and limits"),
        ("serviceaccount", "bring the ServiceAccount with the example, or name the file that holds it in `needs`"),
        (
            "PodSecurity",
            "the namespace enforces a Pod Security Standard that the pod template violates: change its securityContext",
        ),
        ("must be no more than 63 characters", "give the object a shorter name: its controller appends to it"),
        ("LimitRange", "keep to the LimitRange of the namespace"),
        ("usage per Container", "keep to the LimitRange of the namespace"),
        ("denied the request", "an admission webhook refuses it: do as its message says"),
        ("must be present", "complete the specification: the operator refuses it as it is"),
    ];
    const WEBHOOK: &str = "failed calling webhook";
    const PASSING: [&str; 6] = [
        "etcdserver:",
        "connection refused",
        "the server was unable",
        "deadline exceeded",
        "request timed out",
        "TLS handshake timeout",
    ];
    let text = format!("{object} can't get what it needs: {message}");
    let cure = if message.contains("exceeded quota") { Cure::OwnPods } else { Cure::None };
    let finding = if message.contains(WEBHOOK) {
        let hint = "an admission webhook does not answer: look at the operator that serves it";
        Finding::errored(CauseClass::Operator, reason, text, hint)
    } else if PASSING.iter().any(|text| message.contains(text)) {
        Finding::errored(CauseClass::Cluster, reason, text, "the cluster, not the example, is at fault: try again")
    } else {
        let known = HINTS.iter().find(|(text, _)| message.contains(text));
        let hint = known
            .map_or("the API server, or the operator, refuses it: correct what the message names", |(_, hint)| hint);
        Finding::failed(CauseClass::Admission, reason, text, hint)
    };
    (finding.of(object), cure)
}

/// Whether the success that `reason` and `message` tell (`SuccessfulCreateService`, `Created service: x`) ends a failure
/// with this reason and message.
pub fn ends(failure: &str, failure_message: &str, reason: &str, message: &str) -> bool {
    let Some(made) = reason.strip_prefix("SuccessfulCreate") else { return false };
    if failure.strip_prefix("FailedCreate") != Some(made) {
        return false;
    }
    // Built-in controllers name pods at random; operators name what they make, and may make one thing and not the other.
    let name = message.split_whitespace().next_back().unwrap_or_default();
    made.is_empty() || !failure_message.contains('"') || failure_message.contains(&format!("\"{name}\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Outcome;

    fn class(reason: &str, message: &str) -> Option<(Outcome, CauseClass)> {
        match read("Job/x", reason, message) {
            Warning::Create(finding, _) => Some((finding.outcome, finding.class)),
            Warning::Idle | Warning::Other(_) => None,
        }
    }

    #[test]
    fn refusals_fail_and_silent_webhooks_are_the_operator_s() {
        let admission = Some((Outcome::Failed, CauseClass::Admission));
        for (reason, message, expected) in [
            (
                "FailedCreate",
                "Error creating: pods \"q-1\" is forbidden: exceeded quota: q, requested: requests.cpu=500m, used: requests.cpu=0, limited: requests.cpu=100m",
                admission,
            ),
            (
                "FailedCreate",
                "Error creating: pods \"m-1\" is forbidden: maximum memory usage per Container is 64Mi, but limit is 1Gi",
                admission,
            ),
            (
                "FailedCreate",
                "Error creating: pods \"sa-\" is forbidden: error looking up service account ns/nope: serviceaccount \"nope\" not found",
                admission,
            ),
            (
                "FailedCreateService",
                "Error creating: Service \"a\" is invalid: metadata.name: Invalid value: \"a\": must be no more than 63 characters",
                admission,
            ),
            (
                "MPIJobFailedValidation",
                "MPIJob failed validation because MPIReplicaSpec is not valid: Master ReplicaSpec must be present",
                admission,
            ),
            ("TrainJobResourcesCreationFailed", "error", admission),
            (
                "MPIJobFailed",
                "launcher pod created failed: pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\"",
                admission,
            ),
            (
                "FailedCreate",
                "Error creating: Internal error occurred: failed calling webhook \"a.b\": failed to call webhook: Post \"https://a\": dial tcp: connect: connection refused",
                Some((Outcome::Errored, CauseClass::Operator)),
            ),
            (
                "FailedCreate",
                "Error creating: etcdserver: request timed out",
                Some((Outcome::Errored, CauseClass::Cluster)),
            ),
            ("FailedCreateService", "Error creating: services \"ttl-worker-0\" already exists", None),
            ("MPIJobFailed", "launcher pod created failed: pods \"badctr-launcher\" already exists", None),
            ("CrashLoopBackOff", "Error pod a container b waiting message: back-off", None),
            ("ReconcileError", "something", None),
        ] {
            assert_eq!(class(reason, message), expected, "{reason}: {message}");
        }
    }

    #[test]
    fn a_success_ends_the_failure_of_the_same_thing_alone() {
        assert!(ends("FailedCreate", "pods \"x-1\" is forbidden", "SuccessfulCreate", "Created pod: x-2"));
        assert!(!ends(
            "FailedCreateService",
            "Service \"a-worker-0\" is invalid",
            "SuccessfulCreatePod",
            "Created pod: a-worker-0"
        ));
        assert!(!ends(
            "FailedCreateService",
            "Service \"a-worker-0\" is invalid",
            "SuccessfulCreateService",
            "Created service: a-master-0"
        ));
        assert!(ends(
            "FailedCreateService",
            "Service \"a-worker-0\" is invalid",
            "SuccessfulCreateService",
            "Created service: a-worker-0"
        ));
    }
}
