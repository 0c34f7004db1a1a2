//! `run`: a program of the project's own. Exit code 0 passes.
//!
//! It starts as a script example does, in the repository's root, with `KUBECONFIG`, `NAMESPACE`, `EXAMPLE` and `EVIDENCE_DIR` in an
//! allow-listed environment.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Finding, Metering};
use crate::config::{Command, Run};
use crate::duration;
use crate::model::ExampleId;
use crate::trial::script::{self, Containers, Limits, Script, ScriptEnd, last_line};

/// Bytes of the output that are kept from its start, and from its end.
const HEAD: usize = 1024 * 1024;
const TAIL: usize = 3 * 1024 * 1024;
/// The exit code by which a shell says that it found no such program.
const NOT_FOUND: i32 = 127;
/// What to do then.
const NOT_FOUND_HINT: &str = "127 says that a program was not found: a check runs where example-validator does, which for the action is a container \
     of its own, without jq, curl or Python";

/// What a program needs, and what ends it.
pub struct RunContext<'a> {
    /// The example.
    pub example: &'a ExampleId,
    /// Its file on disk.
    pub path: &'a Path,
    /// The repository's root.
    pub root: &'a Path,
    /// The attempt's namespace.
    pub namespace: &'a str,
    /// A kubeconfig whose current context is the cluster.
    pub kubeconfig: &'a Path,
    /// The folder for files that are kept: `EVIDENCE_DIR`. A program's output is written there, redacted, as `check-<number>.log`.
    pub evidence: &'a Path,
    /// A folder for private files, which is not part of the evidence.
    pub scratch: &'a Path,
    /// This program's environment, of which an allow-list is passed on.
    pub environment: &'a [(OsString, OsString)],
    /// What `metrics` checks are evaluated with, if there is somewhere to ask.
    pub metrics: Option<Metering<'a>>,
    /// How long one program may take.
    pub timeout: Duration,
    /// The run was cancelled.
    pub cancel: &'a CancellationToken,
    /// Takes secrets out of a text: messages and outputs of all checks go through it.
    pub redact: &'a (dyn Fn(&str) -> String + Send + Sync),
}

/// The start and the end of an output, and how much was between them.
#[derive(Default)]
struct Output {
    head: Vec<u8>,
    tail: Vec<u8>,
    lost: usize,
}

impl Output {
    fn push(&mut self, chunk: &[u8]) {
        let (first, rest) = chunk.split_at(chunk.len().min(HEAD - self.head.len()));
        self.head.extend_from_slice(first);
        self.tail.extend_from_slice(rest);
        // Dropped in large pieces, so that not every chunk moves the rest.
        if self.tail.len() > 2 * TAIL {
            let excess = self.tail.len() - TAIL;
            self.tail.drain(..excess);
            self.lost += excess;
        }
    }

    fn text(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if self.lost == 0 {
            return text(&[self.head.as_slice(), &self.tail].concat());
        }
        format!("{}\n... {} bytes are left out here ...\n{}", text(&self.head), self.lost, text(&self.tail))
    }
}

/// Runs the program of the check at this place of the config.
pub(super) async fn evaluate(command: &Command, place: usize, context: &RunContext<'_>) -> Finding {
    let run = Run { image: None, command: command.clone() };
    let containers = Containers::default();
    let script = Script {
        run: &run,
        example: context.example,
        path: context.path,
        root: context.root,
        namespace: context.namespace,
        kubeconfig: context.kubeconfig,
        evidence: context.evidence,
        scratch: context.scratch,
        environment: context.environment,
        containers: &containers,
    };
    let limits = Limits { timeout: context.timeout, cancel: context.cancel.clone(), stop: CancellationToken::new() };
    let mut output = Output::default();
    let ended = script::run(&script, &limits, |chunk| output.push(chunk)).await;
    let text = (context.redact)(&output.text());
    let name = format!("check-{}.log", place + 1);
    // Evidence that can't be written changes no verdict.
    if let Err(error) = tokio::fs::write(context.evidence.join(&name), &text).await {
        tracing::warn!("can't write the output of a check to {name}: {error}");
    }
    match ended {
        Ok(ended) => judge(&ended.end, command, &text, context.timeout),
        Err(error) => Finding::Inconclusive(format!("`{}` could not be run: {error}", shown(command))),
    }
}

fn judge(end: &ScriptEnd, command: &Command, output: &str, timeout: Duration) -> Finding {
    let said = last_line(output).map(|line| format!(": {line}")).unwrap_or_default();
    let shown = shown(command);
    match end {
        ScriptEnd::Exited { code: 0 } => Finding::passed(last_line(output).unwrap_or_default()),
        ScriptEnd::Exited { code } => {
            let hint = if *code == NOT_FOUND { NOT_FOUND_HINT } else { "" };
            Finding::failed("CheckExited", format!("`{shown}` ended with exit code {code}{said}"), hint)
        }
        ScriptEnd::Signalled { signal } => {
            Finding::failed("CheckKilled", format!("`{shown}` was ended by signal {signal}{said}"), "")
        }
        ScriptEnd::TimedOut => {
            let message = format!("`{shown}` did not end within {}{said}", duration::format(timeout));
            Finding::failed("CheckTimedOut", message, "")
        }
        ScriptEnd::Cancelled | ScriptEnd::Stopped => Finding::Inconclusive(format!("`{shown}` was cancelled")),
        ScriptEnd::NotStarted { reason, message, hint, .. } => {
            Finding::failed(reason, format!("`{shown}`: {message}"), *hint)
        }
    }
}

/// The command as its author wrote it.
fn shown(command: &Command) -> String {
    let text = match command {
        Command::Argv(arguments) => arguments.join(" "),
        Command::Shell(line) => line.clone(),
    };
    super::one_line(&text, 120)
}
