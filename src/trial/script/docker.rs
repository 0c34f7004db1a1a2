//! A script with an image: a container of the Docker CLI, from a look at the engine to the container's removal.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use super::container::{self, Container, EVIDENCE, KUBECONFIG, Mount, OUTSIDE, WORKSPACE};
use super::kubeconfig::{self, Files};
use super::process::{GRACE, Running};
use super::{Limits, Script, ScriptEnd, ScriptError, absolute, command, example_variable, pull};
use crate::child::{ChildError, Tool, environment};
use crate::model::CauseClass;

/// How long the engine may take to say that it is there.
const ANSWER: Duration = Duration::from_secs(20);
/// How long a container may take to stop, the grace of its process included; a cancelled run has 8 s for everything.
const STOP: Duration = Duration::from_secs(3);
/// How long the CLI may take to see that its container has ended.
const NOTICE: Duration = Duration::from_millis(500);
/// Codes of `docker run` that may be its own: the engine refused, the program can't be executed, the program does not exist.
const OWN_CODES: std::ops::RangeInclusive<i32> = 125..=127;

/// Runs it in a container.
pub(super) async fn run(
    script: &Script<'_>,
    image: &str,
    limits: &Limits,
    sink: &mut (impl FnMut(&[u8]) + Send),
) -> Result<ScriptEnd, ScriptError> {
    let cli = Tool::new("docker", environment::for_docker(script.environment), absolute(script.root)?);
    let ready = tokio::select! {
        biased;
        () = limits.cancel.cancelled() => return Ok(ScriptEnd::Cancelled),
        () = limits.stop.cancelled() => return Ok(ScriptEnd::Stopped),
        ready = prepare(&cli, image) => ready?,
    };
    let user = match ready {
        Ready::Yes { user } => user,
        Ready::No(end) => return Ok(end),
    };
    let kubeconfig = kubeconfig::copy(script.kubeconfig, script.namespace, Files::Embedded, script.scratch)
        .map_err(ScriptError::Kubeconfig)?;
    let name = unique_name(script.namespace);
    let path = Inside::of(script)?;
    let container = Container {
        name: &name,
        image,
        network: container::network(&kubeconfig.server, script.containers.network.as_deref()),
        user,
        labels: &script.containers.labels,
        mounts: mounts(script, &path, kubeconfig.file.path())?,
        variables: variables(script, &path, user),
        passed: environment::proxies(script.environment),
        argv: command::arguments(&script.run.command, &path.path, Path::new(EVIDENCE)),
    };
    let program = cli.program(container::arguments(&container));
    let started = Started { cli: &cli, name: &name };
    let mut running = Running::start(&program).map_err(|error| missing(cli.failed(error)))?;
    let failed = |error| ScriptError::io("wait for", "docker", error);
    let end = running.watch(limits, sink).await.map_err(failed)?;
    if !matches!(end, ScriptEnd::Exited { .. }) {
        started.stop(&mut running, sink).await.map_err(failed)?;
    }
    running.sweep(sink).await;
    started.removed(&end).await;
    match end {
        ScriptEnd::Signalled { signal } => Err(ScriptError::Container(format!("its CLI was ended by signal {signal}"))),
        end => Ok(end),
    }
}

/// What the end of `docker run` says of the script: its own, or Docker's that could not start it.
pub(super) fn judged(end: ScriptEnd, output: &str) -> Result<ScriptEnd, ScriptError> {
    let ScriptEnd::Exited { code } = end else { return Ok(end) };
    let own = |line: &&str| line.starts_with("docker: ") || line.contains("error waiting for container");
    let Some(line) = output.lines().rev().filter(|_| OWN_CODES.contains(&code)).find(own) else { return Ok(end) };
    let said = line.trim_start_matches("docker: ").trim_start_matches("Error response from daemon: ");
    let said = said.trim_end_matches("See 'docker run --help'.").trim_end().to_owned();
    if pull::is_no_engine(line) {
        return Err(ScriptError::EngineNotFound(said));
    }
    // Without `exec:` it is not about the program: the same codes stand for a folder that can't be mounted.
    let (true, Some(at)) = (code != 125, said.find("exec: ")) else { return Err(ScriptError::Container(said)) };
    let message = said[at + "exec: ".len()..].trim_end_matches(": unknown").trim_end_matches('.').to_owned();
    let hint = "the image lacks it, or it is not executable: name a program of the image";
    Ok(ScriptEnd::NotStarted { class: CauseClass::Runtime, reason: "StartError", message, hint })
}

