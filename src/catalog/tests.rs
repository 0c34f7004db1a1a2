//! Catalogs of small repositories on disk, and of the real one.

use std::collections::BTreeMap;
use std::fs;

use super::*;
use crate::config::{ClusterKind, Command, ExampleRule, Graces, Kind, OperatorReady, Registries};
use crate::diagnostic::Severity;
use crate::error::Error;

const JOB: &str = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{name: a, \
                   image: b, resources: {requests: {cpu: 2}}}]}}}\n";
const CONFIG_MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n";

/// A config that says nothing but this about examples.
fn config(examples: Vec<ExampleRule>) -> Config {
    let second = Duration::from_secs(1);
    Config {
        kubernetes: Vec::new(),
        crds: Vec::new(),
        examples,
        images: Vec::new(),
        registries: Registries::default(),
        operator: Vec::new(),
        operator_ready: OperatorReady { timeout: second, deployments: Vec::new() },
        metrics: None,
        frameworks: Vec::new(),
        tiers: BTreeMap::new(),
        checks: Vec::new(),
        graces: Graces {
            image_not_found: second,
            image_transient: second,
            crash_loop_restarts: 3,
            unschedulable: second,
            create_failed: second,
            config_missing: second,
            claim_unbound: second,
            running_stable: second,
            suspended: second,
        },
        pull_secrets: Vec::new(),
        cluster: ClusterKind::Auto,
        periodic_every: second,
        retries: 1,
        parallel: None,
        fail_on: Vec::new(),
        kind: Kind::default(),
        history: None,
        cache_on_pull_request: false,
    }
}

fn rule(paths: &[&str]) -> ExampleRule {
    ExampleRule { paths: paths.iter().map(ToString::to_string).collect(), ..ExampleRule::default() }
}

/// A folder with these files.
fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn load_with(dir: &tempfile::TempDir, examples: Vec<ExampleRule>, overrides: &Overrides) -> Catalog {
    load(dir.path(), &config(examples), overrides, &Frameworks::default()).unwrap()
}

fn load_plain(dir: &tempfile::TempDir) -> Catalog {
    load_with(dir, Vec::new(), &Overrides::default())
}

fn ids(catalog: &Catalog) -> Vec<&str> {
    catalog.examples.iter().map(|example| example.id.as_str()).collect()
}

/// What an example was told, `code: message`.
fn told(example: &Example) -> Vec<String> {
    let line = |found: &Diagnostic| format!("{}: {}", found.code.unwrap_or("-"), found.message);
    example.diagnostics.iter().map(line).collect()
}

#[test]
fn files_of_other_programs_are_no_examples_unless_they_are_named() {
    let dir = tree(&[
        ("examples/values.yaml", "image: {tag: a}\n"),
        ("examples/package.json", "{\"name\": \"x\"}"),
        ("examples/tsconfig.json", "{ // a comment\n \"a\": 1,}"),
        ("examples/comments.yaml", "# nothing yet\n"),
        ("examples/job.yaml", JOB),
        ("examples/half.yaml", &format!("{JOB}---\nname: x\n")),
    ]);
    let catalog = load_plain(&dir);
    assert_eq!(ids(&catalog), ["examples/half.yaml", "examples/job.yaml"]);
    assert_eq!(
        told(&catalog.examples[0]),
        ["EV104: not a Kubernetes object: it has no `apiVersion`, and it has no `kind`"]
    );

    let named = ["values.yaml", "comments.yaml"].map(|name| dir.path().join("examples").join(name));
    let named = load_with(&dir, Vec::new(), &Overrides { paths: named.to_vec(), ..Overrides::default() });
    assert_eq!(ids(&named), ["examples/comments.yaml", "examples/values.yaml"]);
    assert_eq!(told(&named.examples[0]), ["EV104: the file holds no Kubernetes object"]);
    assert!(told(&named.examples[1])[0].starts_with("EV104"));
}

#[test]
fn json_is_read_with_tabs_and_yaml_with_a_byte_order_mark() {
    let dir = tree(&[
        (
            "examples/a.json",
            "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"ConfigMap\",\n\t\"data\": {\n\t\t\"a\": \"b\"\n\t}\n}\n",
        ),
        ("examples/b.yaml", &format!("\u{feff}{CONFIG_MAP}")),
        ("examples/c.yaml", &CONFIG_MAP.replace('\n', "\r\n")),
    ]);
    for example in load_plain(&dir).examples {
        assert_eq!((told(&example).len(), example.objects.len()), (0, 1), "{}: {:?}", example.id, told(&example));
    }
}

