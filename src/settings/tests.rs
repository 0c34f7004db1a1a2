//! Arguments and environment in, settings or every mistake out.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::config::History;

fn parse(args: &[&str], env: &[(&str, &str)]) -> Result<Parsed> {
    let args = std::iter::once("example-validator").chain(args.iter().copied()).map(OsString::from);
    let env: BTreeMap<_, _> = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Settings::parse(args, &env, Terminals::default())
}

fn work(args: &[&str], env: &[(&str, &str)]) -> (Settings, RunContext) {
    match parse(args, env).unwrap() {
        Parsed::Work(settings, context) => (*settings, *context),
        Parsed::Print { text, .. } => panic!("printed {text}"),
    }
}

fn settings(args: &[&str]) -> Settings {
    work(args, &[]).0
}

/// Under GitHub Actions, with these inputs.
fn action(inputs: &[(&str, &str)]) -> Result<Settings> {
    let names: Vec<_> = inputs.iter().map(|(name, value)| (format!("INPUT_{}", name.to_uppercase()), *value)).collect();
    let mut env: Vec<(&str, &str)> = names.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    env.push(("GITHUB_ACTIONS", "true"));
    match parse(&[], &env)? {
        Parsed::Work(settings, _) => Ok(*settings),
        Parsed::Print { text, .. } => panic!("printed {text}"),
    }
}

fn messages<T: std::fmt::Debug>(result: Result<T>) -> Vec<String> {
    let error = result.unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let Error::Usage(found) = error else { panic!("{error}") };
    found.into_iter().map(|problem| format!("{}; {}", problem.message, problem.help.unwrap_or_default())).collect()
}

#[test]
fn the_post_step_is_known_by_the_programs_name_and_takes_the_same_inputs() {
    let post = |program: &str, actions: &str| {
        let args = [program, "lint"].map(OsString::from);
        let env = [("GITHUB_ACTIONS", actions), ("INPUT_COMMAND", "run"), ("INPUT_CLUSTER", "kind")];
        // These belong to another command, and to none.
        let others: &[_] =
            if program.ends_with("clean") { &[("INPUT_FROM-RUN", "7"), ("INPUT_RETRYS", "2")] } else { &[] };
        let env = env.iter().chain(others).copied();
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        match Settings::parse(args.into_iter(), &env, Terminals::default()).unwrap() {
            Parsed::Work(settings, _) => settings.command,
            Parsed::Print { text, .. } => panic!("printed {text}"),
        }
    };
    assert_eq!(post("/usr/local/bin/example-validator-clean", "true"), Command::Clean { own: true });
    assert_eq!(post("/usr/local/bin/example-validator", "true"), Command::Lint(Format::Github));
    assert_eq!(post("example-validator-clean", ""), Command::Lint(Format::Text));
}

#[test]
fn every_command_is_read() {
    assert_eq!(settings(&["run"]).command, Command::Run(Format::Text));
    assert_eq!(settings(&["lint", "--format", "json"]).command, Command::Lint(Format::Json));
    assert_eq!(settings(&["plan", "--format", "github-matrix"]).command, Command::Plan(PlanFormat::GithubMatrix));
    let report = settings(&["report", "--from-run", "7", "--plan", "plan.json", "a", "b"]);
    assert_eq!(report.command, Command::Report { format: Format::Text, from_run: Some(7) });
    assert_eq!(report.paths, [PathBuf::from("a"), PathBuf::from("b")]);
    assert_eq!(settings(&["init", "--force"]).command, Command::Init { force: true });
    assert_eq!(settings(&["clean"]).command, Command::Clean { own: false });
    assert_eq!(settings(&["schema"]).command, Command::Schema);
    assert_eq!(settings(&["explain", "EV105"]).command, Command::Explain { code: "EV105".to_owned() });
    assert_eq!(settings(&["simulate"]).command, Command::Simulate);
}

#[test]
fn flags_stand_before_or_after_the_command() {
    for args in [
        &["--retries", "2", "--tier", "full", "-v", "lint", "examples"][..],
        &["lint", "examples", "--retries=2", "-v", "--tier=full"],
        &["--tier", "full", "lint", "--retries", "2", "examples", "--verbose"],
    ] {
        let read = settings(args);
        assert_eq!((read.limits.retries, read.selection.tier), (Some(2), Some(Tier::Full)), "{args:?}");
        assert_eq!((read.verbosity, read.paths), (Verbosity::Verbose, vec![PathBuf::from("examples")]), "{args:?}");
    }
}

