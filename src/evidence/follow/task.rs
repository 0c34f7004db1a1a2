//! Reads one run's log to its end, whatever the server does in between.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{AsyncBufRead, AsyncBufReadExt};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::lines::Lines;
use super::position::{Part, Position};
use super::runs::{Phase, Run};
use super::{LogLine, LogSummary, OnLine};
use crate::evidence::LogFile;

/// How long a stream must be silent before what has come is brought to disk.
const IDLE: Duration = Duration::from_millis(500);
/// How long the log of a container that goes on running must be silent before it is left, once the attempt is over.
const SILENT: Duration = Duration::from_millis(250);
/// How long such a container may go on to print before it is left all the same.
const CHATTY: Duration = Duration::from_secs(1);
/// How long after the end of a stream its container may still be shown as running: the kubelet tells its ends with a delay.
const SETTLING: Duration = Duration::from_secs(3);
/// The waits between attempts that fail: doubled up to the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How often in a row a request for the log of a container that has ended may fail.
const TRIES: u32 = 6;

/// What a task shares with its follower.
pub(super) struct Shared {
    pub api: Api<Pod>,
    /// Bounds the streams that last as long as their containers.
    pub follows: Arc<Semaphore>,
    /// Bounds the requests that are over soon: never held by the others.
    pub fetches: Arc<Semaphore>,
    pub on_line: Option<OnLine>,
    /// The attempt is over: whoever still runs is left.
    pub finishing: watch::Receiver<bool>,
    /// Time is up.
    pub stop: CancellationToken,
}

/// One run's log being read.
pub(super) struct Task {
    pub shared: Arc<Shared>,
    pub run: Run,
    pub phase: watch::Receiver<Phase>,
    pub file: LogFile,
    pub lines: Lines,
    pub position: Position,
    /// Why the log may not be whole.
    pub note: Option<String>,
}

/// How a request ended.
enum End {
    /// The server sent all that it has.
    Whole,
    /// It was left, since the attempt is over, or because how the log can be had has changed.
    Left,
    /// The attempt was over before a stream was had: what there is, is fetched once.
    Again,
    /// It failed: the status code, 0 if there was none, and what is known.
    Failed(u16, String),
    /// It can't be written.
    Disk(std::io::Error),
}

impl Task {
    /// Reads the log, and closes its file.
    pub(super) async fn run(mut self) -> LogSummary {
        let complete = self.read().await;
        let (run, on_line) = (&self.run, self.shared.on_line.as_ref());
        self.lines.end(|text| tell(on_line, run, text));
        let relative = self.file.relative().to_owned();
        let path = self.file.path().to_owned();
        let kept = self.file.close().unwrap_or_else(|error| {
            self.note.get_or_insert(format!("can't write the log: {error}"));
            crate::evidence::Kept::default()
        });
        let Run { pod, container, restart, .. } = self.run;
        LogSummary { pod, container, restart, path, relative, kept, complete, note: self.note }
    }

    /// Reads until the log is whole, can't be had, or is no longer wanted; whether it is whole.
    async fn read(&mut self) -> bool {
        let mut failures = 0;
        loop {
            if self.shared.stop.is_cancelled() {
                self.note.get_or_insert_with(|| "the time to read it was up".into());
                return false;
            }
            let phase = *self.phase.borrow();
            if phase == Phase::Lost {
                self.note.get_or_insert_with(|| "the container was restarted again before its log was read".into());
                return false;
            }
            let (had, finishing) = (self.position.is_started(), self.finishing());
            match self.fetch(phase).await {
                End::Whole if phase != Phase::Running || finishing => return phase != Phase::Running,
                End::Whole => {
                    if self.settle().await {
                        return true;
                    }
                }
                End::Left => {
                    if self.finishing() && *self.phase.borrow() == Phase::Running {
                        return false;
                    }
                }
                End::Again => continue,
                End::Disk(error) => {
                    self.note = Some(format!("can't write the log: {error}"));
                    return false;
                }
                End::Failed(status, why) => {
                    failures = if had == self.position.is_started() { failures + 1 } else { 1 };
                    let hopeless = status == 404 || (failures >= TRIES && *self.phase.borrow() != Phase::Running);
                    self.note = Some(why);
                    if hopeless || (finishing && *self.phase.borrow() == Phase::Running) {
                        return false;
                    }
                    self.pause(failures).await;
                    continue;
                }
            }
            (failures, self.note) = (0, None);
        }
    }

    fn finishing(&self) -> bool {
        *self.shared.finishing.borrow()
    }

    /// After the clean end of a followed log: waits until its container is shown as ended. If it goes on, the connection was
    /// only closed, and the answer is no.
    async fn settle(&mut self) -> bool {
        let stop = self.shared.stop.clone();
        let mut finishing = self.shared.finishing.clone();
        tokio::select! {
            ended = self.phase.wait_for(|phase| *phase != Phase::Running) => ended.is_ok(),
            _ = finishing.wait_for(|finishing| *finishing) => true,
            () = tokio::time::sleep(SETTLING) => false,
            () = stop.cancelled() => true,
        }
    }

