//! The starter config and workflow that `init` writes for a repository: a pure function of what was found in it.

use super::survey::{Image, Survey};

/// The config and the workflow, relative to the root.
pub const FILES: [&str; 2] = [".github/example-validator.yml", ".github/workflows/examples.yml"];

/// Where editors find the config's schema.
const SCHEMA: &str = "https://raw.githubusercontent.com/org/example-validator/v1/dist/config.schema.json";

/// A file that `init` would write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Starter {
    /// Its path, relative to the root.
    pub path: &'static str,
    /// Its whole text.
    pub text: String,
    /// Whether a file is there already, which must not be overwritten unless the user says so.
    pub exists: bool,
}

/// The starter files for what was found: first the config, then the workflow.
#[must_use]
pub fn starters(survey: &Survey) -> Vec<Starter> {
    let texts = [config(survey), workflow(&survey.branch)];
    let exists = |path: &str| survey.existing.iter().any(|existing| existing == path);
    FILES.into_iter().zip(texts).map(|(path, text)| Starter { path, text, exists: exists(path) }).collect()
}

fn config(survey: &Survey) -> String {
    let mut text = format!(
        "# yaml-language-server: $schema={SCHEMA}\n\
         # Which examples example-validator checks, and how. Every key is optional.\n\
         version: 1\n\n\
         # The Kubernetes versions to check on; left out, the one that kind brings.\n\
         # kubernetes: [v1.33, v1.34]\n\n"
    );
    crds(survey, &mut text);
    examples(survey, &mut text);
    images(survey, &mut text);
    operator(survey, &mut text);
    text
}

fn crds(survey: &Survey, text: &mut String) {
    if survey.crds.is_empty() {
        text.push_str("# Files or folders with CustomResourceDefinitions: the schemas of your custom resources.\n# crds: [config/crd/bases]\n\n");
        return;
    }
    text.push_str("# The schemas of your custom resources.\ncrds:\n");
    text.extend(survey.crds.iter().map(|folder| format!("  - {}\n", scalar(folder))));
    text.push('\n');
}

fn examples(survey: &Survey, text: &mut String) {
    text.push_str("# Where the examples are. The last entry that matches an example wins, key by key.\nexamples:\n");
    for folder in &survey.examples {
        let frameworks: Vec<_> = folder.frameworks.iter().map(|(name, count)| format!("{count} {name}")).collect();
        let files = if folder.manifests == 1 { "manifest" } else { "manifests" };
        text.push_str(&format!("  # {} {files}: {}\n", folder.manifests, frameworks.join(", ")));
        text.push_str(&format!("  - paths: [{}]\n", scalar(&format!("{}/**", folder.path))));
    }
    if survey.examples.is_empty() {
        text.push_str("  - paths: [examples/**, samples/**, config/samples/**]\n");
    }
    for (folder, ending) in
        survey.examples.iter().flat_map(|folder| folder.scripts.iter().map(move |ending| (folder, ending)))
    {
        let command =
            if ending == "ipynb" { "[papermill, \"{path}\", \"{evidence}/out.ipynb\"]" } else { "[bash, \"{path}\"]" };
        let glob = scalar(&format!("{}/**/*.{ending}", folder.path));
        text.push_str(&format!(
            "  # Scripts that are examples:\n  # - paths: [{glob}]\n  #   run: {{command: {command}}}\n"
        ));
    }
    text.push_str(
        "  # Too heavy for every change:\n  # - paths: [examples/large/**]\n  #   tier: periodic\n  #   timeout: 1h\n\n",
    );
}

fn images(survey: &Survey, text: &mut String) {
    if survey.images.is_empty() {
        return;
    }
    let (named, unnamed): (Vec<&Image>, Vec<&Image>) = survey.images.iter().partition(|image| image.name.is_some());
    let entry = |image: &Image, prefix: &str| {
        let name = image.name.as_deref().unwrap_or("the/name-that-examples-use");
        let dockerfile = match image.dockerfile.as_str() {
            "Dockerfile" => String::new(),
            other => format!("{prefix}    dockerfile: {}\n", scalar(other)),
        };
        format!("{prefix}  - name: {}\n{prefix}    context: {}\n{dockerfile}", scalar(name), scalar(&image.context))
    };
    text.push_str("# Images that are built from this repository instead of pulled.\n");
    text.push_str(if named.is_empty() { "# images:\n" } else { "images:\n" });
    text.extend(named.into_iter().map(|image| entry(image, "")));
    text.extend(unnamed.into_iter().map(|image| entry(image, "# ")));
    text.push('\n');
}

