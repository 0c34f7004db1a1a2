//! Why a container, or a pod, does not start: what the kubelet's reasons and messages mean.

use crate::config::Graces;
use crate::model::CauseClass;
use crate::trial::judge::finding::Finding;
use crate::trial::judge::images::{self, Pull};
use std::time::Duration;

/// How a kind of trouble ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is the example's, and will not pass.
    Example,
    /// It may pass; if it does not, the cluster is at fault.
    Cluster,
}

/// Reasons for which a container waits because of its image, besides failed pulls.
const IMAGE: [&str; 7] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
];

/// Reasons for which a container waits, or ended, because it cannot be started.
const START: [&str; 9] = [
    "CreateContainerConfigError",
    "CreateContainerError",
    "PreCreateHookError",
    "PreStartHookError",
    "PostStartHookError",
    "RunContainerError",
    "StartError",
    "ContainerCannotRun",
    "RunInitContainerError",
];

/// Messages of troubles that pass with the kubelet's next try.
const PASSING: [&str; 14] = [
    "timed out waiting for the condition",
    "failed to sync ",
    "not registered",
    "deadline exceeded",
    "context canceled",
    "is reserved for",
    "connection refused",
    "resource temporarily unavailable",
    "too many open files",
    "ttrpc: closed",
    "transport is closing",
    "no space left on device",
    // What a namespace gets by itself, a moment after it was made.
    "kube-root-ca.crt",
    "failed to fetch token",
];

pub fn is_image_reason(reason: &str) -> bool {
    IMAGE.contains(&reason)
}

pub fn is_start_reason(reason: &str) -> bool {
    START.contains(&reason)
}

/// What is said of a container, and by what.
pub struct Said<'a> {
    pub container: &'a str,
    /// `Pod/name`.
    pub pod: &'a str,
    pub image: &'a str,
    pub reason: &'a str,
    pub message: &'a str,
}

/// A container's image is not there, and how long that may last.
pub fn image(said: &Said<'_>, graces: &Graces) -> (Duration, Finding) {
    let pull = match said.reason {
        "ErrImageNeverPull" | "InvalidImageName" | "SignatureValidationFailed" => Pull::Never,
        "RegistryUnavailable" => Pull::Transient,
        _ => images::classify(said.message),
    };
    let hint = match said.reason {
        "ErrImageNeverPull" => {
            "the image is on no node and must not be pulled: build it with `images`, or change imagePullPolicy"
        }
        "InvalidImageName" => "correct the image's reference",
        _ => images::hint(said.message, pull),
    };
    let (container, pod, image) = (said.container, said.pod, said.image);
    let message = format!("container `{container}` of {pod} can't get its image `{image}`: {}", said.message);
    let found = match pull {
        Pull::Transient => Finding::errored(CauseClass::Image, said.reason, message, hint),
        Pull::Never | Pull::Unknown => Finding::failed(CauseClass::Image, said.reason, message, hint),
    };
    // What a message does not explain gets the time of what may pass.
    let grace = if pull == Pull::Never { graces.image_not_found } else { graces.image_transient };
    (grace, found.of(pod))
}

/// A container cannot be started, and how long that may last.
pub fn start(said: &Said<'_>, graces: &Graces) -> (Duration, Finding) {
    const HINTS: [(&str, &str); 9] = [
        ("executable file not found", "the image does not have this program: check command and args"),
        ("no such file or directory", "the image does not have this file: check command and args"),
        (
            "exec format error",
            "the program is for another architecture, or a script without a first line that names its shell",
        ),
        ("permission denied", "the file may not be executed by the container's user"),
        ("runAsNonRoot", "give a numeric runAsUser other than 0, or an image that does not run as root"),
        ("non-numeric user", "give a numeric runAsUser: the kubelet can't know whether a named user is root"),
        ("no command specified", "the image has no entry point: give a command"),
        ("find key", "add the key to the object, or mark the reference `optional: true`"),
        ("not found", "bring the object with the example, or name the file that holds it in `needs`"),
    ];
    let fault = if PASSING.iter().any(|text| said.message.contains(text)) { Fault::Cluster } else { Fault::Example };
    let hint = HINTS.iter().find(|(text, _)| said.message.contains(text)).map_or("", |(_, hint)| hint);
    let message = format!("container `{}` of {} can't be started: {}", said.container, said.pod, said.message);
    let (grace, found) = match fault {
        Fault::Example => (graces.config_missing, Finding::failed(CauseClass::Runtime, said.reason, message, hint)),
        Fault::Cluster => (
            graces.image_transient,
            Finding::errored(
                CauseClass::Cluster,
                said.reason,
                message,
                "the node, not the example, is at fault: try again",
            ),
        ),
    };
    (grace, found.of(said.pod))
}

