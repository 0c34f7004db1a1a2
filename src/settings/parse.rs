//! From arguments and environment to settings.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::cli::{self, Terminal, Verb};
use super::reader::Reader;
use super::{
    CacheMode, CacheSettings, ClusterSettings, Command, CommentWhen, Format, GithubSettings, KeepCluster, Limits,
    Parallel, Parsed, PlanFormat, RunContext, SelectionSettings, Settings, Terminals, Verbosity, inputs, values,
};
use crate::config::{self, ClusterKind};
use crate::diagnostic::Diagnostic;
use crate::error::{Error, Result};
use crate::model::Tier;

/// The name by which the action's post step starts this program: all stages of a container action get the same arguments and inputs.
const POST_STEP: &str = "example-validator-clean";

/// See [`Settings::parse`].
pub(super) fn parse(args: Vec<OsString>, env: &BTreeMap<String, String>, terminals: Terminals) -> Result<Parsed> {
    let mut context = RunContext::new(env, terminals);
    if args.len() < 2 && !context.github_actions {
        let help = cli::command().render_help();
        return Ok(Parsed::Print { text: paint(&help, context.color.stderr), exit_code: 2 });
    }
    let is_post = context.github_actions && args.first().is_some_and(|program| is_named(program, POST_STEP));
    let cli = match cli::read(args) {
        Ok(cli) => cli,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return Ok(Parsed::Print { text: paint(&error.render(), context.color.stdout), exit_code: 0 });
        }
        Err(error) => return Err(Error::usage(clap_diagnostic(&error))),
    };
    if cli.terminal.no_color {
        context.color = Terminals::default();
    }
    let mut reader = Reader::default();
    reader.add_flags(&cli.options);
    reader.add_flags(&cli.terminal);
    if context.github_actions {
        let (shared, own) = inputs::read(env, &mut reader.problems);
        reader.add_inputs(&shared);
        reader.add_inputs(&own);
    }
    let (command, paths) =
        if is_post { (Command::Clean { own: true }, Vec::new()) } else { command(cli.verb, &context, &mut reader) };
    let settings = read(command, paths, verbosity(&cli.terminal, &context), &mut reader);
    check_together(&settings, &mut reader);
    // The post step gets the inputs of another command. What is wrong with them the step has said; what it left goes in any case.
    if is_post || reader.problems.is_empty() {
        Ok(Parsed::Work(Box::new(settings), Box::new(context)))
    } else {
        Err(Error::Usage(reader.problems))
    }
}

/// Whether a program was started by this name.
fn is_named(program: &OsStr, name: &str) -> bool {
    Path::new(program).file_name().is_some_and(|found| found == name)
}

fn paint(text: &clap::builder::StyledStr, color: bool) -> String {
    if color { text.ansi().to_string() } else { text.to_string() }
}

/// What clap found, without its own layout.
fn clap_diagnostic(error: &clap::Error) -> Diagnostic {
    let text = error.render().to_string();
    let message = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect::<Vec<_>>().join(" ");
    let message = message.strip_prefix("error: ").unwrap_or(&message);
    let suggested = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
    let near = suggested.into_iter().find_map(|kind| match error.get(kind)? {
        ContextValue::String(near) => Some(format!("`{near}`")),
        ContextValue::Strings(near) => {
            Some(near.iter().map(|near| format!("`{near}`")).collect::<Vec<_>>().join(" or "))
        }
        _ => None,
    });
    Diagnostic::error(message.replace("subcommand", "command")).with_help(match near {
        Some(near) => format!("did you mean {near}?"),
        None => "`example-validator --help` shows the commands and flags".to_owned(),
    })
}

fn verbosity(terminal: &Terminal, context: &RunContext) -> Verbosity {
    match (terminal.quiet, terminal.verbose.max(u8::from(context.debug))) {
        (true, _) => Verbosity::Quiet,
        (false, 0) => Verbosity::Normal,
        (false, 1) => Verbosity::Verbose,
        (false, _) => Verbosity::Trace,
    }
}

