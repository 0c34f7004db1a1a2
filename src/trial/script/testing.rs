//! A workspace with a script, for the tests of this room.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::{Containers, Ended, Limits, Script, ScriptEnd, ScriptError, run};
use crate::child::testing;
use crate::config::{Command, Run};
use crate::model::ExampleId;

const KUBECONFIG: &str = "
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: 'https://127.0.0.1:6443'}}]
users: [{name: u, user: {token: t}}]
";

/// A repository's root with one example, and folders for what belongs to an attempt.
pub(super) struct World {
    folder: tempfile::TempDir,
    pub(super) example: ExampleId,
    pub(super) run: Run,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) containers: Containers,
    pub(super) limits: Limits,
}

impl World {
    /// A script of this name, which `command` runs.
    pub(super) fn new(name: &str, text: &str, command: Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for inside in ["root", "scratch", "bin"] {
            std::fs::create_dir(folder.path().join(inside)).unwrap();
        }
        std::fs::write(folder.path().join("config"), KUBECONFIG).unwrap();
        let world = Self {
            folder,
            example: ExampleId::new(name),
            run: Run { image: None, command },
            environment: std::env::vars_os().collect(),
            containers: Containers::default(),
            limits: Limits {
                timeout: Duration::from_secs(60),
                cancel: tokio_util::sync::CancellationToken::new(),
                stop: tokio_util::sync::CancellationToken::new(),
            },
        };
        let path = world.root().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        testing::write(&path, text);
        world
    }

    /// A script that `sh` reads.
    pub(super) fn sh(text: &str) -> Self {
        Self::new("a.sh", text, argv(&["sh", "{path}"]))
    }

    pub(super) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    pub(super) fn scratch(&self) -> PathBuf {
        self.folder.path().join("scratch")
    }

    pub(super) fn evidence(&self) -> PathBuf {
        self.folder.path().join("evidence")
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.retain(|(known, _)| known.to_str() != Some(name));
        self.environment.push((name.into(), value.into()));
    }

    /// Puts a fake `docker` before all others on the PATH. It writes its arguments, a line each, into the returned file.
    pub(super) fn fake_docker(&mut self, body: &str) -> PathBuf {
        let (bin, log) = (self.folder.path().join("bin"), self.folder.path().join("docker.log"));
        let text = format!(
            "#!/bin/sh\nlog='{}'\n{{ for word in \"$@\"; do printf '%s\\n' \"$word\"; done; echo --; }} >>\"$log\"\n{body}\n",
            log.display()
        );
        testing::program(&bin.join("docker"), &text);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(bin).chain(std::env::split_paths(&path));
        self.set("PATH", std::env::join_paths(folders).unwrap());
        self.run.image = Some("example/papermill:ci".to_owned());
        log
    }

    /// Runs the script; gives how it ended, and its output.
    pub(super) async fn run(&self) -> (Result<Ended, ScriptError>, String) {
        let mut output = Vec::new();
        let ended = self.run_into(|chunk| output.extend_from_slice(chunk)).await;
        assert_eq!(std::fs::read_dir(self.scratch()).unwrap().count(), 0, "no copy of the kubeconfig is left");
        (ended, String::from_utf8_lossy(&output).into_owned())
    }

    /// Runs the script, and stops it when it says `started`; gives how it ended, and its output.
    pub(super) async fn run_until_started(&self) -> (ScriptEnd, String) {
        let mut output = Vec::new();
        let ended = self.run_into(|chunk| {
            output.extend_from_slice(chunk);
            if output.starts_with(b"started\n") {
                self.limits.stop.cancel();
            }
        });
        let end = ended.await.unwrap().end;
        (end, String::from_utf8_lossy(&output).into_owned())
    }

    pub(super) async fn run_into(&self, output: impl FnMut(&[u8]) + Send) -> Result<Ended, ScriptError> {
        let path = self.root().join(self.example.as_str());
        let script = Script {
            run: &self.run,
            example: &self.example,
            path: &path,
            root: &self.root(),
            namespace: "ev-a-1a2b3c",
            kubeconfig: &self.folder.path().join("config"),
            evidence: &self.evidence(),
            scratch: &self.scratch(),
            environment: &self.environment,
            containers: &self.containers,
        };
        // Longer than the longest limit of a test that ends by itself.
        tokio::time::timeout(Duration::from_secs(900), run(&script, &self.limits, output)).await.expect("it hangs")
    }
}

pub(super) fn argv(words: &[&str]) -> Command {
    Command::Argv(words.iter().map(ToString::to_string).collect())
}

/// Whether a process is there and not a zombie; `/proc/PID/stat` has its state behind its name.
pub(super) fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next()).is_some_and(|state| state != "Z")
}

/// Waits until a condition holds, for ten minutes at most: a kernel of a notebook takes its time to start on a busy machine.
pub(super) async fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..60_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within ten minutes");
}
