//! GitHub's own description of its REST API: whether a request is one that it has.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::node;
use super::rest_server::Seen;

/// A JSON file of a package of Octokit's, if the packages are there.
pub fn of_octokit(file: &str) -> Option<Value> {
    let path = node::clients()?.join("node_modules/@octokit").join(file);
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(serde_json::from_slice(&text).unwrap())
}

static DESCRIPTION: LazyLock<Option<Value>> = LazyLock::new(|| of_octokit("openapi/generated/api.github.com.json"));

/// The description, if it is there.
pub fn description() -> Option<&'static Value> {
    DESCRIPTION.as_ref()
}

/// A value, or what its `$ref` names.
pub fn resolved(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => description().unwrap().pointer(reference.strip_prefix('#').unwrap()).unwrap(),
        None => value,
    }
}

/// What the description has against a request. GraphQL has a description of its own.
pub fn complaint(request: &Seen) -> Option<String> {
    if description().is_none() || request.path == "/graphql" {
        return None;
    }
    check(request).err()
}

fn check(request: &Seen) -> Result<(), String> {
    let (template, operation) = operation(request).ok_or("no operation has this path and method")?;
    let parameters: Vec<_> = operation["parameters"].as_array().into_iter().flatten().map(resolved).collect();
    let find = |name: &str, place: &str| parameters.iter().find(|one| one["name"] == name && one["in"] == place);
    for (name, value) in placeholders(template, &request.path) {
        let parameter = find(&name, "path").ok_or(format!("no parameter {name}"))?;
        fits(&parameter["schema"], &typed(value)).map_err(|error| format!("{name}: {error}"))?;
    }
    for (name, value) in &request.query {
        let parameter = find(name, "query").ok_or(format!("no parameter {name}"))?;
        fits(&parameter["schema"], &typed(value)).map_err(|error| format!("{name}: {error}"))?;
    }
    let sent = |name: &Value| request.query.iter().any(|(sent, _)| name == sent.as_str());
    if let Some(missing) =
        parameters.iter().find(|one| one["in"] == "query" && one["required"] == true && !sent(&one["name"]))
    {
        return Err(format!("{} is missing", missing["name"]));
    }
    let schema = operation.pointer("/requestBody/content/application~1json/schema");
    match (schema, &request.body) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err("it has a body".to_owned()),
        (Some(_), None) if operation["requestBody"]["required"] != true => Ok(()),
        (Some(_), None) => Err("it has no body".to_owned()),
        (Some(schema), Some(body)) => {
            let known = |key: &&String| schema["properties"].get(key.as_str()).is_none();
            match body.as_object().unwrap().keys().find(known) {
                Some(unknown) => Err(format!("the body's {unknown} is unknown")),
                None => fits(resolved(schema), body),
            }
        }
    }
}

/// The operation of a request: the path with the most literal parts wins.
fn operation(request: &Seen) -> Option<(&'static str, &'static Value)> {
    let method = request.method.as_str().to_lowercase();
    let paths = description()?["paths"].as_object()?;
    let fitting = paths.iter().filter(|(template, operations)| {
        let (parts, own) = (template.split('/'), segments(template, &request.path));
        let same = |(part, own): (&str, &str)| match part {
            // The only one that has several segments: `heads/a/b`.
            "{ref}" => true,
            part => !own.contains('/') && (part.starts_with('{') || part == own),
        };
        parts.clone().count() == own.clone().count() && parts.zip(own).all(same) && !operations[&method].is_null()
    });
    let best = fitting.min_by_key(|(template, _)| template.matches('{').count());
    best.map(|(template, operations)| (template.as_str(), &operations[&method]))
}

/// A path's segments, as many as the template has: the rest is in the last.
fn segments<'a>(template: &str, path: &'a str) -> impl Iterator<Item = &'a str> + Clone {
    path.splitn(template.split('/').count(), '/')
}

fn placeholders<'a>(template: &'a str, path: &'a str) -> impl Iterator<Item = (String, &'a str)> {
    let pairs = template.split('/').zip(segments(template, path));
    pairs.filter_map(|(part, own)| Some((part.strip_prefix('{')?.strip_suffix('}')?.to_owned(), own)))
}

/// A text as the kind of value that it looks like: addresses have only texts.
fn typed(text: &str) -> Value {
    serde_json::from_str(text)
        .ok()
        .filter(|value: &Value| value.is_number() || value.is_boolean())
        .unwrap_or(json!(text))
}

fn fits(schema: &Value, value: &Value) -> Result<(), String> {
    // A text of digits is a text too, where one is asked for.
    let value = if schema["type"] == "string" && !value.is_string() { &json!(value.to_string()) } else { value };
    jsonschema::validate(schema, value).map_err(|error| error.to_string())
}

#[test]
fn what_github_does_not_describe_is_found_out() {
    if description().is_none() {
        return;
    }
    let request = |method: &str, path: &str, query: &[(&str, &str)], body: Option<Value>| Seen {
        method: method.parse().unwrap(),
        path: path.to_owned(),
        query: query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        body,
        authorized: true,
    };
    let comment = Some(json!({"body": "x"}));
    let comments = "/repos/o/r/issues/7/comments";
    for good in [
        request("GET", comments, &[("per_page", "100")], None),
        request("POST", comments, &[], comment.clone()),
        request("PATCH", "/repos/o/r/issues/comments/1", &[], comment.clone()),
    ] {
        assert_eq!(complaint(&good), None, "{good:?}");
    }
    for (bad, why) in [
        (request("GET", "/repos/o/r/nonsense", &[], None), "no operation"),
        (request("POST", "/repos/o/r/issues/comments/1", &[], comment.clone()), "no operation"),
        (request("GET", "/repos/o/r/issues/seven/comments", &[], None), "issue_number: "),
        (request("GET", comments, &[("pages", "2")], None), "no parameter pages"),
        (request("GET", comments, &[("per_page", "many")], None), "per_page: "),
        (request("GET", "/repos/o/r/pulls", &[("state", "merged")], None), "state: "),
        (request("GET", comments, &[], comment), "it has a body"),
        (request("POST", comments, &[], None), "it has no body"),
        (request("POST", comments, &[], Some(json!({"body": 1}))), "is not of type"),
        (request("POST", comments, &[], Some(json!({"body": "x", "text": "y"}))), "text is unknown"),
    ] {
        let complaint = complaint(&bad);
        assert!(complaint.as_ref().is_some_and(|complaint| complaint.contains(why)), "{bad:?}: {complaint:?}");
    }
}
