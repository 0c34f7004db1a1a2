//! Notebooks, as `docs/notebooks.md` says, with papermill from its Python package. Without it they are skipped, and say so.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::config::Command;
use crate::trial::script::testing::{World, argv, is_alive, until};
use crate::trial::script::{ScriptEnd, last_line};

/// A notebook with a cell of parameters, and one more.
fn notebook(cell: &str) -> String {
    let code = |id: &str, source: &str, tags: &[&str]| json!({"cell_type": "code", "id": id, "metadata": {"tags": tags}, "source": source, "outputs": [], "execution_count": null});
    let kernel = json!({"name": "python3", "display_name": "Python 3", "language": "python"});
    let cells = [code("a", "epochs = 5", &["parameters"]), code("b", cell, &[])];
    json!({"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}).to_string()
}

/// A world with this cell in its notebook; `None`, aloud, without papermill.
fn world(cell: &str, command: Command) -> Option<World> {
    if std::process::Command::new("papermill").arg("--version").output().is_err() {
        eprintln!("skipped: papermill is not on the PATH (pip install papermill ipykernel)");
        return None;
    }
    let mut world = World::new("examples/a b.ipynb", &notebook(cell), command);
    world.limits.timeout = Duration::from_secs(600);
    Some(world)
}

fn recipe() -> Command {
    argv(&["papermill", "--no-progress-bar", "--log-output", "{path}", "{evidence}/out.ipynb"])
}

#[tokio::test]
async fn a_notebook_that_ends_well_passes_and_is_kept_with_its_outputs() {
    let line =
        "papermill --log-output \"$EXAMPLE\" \"$EVIDENCE_DIR/out.ipynb\" -p epochs 2 -p namespace \"$NAMESPACE\"";
    let cell = "import os\nprint('trained', epochs, namespace, os.path.exists(os.environ['KUBECONFIG']))";
    let Some(world) = world(cell, Command::Shell(line.to_owned())) else { return };
    let (ended, output) = world.run().await;
    assert_eq!(ended.unwrap().end, ScriptEnd::Exited { code: 0 }, "{output}");
    assert!(output.contains("trained 2 ev-a-1a2b3c True"), "{output}");
    let text = std::fs::read_to_string(world.evidence().join("out.ipynb")).unwrap();
    let executed: Json = serde_json::from_str(&text).unwrap();
    let outputs = executed["cells"].as_array().unwrap().last().unwrap()["outputs"].to_string();
    assert!(outputs.contains("trained 2 ev-a-1a2b3c True"), "{outputs}");
}

#[tokio::test]
async fn the_exception_of_a_cell_is_the_last_line_and_the_notebook_is_kept() {
    let Some(world) = world("raise ValueError('the loss is %d' % epochs)", recipe()) else { return };
    let (ended, output) = world.run().await;
    let ended = ended.unwrap();
    assert_eq!(ended.end, ScriptEnd::Exited { code: 1 }, "{output}");
    assert_eq!(last_line(&ended.tail).as_deref(), Some("ValueError: the loss is 5"), "{output}");
    assert!(ended.tail.contains("PapermillExecutionError"), "{output}");
    let text = std::fs::read_to_string(world.evidence().join("out.ipynb")).unwrap();
    assert!(text.contains("the loss is 5"));
}

#[tokio::test]
async fn a_notebook_whose_time_is_up_leaves_no_kernel() {
    let cell =
        "import os, time\nopen('kernel', 'w').write(str(os.getpid()))\nprint('waiting', flush=True)\ntime.sleep(1000)";
    let Some(mut world) = world(cell, recipe()) else { return };
    world.limits.timeout = Duration::from_secs(3600);
    let (stop, kernel) = (world.limits.stop.clone(), world.root().join("kernel"));
    let pid = || std::fs::read_to_string(&kernel).unwrap_or_default();
    let stops = async {
        until("the cell has started", || !pid().is_empty()).await;
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(world.run_into(|_| {}), stops);
    assert_eq!(ended.unwrap().end, ScriptEnd::Stopped);
    // It has a session of its own, and ends when it sees that papermill is gone.
    until("the kernel is gone", || !is_alive(&pid())).await;
}
