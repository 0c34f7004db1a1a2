//! From the raw form to the validated one. Nothing stops at the first mistake: each is noted at its place, and what is
//! returned counts only if there were none.

mod budget;
mod checks;
mod examples;
mod frameworks;
mod operator;
mod tiers;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::place::Place;
use super::raw::{
    RawConfig, RawGraces, RawHistory, RawImage, RawKind, RawKubernetes, RawOutcome, RawParallel, RawRegistries,
    RawScalar,
};
use super::{Config, Graces, History, ImageBuild, Kind, KubernetesVersion, Registries, forms};
use crate::model::Outcome;
pub(super) use tiers::defaults as default_tiers;

/// Most tries after the first: more would hide a broken example.
pub const MAX_RETRIES: u32 = 10;

/// Validates everything.
pub(super) fn config(raw: RawConfig, at: &Place<'_>) -> Config {
    let metrics = raw.metrics.map(|metrics| operator::metrics(metrics, &at.key("metrics")));
    let default = Config::default();
    let operator = operator::steps(raw.operator.unwrap_or_default(), &at.key("operator"));
    let operator_ready = operator::ready(raw.operator_ready.unwrap_or_default(), &at.key("operator-ready"));
    let knows_operator = !operator.is_empty() || !operator_ready.deployments.is_empty();
    let run_wide = checks::Scope::Run { knows_operator };
    Config {
        kubernetes: kubernetes(raw.kubernetes.unwrap_or_default(), &at.key("kubernetes")),
        crds: paths(raw.crds, &at.key("crds")),
        examples: at
            .key("examples")
            .items(raw.examples.unwrap_or_default())
            .map(|(at, entry)| examples::rule(entry, metrics.as_ref(), &at))
            .collect(),
        images: images(raw.images.unwrap_or_default(), &at.key("images")),
        registries: registries(raw.registries.unwrap_or_default(), &at.key("registries")),
        operator,
        operator_ready,
        frameworks: frameworks::list(raw.frameworks.unwrap_or_default(), &at.key("frameworks")),
        tiers: tiers::table(raw.tiers.unwrap_or_default(), &at.key("tiers")),
        checks: checks::list(raw.checks.unwrap_or_default(), metrics.as_ref(), run_wide, &at.key("checks")),
        graces: graces(raw.graces.unwrap_or_default(), &at.key("graces")),
        pull_secrets: names(raw.pull_secrets, &at.key("pull-secrets")),
        cluster: raw.cluster.unwrap_or(default.cluster),
        periodic_every: time(raw.periodic.and_then(|periodic| periodic.every), &at.key("periodic").key("every"))
            .unwrap_or(default.periodic_every),
        retries: raw.retries.map_or(default.retries, |retries| tries(retries, &at.key("retries"))),
        parallel: raw.parallel.and_then(|parallel| at_once(&parallel, &at.key("parallel"))),
        fail_on: raw.fail_on.map_or(default.fail_on, |words| words.into_iter().map(Outcome::from).collect()),
        kind: raw.kind.map_or_else(Kind::default, |kind| self::kind(kind, &at.key("kind"))),
        history: raw.history.and_then(|history| self::history(history, &at.key("history"))),
        cache_on_pull_request: raw.cache.and_then(|cache| cache.on_pull_request).unwrap_or_default(),
        metrics,
    }
}

impl From<RawOutcome> for Outcome {
    fn from(raw: RawOutcome) -> Self {
        match raw {
            RawOutcome::Failed => Self::Failed,
            RawOutcome::TimedOut => Self::TimedOut,
            RawOutcome::Flaky => Self::Flaky,
            RawOutcome::Errored => Self::Errored,
        }
    }
}

fn kubernetes(raw: Vec<RawKubernetes>, at: &Place<'_>) -> Vec<KubernetesVersion> {
    let mut versions: Vec<KubernetesVersion> = Vec::new();
    for (at, entry) in at.items(raw) {
        let version = match entry {
            RawKubernetes::Text(text) => at.ok(text.parse()),
            RawKubernetes::Pinned(pinned) => {
                let version: Option<KubernetesVersion> = at.key("version").ok(pinned.version.parse());
                let image = at.key("image").ok(forms::image(&pinned.image)).map(|_| pinned.image.clone());
                version.map(|version| KubernetesVersion { version: version.version, image })
            }
        };
        let Some(version) = version else { continue };
        if versions.iter().any(|earlier| earlier.version == version.version) {
            at.error_with_help(format!("`{}` stands here twice", version.version), "a version is judged once a run");
        }
        versions.push(version);
    }
    versions
}

fn images(raw: Vec<RawImage>, at: &Place<'_>) -> Vec<ImageBuild> {
    let mut meant = BTreeSet::new();
    let mut once = |name: String, at: &Place<'_>| {
        if !meant.insert(name.clone()) {
            at.error(format!("`{name}` already means another image of this list"));
        }
        name
    };
    let build = |(at, image): (Place<'_>, RawImage)| ImageBuild {
        name: at
            .key("name")
            .ok(forms::image_name(&image.name))
            .map(|name| once(name, &at.key("name")))
            .unwrap_or_default(),
        context: path(&image.context, &at.key("context")),
        dockerfile: image
            .dockerfile
            .map_or_else(|| PathBuf::from("Dockerfile"), |file| path(&file, &at.key("dockerfile"))),
        args: scalars(image.args, &at.key("args")),
        target: image.target.and_then(|target| at.key("target").ok(forms::text(&target))),
        inputs: globs(image.inputs.unwrap_or_default(), &at.key("inputs")),
        replaces: at
            .key("replaces")
            .items(image.replaces.unwrap_or_default())
            .filter_map(|(at, name)| at.ok(forms::image_name(&name)).map(|name| once(name, &at)))
            .collect(),
    };
    at.items(raw).map(build).collect()
}

