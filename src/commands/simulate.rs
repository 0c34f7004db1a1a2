//! `simulate`: serve the simulated API until somebody ends it.

use std::io::Write;

use tokio::signal::unix::{SignalKind, signal};

use super::say;
use crate::error::{Error, Result};
use crate::settings::Settings;
use crate::simulator::lifecycle::Pace;
use crate::simulator::{Options, Simulator};

/// Serves until SIGINT or SIGTERM; tells where, and writes a kubeconfig that leads there. It claims to be the first version of
/// `--kubernetes`, if one is given.
pub fn simulate(settings: &Settings) -> Result<u8> {
    let failed = |error| Error::io("start", "the simulator", error);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        // Before anything is told: who reads it may end this at once.
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut options = Options::default();
        options.lifecycle.pace = Pace::Real(1.0);
        if let Some(version) = settings.selection.kubernetes.as_ref().and_then(|versions| versions.first()) {
            options.kubernetes.clone_from(&version.version);
        }
        let simulator = Simulator::start(options).await?;
        let kubeconfig = kubeconfig(&simulator)?;
        say(&banner(&simulator.url(), &kubeconfig.path().display().to_string()))?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        simulator.shutdown().await;
        say("the simulator has ended\n")
    })
}

/// A kubeconfig in a file that goes with the simulator.
fn kubeconfig(simulator: &Simulator) -> Result<tempfile::NamedTempFile> {
    let written = tempfile::Builder::new().prefix("simulated-").suffix(".kubeconfig").tempfile();
    let written = written.and_then(|mut file| file.write_all(simulator.kubeconfig_yaml().as_bytes()).map(|()| file));
    written.map_err(|error| Error::io("write", "a kubeconfig", error))
}

fn banner(url: &str, kubeconfig: &str) -> String {
    format!(
        "SIMULATED: this is no Kubernetes cluster. Nothing runs, no image is pulled, and what it says proves nothing of a real one.

  server      {url}
  kubeconfig  {kubeconfig}

try it:

  kubectl --kubeconfig {kubeconfig} create job hello --image=busybox -- echo hello
  kubectl --kubeconfig {kubeconfig} get jobs,pods --watch

It ends with ctrl-c (or SIGTERM), and forgets everything.
"
    )
}
