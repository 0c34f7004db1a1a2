//! Which examples a change touches, followed through what they depend on, and why.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;

use super::PlanInputs;
use super::changed::ChangedFiles;
use super::images::{self, Users};
use super::paths::{below_root, normal};
use crate::catalog::{Example, ExampleKind};
use crate::config::{Check, Command, Config, OperatorStep};

/// Kustomize folders (and what they build on) by their path from the root: the files and folders that each reads outside
/// itself. `kustomize_deps::read` makes it.
pub type Dependencies = BTreeMap<String, Vec<String>>;

/// What the parts of the operator's deployment are called in reasons.
const OPERATOR: &str = "the operator";

/// What a change touches.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// Why it touches every example, if it does.
    pub(super) everything: Option<String>,
    /// Why it touches each example, by the example's place in the catalog; empty if it touches all.
    pub(super) each: Vec<Option<String>>,
}

/// Why a change touches one example.
#[derive(Clone, Debug)]
enum Touch {
    /// It is one of the example's own files.
    Own(String),
    /// It is something that the example uses; the text is a clause: `uses image x, whose build context changed: y`.
    Uses(String),
    /// An example that it needs is touched: the one needed, and the one where the change is, by their places.
    Needs { needed: usize, origin: usize },
}

impl Touched {
    /// Follows the changed files to examples.
    pub(super) fn new(inputs: &PlanInputs, files: &[String]) -> Self {
        let changed = ChangedFiles::new(inputs.root, files);
        let everything = |reason: String| Self { everything: Some(reason), each: Vec::new() };
        if let Some((what, file)) = shared_by_all(inputs, &changed) {
            return everything(format!("{what} changed ({file}): everything runs"));
        }
        let touched_images = images::touched(inputs, &changed);
        let mut users = Users::new(&touched_images);
        let examples = &inputs.catalog.examples;
        let places: HashMap<&str, usize> =
            examples.iter().enumerate().map(|(place, example)| (example.id.as_str(), place)).collect();
        let mut touches: Vec<Option<Touch>> = examples
            .iter()
            .map(|example| {
                let image = users.used_by(example);
                own(inputs, &changed, example)
                    .or_else(|| {
                        let image = image?;
                        let name = &image.image.name;
                        Some(Touch::Uses(format!("uses image {name}, whose build context changed: {}", image.file)))
                    })
                    .or_else(|| commands(&changed, example))
                    .or_else(|| missing_needs(&changed, example, &places))
            })
            .collect();
        if let Some(image) = users.used_by_operator(&inputs.config.operator) {
            let (name, file) = (&image.image.name, image.file);
            return everything(format!("image {name}, which the operator may use, changed ({file}): everything runs"));
        }
        follow_needs(examples, &places, &mut touches);
        let each = touches.iter().map(|touch| touch.as_ref().map(|touch| reason(touch, examples, &touches))).collect();
        Self { everything: None, each }
    }
}

/// What every example depends on besides the config's own file: what it is, and its path from the root.
pub(super) fn shared_paths(root: &Path, config: &Config) -> Vec<(&'static str, String)> {
    let path = |path: &Path| below_root(root, path);
    let mut shared: Vec<(&'static str, String)> = Vec::new();
    shared.extend(config.kind.config.as_deref().map(|file| ("kind's config", path(file))));
    shared.extend(config.crds.iter().map(|crds| ("a CRD", path(crds))));
    for step in &config.operator {
        match step {
            OperatorStep::Kustomize { path: folder, .. } => shared.push((OPERATOR, path(folder))),
            OperatorStep::Helm { chart, values, .. } => {
                shared.push((OPERATOR, path(chart.as_ref())));
                shared.extend(values.iter().map(|file| (OPERATOR, path(file))));
            }
            OperatorStep::Manifests { paths, .. } => {
                shared.extend(paths.iter().map(|manifest| (OPERATOR, path(manifest))));
            }
        }
    }
    shared
}

/// The first change to something that every example depends on: what it is, and the file.
fn shared_by_all<'a>(inputs: &PlanInputs, changed: &'a ChangedFiles) -> Option<(&'static str, &'a str)> {
    let config = inputs.config_path.map(|file| ("the config", normal(file)));
    let workflows = inputs.workflows.iter().map(|file| ("a workflow that uses this action", normal(file)));
    let mut shared = config.into_iter().chain(shared_paths(inputs.root, inputs.config)).chain(workflows);
    let direct = shared.find_map(|(what, path)| touches(inputs, changed, &path).map(|file| (what, file)));
    let mut programs = inputs.config.checks.iter().filter_map(check_command).flat_map(words);
    let program = || programs.find_map(|word| changed.file(&normal(word))).map(|file| ("a run-wide check", file));
    direct.or_else(program)
}

