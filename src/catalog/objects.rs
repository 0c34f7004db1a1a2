//! From the documents of a file to its Kubernetes objects.

use std::sync::Arc;

use super::Object;
use crate::diagnostic::code;
use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::yaml::{self, Document, Entry, Node, Span, Value};

/// API groups of files that programs read from disk: an API server knows none of them.
const LOCAL_GROUPS: [&str; 16] = [
    "kustomize.config.k8s.io",
    "config.kubernetes.io",
    "kind.x-k8s.io",
    "kubeadm.k8s.io",
    "kubelet.config.k8s.io",
    "kubeproxy.config.k8s.io",
    "kubescheduler.config.k8s.io",
    "controller-runtime.sigs.k8s.io",
    "apiserver.config.k8s.io",
    "audit.k8s.io",
    "client.authentication.k8s.io",
    "eksctl.io",
    "k3d.io",
    "ctlptl.dev",
    "skaffold",
    "backstage.io",
];

/// Whether a document is meant for an API server: it says of which kind it is, or nearly so (one of `apiVersion` and
/// `kind` is lost, and the rest looks like an object). Helm values, CI files and the like do not.
#[must_use]
pub fn looks_like_an_object(root: &Node) -> bool {
    let has = |key: &str| root.get(key).is_some();
    let local = root.get("apiVersion").and_then(Node::as_str).is_some_and(|version| {
        let group = version.split('/').next().unwrap_or_default();
        LOCAL_GROUPS.contains(&group) || (version == "v1" && root.get("clusters").is_some() && has("contexts"))
    });
    let body = ["metadata", "spec", "data", "items", "rules"].into_iter().any(has);
    !local && ((has("apiVersion") && has("kind")) || ((has("apiVersion") || has("kind")) && body))
}

/// The objects of a text that is no example, such as what an operator's step brings; what can't be read is left out.
#[must_use]
pub fn objects_of(source: &Arc<Source>) -> Vec<Object> {
    objects(yaml::parse(&source.text).documents, source).0
}

/// The objects of a file in the order of the source, the items of lists in their place, and what is none (`EV104`).
#[must_use]
pub fn objects(documents: Vec<Document>, source: &Arc<Source>) -> (Vec<Object>, Vec<Diagnostic>) {
    let mut found = Vec::new();
    let mut diagnostics = Vec::new();
    for document in documents {
        add(document.root, None, source, &mut found, &mut diagnostics);
    }
    (found, diagnostics)
}

/// Adds an object, or what a list holds; `typed` is the version and kind that a typed list gives to its items.
fn add(
    root: Node,
    typed: Option<(&str, &str)>,
    source: &Arc<Source>,
    found: &mut Vec<Object>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let (api_version, kind) = match (word(&root, "apiVersion", typed), word(&root, "kind", typed)) {
        (Ok(api_version), Ok(kind)) => (api_version, kind),
        (api_version, kind) => {
            let wrong: Vec<_> = [api_version.err(), kind.err()].into_iter().flatten().collect();
            diagnostics.push(not_an_object(&root, &wrong, source));
            return;
        }
    };
    let item_kind = kind.strip_suffix("List").filter(|_| is_list(&root, &kind));
    let Some(item_kind) = item_kind else {
        let text = |key: &str| root.at(&["metadata", key]).and_then(Node::as_str).map(str::to_owned);
        let name = text("name").or_else(|| text("generateName")).unwrap_or_default();
        found.push(Object { namespace: text("namespace"), name, api_version, kind, root });
        return;
    };
    let typed = (!item_kind.is_empty()).then_some((api_version.as_str(), item_kind));
    for item in into_items(root) {
        add(item, typed, source, found, diagnostics);
    }
}

/// Whether this is a list of objects: its kind says so, and it has no `spec` of its own.
fn is_list(root: &Node, kind: &str) -> bool {
    kind == "List" || root.get("items").is_some_and(|items| items.as_seq().is_some() && root.get("spec").is_none())
}

fn into_items(root: Node) -> Vec<Node> {
    let Value::Map(mapping) = root.value else { return Vec::new() };
    mapping.get("items").map_or_else(Vec::new, |items| items.items().cloned().collect())
}

/// The value of `apiVersion` or `kind`, or what is wrong with it.
fn word(root: &Node, key: &'static str, typed: Option<(&str, &str)>) -> Result<String, String> {
    match root.get(key).map(|node| (node.as_str(), node.type_name())) {
        Some((Some(""), _)) => Err(format!("its `{key}` is empty")),
        Some((Some(text), _)) => Ok(text.to_owned()),
        Some((None, "null")) | None => match typed {
            Some((api_version, kind)) => Ok(if key == "kind" { kind } else { api_version }.to_owned()),
            None => Err(format!("it has no `{key}`")),
        },
        Some((None, other)) => Err(format!("its `{key}` is of type {other}, not a string")),
    }
}

