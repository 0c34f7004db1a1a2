//! Containers, with fake `docker` programs that answer as the real one does.

use std::path::{Path, PathBuf};

use crate::model::CauseClass;
use crate::trial::script::testing::{World, argv, until};
use crate::trial::script::{ScriptEnd, ScriptError};

/// An engine that answers and has the image.
const READY: &str =
    "case \"$1\" in info) echo '[name=seccomp,profile=default]'; exit 0;; image) echo sha256:1; exit 0;; esac\n";
/// An engine that answers and does not have the image.
const WITHOUT_IMAGE: &str =
    "case \"$1\" in info) echo '[]'; exit 0;; image) echo 'Error: No such image' >&2; exit 1;; esac\n";

fn world(body: &str) -> (World, PathBuf) {
    let mut world = World::new("examples/a b.ipynb", "{}", argv(&["papermill", "{path}", "{evidence}/out.ipynb"]));
    let log = world.fake_docker(body);
    (world, log)
}

/// The argument lists that docker was started with, the one whose first word this is.
fn calls(log: &Path, first: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lists = text.split("--\n").map(|call| call.lines().map(str::to_owned).collect::<Vec<_>>());
    lists.filter(|call| call.first().is_some_and(|word| word == first)).collect()
}

fn value<'a>(call: &'a [String], option: &str) -> Vec<&'a str> {
    call.windows(2).filter(|pair| pair[0] == option).map(|pair| pair[1].as_str()).collect()
}

#[tokio::test]
async fn a_container_is_run_with_the_workspace_the_evidence_and_the_kubeconfig() {
    let (mut world, log) = world(&format!(
        "{READY}for word in \"$@\"; do case \"$word\" in *kubeconfig-*) \
         file=${{word#*source=}}; cat \"${{file%%,*}}\" >\"$log.kubeconfig\";; esac; done; echo hello; env"
    ));
    world.containers.labels = vec![("example-validator/run".to_owned(), "r1".to_owned())];
    world.set("GITHUB_TOKEN", "canary");
    world.set("https_proxy", "http://proxy:1");
    let (ended, output) = world.run().await;
    assert_eq!(ended.unwrap().end, ScriptEnd::Exited { code: 0 });
    assert!(output.starts_with("hello\n") && !output.contains("canary"), "{output}");
    let call = calls(&log, "run").remove(0);
    assert_eq!(
        call[call.len() - 4..],
        ["example/papermill:ci", "papermill", "/workspace/examples/a b.ipynb", "/evidence/out.ipynb"]
    );
    assert_eq!((value(&call, "--network"), value(&call, "--label")), (vec!["host"], vec!["example-validator/run=r1"]));
    let mounts = value(&call, "--mount");
    assert_eq!(mounts[0], format!("type=bind,source={},target=/workspace", world.root().display()));
    assert_eq!(mounts[1], format!("type=bind,source={},target=/evidence", world.evidence().display()));
    assert!(mounts[2].ends_with(",target=/var/run/example-validator/kubeconfig,readonly") && mounts.len() == 3);
    let variables = value(&call, "--env");
    for expected in [
        "KUBECONFIG=/var/run/example-validator/kubeconfig",
        "NAMESPACE=ev-a-1a2b3c",
        "EXAMPLE=examples/a b.ipynb",
        "EVIDENCE_DIR=/evidence",
        "https_proxy",
    ] {
        assert!(variables.contains(&expected), "{expected}: {variables:?}");
    }
    assert!(value(&call, "--name")[0].starts_with("ev-a-1a2b3c-"));
    assert!(calls(&log, "pull").is_empty() && calls(&log, "rm").is_empty());
    let kubeconfig = std::fs::read_to_string(log.with_extension("log.kubeconfig")).unwrap();
    assert!(kubeconfig.contains("\"namespace\":\"ev-a-1a2b3c\""), "{kubeconfig}");
}

