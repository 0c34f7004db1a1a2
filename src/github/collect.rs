//! What the jobs of a fan-out left: the plan, and the results of shards, from artifacts of this run or another.
//!
//! Nothing in an artifact is trusted. Of each archive three files are unpacked, in memory and within bounds ([`unpack`]); their
//! texts are held to the form that this program writes ([`vetted`]); and what they say of themselves is held to what GitHub says of the
//! run and to the artifact's name. An artifact that does not fit is told and left out, so that its shard is missing: a run of which a part
//! is missing is never a success. What a run of a fork *says* can't be checked by anybody but its reader.

mod names;
mod remote;
mod run;
mod source;
#[cfg(test)]
mod tests;
mod unpack;
mod vetted;

use std::collections::BTreeMap;

use futures::StreamExt as _;

pub use names::{DEFAULT_NAME, Kind, PLAN_NAME, artifact_name, namesake};
pub use run::WorkflowRun;
pub use source::Source;

use super::artifact;
use crate::diagnostic::inert::inert;
use crate::model::{ExampleId, Outcome};
use crate::plan::Plan;
use crate::report::annotations::neutral;
use crate::report::{Report, Row};
use source::{Entry, Unusable};
use unpack::Unpacked;

/// The most artifacts that are taken: as many jobs as a matrix can have, the plan, and a whole one.
const MOST_ARTIFACTS: usize = 258;
/// How many are fetched at once.
const AT_ONCE: usize = 2;

/// What is looked for, and what it is held to.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// What the artifacts of the run's results are called: the input `artifact-name`.
    pub base: &'a str,
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
    /// The plan: the artifact's, else the one that all results came with.
    pub plan: Option<Plan>,
    /// The artifacts that were used.
    pub artifacts: Vec<Artifact>,
    /// What could not be used, and what does not fit together, a sentence each.
    pub remarks: Vec<String>,
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

/// Collects what the run left, from the first of the sources that can list its artifacts. What can't be used is among the remarks.
///
/// # Errors
/// No source can list them; why each can't, in one line.
pub async fn collect(sources: &[Source], wanted: &Wanted<'_>) -> Result<Collected, String> {
    let (source, entries, complete) = list(sources).await?;
    let mut collected = Collected::default();
    if !complete {
        collected.remarks.push("the run has more artifacts than are looked through: some may be missing".to_owned());
    }
    let mut meant = meant(wanted.base, entries);
    if meant.len() > MOST_ARTIFACTS {
        collected
            .remarks
            .push(format!("{} artifacts are more than {MOST_ARTIFACTS}: the rest is left out", meant.len()));
        meant.truncate(MOST_ARTIFACTS);
    }
    let mut plans = Vec::new();
    let mut unpacked = futures::stream::iter(meant)
        .map(|(kind, entry)| async move {
            let unpacked = source.fetch(&entry).await;
            (kind, entry, unpacked)
        })
        .buffered(AT_ONCE);
    while let Some((kind, entry, unpacked)) = unpacked.next().await {
        match unpacked.and_then(|unpacked| taken(kind, unpacked, wanted).map_err(Unusable::Unfit)) {
            Ok(taken) => collected.add(kind, &entry.listed, taken, wanted, &mut plans),
            Err(why) => collected.remarks.push(told(kind, &entry.listed.name, &why)),
        }
    }
    drop(unpacked);
    collected.settle_plan(&plans);
    Ok(collected)
}

/// The plan of the run, which must have this digest.
///
/// # Errors
/// What keeps it from being had, in one line.
pub async fn plan(sources: &[Source], digest: &str) -> Result<Plan, String> {
    let (source, entries, _) = list(sources).await?;
    let newest = entries.into_iter().filter(|entry| entry.listed.name == PLAN_NAME).max_by_key(|entry| entry.listed.id);
    let entry = newest.ok_or_else(|| format!("the run has no artifact {PLAN_NAME}: its job `plan` leaves it"))?;
    let mut unpacked = source.fetch(&entry).await.map_err(|why| format!("the artifact {PLAN_NAME}: {why}"))?;
    let bytes = unpacked.take("plan.json").ok_or_else(|| format!("the artifact {PLAN_NAME} holds no plan.json"))?;
    let plan = vetted::plan(&bytes).map_err(|why| format!("the artifact {PLAN_NAME}: {why}"))?;
    if plan.digest != digest {
        return Err(format!("the plan of this run has the digest {}, and not {digest}", plan.digest));
    }
    Ok(plan)
}

async fn list(sources: &[Source]) -> Result<(&Source, Vec<Entry>, bool), String> {
    let mut failed = Vec::new();
    for source in sources {
        match source.list().await {
            Ok((entries, complete)) => return Ok((source, entries, complete)),
            Err(why) => failed.push(why),
        }
    }
    Err(failed.join("; "))
}

/// The entries that are meant, with what they are. The results of a whole run don't count beside those of shards: a merged
/// report may be called like them.
fn meant(base: &str, entries: Vec<Entry>) -> Vec<(Kind, Entry)> {
    let listed = entries.iter().map(|entry| entry.listed.clone()).collect();
    let mut meant = names::meant(base, listed);
    if meant.iter().any(|(kind, _)| matches!(kind, Kind::Shard(..))) {
        meant.retain(|(kind, _)| !matches!(kind, Kind::Whole(_)));
    }
    let by_id: BTreeMap<u64, Entry> = entries.into_iter().map(|entry| (entry.listed.id, entry)).collect();
    meant.into_iter().filter_map(|(kind, listed)| Some((kind, by_id.get(&listed.id)?.clone()))).collect()
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
    fn add(
        &mut self,
        kind: Kind,
        listed: &names::Listed,
        taken: Taken,
        wanted: &Wanted<'_>,
        plans: &mut Vec<(Kind, Plan)>,
    ) {
        let place = self.artifacts.len();
        let (id, name) = (listed.id, listed.name.clone());
        let url = artifact::page(wanted.server_url, wanted.repository, wanted.run, id);
        if taken.killed {
            self.remarks.push(format!(
                "the artifact {name} is of a run that was killed before it could report: this is what its journal holds"
            ));
        }
        plans.extend(taken.plan.map(|plan| (kind, plan)));
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

    /// Of the plans that were found, the artifact's; else the one that all results came with. Results of another plan are told.
    fn settle_plan(&mut self, plans: &[(Kind, Plan)]) {
        let digests: std::collections::BTreeSet<&str> = plans.iter().map(|(_, plan)| plan.digest.as_str()).collect();
        let own = plans.iter().find(|(kind, _)| *kind == Kind::Plan).map(|(_, plan)| plan);
        if own.is_none() && digests.len() > 1 {
            self.remarks.push("the results are of different plans: what had to be judged is not known".to_owned());
            return;
        }
        let Some(plan) = own.or_else(|| plans.first().map(|(_, plan)| plan)).cloned() else { return };
        for (kind, other) in plans {
            if let (Kind::Shard(number, count), true) = (kind, other.digest != plan.digest) {
                self.remarks.push(format!(
                    "shard {number}/{count} obeyed another plan: {}, and not {}",
                    other.digest, plan.digest
                ));
            }
        }
        self.plan = Some(plan);
    }
}
