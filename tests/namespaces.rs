//! What the namespaces of attempts take from the cluster, and what only one of them can have at a time.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "common/judge.rs"]
mod judge;
#[path = "common/program.rs"]
mod program;
#[path = "common/repository.rs"]
#[expect(dead_code, reason = "each suite uses a part")]
mod repository;

use example_validator::simulator::Options;
use example_validator::simulator::store::Event;
use judge::judge;
use repository::{Simulated, job, write};
use serde_json::json;

const CONFIG: &str =
    "version: 1\ncluster: existing\nretries: 0\nexamples:\n  - {paths: ['examples/*.yaml'], tier: full, timeout: 2m}\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_has_the_labels_of_its_example_s_home_and_ports_of_nodes_are_waited_for() {
    let cluster = Simulated::start(Options::default()).await;
    let home = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "kubeflow", "labels": {"istio-injection": "enabled"}}});
    cluster.simulator.store().create(home).unwrap();
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "config.yml", CONFIG);
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: kubeflow}\nspec:\n  type: NodePort\n  \
        ports: [{port: 80, nodePort: 30080}]\n---\n";
    for name in ["one", "two"] {
        let job = job(name, "echo done", "").replace("{name: ", "{namespace: kubeflow, name: ");
        write(root.path(), &format!("examples/{name}.yaml"), &format!("{service}{job}"));
    }
    let mut changes = cluster.simulator.store().changes();
    let output = judge(program::program(root.path()), &cluster.kubeconfig).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let attempts = std::iter::from_fn(|| changes.try_next()).filter(|change| {
        let name = change.object["metadata"]["name"].as_str().unwrap_or_default();
        change.kind.plural == "namespaces" && name.starts_with("ev-")
    });
    let ends: Vec<_> = attempts.filter(|change| matches!(change.event, Event::Added | Event::Deleted)).collect();
    let made: Vec<_> = ends.iter().map(|change| change.event == Event::Added).collect();
    assert_eq!(made, [true, false, true, false], "one at a time");
    assert!(ends.iter().all(|change| change.object["metadata"]["labels"]["istio-injection"] == "enabled"));
}