#[tokio::test]
async fn an_example_outside_the_root_is_mounted_by_itself() {
    let mut world = World::new("../outside/-a.ipynb", "{}", argv(&["papermill", "{path}"]));
    let log = world.fake_docker(READY);
    world.run().await.0.unwrap();
    let call = calls(&log, "run").remove(0);
    assert!(value(&call, "--mount")[3].ends_with("/outside,target=/example,readonly"), "{call:?}");
    assert!(value(&call, "--env").contains(&"EXAMPLE=/example/-a.ipynb"));
    assert_eq!(call.last().unwrap(), "/example/-a.ipynb");
}

#[tokio::test]
async fn in_a_rootless_engine_its_root_is_us() {
    for (options, rootless) in [("[name=seccomp name=rootless name=cgroupns]", true), ("[name=seccomp]", false)] {
        let (world, log) = world(&format!("case $1 in info) echo '{options}';; esac"));
        world.run().await.0.unwrap();
        assert_eq!(value(&calls(&log, "run")[0], "--user").is_empty(), rootless, "{options}");
    }
}

#[tokio::test]
async fn a_folder_that_the_engine_does_not_see_is_told() {
    let (mut world, log) = world(READY);
    world.containers.host_paths = vec![(world.root(), "/home/runner/work".into())];
    let error = world.run().await.0.unwrap_err();
    assert!(matches!(&error, ScriptError::NotShared(path) if *path == world.evidence()), "{error}");
    let above = world.root().parent().unwrap().to_owned();
    world.containers.host_paths.push((above, "/host".into()));
    world.run().await.0.unwrap();
    let call = calls(&log, "run").remove(0);
    assert_eq!(
        value(&call, "--mount")[..2],
        ["type=bind,source=/home/runner/work,target=/workspace", "type=bind,source=/host/evidence,target=/evidence"]
    );
}

#[tokio::test]
async fn without_docker_the_row_says_so_and_what_to_do() {
    let (mut world, _) = world("true");
    world.set("PATH", world.scratch());
    let error = world.run().await.0.unwrap_err();
    assert!(matches!(error, ScriptError::DockerNotFound));
    let cause = error.cause(&world.example);
    assert_eq!((cause.class, cause.reason.as_str()), (CauseClass::Internal, "DockerNotFound"));
    assert!(cause.hint.contains("install Docker"));
}

#[tokio::test]
async fn without_an_engine_the_row_says_so_and_what_to_do() {
    let words = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
    let (world, log) = world(&format!("echo '{words}' >&2; exit 1"));
    let error = world.run().await.0.unwrap_err();
    let cause = error.cause(&world.example);
    assert_eq!((cause.class, cause.reason.as_str()), (CauseClass::Internal, "DockerUnavailable"));
    assert!(cause.message.contains(words) && cause.hint.contains("DOCKER_HOST"), "{cause:?}");
    assert!(calls(&log, "run").is_empty() && calls(&log, "pull").is_empty());
}

