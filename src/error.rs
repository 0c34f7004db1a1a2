//! What could not be judged, and the exit codes of everything.

use std::process::ExitCode;

use crate::diagnostic::Diagnostic;
use crate::diagnostic::render::render;
use crate::model::Conclusion;
use crate::report::annotations::neutral;

/// Why the program could not do its work. A failing example is never one of these: it is an `Outcome`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user's flags, inputs, config or event: exit code 2, before anything is created.
    #[error("{}", summary(.0))]
    Usage(Vec<Diagnostic>),
    /// A file or folder could not be read or written.
    #[error("can't {action} {path}")]
    Io {
        /// What was tried, as a verb: `read`, `write`.
        action: &'static str,
        /// The path.
        path: String,
        /// What the system answered.
        source: std::io::Error,
    },
    /// The tool's own fault, or a helper program's.
    #[error("{0}")]
    Internal(String),
}

/// The program's result type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A single usage error.
    #[must_use]
    pub fn usage(diagnostic: Diagnostic) -> Self {
        Self::Usage(vec![diagnostic])
    }

    /// An input or output error at `path`.
    pub fn io(action: &'static str, path: impl AsRef<std::path::Path>, source: std::io::Error) -> Self {
        Self::Io { action, path: path.as_ref().display().to_string(), source }
    }

    /// The exit code: 2 for the user's mistakes, 3 for everything that kept the program from judging.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Io { .. } | Self::Internal(_) => 3,
        }
    }

    /// Prints the error on standard error, as a person can act on it, and gives the exit code. It quotes files and answers of others: no line
    /// of it is a command to a runner.
    #[must_use]
    pub fn report(&self, colored: bool) -> ExitCode {
        let text = match self {
            Self::Usage(diagnostics) => render(diagnostics, colored),
            Self::Io { .. } | Self::Internal(_) => render(&[Diagnostic::error(chain(self))], colored),
        };
        for line in text.lines() {
            eprintln!("{}", neutral(line));
        }
        ExitCode::from(self.exit_code())
    }
}

/// An error and what it comes from, each said once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text
}

/// The exit code of a finished run.
#[must_use]
pub fn exit_code(conclusion: Conclusion) -> u8 {
    match conclusion {
        Conclusion::Success | Conclusion::Simulated => 0,
        Conclusion::Failure => 1,
        Conclusion::Error => 3,
        Conclusion::Cancelled => 130,
    }
}

fn summary(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| diagnostic.message.as_str()).collect::<Vec<_>>().join("; ")
}
