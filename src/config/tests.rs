//! Each mistake once, several at once, each at its place; and what a config without mistakes comes to.

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::diagnostic::{Diagnostic, Source};

/// Every key that there is.
const FULL: &str = include_str!("../../tests/config/full.yml");

fn mistakes(text: &str) -> Vec<Diagnostic> {
    load(&Source::new("config.yml", text)).map(|_| ()).err().unwrap_or_default()
}

/// The only mistake in `text`: line, what its span covers, message.
fn mistake(text: &str) -> (u32, String, String) {
    let found = mistakes(text);
    assert_eq!(found.len(), 1, "{text}: {found:#?}");
    let (_, line, _) = found[0].position().unwrap();
    let span = found[0].location.as_ref().unwrap().span;
    (line, text[span.range()].to_owned(), found[0].message.clone())
}

fn help(text: &str) -> String {
    mistakes(text).remove(0).help.unwrap_or_default()
}

fn config(text: &str) -> Config {
    load(&Source::new("config.yml", text)).unwrap_or_else(|found| panic!("{found:#?}"))
}

/// Asserts that each text has exactly one mistake, at the given text, with a message that holds the given words.
fn each_is_told(cases: &[(&str, &str, &str)]) {
    for (text, at, words) in cases {
        let (_, found_at, message) = mistake(text);
        assert_eq!(&found_at, at, "{text}: {message}");
        assert!(message.contains(words), "{text}: {message}");
    }
}

#[test]
fn an_empty_file_has_every_default() {
    for text in ["", "# nothing\n", "---\n", "version: 1\n", "examples:\nchecks: null\n"] {
        let config = config(text);
        assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()), "{text}");
    }
    let default = Config::default();
    assert_eq!(default.retries, 1);
    assert_eq!(default.fail_on, [Outcome::Failed, Outcome::TimedOut, Outcome::Errored]);
    assert_eq!(default.selection("schedule", Tier::Periodic), Selection::Due);
    assert_eq!(default.selection("merge_group", Tier::Full), Selection::Changed);
    assert_eq!(default.selection("release", Tier::Full), Selection::All);
    assert_eq!(default.selection("push", Tier::Periodic), Selection::None);
}

#[test]
fn every_key_is_read() {
    let config = config(FULL);
    assert_eq!(config.kubernetes.len(), 2);
    assert_eq!(config.examples.len(), 3);
    let first = &config.examples[0];
    assert_eq!((first.tier, first.timeout), (Some(Tier::Full), Some(Duration::from_secs(900))));
    assert_eq!(first.checks.as_ref().map(Vec::len), Some(8));
    assert_eq!(first.resources.unwrap().memory.units(), 4 << 30);
    assert_eq!(config.images[0].args["VERSION"], "1");
    assert_eq!(config.operator.len(), 3);
    assert_eq!((config.frameworks[0].name.as_str(), config.frameworks[0].matches.kind.as_str()), ("rayjob", "RayJob"));
    assert!(matches!(&config.operator[1], OperatorStep::Helm { set, .. } if set["image.tag"] == "ci"));
    assert_eq!(config.operator_ready.deployments, ["kubeflow/training-operator"]);
    assert!(matches!(&config.metrics, Some(MetricsSource::Service { path, .. }) if path == "/metrics"));
    assert_eq!(config.registries.mirrors["docker.io"], "https://mirror.example");
    assert_eq!(config.graces, Graces::default());
    assert_eq!(
        config.kind,
        Kind { config: Some(PathBuf::from("hack/kind.yaml")), version: Some("v0.30.0".to_owned()) }
    );
    assert_eq!(config.history, Some(History::Branch("example-validator-history".to_owned())));
    assert!(!config.cache_on_pull_request);
}

