//! The real binary, started as a person would start it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The program in `folder`, without anything of a workflow that this suite itself may run in.
pub fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_example-validator"));
    command.current_dir(folder);
    for (name, _) in std::env::vars_os() {
        let shown = name.to_string_lossy();
        if ["GITHUB_", "RUNNER_", "ACTIONS_", "INPUT_"].iter().any(|prefix| shown.starts_with(prefix)) || shown == "CI"
        {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs the program and expects this exit code.
pub fn run(folder: &Path, arguments: &[&str], exit_code: i32) -> Output {
    let output = program(folder).args(arguments).output().unwrap();
    let shown = || format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(exit_code), "{arguments:?}\n{}", shown());
    output
}

/// The JSON of a file.
#[allow(dead_code, reason = "not every suite reads files")]
pub fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A path in the shared data, if it is here; says so if not.
#[allow(dead_code, reason = "not every suite uses the shared data")]
pub fn shared(path: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(path);
    if !found.exists() {
        println!("skipped: ../shared/{path} is not here");
        return None;
    }
    Some(found)
}