#[test]
fn what_cannot_be_read_is_an_example_with_the_reason() {
    let dir = tree(&[
        ("examples/syntax.yaml", "a: [1\n"),
        ("examples/twice.yaml", "apiVersion: v1\nkind: Pod\nkind: Pod\n"),
        ("examples/deep.yaml", &format!("a: {}{}", "[".repeat(200), "]".repeat(200))),
        ("examples/broken.json", "{\"apiVersion\": \"v1\", \"kind\": \"Pod\""),
    ]);
    fs::write(dir.path().join("examples/latin.yaml"), b"apiVersion: v1\nkind: \xe9\n").unwrap();
    fs::write(dir.path().join("examples/large.yaml"), vec![b'#'; 4 * 1024 * 1024 + 1]).unwrap();
    let catalog = load_plain(&dir);
    let found: BTreeMap<&str, &str> = catalog
        .examples
        .iter()
        .map(|example| (example.id.as_str().trim_start_matches("examples/"), example.diagnostics[0].code.unwrap()))
        .collect();
    let expected = [
        ("broken.json", "EV101"),
        ("deep.yaml", "EV102"),
        ("large.yaml", "EV102"),
        ("latin.yaml", "EV101"),
        ("syntax.yaml", "EV101"),
        ("twice.yaml", "EV103"),
    ];
    assert_eq!(found, expected.into());
    let latin = &catalog.examples[3].diagnostics[0];
    assert_eq!(latin.position(), Some(("examples/latin.yaml", 2, 7)));
    assert!(catalog.examples.iter().all(|example| !example.settings.support));
}

#[test]
fn flags_go_before_comments_before_entries_before_frameworks() {
    let dir = tree(&[
        ("examples/commented.yaml", &format!("# example-validator: timeout=20m retries=2 tier=periodic\n{JOB}")),
        ("examples/plain.yaml", JOB),
    ]);
    let entry = ExampleRule { timeout: Some(Duration::from_secs(60)), retries: Some(3), ..rule(&["examples/**"]) };
    let seen = |examples: Vec<ExampleRule>, overrides: &Overrides| -> Vec<(u64, u32, Tier)> {
        let catalog = load_with(&dir, examples, overrides);
        let settings = catalog.examples.iter().map(|example| &example.settings);
        settings.map(|settings| (settings.timeout.as_secs(), settings.retries, settings.tier)).collect()
    };
    let none = Overrides::default();
    assert_eq!(seen(Vec::new(), &none), [(1_200, 2, Tier::Periodic), (600, 1, Tier::Full)]);
    assert_eq!(seen(vec![entry.clone()], &none), [(1_200, 2, Tier::Periodic), (60, 3, Tier::Full)]);
    let flags = Overrides { timeout: Some(Duration::from_secs(5)), retries: Some(0), ..none };
    assert_eq!(seen(vec![entry], &flags), [(5, 0, Tier::Periodic), (5, 0, Tier::Full)]);
}

