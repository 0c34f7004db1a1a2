//! The real binary, started as a person would start it.

use std::path::Path;
use std::process::Command;

/// The program in `folder`, without anything of a workflow that this suite itself may run in, nor a Docker engine: these suites make
/// no clusters, whatever the machine has.
pub fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_example-validator"));
    command.current_dir(folder).env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    for (name, _) in std::env::vars_os() {
        let shown = name.to_string_lossy();
        if ["GITHUB_", "RUNNER_", "ACTIONS_", "INPUT_"].iter().any(|prefix| shown.starts_with(prefix)) || shown == "CI"
        {
            command.env_remove(&name);
        }
    }
    command
}
