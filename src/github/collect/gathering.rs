//! Results on their way out of the artifacts: whose they are, and which of several that claim to be the same part of a run hold.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;

use super::source::Unusable;
use super::store::{Found, Store};
use super::unpack::Unpacked;
use super::{Collected, Kind, Taken, Uncollected, Wanted, names, taken, told};
use crate::diagnostic::inert::inert;
use crate::plan::Plan;
use crate::report::annotations::neutral;

/// The most parts of a run that are taken: as many jobs as a matrix can have, and a whole one.
const MOST_PARTS: usize = 257;
/// The most bytes that are unpacked of all of them.
const MOST_UNPACKED: usize = 512 << 20;
const TOO_MUCH: &str = "the artifacts hold more than is looked at";
/// How many are fetched at once.
const AT_ONCE: usize = 2;
/// How many artifacts a remark names.
const MOST_NAMED: usize = 4;

/// What was taken, and what could be.
pub(super) struct Gathering<'a> {
    store: &'a Store<'a>,
    wanted: &'a Wanted<'a>,
    /// What was not looked at, by what it is, the newest last.
    left: BTreeMap<Kind, Vec<Found>>,
    /// The results of whole runs, which count only where there are none of shards: a merged report may be called like them.
    whole: Vec<Kind>,
    held: BTreeMap<Kind, (names::Listed, Taken)>,
    /// The artifacts of other plans.
    others: Vec<String>,
    budget: usize,
    collected: Collected,
}

impl<'a> Gathering<'a> {
    /// Of these artifacts; `complete` says whether they are all that there are.
    pub(super) fn new(
        store: &'a Store<'a>,
        wanted: &'a Wanted<'a>,
        mut parts: BTreeMap<Kind, Vec<Found>>,
        complete: bool,
    ) -> Self {
        let mut collected = Collected::default();
        if !complete {
            collected
                .remarks
                .push("the run has more artifacts than are looked through: some may be missing".to_owned());
            collected.is_incomplete = true;
        }
        if parts.len() > MOST_PARTS {
            let remark = format!("results of {} parts are more than {MOST_PARTS}: the rest is left out", parts.len());
            collected.remarks.push(remark);
            collected.is_incomplete = true;
            parts = parts.into_iter().take(MOST_PARTS).collect();
        }
        let whole = parts.keys().copied().filter(|kind| matches!(kind, Kind::Whole(_))).collect();
        let held = BTreeMap::new();
        Self { store, wanted, left: parts, whole, held, others: Vec::new(), budget: MOST_UNPACKED, collected }
    }

    /// Tells that something may have been missed.
    pub(super) fn remark(&mut self, remarks: &[String]) {
        self.collected.remarks.extend(remarks.iter().map(|why| neutral(&inert(why)).into_owned()));
    }

    /// Takes the newest artifact of each shard; where there is none, of whole runs.
    pub(super) async fn take_newest(&mut self) {
        let kinds = self.left.keys().copied().filter(|kind| !self.whole.contains(kind)).collect();
        self.take(kinds).await;
        self.fall_back().await;
    }

    /// Takes the results of whole runs, where no shard's are held; says whether there were any to look at.
    async fn fall_back(&mut self) -> bool {
        if !self.held.is_empty() || self.whole.is_empty() {
            return false;
        }
        let whole = std::mem::take(&mut self.whole);
        self.take(whole).await;
        true
    }

    /// What the artifacts of the plans are called that the results came with, and the number of the newest of those results.
    pub(super) fn plans(&self) -> BTreeMap<String, u64> {
        let mut plans = BTreeMap::new();
        for (listed, plan) in self.held.values().filter_map(|(listed, taken)| Some((listed, taken.plan.as_ref()?))) {
            let newest = plans.entry(names::plan_name(&plan.digest)).or_insert(listed.id);
            *newest = listed.id.max(*newest);
        }
        plans
    }

    /// Leaves out what obeyed another plan than the one whose artifact is called so: another fan-out's, or an earlier attempt's. What was
    /// left before it under the same name may be ours.
    pub(super) async fn keep_to(&mut self, plan: &str) {
        loop {
            let is_other = |taken: &Taken| taken.plan.as_ref().is_some_and(|of| names::plan_name(&of.digest) != plan);
            let others = self.held.iter().filter(|(_, (_, taken))| is_other(taken)).map(|(kind, _)| *kind);
            let others: Vec<_> = others.collect();
            if others.is_empty() {
                if self.fall_back().await {
                    continue;
                }
                return;
            }
            let names = others.iter().filter_map(|kind| self.held.remove(kind)).map(|(listed, _)| listed.name);
            self.others.extend(names);
            self.take(others).await;
        }
    }

