//! A script without an image: a process on this machine.

use std::io::{self, ErrorKind};

use super::kubeconfig::{self, Files};
use super::process::Running;
use super::{Limits, Script, ScriptEnd, ScriptError, absolute, command, example_variable};
use crate::child::{Program, Variable, environment};
use crate::model::CauseClass;

/// Runs it. The error is a machine that lacks what the config asks for.
pub(super) async fn run(
    script: &Script<'_>,
    limits: &Limits,
    sink: &mut (impl FnMut(&[u8]) + Send),
) -> Result<ScriptEnd, ScriptError> {
    let kubeconfig = kubeconfig::copy(script.kubeconfig, script.namespace, Files::Named, script.scratch)
        .map_err(ScriptError::Kubeconfig)?;
    let (root, evidence) = (absolute(script.root)?, absolute(script.evidence)?);
    let mut environment = environment::for_script(script.environment);
    let own: [(&str, &std::ffi::OsStr); 4] = [
        ("KUBECONFIG", kubeconfig.file.path().as_os_str()),
        ("NAMESPACE", script.namespace.as_ref()),
        ("EXAMPLE", &std::ffi::OsString::from(example_variable(script.example))),
        ("EVIDENCE_DIR", evidence.as_os_str()),
    ];
    environment.extend(own.map(|(name, value)| -> Variable { (name.into(), value.to_owned()) }));
    let argv = command::arguments(&script.run.command, &absolute(script.path)?, &evidence);
    let program = Program { argv, environment, folder: root };
    let mut running = match Running::start(&program) {
        Ok(running) => running,
        Err(error) => return not_started(&program, error),
    };
    let failed = |error| ScriptError::io("wait for", program.file(), error);
    let end = running.watch(limits, sink).await.map_err(failed)?;
    if matches!(end, ScriptEnd::TimedOut | ScriptEnd::Cancelled | ScriptEnd::Stopped) {
        running.terminate(sink).await.map_err(failed)?;
    }
    running.sweep(sink).await;
    Ok(end)
}

/// Whose fault it is that a program did not start: the machine's where the program is missing, else the example's.
fn not_started(program: &Program, error: io::Error) -> Result<ScriptEnd, ScriptError> {
    let (file, name) = (program.file(), program.argv[0].to_string_lossy().into_owned());
    let is_named_by_path = name.contains('/');
    let (message, hint) = match error.kind() {
        ErrorKind::NotFound if is_named_by_path && !file.exists() => {
            (format!("`{name}` does not exist"), "a path in `run:` is looked for from the repository's root")
        }
        ErrorKind::NotFound if is_named_by_path => {
            return Err(ScriptError::ProgramNotFound(format!("the interpreter in the first line of {name}")));
        }
        ErrorKind::NotFound => return Err(ScriptError::ProgramNotFound(name)),
        ErrorKind::PermissionDenied => {
            (format!("`{name}` is not executable"), "`chmod +x` it, or name its interpreter: [bash, \"{path}\"]")
        }
        _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => (
            format!("`{name}` is no program: it has no first line like #!/bin/sh"),
            "add one, or name its interpreter: [bash, \"{path}\"]",
        ),
        _ => return Err(ScriptError::io("start", file, error)),
    };
    Ok(ScriptEnd::NotStarted { class: CauseClass::Runtime, reason: "StartError", message, hint })
}