/// The command, with what only it takes, and the paths. Without a command in the arguments the input decides.
fn command(verb: Option<Verb>, context: &RunContext, reader: &mut Reader) -> (Command, Vec<PathBuf>) {
    let verb = verb.or_else(|| verb_from_input(context, reader));
    let format = |reader: &mut Reader| {
        let usual = if context.github_actions { Format::Github } else { Format::Text };
        let words = &[("text", Format::Text), ("json", Format::Json), ("github", Format::Github)];
        reader.read("format", values::word(words)).unwrap_or(usual)
    };
    match verb {
        None => (Command::Run(Format::Text), Vec::new()),
        Some(Verb::Run(args)) => (Command::Run(format(reader)), args.paths),
        Some(Verb::Lint(args)) => (Command::Lint(format(reader)), args.paths),
        Some(Verb::Plan(args)) => {
            let words = &[
                ("table", PlanFormat::Table),
                ("json", PlanFormat::Json),
                ("github-matrix", PlanFormat::GithubMatrix),
            ];
            let format = reader.read("format", values::word(words)).unwrap_or(PlanFormat::Table);
            (Command::Plan(format), args.paths)
        }
        Some(Verb::Report(args)) => {
            let from_run = reader.read("from-run", values::run_id);
            (Command::Report { format: format(reader), from_run }, args.folders)
        }
        Some(Verb::Init { force }) => (Command::Init { force }, Vec::new()),
        Some(Verb::Clean) => (Command::Clean { own: false }, Vec::new()),
        Some(Verb::Schema) => (Command::Schema, Vec::new()),
        Some(Verb::Explain { code }) => (Command::Explain { code }, Vec::new()),
        Some(Verb::Simulate) => (Command::Simulate, Vec::new()),
    }
}

/// The command of the action; `None`, and a problem, where there is none.
fn verb_from_input(context: &RunContext, reader: &mut Reader) -> Option<Verb> {
    type Make = fn() -> Verb;
    const WORDS: &[(&str, Make)] = &[
        ("run", || Verb::Run(cli::Paths::default())),
        ("lint", || Verb::Lint(cli::Paths::default())),
        ("plan", || Verb::Plan(cli::Paths::default())),
        ("report", || Verb::Report(cli::Folders::default())),
        ("init", || Verb::Init { force: false }),
        ("clean", || Verb::Clean),
        ("schema", || Verb::Schema),
    ];
    if !context.github_actions {
        let missing = Diagnostic::error("a command is missing: expected run, lint, plan, report, init, clean, ...");
        reader.problems.push(missing.with_help("`example-validator --help` shows the commands and flags"));
        return None;
    }
    if reader.given_as("command").is_none() {
        return Some(Verb::Run(cli::Paths::default()));
    }
    reader.read("command", values::word(WORDS)).map(|make| make())
}

/// Every option, typed.
fn read(command: Command, paths: Vec<PathBuf>, verbosity: Verbosity, reader: &mut Reader) -> Settings {
    Settings {
        command,
        paths,
        root: reader.read("root", values::path).unwrap_or_else(|| PathBuf::from(".")),
        config: reader.read("config", values::path),
        output: reader.read("output", values::path).unwrap_or_else(|| PathBuf::from("example-validator-report")),
        verbosity,
        selection: read_selection(reader),
        cluster: read_cluster(reader),
        limits: Limits {
            parallel: reader.read("parallel", values::parallel),
            retries: reader.read("retries", values::retries),
            timeout: reader.read("timeout", config::time),
            deadline: reader.read("deadline", config::time),
            max_fail: reader.read("max-fail", values::count),
            fail_on: reader.list("fail-on", values::outcome_that_counts),
        },
        cache: CacheSettings {
            dir: reader.read("cache-dir", values::path),
            mode: reader
                .read(
                    "cache",
                    values::word(&[("on", CacheMode::On), ("read", CacheMode::Read), ("off", CacheMode::Off)]),
                )
                .unwrap_or_default(),
            tool_mirror: reader.read("tool-mirror", config::http_url),
            tool_dir: reader.read("tool-dir", values::path),
        },
        github: read_github(reader),
        history: reader.read("history", values::history),
    }
}

