//! Pods that find no node, no volume, no sandbox, or are ended by something else than their containers.

use super::*;

fn pending(message: &str, spec: &str) -> String {
    pod(
        "batch/v1 Job/j",
        "j-1",
        spec,
        &format!(
            "phase: Pending, conditions: [{{type: PodScheduled, status: 'False', reason: Unschedulable, message: {}}}]",
            json!(message)
        ),
    )
    .replace("nodeName: node-1, ", "")
}

const FULL: &str = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.";

#[test]
fn what_no_node_offers_is_told_after_the_grace() {
    for (message, mention) in [
        (
            "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
            "nodeSelector",
        ),
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint {gpu: true}. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
            "tolerate",
        ),
        (
            "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
            "topology",
        ),
        (
            "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
            "affinity",
        ),
        (
            "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
            "hostPort",
        ),
    ] {
        let mut stage = job();
        stage.see(1.0, &pending(message, ""));
        stage.ends("failed scheduling Unschedulable @ 31", &[mention, "Pod/j-1"]);
    }
}

#[test]
fn ill_nodes_are_no_fault_of_the_example() {
    let mut stage = job();
    stage.see(1.0, &pending("0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.", ""));
    stage.ends("errored cluster Unschedulable @ 31", &["disk-pressure"]);
}

#[test]
fn room_that_other_cells_hold_is_waited_for_and_does_not_count() {
    let mut stage = job();
    stage.around(0.0, |around| around.others_hold_room = true);
    stage.see(1.0, &pending(FULL, ""));
    stage.until(2000.0);
    stage.is_open();
    stage.see(2000.0, &job_pod("Never", "Running", "restartCount: 0, state: {running: {}}"));
    stage.ends("timed-out timeout Timeout @ 2600", &[]);
}

#[test]
fn room_that_nobody_else_holds_any_more_is_waited_for_as_long_as_the_grace() {
    let mut stage = job();
    stage.around(0.0, |around| around.others_hold_room = true).see(1.0, &pending(FULL, ""));
    stage.around(100.0, |around| around.others_hold_room = false);
    stage.ends("failed scheduling Unschedulable @ 130", &["Insufficient cpu"]);
}

#[test]
fn a_pod_that_no_node_could_ever_take_is_not_waited_for_whoever_holds_room() {
    let mut stage = job();
    stage.around(0.0, |around| around.others_hold_room = true);
    stage.see(1.0, &pending("0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.", ""));
    stage.ends("failed scheduling Unschedulable @ 31", &[]);
}

#[test]
fn pods_of_a_job_wait_for_each_other_s_room() {
    let mut stage = job();
    let other = pod("batch/v1 Job/j", "j-2", "restartPolicy: Never", "phase: Running");
    stage.see(1.0, &other).see(1.0, &pending(FULL, ""));
    stage.until(200.0);
    stage.is_open();
    stage.see(201.0, &other.replace("Running", "Succeeded"));
    stage.ends("failed scheduling Unschedulable @ 201", &[]);
}

#[test]
fn a_claim_whose_storage_class_does_not_exist_is_told_with_it() {
    let mut stage = job();
    stage.see(0.1, "{kind: PersistentVolumeClaim, metadata: {name: data}, status: {phase: Pending}}");
    stage.warn(
        0.2,
        "PersistentVolumeClaim/data",
        "ProvisioningFailed",
        "storageclass.storage.k8s.io \"fast\" not found",
    );
    stage.see(
        1.0,
        &pending(
            "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found",
            "volumes: [{name: d, persistentVolumeClaim: {claimName: data}}]",
        ),
    );
    stage.ends("failed scheduling Unschedulable @ 61", &["`data`", "\"fast\" not found", "storage class"]);
}

/// A pod whose claim waits for it, and that the scheduler has a node for and says nothing of.
fn binding() -> String {
    pod("batch/v1 Job/j", "j-1", "volumes: [{name: d, persistentVolumeClaim: {claimName: data}}]", "phase: Pending")
        .replace("nodeName: node-1, ", "")
}

const REFUSED: &str = "failed to provision volume with StorageClass \"standard\": NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes";

#[test]
fn a_claim_that_waits_for_its_pod_and_gets_no_volume_is_told_after_its_grace() {
    let mut stage = job();
    stage.see(1.0, &binding());
    stage.warn(3.0, "PersistentVolumeClaim/data", "ProvisioningFailed", REFUSED);
    stage.warn(20.0, "PersistentVolumeClaim/data", "ProvisioningFailed", REFUSED);
    stage.ends("failed scheduling ProvisioningFailed @ 63", &["`data`", "ReadWriteOnce", "access mode", "Pod/j-1"]);
    let mut late = job();
    late.warn(1.0, "PersistentVolumeClaim/data", "ProvisioningFailed", REFUSED).see(3.0, &binding());
    late.ends("failed scheduling ProvisioningFailed @ 63", &["`data`"]);
    let mut slow = job();
    slow.see(1.0, &binding());
    slow.warn(3.0, "PersistentVolumeClaim/data", "ProvisioningFailed", "create process timeout after 120 seconds");
    slow.ends("errored cluster ProvisioningFailed @ 63", &["timeout"]);
}