/// The first change to a file or folder, or to what a kustomize folder reads outside itself.
fn touches<'a>(inputs: &PlanInputs, changed: &'a ChangedFiles, path: &str) -> Option<&'a str> {
    changed.below(path).or_else(|| builds_on(inputs, changed, path))
}

/// The first change to what a kustomize folder reads outside itself.
fn builds_on<'a>(inputs: &PlanInputs, changed: &'a ChangedFiles, folder: &str) -> Option<&'a str> {
    inputs.dependencies.get(folder)?.iter().find_map(|read| changed.below(&normal(read)))
}

/// A change to the example's own files, or to what its kustomize folder builds on.
fn own(inputs: &PlanInputs, changed: &ChangedFiles, example: &Example) -> Option<Touch> {
    let id = example.id.as_str();
    let itself = if example.kind == ExampleKind::Kustomize { changed.below(id) } else { changed.file(id) };
    let builds_on =
        || builds_on(inputs, changed, id).map(|file| Touch::Uses(format!("builds on {file}, which changed")));
    itself.map(|file| Touch::Own(file.to_owned())).or_else(builds_on)
}

/// A change to a program or file that the example's script or checks name.
fn commands(changed: &ChangedFiles, example: &Example) -> Option<Touch> {
    let script = example.settings.run.iter().map(|run| &run.command);
    let checks = example.settings.checks.iter().filter_map(check_command);
    let file = script.chain(checks).flat_map(words).find_map(|word| changed.file(&normal(word)))?;
    Some(Touch::Uses(format!("runs {file}, which changed")))
}

fn check_command(check: &Check) -> Option<&Command> {
    match check {
        Check::Run(command) => Some(command),
        _ => None,
    }
}

/// The words of a command that may be paths: those with a `/` or a `.`.
fn words(command: &Command) -> Box<dyn Iterator<Item = &str> + '_> {
    let words: Box<dyn Iterator<Item = &str>> = match command {
        Command::Argv(words) => Box::new(words.iter().map(String::as_str)),
        Command::Shell(line) => Box::new(line.split(|c: char| c.is_whitespace() || "'\"();|&<>=".contains(c))),
    };
    Box::new(words.filter(|word| word.contains(['/', '.']) && !word.starts_with('/')))
}

/// A change to something needed that is no example here: deleted, or left out of the catalog.
fn missing_needs(changed: &ChangedFiles, example: &Example, places: &HashMap<&str, usize>) -> Option<Touch> {
    let missing = example.settings.needs.iter().filter(|need| !places.contains_key(need.as_str()));
    let need = missing.filter(|need| changed.below(&normal(need.as_str())).is_some()).min()?;
    Some(Touch::Uses(format!("needs {need}, which changed")))
}

/// Carries the touch of an example to all that need it, nearest first; circles end where they began.
fn follow_needs(examples: &[Example], places: &HashMap<&str, usize>, touches: &mut [Option<Touch>]) {
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); examples.len()];
    for (place, example) in examples.iter().enumerate() {
        for need in &example.settings.needs {
            if let Some(needed) = places.get(need.as_str()) {
                dependents[*needed].push(place);
            }
        }
    }
    let origins = touches.iter().enumerate().filter(|(_, touch)| touch.is_some());
    let mut queue: VecDeque<(usize, usize)> = origins.map(|(place, _)| (place, place)).collect();
    while let Some((needed, origin)) = queue.pop_front() {
        for dependent in &dependents[needed] {
            if touches[*dependent].is_none() {
                touches[*dependent] = Some(Touch::Needs { needed, origin });
                queue.push_back((*dependent, origin));
            }
        }
    }
}