#[test]
fn an_unknown_key_is_told_at_the_key_with_the_one_that_was_meant() {
    let text = "version: 1\nexmaples: []\n";
    let (line, at, message) = mistake(text);
    assert_eq!((line, at.as_str()), (2, "exmaples"));
    assert!(message.contains("unknown field `exmaples`, did you mean `examples`?"), "{message}");
    let nested = "examples:\n- paths: [a]\n  quarantine: {untill: 2027-01-31, reason: x, until: 2027-01-31}\n";
    assert_eq!(mistake(nested).1, "untill");
}

#[test]
fn every_mistake_of_structure_is_told_at_once() {
    let text = "retries: many\ncluster: knd\nimages:\n- name: a\nfoo: 1\nhistory: {branch: a, file: b}\n";
    let found = mistakes(text);
    let lines: Vec<_> = found.iter().filter_map(|problem| Some(problem.position()?.1)).collect();
    assert_eq!(found.len(), 5, "{found:#?}");
    for line in [1, 2, 4, 5, 6] {
        assert!(lines.contains(&line), "{line}: {found:#?}");
    }
}

#[test]
fn every_mistake_of_meaning_is_told_at_once_in_the_order_of_the_file() {
    let text = "kubernetes: [latest]\nexamples:\n- paths: ['a[']\n  timeout: 15\n  retries: 3\n- paths: [b]\n  timeout: soon\nperiodic: {every: 0s}\n";
    let wrong_type = mistakes(text);
    assert_eq!(wrong_type.len(), 1, "a number is no duration: {wrong_type:#?}");
    let found = mistakes(&text.replace("15", "15x"));
    let lines: Vec<_> = found.iter().filter_map(|problem| Some(problem.position()?.1)).collect();
    assert_eq!(lines, [1, 3, 4, 7, 8], "{found:#?}");
}

#[test]
fn yaml_that_is_broken_is_told_with_the_rest() {
    let found = mistakes("retries: 1\nretries: 2\nfoo: 1\n");
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(!mistakes("a: [").is_empty());
    assert!(mistake("version: 1\n---\nversion: 1\n").2.contains("second document"));
    assert!(!mistakes("- a\n").is_empty(), "a list is no config");
}

#[test]
fn only_the_first_version_of_the_form_is_read() {
    assert_eq!(mistake("version: 2\n").1, "2");
}

#[test]
fn versions_of_kubernetes_are_checked() {
    each_is_told(&[
        ("kubernetes: [v1.34, latest]", "latest", "kubernetes[1]: `latest` is not a Kubernetes version"),
        ("kubernetes: [v1.34.0, v1.34.0]", "v1.34.0", "twice"),
        ("kubernetes: [{version: v1.34.0, image: 'A B'}]", "'A B'", "is not an image"),
    ]);
    assert!(mistakes("kubernetes: [1.34]")[0].message.contains("kubernetes[0]"));
}

#[test]
fn entries_of_examples_are_checked() {
    each_is_told(&[
        ("examples: [{paths: []}]", "[]", "at least one glob"),
        ("examples: [{paths: ['a[b']}]", "'a[b'", "is not a glob"),
        ("examples: [{paths: [a], timeout: 15}]", "15", "examples[0].timeout"),
        ("examples: [{paths: [a], timeout: 0s}]", "0s", "at least 1s"),
        ("examples: [{paths: [a], retries: 11}]", "11", "10"),
        ("examples: [{paths: [a], expect: suceeded}]", "suceeded", "did you mean `succeeded`?"),
        ("examples: [{paths: [a], resources: {cpu: 2 cores}}]", "2 cores", "is not a quantity"),
        ("examples: [{paths: [a], resources: {memory: -1Gi}}]", "-1Gi", "is not a quantity"),
        ("examples: [{paths: [a], quarantine: {until: 2027-02-30, reason: x}}]", "2027-02-30", "is not a date"),
        ("examples: [{paths: [a], quarantine: {until: 2027-02-03, reason: ' '}}]", "' '", "is empty"),
        ("examples: [{paths: [a], run: {command: []}}]", "[]", "names no program"),
        ("examples: [{paths: [a], run: {command: 'bash {path}'}}]", "'bash {path}'", "nothing is filled"),
        ("examples: [{paths: [a], run: {image: A, command: x}}]", "A", "is not an image"),
    ]);
    assert_eq!(help("examples: [{paths: [a], tier: fast}]"), "allowed: basic, full, periodic");
    assert!(mistake("examples: [{paths: [a], quarantine: {until: 2027-02-03}}]").2.contains("reason"));
}

