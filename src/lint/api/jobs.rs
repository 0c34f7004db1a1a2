//! Jobs and CronJobs.
//!
//! Source: `pkg/apis/batch/validation/validation.go` and `pkg/registry/batch/job/strategy.go` of Kubernetes.

use super::read::{at, flag, get, int, is_missing, list, pairs, structs, text};
use super::report::{
    expect, forbid, non_negative, one_of, one_of_if_set, require, require_form, require_map, require_one_of, required,
    shorten,
};
use super::{cron, forms, meta, pod};
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::yaml::Node;

const COUNTS: [&str; 7] = [
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
];
/// The labels that the server gives to a Job's pods, with the Job's name.
const NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];
/// The labels that the server gives to a Job's pods, with an id that it makes up.
const ID_LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];
/// Most indexes that an Indexed Job may run at once, or may let fail; and above so many completions, a tenth of it.
const MAX_INDEXES: i64 = 100_000;
const MAX_INDEXES_OF_MANY: i64 = 10_000;

/// A Job.
pub(super) fn job(root: &Node, out: &mut Findings<'_>) {
    let Some(spec) = require_map(out, root, "spec") else { return };
    check_spec(spec, true, out);
    let name = root.get("metadata").map(|metadata| text(metadata, "name")).unwrap_or_default();
    meta::selector(spec, "selector", out);
    if flag(spec, "manualSelector") {
        match get(spec, "selector") {
            Some(selector) => meta::matches_template(selector, spec, out),
            None => required(out, spec, "selector", " when `manualSelector` is true"),
        }
    } else {
        generated_selector(root, spec, name, out);
    }
    let completions = int(spec, "completions").unwrap_or(0);
    if text(spec, "completionMode") == "Indexed" && completions > 0 && !name.is_empty() {
        let host = format!("{name}-{}", completions - 1);
        if let (Some(_), Some(value)) = (forms::dns_label(&host), at(root, &["metadata", "name"])) {
            let message =
                format!("its pods can't be created: their names, like `{}`, are no valid host names", shorten(&host));
            out.error(code::NAME, value, message);
        }
    }
}

/// The server gives a Job's pods labels of their own, and selects by them.
fn generated_selector(root: &Node, spec: &Node, name: &str, out: &mut Findings<'_>) {
    if let (true, Some(value)) = (name.len() > 63, at(root, &["metadata", "name"])) {
        out.error(code::NAME, value, "is too long: it becomes a label of the pods, of at most 63 characters");
    }
    let help = "remove it: the server sets it (unless `manualSelector` is true)";
    let own = |key: &str, value: &str| (NAME_LABELS.contains(&key) && value == name, ID_LABELS.contains(&key));
    if let Some(metadata) = at(spec, &["template", "metadata"]) {
        for (entry, value) in pairs(metadata, "labels") {
            let (named, id) = own(&entry.key, value);
            if id || NAME_LABELS.contains(&&*entry.key) && !named {
                let message = "must not be set: the server gives the pods this label";
                out.error(code::FORBIDDEN, entry, message).help = Some(help.to_owned());
            }
        }
    }
    if let Some(selector) = get(spec, "selector") {
        let label = |key: &str| NAME_LABELS.contains(&key).then_some(name);
        if !meta::selects(selector, &label) {
            let message = "must not be set: a Job's selector is made by the server";
            out.error(code::SELECTOR, selector, message).help = Some(help.to_owned());
        }
    }
}

/// A CronJob.
pub(super) fn cron_job(root: &Node, out: &mut Findings<'_>) {
    if let Some(value) = at(root, &["metadata", "name"])
        && value.as_str().is_some_and(|name| name.len() > 52)
    {
        out.error(code::NAME, value, "is too long: at most 52 characters, so that its Jobs can have longer names");
    }
    let Some(spec) = require_map(out, root, "spec") else { return };
    if require(out, spec, "schedule")
        && let Some(value) = get(spec, "schedule")
        && let Some(schedule) = value.as_str()
    {
        if let Err(message) = cron::parse(schedule) {
            out.error(code::FORMAT, value, format!("`{}` is not a schedule: {message}", shorten(schedule)));
        } else if schedule.contains("TZ") {
            out.error(code::FORBIDDEN, value, "must not set a time zone").help =
                Some("use `timeZone` instead".to_owned());
        }
    }
    if let Some(zone) = get(spec, "timeZone")
        && let Some(found) = zone.as_str()
    {
        expect(out, zone, found, cron::time_zone);
    }
    one_of(out, spec, "concurrencyPolicy", &["Allow", "Forbid", "Replace"]);
    non_negative(out, spec, &["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"]);
    let Some(template) = require_map(out, spec, "jobTemplate") else { return };
    let Some(job) = require_map(out, template, "spec") else { return };
    check_spec(job, false, out);
    forbid(out, job, "selector", "in a CronJob: it is made by the server");
    if flag(job, "manualSelector") {
        forbid(out, job, "manualSelector", "in a CronJob");
    }
}