#[test]
fn every_flag_is_read() {
    let read = settings(&[
        "run",
        "--config=c.yml",
        "--root=r",
        "--output=o",
        "--history=branch:h",
        "--crds=a,b",
        "--kubernetes=v1.33,v1.34.0",
        "--kubernetes=my/node:v1.35.0",
        "--examples=x/*.{yaml,yml},y",
        "--changed-files=c.txt",
        "--shard=2/4",
        "--plan=p.json",
        "--check-registries=on",
        "--cluster=existing",
        "--kubeconfig=k",
        "--context=x",
        "--install-operator",
        "--cluster-parallel=2",
        "--keep-cluster=on-failure",
        "--parallel=auto",
        "--timeout=15m",
        "--deadline=1h30m",
        "--max-fail=3",
        "--fail-on=failed,flaky",
        "--cache-dir=d",
        "--cache=read",
        "--tool-mirror=https://mirror.example/",
        "--tool-dir=t",
        "-q",
    ]);
    assert_eq!((read.config, read.root, read.output), (Some("c.yml".into()), "r".into(), "o".into()));
    assert_eq!(read.history, Some(HistorySetting::Keep(History::Branch("h".to_owned()))));
    let selection = read.selection;
    assert_eq!(selection.crds, Some(vec!["a".into(), "b".into()]));
    let versions: Vec<_> = selection.kubernetes.unwrap().into_iter().map(|version| version.version).collect();
    assert_eq!(versions, ["v1.33", "v1.34.0", "v1.35.0"]);
    assert_eq!(selection.examples, ["x/*.{yaml,yml}", "y"]);
    assert_eq!(selection.changed_files, ChangedFiles::File("c.txt".into()));
    assert_eq!(selection.shard.map(|shard| shard.to_string()).as_deref(), Some("2/4"));
    assert_eq!((selection.plan, selection.check_registries), (Some(PlanSource::File("p.json".into())), true));
    let cluster = read.cluster;
    assert_eq!((cluster.kind, cluster.install_operator), (Some(ClusterKind::Existing), true));
    assert_eq!((cluster.kubeconfig, cluster.context.as_deref()), (Some("k".into()), Some("x")));
    assert_eq!((cluster.parallel.map(NonZeroUsize::get), cluster.keep), (Some(2), KeepCluster::OnFailure));
    let limits = read.limits;
    assert_eq!((limits.parallel, limits.max_fail.map(NonZeroUsize::get)), (Some(Parallel::Auto), Some(3)));
    assert_eq!(limits.timeout, Some(Duration::from_secs(900)));
    assert_eq!(limits.deadline, Some(Duration::from_secs(5400)));
    assert_eq!(limits.fail_on, Some(vec![Outcome::Failed, Outcome::Flaky]));
    let cache = read.cache;
    assert_eq!((cache.dir, cache.mode, cache.tool_dir), (Some("d".into()), CacheMode::Read, Some("t".into())));
    assert_eq!(cache.tool_mirror.as_deref(), Some("https://mirror.example"));
    assert_eq!(read.verbosity, Verbosity::Quiet);
}

#[test]
fn what_is_not_given_is_left_open() {
    let read = settings(&["run"]);
    assert_eq!((read.root, read.config, read.output), (".".into(), None, "example-validator-report".into()));
    assert_eq!((read.selection.tier, read.selection.kubernetes, read.limits.retries), (None, None, None));
    assert_eq!((read.cluster.kind, read.history, read.limits.fail_on), (None, None, None));
    assert_eq!(settings(&["run", "--tier", "auto"]).selection.tier, None);
}

#[test]
fn without_arguments_help_is_shown_and_the_exit_code_is_2() {
    let Parsed::Print { text, exit_code } = parse(&[], &[("INPUT_COMMAND", "lint")]).unwrap() else { panic!("help") };
    assert_eq!(exit_code, 2);
    assert!(text.contains("Usage:") && text.contains("lint"), "{text}");
}

#[test]
fn help_and_version_are_printed() {
    let printed = |args: &[&str]| match parse(args, &[]).unwrap() {
        Parsed::Print { text, exit_code } => (text, exit_code),
        Parsed::Work(..) => panic!("work"),
    };
    assert_eq!(printed(&["--version"]), (format!("example-validator {}\n", env!("CARGO_PKG_VERSION")), 0));
    let (help, code) = printed(&["--help"]);
    assert_eq!(code, 0);
    assert!(help.contains("--keep-cluster <WHEN>") && help.contains("[default: never]"), "{help}");
    let (help, _) = printed(&["explain", "--help"]);
    assert!(help.contains("<CODE>") && help.contains("--verbose") && !help.contains("--retries"), "{help}");
}

