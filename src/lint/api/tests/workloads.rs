//! The rules for workloads and Jobs.

use super::{accepts, refuses};

const TEMPLATE: &str = "template: {metadata: {labels: {app: a}}, spec: {containers: [{name: a, image: b}]}}";
const JOB: &str = "{apiVersion: batch/v1, kind: Job, metadata: {name: a}, spec: {template: {spec: {restartPolicy: Never, \
                   containers: [{name: a, image: b}]}}, @}}";
const CRON_JOB: &str = "{apiVersion: batch/v1, kind: CronJob, metadata: {name: a}, spec: {@, jobTemplate: {spec: {template: \
                        {spec: {restartPolicy: Never, containers: [{name: a, image: b}]}}}}}}";

fn workload(kind: &str) -> String {
    let head = format!("{{apiVersion: apps/v1, kind: {kind}, metadata: {{name: a}}, ");
    head + "spec: {selector: {matchLabels: {app: a}}, " + TEMPLATE + ", @}}"
}

#[test]
fn a_selector_matches_its_own_template() {
    let deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {@}}";
    let with = |selector: &str| format!("{selector}{TEMPLATE}");
    refuses(
        deployment,
        &[
            (&with(""), "EV107", "spec: `selector`"),
            (&with("selector: {}, "), "EV107", "spec.selector"),
            (&with("selector: {matchLabels: {app: b}}, "), "EV116", "spec.selector"),
            (&with("selector: {matchExpressions: [{key: app, operator: DoesNotExist}]}, "), "EV116", "spec.selector"),
            ("selector: {matchLabels: {app: a}}", "EV107", "spec: `template`"),
            ("selector: {matchLabels: {app: a}}, template: {}", "EV107", "spec.template: `spec`"),
        ],
    );
    accepts(
        deployment,
        &[
            &with("selector: {matchLabels: {app: a}}, "),
            &with("selector: {matchExpressions: [{key: app, operator: In, values: [a, b]}]}, "),
        ],
    );
}

#[test]
fn pods_of_workloads_always_restart() {
    for kind in ["Deployment", "ReplicaSet", "DaemonSet", "StatefulSet"] {
        let manifest = workload(kind).replace("spec: {containers", "spec: {@, containers").replace(", @}}", "}}");
        refuses(
            &manifest,
            &[
                ("restartPolicy: Never", "EV108", "spec.template.spec.restartPolicy"),
                ("activeDeadlineSeconds: 1", "EV115", "spec.template.spec.activeDeadlineSeconds"),
                ("ephemeralContainers: [{name: e, image: b}]", "EV115", "spec.template.spec.ephemeralContainers"),
            ],
        );
        accepts(&manifest, &["restartPolicy: Always", "restartPolicy: ''"]);
    }
}

#[test]
fn rollouts_of_deployments_make_progress() {
    refuses(
        &workload("Deployment"),
        &[
            ("replicas: -1", "EV110", "spec.replicas"),
            ("revisionHistoryLimit: -1", "EV110", "spec.revisionHistoryLimit"),
            ("minReadySeconds: 600", "EV110", "spec.minReadySeconds"),
            ("progressDeadlineSeconds: 0", "EV110", "spec.progressDeadlineSeconds"),
            ("strategy: {type: always}", "EV108", "spec.strategy.type"),
            ("strategy: {type: Recreate, rollingUpdate: {}}", "EV115", "spec.strategy.rollingUpdate"),
            ("strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 0%}}", "EV110", "spec.strategy.rollingUpdate"),
            (
                "strategy: {rollingUpdate: {maxUnavailable: 101%}}",
                "EV110",
                "spec.strategy.rollingUpdate.maxUnavailable",
            ),
            ("strategy: {rollingUpdate: {maxSurge: '5'}}", "EV109", "spec.strategy.rollingUpdate.maxSurge"),
            ("strategy: {rollingUpdate: {maxSurge: -1}}", "EV110", "spec.strategy.rollingUpdate.maxSurge"),
        ],
    );
    accepts(
        &workload("Deployment"),
        &["strategy: {type: null, rollingUpdate: {maxSurge: 200%}}", "strategy: {type: Recreate}", "replicas: 0"],
    );
}