fn operator(survey: &Survey, text: &mut String) {
    let kustomize = survey.overlays.iter().map(|folder| format!("  - kustomize: {}\n", scalar(folder)));
    let charts = survey.charts.iter().map(|chart| {
        let release = scalar(chart.rsplit('/').next().unwrap_or(chart));
        format!("  - helm: {{chart: {}, release: {release}, namespace: {release}-system}}\n", scalar(chart))
    });
    let mut steps = kustomize.chain(charts);
    let Some(first) = steps.next() else {
        text.push_str("# How the operator that the examples need is deployed, if they need one.\n# operator:\n#   - kustomize: config/default\n");
        return;
    };
    text.push_str(&format!("# How the operator is deployed; every step is taken, in this order.\noperator:\n{first}"));
    let others: Vec<_> = steps.map(|step| format!("  #{}", &step[1..])).collect();
    if !others.is_empty() {
        text.push_str(&format!("  # Found too:\n{}", others.concat()));
    }
}

fn workflow(branch: &str) -> String {
    format!(
        r#"# Checks that the examples of this repository still work; .github/example-validator.yml says which and how.
name: examples

on:
  pull_request:
  push:
    branches: [{}]
  schedule:
    - cron: "23 4 * * 1" # the heavy ones, once a week
  workflow_dispatch:

permissions:
  contents: read
  pull-requests: write # the comment

concurrency:
  group: ${{{{ github.workflow }}}}-${{{{ github.ref }}}}
  cancel-in-progress: ${{{{ github.event_name == 'pull_request' }}}}

jobs:
  examples:
    runs-on: ubuntu-latest
    timeout-minutes: 90
    steps:
      - uses: actions/checkout@v6
        with:
          fetch-depth: 0 # what a pull request changes is compared with its base
          persist-credentials: false
      - uses: org/example-validator@v1
        with:
          deadline: 80m # the report is written before the job's own timeout
"#,
        scalar(branch)
    )
}

