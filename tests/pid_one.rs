//! As the first process of a container the program passes signals on, ends as its work does, and leaves no zombies.
//!
//! A PID namespace of `unshare` stands for the container; where that is not allowed, these tests say so and are skipped.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::process::{Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_example-validator");

/// Runs the program as the first process of a PID namespace of its own; `None` where there can be none.
fn first_process(arguments: &[&str]) -> Option<Command> {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc"]);
    let works = Command::new("unshare").args(["--pid", "--fork", "--mount-proc", "true"]).output();
    if !works.is_ok_and(|output| output.status.success()) {
        println!("skipped: this machine gives no PID namespace");
        return None;
    }
    command.arg(PROGRAM).args(arguments).stdin(Stdio::null());
    Some(command)
}

fn output(arguments: &[&str]) -> Option<Output> {
    first_process(arguments).map(|mut command| command.output().unwrap())
}

#[test]
fn it_ends_as_its_work_does() {
    let Some(version) = output(&["--version"]) else { return };
    assert!(String::from_utf8_lossy(&version.stdout).starts_with("example-validator "));
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(output(&["no-such-command"]).unwrap().status.code(), Some(2));
}

#[test]
fn signals_reach_the_work_and_orphans_are_reaped() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    // The script leaves a process behind, and is ready once that is gone: a zombie could still be asked.
    let script = "cd \"$(dirname \"$0\")\"; (sh -c 'echo $$ >pid; mv pid orphan' &); until [ -e orphan ]; do :; done; \
                  while kill -0 \"$(cat orphan)\" 2>/dev/null; do :; done; touch ready; exec sleep 600";
    let config = "version: 1\ncluster: simulated\nretries: 0\nexamples:\n  - paths: [a.sh]\n    run: {command: [sh, '{path}']}\n";
    std::fs::write(root.join("a.sh"), script).unwrap();
    std::fs::write(root.join("ev.yml"), config).unwrap();
    let (config, output) = (root.join("ev.yml"), root.join("out"));
    let paths = [root, &config, &output].map(|path| path.to_str().unwrap());
    let arguments = ["run", "--root", paths[0], "--config", paths[1], "--output", paths[2]];
    let Some(mut command) = first_process(&arguments) else { return };
    let run = command.current_dir(root).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !root.join("ready").exists() {
        std::thread::yield_now();
    }
    // The child of `unshare` is the first process of the namespace.
    let first = Command::new("pgrep").args(["-P", &run.id().to_string()]).output().unwrap();
    let first = String::from_utf8(first.stdout).unwrap();
    assert!(Command::new("kill").args(["-INT", first.trim()]).status().unwrap().success());
    let ended = run.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130), "{}", String::from_utf8_lossy(&ended.stderr));
}
