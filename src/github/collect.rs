//! What the jobs of a fan-out left: the plan, and the results of shards, from artifacts of this run or another.
//!
//! Nothing in an artifact is trusted. Of each archive three files are unpacked, in memory and within bounds ([`unpack`]); their
//! texts are held to the form that this program writes ([`vetted`]); and what they say of themselves is held to what GitHub says of the
//! run and to the artifact's name. An artifact that does not fit is told and left out, so that its shard is missing: a run of which a part
//! is missing is never a success. What a run of a fork *says* can't be checked by anybody but its reader.

mod gathering;
mod names;
mod remote;
mod run;
mod source;
mod store;
#[cfg(test)]
mod tests;
mod unpack;
mod vetted;

use std::collections::{BTreeMap, BTreeSet};

pub use names::{DEFAULT_NAME, Kind, artifact_name, namesake, plan_name};
pub use run::WorkflowRun;
pub use source::Source;

use super::artifact;
use crate::diagnostic::inert::inert;
use crate::model::{ExampleId, Outcome};
use crate::plan::Plan;
use crate::report::annotations::neutral;
use crate::report::{Report, Row};
use gathering::Gathering;
use source::{Entry, Unusable};
use store::{Contents, Store};
use unpack::Unpacked;

/// What is looked for, and what it is held to.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// What the artifacts of the run's results are called: the input `artifact-name`.
    pub base: &'a str,
    /// The digest of the plan that the results must have obeyed; `None` if they say which it is.
    pub plan: Option<&'a str>,
    /// The workflow run that the reports must be of.
    pub run: &'a str,
    /// Its repository, `owner/name`.
    pub repository: &'a str,
    /// Its commit, where that is known.
    pub commit: Option<&'a str>,
    /// The outcomes that count.
    pub fail_on: &'a [Outcome],
    /// The site's address, for links.
    pub server_url: &'a str,
}

/// An artifact that results were taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// What it is.
    pub kind: Kind,
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its page, from which it can be downloaded.
    pub url: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collected {
    /// The reports, those of killed runs among them.
    pub reports: Vec<Report>,
    /// The plan that the results obeyed: its artifact's, else the one that they came with.
    pub plan: Option<Plan>,
    /// The artifacts that were used.
    pub artifacts: Vec<Artifact>,
    /// What could not be used, and what does not fit together, a sentence each.
    pub remarks: Vec<String>,
    /// Whether results are known to be missing, or may be.
    pub is_incomplete: bool,
    /// Which artifact the evidence of a cell is in.
    cells: BTreeMap<(ExampleId, Option<String>), usize>,
}

impl Collected {
    /// The artifact that holds the evidence of a row.
    #[must_use]
    pub fn artifact_of(&self, row: &Row) -> Option<&Artifact> {
        let place = self.cells.get(&(row.example.clone(), row.kubernetes.clone()))?;
        self.artifacts.get(*place)
    }
}

/// Why nothing was collected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncollected {
    /// No source can list the artifacts; why each can't, in one line.
    #[error("{0}")]
    Unlisted(String),
    /// There are several plans, in artifacts of these names, and nothing tells which is meant.
    #[error("the run has several plans, and nothing tells which is meant: {}", .0.join(", "))]
    SeveralPlans(Vec<String>),
}

/// Collects what the run left, of the fan-out whose plan is wanted, or that its own results name. What can't be used is among the remarks.
///
/// # Errors
/// [`Uncollected`].
pub async fn collect(sources: &[Source], wanted: &Wanted<'_>) -> Result<Collected, Uncollected> {
    let store = Store::new(sources);
    let asked_for = wanted.plan.map(names::plan_name);
    let is_wanted = |entry: &Entry| match &asked_for {
        Some(plan) => entry.listed.name == *plan,
        None => names::kind(wanted.base, &entry.listed.name).is_some(),
    };
    let contents = store.contents(is_wanted).await.map_err(Uncollected::Unlisted)?;
    let is_found = contents.all.iter().any(|found| is_wanted(&found.entry));
    let mut meant = names::meant(wanted.base, contents.all, |found| &found.entry.listed);
    let plans = meant.remove(&Kind::Plan).unwrap_or_default();
    let mut gathering = Gathering::new(&store, wanted, meant, contents.complete);
    if !is_found {
        gathering.remark(&contents.failed);
    }
    gathering.take_newest().await;
    let plan = if asked_for.is_some() {
        asked_for
    } else {
        let listed = plans.iter().map(|found| (found.entry.listed.name.clone(), found.entry.listed.id)).collect();
        gathering::meant(&listed, &gathering.plans())?
    };
    if let Some(plan) = &plan {
        gathering.keep_to(plan).await;
        gathering.take_plan(plans.into_iter().rfind(|found| found.entry.listed.name == *plan)).await;
    }
    Ok(gathering.done(plan.as_deref()))
}