#[test]
fn a_claim_that_gets_its_volume_after_all_is_forgotten() {
    for claim in ["status: {phase: Bound}", "status: {phase: Pending}"] {
        let mut stage = job();
        stage.see(1.0, &binding());
        stage.warn(3.0, "PersistentVolumeClaim/data", "ProvisioningFailed", REFUSED);
        let claim = format!("{{kind: PersistentVolumeClaim, metadata: {{name: data}}, {claim}}}");
        stage.see(30.0, &claim);
        if claim.contains("Pending") {
            stage.gone(31.0, &claim);
        }
        stage.until(70.0);
        stage.is_open();
        stage.see(71.0, &job_pod("Never", "Running", "restartCount: 0, state: {running: {}}"));
        stage.see(80.0, JOB_COMPLETE).ends("passed @ 80", &[]);
    }
}

#[test]
fn a_volume_that_could_not_be_bound_in_time_is_told_as_the_claim_s() {
    let mut stage = job();
    let message = "running PreBind plugin \"VolumeBinding\": binding volumes: context deadline exceeded";
    stage.see(1.0, &pending(message, "volumes: [{name: d, persistentVolumeClaim: {claimName: data}}]"));
    stage.ends("failed scheduling Unschedulable @ 61", &["`data`", "storage class"]);
}

#[test]
fn a_pod_held_by_gates_is_told_after_the_grace_of_suspension() {
    let mut stage = job();
    let gated = "phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: SchedulingGated, message: Scheduling is blocked due to non-empty scheduling gates}]";
    stage.see(
        1.0,
        &pod("batch/v1 Job/j", "j-1", "schedulingGates: [{name: a/b}]", gated).replace("nodeName: node-1, ", ""),
    );
    stage.ends("failed scheduling SchedulingGated @ 31", &["gates"]);
}

#[test]
fn a_missing_secret_in_a_volume_is_not_forgotten_for_a_time_out_that_follows_from_it() {
    let mut stage = job();
    stage.see(1.0, &job_pod("Never", "Pending", "restartCount: 0, state: {waiting: {reason: ContainerCreating}}"));
    stage.warn(2.0, "Pod/j-1", "FailedMount", "MountVolume.SetUp failed for volume \"v\" : secret \"tls\" not found");
    stage.warn(3.0, "Pod/j-1", "FailedMount", "Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[], failed to process volumes=[]: timed out waiting for the condition");
    stage.ends("failed runtime FailedMount @ 12", &["\"tls\" not found", "needs"]);
}

#[test]
fn a_mount_that_succeeds_after_a_while_is_forgotten() {
    let mut stage = job();
    stage.see(1.0, &job_pod("Never", "Pending", "restartCount: 0, state: {waiting: {reason: ContainerCreating}}"));
    stage.warn(
        2.0,
        "Pod/j-1",
        "FailedMount",
        "MountVolume.SetUp failed for volume \"v\" : configmap \"late\" not found",
    );
    stage.see(8.0, &job_pod("Never", "Running", "restartCount: 0, state: {running: {}}"));
    stage.see(60.0, JOB_COMPLETE).ends("passed @ 60", &[]);
}

#[test]
fn a_sandbox_that_the_network_does_not_give_is_the_cluster_s() {
    let mut stage = job();
    stage.see(1.0, &job_pod("Never", "Pending", "restartCount: 0, state: {waiting: {reason: ContainerCreating}}"));
    stage.warn(2.0, "Pod/j-1", "FailedCreatePodSandBox", "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox \"1\": plugin type=\"ptp\" failed (add): no addresses");
    stage.ends("errored cluster FailedCreatePodSandBox @ 122", &["network"]);
}

#[test]
fn evictions_are_the_cluster_s_unless_the_pod_passed_its_own_limit() {
    let own = "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ";
    let node = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 90Mi. Container main was using 1Gi, request is 0, has larger consumption of memory. ";
    for (message, verdict, mention) in
        [(own, "failed runtime Evicted @ 2", "10Mi"), (node, "errored cluster Evicted @ 2", "low on resource")]
    {
        let mut stage = job();
        let status = format!(
            "phase: Failed, reason: Evicted, message: {}, containerStatuses: [{{name: main, state: {{terminated: {{exitCode: 137, reason: Error}}}}}}]",
            json!(message)
        );
        stage.see(1.0, &pod("batch/v1 Job/j", "j-1", "restartPolicy: Never", &status)).see(2.0, JOB_FAILED);
        stage.ends(verdict, &[mention]);
    }
}

#[test]
fn a_preempted_pod_is_the_cluster_s() {
    let mut stage = job();
    let status = "phase: Failed, conditions: [{type: DisruptionTarget, status: 'True', reason: PreemptionByScheduler, message: 'default-scheduler: preempting to accommodate a higher priority pod'}], containerStatuses: [{name: main, state: {terminated: {exitCode: 143, reason: Error}}}]";
    stage.see(1.0, &pod("batch/v1 Job/j", "j-1", "restartPolicy: Never", status)).see(2.0, JOB_FAILED);
    stage.ends("errored cluster PreemptionByScheduler @ 2", &["higher priority"]);
}