/// A volume cannot be mounted or attached (`FailedMount`, `FailedAttachVolume`, `FailedMapVolume`), and how long that may
/// last.
pub fn mount(pod: &str, reason: &str, message: &str, graces: &Graces) -> (Duration, Finding) {
    const MISSING: [&str; 6] = [
        "not found",
        "non-existent",
        "is not a directory",
        "is not a file",
        "is not a block device",
        "hostPath type check failed",
    ];
    let text = format!("{pod} can't mount its volumes: {message}");
    let says = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
    let (grace, found) = if message.contains("registered CSI drivers") {
        let hint = "the cluster has no such CSI driver: use another kind of volume";
        (graces.claim_unbound, Finding::failed(CauseClass::Runtime, reason, text, hint))
    } else if message.contains("Multi-Attach") {
        let hint = "a ReadWriteOnce volume is in use on another node: use ReadWriteMany, or run its pods on one node";
        (graces.claim_unbound, Finding::failed(CauseClass::Scheduling, reason, text, hint))
    } else if says(&MISSING) && !says(&PASSING) {
        let hint = "bring the object with the example, or name the file that holds it in `needs`";
        (graces.config_missing, Finding::failed(CauseClass::Runtime, reason, text, hint))
    } else if reason == "FailedAttachVolume" || says(&PASSING) {
        let hint = "the cluster's storage, not the example, is at fault: try again";
        (graces.image_transient, Finding::errored(CauseClass::Cluster, reason, text, hint))
    } else {
        (graces.claim_unbound, Finding::failed(CauseClass::Runtime, reason, text, "check the volume's source"))
    };
    (grace, found.of(pod))
}

/// A pod's sandbox cannot be made (`FailedCreatePodSandBox`), and how long that may last.
pub fn sandbox(pod: &str, reason: &str, message: &str, graces: &Graces) -> (Duration, Finding) {
    let text = format!("{pod} can't be started: {message}");
    let (grace, found) = if message.contains("no runtime for") || message.contains("RuntimeHandler") {
        let hint = "the nodes have no such container runtime: use another runtimeClassName";
        (graces.config_missing, Finding::failed(CauseClass::Runtime, reason, text, hint))
    } else {
        let hint = "the node or its network, not the example, is at fault: try again";
        (graces.image_transient, Finding::errored(CauseClass::Cluster, reason, text, hint))
    };
    (grace, found.of(pod))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Outcome;

    fn said<'a>(reason: &'a str, message: &'a str) -> Said<'a> {
        Said { container: "main", pod: "Pod/x", image: "a:1", reason, message }
    }

    #[test]
    fn what_does_not_exist_fails_and_what_passes_is_the_cluster_s() {
        let graces = Graces::default();
        for (reason, message, outcome, hint) in [
            ("CreateContainerConfigError", "configmap \"nope\" not found", Outcome::Failed, "needs"),
            ("CreateContainerConfigError", "couldn't find key nope in ConfigMap ns/cfg", Outcome::Failed, "optional"),
            (
                "CreateContainerConfigError",
                "container has runAsNonRoot and image will run as root (pod: \"x\", container: main)",
                Outcome::Failed,
                "runAsUser",
            ),
            (
                "CreateContainerConfigError",
                "failed to sync configmap cache: timed out waiting for the condition",
                Outcome::Errored,
                "try again",
            ),
            (
                "StartError",
                "exec: \"/no/such/binary\": stat /no/such/binary: no such file or directory",
                Outcome::Failed,
                "command",
            ),
            (
                "CreateContainerError",
                "failed to reserve container name \"main_x\": name \"main_x\" is reserved for \"1\"",
                Outcome::Errored,
                "try again",
            ),
        ] {
            let (grace, found) = start(&said(reason, message), &graces);
            assert_eq!((found.outcome, found.reason.as_str()), (outcome, reason), "{message}");
            assert!(found.hint.contains(hint), "{message}: {}", found.hint);
            assert_eq!(grace == graces.config_missing, outcome == Outcome::Failed);
        }
    }

    #[test]
    fn volumes_are_told_apart_by_what_the_kubelet_says() {
        let graces = Graces::default();
        for (message, outcome, class) in [
            (
                "MountVolume.SetUp failed for volume \"v\" : configmap \"nope\" not found",
                Outcome::Failed,
                CauseClass::Runtime,
            ),
            (
                "MountVolume.SetUp failed for volume \"v\" : references non-existent config key: a",
                Outcome::Failed,
                CauseClass::Runtime,
            ),
            (
                "MountVolume.SetUp failed for volume \"h\" : hostPath type check failed: /data is not a directory",
                Outcome::Failed,
                CauseClass::Runtime,
            ),
            (
                "MountVolume.SetUp failed for volume \"kube-api-access-x\" : object \"ns\"/\"kube-root-ca.crt\" not registered",
                Outcome::Errored,
                CauseClass::Cluster,
            ),
            (
                "MountVolume.SetUp failed for volume \"kube-api-access-x\" : configmap \"kube-root-ca.crt\" not found",
                Outcome::Errored,
                CauseClass::Cluster,
            ),
            (
                "Multi-Attach error for volume \"pvc-1\" Volume is already used by pod(s) a",
                Outcome::Failed,
                CauseClass::Scheduling,
            ),
            (
                "Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[], failed to process volumes=[]: timed out waiting for the condition",
                Outcome::Errored,
                CauseClass::Cluster,
            ),
        ] {
            let (_, found) = mount("Pod/x", "FailedMount", message, &graces);
            assert_eq!((found.outcome, found.class), (outcome, class), "{message}");
        }
    }

    #[test]
    fn a_runtime_that_no_node_has_fails_and_a_broken_network_is_the_cluster_s() {
        let graces = Graces::default();
        let missing = "failed to get sandbox runtime: no runtime for \"gvisor\" is configured";
        assert_eq!(sandbox("Pod/x", "FailedCreatePodSandBox", missing, &graces).1.outcome, Outcome::Failed);
        let network = "failed to setup network for sandbox \"1\": plugin type=\"ptp\" failed";
        assert_eq!(sandbox("Pod/x", "FailedCreatePodSandBox", network, &graces).1.class, CauseClass::Cluster);
    }
}