fn reason(touch: &Touch, examples: &[Example], touches: &[Option<Touch>]) -> String {
    match touch {
        Touch::Own(file) => format!("changed: {file}"),
        Touch::Uses(clause) => clause.clone(),
        Touch::Needs { needed, origin } => {
            let clause = match &touches[*origin] {
                Some(Touch::Uses(clause)) => clause,
                _ => "changed",
            };
            let through =
                if needed == origin { String::new() } else { format!(", and through it {}", examples[*origin].id) };
            format!("needs {}{through}, which {clause}", examples[*needed].id)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use crate::catalog::ExampleKind;
    use crate::config::{Check, Command, OperatorStep, Run};
    use crate::model::ExampleId;
    use crate::plan::testing::{World, example, image, job, job_with};

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(id, reason)| ((*id).to_owned(), (*reason).to_owned())).collect()
    }

    #[test]
    fn only_the_changed_manifest_runs() {
        let world = World::jobs(&["examples/a.yaml", "examples/b.yaml"]).change(&["examples/a.yaml", "README.md"]);
        assert_eq!(world.on_cluster(), pairs(&[("examples/a.yaml", "changed: examples/a.yaml")]));
        assert_eq!(world.reason("examples/b.yaml"), "not changed");
    }

    #[test]
    fn a_change_that_nothing_depends_on_runs_nothing_and_says_so() {
        let world = World::jobs(&["a.yaml"]).change(&["README.md", "docs/x.md"]);
        assert_eq!(world.on_cluster(), []);
        assert_eq!(
            world.plan().notes,
            ["2 files changed, and no example depends on any of them: nothing runs because of a change"]
        );
    }

    #[test]
    fn one_change_that_nothing_depends_on_is_spoken_of_in_the_singular() {
        assert_eq!(
            World::jobs(&["a.yaml"]).change(&["README.md"]).plan().notes,
            ["1 file changed, and no example depends on it: nothing runs because of a change"]
        );
    }

    #[test]
    fn unknown_changes_run_everything_and_say_why() {
        let mut world = World::jobs(&["a.yaml"]);
        world.changed = None;
        let reason = "the changed files are unknown (this clone is shallow): everything runs";
        assert_eq!(world.on_cluster(), pairs(&[("a.yaml", reason)]));
    }

    #[test]
    fn an_image_is_followed_from_its_context_to_the_examples_that_use_it() {
        let uses = |image: &str| job_with(&format!("image: '{image}'"));
        let mut world = World::new(vec![
            example("a.yaml", &uses(&format!("example/mnist:v1@sha256:{}", "0".repeat(64)))),
            example("b.yaml", &uses("docker.io/upstream/mnist")),
            example("c.yaml", &uses("example/mnist-v2")),
            example(
                "d.yaml",
                "apiVersion: trainer.kubeflow.org/v1alpha1\nkind: TrainJob\nspec: {trainer: {image: example/mnist}}\n",
            ),
        ])
        .change(&["train/mnist/src/main.py"]);
        world.config.images = vec![image("example/mnist", "train/mnist")];
        world.config.images[0].replaces = vec!["upstream/mnist".to_owned()];
        world.example("d.yaml").settings.support = false;
        let reason = "uses image example/mnist, whose build context changed: train/mnist/src/main.py";
        assert_eq!(world.on_cluster(), pairs(&[("a.yaml", reason), ("b.yaml", reason), ("d.yaml", reason)]));
    }

    #[test]
    fn the_inputs_of_an_image_narrow_its_context_but_never_its_dockerfile() {
        let mut world = World::new(vec![example("a.yaml", &job_with("image: example/x"))]);
        world.config.images = vec![image("example/x", "ctx")];
        world.config.images[0].inputs = vec!["ctx/**/*.py".to_owned(), "shared".to_owned()];
        for (file, runs) in [
            ("ctx/main.py", 1),
            ("ctx/deep/main.py", 1),
            ("shared/lib/x.c", 1),
            ("ctx/Dockerfile", 1),
            ("ctx/README.md", 0),
            ("ctx-other/main.py", 0),
        ] {
            world.changed = Some(vec![file.to_owned()]);
            assert_eq!(world.on_cluster().len(), runs, "{file}");
        }
        world.config.images[0].dockerfile = PathBuf::from("../docker/Dockerfile.x");
        world.changed = Some(vec!["docker/Dockerfile.x".to_owned()]);
        assert_eq!(world.on_cluster().len(), 1);
    }

    #[test]
    fn needs_are_followed_as_far_as_they_go() {
        let mut world = World::jobs(&["a.yaml", "b.yaml", "c.yaml", "other.yaml"]).change(&["c.yaml"]);
        world.example("a.yaml").settings.needs = vec![ExampleId::new("b.yaml")];
        world.example("b.yaml").settings.needs = vec![ExampleId::new("c.yaml")];
        world.example("c.yaml").settings.needs = vec![ExampleId::new("a.yaml")];
        assert_eq!(
            world.on_cluster(),
            pairs(&[
                ("a.yaml", "needs b.yaml, and through it c.yaml, which changed"),
                ("b.yaml", "needs c.yaml, which changed"),
                ("c.yaml", "changed: c.yaml"),
            ])
        );
    }

    #[test]
    fn a_needed_file_that_was_deleted_still_counts() {
        let mut world = World::jobs(&["a.yaml"]).change(&["gone.yaml"]);
        world.example("a.yaml").settings.needs = vec![ExampleId::new("gone.yaml")];
        assert_eq!(world.on_cluster(), pairs(&[("a.yaml", "needs gone.yaml, which changed")]));
    }

    #[test]
    fn a_kustomize_example_is_its_folder_and_what_that_builds_on() {
        let mut world = World::jobs(&["examples/k", "examples/k.yaml"]);
        world.example("examples/k").kind = ExampleKind::Kustomize;
        world.dependencies = BTreeMap::from([("examples/k".to_owned(), vec!["base".to_owned()])]);
        for (file, reason) in [
            ("examples/k/deleted.yaml", Some("changed: examples/k/deleted.yaml")),
            ("base/x.yaml", Some("builds on base/x.yaml, which changed")),
            ("basement/x.yaml", None),
        ] {
            world.changed = Some(vec![file.to_owned()]);
            let expected: Vec<_> = reason.map(|reason| ("examples/k", reason)).into_iter().collect();
            assert_eq!(world.on_cluster(), pairs(&expected), "{file}");
        }
    }

    #[test]
    fn what_all_examples_share_runs_everything() {
        let mut world = World::jobs(&["a.yaml", "b.yaml"]);
        world.config.crds = vec![PathBuf::from("manifests/crds")];
        world.config.kind.config = Some(PathBuf::from("/repo/hack/kind.yaml"));
        world.config.operator = vec![
            OperatorStep::Kustomize { path: PathBuf::from("manifests/overlays/x"), images: BTreeMap::new() },
            OperatorStep::Helm {
                chart: "charts/x".to_owned(),
                release: "x".to_owned(),
                namespace: "x".to_owned(),
                values: vec![PathBuf::from("ci.yaml")],
                set: BTreeMap::new(),
                images: BTreeMap::new(),
            },
            OperatorStep::Manifests { paths: vec![PathBuf::from("./hack/extra.yaml")], images: BTreeMap::new() },
        ];
        world.config.checks = vec![Check::Run(Command::Shell("sh -c './hack/check.sh --all'".to_owned()))];
        world.dependencies = BTreeMap::from([("manifests/overlays/x".to_owned(), vec!["manifests/base".to_owned()])]);
        world.workflows.insert(".github/workflows/examples.yml".to_owned());
        for file in [
            ".github/example-validator.yml",
            "hack/kind.yaml",
            "manifests/crds/x.yaml",
            "manifests/overlays/x/kustomization.yaml",
            "manifests/base/deep/x.yaml",
            "charts/x/templates/a.yaml",
            "ci.yaml",
            "hack/extra.yaml",
            "hack/check.sh",
            ".github/workflows/examples.yml",
        ] {
            world.changed = Some(vec![file.to_owned()]);
            let ran = world.on_cluster();
            assert_eq!(ran.len(), 2, "{file}");
            assert!(ran[0].1.ends_with(&format!("changed ({file}): everything runs")), "{}", ran[0].1);
        }
        world.changed = Some(vec!["hack/other.sh".to_owned(), ".github/workflows/lint.yml".to_owned()]);
        assert_eq!(world.on_cluster(), []);
    }

    #[test]
    fn an_image_of_the_operator_runs_everything() {
        let mut world = World::new(vec![example("a.yaml", &job(1)), example("b.yaml", &job_with("image: example/x"))]);
        world.config.images = vec![image("example/operator", "cmd"), image("example/x", "x")];
        let images = BTreeMap::from([("upstream/operator".to_owned(), "example/operator".to_owned())]);
        world.config.operator = vec![OperatorStep::Manifests { paths: Vec::new(), images }];
        assert_eq!(world.change(&["cmd/main.go"]).on_cluster().len(), 2);
    }

    #[test]
    fn an_image_that_no_example_names_may_be_the_operators() {
        let mut world = World::new(vec![example("a.yaml", &job(1)), example("b.yaml", &job_with("image: example/x"))]);
        world.config.images = vec![image("example/unknown", "cmd"), image("example/x", "x")];
        world.changed = Some(vec!["cmd/main.go".to_owned()]);
        assert_eq!(world.on_cluster(), [], "there is no operator");
        world.config.operator = vec![OperatorStep::Manifests { paths: Vec::new(), images: BTreeMap::new() }];
        assert_eq!(world.on_cluster().len(), 2);
        world.changed = Some(vec!["x/main.go".to_owned()]);
        assert_eq!(world.on_cluster().len(), 1, "the other image is an example's");
    }

    #[test]
    fn the_programs_that_judge_an_example_count_as_part_of_it() {
        let mut world = World::jobs(&["a.yaml", "b.yaml"]).change(&["hack/check.sh", "hack/run.py"]);
        world.example("a.yaml").settings.checks = vec![Check::Run(Command::Argv(vec!["./hack/check.sh".to_owned()]))];
        let command = Command::Argv(vec!["python".to_owned(), "hack/run.py".to_owned()]);
        world.example("b.yaml").settings.run = Some(Run { image: None, command });
        assert_eq!(
            world.on_cluster(),
            pairs(&[("a.yaml", "runs hack/check.sh, which changed"), ("b.yaml", "runs hack/run.py, which changed")])
        );
    }
}
