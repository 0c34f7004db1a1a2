//! A whole run on a cluster that is there, as a test waits for it beside its simulator.

use std::path::Path;
use std::process::{Command, Output};

/// Has the program try the examples of its folder, by `config.yml`; the results go to `out`.
pub async fn judge(mut program: Command, kubeconfig: &Path) -> Output {
    program.args(["run", "--config", "config.yml", "--no-color", "--output", "out", "--kubeconfig"]).arg(kubeconfig);
    tokio::task::spawn_blocking(move || program.output().unwrap()).await.unwrap()
}