/// What Jobs and the templates of CronJobs share; only a Job without `completions` and `parallelism` is completed by one
/// pod.
fn check_spec(spec: &Node, defaulted: bool, out: &mut Findings<'_>) {
    non_negative(out, spec, &COUNTS);
    one_of_if_set(out, spec, "completionMode", &["NonIndexed", "Indexed"]);
    if let Some(manager) = get(spec, "managedBy") {
        let name = manager.as_str().unwrap_or("example.com/x");
        if expect(out, manager, name, forms::domain_prefixed_path) && name.len() > 63 {
            out.error(code::FORMAT, manager, "is longer than 63 characters");
        }
    }
    indexes(spec, defaulted, out);
    if let Some(policy) = get(spec, "podFailurePolicy") {
        failure_policy(spec, policy, out);
    }
    if let Some(policy) = get(spec, "successPolicy") {
        success_policy(spec, policy, out);
    }
    let replacement: &[&str] =
        if get(spec, "podFailurePolicy").is_some() { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
    one_of_if_set(out, spec, "podReplacementPolicy", replacement);
    pod::template(spec, &[], out);
    restart_policy(spec, out);
}

fn restart_policy(spec: &Node, out: &mut Findings<'_>) {
    let Some(pod) = at(spec, &["template", "spec"]) else { return };
    let failure_policy = get(spec, "podFailurePolicy").is_some();
    match (text(pod, "restartPolicy"), get(pod, "restartPolicy")) {
        ("", None) => {
            required(out, pod, "restartPolicy", " in a Job: `OnFailure` or `Never`");
        }
        ("" | "Always", Some(value)) if value.as_str().is_some() => {
            out.error(code::NOT_ALLOWED, value, "must be `OnFailure` or `Never` in a Job");
        }
        ("OnFailure", Some(value)) if failure_policy => {
            out.error(code::NOT_ALLOWED, value, "must be `Never` when there is a `podFailurePolicy`");
        }
        _ => {}
    }
}

fn indexes(spec: &Node, defaulted: bool, out: &mut Findings<'_>) {
    let (completions, failed) = (int(spec, "completions"), int(spec, "maxFailedIndexes"));
    let per_index = get(spec, "backoffLimitPerIndex").is_some();
    if failed.is_some() && !per_index {
        required(out, spec, "backoffLimitPerIndex", " when `maxFailedIndexes` is set");
    }
    if matches!(text(spec, "completionMode"), "" | "NonIndexed") {
        forbid(out, spec, "backoffLimitPerIndex", "unless `completionMode` is `Indexed`");
        forbid(out, spec, "maxFailedIndexes", "unless `completionMode` is `Indexed`");
    }
    if text(spec, "completionMode") != "Indexed" {
        return;
    }
    if get(spec, "completions").is_none() && !(defaulted && get(spec, "parallelism").is_none()) {
        required(out, spec, "completions", " when `completionMode` is `Indexed`");
    }
    let many = per_index && completions.is_some_and(|count| count > MAX_INDEXES);
    let most = if many { MAX_INDEXES_OF_MANY } else { MAX_INDEXES };
    if many && failed.is_none() {
        required(out, spec, "maxFailedIndexes", &format!(" for more than {MAX_INDEXES} completions"));
    }
    for (key, most) in [("parallelism", most), ("maxFailedIndexes", completions.map_or(most, |count| most.min(count)))]
    {
        if let (Some(value), Some(found)) = (spec.get(key), int(spec, key).filter(|found| *found > most)) {
            out.error(code::RANGE, value, format!("{found} is out of range, expected at most {most}"));
        }
    }
}

fn failure_policy(spec: &Node, policy: &Node, out: &mut Findings<'_>) {
    at_most(policy, "rules", 20, out);
    let pod = at(spec, &["template", "spec"]);
    let containers: Vec<&str> = pod
        .into_iter()
        .flat_map(|pod| structs(pod, "containers").chain(structs(pod, "initContainers")))
        .map(|container| text(container, "name"))
        .collect();
    for rule in structs(policy, "rules") {
        require_one_of(out, rule, "action", &["Count", "FailIndex", "FailJob", "Ignore"]);
        if text(rule, "action") == "FailIndex" && get(spec, "backoffLimitPerIndex").is_none() {
            let value = rule.get("action").unwrap_or(rule);
            out.error(code::INVALID, value, "`FailIndex` needs `backoffLimitPerIndex`");
        }
        let (codes, conditions) = (get(rule, "onExitCodes"), !is_missing(rule, "onPodConditions"));
        if codes.is_some() == conditions {
            let code = if conditions { code::FORBIDDEN } else { code::REQUIRED };
            out.error(code, rule, "exactly one of `onExitCodes` and `onPodConditions` must be set");
        }
        if let Some(codes) = codes {
            exit_codes(codes, &containers, out);
        }
        at_most(rule, "onPodConditions", 20, out);
        for pattern in structs(rule, "onPodConditions") {
            require_form(out, pattern, "type", forms::qualified_name);
            one_of(out, pattern, "status", &["False", "True", "Unknown"]);
        }
    }
}

fn exit_codes(codes: &Node, containers: &[&str], out: &mut Findings<'_>) {
    require_one_of(out, codes, "operator", &["In", "NotIn"]);
    if let Some(value) = get(codes, "containerName")
        && let Some(name) = value.as_str().filter(|name| !containers.contains(name))
    {
        out.error(code::NOT_FOUND, value, format!("the template has no container `{name}`"));
    }
    require(out, codes, "values");
    at_most(codes, "values", 255, out);
    // A null among numbers is 0.
    let number = |value: &Node| if value.is_null() { Some(0) } else { value.as_i64() };
    let values: Vec<(&Node, i64)> =
        list(codes, "values").iter().filter_map(|value| Some((value, number(value)?))).collect();
    for (index, (value, number)) in values.iter().enumerate() {
        if *number == 0 && text(codes, "operator") == "In" {
            out.error(code::RANGE, *value, "must not be 0, which is success, for the operator `In`");
        }
        if values[..index].iter().any(|(_, earlier)| earlier >= number) {
            out.error(code::INVALID, *value, "the values must be in rising order, each once");
        }
    }
}

fn success_policy(spec: &Node, policy: &Node, out: &mut Findings<'_>) {
    if text(spec, "completionMode") != "Indexed" {
        return forbid(out, spec, "successPolicy", "unless `completionMode` is `Indexed`");
    }
    require(out, policy, "rules");
    at_most(policy, "rules", 20, out);
    let Some(completions) = int(spec, "completions") else { return };
    for rule in structs(policy, "rules") {
        let (indexes, count) = (get(rule, "succeededIndexes"), get(rule, "succeededCount"));
        if indexes.is_none() && count.is_none() {
            out.error(code::REQUIRED, rule, "one of `succeededIndexes` and `succeededCount` is required");
        }
        let mut most = completions;
        if let Some((value, text)) = indexes.and_then(|value| Some((value, value.as_str()?))) {
            if let Some(total) = cron::count_indexes(text, completions) {
                most = most.min(total);
            } else {
                let message = format!("expected rising indexes below {completions}, as in `0,2-4`");
                out.error(code::FORMAT, value, message);
            }
        }
        non_negative(out, rule, &["succeededCount"]);
        if let Some(value) = count.filter(|count| count.as_i64().is_some_and(|count| count > most)) {
            out.error(code::RANGE, value, format!("is more than the {most} indexes that there are"));
        }
    }
}

fn at_most(node: &Node, key: &str, most: usize, out: &mut Findings<'_>) {
    if let Some(value) = node.get(key).filter(|_| list(node, key).len() > most) {
        out.error(code::RANGE, value, format!("{} are too many, at most {most} are allowed", list(node, key).len()));
    }
}