#[tokio::test]
async fn the_real_cli_without_an_engine_is_understood() {
    let mut world = World::new("a.ipynb", "{}", argv(&["papermill", "{path}"]));
    world.run.image = Some("example/papermill:ci".to_owned());
    world.set("DOCKER_HOST", format!("unix://{}/no.sock", world.scratch().display()));
    match world.run().await.0.unwrap_err() {
        ScriptError::DockerNotFound => eprintln!("skipped: docker is not on the PATH"),
        ScriptError::EngineNotFound(said) => assert!(said.contains("no.sock"), "{said}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_container_whose_cli_lost_it_is_removed() {
    let lost = "echo 'level=error msg=\"error waiting for container: unexpected EOF\"' >&2; exit 125";
    let (world, log) = world(&format!("{READY}case $1 in run) {lost};; esac"));
    let error = world.run().await.0.unwrap_err();
    assert!(matches!(&error, ScriptError::Container(said) if said.contains("unexpected EOF")), "{error}");
    assert_eq!(calls(&log, "rm").len(), 1);
}

#[tokio::test]
async fn an_image_is_pulled_when_it_is_not_there() {
    let (world, log) = world(WITHOUT_IMAGE);
    assert_eq!(world.run().await.0.unwrap().end, ScriptEnd::Exited { code: 0 });
    assert_eq!(calls(&log, "pull"), [["pull", "--quiet", "example/papermill:ci"]]);
    assert_eq!(calls(&log, "run").len(), 1);
}

#[tokio::test]
async fn an_image_that_can_not_be_pulled_is_judged_by_what_the_engine_says() {
    let pull = |words: &str| format!("{WITHOUT_IMAGE}echo 'Error response from daemon: {words}' >&2; exit 1");
    let (gone, log) = world(&pull("manifest for example/papermill:ci not found: manifest unknown: manifest unknown"));
    let (ended, output) = gone.run().await;
    let ScriptEnd::NotStarted { class, reason, message, .. } = ended.unwrap().end else { panic!("it was started") };
    assert_eq!((class, reason, output.as_str()), (CauseClass::Image, "ErrImagePull", ""));
    assert!(message.contains("manifest unknown") && calls(&log, "run").is_empty(), "{message}");
    let (limited, _) = world(&pull("toomanyrequests: You have reached your pull rate limit."));
    let cause = limited.run().await.0.unwrap_err().cause(&limited.example);
    assert_eq!((cause.class, cause.reason.as_str()), (CauseClass::Image, "ErrImagePull"));
}

#[tokio::test]
async fn a_program_that_the_image_lacks_fails_the_example() {
    let words = "docker: Error response from daemon: OCI runtime create failed: exec: \"papermill\": executable file not found in $PATH.";
    let (world, _) = world(&format!("{READY}echo '{words}' >&2; exit 127"));
    let end = world.run().await.0.unwrap().end;
    let ScriptEnd::NotStarted { reason, message, .. } = end else { panic!("{end:?}") };
    assert!(reason == "StartError" && message.starts_with("\"papermill\": executable file not found"), "{message}");
}

#[tokio::test]
async fn a_container_is_stopped_and_removed() {
    // The container is a process of its own, as for the real CLI: it ends when the engine is told to stop it.
    let (world, log) = world(&format!(
        "{READY}case $1 in run) echo started; trap '' TERM; while [ ! -e \"$log.stopped\" ]; do sleep 0.01; done; echo bye; exit 137;; \
         stop) touch \"$log.stopped\";; esac"
    ));
    let (end, output) = world.run_until_started().await;
    assert_eq!((end, output.as_str()), (ScriptEnd::Stopped, "started\nbye\n"));
    let name = value(&calls(&log, "run")[0], "--name")[0].to_owned();
    assert_eq!(calls(&log, "stop"), [["stop", "-t", "2", &name]]);
    assert_eq!(calls(&log, "rm"), [["rm", "--force", &name]]);
}

#[tokio::test]
async fn an_engine_that_hangs_does_not_hold_up_a_cancelled_run() {
    let (world, log) = world(&format!("{READY}trap '' TERM; echo started; while :; do sleep 0.1; done"));
    let token = world.limits.cancel.clone();
    let ended = world.run_into(|_| token.cancel()).await.unwrap();
    assert_eq!(ended.end, ScriptEnd::Cancelled);
    assert_eq!((calls(&log, "stop").len(), calls(&log, "rm").len()), (1, 1));
    let pulling = self::world(&format!("{WITHOUT_IMAGE}touch \"$log.pulling\"; sleep 1000")).0;
    let (token, marker) = (pulling.limits.cancel.clone(), pulling.root().join("../docker.log.pulling"));
    let cancels = async {
        until("it pulls", || marker.exists()).await;
        token.cancel();
    };
    let (ended, ()) = tokio::join!(pulling.run_into(|_| {}), cancels);
    assert_eq!(ended.unwrap().end, ScriptEnd::Cancelled);
}

#[tokio::test]
async fn an_attempt_that_is_given_up_removes_its_container() {
    let (world, log) = world(&format!("{READY}case $1 in run) echo started; sleep 1000;; esac"));
    let started = std::sync::atomic::AtomicBool::new(false);
    {
        let running = world.run_into(|_| started.store(true, std::sync::atomic::Ordering::Relaxed));
        tokio::select! {
            ended = running => panic!("{ended:?}"),
            () = until("it has started", || started.load(std::sync::atomic::Ordering::Relaxed)) => {}
        }
    }
    until("the container is removed", || calls(&log, "rm").len() == 1).await;
}
