//! Whether webhooks answer: a Deployment that is available and endpoints that are ready are not enough, since the server may not
//! have its certificate yet. An object that they guard is created as a dry run; only `failed calling webhook` says no.

use futures::future::join_all;
use kube::Client;
use kube::api::ApiResource;
use serde_json::{Map, Value as Json, json};

use super::webhooks::{is_needed, service, webhooks};
use crate::trial::apply::answer::{Blame, Meaning, meaning};
use crate::trial::apply::request::{Objects, text};

/// The name and the namespace of what is never kept.
const NAME: &str = "example-validator-probe";
const NAMESPACE: &str = "default";
/// How deep a sample goes: schemas may contain themselves.
const DEPTH: usize = 24;

/// What a webhook guards.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Guarded {
    webhook: String,
    group: String,
    version: String,
    plural: String,
}

/// Asks every webhook of these configurations that guards the creation of a custom resource.
///
/// # Errors
/// The webhook that can't be called, and what the API server says of it.
pub(in super::super) async fn ask(client: &Client, configurations: &[&Json]) -> Result<(), String> {
    let guarded = configurations.iter().flat_map(|configuration| guarded(configuration));
    let answers = join_all(guarded.map(|guarded| one(client, guarded))).await;
    answers.into_iter().collect()
}

async fn one(client: &Client, guarded: Guarded) -> Result<(), String> {
    let definitions = ApiResource {
        group: "apiextensions.k8s.io".to_owned(),
        version: "v1".to_owned(),
        api_version: "apiextensions.k8s.io/v1".to_owned(),
        kind: "CustomResourceDefinition".to_owned(),
        plural: "customresourcedefinitions".to_owned(),
    };
    let name = format!("{}.{}", guarded.plural, guarded.group);
    // Without a definition, or where it can't be read, there is nothing to ask with.
    let Ok(definition) = Objects::new(client, &definitions, None).get(&name).await else { return Ok(()) };
    let Some((resource, namespaced, object)) = sample(&definition, &guarded.version) else { return Ok(()) };
    let objects = Objects::new(client, &resource, namespaced.then_some(NAMESPACE));
    match objects.dry_run(&object).await {
        Err(error) if meaning(&error) == Meaning::Transient(Blame::Operator) => {
            Err(format!("webhook {} does not answer: {error}", guarded.webhook))
        }
        // Any other answer came after the webhook, or from where it is not asked.
        _ => Ok(()),
    }
}

/// What the webhooks of a configuration guard that stop what they can't be asked about: the first resource of each.
fn guarded(configuration: &Json) -> Vec<Guarded> {
    let fails = |webhook: &&Json| is_needed(webhook) && service(webhook).is_some();
    let found = webhooks(configuration).filter(fails).filter_map(|webhook| {
        let rules = webhook["rules"].as_array()?;
        rules.iter().find_map(|rule| {
            let creates = texts(rule, "operations").any(|operation| ["CREATE", "*"].contains(&operation));
            let group = texts(rule, "apiGroups").find(|group| !["", "*"].contains(group))?;
            let plural = texts(rule, "resources").find(|plural| !plural.contains(['*', '/']))?;
            let version = texts(rule, "apiVersions").next().unwrap_or("*");
            creates.then(|| Guarded {
                webhook: text(webhook, "/name").to_owned(),
                group: group.to_owned(),
                version: version.to_owned(),
                plural: plural.to_owned(),
            })
        })
    });
    found.collect()
}

fn texts<'a>(rule: &'a Json, key: &str) -> impl Iterator<Item = &'a str> {
    rule[key].as_array().into_iter().flatten().filter_map(Json::as_str)
}

/// The smallest object of a definition's kind that its schema lets pass, as far as that can be told: without it a validating webhook
/// is not even asked.
fn sample(definition: &Json, version: &str) -> Option<(ApiResource, bool, Json)> {
    let (group, kind) = (text(definition, "/spec/group"), text(definition, "/spec/names/kind"));
    let served = definition.pointer("/spec/versions")?.as_array()?.iter().filter(|version| version["served"] == true);
    let chosen = served.into_iter().find(|served| version == "*" || text(served, "/name") == version)?;
    let api_version = format!("{group}/{}", text(chosen, "/name"));
    let mut object = chosen.pointer("/schema/openAPIV3Schema").map_or_else(|| json!({}), |schema| smallest(schema, 0));
    object["apiVersion"] = json!(api_version);
    object["kind"] = json!(kind);
    object["metadata"] = json!({"name": NAME});
    let resource = ApiResource {
        group: group.to_owned(),
        version: text(chosen, "/name").to_owned(),
        api_version,
        kind: kind.to_owned(),
        plural: text(definition, "/spec/names/plural").to_owned(),
    };
    Some((resource, text(definition, "/spec/scope") == "Namespaced", object))
}

