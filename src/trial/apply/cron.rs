//! Starting CronJobs by hand. Their time may come at night, or never while an attempt lasts; what an example of one shows is right if what
//! it starts is. The CronJob's own controller takes note of the Job's success.

use k8s_openapi::api::batch::v1::Job;
use kube::api::ApiResource;
use serde_json::{Value as Json, json};

use super::request::{Objects, text};
use super::{AppliedObject, Target, created};

/// What `kubectl create job --from=cronjob/NAME` writes on the Job.
const MANUAL: &str = "cronjob.kubernetes.io/instantiate";

/// Whether it is a CronJob that its author does not hold back.
#[must_use]
pub fn is_startable(made: &AppliedObject) -> bool {
    let is_cron_job = made.resource.group == "batch" && made.resource.kind == "CronJob";
    is_cron_job && made.object.pointer("/spec/suspend").and_then(Json::as_bool) != Some(true)
}

/// Makes the Job of a CronJob.
///
/// # Errors
/// The API server's last answer, if it refuses the Job or could not be brought to answer.
pub async fn start(target: &Target, cron: &AppliedObject) -> Result<(), kube::Error> {
    let resource = ApiResource::erase::<Job>(&());
    let jobs = Objects::new(&target.client, &resource, Some(text(&cron.object, "/metadata/namespace")));
    let job = job_of(&cron.object);
    created(&jobs, text(&job, "/metadata/name"), &job, target.limits).await.map(drop)
}

/// The Job, as kubectl makes it (`pkg/cmd/create/create_job.go`).
fn job_of(cron: &Json) -> Json {
    let template = &cron["spec"]["jobTemplate"];
    let mut annotations = template["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    annotations.insert(MANUAL.to_owned(), "manual".into());
    let mut metadata = json!({
        // A CronJob's name has at most 52 characters, a Job's 63.
        "name": format!("{}-by-hand", text(cron, "/metadata/name")),
        "namespace": text(cron, "/metadata/namespace"),
        "annotations": annotations,
        "ownerReferences": [{
            "apiVersion": text(cron, "/apiVersion"),
            "kind": "CronJob",
            "name": text(cron, "/metadata/name"),
            "uid": text(cron, "/metadata/uid"),
            "controller": true,
        }],
    });
    if let Some(labels) = template["metadata"].get("labels").filter(|labels| labels.is_object()) {
        metadata["labels"] = labels.clone();
    }
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    #[test]
    fn the_job_of_a_cron_job_is_the_one_that_kubectl_makes() {
        let text = "
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: ev-a, uid: u-1, labels: {app: x}}
spec:
  schedule: 0 3 * * *
  jobTemplate:
    metadata: {labels: {job: y}, annotations: {note: z}}
    spec: {backoffLimit: 1, template: {spec: {restartPolicy: Never}}}
";
        let expected = "
apiVersion: batch/v1
kind: Job
metadata:
  name: nightly-by-hand
  namespace: ev-a
  labels: {job: y}
  annotations: {note: z, cronjob.kubernetes.io/instantiate: manual}
  ownerReferences: [{apiVersion: batch/v1, kind: CronJob, name: nightly, uid: u-1, controller: true}]
spec: {backoffLimit: 1, template: {spec: {restartPolicy: Never}}}
";
        let json = |text: &str| yaml::parse(text).documents[0].root.to_json();
        assert_eq!(job_of(&json(text)), json(expected));
        let bare = job_of(&json("{apiVersion: batch/v1, metadata: {name: a}, spec: {jobTemplate: {spec: {}}}}"));
        assert_eq!(bare["metadata"].get("labels"), None, "a map that is null is refused");
    }
}