/// What a look at the engine and the image came to.
enum Ready {
    /// The container can be started, as this user.
    Yes { user: Option<(u32, u32)> },
    /// The image can't be had, by a fault of the example's own.
    No(ScriptEnd),
}

/// Sees that the engine answers and has the image. An image that is there is not pulled: it may be one that the project built.
async fn prepare(cli: &Tool, image: &str) -> Result<Ready, ScriptError> {
    let info = cli.ask(&["info", "--format", "{{.SecurityOptions}}"], ANSWER).await.map_err(missing)?;
    if !info.succeeded {
        return Err(ScriptError::EngineNotFound(info.last_line().to_owned()));
    }
    if !cli.ask(&["image", "inspect", "--format", "{{.Id}}", image], ANSWER).await.map_err(missing)?.succeeded {
        let pulled = cli.ask(&["pull", "--quiet", image], pull::TIMEOUT).await.map_err(missing)?;
        if !pulled.succeeded {
            return pull::judged(image, pulled.last_line()).map(Ready::No);
        }
    }
    // What it writes into the workspace must belong to us. Where the engine is rootless, its root is us.
    let us = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    Ok(Ready::Yes { user: Some(us).filter(|_| !info.out.contains("name=rootless")) })
}

/// Where an example is inside its container.
struct Inside {
    path: PathBuf,
    /// The folder that is mounted besides the workspace: the one that holds an example outside the root.
    folder: Option<PathBuf>,
    variable: OsString,
}

impl Inside {
    fn of(script: &Script<'_>) -> Result<Self, ScriptError> {
        let id = script.example.as_str();
        if !id.starts_with("../") && !id.starts_with('/') {
            let variable = example_variable(script.example).into();
            return Ok(Self { path: Path::new(WORKSPACE).join(id), folder: None, variable });
        }
        let path = absolute(script.path)?;
        let inside = Path::new(OUTSIDE).join(path.file_name().unwrap_or_default());
        let variable = inside.clone().into_os_string();
        Ok(Self { path: inside, folder: path.parent().map(Path::to_owned), variable })
    }
}

fn mounts(script: &Script<'_>, inside: &Inside, kubeconfig: &Path) -> Result<Vec<Mount>, ScriptError> {
    let whole = [
        (Some(script.root), WORKSPACE, false),
        (Some(script.evidence), EVIDENCE, false),
        (Some(kubeconfig), KUBECONFIG, true),
        (inside.folder.as_deref(), OUTSIDE, true),
    ];
    let mount = |(path, target, read_only): (Option<&Path>, _, _)| {
        path.map(|path| {
            let path = absolute(path)?;
            let source = container::host_path(&path, &script.containers.host_paths);
            Ok(Mount { source: source.ok_or(ScriptError::NotShared(path))?, target, read_only })
        })
    };
    whole.into_iter().filter_map(mount).collect()
}

fn variables(script: &Script<'_>, inside: &Inside, user: Option<(u32, u32)>) -> Vec<(&'static str, OsString)> {
    let mut variables: Vec<(&'static str, OsString)> = vec![
        ("KUBECONFIG", KUBECONFIG.into()),
        ("NAMESPACE", script.namespace.into()),
        ("EXAMPLE", inside.variable.clone()),
        ("EVIDENCE_DIR", EVIDENCE.into()),
    ];
    // A user that the image does not know has `/` as its home, where nothing can be written.
    if user.is_some_and(|(id, _)| id != 0) {
        variables.push(("HOME", "/tmp".into()));
    }
    variables
}

/// A name that no other container of this machine has: two clusters may have the same namespace.
fn unique_name(namespace: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{namespace}-{:x}-{:x}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn missing(error: ChildError) -> ScriptError {
    match error {
        ChildError::NotFound(_) => ScriptError::DockerNotFound,
        ChildError::Io { source, .. } => ScriptError::io("run", OsStr::new("docker"), source),
    }
}

/// A container that may be there. When it is dropped before it was seen to be gone, it is removed in the background.
struct Started<'a> {
    cli: &'a Tool,
    /// Empty once it is gone.
    name: &'a str,
}