#[test]
fn checks_are_checked() {
    each_is_told(&[
        ("examples: [{paths: [a], checks: [{}]}]", "{}", "examples[0].checks[0]"),
        ("examples: [{paths: [a], checks: [{logs: }]}]", "{logs: }", "exactly one"),
        ("examples: [{paths: [a], checks: [{logs: {}}]}]", "{}", "`matches` or `absent`"),
        (
            "examples: [{paths: [a], checks: [{logs: {matches: '(a'}}]}]",
            "'(a'",
            "not a regular expression: unclosed group",
        ),
        ("examples: [{paths: [a], checks: [{cel: 'a =='}]}]", "'a =='", "`a ==`: column"),
        (
            "examples: [{paths: [a], checks: [{cel: obj.status.x == 1}]}]",
            "obj.status.x == 1",
            "`obj` is not known here",
        ),
        ("examples: [{paths: [a], checks: [{event: {reason: ''}}]}]", "''", "is empty"),
        ("examples: [{paths: [a], checks: [{resources: {}}]}]", "{}", "limits nothing"),
        ("examples: [{paths: [a], checks: [{resources: {max-memory: lots}}]}]", "lots", "is not a quantity"),
        ("examples: [{paths: [a], checks: [{run: ''}]}]", "''", "is empty"),
        ("examples: [{paths: [a], checks: [{metrics: {query: up, min: 1}}]}]", "up", "nowhere to ask"),
    ]);
    assert_eq!(mistakes("examples: [{paths: [a], checks: [{cel: a, run: b}]").len(), 1);
    assert_eq!(mistakes("examples: [{paths: [a], checks: [{resources: {min-cpu-efficiency: 1.5}}]").len(), 1);
}

#[test]
fn what_yaml_takes_for_a_number_is_told_as_it_should_be_written() {
    assert_eq!(help("examples: [{paths: [a], timeout: 300}]"), "add a unit: 300s");
    assert_eq!(help("graces: {unschedulable: 30}"), "add a unit: 30s");
    assert_eq!(help("kubernetes: [1.30]"), "write v1.30");
    assert_eq!(help("kind: {version: 0.30}"), "put it in quotes: \"0.30\"");
    assert_eq!(help("history: runs"), "write {branch: runs}, or {file: PATH}");
    let budget = |check: &str| format!("examples: [{{paths: [a], checks: [{{resources: {{{check}}}}}]}}]");
    assert_eq!(help(&budget("min-cpu-efficiency: 20%")), "write 0.2");
    assert!(mistake(&budget("max-memory: 512m")).2.contains("512m is 0.512 bytes"));
    assert!(mistake(&budget("max-memory: 512m")).2.contains("did you mean 512Mi?"));
}

#[test]
fn a_value_is_caught_by_a_logs_check_of_its_list() {
    let caught = "examples: [{paths: [x], checks: [{logs: {matches: 'a=(?P<a>.*)'}}, {value: {name: a, min: 1}}]}]";
    assert!(mistakes(caught).is_empty());
    let text = caught.replace("name: a", "name: b");
    let text = text.as_str();
    assert_eq!(mistake(text).1, "b");
    assert!(help(text).contains("(?P<b>"));
    let value = |bounds: &str| caught.replace("min: 1", bounds);
    assert!(mistake(&value("min: 2, max: 1")).2.contains("no value can pass"));
    assert!(mistake(&value("max: 1, equals: 2")).2.contains("no value can pass"));
    assert!(mistake(&caught.replace(", min: 1", "")).2.contains("compares with nothing"));
}

