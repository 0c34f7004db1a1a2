//! Which examples of a tier an event runs, each with the reason in words.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::cost::Cost;
use super::tiers::Policy;
use super::touched::Touched;
use super::{Changes, PlanInputs};
use crate::catalog::{Example, ExampleKind};
use crate::config::Selection;
use crate::duration;
use crate::lint::capacity::{extended_resource_reason, runs_on_a_runner};
use crate::model::{Expect, Tier};

/// A periodic example is due this much early: scheduled workflows start some minutes sooner or later than the last time,
/// and must not miss a whole turn for it.
const DUE_SLACK: Duration = Duration::from_secs(3_600);

/// Whether an example runs, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) selected: bool,
    pub(super) reason: String,
}

/// Chooses among the examples of a catalog; what changed is worked out once, and only if it is asked for.
pub(super) struct Selector<'a> {
    inputs: &'a PlanInputs<'a>,
    policy: &'a Policy,
    touched: OnceCell<Touched>,
}

impl Choice {
    pub(super) fn yes(reason: impl Into<String>) -> Self {
        Self { selected: true, reason: reason.into() }
    }

    pub(super) fn no(reason: impl Into<String>) -> Self {
        Self { selected: false, reason: reason.into() }
    }
}

impl<'a> Selector<'a> {
    pub(super) fn new(inputs: &'a PlanInputs<'a>, policy: &'a Policy) -> Self {
        Self { inputs, policy, touched: OnceCell::new() }
    }

    /// What the policy of `tier` makes of the examples at these places of the catalog.
    pub(super) fn choose(&self, tier: Tier, places: &[usize]) -> Vec<(usize, Choice)> {
        let each = |choice: &dyn Fn(usize) -> Choice| places.iter().map(|place| (*place, choice(*place))).collect();
        match self.policy.selection(tier) {
            Selection::All => each(&|_| Choice::yes(self.policy.runs_all(tier))),
            Selection::None => each(&|_| Choice::no(self.policy.runs_none(tier))),
            Selection::Changed => each(&|place| self.changed(place)),
            Selection::Due => each(&|place| self.due(self.example(place))),
            Selection::Representative => self.representative(places),
        }
    }

    fn example(&self, place: usize) -> &'a Example {
        &self.inputs.catalog.examples[place]
    }

    /// What the change touches; worked out at the first question.
    pub(super) fn touched(&self) -> &Touched {
        self.touched.get_or_init(|| match self.inputs.changes {
            Changes::Known(files) => Touched::new(self.inputs, files),
            Changes::Unknown(why) => Touched {
                everything: Some(format!("the changed files are unknown ({why}): everything runs")),
                each: Vec::new(),
            },
        })
    }

    fn changed(&self, place: usize) -> Choice {
        let touched = self.touched();
        let reason = touched.everything.as_ref().or_else(|| touched.each.get(place)?.as_ref());
        reason.map_or_else(|| Choice::no("not changed"), Choice::yes)
    }

    fn due(&self, example: &Example) -> Choice {
        let every = self.inputs.config.periodic_every;
        let Some(last) = self.inputs.last_periodic.get(&example.id) else {
            return Choice::yes("due: never run");
        };
        let ahead = since(self.inputs.now, *last);
        if ahead > DUE_SLACK {
            return Choice::yes(format!("due: the last run is {} ahead of this clock", duration::format(ahead)));
        }
        if !ahead.is_zero() {
            return Choice::no(format!("not due: last run just now, every {}", duration::format(every)));
        }
        let ago = since(*last, self.inputs.now);
        let words = format!("last run {} ago, every {}", duration::format(ago), duration::format(every));
        if ago + DUE_SLACK.min(every / 24) >= every {
            Choice::yes(format!("due: {words}"))
        } else {
            Choice::no(format!("not due: {words}"))
        }
    }

    /// One of each framework: what this cluster can run before what it can't, then the flagged, what is not quarantined,
    /// what is to succeed, the cheapest, the first by id.
    fn representative(&self, places: &[usize]) -> Vec<(usize, Choice)> {
        let mut best: BTreeMap<&str, (usize, _)> = BTreeMap::new();
        for place in places {
            let example = self.example(*place);
            let settings = &example.settings;
            let rank = (
                self.beyond_cluster(example).is_some(),
                !settings.representative,
                settings.quarantine.is_some(),
                !matches!(settings.expect, Expect::Succeeded | Expect::Running),
                Cost::of(example),
                &example.id,
            );
            let group = best.entry(group(example)).or_insert((*place, rank));
            if rank < group.1 {
                *group = (*place, rank);
            }
        }
        let choice = |place: usize| {
            let example = self.example(place);
            let (chosen, rank) = &best[group(example)];
            let group = group(example);
            match *chosen == place {
                true if example.settings.representative => {
                    Choice::yes(format!("representative of {group} (its settings say so)"))
                }
                true => Choice::yes(format!("representative of {group} (cheapest: {})", rank.4.describe(example))),
                false => Choice::no(format!("another example represents {group}: {}", self.example(*chosen).id)),
            }
        };
        places.iter().map(|place| (*place, choice(*place))).collect()
    }

    /// What an example asks for that no node of this run can offer, in words. On a cluster that was there before, nobody
    /// knows; and what is to be rejected never gets to a node.
    pub(super) fn beyond_cluster(&self, example: &Example) -> Option<String> {
        runs_on_a_runner(example, self.inputs.cluster).then(|| extended_resource_reason(example))?
    }
}

