//! What an API server fills in when an object of a built-in workload kind is created, and left out here
//! (`pkg/apis/*/v1/defaults.go`, and the strategies' `PrepareForCreate`).

use serde_json::{Value as Json, json};

use super::image::default_policy;
use super::object::{name, text, uid};
use crate::simulator::store::split_api_version;

/// Defaults of a workload's spec, as JSON pointers and values; in the order in which a server writes them.
type Defaults = &'static [(&'static str, &'static str)];

const JOB: Defaults = &[
    ("/backoffLimit", "6"),
    ("/completionMode", "\"NonIndexed\""),
    ("/suspend", "false"),
    ("/podReplacementPolicy", "\"TerminatingOrFailed\""),
    ("/manualSelector", "false"),
];
const CRON_JOB: Defaults = &[
    ("/concurrencyPolicy", "\"Allow\""),
    ("/suspend", "false"),
    ("/successfulJobsHistoryLimit", "3"),
    ("/failedJobsHistoryLimit", "1"),
];
const DEPLOYMENT: Defaults = &[
    ("/replicas", "1"),
    ("/strategy", r#"{"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}"#),
    ("/revisionHistoryLimit", "10"),
    ("/progressDeadlineSeconds", "600"),
];
const STATEFUL_SET: Defaults = &[
    ("/replicas", "1"),
    ("/podManagementPolicy", "\"OrderedReady\""),
    ("/updateStrategy", r#"{"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}"#),
    ("/revisionHistoryLimit", "10"),
];
const DAEMON_SET: Defaults = &[
    ("/updateStrategy", r#"{"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}"#),
    ("/revisionHistoryLimit", "10"),
];
const REPLICAS: Defaults = &[("/replicas", "1")];
const CLAIM: Defaults = &[("/storageClassName", "\"standard\""), ("/volumeMode", "\"Filesystem\"")];

/// By group and resource: the defaults, and where the pod template's spec is.
const KINDS: &[(&str, &str, Defaults, &str)] = &[
    ("batch", "jobs", JOB, "/spec/template/spec"),
    ("batch", "cronjobs", CRON_JOB, "/spec/jobTemplate/spec/template/spec"),
    ("apps", "deployments", DEPLOYMENT, "/spec/template/spec"),
    ("apps", "statefulsets", STATEFUL_SET, "/spec/template/spec"),
    ("apps", "daemonsets", DAEMON_SET, "/spec/template/spec"),
    ("apps", "replicasets", REPLICAS, "/spec/template/spec"),
    ("", "replicationcontrollers", REPLICAS, "/spec/template/spec"),
    ("", "persistentvolumeclaims", CLAIM, ""),
];

/// What a pod's spec has in any case.
const POD: Defaults = &[
    ("/restartPolicy", "\"Always\""),
    ("/terminationGracePeriodSeconds", "30"),
    ("/dnsPolicy", "\"ClusterFirst\""),
    ("/securityContext", "{}"),
    ("/schedulerName", "\"default-scheduler\""),
];

const WEBHOOK: Defaults = &[
    ("/failurePolicy", "\"Fail\""),
    ("/matchPolicy", "\"Equivalent\""),
    ("/namespaceSelector", "{}"),
    ("/objectSelector", "{}"),
    ("/timeoutSeconds", "10"),
];

/// Fills in what is missing in an object that has its uid. An object that is whole stays as it is.
pub fn complete(object: &mut Json) {
    let group = split_api_version(text(object, "/apiVersion")).0.to_owned();
    let plural = text(object, "/kind").to_lowercase() + "s";
    if plural.ends_with("webhookconfigurations") {
        complete_webhooks(object);
    }
    let Some((_, _, defaults, template)) = KINDS.iter().find(|known| known.0 == group && known.1 == plural) else {
        return;
    };
    if plural == "jobs" {
        complete_job(object);
    }
    fill(&mut object["spec"], defaults);
    if let Some(spec) = object.pointer_mut(template).filter(|_| !template.is_empty()) {
        complete_pod_spec(spec);
    }
    if plural == "persistentvolumeclaims" && object.pointer("/status/phase").is_none() {
        object["status"] = json!({"phase": "Pending"});
        object["metadata"]["finalizers"] = json!(["kubernetes.io/pvc-protection"]);
    }
}

fn complete_webhooks(configuration: &mut Json) {
    for webhook in configuration["webhooks"].as_array_mut().into_iter().flatten() {
        fill(webhook, WEBHOOK);
        if webhook["clientConfig"]["service"].is_object() {
            fill(&mut webhook["clientConfig"]["service"], &[("/port", "443")]);
        }
        for rule in webhook["rules"].as_array_mut().into_iter().flatten() {
            fill(rule, &[("/scope", "\"*\"")]);
        }
    }
}

fn fill(spec: &mut Json, defaults: Defaults) {
    for (pointer, value) in defaults {
        let field = pointer.trim_start_matches('/');
        if spec.get(field).is_none_or(Json::is_null) {
            spec[field] = serde_json::from_str(value).unwrap_or_default();
        }
    }
}

/// A Job's counts, selector and labels.
fn complete_job(job: &mut Json) {
    let spec = &job["spec"];
    let has = |field: &str| spec.get(field).is_some_and(|value| !value.is_null());
    let (completions, parallelism) = (has("completions"), has("parallelism"));
    if !completions && !parallelism {
        job["spec"]["completions"] = 1.into();
    }
    if !parallelism {
        job["spec"]["parallelism"] = 1.into();
    }
    if job.pointer("/spec/selector/matchLabels").is_some() || uid(job).is_empty() {
        return;
    }
    let (own, id) = (name(job).to_owned(), uid(job).to_owned());
    job["spec"]["selector"] = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": id}});
    for place in ["/metadata", "/spec/template/metadata"] {
        if job.pointer(place).is_none_or(Json::is_null) {
            job["spec"]["template"]["metadata"] = json!({});
        }
        if let Some(metadata) = job.pointer_mut(place) {
            for key in ["batch.kubernetes.io/controller-uid", "controller-uid"] {
                metadata["labels"][key] = id.clone().into();
            }
            for key in ["batch.kubernetes.io/job-name", "job-name"] {
                metadata["labels"][key] = own.clone().into();
            }
        }
    }
}

/// What is missing in a pod's spec.
pub fn complete_pod_spec(spec: &mut Json) {
    fill(spec, POD);
    for kind in ["initContainers", "containers"] {
        for container in spec.get_mut(kind).and_then(Json::as_array_mut).into_iter().flatten() {
            let policy = default_policy(text(container, "/image"));
            fill(
                container,
                &[
                    ("/resources", "{}"),
                    ("/terminationMessagePath", "\"/dev/termination-log\""),
                    ("/terminationMessagePolicy", "\"File\""),
                ],
            );
            if container.get("imagePullPolicy").is_none() {
                container["imagePullPolicy"] = policy.into();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_gets_its_selector_labels_and_counts() {
        let mut job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "ok", "uid": "u"},
            "spec": {"template": {"spec": {"containers": [{"name": "main", "image": "busybox"}]}}}});
        complete(&mut job);
        assert_eq!(job["spec"]["completions"], 1);
        assert_eq!(job["spec"]["backoffLimit"], 6);
        assert_eq!(job["spec"]["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"], "u");
        assert_eq!(job["spec"]["template"]["metadata"]["labels"]["job-name"], "ok");
        assert_eq!(job["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"], "Always");
        let once = job.clone();
        complete(&mut job);
        assert_eq!(job, once);
    }
}