/// The smallest value that a schema takes.
fn smallest(schema: &Json, depth: usize) -> Json {
    if let Some(default) = schema.get("default") {
        return default.clone();
    }
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    if schema["x-kubernetes-int-or-string"] == true {
        return json!(1);
    }
    let number = |key: &str| schema[key].as_i64();
    match text(schema, "/type") {
        "string" if text(schema, "/format") == "date-time" => json!("2026-01-01T00:00:00Z"),
        "string" => {
            let length = number("minLength").and_then(|length| usize::try_from(length).ok()).unwrap_or(1);
            json!("x".repeat(length.clamp(1, 256)))
        }
        "integer" | "number" => json!(number("minimum").unwrap_or(1).min(number("maximum").unwrap_or(i64::MAX))),
        "boolean" => json!(false),
        "array" => {
            let count = number("minItems").and_then(|count| usize::try_from(count).ok()).unwrap_or(0).min(16);
            let item = if count > 0 && depth < DEPTH { smallest(&schema["items"], depth + 1) } else { json!({}) };
            json!(vec![item; count])
        }
        _ => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str);
            let field = |name: &str| (name.to_owned(), smallest(&schema["properties"][name], depth + 1));
            let fields: Map<_, _> = if depth < DEPTH { required.map(field).collect() } else { Map::new() };
            Json::Object(fields)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_resource_that_stops_for_a_webhook_is_asked_with() {
        let webhook = |policy: &str, operation: &str, group: &str, resource: &str| {
            json!({"name": format!("{group}-{resource}"), "failurePolicy": policy,
                "clientConfig": {"service": {"name": "a", "namespace": "b"}},
                "rules": [{"operations": [operation], "apiGroups": [group], "apiVersions": ["v1"], "resources": [resource]}]})
        };
        let configuration = json!({"webhooks": [
            webhook("Ignore", "CREATE", "k.org", "as"),
            webhook("Fail", "UPDATE", "k.org", "bs"),
            webhook("Fail", "CREATE", "", "pods"),
            webhook("Fail", "CREATE", "k.org", "*"),
            webhook("Fail", "*", "k.org", "cs"),
        ]});
        let found: Vec<_> = guarded(&configuration).into_iter().map(|guarded| guarded.webhook).collect();
        assert_eq!(found, ["k.org-cs"]);
    }

    #[test]
    fn a_sample_has_what_the_schema_requires_and_no_more() {
        let schema = json!({"type": "object", "required": ["spec"], "properties": {"spec": {"type": "object",
            "required": ["replicas", "mode", "name", "at", "list", "any"], "properties": {
                "replicas": {"type": "integer", "minimum": 2}, "mode": {"enum": ["A", "B"]},
                "name": {"type": "string", "minLength": 3}, "at": {"type": "string", "format": "date-time"},
                "list": {"type": "array", "minItems": 1, "items": {"type": "string"}},
                "any": {"x-kubernetes-int-or-string": true}, "more": {"type": "string"}}}}});
        let definition = json!({"spec": {"group": "k.org", "scope": "Namespaced", "names": {"kind": "A", "plural": "as"},
            "versions": [{"name": "v1", "served": false}, {"name": "v2", "served": true, "schema": {"openAPIV3Schema": schema}}]}});
        let (resource, namespaced, object) = sample(&definition, "*").unwrap();
        assert_eq!((resource.api_version.as_str(), resource.plural.as_str(), namespaced), ("k.org/v2", "as", true));
        let expected =
            json!({"replicas": 2, "mode": "A", "name": "xxx", "at": "2026-01-01T00:00:00Z", "list": ["x"], "any": 1});
        assert_eq!(object["spec"], expected);
        assert_eq!(sample(&definition, "v1"), None);
    }
}
