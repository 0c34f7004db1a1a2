//! From the verdict on the objects to the verdict on the attempt: why it failed, by its logs, or whether its checks hold.

use std::time::Duration;

use super::Trial;
use super::logs::Logs;
use super::watching::Watching;
use crate::model::{Cause, Outcome};
use crate::report::{CheckResult, LogTail, Resources};
use crate::trial::checks::{Checks, Facts, Metering, RunContext};
use crate::trial::diagnosis::{self, ContainerEvidence, Evidence};
use crate::trial::judge::Judge;
use crate::trial::{Culprit, Verdict};

/// How much of the end of a log is read for a diagnosis.
const TAIL: u64 = 64 << 10;
/// Lines of a log that a person is shown.
const EXCERPT: usize = 20;
/// Logs besides the culprit's that are read.
const OTHERS: usize = 16;
/// How long an event that a check asks for may take to be seen, and how often it is looked.
const EVENTS: Duration = Duration::from_secs(5);
/// How long a program that checks may run.
const CHECK: Duration = Duration::from_secs(300);

impl Trial<'_, '_> {
    /// Explains a failure, or evaluates the checks of what passed.
    pub(super) async fn concluded(
        &self,
        mut verdict: Verdict,
        watching: &mut Watching<'_>,
        checks: &Checks,
        logs: &Logs,
        resources: Option<&Resources>,
    ) -> (Verdict, Vec<CheckResult>) {
        if let Some(cause) = verdict.cause.take() {
            verdict.cause = Some(self.explained(cause, verdict.culprit.as_ref(), watching.judge, logs));
            return (verdict, Vec::new());
        }
        if checks.awaits_event(watching.judge.events()) {
            watching.look_on(EVENTS, |judge| !checks.awaits_event(judge.events())).await;
        }
        let (results, cause) = self.checked(checks, watching.judge, logs, resources).await;
        if let Some(cause) = cause {
            if cause.reason == "LogsDidNotMatch" {
                self.searched(checks, logs);
            }
            verdict.outcome = Outcome::Failed;
            verdict.cause = Some(cause);
        }
        (verdict, results)
    }

    /// Keeps the end of a log in which a check found nothing, for a person to see what is there instead.
    fn searched(&self, checks: &Checks, logs: &Logs) {
        let tails = logs.tails(TAIL, OTHERS, None);
        let searched =
            tails.iter().rev().find(|(of, log)| checks.searches_in_vain(&of.container) && !log.trim().is_empty());
        if let Some((of, log)) = searched {
            self.excerpt(of, log);
        }
    }

    async fn checked(
        &self,
        checks: &Checks,
        judge: &Judge,
        logs: &Logs,
        resources: Option<&Resources>,
    ) -> (Vec<CheckResult>, Option<Cause>) {
        let (judged, pods, lost) = (judge.judged(), judge.pods(), logs.lost());
        let facts = Facts {
            object: judged.first().map(|object| &**object),
            events: judge.events(),
            pods: &pods,
            logs_lost: lost.as_deref(),
            incomplete: None,
            resources,
        };
        let redactor = self.world.redactor;
        let redact = |text: &str| redactor.text(text).into_owned();
        let context = RunContext {
            example: &self.cell.example.id,
            path: &self.cell.example.path,
            root: self.world.root,
            namespace: self.namespace,
            kubeconfig: &self.world.cluster.kubeconfig,
            evidence: self.folder.path(),
            scratch: self.world.scratch,
            environment: self.world.environment,
            metrics: self.metering(),
            timeout: CHECK,
            cancel: &self.turn.stop,
            redact: &redact,
        };
        checks.evaluate(&facts, &context).await
    }

    fn metering(&self) -> Option<Metering<'_>> {
        Some(Metering { meter: self.world.meter.as_ref()?, before: self.before.get()? })
    }

    /// The cause with what the logs say.
    fn explained(&self, cause: Cause, culprit: Option<&Culprit>, judge: &Judge, logs: &Logs) -> Cause {
        let pods = judge.pods();
        let pod = |name: &str| pods.iter().find(|pod| pod.pointer("/metadata/name").is_some_and(|own| own == name));
        let known: Vec<_> = logs
            .tails(TAIL, OTHERS, culprit)
            .into_iter()
            .map(|(of, log)| {
                let ended = pod(&of.pod).and_then(|pod| diagnosis::terminated(pod, &of));
                (of, log, ended)
            })
            .collect();
        if let Some((of, log, _)) = known.first().filter(|(of, ..)| culprit == Some(of)) {
            self.excerpt(of, log);
        }
        let evidence: Vec<_> = known
            .iter()
            .map(|(of, log, ended)| ContainerEvidence {
                pod: &of.pod,
                container: &of.container,
                exit_code: ended.map(|ended| ended.exit_code),
                finished_at: ended.map(|ended| ended.finished_at).filter(|at| !at.is_empty()),
                termination_message: ended.map_or("", |ended| ended.message),
                log,
            })
            .collect();
        let is_culprit =
            |known: &ContainerEvidence<'_>, of: &Culprit| known.pod == of.pod && known.container == of.container;
        let (mine, others): (Vec<_>, Vec<_>) =
            evidence.into_iter().partition(|known| culprit.is_some_and(|of| is_culprit(known, of)));
        let objects = judge.judged();
        let owners = culprit.and_then(|of| pod(&of.pod)).map(|pod| {
            let around = pods.iter().chain(&objects).map(|object| &**object);
            diagnosis::owner_chain(pod, around.collect::<Vec<_>>())
        });
        diagnosis::diagnose(
            cause,
            &Evidence {
                culprit: mine.first().copied(),
                others: &others,
                owners: owners.as_deref().unwrap_or_default(),
            },
        )
    }

    /// Keeps the end of the log of who is to blame, for the console and the summary.
    fn excerpt(&self, of: &Culprit, log: &str) {
        let lines = diagnosis::excerpt(log, EXCERPT);
        if lines.is_empty() {
            return;
        }
        let tail = LogTail { of: format!("Pod/{}, container {}", of.pod, of.container), lines };
        let mut logs = self.world.logs.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        logs.push((self.cell.example.id.clone(), self.cell.kubernetes.to_owned(), tail));
    }
}