/// A string as YAML: plain where that is safe in flow and block style, else quoted.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '*');
    let safe = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '.') && text.chars().all(plain);
    let word = crate::yaml::parse(text).documents.first().is_some_and(|document| document.root.as_str() == Some(text));
    if safe && word { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::super::survey::{ExampleFolder, survey};
    use super::*;
    use crate::framework::Frameworks;
    use crate::yaml::parse;
    use serde_json::{Value as Json, json};
    use std::path::Path;

    fn read(text: &str) -> Json {
        let parsed = parse(text);
        assert_eq!(parsed.errors, [], "{text}");
        assert_eq!(parsed.documents.len(), 1, "{text}");
        parsed.documents[0].root.to_json()
    }

    /// The text with its commented keys switched on, to see that they would be right.
    fn uncommented(text: &str) -> String {
        let is_key = |rest: &str| rest.split_once(':').is_some_and(|(key, _)| !key.contains(' '));
        let key = |line: &str| {
            let rest = line.trim_start().strip_prefix("# ").map(str::trim_start);
            rest.is_some_and(|rest| rest.starts_with("- ") || is_key(rest))
        };
        let lines =
            text.lines().skip(1).map(|line| if key(line) { line.replacen("# ", "", 1) } else { line.to_owned() });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn rich() -> Survey {
        Survey {
            examples: vec![ExampleFolder {
                path: "examples".into(),
                manifests: 3,
                frameworks: [("pytorchjob".to_owned(), 2)].into(),
                scripts: ["ipynb".to_owned(), "sh".to_owned()].into(),
            }],
            crds: vec!["manifests/base/crds".into(), "odd: folder".into()],
            overlays: vec!["manifests/overlays/standalone".into(), "config/default".into()],
            charts: vec!["charts/trainer".into()],
            images: vec![
                Image {
                    context: "examples/mnist".into(),
                    dockerfile: "Dockerfile".into(),
                    name: Some("org/mnist".into()),
                },
                Image { context: "examples/x".into(), dockerfile: "Dockerfile.gpu".into(), name: None },
            ],
            branch: "main".into(),
            existing: Vec::new(),
        }
    }

    #[test]
    fn a_starter_config_says_what_was_found() {
        let text = config(&rich());
        assert!(text.starts_with("# yaml-language-server: $schema=https://"));
        assert!(text.contains("# 3 manifests: 2 pytorchjob\n"));
        assert_eq!(
            read(&text),
            json!({
                "version": 1,
                "crds": ["manifests/base/crds", "odd: folder"],
                "examples": [{"paths": ["examples/**"]}],
                "images": [{"name": "org/mnist", "context": "examples/mnist"}],
                "operator": [{"kustomize": "manifests/overlays/standalone"}],
            })
        );
    }

    #[test]
    fn what_is_commented_out_would_be_right_too() {
        let found = read(&uncommented(&config(&rich())));
        assert_eq!(found["kubernetes"], json!(["v1.33", "v1.34"]));
        assert_eq!(found["operator"].as_array().unwrap().len(), 3);
        assert_eq!(found["operator"][2]["helm"]["release"], "trainer");
        assert_eq!(found["images"][1]["dockerfile"], "Dockerfile.gpu");
        assert_eq!(found["examples"][1]["run"]["command"][0], "papermill");
        assert_eq!(found["examples"][3]["tier"], "periodic");
        let bare = read(&uncommented(&config(&Survey::default())));
        assert_eq!(bare["operator"], json!([{"kustomize": "config/default"}]));
        assert_eq!(bare["crds"], json!(["config/crd/bases"]));
    }

    #[test]
    fn a_bare_repository_gets_the_convention() {
        let found = read(&config(&Survey::default()));
        assert_eq!(found["examples"][0]["paths"], json!(["examples/**", "samples/**", "config/samples/**"]));
    }

    #[test]
    fn the_workflow_has_its_events_permissions_and_steps() {
        let found = read(&workflow("release/1.x"));
        // YAML 1.1 reads the key `on` as true; GitHub does not.
        let events: Vec<_> = found["true"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(events, ["pull_request", "push", "schedule", "workflow_dispatch"]);
        assert_eq!(found["true"]["push"]["branches"], json!(["release/1.x"]));
        assert_eq!(found["permissions"], json!({"contents": "read", "pull-requests": "write"}));
        assert_eq!(found["concurrency"]["group"], "${{ github.workflow }}-${{ github.ref }}");
        assert_eq!(found["jobs"]["examples"]["steps"][1]["uses"], "org/example-validator@v1");
    }

    #[test]
    fn files_that_exist_are_marked() {
        let starters =
            starters(&Survey { existing: vec![FILES[0].to_owned()], branch: "main".into(), ..Survey::default() });
        assert_eq!(
            starters.iter().map(|file| (file.path, file.exists)).collect::<Vec<_>>(),
            [(FILES[0], true), (FILES[1], false)]
        );
    }

    #[test]
    fn strings_are_quoted_where_yaml_would_read_something_else() {
        for (text, expected) in
            [("a/b-c.d", "a/b-c.d"), ("**/x", "\"**/x\""), ("yes", "\"yes\""), ("1.2", "\"1.2\""), ("a b", "\"a b\"")]
        {
            assert_eq!(scalar(text), expected);
            assert_eq!(parse(&format!("a: [{}]", scalar(text))).documents[0].root.to_json()["a"][0], text);
        }
    }

    #[test]
    fn the_real_repository_gets_its_crds_its_overlay_and_its_examples() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/kubeflow-v1");
        if !root.exists() {
            eprintln!("skipped: no ../shared/kubeflow-v1");
            return;
        }
        let found = read(&config(&survey(&root, &Frameworks::default()).unwrap()));
        assert_eq!(found["crds"], json!(["manifests/base/crds"]));
        assert_eq!(found["examples"], json!([{"paths": ["examples/**"]}]));
        assert_eq!(found["operator"], json!([{"kustomize": "manifests/overlays/standalone"}]));
    }
}
