//! What the scheduler means when it says that no node takes a pod.

/// Why no node takes a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It uses a claim that does not exist.
    ClaimMissing,
    /// It uses a claim that no volume is bound to.
    ClaimUnbound,
    /// The nodes are ill: the example is not to blame.
    Nodes,
    /// There is no room now; there may be when others leave.
    Room,
    /// No node suits it, full or empty.
    Never,
}

const CLAIM_UNBOUND: [&str; 4] = [
    "unbound immediate PersistentVolumeClaims",
    "find available persistent volumes to bind",
    "waiting for ephemeral volume controller",
    // A node was found, and the volume did not come: running PreBind plugin "VolumeBinding": binding volumes: the cause
    "binding volumes:",
];

/// Reasons of single nodes that lie in the nodes.
const ILL: [&str; 9] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/network-unavailable",
    "node.cloudprovider.kubernetes.io/uninitialized",
    "node.kubernetes.io/unschedulable",
    "node(s) were unschedulable",
];

/// How newer schedulers tell of a taint, without saying which.
const TAINTED: &str = "untolerated taint(s)";

/// What newer schedulers add to the reasons of the nodes.
const ASIDE: &str = "no new claims to deallocate";

/// Reasons of single nodes that end when other pods leave.
const FULL: [&str; 5] =
    ["Insufficient ", "Too many pods", "have free ports for", "exceed max volume count", "have enough resource"];

/// What the message of a `PodScheduled` condition, or of a `FailedScheduling` event, means. `ill`: some node is known to be unfit
/// to run pods.
pub fn classify(message: &str, ill: bool) -> Unfit {
    if message.contains("persistentvolumeclaim \"") && message.contains("not found") {
        return Unfit::ClaimMissing;
    }
    if CLAIM_UNBOUND.iter().any(|text| message.contains(text)) {
        return Unfit::ClaimUnbound;
    }
    if message.contains("no nodes available to schedule pods") {
        return Unfit::Nodes;
    }
    // "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {..}. preemption: 0/3 nodes are ..."
    let (reasons, preemption) = message.split_once("preemption:").unwrap_or((message, ""));
    let reasons = reasons.split_once("available:").map_or(reasons, |(_, rest)| rest);
    let is_ill = |reason: &str| ILL.iter().any(|text| reason.contains(text)) || (ill && reason.contains(TAINTED));
    let told = reasons.replace(ASIDE, "");
    let own = told.split(", ").map(|reason| reason.trim_matches([' ', '.']));
    let mut own = own.filter(|reason| !reason.is_empty() && !reason.contains("node-role.kubernetes.io/")).peekable();
    if own.peek().is_some() && own.all(is_ill) {
        return Unfit::Nodes;
    }
    let full = FULL.iter().any(|text| reasons.contains(text));
    // Where preempting everything would not help, neither does waiting for it to leave: the pod asks for more than the node has.
    let hopeless =
        preemption.contains("Preemption is not helpful") && !preemption.contains("No preemption victims found");
    if full && !hopeless { Unfit::Room } else { Unfit::Never }
}

/// Whether a taint is one that the cluster itself gives to nodes that must not run pods now.
pub fn is_of_cluster(taint: &str) -> bool {
    taint.starts_with("node.kubernetes.io/") || taint.starts_with("node.cloudprovider.kubernetes.io/")
}

/// What to do about it.
pub fn hint(message: &str, unfit: Unfit) -> &'static str {
    const HINTS: [(&str, &str); 8] = [
        ("nvidia.com/gpu", "no node of this cluster offers GPUs: run the example on one that does, or ask for none"),
        ("Insufficient ", "ask for less, or give the cluster larger nodes"),
        ("untolerated taint", "no node without that taint: tolerate it, or add a node without it"),
        ("node affinity/selector", "no node has these labels: change nodeSelector or affinity, or label a node"),
        ("pod affinity", "no node satisfies the pod (anti-)affinity: relax it, or add nodes"),
        ("anti-affinity", "no node satisfies the pod (anti-)affinity: relax it, or add nodes"),
        ("topology spread", "no node satisfies the topology spread constraints: relax them, or add nodes"),
        ("free ports", "the host port is taken on every node: drop hostPort, or use another"),
    ];
    match unfit {
        Unfit::ClaimMissing => "bring the claim with the example, or name the file that holds it in `needs`",
        Unfit::ClaimUnbound => {
            "nothing provides a volume for the claim: use a storage class of the cluster, or bring a volume"
        }
        Unfit::Nodes => "the cluster's nodes are not fit to run pods: look at their conditions and taints",
        Unfit::Room | Unfit::Never => {
            let known = HINTS.iter().find(|(text, _)| message.contains(text));
            known.map_or(
                "no node of this cluster suits the pod: change what it asks for, or the cluster",
                |(_, hint)| hint,
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_pass_is_told_from_what_cannot() {
        let hopeless = "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
        let full = "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.";
        for (reasons, preemption, expected) in [
            ("1 Insufficient cpu. no new claims to deallocate, ", hopeless, Unfit::Never),
            ("1 Insufficient cpu. ", full, Unfit::Room),
            ("1 Too many pods. ", full, Unfit::Room),
            ("1 node(s) didn't have free ports for the requested pod ports. ", full, Unfit::Room),
            ("1 node(s) didn't match Pod's node affinity/selector. ", hopeless, Unfit::Never),
            ("1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }. ", hopeless, Unfit::Never),
            ("1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }. ", hopeless, Unfit::Nodes),
            (
                "1 node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }, 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }. ",
                hopeless,
                Unfit::Nodes,
            ),
            ("1 node(s) were unschedulable. ", hopeless, Unfit::Nodes),
            ("1 node(s) didn't match pod topology spread constraints. ", hopeless, Unfit::Never),
            ("1 node(s) didn't find available persistent volumes to bind. ", hopeless, Unfit::ClaimUnbound),
            ("pod has unbound immediate PersistentVolumeClaims. ", hopeless, Unfit::ClaimUnbound),
            ("persistentvolumeclaim \"nope\" not found. not found", "", Unfit::ClaimMissing),
        ] {
            let message = format!("0/1 nodes are available: {reasons}{preemption}");
            assert_eq!(classify(&message, false), expected, "{message}");
        }
        assert_eq!(classify("no nodes available to schedule pods", false), Unfit::Nodes);
        let binding = "running PreBind plugin \"VolumeBinding\": binding volumes: context deadline exceeded";
        assert_eq!(classify(binding, false), Unfit::ClaimUnbound);
    }

    #[test]
    fn a_taint_that_is_not_named_is_explained_by_the_nodes() {
        let message = "0/1 nodes are available: 1 node(s) had untolerated taint(s). no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
        assert_eq!((classify(message, true), classify(message, false)), (Unfit::Nodes, Unfit::Never));
        let named = message.replace("taint(s)", "taint {node.kubernetes.io/not-ready: }");
        assert_eq!(classify(&named, false), Unfit::Nodes);
        let full = message
            .replace("1 node(s) had untolerated taint(s)", "1 node(s) had untolerated taint(s), 1 Insufficient cpu");
        assert_eq!(classify(&full, true), Unfit::Never);
    }
}