#[test]
fn a_bare_pod_is_judged_by_its_own_end() {
    let spec = "restartPolicy: Never, containers: [{name: main}]";
    let mut stage = Stage::new(&["v1 Pod/p"]);
    stage.see(1.0, &pod("", "p", spec, "phase: Running, containerStatuses: [{name: main, state: {running: {}}}]"));
    stage.see(
        2.0,
        &pod(
            "",
            "p",
            spec,
            "phase: Failed, containerStatuses: [{name: main, state: {terminated: {exitCode: 3, reason: Error}}}]",
        ),
    );
    stage.ends("failed runtime Error @ 2", &["exit code 3", "Pod/p"]);
    let mut refused = Stage::new(&["v1 Pod/p"]);
    refused.see(1.0, &pod("", "p", spec, "phase: Failed, reason: OutOfcpu, message: 'Pod was rejected: Node didn''t have enough resource: cpu, requested: 500, used: 900, capacity: 1000'"));
    refused.ends("errored cluster OutOfcpu @ 1", &["enough resource"]);
    let mut late = Stage::new(&["v1 Pod/p"]);
    late.see(1.0, &pod("", "p", spec, "phase: Failed, reason: DeadlineExceeded, message: Pod was active on the node longer than the specified deadline"));
    late.ends("failed runtime DeadlineExceeded @ 1", &["deadline"]);
}

#[test]
fn a_bare_pod_that_restarts_always_has_to_stay_ready() {
    let spec = "restartPolicy: Always, containers: [{name: main}]";
    let ready = |restarts: u32, last: &str| {
        pod(
            "",
            "p",
            spec,
            &format!(
                "phase: Running, conditions: [{{type: Ready, status: 'True'}}], containerStatuses: [{{name: main, restartCount: {restarts}, state: {{running: {{}}}}{last}}}]"
            ),
        )
    };
    let mut stage = Stage::new(&["v1 Pod/p"]);
    stage.see(1.0, &ready(0, ""));
    stage.ends("passed @ 3", &[]);
    let last = ", lastState: {terminated: {exitCode: 1, reason: Error}}";
    let crashed = |restarts: u32| {
        pod(
            "",
            "p",
            spec,
            &format!(
                "phase: Running, conditions: [{{type: Ready, status: 'False'}}], containerStatuses: [{{name: main, restartCount: {restarts}, state: {{waiting: {{reason: CrashLoopBackOff}}}}{last}}}]"
            ),
        )
    };
    let mut loops = Stage::new(&["v1 Pod/p"]);
    loops.see(1.0, &ready(0, "")).see(2.0, &crashed(0)).see(3.0, &ready(1, last)).see(4.0, &crashed(1));
    loops.see(14.0, &ready(2, last)).see(15.0, &crashed(2)).see(35.0, &ready(3, last)).see(35.9, &crashed(3));
    loops.ends("failed runtime CrashLoopBackOff @ 35.9", &["3 times", "exit code 1"]);
}

#[test]
fn a_mount_that_was_late_is_forgotten_while_the_image_is_pulled_for_minutes() {
    let creating = "restartCount: 0, state: {waiting: {reason: ContainerCreating}}";
    let late = |stage: &mut Stage| {
        stage.see(1.0, &job_pod("Never", "Pending", creating));
        stage.warn(
            2.0,
            "Pod/j-1",
            "FailedMount",
            "MountVolume.SetUp failed for volume \"v\" : configmap \"c\" not found",
        );
    };
    let mut told = job();
    late(&mut told);
    told.event(9.0, "Normal", "Pod/j-1{main}", "Pulling", "Pulling image \"a:1\"");
    told.see(200.0, &job_pod("Never", "Running", "restartCount: 0, state: {running: {}}"));
    told.see(210.0, JOB_COMPLETE).ends("passed @ 210", &[]);
    let mut seen = job();
    late(&mut seen);
    let set_up = job_pod("Never", "Pending", creating)
        .replace("phase: Pending", "phase: Pending, conditions: [{type: PodReadyToStartContainers, status: 'True'}]");
    seen.see(9.0, &set_up);
    seen.see(210.0, JOB_COMPLETE).ends("passed @ 210", &[]);
}

#[test]
fn a_taint_that_the_scheduler_does_not_name_is_looked_up_on_the_nodes() {
    let message = "0/1 nodes are available: 1 node(s) had untolerated taint(s). preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
    for (taint, expected) in [
        ("node.kubernetes.io/not-ready", "errored cluster Unschedulable @ 31"),
        ("gpu", "failed scheduling Unschedulable @ 31"),
    ] {
        let mut stage = job();
        let node = format!(
            "{{kind: Node, metadata: {{name: node-1}}, spec: {{taints: [{{key: {taint}, effect: NoSchedule}}]}}, status: {{conditions: [{{type: Ready, status: 'True'}}]}}}}"
        );
        stage.see(0.0, &node).see(1.0, &pending(message, ""));
        stage.ends(expected, &["Pod/j-1"]);
    }
}
