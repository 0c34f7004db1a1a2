//! Secrets that changed after the pods that mount them were started: the kubelet brings them into the pod only at its next sync, up to
//! two minutes later, unless the pod itself changes. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::trial::apply::request::text;

/// What Secrets held when they were last seen, by namespace and name.
#[derive(Debug, Default)]
pub(in super::super) struct Secrets {
    seen: BTreeMap<(String, String), Arc<Json>>,
    /// Those whose data changed, as they were then.
    changed: BTreeMap<(String, String), Arc<Json>>,
}

impl Secrets {
    /// Takes a Secret's state. True if its data is another than before: pods that were started before have the old one.
    pub(in super::super) fn changed(&mut self, secret: &Arc<Json>) -> bool {
        let key = (text(secret, "/metadata/namespace").to_owned(), text(secret, "/metadata/name").to_owned());
        let before = self.seen.insert(key.clone(), Arc::clone(secret));
        let is_changed = before.is_some_and(|before| data(&before) != data(secret));
        if is_changed {
            self.changed.insert(key, Arc::clone(secret));
        }
        is_changed
    }

    /// Those that a pod mounts, and that changed after it was as it is told here: each kind is watched for itself, and a pod may be told
    /// only after a Secret that changed later.
    pub(in super::super) fn changed_since(&self, pod: &Json) -> Vec<Arc<Json>> {
        let namespace = text(pod, "/metadata/namespace");
        let is_later = |secret: &Json| revision(pod).zip(revision(secret)).is_some_and(|(pod, secret)| pod < secret);
        let changed = self.changed.iter().filter(|((own, _), secret)| own == namespace && is_later(secret));
        changed.map(|(_, secret)| secret).filter(|secret| is_mounted(secret, pod)).cloned().collect()
    }
}

/// The API server's count of changes at which an object became what it is.
fn revision(object: &Json) -> Option<u64> {
    text(object, "/metadata/resourceVersion").parse().ok()
}

fn data(secret: &Json) -> Option<&serde_json::Map<String, Json>> {
    secret["data"].as_object().filter(|data| !data.is_empty())
}

/// Whether a pod has been started and has a Secret among its volumes.
pub(in super::super) fn is_mounted(secret: &Json, pod: &Json) -> bool {
    let name = text(secret, "/metadata/name");
    let volumes = || pod.pointer("/spec/volumes").and_then(Json::as_array).into_iter().flatten();
    let projected = volumes()
        .flat_map(|volume| volume.pointer("/projected/sources").and_then(Json::as_array).into_iter().flatten())
        .any(|source| text(source, "/secret/name") == name);
    let is_started = !text(pod, "/status/startTime").is_empty();
    let is_ending = pod.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null());
    let is_volume = volumes().any(|volume| text(volume, "/secret/secretName") == name);
    is_started && !is_ending && (projected || is_volume)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret(data: &Json) -> Arc<Json> {
        Arc::new(json!({"kind": "Secret", "metadata": {"name": "cert", "namespace": "a"}, "data": data}))
    }

    fn pod(volume: &Json, status: &Json) -> Json {
        json!({"metadata": {"name": "op-1"}, "spec": {"volumes": [{"name": "v"}, volume]}, "status": status})
    }

    #[test]
    fn a_secret_counts_once_for_each_change_of_its_data() {
        let mut secrets = Secrets::default();
        let seen = [
            json!({}),
            json!(null),
            json!({"tls.crt": "YQ=="}),
            json!({"tls.crt": "YQ=="}),
            json!({"tls.crt": "Yg=="}),
        ];
        let changed: Vec<_> = seen.iter().map(|data| secrets.changed(&secret(data))).collect();
        assert_eq!(changed, [false, false, true, false, true]);
    }

    #[test]
    fn a_pod_that_is_told_late_lacks_what_changed_after_it() {
        let at = |mut object: Json, revision: &str| {
            object["metadata"]["namespace"] = "a".into();
            object["metadata"]["resourceVersion"] = revision.into();
            object
        };
        let mut secrets = Secrets::default();
        for (data, revision) in [(json!({}), "9"), (json!({"tls.crt": "YQ=="}), "20")] {
            secrets.changed(&Arc::new(at((*secret(&data)).clone(), revision)));
        }
        let (volume, started) =
            (json!({"secret": {"secretName": "cert"}}), json!({"startTime": "2026-01-01T00:00:00Z"}));
        let lacks = |revision: &str| secrets.changed_since(&at(pod(&volume, &started), revision)).len();
        assert_eq!((lacks("8"), lacks("19"), lacks("21"), lacks("x")), (1, 1, 0, 0));
        assert!(secrets.changed_since(&at(pod(&volume, &json!({})), "19")).is_empty(), "it is not started");
    }

    #[test]
    fn pods_that_were_started_and_mount_it_are_meant() {
        let (cert, started) = (secret(&json!({})), json!({"startTime": "2026-01-01T00:00:00Z"}));
        let volume = json!({"secret": {"secretName": "cert"}});
        assert!(is_mounted(&cert, &pod(&volume, &started)));
        assert!(is_mounted(&cert, &pod(&json!({"projected": {"sources": [{"secret": {"name": "cert"}}]}}), &started)));
        assert!(!is_mounted(&cert, &pod(&volume, &json!({}))));
        assert!(!is_mounted(&cert, &pod(&json!({"secret": {"secretName": "other"}}), &started)));
    }
}