impl Started<'_> {
    /// Ends the container, then its CLI: the CLI alone would leave the container running.
    async fn stop(&self, running: &mut Running, sink: &mut (impl FnMut(&[u8]) + Send)) -> io::Result<()> {
        let grace = GRACE.as_secs().to_string();
        let arguments = ["stop", "-t", &grace, self.name];
        let stopped = self.cli.ask(&arguments, STOP);
        tokio::select! {
            status = running.exit(sink) => return status.map(drop),
            _ = stopped => {}
        }
        match timeout(NOTICE, running.exit(sink)).await {
            Ok(status) => status.map(drop),
            Err(_) => running.terminate(sink).await,
        }
    }

    /// Sees that nothing is left. A container that ended by itself goes by itself (`--rm`); one that was stopped may have been
    /// created after the engine was asked to stop it, and one whose CLI failed may still run. What even this leaves, its labels
    /// tell `clean`.
    async fn removed(mut self, end: &ScriptEnd) {
        let is_gone = matches!(end, ScriptEnd::Exited { code } if !OWN_CODES.contains(code));
        if !is_gone {
            let _ = self.cli.ask(&["rm", "--force", self.name], GRACE).await;
        }
        self.name = "";
    }
}

impl Drop for Started<'_> {
    fn drop(&mut self) {
        if self.name.is_empty() {
            return;
        }
        let arguments = ["rm", "--force", self.name].map(OsString::from).to_vec();
        let mut command = self.cli.program(arguments).command().into_std();
        command.stdout(Stdio::null()).stderr(Stdio::null());
        std::thread::spawn(move || command.status());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exited(code: i32, output: &str) -> Result<ScriptEnd, ScriptError> {
        judged(ScriptEnd::Exited { code }, output)
    }

    #[test]
    fn a_program_that_the_image_lacks_is_the_examples_fault() {
        for (code, text, expected) in [
            (
                127,
                "docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime \
                 create failed: runc create failed: unable to start container process: exec: \"papermill\": executable file not \
                 found in $PATH: unknown.\n\nRun 'docker run --help' for more information\n",
                "\"papermill\": executable file not found in $PATH",
            ),
            (
                126,
                "out\ndocker: Error response from daemon: OCI runtime create failed: container_linux.go:367: starting container \
                 process caused: exec: \"/workspace/a.sh\": permission denied: unknown. See 'docker run --help'.\n",
                "\"/workspace/a.sh\": permission denied",
            ),
        ] {
            let end = exited(code, text).unwrap();
            let ScriptEnd::NotStarted { class, reason, message, .. } = end else { panic!("{end:?}") };
            assert_eq!(
                (class, reason, message.trim_end_matches(": unknown")),
                (CauseClass::Runtime, "StartError", expected)
            );
        }
    }

    #[test]
    fn what_the_engine_itself_refuses_could_not_be_judged() {
        for (code, text, expected) in [
            (125, "docker: Error response from daemon: network nope not found.\n", "network nope not found"),
            (125, "time=\"x\" level=error msg=\"error waiting for container: unexpected EOF\"\n", "unexpected EOF"),
            (126, "docker: Error response from daemon: error mounting \"/a\": permission denied.\n", "mounting"),
            (
                125,
                "docker: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n",
                "no Docker engine answers",
            ),
        ] {
            let error = exited(code, text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn the_same_codes_from_the_script_are_its_own() {
        for (code, text) in
            [(127, "sh: 1: nope: not found\n"), (125, ""), (1, "docker: Error response from daemon: x\n")]
        {
            assert_eq!(exited(code, text).unwrap(), ScriptEnd::Exited { code });
        }
        assert_eq!(judged(ScriptEnd::TimedOut, "docker: x").unwrap(), ScriptEnd::TimedOut);
    }

    #[test]
    fn no_two_containers_have_the_same_name() {
        assert_ne!(unique_name("ev-a"), unique_name("ev-a"));
    }
}
