//! What the documents show is what the program takes: configs in fenced blocks are valid, workflows name inputs that exist, links lead
//! somewhere.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::path::{Path, PathBuf};

use example_validator::diagnostic::Source;
use example_validator::yaml::{self, Node};
use example_validator::{config, settings};

const PAGES: [&str; 5] = ["README.md", "SECURITY.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "CHANGELOG.md"];

/// The documents, with their texts.
fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let pages = PAGES.into_iter().map(|page| root.join(page)).chain(docs);
    pages.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The texts of the fenced YAML blocks, with their documents' names.
fn blocks() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (path, text) in documents() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut rest = text.as_str();
        while let Some((block, after)) = rest.split_once("```yaml\n").and_then(|(_, after)| after.split_once("```")) {
            found.push((name.clone(), block.to_owned()));
            rest = after;
        }
    }
    found
}

#[test]
fn every_config_in_the_documents_is_valid() {
    let configs: Vec<_> =
        blocks().into_iter().filter(|(_, text)| text.lines().any(|line| line == "version: 1")).collect();
    assert!(configs.len() >= 6, "{}", configs.len());
    for (name, text) in configs {
        if let Err(error) = config::load(&Source::new(&name, &text)) {
            panic!("{name}: {error:?}\n{text}");
        }
    }
}

/// Every step that uses this action, with the inputs that it gives.
fn uses<'a>(node: &'a Node, found: &mut Vec<&'a Node>) {
    if node.get("uses").and_then(|uses| uses.as_str()).is_some_and(|uses| uses.starts_with("org/example-validator@")) {
        found.push(node);
    }
    for child in node.entries().map(|entry| &entry.value).chain(node.items()) {
        uses(child, found);
    }
}

#[test]
fn every_workflow_in_the_documents_gives_inputs_that_exist() {
    let known: Vec<_> = settings::inputs().into_iter().map(|input| input.name).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/workflows");
    let files = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let files = files.map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap()));
    let mut steps = 0;
    for (name, text) in blocks().into_iter().chain(files).filter(|(_, text)| text.contains("org/example-validator@")) {
        let parsed = yaml::parse(&text);
        let mut found = Vec::new();
        uses(&parsed.documents[0].root, &mut found);
        for step in found {
            steps += 1;
            for entry in step.get("with").into_iter().flat_map(Node::entries) {
                let input = &*entry.key;
                assert!(known.iter().any(|known| known == input), "{name}: no input `{input}`");
            }
        }
    }
    assert!(steps > 0);
}

#[test]
fn every_link_to_a_file_leads_to_one() {
    for (path, text) in documents() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") || file.contains(char::is_whitespace) {
                continue;
            }
            assert!(path.parent().unwrap().join(file).exists(), "{}: {target} is not there", path.display());
        }
    }
}
