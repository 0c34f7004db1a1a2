//! The verdict: a state machine that is fed with the changes of watched objects, each with its moment, and says what an
//! attempt comes to at the first moment at which nothing more can change it. It does no I/O and reads no clock.
//!
//! ```text
//! Change -> intake (ownership, pods, troubles) -> agenda (what is due, and when) -> Verdict
//! ```
//!
//! Three things end an attempt: its judged objects say so; a trouble that can't pass outlives its grace; its time is up.
//! A trouble is remembered from the first sign of it until it is seen to have passed, and `agenda` holds the moment of
//! everything that would be a verdict if nothing else came: [`Judge::wake_at`] is the earliest of them.

mod account;
mod agenda;
mod creating;
mod dependency;
mod ending;
mod expectation;
mod finding;
pub(crate) mod images;
mod intake;
mod ownership;
mod pod;
mod pod_signs;
mod read;
mod scheduling;
mod starting;
#[cfg(test)]
mod tests;
mod time;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use crate::config::Graces;
use crate::framework::{Framework, Frameworks, State};
use crate::model::Expect;
use crate::trial::{Change, Moment, Phases, Verdict};

use finding::Troubles;
use ownership::{Named, Ownership, Target};
use pod::Pod;
pub(crate) use read::one_line;
use time::Clock;

/// What is judged, and by which rules.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The judged objects, as they were applied.
    pub judged: Vec<JudgedObject>,
    /// Whether this accompanies a script: every object without an owner that appears and that `frameworks` describes is
    /// judged too, only failure and stuckness are verdicts, and there is no time-out (the script has one).
    pub companion: bool,
    /// What the example has to do to pass.
    pub expect: Expect,
    /// How long its pods may take from the moment at which they can run.
    pub timeout: Duration,
    /// How long each bad sign may last.
    pub graces: Graces,
    /// The kinds that can be judged.
    pub frameworks: Frameworks,
}

/// One object that is judged.
#[derive(Clone, Debug)]
pub struct JudgedObject {
    /// `batch/v1`.
    pub api_version: String,
    /// `Job`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What describes its states.
    pub framework: Arc<Framework>,
}

/// What the objects of the namespace don't show: it holds until it is told otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// Other cells of this run hold resources that they will give back: a pod without room may get it.
    pub others_hold_room: bool,
    /// The API server answers. While it does not, nothing that is silent is held against the example.
    pub api_reachable: bool,
    /// What is wrong with the nodes, where something is.
    pub node_trouble: Option<String>,
    /// What is wrong with the operator, where something is: not ready, restarted.
    pub operator_trouble: Option<String>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { others_hold_room: false, api_reachable: true, node_trouble: None, operator_trouble: None }
    }
}

/// A judged object, as far as it is known.
#[derive(Debug)]
struct Judged {
    object: JudgedObject,
    seen: Option<Arc<Json>>,
    state: State,
    /// Since when it is in this state.
    since: Moment,
    /// Since when it does what `expect: running` asks for.
    runs: Option<Moment>,
    /// When it, or something of it, last changed.
    progress: Moment,
    gone: bool,
    /// The selector of its other pods.
    selector: Option<String>,
    /// The object that it owns and whose failure is its own (a CronJob's Job).
    failed_child: Option<Arc<Json>>,
}

/// All events that were seen, each in its latest state, in the order in which they were seen first.
#[derive(Debug, Default)]
struct Events {
    all: Vec<Arc<Json>>,
    index: HashMap<String, usize>,
}

/// Judges one attempt.
#[derive(Debug)]
pub struct Judge {
    subject: Subject,
    judged: Vec<Judged>,
    /// The judged objects, as owners; the same order.
    targets: Vec<Target>,
    ownership: Ownership,
    pods: Vec<Pod>,
    pod_index: HashMap<String, usize>,
    /// Objects that events named before they were seen.
    mentioned: HashMap<String, Named>,
    /// Events of pods that were not seen yet.
    early: HashMap<String, Vec<Arc<Json>>>,
    events: Events,
    troubles: Troubles,
    /// What events say of claims that are not bound.
    claims: HashMap<String, String>,
    /// Nodes that are not ready: since when, and why.
    ill_nodes: HashMap<String, (Moment, String)>,
    /// Nodes with a taint that the cluster itself gives to those that must not run pods now.
    unfit_nodes: HashSet<String>,
    /// The pods that failed for good and when that was seen, by what replaces them.
    failures: HashMap<String, HashMap<String, Moment>>,
    /// When the last of those pods that succeeded did, by what makes them.
    successes: HashMap<String, Moment>,
    /// The Jobs that say how often they may fail.
    patient_jobs: HashSet<String>,
    around: Surroundings,
    clock: Clock,
    phases: Phases,
    verdict: Option<Verdict>,
}