    /// Takes the plan's own artifact, if there is one.
    pub(super) async fn take_plan(&mut self, found: Option<Found>) {
        self.left.insert(Kind::Plan, found.into_iter().collect());
        self.take(vec![Kind::Plan]).await;
    }

    /// Takes the next artifact of each of these parts that has one. What can't be used is told.
    async fn take(&mut self, kinds: Vec<Kind>) {
        let next: Vec<_> =
            kinds.into_iter().filter_map(|kind| Some((kind, self.left.get_mut(&kind)?.pop()?))).collect();
        let store = self.store;
        let mut fetched = futures::stream::iter(next)
            .map(|(kind, found)| async move {
                let unpacked = store.fetch(&found).await;
                (kind, found.entry.listed, unpacked)
            })
            .buffered(AT_ONCE);
        while let Some((kind, listed, unpacked)) = fetched.next().await {
            match unpacked.and_then(|unpacked| self.charged(kind, &listed.name, unpacked)) {
                Ok(taken) => {
                    self.held.insert(kind, (listed, taken));
                }
                Err(why) => {
                    self.collected.remarks.push(told(kind, &listed.name, &why));
                    self.collected.is_incomplete |= kind != Kind::Plan;
                }
            }
        }
    }

    fn charged(&mut self, kind: Kind, name: &str, unpacked: Unpacked) -> Result<Taken, Unusable> {
        let left = self.budget.checked_sub(unpacked.bytes());
        self.budget = left.ok_or_else(|| Unusable::Unfit(TOO_MUCH.to_owned()))?;
        let taken = taken(kind, unpacked, self.wanted).map_err(Unusable::Unfit)?;
        match &taken.plan {
            Some(plan) if kind == Kind::Plan => self.fits(plan, name)?,
            _ => {}
        }
        Ok(taken)
    }

    /// Whether a plan is the one that its artifact is called after, and that was asked for.
    fn fits(&self, plan: &Plan, name: &str) -> Result<(), Unusable> {
        if names::plan_name(&plan.digest) == name && self.wanted.plan.is_none_or(|wanted| wanted == plan.digest) {
            return Ok(());
        }
        Err(Unusable::Unfit(format!("its plan has the digest {}", plan.digest)))
    }

    /// All that was taken. `plan` is what the artifact of the plan is called that the results are held to.
    pub(super) fn done(mut self, plan: Option<&str>) -> Collected {
        let plans = self.held.values().filter_map(|(_, taken)| taken.plan.as_ref());
        let of = |found: &&Plan| plan.is_some_and(|plan| self.fits(found, plan).is_ok());
        self.collected.plan = plans.clone().find(of).cloned();
        if plan.is_none() && plans.map(|plan| &plan.digest).collect::<BTreeSet<_>>().len() > 1 {
            // Legs of a matrix have plans of their own, and each has all that it planned.
            let remark = "the results are of different plans: what had to be judged is not known";
            self.collected.remarks.push(remark.to_owned());
        }
        if !self.others.is_empty() {
            let mut named: Vec<_> = self.others.iter().take(MOST_NAMED).map(String::as_str).collect();
            if self.others.len() > MOST_NAMED {
                named.push("...");
            }
            self.collected.remarks.push(format!(
                "results of another plan are left out ({}): an earlier attempt's, or those of a fan-out that needs an `artifact-name` of its own",
                named.join(", ")
            ));
        }
        for (kind, (listed, taken)) in self.held {
            self.collected.add(kind, &listed, taken, self.wanted);
        }
        self.collected
    }
}

/// What the artifact of the plan is called that the results are held to, where none was asked for: the one that they name, else the only
/// one. `plans` are the plans' artifacts of the run with their numbers; `named` those that the results came with, each with the number of
/// the newest of its results. Of several the last one holds if it was made after all results of the others: everything was run again.
/// `None`: nobody knows. Pure.
///
/// # Errors
/// There are several, and nothing tells which is meant.
pub(super) fn meant(
    plans: &BTreeMap<String, u64>,
    named: &BTreeMap<String, u64>,
) -> Result<Option<String>, Uncollected> {
    let several = |names: Vec<&String>| Err(Uncollected::SeveralPlans(names.into_iter().cloned().collect()));
    match named.len() {
        0 if plans.len() > 1 => return several(plans.keys().collect()),
        0 => return Ok(plans.keys().next().cloned()),
        1 => return Ok(named.keys().next().cloned()),
        _ => {}
    }
    let here = || plans.iter().filter(|(plan, _)| named.contains_key(*plan));
    let Some((last, made)) = here().max_by_key(|(_, made)| **made) else { return Ok(None) };
    let is_before = |(plan, newest): (&String, &u64)| plan == last || newest < made;
    let others = named.iter().filter(|(plan, _)| plans.contains_key(*plan));
    if others.clone().all(is_before) { Ok(Some(last.clone())) } else { several(others.map(|(plan, _)| plan).collect()) }
}
