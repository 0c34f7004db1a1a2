//! One attempt at a cell: its namespace, its objects, what is watched of them, the verdict, the checks, the evidence, and that
//! nothing of it stays.

mod conclude;
mod evidence;
mod logs;
mod script;
mod watching;
mod world;

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ApiResource;
use serde_json::{Map, Value as Json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::apply::{self, Applied, AppliedObject, Refused};
use super::cells::{Cell, Turn};
use super::checks::Checks;
use super::cleanup::Traces;
use super::hub::{Subscription, WatchError};
use super::isolate::{self, Identity, Isolated};
use super::judge::{Judge, JudgedObject, Subject};
use super::metrics::Before;
use super::resources::Share;
use super::{Attempted, Change, Moment, Phases, Verdict};
use crate::cluster::discovery::Lookup;
use crate::error::chain;
use crate::evidence::{Folder, LogFollower, LogLine, OnLine};
use crate::model::{Cause, CauseClass, Expect, Outcome};
use crate::report::{Attempt, CheckResult, Resources};
use logs::LogDesk;
use watching::Watching;
pub use world::World;

/// How long a kind may take to be listed for the first time.
const LISTING: Duration = Duration::from_secs(30);
/// How long logs may take to be whole once there is a verdict.
const LOGS: Duration = Duration::from_secs(10);
/// The same, when the run was cancelled.
const LOGS_CANCELLED: Duration = Duration::from_secs(1);
/// How long an attempt that was told to stop may take to come to its end in good order.
const STOPPING: Duration = Duration::from_millis(2500);

/// Tries a cell once. Whatever happens, there is an answer, and what was made on the cluster is given to those who delete it.
pub async fn attempt(world: &World<'_>, cell: &Cell<'_>, turn: Turn) -> Attempted {
    let asked = (Instant::now(), Timestamp::now());
    let identity = Identity {
        run: world.run_id,
        example: &cell.example.id,
        kubernetes: Some(cell.kubernetes),
        attempt: turn.number,
    };
    let namespace = identity.namespace();
    let folder = world.evidence.attempt(cell.kubernetes, &cell.example.id, turn.number);
    let stop = turn.stop.clone();
    let (made, before, began) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
    let samples = world.sampler.join(&namespace, asked.0);
    let trial = Trial {
        world,
        cell,
        turn,
        asked,
        began: &began,
        namespace: &namespace,
        folder: &folder,
        made: &made,
        before: &before,
        samples: &samples,
    };
    let mut changes = world.hub.join(&namespace);
    let tried = tokio::select! {
        biased;
        tried = trial.tried(&identity, &mut changes) => tried,
        // The API server does not answer in time.
        () = lapsed(&stop, STOPPING) => trial.stopped(made.get().cloned(), Phases::default()),
    };
    let tried = excused(tried, world, asked.0);
    let (started, at) = trial.started();
    let duration = started.elapsed();
    trial.keep(&tried, &changes.objects());
    drop(changes);
    drop(samples);
    tokio::select! {
        biased;
        () = world.janitor.take(tried.traces, !cell.locks.is_empty()) => {}
        // No other example follows that would have to wait for it.
        () = stop.cancelled() => {}
    }
    Attempted {
        attempt: Attempt {
            outcome: tried.verdict.outcome,
            namespace: namespace.clone(),
            started_at: at.to_string(),
            phases: phases(&tried.phases),
        },
        cause: tried.verdict.cause.map(|cause| world.redacted(cause)),
        checks: tried.checks.into_iter().map(|check| world.redacted_check(check)).collect(),
        resources: tried.resources.map(|resources| world.redacted_resources(resources)),
        duration,
        evidence: Some(folder.relative().to_owned()),
    }
}

/// Of a cell that ended badly while the operator was not up, nothing is known, unless the example's own files or images are to blame.
fn excused(mut tried: Tried, world: &World<'_>, started: Instant) -> Tried {
    let of_its_own = |cause: &Cause| {
        matches!(cause.class, CauseClass::Manifest | CauseClass::Admission | CauseClass::Image | CauseClass::Internal)
    };
    let is_bad = matches!(tried.verdict.outcome, Outcome::Failed | Outcome::TimedOut)
        && !tried.verdict.cause.as_ref().is_some_and(of_its_own);
    if is_bad && let Some(cause) = world.operator.as_ref().and_then(|operator| operator.since(started)) {
        tried.notes.extend(tried.verdict.cause.take().map(|cause| format!("without that: {}", cause.message)));
        tried.verdict.outcome = Outcome::Errored;
        tried.verdict.cause = Some(cause);
    }
    tried
}

/// Waits until it is `patience` ago that `stop` was cancelled.
async fn lapsed(stop: &CancellationToken, patience: Duration) {
    stop.cancelled().await;
    tokio::time::sleep(patience).await;
}

/// What an attempt is made of.
struct Trial<'t, 'w> {
    world: &'t World<'w>,
    cell: &'t Cell<'t>,
    turn: Turn,
    /// When it was asked for.
    asked: (Instant, Timestamp),
    /// When it began to make its namespace. What was waited for until then is ours, and no part of how long the example takes.
    began: &'t OnceLock<(Instant, Timestamp)>,
    namespace: &'t str,
    folder: &'t Folder,
    /// What it may have made, from the moment at which it begins to make something.
    made: &'t OnceLock<Traces>,
    /// The metrics before that, where checks compare with them.
    before: &'t OnceLock<Before>,
    /// What its pods use.
    samples: &'t Share,
}

/// What an attempt came to.
struct Tried {
    verdict: Verdict,
    checks: Vec<CheckResult>,
    /// What its pods used, if any ran.
    resources: Option<Resources>,
    phases: Phases,
    /// What it may have made; `None` before anything was.
    traces: Option<Traces>,
    /// What the API server answered for each object.
    applied: Vec<Arc<Json>>,
    /// Lines for a person who reads the evidence.
    notes: Vec<String>,
}

impl Trial<'_, '_> {
    /// Tries it, from its isolation to its checks.
    async fn tried(&self, identity: &Identity<'_>, changes: &mut Subscription) -> Tried {
        let prepared = async {
            let isolated = self.isolated(identity).await.map_err(|refused| *refused)?;
            self.read_metrics().await;
            self.watch_kinds().await.map_err(|error| unwatched(&error))?;
            Ok::<_, Refused>(isolated)
        };
        let isolated = tokio::select! {
            biased;
            () = self.turn.stop.cancelled() => return self.stopped(None, Phases::default()),
            prepared = prepared => match prepared {
                Ok(isolated) => isolated,
                Err(refused) => return self.untried(refused, None),
            }
        };
        self.begin();
        let traces = Traces::of(&isolated);
        let _ = self.made.set(traces.clone());
        let applied = tokio::select! {
            biased;
            () = self.turn.stop.cancelled() => return self.stopped(Some(traces), Phases::default()),
            applied = apply::apply(&self.world.target, &isolated) => applied,
        };
        let applied = match applied {
            Ok(applied) => applied,
            Err(refused) => return self.untried(*refused, Some(traces)),
        };
        let mut notes: Vec<_> =
            isolated.notes.iter().map(|note| format!("{}:{}: {}", note.file, note.line, note.message)).collect();
        tokio::select! {
            biased;
            () = self.turn.stop.cancelled() => return self.stopped(Some(traces), Phases::default()),
            told = self.start_cron_jobs(&applied) => notes.extend(told),
        }
        let answers = applied.objects.iter().map(|made| Arc::clone(&made.object)).collect();
        let mut tried = self.judged(&applied, traces, changes).await;
        tried.notes.splice(..0, notes);
        Tried { applied: answers, ..tried }
    }

    /// Starts the CronJobs that are judged, whose time may not come; says which could not be.
    async fn start_cron_jobs(&self, applied: &Applied) -> Vec<String> {
        let mut notes = Vec::new();
        for made in applied.objects.iter().filter(|made| self.is_judged(made) && apply::cron::is_startable(made)) {
            if let Err(error) = apply::cron::start(&self.world.target, made).await {
                notes.push(format!("CronJob/{} waits for its schedule: {}", made.name, chain(&error)));
            }
        }
        notes
    }

    /// Starts the clock that the report goes by.
    fn begin(&self) {
        let (now, _) = *self.began.get_or_init(|| (Instant::now(), Timestamp::now()));
        self.samples.starts(now);
    }

    /// When it started, as the report has it: what never began did when it was asked for.
    fn started(&self) -> (Instant, Timestamp) {
        self.began.get().copied().unwrap_or(self.asked)
    }

    /// Reads what metrics checks compare with. What other attempts leave would still move what one that runs alone looks at.
    async fn read_metrics(&self) {
        let Some(meter) = &self.world.meter else { return };
        if self.cell.alone {
            self.world.janitor.idle().await;
        }
        let _ = self.before.set(Before::read(meter, &self.cell.example.settings.checks, self.namespace).await);
    }

    async fn isolated(&self, identity: &Identity<'_>) -> Result<Isolated<'_>, Box<Refused>> {
        let example = self.cell.example;
        let needs = isolate::needs(example, self.world.catalog);
        let objects = needs.iter().copied().chain([example]).flat_map(|part| &part.objects);
        let scopes = self.world.target.discovery.scopes(objects).await;
        let scopes = scopes.map_err(|error| Box::new(apply::of_request(&example.id.to_string(), &error)))?;
        let mut isolated = isolate::isolate(example, &needs, identity, &scopes)
            .map_err(|cause| Box::new(Refused { outcome: Outcome::Errored, cause: *cause }))?;
        apply::adopt_labels(&self.world.target, &mut isolated).await;
        for item in &mut isolated.objects {
            self.world.images.apply(&mut item.json);
        }
        Ok(isolated)
    }

    /// Makes sure that what is to be judged is watched before it is made.
    async fn watch_kinds(&self) -> Result<(), WatchError> {
        let judged = self.cell.example.judged.iter().map(|index| &self.cell.example.objects[*index]);
        let mut kinds: Vec<ApiResource> = Vec::new();
        for object in judged {
            // A kind that is not served is refused when it is applied, with all that is to be said about that; one that the
            // example's own CRD brings is watched once it is there.
            if let Ok(Lookup::Found(served)) = self.world.target.discovery.find(&object.api_version, &object.kind).await
                && !kinds.contains(&served.resource)
            {
                kinds.push(served.resource);
            }
        }
        self.world.hub.watch(&kinds, LISTING).await
    }

    /// Watches what was applied until there is a verdict.
    async fn judged(&self, applied: &Applied, traces: Traces, changes: &mut Subscription) -> Tried {
        let checks = match Checks::new(&self.cell.example.settings.checks) {
            Ok(checks) => checks,
            Err(error) => return self.untried(internal("BadCheck", error.to_string()), Some(traces)),
        };
        // A kind that the example itself defined could not be watched before.
        let judged = applied.objects.iter().filter(|made| self.is_judged(made)).map(|made| made.resource.clone());
        if let Err(error) = self.world.hub.watch(&judged.collect::<Vec<_>>(), LISTING).await {
            return self.untried(unwatched(&error), Some(traces));
        }
        let mut judge = Judge::new(self.subject(applied));
        let accepted = judge.applied(applied.finished - self.started().0);
        let desk = self.open_logs(&checks);
        let mut watching = Watching {
            judge: &mut judge,
            changes,
            logs: &desk,
            samples: self.samples,
            hub: &self.world.hub,
            discovery: &self.world.target.discovery,
            started: self.started().0,
            others_hold_room: self.turn.others_hold_room.clone(),
            between: HashSet::new(),
            cancel: &self.turn.stop,
        };
        let stop = &self.turn.stop;
        let verdict = match (&self.cell.example.settings.run, accepted) {
            (_, Some(verdict)) => Some(verdict),
            (Some(run), None) => self.scripted(run, &mut watching, &checks).await,
            (None, None) => watching.verdict().await,
        };
        let Some(verdict) = verdict else {
            desk.close(LOGS_CANCELLED, lapsed(stop, LOGS_CANCELLED)).await;
            let notes = vec![format!("it waited for: {}", judge.waiting_for())];
            return Tried { notes, ..self.stopped(Some(traces), judge.phases()) };
        };
        self.samples.hurry();
        desk.look(&Api::namespaced(self.world.cluster.client.clone(), self.namespace), LOGS).await;
        let logs = desk.close(LOGS, lapsed(stop, LOGS_CANCELLED)).await;
        // A pod that came and went before its object was told of is known by now.
        watching.changes.objects().into_iter().for_each(|object| self.samples.told(&Change::Seen(object)));
        let resources = self.samples.figures();
        let (verdict, checks) = self.concluded(verdict, &mut watching, &checks, &logs, resources.as_ref()).await;
        Tried {
            verdict,
            checks,
            resources,
            phases: judge.phases(),
            traces: Some(traces),
            applied: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// What is judged: the objects of the example under the names that the server gave them.
    fn subject(&self, applied: &Applied) -> Subject {
        let example = self.cell.example;
        let judged =
            applied.objects.iter().filter(|made| made.indices.iter().any(|index| example.judged.contains(index)));
        let judged = judged.filter_map(|made| {
            let object = made.indices.first().map(|index| &example.objects[*index])?;
            let framework = self.world.frameworks.find(object).or_else(|| self.world.frameworks.generic(object))?;
            Some(JudgedObject {
                api_version: object.api_version.clone(),
                kind: object.kind.clone(),
                name: made.name.clone(),
                framework,
            })
        });
        Subject {
            judged: judged.collect(),
            companion: example.settings.run.is_some(),
            expect: example.settings.expect,
            timeout: example.settings.timeout,
            graces: self.world.config.graces.clone(),
            frameworks: self.world.frameworks.clone(),
        }
    }

    fn is_judged(&self, made: &AppliedObject) -> bool {
        made.indices.iter().any(|index| self.cell.example.judged.contains(index))
    }

    fn open_logs(&self, checks: &Checks) -> LogDesk {
        let scan = checks.scan();
        let on_line: Option<OnLine> = (!scan.is_empty())
            .then(|| Arc::new(move |line: &LogLine<'_>| scan.line(line.pod, line.container, line.text)) as OnLine);
        let client = self.world.cluster.client.clone();
        let follower = LogFollower::new(&self.world.follow, self.namespace, self.folder.clone(), on_line);
        LogDesk::open(Api::<Secret>::namespaced(client, self.namespace), self.world.redactor.clone(), follower)
    }

    /// An attempt that did not get as far as to be watched.
    fn untried(&self, refused: Refused, traces: Option<Traces>) -> Tried {
        let expected = self.cell.example.settings.expect == Expect::Rejected && refused.is_rejection();
        let (outcome, cause) = if expected { (Outcome::Passed, None) } else { (refused.outcome, Some(refused.cause)) };
        let at = self.now();
        Tried {
            verdict: Verdict { outcome, cause, culprit: None, at },
            checks: Vec::new(),
            resources: None,
            phases: Phases { finished: Some(at), ..Phases::default() },
            traces,
            applied: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// An attempt that was told to stop.
    fn stopped(&self, traces: Option<Traces>, phases: Phases) -> Tried {
        let at = self.now();
        Tried {
            verdict: Verdict { outcome: Outcome::Errored, cause: None, culprit: None, at },
            checks: Vec::new(),
            resources: None,
            phases,
            traces,
            applied: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn now(&self) -> Moment {
        self.started().0.elapsed()
    }
}

/// The phases as the report has them.
fn phases(phases: &Phases) -> Map<String, Json> {
    let named = [
        ("applyMs", phases.applied),
        ("scheduledMs", phases.scheduled),
        ("runningMs", phases.running),
        ("finishedMs", phases.finished),
    ];
    let reached = named.into_iter().filter_map(|(name, moment)| {
        let millis = u64::try_from(moment?.as_millis()).unwrap_or(u64::MAX);
        Some((name.to_owned(), Json::from(millis)))
    });
    reached.collect()
}

fn unwatched(error: &WatchError) -> Refused {
    Refused { outcome: Outcome::Errored, cause: error.cause() }
}

fn internal(reason: &str, message: String) -> Refused {
    Refused { outcome: Outcome::Errored, cause: Cause::new(CauseClass::Internal, reason, message) }
}
