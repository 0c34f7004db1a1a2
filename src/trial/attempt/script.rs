//! A script example inside its attempt: the script runs, and what appears in its namespace is judged beside it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Trial;
use super::watching::Watching;
use crate::config::Run;
use crate::evidence::LogFile;
use crate::model::Expect;
use crate::trial::Verdict;
use crate::trial::checks::{Checks, LogScan};
use crate::trial::diagnosis::{self, ContainerEvidence, Evidence};
use crate::trial::script::{self, Ended, Limits, Script, ScriptEnd, Seen};

/// How long a script may take to notice by itself what the judge has noticed.
const NOTICE: Duration = Duration::from_secs(10);
/// How long what a script has done may take to be told by the watches, once it has ended well.
const ECHO: Duration = Duration::from_secs(2);
/// The names under which its output is kept and checked.
const POD: &str = "script";
const CONTAINER: &str = "output";
/// Bytes of a line; a longer one is looked at in pieces.
const LONGEST_LINE: usize = 64 << 10;

impl Trial<'_, '_> {
    /// Runs the script to its end; `None` if the run was cancelled.
    pub(super) async fn scripted(&self, run: &Run, watching: &mut Watching<'_>, checks: &Checks) -> Option<Verdict> {
        let stop = CancellationToken::new();
        let settings = &self.cell.example.settings;
        let limits = Limits { timeout: settings.timeout, cancel: self.turn.stop.clone(), stop: stop.clone() };
        let evidence = self.folder.path().join("files");
        let image =
            run.image.as_ref().map(|image| self.world.images.of(image).map_or_else(|| image.clone(), |(tag, _)| tag));
        let run = Run { image, ..run.clone() };
        let script = Script {
            run: &run,
            example: &self.cell.example.id,
            path: &self.cell.example.path,
            root: self.world.root,
            namespace: self.namespace,
            kubeconfig: &self.world.cluster.kubeconfig,
            evidence: &evidence,
            scratch: self.world.scratch,
            environment: self.world.environment,
            containers: &self.world.containers,
        };
        let output = Mutex::new(self.output(checks));
        let running = script::run(&script, &limits, |chunk| {
            output.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(chunk);
        });
        let mut running = std::pin::pin!(running);
        let (ended, objects) = tokio::select! {
            ended = &mut running => (ended, None),
            objects = watching.verdict() => {
                let ended = if let Ok(ended) = tokio::time::timeout(NOTICE, &mut running).await {
                    ended
                } else {
                    stop.cancel();
                    running.await
                };
                (ended, objects)
            }
        };
        if self.turn.stop.is_cancelled() {
            return None;
        }
        let objects = match (&ended, objects) {
            (Ok(ended), None) if ended.end == (ScriptEnd::Exited { code: 0 }) => {
                tokio::time::timeout(ECHO, watching.verdict()).await.ok().flatten()
            }
            (_, objects) => objects,
        };
        let verdict = script::verdict(&Seen {
            example: &self.cell.example.id,
            expect: match settings.expect {
                Expect::Running => Expect::Succeeded,
                expect => expect,
            },
            timeout: settings.timeout,
            end: ended.as_ref().map(|ended| &ended.end),
            line: None,
            objects: objects.as_ref(),
            at: self.now(),
        });
        Some(match &ended {
            Ok(ended) if verdict.culprit.is_none() => self.explained_by_output(verdict, ended),
            _ => verdict,
        })
    }

    /// The verdict with what the script's own output says.
    fn explained_by_output(&self, verdict: Verdict, ended: &Ended) -> Verdict {
        let tail = self.world.redactor.text(&ended.tail);
        let output = ContainerEvidence { exit_code: ended.end.exit_code(), log: &tail, ..ContainerEvidence::default() };
        let evidence = Evidence { culprit: Some(output), ..Evidence::default() };
        Verdict { cause: verdict.cause.map(|cause| diagnosis::diagnose(cause, &evidence)), ..verdict }
    }

    /// Where the script's output goes: into the evidence, and past the checks.
    fn output(&self, checks: &Checks) -> Output {
        let log = self.folder.log(POD, CONTAINER, 0);
        if let Err(error) = &log {
            tracing::warn!("the output of {} is not kept: {error}", self.cell.example.id);
        }
        Output { log: log.ok(), scan: checks.scan(), line: Vec::new() }
    }
}

/// Takes a script's output as it comes.
struct Output {
    log: Option<LogFile>,
    scan: Arc<LogScan>,
    /// The line that is not complete yet.
    line: Vec<u8>,
}

impl Output {
    fn push(&mut self, chunk: &[u8]) {
        if let Some(log) = &mut self.log
            && let Err(error) = log.write(chunk)
        {
            tracing::warn!("the rest of a script's output is not kept: {error}");
            self.log = None;
        }
        for byte in chunk {
            if *byte == b'\n' || self.line.len() >= LONGEST_LINE {
                self.end_of_line();
            }
            if *byte != b'\n' {
                self.line.push(*byte);
            }
        }
    }

    fn end_of_line(&mut self) {
        let text = String::from_utf8_lossy(&self.line);
        self.scan.line(POD, CONTAINER, text.trim_end_matches('\r'));
        self.line.clear();
    }
}

impl Drop for Output {
    /// The last line may have no end.
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.end_of_line();
        }
        if let Some(log) = self.log.take()
            && let Err(error) = log.close()
        {
            tracing::warn!("the end of a script's output is not kept: {error}");
        }
    }
}