impl Judge {
    /// A judge who has seen nothing.
    #[must_use]
    pub fn new(subject: Subject) -> Self {
        let mut judge = Self {
            judged: Vec::new(),
            targets: Vec::new(),
            ownership: Ownership::default(),
            pods: Vec::new(),
            pod_index: HashMap::new(),
            mentioned: HashMap::new(),
            early: HashMap::new(),
            events: Events::default(),
            troubles: Troubles::default(),
            claims: HashMap::new(),
            ill_nodes: HashMap::new(),
            unfit_nodes: HashSet::new(),
            failures: HashMap::new(),
            successes: HashMap::new(),
            patient_jobs: HashSet::new(),
            around: Surroundings::default(),
            clock: Clock::default(),
            phases: Phases::default(),
            verdict: None,
            subject,
        };
        for object in judge.subject.judged.clone() {
            judge.add(object);
        }
        judge
    }

    fn add(&mut self, object: JudgedObject) {
        self.targets.push(Target {
            uid: String::new(),
            group: read::group(&object.api_version).to_owned(),
            kind: object.kind.clone(),
            name: object.name.clone(),
        });
        self.judged.push(Judged {
            object,
            seen: None,
            state: State::Pending,
            since: Moment::ZERO,
            runs: None,
            progress: Moment::ZERO,
            gone: false,
            selector: None,
            failed_child: None,
        });
    }

    /// Takes in what a watch says. The verdict is returned once, by the call that finds it; later calls return `None`,
    /// but still take note, so that [`Judge::judged`], [`Judge::pods`] and [`Judge::events`] show the latest states.
    pub fn observe(&mut self, at: Moment, change: &Change) -> Option<Verdict> {
        self.clock.begin(at);
        self.take_in(at, change);
        self.weigh(at)
    }

    /// Nothing was seen, and it is this moment now.
    pub fn tick(&mut self, at: Moment) -> Option<Verdict> {
        self.clock.begin(at);
        self.weigh(at)
    }

    /// The next moment at which [`Judge::tick`] gives a verdict if nothing is seen before; `None` when only a change can.
    #[must_use]
    pub fn wake_at(&self) -> Option<Moment> {
        if self.verdict.is_some() { None } else { self.agenda().map(|(at, _)| at) }
    }

    /// What the objects don't show became so.
    pub fn surroundings(&mut self, at: Moment, around: Surroundings) -> Option<Verdict> {
        self.clock.begin(at);
        self.clock.surround(at, &self.around, &around);
        self.around = around;
        self.weigh(at)
    }

    /// The API server accepted all objects. Returns the verdict of an example that was expected to be refused.
    pub fn applied(&mut self, at: Moment) -> Option<Verdict> {
        self.clock.begin(at);
        self.phases.applied.get_or_insert(at);
        if self.subject.expect == Expect::Rejected && self.verdict.is_none() {
            let verdict = self.accepted(at);
            return Some(self.close(verdict));
        }
        self.weigh(at)
    }

    /// When the phases of the attempt were reached.
    #[must_use]
    pub fn phases(&self) -> Phases {
        self.phases
    }

    fn weigh(&mut self, at: Moment) -> Option<Verdict> {
        if self.verdict.is_some() {
            return None;
        }
        let pause = self.is_paused();
        self.clock.pause(at, pause);
        let (due, what) = self.agenda()?;
        if due > at {
            return None;
        }
        let verdict = self.decide(at, &what);
        Some(self.close(verdict))
    }

    fn close(&mut self, verdict: Verdict) -> Verdict {
        self.phases.finished = Some(verdict.at);
        self.verdict = Some(verdict.clone());
        verdict
    }
}