fn registries(raw: RawRegistries, at: &Place<'_>) -> Registries {
    let mirrors = at.key("mirrors");
    Registries {
        mirrors: raw
            .mirrors
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(registry, url)| Some((registry.clone(), mirrors.key(&registry).ok(forms::http_url(&url))?)))
            .collect(),
        auth: raw.auth.and_then(|variable| at.key("auth").ok(forms::variable(&variable))),
    }
}

fn graces(raw: RawGraces, at: &Place<'_>) -> Graces {
    let default = Graces::default();
    let grace = |text: Option<String>, key: &str, default: Duration| {
        text.and_then(|text| at.key(key).ok(crate::duration::parse(&text))).unwrap_or(default)
    };
    Graces {
        image_not_found: grace(raw.image_not_found, "image-not-found", default.image_not_found),
        image_transient: grace(raw.image_transient, "image-transient", default.image_transient),
        crash_loop_restarts: raw.crash_loop_restarts.unwrap_or(default.crash_loop_restarts),
        unschedulable: grace(raw.unschedulable, "unschedulable", default.unschedulable),
        create_failed: grace(raw.create_failed, "create-failed", default.create_failed),
        config_missing: grace(raw.config_missing, "config-missing", default.config_missing),
        claim_unbound: grace(raw.claim_unbound, "claim-unbound", default.claim_unbound),
        running_stable: grace(raw.running_stable, "running-stable", default.running_stable),
        suspended: grace(raw.suspended, "suspended", default.suspended),
    }
}

fn kind(raw: RawKind, at: &Place<'_>) -> Kind {
    Kind {
        config: raw.config.map(|config| path(&config, &at.key("config"))),
        version: raw.version.and_then(|version| at.key("version").ok(forms::release(&version))),
    }
}

fn history(raw: RawHistory, at: &Place<'_>) -> Option<History> {
    match (raw.branch, raw.file) {
        (Some(branch), None) => at.key("branch").ok(forms::branch_name(&branch)).map(History::Branch),
        (None, Some(file)) => Some(History::File(path(&file, &at.key("file")))),
        _ => {
            at.error("expected exactly one of `branch` and `file`");
            None
        }
    }
}

fn at_once(raw: &RawParallel, at: &Place<'_>) -> Option<NonZeroUsize> {
    let number = match raw {
        RawParallel::Word(word) if word == "auto" => return None,
        RawParallel::Word(_) => None,
        RawParallel::Number(number) => usize::try_from(*number).ok().and_then(NonZeroUsize::new),
    };
    if number.is_none() {
        at.error(format!("`{}`: expected auto or a whole number from 1", at.text()));
    }
    number
}

fn tries(retries: u32, at: &Place<'_>) -> u32 {
    if retries > MAX_RETRIES {
        at.error(format!("`{retries}`: expected a whole number from 0 to {MAX_RETRIES}"));
    }
    retries
}

fn time(text: Option<String>, at: &Place<'_>) -> Option<Duration> {
    text.and_then(|text| at.ok(forms::time(&text)))
}

fn path(text: &str, at: &Place<'_>) -> PathBuf {
    at.ok(forms::text(text)).map(PathBuf::from).unwrap_or_default()
}

fn paths(raw: Option<Vec<String>>, at: &Place<'_>) -> Vec<PathBuf> {
    at.items(raw.unwrap_or_default()).map(|(at, text)| path(&text, &at)).collect()
}

fn globs(raw: Vec<String>, at: &Place<'_>) -> Vec<String> {
    at.items(raw).filter_map(|(at, pattern)| at.ok(forms::glob(&pattern)).map(|_| plain(&pattern).to_owned())).collect()
}

/// A path or glob without its leading `./`, as ids are written.
fn plain(path: &str) -> &str {
    path.strip_prefix("./").unwrap_or(path)
}

fn names(raw: Option<Vec<String>>, at: &Place<'_>) -> Vec<String> {
    at.items(raw.unwrap_or_default()).filter_map(|(at, name)| at.ok(forms::object_name(&name))).collect()
}

/// Scalars as the texts that their author sees. A number that YAML reads as another text (`1.10`, `010`) is a mistake.
fn scalars(raw: Option<BTreeMap<String, RawScalar>>, at: &Place<'_>) -> BTreeMap<String, String> {
    let text = |(name, scalar): (String, RawScalar)| {
        let at = at.key(&name);
        let text = match scalar {
            RawScalar::Text(text) => return (name, text),
            RawScalar::Number(number) => number.to_string(),
            RawScalar::Bool(flag) => flag.to_string(),
        };
        let written = at.text();
        if written != text && !written.starts_with('*') {
            at.error_with_help(
                format!("`{written}` would be read as `{text}`"),
                format!("write \"{written}\", in quotes"),
            );
        }
        (name, text)
    };
    raw.unwrap_or_default().into_iter().map(text).collect()
}
