//! What a script finds: its environment, its folder, its arguments.

use crate::child::testing::make_executable;
use crate::config::Command;
use crate::trial::script::testing::{World, argv};
use crate::trial::script::{ScriptEnd, ScriptError};

#[tokio::test]
async fn a_script_gets_its_four_variables_and_starts_in_the_root() {
    let world =
        World::sh("printf '%s\\n' \"$NAMESPACE\" \"$EXAMPLE\" \"$EVIDENCE_DIR\" \"$PWD\" \"$1\"; cat \"$KUBECONFIG\"");
    let (ended, output) = world.run().await;
    assert_eq!(ended.unwrap().end, ScriptEnd::Exited { code: 0 });
    let lines: Vec<&str> = output.lines().collect();
    let (evidence, root) = (world.evidence().display().to_string(), world.root().display().to_string());
    assert_eq!(lines[..5], ["ev-a-1a2b3c", "a.sh", &evidence, &root, ""]);
    let kubeconfig: serde_json::Value = serde_json::from_str(lines[5]).unwrap();
    assert_eq!(kubeconfig["contexts"][0]["context"]["namespace"], "ev-a-1a2b3c");
    assert!(world.evidence().is_dir());
}

#[tokio::test]
async fn kubectl_has_the_namespace_as_its_default() {
    let world = World::sh("kubectl config view --minify --output 'jsonpath={..namespace}'");
    let has_kubectl = std::process::Command::new("kubectl").args(["version", "--client"]).output().is_ok();
    if !has_kubectl {
        eprintln!("skipped: kubectl is not on the PATH");
        return;
    }
    assert_eq!(world.run().await.1, "ev-a-1a2b3c");
}

#[tokio::test]
async fn no_token_reaches_a_script() {
    let mut world = World::sh("env");
    let planted =
        ["GITHUB_TOKEN", "INPUT_GITHUB-TOKEN", "ACTIONS_RUNTIME_TOKEN", "GITHUB_ENV", "DOCKER_CONFIG", "AWS_SECRET"];
    for name in planted {
        world.set(name, "canary");
    }
    world.set("LC_MESSAGES", "C.UTF-8");
    let output = world.run().await.1;
    assert!(!output.contains("canary"), "{output}");
    assert!(output.contains("LC_MESSAGES=C.UTF-8") && output.contains("PATH="), "{output}");
    for name in ["KUBECONFIG", "NAMESPACE", "EXAMPLE", "EVIDENCE_DIR"] {
        assert_eq!(output.lines().filter(|line| line.starts_with(&format!("{name}="))).count(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_hostile_file_name_is_one_argument_and_no_option() {
    for name in ["-rf.sh", "a b.sh", "a'\"$(touch pwned)`touch pwned`;.sh", "a\nb.sh", "{evidence}.sh", "dir/*.sh"] {
        let text = "printf '%s' \"$#:$0:$EXAMPLE\"";
        let world = World::new(name, text, argv(&["sh", "{path}", "x y"]));
        let (ended, output) = world.run().await;
        assert_eq!(ended.unwrap().end, ScriptEnd::Exited { code: 0 }, "{name}");
        let variable = if name.starts_with('-') { format!("./{name}") } else { name.to_owned() };
        assert_eq!(output, format!("1:{}:{variable}", world.root().join(name).display()));
        let line = World::new(name, text, Command::Shell("sh \"$EXAMPLE\" x".to_owned()));
        let (ended, output) = line.run().await;
        assert_eq!(ended.unwrap().end, ScriptEnd::Exited { code: 0 }, "{name}: {output}");
        assert!(!world.root().join("pwned").exists() && !line.root().join("pwned").exists());
    }
}

#[tokio::test]
async fn a_script_has_no_input() {
    let (ended, output) = World::sh("read line; echo \"$?\"").run().await;
    assert_eq!((ended.unwrap().end, output.as_str()), (ScriptEnd::Exited { code: 0 }, "1\n"));
}

#[tokio::test]
async fn a_program_that_is_missing_could_not_be_judged() {
    let world = World::new("a.ipynb", "{}", argv(&["no-such-program-of-ours", "{path}"]));
    let error = world.run().await.0.unwrap_err();
    assert!(matches!(&error, ScriptError::ProgramNotFound(name) if name == "no-such-program-of-ours"));
    let cause = error.cause(&world.example);
    assert!(cause.message.contains("not on the PATH") && cause.hint.contains("image:"), "{cause:?}");
    let world = World::new("a.sh", "#!/no/such/interpreter\n", argv(&["{path}"]));
    make_executable(&world.root().join("a.sh"));
    let error = world.run().await.0.unwrap_err();
    assert!(error.to_string().contains("interpreter in the first line of"), "{error}");
}

#[tokio::test]
async fn a_script_that_can_not_be_started_is_its_own_fault() {
    for (text, executable, command, expected) in [
        ("#!/bin/sh\n", false, "{path}", "is not executable"),
        ("neither", true, "./a.sh", "is no program"),
        ("", false, "./hack/gone.sh", "`./hack/gone.sh` does not exist"),
    ] {
        let world = World::new("a.sh", text, argv(&[command]));
        if executable {
            make_executable(&world.root().join("a.sh"));
        }
        let end = world.run().await.0.unwrap().end;
        let ScriptEnd::NotStarted { reason, message, .. } = end else { panic!("{end:?}") };
        assert!(reason == "StartError" && message.contains(expected), "{message}");
    }
}

#[tokio::test]
async fn a_kubeconfig_that_can_not_be_used_is_told() {
    let world = World::sh("true");
    std::fs::write(world.root().join("../config"), "clusters: []").unwrap();
    let error = world.run().await.0.unwrap_err();
    assert!(error.to_string().contains("no current context"), "{error}");
}