#[test]
fn a_bound_that_is_no_number_is_refused() {
    let metric = |bound: &str| format!("metrics: {{service: a/b:1}}\nchecks: [{{metrics: {{query: up, {bound}}}}}]\n");
    let caught = "checks: [{logs: {matches: '(?P<n>.+)'}}, {value: {name: n, BOUND}}]\n";
    for bound in ["max: .nan", "max: .inf", "min: -.inf", "equals: .nan"] {
        for text in [metric(bound), caught.replace("BOUND", bound)] {
            let first = mistakes(&text).remove(0).message;
            assert!(first.contains("is a number that JSON does not have"), "{text}: {first}");
        }
    }
    assert!(mistakes(&metric("increase: 1")).is_empty());
}

#[test]
fn promql_needs_a_prometheus() {
    let text = "metrics: {service: a/b:1}\nchecks: [{metrics: {query: 'sum(up)', min: 1}}]\n";
    let (line, at, message) = mistake(text);
    assert_eq!((line, at.as_str()), (2, "'sum(up)'"));
    assert!(message.contains("PromQL") && help(text).contains("prometheus"));
    assert!(mistakes(&text.replace("service", "prometheus")).is_empty());
    for plain in ["up", "up{a=\"b\"}", "up{a=~\"b.*\",c!=\"d\"}", "{\"my.metric\"}"] {
        assert!(mistakes(&text.replace("sum(up)", plain)).is_empty(), "{plain}");
    }
    let example = "metrics: {service: a/b:1}\nexamples: [{paths: [a], checks: [{metrics: {query: 'up{a=\"{namespace}\"}', min: 1}}]}]\n";
    assert!(mistakes(example).is_empty());
}

#[test]
fn run_wide_checks_are_about_the_operator() {
    let metric =
        "metrics: {service: a/b:https}\nchecks: [{metrics: {query: 'up{a=\"{namespace}\"}', max-increase: 0}}]\n";
    assert_eq!(mistake(metric).1, "'up{a=\"{namespace}\"}'");
    assert!(mistakes(&metric.replace("{a=\"{namespace}\"}", "")).is_empty());
    each_is_told(&[
        ("checks: [{resources: {max-cpu: 1}}]", "{max-cpu: 1}", "budgets are for the pods of an example"),
        ("checks: [{event: {reason: BackOff, absent: true}}]", "{reason: BackOff, absent: true}", "about the operator"),
        ("checks: [{logs: {absent: panic}}]", "{absent: panic}", "about the operator"),
        ("checks: [{cel: object.status.x == 1}]", "object.status.x == 1", "about the operator"),
    ]);
    let named = "operator-ready: {deployments: [a/b]}\nchecks: [{logs: {absent: panic}}, {run: ./x.sh}, {cel: object.x == 1}]\n";
    assert!(mistakes(named).is_empty());
}

#[test]
fn bounds_of_a_rise_can_be_met() {
    let text = "metrics: {service: a/b:1}\nchecks: [{metrics: {query: up, increase: 2, max-increase: 1}}]\n";
    assert!(mistake(text).2.contains("no value can pass"));
    assert!(
        mistake(&text.replace(", increase: 2, max-increase: 1", ""))
            .2
            .contains("one of min, max, equals, increase, max-increase")
    );
}

#[test]
fn a_broken_metrics_source_is_one_mistake() {
    each_is_told(&[
        ("metrics: {service: b:1}\nchecks: [{metrics: {query: up, min: 1}}]\n", "b:1", "namespace/name:port"),
        ("metrics: {service: a/b:1, prometheus: a/c:1}", "{service: a/b:1, prometheus: a/c:1}", "exactly one"),
        ("metrics: {service: a/b:1, path: metrics}", "metrics", "from the server's root"),
        ("metrics: {prometheus: a/b:1, path: /metrics}", "/metrics", "belongs to `service`"),
    ]);
}