/// What an example stands for when one of a kind is chosen.
fn group(example: &Example) -> &str {
    match &example.framework {
        Some(framework) => &framework.name,
        None if example.kind == ExampleKind::Script => "script",
        None => "objects of no known framework",
    }
}

/// How long ago something was; nothing if it is yet to come.
fn since(last: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(last)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::config::ClusterKind;
    use crate::model::{ExampleId, Expect, Tier};
    use crate::plan::testing::{World, example, job, job_with};
    use crate::quantity::Quantity;

    const GPU: &str = "resources: {limits: {nvidia.com/gpu: 1}}";

    fn chosen(world: &World) -> Vec<String> {
        world.on_cluster().into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn a_push_runs_the_cheapest_example_of_each_framework() {
        let mut world = World::new(vec![
            example("a.yaml", &job(1)),
            example("b.yaml", &job(2)),
            example("c.yaml", &job(2)),
            example("deploy.yaml", &job(1).replace("Job", "Deployment").replace("batch/v1", "apps/v1")),
        ])
        .on("push");
        world.example("a.yaml").settings.resources.cpu = Quantity::parse("200m").unwrap();
        assert_eq!(chosen(&world), ["b.yaml", "deploy.yaml"]);
        assert_eq!(world.reason("b.yaml"), "representative of job (cheapest: 2 pods)");
        assert_eq!(world.reason("c.yaml"), "another example represents job: b.yaml");
        world.example("c.yaml").settings.representative = true;
        assert_eq!(chosen(&world), ["c.yaml", "deploy.yaml"]);
        assert_eq!(world.reason("c.yaml"), "representative of job (its settings say so)");
    }

    #[test]
    fn an_example_that_cannot_run_here_represents_nothing_while_another_can() {
        let mut world = World::new(vec![example("a.yaml", &job_with(GPU)), example("b.yaml", &job(5))]).on("push");
        assert_eq!(chosen(&world), ["b.yaml"]);
        world.example("a.yaml").settings.representative = true;
        assert_eq!(chosen(&world), ["b.yaml"]);
    }

    #[test]
    fn what_is_to_fail_represents_nothing_while_another_succeeds() {
        let mut world = World::jobs(&["a.yaml", "b.yaml"]).on("push");
        world.example("a.yaml").settings.expect = Expect::Failed;
        assert_eq!(chosen(&world), ["b.yaml"]);
    }

    #[test]
    fn periodic_examples_run_when_they_are_due() {
        let mut world = World::jobs(&["late.yaml", "never.yaml", "recent.yaml", "weekly.yaml", "z-full.yaml"]);
        for id in ["late.yaml", "never.yaml", "recent.yaml", "weekly.yaml"] {
            world.example(id).settings.tier = Tier::Periodic;
        }
        for (id, last) in [
            ("late.yaml", "2026-11-10T12:00:00Z"),
            ("recent.yaml", "2026-11-20T12:00:00Z"),
            ("weekly.yaml", "2026-11-16T12:20:00Z"),
        ] {
            world.last_periodic.insert(ExampleId::new(id), last.parse().unwrap());
        }
        let world = world.on("schedule");
        assert_eq!(chosen(&world), ["late.yaml", "never.yaml", "weekly.yaml", "z-full.yaml"]);
        assert_eq!(world.reason("never.yaml"), "due: never run");
        assert_eq!(world.reason("late.yaml"), "due: last run 13d ago, every 7d");
        assert_eq!(world.reason("recent.yaml"), "not due: last run 3d ago, every 7d");
        assert_eq!(world.reason("z-full.yaml"), "event schedule runs all full examples");
    }

    #[test]
    fn a_clock_that_is_ahead_keeps_nothing_from_running() {
        let mut world = World::jobs(&["ahead.yaml", "now.yaml"]);
        for (id, last) in [("ahead.yaml", "2026-11-24T08:00:00Z"), ("now.yaml", "2026-11-23T12:00:30Z")] {
            world.example(id).settings.tier = Tier::Periodic;
            world.last_periodic.insert(ExampleId::new(id), last.parse().unwrap());
        }
        let world = world.on("schedule");
        assert_eq!(world.reason("ahead.yaml"), "due: the last run is 20h ahead of this clock");
        assert_eq!(world.reason("now.yaml"), "not due: last run just now, every 7d");
    }

    #[test]
    fn devices_are_skipped_on_kind_and_tried_on_a_cluster_that_was_there() {
        let mut world = World::new(vec![example("gpu.yaml", &job_with(GPU))]).on("workflow_dispatch");
        assert_eq!(chosen(&world), Vec::<String>::new());
        assert_eq!(world.reason("gpu.yaml"), "asks for nvidia.com/gpu, which no node of a kind cluster has");
        world.config.cluster = ClusterKind::Existing;
        assert_eq!(chosen(&world), ["gpu.yaml"]);
        world.config.cluster = ClusterKind::Kind;
        world.example("gpu.yaml").settings.expect = Expect::Rejected;
        assert_eq!(chosen(&world), ["gpu.yaml"]);
    }
}
