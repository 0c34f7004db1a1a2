//! From a field path of an API server's answer to its place in the manifest. Pure.
//!
//! The paths come in the dialects of field validation (`spec.containers[0].image`, `spec.pytorchReplicaSpecs[Master].replicas`,
//! `metadata.annotations[example.com/x]`), of structured merge diff (`.spec.containers[name="a"].image`), and of Go's JSON decoder
//! (`Container.spec.containers.env.value`, without indices).

use crate::yaml::{Node, Span};

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// A key, or the name of a type at the start of one of Go's paths.
    Key(String),
    /// `[0]`, `[Master]`: an index, or a key.
    Bracket(String),
    /// `[name="a"]`: the item with that value, by several keys if need be.
    Item(Vec<(String, String)>),
}

/// The place of `path` below `root`: of its last step, or of the nearest one that is there (a field that is required has no
/// place of its own). `None` if not even its first step is there.
#[must_use]
pub fn locate(root: &Node, path: &str) -> Option<Span> {
    let steps = steps(path);
    let mut found = None;
    let mut node = root;
    let mut rest = steps.as_slice();
    while !rest.is_empty() {
        let Some((span, next, taken)) = descend(node, rest) else {
            // Go's decoder leaves out indices, and starts with a type.
            let go = found.is_none() && rest.len() > 1 && matches!(&rest[0], Step::Key(_));
            if go && descend(node, &rest[1..]).is_some() {
                rest = &rest[1..];
                continue;
            }
            break;
        };
        found = Some(span);
        node = next;
        rest = &rest[taken..];
    }
    found
}

/// One step down: the place to show, the node, and how many steps it took (a key with dots takes several).
fn descend<'a>(node: &'a Node, steps: &[Step]) -> Option<(Span, &'a Node, usize)> {
    match (&steps[0], node.as_seq()) {
        (Step::Bracket(index), Some(items)) => {
            let item = items.get(index.parse::<usize>().ok()?)?;
            Some((start(item), item, 1))
        }
        (Step::Item(wanted), Some(items)) => {
            let fits = |item: &&Node| wanted.iter().all(|(key, value)| scalar(item.get(key)) == Some(value.clone()));
            let item = items.iter().find(fits)?;
            Some((start(item), item, 1))
        }
        (Step::Key(_), Some(items)) => items.iter().find_map(|item| descend(item, steps)),
        (Step::Key(_) | Step::Bracket(_), None) => {
            // The longest key first: `metadata.labels.app.kubernetes.io/name` has dots in its last one.
            let keys: Vec<&str> = steps
                .iter()
                .map_while(|step| match step {
                    Step::Key(key) | Step::Bracket(key) => Some(key.as_str()),
                    Step::Item(_) => None,
                })
                .collect();
            (1..=keys.len()).rev().find_map(|taken| {
                let entry = node.entry(&keys[..taken].join("."))?;
                Some((entry.key_span, &entry.value, taken))
            })
        }
        (Step::Item(_), None) => None,
    }
}

/// Where an item begins: its first key stands for a mapping.
fn start(item: &Node) -> Span {
    item.entries().next().map_or(item.span, |entry| entry.key_span)
}

fn scalar(node: Option<&Node>) -> Option<String> {
    match node?.to_json() {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => None,
        other => Some(other.to_string()),
    }
}

fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('[') {
            let end = bracket_end(tail);
            steps.push(bracket(&tail[..end]));
            rest = tail.get(end + 1..).unwrap_or_default();
        } else if let Some(tail) = rest.strip_prefix('.') {
            rest = tail;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            steps.push(Step::Key(rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }
    steps
}

/// The offset of the bracket that closes; those inside of quotes don't.
fn bracket_end(text: &str) -> usize {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ']' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

fn bracket(inside: &str) -> Step {
    let plain = |text: &str| text.trim_matches(['"', '\'']).to_owned();
    let pairs: Option<Vec<_>> = inside
        .split(',')
        .map(|pair| {
            pair.split_once('=')
                .filter(|(key, _)| !key.is_empty())
                .map(|(key, value)| (key.trim().to_owned(), plain(value)))
        })
        .collect();
    match pairs {
        Some(pairs) if !inside.starts_with(['"', '\'']) => Step::Item(pairs),
        _ => Step::Bracket(plain(inside)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Source;
    use crate::yaml::parse;

    const TEXT: &str = "kind: PyTorchJob
metadata:
  name: a
  labels:
    app.kubernetes.io/name: x
spec:
  pytorchReplicaSpecs:
    Master:
      replicas: 2
      template:
        spec:
          containers:
          - name: a
            image: x
          - name: b
            env:
            - {name: K, value: [1]}
            ports:
            - containerPort: 80
              protocol: TCP
";

    fn line(path: &str) -> Option<u32> {
        let root = &parse(TEXT).documents[0].root;
        locate(root, path).map(|span| Source::new("a.yaml", TEXT).position(span.start).0)
    }

    #[test]
    fn field_validation_paths_are_found() {
        assert_eq!(line("spec.pytorchReplicaSpecs[Master].replicas"), Some(9));
        assert_eq!(line("spec.pytorchReplicaSpecs.Master.template.spec.containers[0].image"), Some(14));
        assert_eq!(line("metadata.labels[app.kubernetes.io/name]"), Some(5));
        assert_eq!(line("metadata.labels.app.kubernetes.io/name"), Some(5));
    }

    #[test]
    fn a_missing_field_is_shown_where_it_would_be() {
        assert_eq!(line("spec.pytorchReplicaSpecs[Master].template.spec.containers[1].image"), Some(15));
        assert_eq!(line("spec.pytorchReplicaSpecs[Chief]"), Some(7));
        assert_eq!(line("<nil>"), None);
        assert_eq!(line("status.x"), None);
    }

    #[test]
    fn merge_paths_find_items_by_their_keys() {
        assert_eq!(line(".spec.pytorchReplicaSpecs.Master.template.spec.containers[name=\"b\"].env"), Some(16));
        let port = ".spec.pytorchReplicaSpecs.Master.template.spec.containers[name=\"b\"].ports[containerPort=80,protocol=\"TCP\"]";
        assert_eq!(line(port), Some(19));
    }

    #[test]
    fn paths_of_the_decoder_have_a_type_and_no_indices() {
        assert_eq!(line("EnvVar.spec.pytorchReplicaSpecs.Master.template.spec.containers.env.value"), Some(17));
    }
}