#[test]
fn images_are_checked() {
    each_is_told(&[
        ("images: [{name: 'a:1', context: a}]", "'a:1'", "has a tag"),
        ("images: [{name: a, context: a}, {name: a, context: b}]", "a", "images[1].name: `a` already means"),
        ("images: [{name: a, context: a}, {name: b, context: b, replaces: [a]}]", "a", "images[1].replaces[0]"),
        ("images: [{name: a, context: ''}]", "''", "is empty"),
        ("images: [{name: a, context: a, args: {V: 1.10}}]", "1.10", "would be read as `1.1`"),
        ("images: [{name: a, context: a, args: {V: yes}}]", "yes", "would be read as `true`"),
        ("images: [{name: a, context: a, inputs: ['a[']}]", "'a['", "is not a glob"),
    ]);
    assert_eq!(config("images: [{name: a, context: a, args: {V: 8080, D: true}}]").images[0].args["V"], "8080");
    assert!(mistake("images: [{name: a}]").2.contains("context"));
}

#[test]
fn the_operator_is_checked() {
    each_is_told(&[
        ("operator: [{images: {a: b}}]", "{images: {a: b}}", "exactly one of kustomize, helm and manifests"),
        ("operator: [{kustomize: a, manifests: [b]}]", "{kustomize: a, manifests: [b]}", "exactly one"),
        ("operator: [{manifests: []}]", "[]", "at least one file"),
        ("operator: [{kustomize: a, images: {a: 'B B'}}]", "'B B'", "is not an image"),
        ("operator: [{helm: {chart: a, release: B, namespace: c}}]", "B", "operator[0].helm.release"),
        ("operator: [{helm: {chart: a, release: b, namespace: c, set: {v: 1.10}}}]", "1.10", "would be read"),
        ("operator-ready: {timeout: soon}", "soon", "is not a duration"),
        ("operator-ready: {deployments: [a]}", "a", "namespace/name"),
    ]);
    assert!(mistake("operator: [{helm: {chart: a, release: b}}]").2.contains("namespace"));
}

#[test]
fn frameworks_are_checked() {
    let ray = "{name: ray, match: {group: ray.io, kind: RayJob}}";
    let with = |keys: &str| format!("frameworks: [{}, {keys}}}]", ray.trim_end_matches('}').to_owned() + "}");
    for (keys, at) in
        [("failed: 'a =='", "'a =='"), ("timeout: soon", "soon"), ("timeout: 0s", "0s"), ("container: ''", "''")]
    {
        assert_eq!(mistake(&with(keys)).1, at);
    }
    assert_eq!(mistakes(&with("failed: 'a ==', running: '= b', timeout: x")).len(), 3);
    assert!(mistake(&format!("frameworks: [{ray}, {ray}]")).2.starts_with("frameworks[1].name: `ray` already names"));
    let other = ray.replace("name: ray", "name: other");
    assert!(mistake(&format!("frameworks: [{ray}, {other}]")).2.starts_with("frameworks[1].match: `ray` already"));
    assert!(
        mistake("frameworks: [{name: a, match: {group: ray.io/v1, kind: RayJob}}]").2.contains("is not an API group")
    );
    assert_eq!(mistake("frameworks: [{name: a, match: {kind: A}, succeded: 'true'}]").1, "succeded");
}

#[test]
fn events_keep_their_names_and_replace_their_defaults_as_a_whole() {
    let text = "tiers: {pull-request: {basic: all}}";
    assert_eq!(mistake(text).1, "pull-request");
    assert!(help(text).contains("`pull_request`"));
    assert_eq!(mistake("tiers: {push: {full: some}}").1, "some");
    assert_eq!(mistake("tiers: {push: {ful: all}}").1, "ful");
    let config = config("tiers: {pull_request: {full: all}, push: {periodic: due}}");
    assert_eq!(config.selection("pull_request", Tier::Basic), Selection::None);
    assert_eq!(config.selection("merge_group", Tier::Full), Selection::All);
    assert_eq!(config.selection("push", Tier::Full), Selection::None);
    assert_eq!(config.selection("schedule", Tier::Full), Selection::All);
}

