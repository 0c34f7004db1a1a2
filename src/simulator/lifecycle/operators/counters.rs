//! What the Training Operator counts of what it did, and serves as metrics (held to `operator-metrics-*.txt`, recorded of v1.9.4).
//!
//! A series of jobs is there from its first event on; those of reconcile errors, one a controller, from the beginning.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value as Json;

use super::super::object::{condition, namespace, text};
use super::training;
use crate::simulator::store::{Change, Event};
use crate::trial::metrics::exposition::Sample;

/// The counters of a cluster's operators. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Counters(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    /// By what happened, namespace and framework.
    jobs: BTreeMap<(&'static str, String, &'static str), u64>,
    /// By controller.
    errors: BTreeMap<&'static str, u64>,
}

/// Something that is counted and does not show in a job's conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The operator deleted a job that was over.
    JobDeleted,
    /// A controller could not do its work, and tries again.
    ReconcileError(&'static str),
}

impl Counters {
    /// Takes note of a change that an operator sees.
    pub(in super::super) fn note(&self, change: &Change) {
        if change.event == Event::Added {
            return self.count("created", &change.object);
        }
        let Some(before) = change.previous.as_ref().filter(|_| change.event != Event::Deleted) else { return };
        for (kind, what) in [("Succeeded", "successful"), ("Failed", "failed"), ("Restarting", "restarted")] {
            if condition(&change.object, kind) == "True" && condition(before, kind) != "True" {
                self.count(what, &change.object);
            }
        }
    }

    /// Takes note of what shows in no change: `object` is what it happened to.
    pub(in super::super) fn add(&self, counted: Counted, object: &Json) {
        match counted {
            Counted::JobDeleted => self.count("deleted", object),
            Counted::ReconcileError(controller) if training::controllers().any(|known| known == controller) => {
                *self.lock().errors.entry(controller).or_default() += 1;
            }
            Counted::ReconcileError(_) => {}
        }
    }

    fn count(&self, what: &'static str, job: &Json) {
        if text(job, "/apiVersion") == "kubeflow.org/v1"
            && let Some(training) = training::find(text(job, "/kind"))
        {
            let key = (what, namespace(job).to_owned(), training.container);
            *self.lock().jobs.entry(key).or_default() += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The metrics in the text format 0.0.4.
    #[must_use]
    pub fn exposition(&self) -> String {
        let counts = self.lock();
        let number = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let mut text = String::new();
        let mut family = |name: &str, help: &str, samples: Vec<Sample>| {
            if !samples.is_empty() {
                text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} counter\n"));
                for sample in samples {
                    text.push_str(&format!("{sample}\n"));
                }
            }
        };
        let errors = "controller_runtime_reconcile_errors_total";
        let mut controllers: Vec<_> = training::controllers().collect();
        controllers.sort_unstable();
        let error = |controller: &'static str| Sample {
            name: errors.to_owned(),
            labels: vec![("controller".to_owned(), controller.to_owned())],
            value: number(counts.errors.get(controller).copied().unwrap_or(0)),
        };
        let samples = controllers.into_iter().map(error).collect();
        family(errors, "Total number of reconciliation errors per controller", samples);
        for what in ["created", "deleted", "failed", "restarted", "successful"] {
            let name = format!("training_operator_jobs_{what}_total");
            let own = counts.jobs.iter().filter(|((counted, ..), _)| *counted == what);
            let samples = own.map(|((_, namespace, framework), count)| Sample {
                name: name.clone(),
                labels: [("framework", *framework), ("job_namespace", namespace.as_str())]
                    .map(|(label, value)| (label.to_owned(), value.to_owned()))
                    .into(),
                value: number(*count),
            });
            family(&name, &format!("Counts number of jobs {what}"), samples.collect());
        }
        text
    }
}