#[test]
fn a_hidden_flag_is_read_all_the_same() {
    assert_eq!(settings(&["schema", "--retries", "3"]).limits.retries, Some(3));
}

#[test]
fn without_a_command_outside_of_actions_the_commands_are_named() {
    assert!(messages(parse(&["--tier", "full"], &[]))[0].contains("expected run, lint"));
    let found = messages(parse(&["lintt"], &[])).remove(0);
    assert!(found.starts_with("unrecognized command 'lintt'; did you mean ") && found.contains("`lint`"), "{found}");
    assert!(messages(parse(&["run", "--retires", "3"], &[]))[0].contains("did you mean `--retries`?"));
    assert!(messages(parse(&["explain"], &[]))[0].contains("<CODE>"));
    assert!(messages(parse(&["run", "-q", "-v"], &[]))[0].contains("cannot be used with"));
}

#[test]
fn under_actions_the_input_command_decides_and_run_is_its_default() {
    assert_eq!(action(&[]).unwrap().command, Command::Run(Format::Github));
    assert_eq!(action(&[("command", "lint")]).unwrap().command, Command::Lint(Format::Github));
    assert!(messages(action(&[("command", "explain")]))[0].contains("input `command`: `explain` is unknown"));
    let env = [("GITHUB_ACTIONS", "true"), ("INPUT_COMMAND", "lint")];
    assert_eq!(work(&["plan"], &env).0.command, Command::Plan(PlanFormat::Table));
    assert_eq!(work(&["--retries", "2"], &env).0.command, Command::Lint(Format::Github));
}

#[test]
fn every_input_is_read() {
    let read = action(&[
        ("kubernetes", "v1.33.4, v1.34.0\nv1.35.0\n"),
        ("check-registries", "TRUE"),
        ("install-operator", "yes"),
        ("cluster", "existing"),
        ("max-fail", "2"),
        ("github-token", "ghs_x"),
        ("comment", "on-change"),
        ("comment-key", "nightly"),
        ("artifact-name", "report"),
        ("retention-days", "7"),
        ("allow-untrusted", "True"),
    ])
    .unwrap();
    assert_eq!(read.selection.kubernetes.map(|versions| versions.len()), Some(3));
    assert!(read.selection.check_registries && read.cluster.install_operator && read.github.allow_untrusted);
    assert_eq!(read.limits.max_fail.map(NonZeroUsize::get), Some(2));
    assert_eq!(read.github.token.as_ref().map(Secret::reveal), Some("ghs_x"));
    assert_eq!((read.github.comment, read.github.retention_days), (CommentWhen::OnChange, Some(7)));
    assert_eq!(read.github.comment_key.as_deref(), Some("nightly"));
    assert_eq!(read.github.artifact_name.as_deref(), Some("report"));
}

#[test]
fn an_empty_input_is_not_given_whatever_its_type() {
    let empty: Vec<_> = inputs().into_iter().map(|input| input.name).collect();
    let empty: Vec<_> = empty.iter().map(|name| (name.as_str(), " ")).collect();
    assert_eq!(action(&empty).unwrap(), action(&[]).unwrap());
}

#[test]
fn an_unknown_input_is_an_error_unless_it_is_the_runners_own() {
    let found = messages(action(&[("kubernets", "v1.34"), ("foo", "")]));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().any(|problem| problem.contains("unknown input `kubernets`; did you mean `kubernetes`?")));
    assert!(action(&[("args", "x"), ("entrypoint", "y")]).is_ok());
    assert!(parse(&["lint"], &[("INPUT_FOO", "x")]).is_ok(), "outside of Actions inputs are not read");
}

#[test]
fn a_flag_wins_over_its_input() {
    let env = [("GITHUB_ACTIONS", "true"), ("INPUT_RETRIES", "5"), ("INPUT_TIMEOUT", "5m")];
    let read = work(&["run", "--retries", "0"], &env).0;
    assert_eq!((read.limits.retries, read.limits.timeout), (Some(0), Some(Duration::from_secs(300))));
}

