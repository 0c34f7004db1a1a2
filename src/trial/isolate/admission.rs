//! What an example brings to admission: it must not hold up, or change, what other examples apply at the same time.

use serde_json::{Map, Value as Json, json};

use crate::catalog::Object;

/// The group of webhooks and policies.
const GROUP: &str = "admissionregistration.k8s.io";
/// The label by which a namespace is selected by its name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Narrows the webhooks of a configuration, or a policy's binding, to objects of `namespace`; says whether it did. What is selected
/// besides stays: labels that are asked for all have to be there.
pub(super) fn confine(object: &Object, json: &mut Json, namespace: &str) -> bool {
    if object.group() != GROUP {
        return false;
    }
    match object.kind.as_str() {
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => {
            let webhooks = json.get_mut("webhooks").and_then(Json::as_array_mut).into_iter().flatten();
            webhooks.map(|webhook| narrow(webhook, namespace)).fold(false, |any, one| any | one)
        }
        "ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding" => {
            let Some(spec) = json.get_mut("spec").and_then(Json::as_object_mut) else { return false };
            let resources = spec.entry("matchResources").or_insert_with(|| json!({}));
            if resources.is_null() {
                *resources = json!({});
            }
            narrow(resources, namespace)
        }
        _ => false,
    }
}

/// Asks for the namespace's name in `namespaceSelector`; what is no mapping is for the API server to refuse.
fn narrow(holder: &mut Json, namespace: &str) -> bool {
    let child = |parent: &mut Map<String, Json>, key: &str| {
        let value = parent.entry(key.to_owned()).or_insert(Json::Null);
        if value.is_null() {
            *value = json!({});
        }
    };
    let Some(fields) = holder.as_object_mut() else { return false };
    child(fields, "namespaceSelector");
    let Some(selector) = fields.get_mut("namespaceSelector").and_then(Json::as_object_mut) else { return false };
    child(selector, "matchLabels");
    let Some(labels) = selector.get_mut("matchLabels").and_then(Json::as_object_mut) else { return false };
    if labels.contains_key(NAME_LABEL) {
        return false;
    }
    labels.insert(NAME_LABEL.to_owned(), Json::from(namespace));
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::isolate::tests::example;

    fn confined(text: &str) -> (bool, Json) {
        let example = example("a.yaml", text);
        let mut json = example.objects[0].root.to_json();
        (confine(&example.objects[0], &mut json, "ev-a"), json)
    }

    #[test]
    fn a_webhook_sees_the_attempt_s_namespace_alone() {
        let (done, json) = confined(
            "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {name: w}\nwebhooks:\n\
             - {name: a.b.c}\n- {name: d.e.f, namespaceSelector: {matchLabels: {team: x}}}\n",
        );
        assert!(done);
        assert_eq!(json["webhooks"][0]["namespaceSelector"], json!({"matchLabels": {NAME_LABEL: "ev-a"}}));
        assert_eq!(json["webhooks"][1]["namespaceSelector"], json!({"matchLabels": {"team": "x", NAME_LABEL: "ev-a"}}));
    }

    #[test]
    fn a_policy_s_binding_holds_in_the_attempt_s_namespace_alone() {
        let (done, json) = confined(
            "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {name: b}\n\
             spec: {policyName: p}\n",
        );
        assert!(done);
        assert_eq!(json["spec"]["matchResources"], json!({"namespaceSelector": {"matchLabels": {NAME_LABEL: "ev-a"}}}));
    }

    #[test]
    fn other_objects_and_what_names_a_namespace_itself_stay() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\nwebhooks: [{name: a}]\n";
        assert!(!confined(text).0);
        let named = format!(
            "apiVersion: {GROUP}/v1\nkind: MutatingWebhookConfiguration\nmetadata: {{name: w}}\nwebhooks:\n\
             - {{name: a.b.c, namespaceSelector: {{matchLabels: {{{NAME_LABEL}: other}}}}}}\n"
        );
        assert!(!confined(&named).0);
    }
}
