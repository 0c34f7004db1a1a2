//! What surrounds the examples: the verdict, where the time went, what stands out, clusters and images.

use askama::Template;

use super::chart::gantt::{Gantt, gantt};
use super::chart::{ring, spark};
use super::example::{Example, examples};
use super::fit::Fitted;
use super::grid::{self, version};
use super::insight::{self, Framework, List};
use super::run_wide::RunWide;
use super::text::{Html, Link, Text};
use super::{SCRIPT, Told, look, policy, run_wide, style};
use crate::model::{Conclusion, Outcome};
use crate::report::summary::parts;
use crate::report::{Cluster, Image, Report, timeline, words};

/// What the sentence on what is left out takes at most, in bytes.
pub(super) const NOTICE: usize = 500;
/// Most clusters, images and frameworks that are named, and most notices.
const CLUSTERS: usize = 30;
const IMAGES: usize = 60;
const FRAMEWORKS: usize = 60;
const NOTICES: usize = 20;

/// What the id of a run outside GitHub Actions begins with.
const LOCAL: &str = "local-";

/// The page as its template has it.
#[derive(Template)]
#[template(path = "report.html")]
pub(super) struct Page {
    policy: Html,
    style: Html,
    script: Html,
    title: Text,
    icon: &'static str,
    simulated: bool,
    verdict: Text,
    facts: Vec<(&'static str, Link)>,
    notices: Vec<Text>,
    health: Option<Overall>,
    tally: Vec<Tally>,
    share: Html,
    scope: Text,
    columns: Vec<Text>,
    /// What is said of versions without a column.
    more_columns: String,
    roles: Vec<Text>,
    more_roles: usize,
    has_health: bool,
    gantt: Gantt,
    took: String,
    lists: Vec<List>,
    frameworks: Vec<Framework>,
    clusters: Vec<ClusterLine>,
    more_clusters: usize,
    run_wide: RunWide,
    images: Vec<ImageLine>,
    more_images: usize,
    image_count: String,
    fitted: Fitted,
    left_out: String,
    footer: Vec<Text>,
}

struct Overall {
    ring: Html,
    trend: Option<(&'static str, &'static str)>,
    told: String,
}

/// How many results have an outcome.
struct Tally {
    letter: &'static str,
    word: &'static str,
    name: &'static str,
    count: usize,
}

struct ClusterLine {
    version: Text,
    provider: Text,
    letter: &'static str,
    outcome: Text,
    phases: Vec<(&'static str, String)>,
    why: Text,
    tally: Vec<Tally>,
}

struct ImageLine {
    name: Text,
    cache: Text,
    took: String,
    digest: Text,
}

impl Page {
    /// Whether there is anything to say of what stands out.
    fn stands_out(&self) -> bool {
        !self.frameworks.is_empty() || self.lists.iter().any(|list| !list.items.is_empty())
    }