#[test]
fn support_files_are_those_without_a_judged_object_needed_or_marked() {
    let dir = tree(&[
        ("examples/cm.yaml", CONFIG_MAP),
        ("examples/crd.yaml", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"),
        ("examples/db.yaml", JOB),
        ("examples/job.yaml", &format!("# example-validator: needs=examples/db.yaml,./setup/extra.yaml\n{JOB}")),
        ("examples/marked.yaml", &format!("# example-validator: support=true\n{JOB}")),
        ("setup/extra.yaml", JOB),
    ]);
    let catalog = load_plain(&dir);
    let support: Vec<_> =
        catalog.examples.iter().map(|example| (example.id.as_str(), example.settings.support)).collect();
    let expected = [
        ("examples/cm.yaml", true),
        ("examples/crd.yaml", true),
        ("examples/db.yaml", true),
        ("examples/job.yaml", false),
        ("examples/marked.yaml", true),
        ("setup/extra.yaml", true),
    ];
    assert_eq!(support, expected);
    let needs: Vec<_> = catalog.examples[3].settings.needs.iter().map(ExampleId::as_str).collect();
    assert_eq!(needs, ["examples/db.yaml", "setup/extra.yaml"]);
    assert_eq!(catalog.examples[3].settings.resources.cpu.units(), 2);
}

#[test]
fn narrowing_keeps_what_the_rest_needs_and_nothing_else() {
    let dir = tree(&[("examples/a.yaml", JOB), ("examples/b.yaml", JOB), ("examples/db.yaml", JOB)]);
    let needs = ExampleRule { needs: Some(vec!["examples/db.yaml".to_owned()]), ..rule(&["examples/**"]) };
    let narrow = |glob: &str| {
        let overrides = Overrides { examples: vec![glob.to_owned()], ..Overrides::default() };
        load_with(&dir, vec![needs.clone()], &overrides)
    };
    let catalog = narrow("**/a.yaml");
    assert_eq!(ids(&catalog), ["examples/a.yaml", "examples/db.yaml"]);
    assert!(catalog.examples[1].settings.support);
    // Asked for alone it is still what others need.
    assert!(narrow("examples/db.yaml").examples[0].settings.support);
    let nothing = narrow("nothing/**");
    assert!(nothing.examples.is_empty() && nothing.diagnostics[0].message.contains("no example matches"));
}

#[test]
fn needs_that_name_nothing_are_told_at_the_comment_line() {
    let dir = tree(&[
        ("examples/etcd.yaml", CONFIG_MAP),
        ("examples/job.yaml", &format!("# example-validator: needs=examples/ectd.yaml\n{JOB}")),
    ]);
    let job = &load_plain(&dir).examples[1];
    assert_eq!(told(job), ["-: `needs` names `examples/ectd.yaml`, and there is no such example"]);
    assert_eq!(job.diagnostics[0].help.as_deref(), Some("did you mean `examples/etcd.yaml`?"));
    assert_eq!(job.diagnostics[0].position(), Some(("examples/job.yaml", 1, 22)));
    assert!(job.settings.needs.is_empty());
}

#[test]
fn scripts_are_neither_parsed_nor_judged() {
    let dir = tree(&[
        ("examples/run.sh", "#!/bin/sh\n# example-validator: tier=periodic\nexit 0\n"),
        ("examples/nb.ipynb", "{not json"),
        ("examples/other.py", "print()"),
    ]);
    let run = |path: &str| ExampleRule {
        run: Some(Run { image: None, command: Command::Argv(vec!["sh".to_owned(), "{path}".to_owned()]) }),
        ..rule(&[path])
    };
    let catalog = load_with(&dir, vec![run("examples/*.sh"), run("examples/*.ipynb")], &Overrides::default());
    assert_eq!(ids(&catalog), ["examples/nb.ipynb", "examples/run.sh"]);
    for example in &catalog.examples {
        assert_eq!((example.kind, example.settings.support), (ExampleKind::Script, false));
        assert!(example.objects.is_empty() && example.diagnostics.is_empty() && example.settings.run.is_some());
    }
    assert_eq!(catalog.examples[1].settings.tier, Tier::Periodic);
}

#[test]
fn what_matches_nothing_is_a_warning_and_what_is_wrong_with_the_asking_an_error() {
    let dir = tree(&[("examples/a.yaml", JOB), ("docs/values.yaml", "a: 1\n")]);
    let catalog = load_with(
        &dir,
        vec![rule(&["examples/**"]), rule(&["docs/**"]), rule(&["gone/*.yaml"])],
        &Overrides::default(),
    );
    let warnings: Vec<_> = catalog.diagnostics.iter().map(|found| (found.severity, found.message.as_str())).collect();
    let expected =
        ["docs/**", "gone/*.yaml"].map(|path| format!("this entry of `examples` matches no example: {path}"));
    assert_eq!(warnings, [(Severity::Warning, expected[0].as_str()), (Severity::Warning, &expected[1])]);

    let with = |overrides: Overrides, examples| load(dir.path(), &config(examples), &overrides, &Frameworks::default());
    let docs = with(Overrides { paths: vec![dir.path().join("docs")], ..Overrides::default() }, Vec::new()).unwrap();
    assert!(docs.diagnostics[0].message.ends_with("docs: no example is there"));
    let missing = with(Overrides { paths: vec!["no/such".into()], ..Overrides::default() }, Vec::new());
    assert!(matches!(missing, Err(Error::Usage(found)) if found[0].message.contains("no/such")));
    let bad = with(Overrides::default(), vec![rule(&["a/[b"])]);
    assert!(matches!(bad, Err(Error::Usage(found)) if found[0].message.contains("a/[b")));

    let moved = with(Overrides::default(), vec![rule(&["samples/**"]), rule(&["docs/**"])]);
    let Err(Error::Usage(moved)) = moved else { panic!("a config whose every entry matches nothing was taken") };
    let entries = ["samples/**", "docs/**"].map(|path| format!("this entry of `examples` matches no example: {path}"));
    assert_eq!(moved.iter().map(|found| found.message.as_str()).collect::<Vec<_>>(), entries);
    assert!(moved.iter().all(|found| found.severity == Severity::Error));

    let empty = tempfile::tempdir().unwrap();
    assert!(load_plain(&empty).diagnostics[0].message.contains("no example was found"));
}

#[test]
fn more_examples_than_a_run_takes_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("examples")).unwrap();
    for number in 0..=MAX_EXAMPLES {
        fs::write(dir.path().join(format!("examples/{number}.yaml")), CONFIG_MAP).unwrap();
    }
    let result = load(dir.path(), &config(Vec::new()), &Overrides::default(), &Frameworks::default());
    assert!(matches!(result, Err(Error::Usage(found)) if found[0].message.contains("10001 examples were found")));
}