#[test]
fn daemon_sets_either_surge_or_take_pods_away() {
    refuses(
        &workload("DaemonSet"),
        &[
            ("updateStrategy: {rollingUpdate: {maxSurge: 1}}", "EV110", "spec.updateStrategy.rollingUpdate"),
            ("updateStrategy: {rollingUpdate: {maxUnavailable: 0}}", "EV110", "spec.updateStrategy.rollingUpdate"),
            ("updateStrategy: {type: Recreate}", "EV108", "spec.updateStrategy.type"),
        ],
    );
    accepts(
        &workload("DaemonSet"),
        &["updateStrategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}", "updateStrategy: {type: OnDelete}"],
    );
}

#[test]
fn stateful_sets_mount_the_claims_of_their_templates() {
    let set = workload("StatefulSet").replace("image: b}", "image: b, volumeMounts: [{name: data, mountPath: /d}]}");
    let claim = "volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: \
                 {requests: {storage: 1Gi}}}}]";
    accepts(&set, &[claim]);
    refuses(
        &set,
        &[
            ("", "EV117", "spec.template.spec.containers[0].volumeMounts[0].name"),
            (&claim.replace("accessModes: [ReadWriteOnce], ", ""), "EV107", "spec.volumeClaimTemplates[0].spec"),
            (&claim.replace("{name: data}", "{}"), "EV107", "spec.volumeClaimTemplates[0].metadata"),
        ],
    );
    refuses(
        &workload("StatefulSet"),
        &[
            ("serviceName: A", "EV111", "spec.serviceName"),
            ("podManagementPolicy: X", "EV108", "spec.podManagementPolicy"),
            (
                "updateStrategy: {rollingUpdate: {partition: -1}}",
                "EV110",
                "spec.updateStrategy.rollingUpdate.partition",
            ),
            ("updateStrategy: {type: OnDelete, rollingUpdate: {}}", "EV115", "spec.updateStrategy.rollingUpdate"),
            ("persistentVolumeClaimRetentionPolicy: {whenDeleted: X}", "EV108", "spec.persistentVolumeClaimRetention"),
            ("ordinals: {start: -1}", "EV110", "spec.ordinals.start"),
        ],
    );
    accepts(&workload("StatefulSet"), &["serviceName: a, podManagementPolicy: Parallel", "replicas: 0"]);
}

#[test]
fn a_replication_controller_selects_by_the_labels_of_its_template() {
    let controller =
        format!("{{apiVersion: v1, kind: ReplicationController, metadata: {{name: a}}, spec: {{@, {TEMPLATE}}}}}");
    refuses(
        &controller,
        &[("selector: {app: b}", "EV116", "spec.selector.app"), ("replicas: -1", "EV110", "spec.replicas")],
    );
    accepts(&controller, &["replicas: 1", "selector: {app: a}"]);
}

#[test]
fn jobs_have_counts_policies_and_no_selector_of_their_own() {
    refuses(
        JOB,
        &[
            ("backoffLimit: -1", "EV110", "spec.backoffLimit"),
            ("completionMode: X", "EV108", "spec.completionMode"),
            ("completionMode: Indexed, parallelism: 1", "EV107", "spec: `completions`"),
            ("backoffLimitPerIndex: 1", "EV115", "spec.backoffLimitPerIndex"),
            ("maxFailedIndexes: 1, completionMode: Indexed, completions: 2", "EV107", "spec: `backoffLimitPerIndex`"),
            ("selector: {matchLabels: {app: a}}", "EV116", "spec.selector"),
            ("manualSelector: true", "EV107", "spec: `selector`"),
            ("managedBy: me", "EV109", "spec.managedBy"),
            ("podReplacementPolicy: X", "EV108", "spec.podReplacementPolicy"),
            ("successPolicy: {rules: [{succeededCount: 1}]}", "EV115", "spec.successPolicy"),
            (
                "completionMode: Indexed, completions: 2, successPolicy: {rules: [{succeededIndexes: 0-2}]}",
                "EV109",
                "spec.successPolicy.rules[0].succeededIndexes",
            ),
        ],
    );
    accepts(
        JOB,
        &[
            "",
            "completionMode: Indexed",
            "completionMode: Indexed, completions: 2, successPolicy: {rules: [{succeededIndexes: 0-1, succeededCount: 1}]}",
            "completionMode: Indexed, completions: 2, backoffLimitPerIndex: 0, maxFailedIndexes: 1",
            "managedBy: example.com/me, ttlSecondsAfterFinished: 0",
        ],
    );
}

