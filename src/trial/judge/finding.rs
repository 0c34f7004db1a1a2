//! What was found to be wrong, and since when.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::{Cause, CauseClass, Outcome};
use crate::trial::{Culprit, Moment};

/// What is wrong, ready to become a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub outcome: Outcome,
    pub class: CauseClass,
    pub reason: String,
    pub message: String,
    pub hint: String,
    /// `Kind/name`.
    pub object: String,
    pub culprit: Option<Culprit>,
}

impl Finding {
    /// A finding that fails the example.
    pub fn failed(class: CauseClass, reason: &str, message: String, hint: &str) -> Self {
        Self {
            outcome: Outcome::Failed,
            class,
            reason: reason.to_owned(),
            message,
            hint: hint.to_owned(),
            object: String::new(),
            culprit: None,
        }
    }

    /// A finding for which the example is not to blame.
    pub fn errored(class: CauseClass, reason: &str, message: String, hint: &str) -> Self {
        Self { outcome: Outcome::Errored, ..Self::failed(class, reason, message, hint) }
    }

    /// The same, of this object.
    pub fn of(mut self, object: impl Into<String>) -> Self {
        self.object = object.into();
        self
    }

    /// The same, with the container to blame.
    pub fn by(mut self, culprit: Option<Culprit>) -> Self {
        self.culprit = culprit;
        self
    }

    /// As the report shows it; the place in the file is not known here.
    pub fn cause(&self) -> Cause {
        Cause {
            class: self.class,
            reason: self.reason.clone(),
            message: super::read::one_line(&self.message),
            hint: self.hint.clone(),
            object: self.object.clone(),
            file: String::new(),
            line: 0,
        }
    }
}

/// What a trouble is about. One object can have several at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// The image of this container.
    Image(String),
    /// Starting this container, its image being there.
    Start(String),
    /// This container, which comes and goes.
    Crash(String),
    /// A volume.
    Mount,
    /// The pod's sandbox: its network, its runtime.
    Sandbox,
    /// A node.
    Schedule,
    /// What the object should have created; the reason of the event.
    Create(String),
    /// A warning of which nothing more is known.
    Warned,
    /// Somebody has to resume it.
    Held,
    /// It cannot be evaluated.
    Unreadable,
    /// It ended badly, or is gone.
    Ended,
}

/// What a trouble may still be cured by, besides itself: while this holds, its time does not run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cure {
    /// Nothing else.
    None,
    /// Room on the nodes, which others of our cells or the object's own pods may free.
    Room,
    /// The same by the word of a queue (Kueue's). It may as well wait for what never comes, so that the attempt's time goes on.
    Queue,
    /// The object's own pods, by ending.
    OwnPods,
    /// The controller that owns it, which was told how often to try again, and says itself when that is over.
    Controller,
}

/// Something that is wrong with an object and becomes a verdict unless it passes in time.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub since: Moment,
    pub grace: Duration,
    pub cure: Cure,
    pub finding: Finding,
}

/// What identifies a trouble: the identity of an object, and what of it.
pub type Key = (String, Slot);

/// All troubles that last.
#[derive(Debug, Default)]
pub struct Troubles {
    all: HashMap<Key, Trouble>,
}

impl Troubles {
    /// Something is (still) wrong. Its time goes on unless it became of another kind: another outcome, or another grace.
    pub fn set(&mut self, identity: &str, slot: Slot, at: Moment, grace: Duration, cure: Cure, finding: Finding) {
        let key = (identity.to_owned(), slot);
        let since = match self.all.get(&key) {
            Some(old) if old.grace == grace && old.finding.outcome == finding.outcome => old.since,
            _ => at,
        };
        self.all.insert(key, Trouble { since, grace, cure, finding });
    }

    /// It has passed.
    pub fn clear(&mut self, identity: &str, slot: &Slot) {
        // The key is built only where there is something to find.
        if !self.all.is_empty() {
            self.all.remove(&(identity.to_owned(), slot.clone()));
        }
    }

    /// Everything about this object that `which` picks has passed.
    pub fn clear_where(&mut self, identity: &str, which: impl Fn(&Slot, &Trouble) -> bool) {
        self.all.retain(|(of, slot), trouble| of != identity || !which(slot, trouble));
    }

    /// A trouble.
    pub fn get(&self, identity: &str, slot: Slot) -> Option<&Trouble> {
        self.all.get(&(identity.to_owned(), slot))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Trouble)> {
        self.all.iter()
    }
}