fn not_an_object(root: &Node, wrong: &[String], source: &Arc<Source>) -> Diagnostic {
    let Some(mapping) = root.as_map() else {
        let message = format!("not a Kubernetes object: found {} {}", article(root.type_name()), root.type_name());
        return diagnostic(message, "expected a mapping with `apiVersion` and `kind`".to_owned(), source, root.span);
    };
    let misspelled = mapping.iter().find_map(|entry| {
        let meant = ["apiVersion", "kind"].into_iter().find(|key| {
            mapping.get(key).is_none()
                && strsim::damerau_levenshtein(&entry.key.to_lowercase(), &key.to_lowercase()) <= 2
        })?;
        Some((entry, meant))
    });
    let span = misspelled.map_or_else(|| first_line(root, mapping.iter().next()), |(entry, _)| entry.key_span);
    let help = misspelled.map_or_else(
        || "every object needs `apiVersion` and `kind`, like `apiVersion: batch/v1` and `kind: Job`".to_owned(),
        |(entry, meant)| format!("did you mean `{meant}` instead of `{}`?", entry.key),
    );
    diagnostic(format!("not a Kubernetes object: {}", wrong.join(", and ")), help, source, span)
}

/// A whole document is too much to underline: its first key stands for it.
fn first_line(root: &Node, first: Option<&Entry>) -> Span {
    first.map_or(root.span, |entry| entry.key_span)
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'i', 'o']) { "an" } else { "a" }
}

fn diagnostic(message: String, help: String, source: &Arc<Source>, span: Span) -> Diagnostic {
    Diagnostic { code: Some(code::NOT_AN_OBJECT), severity: Severity::Error, message, help: Some(help), location: None }
        .at(source, span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    fn read(text: &str) -> (Vec<String>, Vec<String>) {
        let source = Source::new("a.yaml", text);
        let (objects, diagnostics) = objects(parse(text).documents, &source);
        let names = objects.iter().map(|object| format!("{} {}", object.api_version, object.reference())).collect();
        let messages = diagnostics
            .iter()
            .map(|diagnostic| {
                let (_, line, column) = diagnostic.position().unwrap();
                format!("{line}:{column} {} ({})", diagnostic.message, diagnostic.help.as_deref().unwrap())
            })
            .collect();
        (names, messages)
    }

    #[test]
    fn lists_are_replaced_by_their_items() {
        let text = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n- apiVersion: v1\n  \
                    kind: ConfigMapList\n  items: [{metadata: {name: b}}, {metadata: {generateName: c-}}]\n---\n\
                    {apiVersion: v1, kind: Pod, metadata: {name: d, namespace: x}}\n";
        let (names, messages) = read(text);
        assert_eq!(names, ["v1 Pod/a", "v1 ConfigMap/b", "v1 ConfigMap/c-", "v1 Pod/d"]);
        assert_eq!(messages, [""; 0]);
        assert_eq!(read("{apiVersion: v1, kind: List, items: null}"), (vec![], vec![]));
    }

    #[test]
    fn a_custom_kind_that_merely_ends_in_list_is_no_list() {
        assert_eq!(read("{apiVersion: a.b/v1, kind: AllowList, spec: {items: []}}").0, ["a.b/v1 AllowList/"]);
    }

    #[test]
    fn what_is_no_object_is_told_with_what_it_lacks() {
        for (text, expected) in [
            ("metadata: {name: a}\nkind: Pod\n", "1:1 not a Kubernetes object: it has no `apiVersion` (every"),
            (
                "apiversion: v1\nkind: Pod\n",
                "1:1 not a Kubernetes object: it has no `apiVersion` (did you mean `apiVersion` instead",
            ),
            ("a: 1\nb: 2\n", "it has no `apiVersion`, and it has no `kind`"),
            ("apiVersion: 1\nkind: ''\n", "its `apiVersion` is of type integer, not a string, and its `kind` is empty"),
            ("- a\n", "1:1 not a Kubernetes object: found an array"),
            ("apiVersion: v1\nkind: List\nitems: [{metadata: {name: a}}]\n", "3:10 not a Kubernetes object"),
        ] {
            let (objects, messages) = read(text);
            assert!(
                objects.is_empty() && messages.len() == 1 && messages[0].contains(expected),
                "{text}: {messages:?}"
            );
        }
    }

    #[test]
    fn files_that_are_not_for_an_api_server_are_told_apart() {
        for (text, expected) in [
            ("{apiVersion: v1, kind: Pod}", true),
            ("{kind: Pod, metadata: {name: a}}", true),
            ("{apiVersoin: v1, kind: Pod, spec: {}}", true),
            ("{apiVersion: v2, name: chart, version: 1.0.0}", false),
            ("{apiVersion: kind.x-k8s.io/v1alpha4, kind: Cluster}", false),
            ("{apiVersion: v1, kind: Config, clusters: [], contexts: []}", false),
            ("{on: push, jobs: {}}", false),
            ("{image: {tag: a}, kind: Deployment}", false),
            ("[1, 2]", false),
        ] {
            assert_eq!(looks_like_an_object(&parse(text).documents[0].root), expected, "{text}");
        }
    }
}