/// The plan of the run that has this digest.
///
/// # Errors
/// What keeps it from being had, in one line.
pub async fn plan(sources: &[Source], digest: &str) -> Result<Plan, String> {
    let (store, name) = (Store::new(sources), names::plan_name(digest));
    let contents = store.contents(|entry| entry.listed.name == name).await?;
    let named = contents.all.iter().filter(|found| found.entry.listed.name == name);
    let Some(newest) = named.max_by_key(|found| found.entry.listed.id) else { return Err(absent(&name, &contents)) };
    let mut unpacked = store.fetch(newest).await.map_err(|why| format!("the artifact {name}: {why}"))?;
    let bytes = unpacked.take("plan.json").ok_or_else(|| format!("the artifact {name} holds no plan.json"))?;
    let plan = vetted::plan(&bytes).map_err(|why| format!("the artifact {name}: {why}"))?;
    if plan.digest != digest {
        return Err(format!("the artifact {name} holds the plan with the digest {}, and not {digest}", plan.digest));
    }
    Ok(plan)
}

/// That there is no artifact of this name, and what there is.
fn absent(name: &str, contents: &Contents) -> String {
    let plans = contents.all.iter().map(|found| found.entry.listed.name.as_str()).filter(|name| names::is_plan(name));
    let plans: BTreeSet<_> = plans.collect();
    let has = match plans.into_iter().collect::<Vec<_>>().join(", ") {
        plans if plans.is_empty() => "a job `plan` of the run leaves it".to_owned(),
        plans => format!("it has {plans}"),
    };
    let why: Vec<_> = [has].into_iter().chain(contents.failed.iter().cloned()).collect();
    format!("the run has no artifact {name}: {}", why.join("; "))
}

fn told(kind: Kind, name: &str, why: &Unusable) -> String {
    let of = match kind {
        Kind::Shard(number, count) => format!(" of shard {number}/{count}"),
        Kind::Plan | Kind::Whole(_) => String::new(),
    };
    let hint = if matches!(why, Unusable::Expired) { ": run it again" } else { "" };
    format!("the artifact {name}{of} is not used: {}{hint}", neutral(&inert(&why.to_string())))
}

/// What an artifact holds that can be used.
#[derive(Debug, Default, PartialEq)]
struct Taken {
    report: Option<Report>,
    /// The run was killed: its journal is all that there is.
    killed: bool,
    plan: Option<Plan>,
}

/// What an artifact holds, held to what it must be. Pure.
fn taken(kind: Kind, mut unpacked: Unpacked, wanted: &Wanted<'_>) -> Result<Taken, String> {
    let plan = unpacked.take("plan.json").map(|bytes| vetted::plan(&bytes));
    if kind == Kind::Plan {
        let plan = plan.unwrap_or_else(|| Err("it holds no plan.json".to_owned()))?;
        return Ok(Taken { plan: Some(plan), ..Taken::default() });
    }
    let report = unpacked.take("report.json").map(|bytes| vetted::report(&bytes)).transpose()?;
    let journal = unpacked.take("journal.jsonl").map(|bytes| vetted::journal(&bytes, wanted.fail_on));
    // The report of an earlier run in the same folder says nothing of one that was killed later.
    let (report, killed) = match (report, journal) {
        (Some(report), Some(Ok(journal))) if journal.run.began_after(&report.run) => (journal, true),
        (Some(report), _) => (report, false),
        (None, Some(journal)) => (journal?, true),
        (None, None) => return Err("it holds no report.json".to_owned()),
    };
    held_to(kind, &report, wanted)?;
    // A plan that can't be read costs no results.
    Ok(Taken { report: Some(report), killed, plan: plan.and_then(Result::ok) })
}

/// Whether a report is of the run that it came from, and of the part that its artifact is called after.
fn held_to(kind: Kind, report: &Report, wanted: &Wanted<'_>) -> Result<(), String> {
    let run = &report.run;
    if run.id != wanted.run {
        return Err(format!("its report says that it is of run {}, and not {}", or_none(&run.id), wanted.run));
    }
    if !run.repository.eq_ignore_ascii_case(wanted.repository) {
        return Err(format!(
            "its report says that it is of {}, and not {}",
            or_none(&run.repository),
            wanted.repository
        ));
    }
    if let Some(commit) = wanted.commit.filter(|commit| *commit != run.commit) {
        return Err(format!("its report says that it is of commit {}, and not {commit}", or_none(&run.commit)));
    }
    if let Kind::Shard(number, count) = kind
        && run.shard != Some(format!("{number}/{count}"))
    {
        let shard = run.shard.as_deref().unwrap_or_default();
        return Err(format!("its report says that it is of shard {}", or_none(inert(shard).as_ref())));
    }
    Ok(())
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

impl Collected {
    fn add(&mut self, kind: Kind, listed: &names::Listed, taken: Taken, wanted: &Wanted<'_>) {
        let place = self.artifacts.len();
        let (id, name) = (listed.id, listed.name.clone());
        let url = artifact::page(wanted.server_url, wanted.repository, wanted.run, id);
        if taken.killed {
            self.remarks.push(format!(
                "the artifact {name} is of a run that was killed before it could report: this is what its journal holds"
            ));
        }
        for row in taken.report.iter().flat_map(|report| &report.results) {
            // A cell is in one shard; where two tell of it (a static row), the one with evidence is meant.
            let cell = (row.example.clone(), row.kubernetes.clone());
            if row.evidence.is_some() || !self.cells.contains_key(&cell) {
                self.cells.insert(cell, place);
            }
        }
        self.reports.extend(taken.report);
        self.artifacts.push(Artifact { kind, id, name, url });
    }
}