#[test]
fn the_rest_is_checked() {
    each_is_told(&[
        ("registries: {mirrors: {docker.io: mirror}}", "mirror", "registries.mirrors.docker.io: `mirror`"),
        ("registries: {auth: a-b}", "a-b", "environment variable"),
        ("graces: {suspended: x}", "x", "is not a duration"),
        ("pull-secrets: [Reg]", "Reg", "pull-secrets[0]"),
        ("periodic: {every: never}", "never", "is not a duration"),
        ("fail-on: [failed, skipped]", "skipped", "fail-on[1]"),
        ("kind: {version: v0.30}", "v0.30", "v0.30.0"),
        ("kind: {config: ''}", "''", "is empty"),
        ("history: {branch: 'a b'}", "'a b'", "is not the name of a branch"),
        ("crds: ['']", "''", "crds[0]: is empty"),
        ("cache: {on-pull-request: maybe}", "maybe", "cache.on-pull-request"),
    ]);
    for parallel in ["0", "-1", "many", "1.5"] {
        assert_eq!(mistake(&format!("parallel: {parallel}")).1, parallel);
    }
    assert_eq!(config("parallel: 4").parallel.map(NonZeroUsize::get), Some(4));
    assert_eq!(config("parallel: auto").parallel, None);
}

#[test]
fn a_quarantine_holds_through_its_last_day() {
    let quarantine = Quarantine { until: jiff::civil::date(2027, 1, 31), reason: "x".to_owned() };
    assert!(!quarantine.is_expired(jiff::civil::date(2027, 1, 31)));
    assert!(quarantine.is_expired(jiff::civil::date(2027, 2, 1)));
}

#[test]
fn a_config_that_was_asked_for_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let read = |asked: Option<&str>| super::read(folder.path(), asked.map(std::path::Path::new));
    assert!(read(None).is_ok());
    let error = read(Some("nowhere.yml")).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("nowhere.yml"), "{error}");

    std::fs::create_dir(folder.path().join(".github")).unwrap();
    std::fs::write(folder.path().join(DEFAULT_PATH), "retries: 11").unwrap();
    let crate::error::Error::Usage(found) = read(None).unwrap_err() else { panic!("a usage error") };
    assert_eq!(found[0].position().map(|(path, line, _)| (path, line)), Some((DEFAULT_PATH, 1)));

    let error = super::read(&folder.path().join("absent"), None).unwrap_err();
    assert!(error.to_string().contains("is not a folder"), "{error}");
}

proptest::proptest! {
    /// Words of the config in any order and nesting: whatever is wrong is told, at a place inside the file.
    #[test]
    fn no_config_is_too_strange_to_be_judged(
        words in proptest::collection::vec(
            proptest::sample::select(&[
                "examples:", "paths:", "checks:", "- ", "\n", "\n  ", "{", "}", "[", "]", ", ", "logs:", "matches: '(a'",
                "parallel: ", "auto", "3", "1.5", "null", "operator:", "helm:", "tiers: ", "push: ", "&a ", "*a", "'", "é",
            ][..]),
            0..24,
        )
    ) {
        let text = words.concat();
        for problem in mistakes(&text) {
            let span = problem.location.unwrap().span;
            proptest::prop_assert!(text.get(span.range()).is_some(), "{text:?} {span:?}");
        }
    }
}

#[test]
fn a_config_that_is_no_text_is_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yml");
    std::fs::write(&path, b"version: \xff").unwrap();
    let Err(crate::error::Error::Usage(found)) = super::read(folder.path(), Some(&path)) else {
        panic!("expected a usage error")
    };
    assert!(found[0].message.ends_with("is not UTF-8 text"), "{}", found[0].message);
    assert_eq!(found[0].help.as_deref(), Some("save the file as UTF-8"));
}