    /// Puts the examples in.
    pub(super) fn hold(&mut self, fitted: Fitted) {
        let mut parts = Vec::new();
        if fitted.shortened > 0 {
            parts.push(format!(
                "{} are told in short to keep this page small",
                words::plural(fitted.shortened, "example")
            ));
        }
        if fitted.left_out > 0 {
            let failed = match fitted.failures_left_out {
                0 => String::new(),
                count => format!(", {count} of which failed"),
            };
            parts.push(format!("{} more are not on it{failed}", words::plural(fitted.left_out, "example")));
        }
        if !parts.is_empty() {
            self.left_out = format!("{}; report.json and evidence.zip have everything.", parts.join(", "));
        }
        self.fitted = fitted;
    }
}

/// The page without its examples.
pub(super) fn page(told: Told<'_>) -> Page {
    let report = told.report;
    let examples = examples(report);
    let (_, verdict) = parts::verdict_of(report, &|version| version.to_owned());
    let columns = grid::columns(report);
    let style = style(columns.shown.len());
    let is_bad =
        |cluster: &&Cluster| cluster.cause.is_some() || cluster.checks.iter().any(|check| check.outcome != "passed");
    let clusters: Vec<_> = report.clusters.iter().collect();
    let clusters = grid::first(&clusters, CLUSTERS, is_bad);
    let roles: std::collections::BTreeSet<_> =
        report.results.iter().map(words::role).filter(|role| !role.is_empty()).collect();
    Page {
        policy: Html::made(policy(&style)),
        style: Html::made(style),
        script: Html::made(SCRIPT.to_owned()),
        title: Text::clipped(&format!("{verdict} · {}", named(report)), 160),
        icon: icon(report.summary.conclusion, &examples),
        simulated: report.run.simulated,
        verdict: Text::new(&verdict),
        facts: facts(told),
        notices: told.about.notices.iter().take(NOTICES).map(|notice| Text::clipped(notice, 400)).collect(),
        health: report.health.as_ref().map(overall),
        tally: tally(report.results.iter().map(|row| row.outcome)),
        share: share(report),
        scope: Text::new(&words::scope(report)),
        columns: columns.shown.iter().map(|column| version(*column)).collect(),
        more_columns: more_columns(&columns),
        more_roles: roles.len().saturating_sub(FRAMEWORKS),
        roles: roles.iter().take(FRAMEWORKS).map(|role| Text::clipped(role, 140)).collect(),
        has_health: report.results.iter().any(|row| row.health.is_some()),
        gantt: gantt(&timeline::bars(report), report.run.duration_ms),
        took: words::duration(report.run.duration_ms),
        lists: insight::lists(&examples),
        frameworks: insight::frameworks(report.health.as_ref()),
        more_clusters: report.clusters.len() - clusters.len(),
        clusters: clusters.into_iter().map(|cluster| cluster_line(cluster, report)).collect(),
        run_wide: run_wide::run_wide(report),
        more_images: report.images.len().saturating_sub(IMAGES),
        images: report.images.iter().take(IMAGES).map(image_line).collect(),
        image_count: image_count(report),
        fitted: Fitted::default(),
        left_out: String::new(),
        footer: footer(report),
    }
}

/// What is said of versions without a column; empty if there are none.
fn more_columns(columns: &grid::Columns<'_>) -> String {
    let bad = match columns.bad_left_out {
        0 => "nothing failed on any".to_owned(),
        count => format!("something failed on {count} of them"),
    };
    match columns.left_out {
        0 => String::new(),
        count => format!(
            "{} more have no column here, {bad}; the filter of outcomes counts them.",
            words::plural(count, "version")
        ),
    }
}

fn named(report: &Report) -> &str {
    if report.run.repository.is_empty() { "example-validator" } else { &report.run.repository }
}

/// The sign of the whole run: the letter of an outcome, or that of a rehearsal.
fn icon(conclusion: Conclusion, examples: &[Example<'_>]) -> &'static str {
    match conclusion {
        Conclusion::Success if examples.is_empty() => "s",
        Conclusion::Success => "p",
        Conclusion::Failure => "f",
        Conclusion::Error => "e",
        Conclusion::Cancelled => "s",
        Conclusion::Simulated => "x",
    }
}

/// Where and when it was, each with what it is called.
fn facts(told: Told<'_>) -> Vec<(&'static str, Link)> {
    let (run, about) = (&told.report.run, told.about);
    let mut facts = Vec::new();
    let mut add = |name, text: &str, address: &str| {
        if !text.is_empty() {
            facts.push((name, Link::new(text, address)));
        }
    };
    add("", &run.repository, &about.repository_url());
    let commit: String = about.commit.chars().take(12).collect();
    add("commit", &commit, &about.commit_url(&about.commit));
    if let Some(number) = run.pull_request {
        add("pull request", &format!("#{number}"), &about.pull_request_url(number));
    }
    // Nobody sent the event that a run outside GitHub Actions is planned for.
    if run.id.starts_with(LOCAL) {
        add("", "a local run", "");
    } else {
        add("event", &run.event, "");
    }
    add("run", &run.id, &about.run_url());
    add("shard", run.shard.as_deref().unwrap_or_default(), "");
    add("started", &look::moment(&run.started_at), "");
    add("took", &words::duration(run.duration_ms), "");
    facts
}

fn overall(health: &crate::report::Overall) -> Overall {
    let unknown = if health.unknown > 0 { format!(", {} too new to tell", health.unknown) } else { String::new() };
    Overall {
        ring: ring::ring(health.score),
        trend: look::trend(&health.trend),
        told: format!("{} scored{unknown}", words::plural(health.scored as usize, "example")),
    }
}

fn tally(outcomes: impl Iterator<Item = Outcome>) -> Vec<Tally> {
    let outcomes: Vec<_> = outcomes.collect();
    let of = |outcome: &Outcome| Tally {
        letter: look::letter(*outcome),
        word: words::past(*outcome),
        name: outcome.as_str(),
        count: outcomes.iter().filter(|own| *own == outcome).count(),
    };
    ORDER.iter().map(of).filter(|tally| tally.count > 0).collect()
}

/// The outcomes, good first.
const ORDER: [Outcome; 6] =
    [Outcome::Passed, Outcome::Flaky, Outcome::Failed, Outcome::TimedOut, Outcome::Errored, Outcome::Skipped];

/// The outcomes as parts of one bar.
fn share(report: &Report) -> Html {
    let counts = tally(report.results.iter().map(|row| row.outcome));
    let parts: Vec<_> = counts.iter().map(|tally| (tally.letter, tally.word, tally.count)).collect();
    spark::share_of(&parts)
}

fn cluster_line(cluster: &Cluster, report: &Report) -> ClusterLine {
    let phase = |name, key: &str| {
        let took = cluster.phases.get(key).and_then(serde_json::Value::as_u64)?;
        (key != "createMs" || !cluster.is_found()).then(|| (name, words::duration(took)))
    };
    let phases = [phase("created in", "createMs"), phase("operator in", "operatorMs"), phase("pulls", "pullMs")];
    let cause = cluster.cause.as_ref();
    let own = report.results.iter().filter(|row| row.kubernetes.as_deref() == Some(&cluster.kubernetes));
    ClusterLine {
        version: version(Some(&cluster.kubernetes)),
        provider: Text::clipped(&cluster.provider, 60),
        letter: if cause.is_some() { "e" } else { "p" },
        outcome: Text::clipped(&cluster.outcome, 60),
        phases: phases.into_iter().flatten().collect(),
        why: Text::clipped(&cause.map(|cause| format!("{} {}", cause.message, cause.hint)).unwrap_or_default(), 500),
        tally: tally(own.map(|row| row.outcome)),
    }
}

fn image_line(image: &Image) -> ImageLine {
    ImageLine {
        name: Text::clipped(&image.name, 200),
        cache: Text::clipped(&image.cache, 40),
        took: if image.build_ms > 0 { words::duration(image.build_ms) } else { String::new() },
        digest: Text::clipped(image.digest.trim_start_matches("sha256:"), 12),
    }
}

/// `7 images, 5 from the cache`.
fn image_count(report: &Report) -> String {
    let hits = report.images.iter().filter(|image| image.cache == "hit").count();
    format!("{}, {hits} from the cache", words::plural(report.images.len(), "image"))
}

fn footer(report: &Report) -> Vec<Text> {
    let tool = &report.tool;
    let mut parts = vec![format!("{} {}", tool.name, tool.version)];
    if let Some(schemas) = &tool.schemas {
        parts.push(format!("built-in kinds were checked by the schemas of Kubernetes {schemas}"));
    }
    parts.push("example-validator explain CODE says more about a code".to_owned());
    parts.iter().map(|part| Text::new(part)).collect()
}