#[test]
fn failure_policies_of_jobs_have_one_condition_a_rule() {
    let policy = JOB.replace('@', "podFailurePolicy: {rules: [{@}]}");
    refuses(
        &policy,
        &[
            ("onExitCodes: {operator: In, values: [1]}", "EV107", "spec.podFailurePolicy.rules[0]: `action`"),
            ("action: FailIndex, onPodConditions: [{type: a}]", "EV119", "spec.podFailurePolicy.rules[0].action"),
            ("action: Count", "EV107", "spec.podFailurePolicy.rules[0]"),
            (
                "action: Count, onExitCodes: {operator: In, values: [0]}",
                "EV110",
                "spec.podFailurePolicy.rules[0].onExitCodes",
            ),
            (
                "action: Count, onExitCodes: {operator: In, values: [null, 1]}",
                "EV110",
                "spec.podFailurePolicy.rules[0].onExitCodes",
            ),
            ("action: Count, onExitCodes: {operator: In, values: [2, 1]}", "EV119", "spec.podFailurePolicy.rules[0]"),
            (
                "action: Count, onExitCodes: {containerName: z, operator: In, values: [1]}",
                "EV117",
                "spec.podFailurePolicy.rules[0].onExitCodes.containerName",
            ),
        ],
    );
    accepts(&policy, &["action: FailJob, onExitCodes: {containerName: a, operator: NotIn, values: [0, 1]}"]);
    accepts(&policy, &["action: Ignore, onPodConditions: [{type: DisruptionTarget}]"]);
}

#[test]
fn pods_of_jobs_end() {
    let job = "{apiVersion: batch/v1, kind: Job, metadata: {name: @}}, containers: [{name: a, image: b}]}}}}";
    let job = job
        .replace("@}}", "train}, spec: {template: {metadata: {labels: {@}}, spec: {restartPolicy: X")
        .replace("X}", "X");
    let always = job.replace('@', "").replace("restartPolicy: X", "@");
    refuses(
        &always,
        &[
            ("restartPolicy: Always", "EV108", "spec.template.spec.restartPolicy"),
            ("hostIPC: true", "EV107", "spec.template.spec: `restartPolicy`"),
            ("restartPolicy: null", "EV107", "spec.template.spec.restartPolicy"),
        ],
    );
    accepts(&always, &["restartPolicy: OnFailure", "restartPolicy: Never"]);
    let labelled = job.replace("restartPolicy: X", "restartPolicy: Never");
    refuses(&labelled, &[("job-name: other", "EV115", "spec.template.metadata.labels.job-name")]);
    accepts(&labelled, &["job-name: train, a: b"]);
}

#[test]
fn cron_jobs_have_a_schedule() {
    refuses(
        CRON_JOB,
        &[
            ("suspend: true", "EV107", "spec: `schedule`"),
            ("schedule: often", "EV109", "spec.schedule"),
            ("schedule: 'TZ=UTC 0 * * * *'", "EV115", "spec.schedule"),
            ("schedule: '@daily', timeZone: Mars/Base", "EV109", "spec.timeZone"),
            ("schedule: '@daily', concurrencyPolicy: X", "EV108", "spec.concurrencyPolicy"),
            ("schedule: '@daily', failedJobsHistoryLimit: -1", "EV110", "spec.failedJobsHistoryLimit"),
        ],
    );
    accepts(CRON_JOB, &["schedule: '*/5 * * * *', timeZone: Etc/UTC, concurrencyPolicy: ''"]);
    let long = CRON_JOB.replace("name: a}, spec", &format!("name: {}}}, spec", "x".repeat(53)));
    refuses(&long, &[("schedule: '@daily'", "EV111", "metadata.name")]);
    let selector = CRON_JOB.replace("jobTemplate: {spec: {", "jobTemplate: {spec: {selector: {}, ");
    refuses(&selector, &[("schedule: '@daily'", "EV115", "spec.jobTemplate.spec.selector")]);
}