#[test]
fn every_mistake_names_its_flag_or_input_and_all_are_told() {
    let env = [("GITHUB_ACTIONS", "true"), ("INPUT_PARALLEL", "0"), ("INPUT_FOO", "1")];
    let args = [
        "run",
        "--retries=-1",
        "--timeout=15",
        "--tier=fulll",
        "--kubernetes=1.34,latest",
        "--shard=3/2",
        "--max-fail=0",
        "--fail-on=skipped",
        "--tool-mirror=mirror",
        "--history=branch:",
        "--cache=maybe",
        "--examples=a[",
        "--install-operator=perhaps",
        "--format=xml",
        "--config=",
    ];
    let found = messages(parse(&args, &env));
    for expected in [
        "unknown input `foo`",
        "input `parallel`: `0`: expected auto or a whole number from 1",
        "`--retries`: `-1`: expected a whole number from 0 to 10",
        "`--timeout`: `15` is not a duration",
        "`--tier`: `fulll` is unknown: expected one of auto, basic, full, periodic (did you mean `full`?)",
        "`--kubernetes`: `1.34` is not a Kubernetes version",
        "`--kubernetes`: `latest` is not",
        "`--shard`: `3/2` is not a shard: there is no part 3 of 2",
        "`--max-fail`: `0`",
        "`--fail-on`: `skipped` is unknown",
        "`--tool-mirror`: `mirror` is not an address",
        "`--history`: `` is not the name of a branch",
        "`--cache`: `maybe`",
        "`--examples`: `a[` is not a glob",
        "`--install-operator`: `perhaps` is not a boolean",
        "`--format`: `xml` is unknown",
        "`--config`: is empty",
    ] {
        assert!(found.iter().any(|message| message.contains(expected)), "{expected}\n{found:#?}");
    }
    assert_eq!(found.len(), 17, "{found:#?}");
}

#[test]
fn flags_that_are_wrong_together_are_told() {
    for (args, expected) in [
        (&["run", "--cluster=kind", "--kubeconfig=k"][..], "`--kubeconfig` is for an existing cluster"),
        (&["run", "--cluster=auto", "--context=k"], "`--context` is for an existing cluster"),
        (&["run", "--cluster=simulated", "--install-operator"], "`--install-operator` is for an existing cluster"),
        (&["plan", "--plan=p"], "`--plan` belongs to the commands run and report"),
        (&["run", "--from-run=1"], "`--from-run` belongs to the command report"),
        (&["clean", "--format=json"], "`--format` belongs to the commands run"),
    ] {
        let found = messages(parse(args, &[]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(expected), "{found:?}");
    }
    assert!(parse(&["run", "--cluster=kind", "--install-operator=false"], &[]).is_ok());
}

#[test]
fn settings_go_over_the_config() {
    let config = Config { retries: 4, parallel: NonZeroUsize::new(4), ..Config::default() };
    let same = settings(&["run"]).over(config.clone()).unwrap();
    assert_eq!(format!("{same:?}"), format!("{config:?}"));
    let args = ["run", "--retries=0", "--parallel=auto", "--cluster=kind", "--history=h.json", "--fail-on=flaky"];
    let changed = settings(&args).over(config.clone()).unwrap();
    assert_eq!((changed.retries, changed.parallel, changed.cluster), (0, None, ClusterKind::Kind));
    assert_eq!(changed.fail_on, [Outcome::Flaky]);
    assert_eq!(changed.history, Some(History::File("h.json".into())));
    assert_eq!(settings(&["run", "--history=off"]).over(changed).unwrap().history, None);
}

#[test]
fn what_is_for_an_existing_cluster_needs_one_in_the_flags_or_the_config() {
    let read = settings(&["run", "--context=x"]);
    assert!(messages(read.over(Config::default()))[0].contains("--cluster existing"));
    assert!(read.over(Config { cluster: ClusterKind::Existing, ..Config::default() }).is_ok());
}

#[test]
fn colours_and_verbosity_follow_flag_and_environment() {
    let colored = [("CLICOLOR_FORCE", "1")];
    assert!(work(&["run"], &colored).1.color.stdout);
    assert!(!work(&["run", "--no-color"], &colored).1.color.stdout);
    assert_eq!(work(&["run"], &[("RUNNER_DEBUG", "1")]).0.verbosity, Verbosity::Verbose);
    assert_eq!(settings(&["-vv", "run"]).verbosity, Verbosity::Trace);
    assert_eq!(settings(&["run"]).verbosity, Verbosity::Normal);
}

#[test]
fn every_input_is_documented() {
    let all = inputs();
    assert!(all.iter().all(|input| !input.description.is_empty()), "{all:?}");
    assert!(all.iter().any(|input| input.name == "kubernetes") && all.iter().any(|input| input.name == "comment-key"));
    assert!(inputs_markdown().contains("| `tier` | The highest tier"));
}
