//! A real `kubectl` against the real program.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// `example-validator simulate`, running.
struct Simulate {
    child: Child,
    kubeconfig: PathBuf,
}

impl Simulate {
    /// Starts it; `None`, said aloud, without a kubectl.
    fn start() -> Option<Self> {
        if Command::new("kubectl").args(["version", "--client"]).output().is_err() {
            println!("skipped: kubectl is not there");
            return None;
        }
        let program = env!("CARGO_BIN_EXE_example-validator");
        let mut child = Command::new(program).arg("simulate").stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let kubeconfig =
            lines.into_iter().find_map(|line| line.trim().strip_prefix("kubeconfig  ").map(PathBuf::from)).unwrap();
        Some(Self { child, kubeconfig })
    }

    fn kubectl(&self, arguments: &str, input: &str) -> Output {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments.split_whitespace());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// What kubectl prints; it has to succeed.
    fn tell(&self, arguments: &str, input: &str) -> String {
        let output = self.kubectl(arguments, input);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "kubectl {arguments}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What kubectl complains of; it has to fail.
    fn complain(&self, arguments: &str, input: &str) -> String {
        let output = self.kubectl(arguments, input);
        assert!(!output.status.success(), "kubectl {arguments} succeeded");
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Drop for Simulate {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

fn job(name: &str, image: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}}}\nspec:\n  suspend: true\n  template:\n    spec:\n      \
         restartPolicy: Never\n      containers:\n      - {{name: main, image: {image}, env: [{{name: A, value: b}}]}}\n"
    )
}

#[test]
fn kubectl_applies_reads_changes_and_deletes() {
    let Some(simulate) = Simulate::start() else { return };
    let (tell, complain) = (|a: &str, i: &str| simulate.tell(a, i), |a: &str, i: &str| simulate.complain(a, i));
    assert_eq!(tell("create namespace a", ""), "namespace/a created\n");
    assert_eq!(tell("apply -n a -f -", &job("j", "x")), "job.batch/j created\n");
    assert_eq!(tell("apply -n a -f -", &job("j", "x")), "job.batch/j unchanged\n");
    let refused = complain("apply -n a -f -", &job("j", "other"));
    assert!(refused.contains("field is immutable"), "{refused}");
    let misspelt = job("k", "x").replace("suspend:", "suspnd:");
    let refused = complain("apply -n a -f -", &misspelt);
    assert!(refused.contains("unknown field \"spec.suspnd\""), "{refused}");
    let refused = complain("apply -n a --server-side -f -", &misspelt);
    assert!(refused.contains(".spec.suspnd: field not declared in schema"), "{refused}");
    assert_eq!(tell("apply -n a --server-side -f -", &job("s", "x")), "job.batch/s serverside-applied\n");
    assert_eq!(tell("apply -n a --server-side -f -", &job("s", "x")), "job.batch/s serverside-applied\n");
    tell("label -n a job j l=m", "");
    assert_eq!(tell("get -n a jobs -l l=m -o name", ""), "job.batch/j\n");
    assert_eq!(tell("get -n a job/s -o jsonpath={.spec.template.spec.containers[0].env[0].value}", ""), "b");
    assert!(tell("get jobs -A -o wide", "").contains('j'));
    assert!(tell("describe -n a job j", "").contains("Name:"));
    assert!(tell("api-resources --api-group=batch", "").contains("cronjobs"));
    tell("patch -n a job s --type=merge -p {\"metadata\":{\"annotations\":{\"x\":\"y\"}}}", "");
    tell("wait -n a job/s --for=jsonpath={.metadata.annotations.x}=y --timeout=10s", "");
    assert_eq!(tell("delete -n a job j --cascade=background", ""), "job.batch \"j\" deleted\n");
    assert!(complain("get -n a job j", "").contains("jobs.batch \"j\" not found"));
    assert!(complain("get nothings", "").contains("the server doesn't have a resource type \"nothings\""));
    assert_eq!(tell("auth can-i create jobs", ""), "yes\n");
}

#[test]
fn kubectl_creates_what_it_sends_in_protobuf() {
    let Some(simulate) = Simulate::start() else { return };
    let tell = |arguments: &str| simulate.tell(arguments, "");
    tell("create configmap c --from-literal=k=v");
    assert_eq!(tell("get configmap c -o jsonpath={.data.k}"), "v");
    tell("create secret generic s --from-literal=k=v");
    assert_eq!(tell("get secret s -o jsonpath={.data.k}"), "dg==");
    tell("create job j --image=busybox -- echo hello");
    assert_eq!(tell("get job j -o jsonpath={.spec.template.spec.containers[0].command}"), "[\"echo\",\"hello\"]");
    tell("create deployment d --image=busybox --replicas=0");
    assert_eq!(tell("get deployment d -o jsonpath={.spec.replicas}{.spec.selector.matchLabels.app}"), "0d");
    tell("create service clusterip v --tcp=80:8080");
    assert_eq!(tell("get service v -o jsonpath={.spec.ports[0].targetPort}"), "8080");
    tell("create quota q --hard=pods=1,requests.cpu=500m");
    assert_eq!(tell("get quota q -o jsonpath={.spec.hard.requests\\.cpu}"), "500m");
    tell("create role r --verb=get --resource=pods");
    assert_eq!(tell("get role r -o jsonpath={.rules[0].resources}"), "[\"pods\"]");
}