#[test]
fn a_kustomize_folder_is_one_example_and_what_it_lists_is_none() {
    let dir = tree(&[
        ("examples/app/base/kustomization.yaml", "resources: [job.yaml]\n"),
        ("examples/app/base/job.yaml", JOB),
        (
            "examples/app/dev/kustomization.yaml",
            "# example-validator: tier=periodic\nresources: [../base]\nnamePrefix: dev-\n",
        ),
        ("examples/app/dev/unlisted.yaml", JOB),
        ("examples/part/kustomization.yaml", "kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\n"),
    ]);
    let catalog = load_plain(&dir);
    assert_eq!(ids(&catalog), ["examples/app/dev", "examples/app/dev/unlisted.yaml"]);
    let app = &catalog.examples[0];
    assert_eq!((app.kind, app.settings.tier), (ExampleKind::Kustomize, Tier::Periodic));
    assert_eq!(app.path, dir.path().join("examples/app/dev"));
    if app.diagnostics.iter().any(|found| found.message.contains("not on the PATH")) {
        eprintln!("the rest is skipped: no kubectl");
        return;
    }
    assert_eq!(told(app), [""; 0]);
    assert_eq!(app.objects[0].reference(), "Job/dev-a");
    assert_eq!(app.source.path, "examples/app/dev");
}

#[test]
fn a_kustomize_folder_that_does_not_render_says_why() {
    let dir = tree(&[("examples/app/kustomization.yaml", "resources: [gone.yaml]\n")]);
    let catalog = load_plain(&dir);
    let found = &catalog.examples[0].diagnostics[0];
    assert_eq!(found.position(), Some(("examples/app/kustomization.yaml", 1, 1)));
    assert!(found.message.contains("gone.yaml") || found.message.contains("not on the PATH"), "{}", found.message);
}

/// Kubeflow's v1 examples: 31 files, 27 of them with training jobs; the rest only support them, once the etcd that the
/// elastic example names is marked as needed.
#[test]
fn the_real_examples_are_found_and_told_apart() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let paths = vec![root.join("../shared/kubeflow-v1/examples")];
    if !paths[0].exists() {
        eprintln!("skipped: no ../shared/kubeflow-v1");
        return;
    }
    let overrides = Overrides { paths, ..Overrides::default() };
    let prefix = "../shared/kubeflow-v1/examples";
    let needs = ExampleRule {
        needs: Some(vec![format!("{prefix}/pytorch/elastic/etcd.yaml")]),
        ..rule(&[&format!("{prefix}/pytorch/elastic/**")])
    };
    for (rules, judged, support) in [(Vec::new(), 28, 3), (vec![needs], 27, 4)] {
        let catalog = load(root, &config(rules), &overrides, &Frameworks::default()).unwrap();
        assert_eq!(catalog.examples.len(), 31);
        assert!(catalog.diagnostics.is_empty());
        assert!(catalog.examples.iter().all(|example| example.diagnostics.is_empty()));
        assert_eq!(catalog.examples.iter().filter(|example| example.settings.support).count(), support);
        assert_eq!(catalog.examples.iter().filter(|example| !example.settings.support).count(), judged);
        let batch =
            catalog.examples.iter().filter(|example| example.framework.as_ref().is_some_and(|own| own.finishes));
        assert_eq!(batch.count(), 27);
        assert_eq!(catalog.examples[0].id.as_str(), format!("{prefix}/jax/cpu-demo/demo.yaml"));
    }
}