fn read_selection(reader: &mut Reader) -> SelectionSettings {
    const TIERS: &[(&str, Option<Tier>)] =
        &[("auto", None), ("basic", Some(Tier::Basic)), ("full", Some(Tier::Full)), ("periodic", Some(Tier::Periodic))];
    SelectionSettings {
        tier: reader.read("tier", values::word(TIERS)).flatten(),
        kubernetes: reader.list("kubernetes", str::parse),
        crds: reader.list("crds", values::path),
        examples: reader.list("examples", values::glob).unwrap_or_default(),
        changed_files: reader.read("changed-files", values::changed_files).unwrap_or_default(),
        shard: reader.read("shard", str::parse),
        plan: reader.read("plan", values::plan),
        check_registries: reader.read("check-registries", values::boolean).unwrap_or_default(),
    }
}

fn read_cluster(reader: &mut Reader) -> ClusterSettings {
    use ClusterKind::{Auto, Existing, Kind, Simulated};
    const CLUSTERS: &[(&str, ClusterKind)] =
        &[(Auto.as_str(), Auto), (Kind.as_str(), Kind), (Existing.as_str(), Existing), (Simulated.as_str(), Simulated)];
    const KEEP: &[(&str, KeepCluster)] =
        &[("never", KeepCluster::Never), ("on-failure", KeepCluster::OnFailure), ("always", KeepCluster::Always)];
    ClusterSettings {
        kind: reader.read("cluster", values::word(CLUSTERS)),
        kubeconfig: reader.read("kubeconfig", values::path),
        context: reader.read("context", values::text),
        install_operator: reader.read("install-operator", values::boolean).unwrap_or_default(),
        parallel: reader.read("cluster-parallel", values::parallel).and_then(Parallel::number),
        keep: reader.read("keep-cluster", values::word(KEEP)).unwrap_or_default(),
    }
}

fn read_github(reader: &mut Reader) -> GithubSettings {
    const WHEN: &[(&str, CommentWhen)] = &[
        ("always", CommentWhen::Always),
        ("on-failure", CommentWhen::OnFailure),
        ("on-change", CommentWhen::OnChange),
        ("never", CommentWhen::Never),
    ];
    GithubSettings {
        token: reader.read("github-token", values::secret),
        comment: reader.read("comment", values::word(WHEN)).unwrap_or_default(),
        comment_key: reader.read("comment-key", values::key),
        artifact_name: reader.read("artifact-name", values::artifact_name),
        retention_days: reader.read("retention-days", values::retention_days),
        allow_untrusted: reader.read("allow-untrusted", values::boolean).unwrap_or_default(),
    }
}

/// Options that are right alone and wrong together.
fn check_together(settings: &Settings, reader: &mut Reader) {
    if settings.cluster.kind.is_some_and(|kind| kind != ClusterKind::Existing) {
        for name in ["kubeconfig", "context"] {
            reader.refuse(name, "is for an existing cluster: add `--cluster existing`, or leave it out");
        }
        if settings.cluster.install_operator {
            reader.refuse("install-operator", "is for an existing cluster: others always get the operator");
        }
    }
    if !matches!(settings.command, Command::Report { .. }) {
        reader.refuse("from-run", "belongs to the command report");
    }
    if matches!(settings.command, Command::Plan(_)) {
        reader.refuse("plan", "belongs to the commands run and report: the command plan makes a new one");
    }
    let prints =
        matches!(settings.command, Command::Run(_) | Command::Lint(_) | Command::Plan(_) | Command::Report { .. });
    if !prints {
        reader.refuse("format", "belongs to the commands run, lint, plan and report");
    }
}
