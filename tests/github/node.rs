//! GitHub's own clients, which are written for Node.js.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Names the folder that has a `node_modules` with the clients.
const VARIABLE: &str = "EXAMPLE_VALIDATOR_TEST_NODE";

/// The folder with the clients. Without it the test says so and has nothing to do, but not where everything has to be tested.
pub fn clients() -> Option<PathBuf> {
    let folder = std::env::var_os(VARIABLE).map(PathBuf::from);
    if let Some(folder) = folder.filter(|folder| folder.join("node_modules").is_dir()) {
        return Some(std::path::absolute(folder).unwrap());
    }
    let missing =
        format!("{VARIABLE} names no folder with GitHub's clients; .ci/npm installs them into target/tools/npm");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
    eprintln!("skipped: {missing}");
    None
}

/// Runs a script of `tests/npm` with the clients, these arguments and nothing of the environment but these variables. The
/// output is that of a success.
pub fn run(clients: &Path, script: &str, arguments: &[&Path], variables: &[(&str, &str)]) -> Output {
    // Modules are looked for beside the script.
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/npm");
    let script_path = clients.join(script);
    std::fs::copy(scripts.join(script), &script_path).unwrap();
    let output = Command::new("node")
        .arg(&script_path)
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}:\n{out}\n{err}");
    output
}
