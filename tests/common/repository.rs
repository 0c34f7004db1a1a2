//! Generated repositories, the simulator that they are judged on, and what must be left of that.

use std::path::{Path, PathBuf};

use example_validator::simulator::{Options, Simulator};
use serde_json::Value as Json;

/// A simulated cluster in this process, with the CRD of the demonstration and a kubeconfig that leads there.
pub struct Simulated {
    pub simulator: Simulator,
    pub kubeconfig: PathBuf,
    _folder: tempfile::TempDir,
}

impl Simulated {
    pub async fn start(options: Options) -> Self {
        let simulator = Simulator::start(options).await.unwrap();
        let definition = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/crds/pytorchjobs.yaml");
        let parsed = example_validator::yaml::parse(&std::fs::read_to_string(definition).unwrap());
        for document in &parsed.documents {
            simulator.store().create(document.root.to_json()).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, simulator.kubeconfig_yaml()).unwrap();
        Self { simulator, kubeconfig, _folder: folder }
    }

    /// Everything of ours that the cluster still holds, as `plural/name`.
    pub fn left(&self) -> Vec<String> {
        let store = self.simulator.store();
        let mut left = Vec::new();
        for kind in store.kinds() {
            for object in store.list(&kind.group, &kind.plural, None).0 {
                let text = |pointer: &str| object.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
                let labelled = object.pointer("/metadata/labels/example-validator.dev~1run").is_some();
                let namespaced = text("/metadata/namespace").starts_with("ev-");
                if labelled || namespaced || text("/metadata/name").starts_with("ev-") {
                    left.push(format!(
                        "{}/{} in `{}`",
                        kind.plural,
                        text("/metadata/name"),
                        text("/metadata/namespace")
                    ));
                }
            }
        }
        left
    }
}

/// Writes a file below the root, with the folders that it needs.
pub fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A Job whose only container runs this in a shell.
pub fn job(name: &str, script: &str, more: &str) -> String {
    let script = serde_json::to_string(script).unwrap();
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}}}\nspec:\n  backoffLimit: 0\n  template:\n    spec:\n      \
         restartPolicy: Never\n      containers:\n      - name: main\n        image: docker.io/library/busybox:1.37.0\n        \
         command: [sh, -c, {script}]\n{more}"
    )
}

/// The report in a folder.
pub fn report(folder: &Path) -> Json {
    let path = folder.join("report.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// The members of the archive of evidence, whole: name and content.
pub fn members(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(folder.join("evidence.zip")).unwrap()).unwrap();
    let mut members = Vec::new();
    for index in 0..zip.len() {
        let mut file = zip.by_index(index).unwrap();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut content).unwrap();
        members.push((file.name().unwrap().into_owned(), content));
    }
    members
}
