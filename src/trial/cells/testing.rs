//! Literal cells and nodes for the tests of this room.

use std::path::PathBuf;
use std::time::Duration;

use crate::catalog::{Example, ExampleKind, ExampleSettings, Object};
use crate::cluster::Node;
use crate::config::Resources;
use crate::diagnostic::Source;
use crate::model::{ExampleId, Expect, Tier};
use crate::quantity::Quantity;
use crate::yaml::{self, Node as Yaml};

/// A node with so many millicores, MiB and pods.
pub fn node(milli: i64, mebi: i64, pods: u64) -> Node {
    let cpu = Quantity::parse(&format!("{milli}m")).unwrap();
    Node { name: "node".to_owned(), cpu, memory: Quantity::from_units(mebi << 20), pods }
}

/// A manifest with the objects of `text`, all judged, and one retry.
pub fn example(id: &str, text: &str) -> Example {
    let field = |root: &Yaml, path: &[&str]| root.at(path).and_then(Yaml::as_str).unwrap_or_default().to_owned();
    let objects: Vec<Object> = yaml::parse(text)
        .documents
        .into_iter()
        .map(|document| Object {
            api_version: field(&document.root, &["apiVersion"]),
            kind: field(&document.root, &["kind"]),
            name: field(&document.root, &["metadata", "name"]),
            namespace: None,
            root: document.root,
        })
        .collect();
    Example {
        id: ExampleId::new(id),
        kind: ExampleKind::Manifest,
        path: PathBuf::from(id),
        source: Source::new(id, text),
        diagnostics: Vec::new(),
        framework: None,
        judged: (0..objects.len()).collect(),
        objects,
        settings: ExampleSettings {
            tier: Tier::Full,
            timeout: Duration::from_secs(600),
            retries: 1,
            expect: Expect::Succeeded,
            needs: Vec::new(),
            resources: Resources::default(),
            support: false,
            representative: false,
            quarantine: None,
            checks: Vec::new(),
            run: None,
        },
    }
}
