//! Examples made from literal YAML, for the tests of the rules.

use std::path::PathBuf;
use std::time::Duration;

use super::findings::Findings;
use crate::catalog::{Catalog, Example, ExampleKind, ExampleSettings, Object};
use crate::config::Resources;
use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::model::{ExampleId, Expect, Tier};
use crate::yaml::{Node, parse};

/// An example of the documents of `text`, with default settings.
pub(crate) fn example(id: &str, text: &str) -> Example {
    let objects = parse(text).documents.into_iter().map(|document| object(document.root)).collect();
    Example {
        id: ExampleId::new(id),
        kind: ExampleKind::Manifest,
        path: PathBuf::from(id),
        source: Source::new(id, text),
        objects,
        diagnostics: Vec::new(),
        framework: None,
        judged: Vec::new(),
        settings: ExampleSettings {
            tier: Tier::Full,
            timeout: Duration::from_secs(900),
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

/// The same, with other examples applied first.
pub(crate) fn example_with_needs(id: &str, text: &str, needs: &[&str]) -> Example {
    let mut example = example(id, text);
    example.settings.needs = needs.iter().map(|need| ExampleId::new(*need)).collect();
    example
}

/// A catalog of examples, ordered by id as catalogs are.
pub(crate) fn catalog(mut examples: Vec<Example>) -> Catalog {
    examples.sort_by(|one, other| one.id.cmp(&other.id));
    Catalog { examples, ..Catalog::default() }
}

/// Every YAML file below `folder` (relative to the crate's root) as an example; `None`, said aloud, if it is not there.
pub(crate) fn folder(folder: &str) -> Option<Catalog> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    if !root.exists() {
        println!("skipped: {folder} is not there");
        return None;
    }
    let files = ignore::Walk::new(&root)
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "yaml"));
    let examples = files
        .map(|entry| {
            let id = entry.path().strip_prefix(&root).unwrap().display().to_string();
            example(&id, &std::fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    Some(catalog(examples))
}

/// What `rule` finds in each object of an example.
pub(crate) fn diagnostics(example: &Example, mut rule: impl FnMut(&Object, &mut Findings<'_>)) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for object in &example.objects {
        let mut findings = Findings::new(&example.source, &object.root);
        rule(object, &mut findings);
        found.append(&mut findings.diagnostics);
    }
    found
}

/// The same, as one line a finding: `EV204 warning 7 spec...: message`.
pub(crate) fn lines(example: &Example, rule: impl FnMut(&Object, &mut Findings<'_>)) -> Vec<String> {
    diagnostics(example, rule).iter().map(line).collect()
}

/// A finding as `EV204 warning 7 spec...: message`; 7 is the line.
pub(crate) fn line(diagnostic: &Diagnostic) -> String {
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let line = diagnostic.position().map_or(0, |(_, line, _)| line);
    format!("{} {severity} {line} {}", diagnostic.code.unwrap_or("-"), diagnostic.message)
}

fn object(root: Node) -> Object {
    let text = |path: &[&str]| root.at(path).and_then(Node::as_str).unwrap_or_default().to_owned();
    let name = match text(&["metadata", "name"]) {
        name if name.is_empty() => text(&["metadata", "generateName"]),
        name => name,
    };
    Object {
        api_version: text(&["apiVersion"]),
        kind: text(&["kind"]),
        name,
        namespace: root.at(&["metadata", "namespace"]).and_then(Node::as_str).map(str::to_owned),
        root,
    }
}
