//! One file a command: which stages it runs, in which order, and what it writes.

mod changes;
mod clean;
mod gather;
mod give_back;
mod history;
mod init;
mod judge;
mod merge;
mod planning;
mod publish;
mod run;
mod simulate;
mod workspace;

use std::borrow::Cow;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::diagnostic::Diagnostic;
use crate::diagnostic::inert::inert;
use crate::diagnostic::render::render;
use crate::error::{Error, Result, chain};
use crate::github::{outputs, trust};
use crate::model::Conclusion;
use crate::report::annotations;
use crate::settings::{Command, RunContext, Settings};
use crate::{config, lint};
use tokio::runtime::Runtime;

pub use workspace::Workspace;

/// Does what was asked for; returns the exit code.
///
/// # Errors
/// What kept it from being done.
pub fn dispatch(settings: &Settings, context: &RunContext) -> Result<u8> {
    trust::check(context, settings.github.allow_untrusted, &settings.command)?;
    let done = match &settings.command {
        Command::Run(format) => run::run(settings, context, *format),
        Command::Lint(format) => judge::lint(settings, context, *format),
        Command::Plan(format) => planning::plan(settings, context, *format),
        Command::Report { format, from_run } => merge::report(settings, context, *format, *from_run),
        Command::Init { force } => init::init(settings, *force),
        Command::Schema => say(&(pretty(&config::json_schema()) + "\n")),
        Command::Explain { code } => explain(code),
        Command::Clean { own: true } => Ok(clean::clean_own(settings, context)),
        Command::Clean { own: false } => clean::clean(settings, context),
        Command::Simulate => simulate::simulate(settings),
    };
    give_back::give_back(&settings.output, context);
    done
}

/// Tells a step's reader, and the steps after it, that the program could not do its work: by an annotation, which GitHub shows on the run's
/// page, and the output `conclusion`.
pub fn tell_failure(error: &Error, context: &RunContext) {
    if !context.github_actions {
        return;
    }
    let annotation = annotations::Annotation {
        level: annotations::Level::Error,
        file: String::new(),
        line: 0,
        column: 0,
        title: "example-validator".to_owned(),
        message: chain(error),
    };
    println!("{}", annotation.command());
    if let Some(file) = &context.output_file
        && let Err(why) = outputs::append(file, &[("conclusion", Conclusion::Error.as_str().to_owned())])
    {
        tracing::warn!("the step's outputs can't be written: {why}");
    }
}

/// Prints a text that was asked for instead of work, such as the help, and gives the exit code that belongs to it.
#[must_use]
pub fn print(text: &str, exit_code: u8) -> ExitCode {
    // A reader that has gone (`| head`) is no failure of what was asked.
    let _ = if exit_code == 0 {
        io::stdout().lock().write_all(text.as_bytes())
    } else {
        io::stderr().lock().write_all(text.as_bytes())
    };
    ExitCode::from(exit_code)
}

fn explain(code: &str) -> Result<u8> {
    if let Some(text) = lint::explain::explain(code) {
        say(&text)
    } else {
        eprintln!("error: {}", lint::explain::unknown(&inert(code)));
        Ok(2)
    }
}

/// What runs everything that waits: clusters, registries, child processes.
fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Internal(format!("can't start the asynchronous runtime: {error}")))
}

/// Writes a result to standard output.
fn say(text: &str) -> Result<u8> {
    unless_closed(io::stdout().lock().write_all(text.as_bytes()))?;
    Ok(0)
}

/// What became of writing to standard output; a reader that has gone (`| head`) is no failure.
fn unless_closed(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::io("write", "standard output", error)),
        _ => Ok(()),
    }
}

/// Prints what concerns no single example on standard error.
fn tell(general: &[Diagnostic], context: &RunContext) {
    let text = render(general, context.color.stderr);
    if !text.is_empty() {
        eprintln!("{}", for_log(&text, context));
    }
}

/// A text for people. Where the runner reads along, no line of it is a command, whoever wrote what it quotes.
fn for_log<'a>(text: &'a str, context: &RunContext) -> Cow<'a, str> {
    if !context.github_actions {
        return text.into();
    }
    text.split_inclusive('\n').map(annotations::neutral).collect::<String>().into()
}

fn pretty(value: &serde_json::Value) -> String {
    // A JSON value always becomes text.
    serde_json::to_string_pretty(value).unwrap_or_default()
}