    /// Waits before the next attempt; less if something changes.
    async fn pause(&mut self, failures: u32) {
        let wait = BACKOFF.0.saturating_mul(1 << failures.min(10).saturating_sub(1)).min(BACKOFF.1);
        let stop = self.shared.stop.clone();
        let mut finishing = self.shared.finishing.clone();
        let finished = *finishing.borrow_and_update();
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = self.phase.changed() => {}
            _ = finishing.changed(), if !finished => {}
            () = stop.cancelled() => {}
        }
    }

    /// One request, from where the log was left off.
    async fn fetch(&mut self, phase: Phase) -> End {
        let shared = Arc::clone(&self.shared);
        let follow = phase == Phase::Running && !self.finishing();
        let permits = if follow { &shared.follows } else { &shared.fetches };
        let (mut finishing, mut phases) = (shared.finishing.clone(), self.phase.clone());
        let _permit = tokio::select! {
            permit = permits.acquire() => permit,
            // A container that ended while it waited is fetched like others that did.
            _ = phases.wait_for(|now| *now != phase) => return End::Left,
            _ = finishing.wait_for(|finishing| *finishing), if follow => return End::Again,
            () = shared.stop.cancelled() => return End::Left,
        };
        let params = LogParams {
            container: Some(self.run.container.clone()),
            follow,
            previous: phase == Phase::Previous,
            timestamps: true,
            since_time: self.position.since(),
            ..LogParams::default()
        };
        // The answer to a request to follow may come only with the container's first output.
        let answer = tokio::select! {
            answer = shared.api.log_stream(&self.run.pod, &params) => answer,
            _ = finishing.wait_for(|finishing| *finishing), if follow && *self.phase.borrow() == Phase::Running => {
                return End::Again;
            }
            () = shared.stop.cancelled() => return End::Left,
        };
        match answer {
            Ok(reader) => self.receive(pin!(reader), follow).await,
            Err(kube::Error::Api(status)) => End::Failed(status.code, status.message),
            Err(error) => End::Failed(0, error.to_string()),
        }
    }

    /// Takes a stream to its end.
    async fn receive(&mut self, mut reader: impl AsyncBufRead + Unpin, follow: bool) -> End {
        let mut finishing = self.shared.finishing.clone();
        let mut part = Part::new(&mut self.position);
        let (mut text, mut dirty) = (Vec::new(), false);
        let mut leaving_since = None;
        let end = loop {
            let leaving = follow && *finishing.borrow_and_update() && *self.phase.borrow() == Phase::Running;
            if leaving && leaving_since.get_or_insert_with(Instant::now).elapsed() > CHATTY {
                break End::Left;
            }
            let idle = if leaving { SILENT } else { IDLE };
            let chunk = tokio::select! {
                chunk = reader.fill_buf() => chunk,
                () = tokio::time::sleep(idle), if leaving || dirty => {
                    if leaving {
                        break End::Left;
                    }
                    dirty = false;
                    if let Err(error) = self.file.flush() {
                        break End::Disk(error);
                    }
                    continue;
                }
                changed = finishing.changed(), if follow && !leaving => {
                    if changed.is_err() {
                        break End::Left;
                    }
                    continue;
                }
                () = self.shared.stop.cancelled() => break End::Left,
            };
            let length = match chunk {
                Ok([]) => break End::Whole,
                Ok(chunk) => {
                    part.push(chunk, &mut text);
                    chunk.len()
                }
                Err(error) => break End::Failed(0, format!("the log's stream was cut: {error}")),
            };
            reader.consume_unpin(length);
            if let Err(error) =
                take(&mut self.file, &mut self.lines, self.shared.on_line.as_ref(), &self.run, &mut text)
            {
                break End::Disk(error);
            }
            dirty = true;
        };
        let remark = part.end(&mut text);
        match take(&mut self.file, &mut self.lines, self.shared.on_line.as_ref(), &self.run, &mut text) {
            Err(error) => End::Disk(error),
            Ok(()) => match (end, remark) {
                (End::Whole, Some(remark)) => End::Failed(0, remark),
                (end, _) => end,
            },
        }
    }
}

/// Puts text where it belongs, and empties it.
fn take(
    file: &mut LogFile,
    lines: &mut Lines,
    on_line: Option<&OnLine>,
    run: &Run,
    text: &mut Vec<u8>,
) -> std::io::Result<()> {
    if on_line.is_some() {
        lines.push(text, |line| tell(on_line, run, line));
    }
    let written = file.write(text);
    text.clear();
    written
}

fn tell(on_line: Option<&OnLine>, run: &Run, text: &str) {
    if let Some(on_line) = on_line {
        on_line(&LogLine { pod: &run.pod, container: &run.container, restart: run.restart, text });
    }
}
