//! Why a tool can't be had, and what to do about it.

use std::path::PathBuf;

/// Why a tool can't be had.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// No sum of that release is known: the user's mistake, since it was asked for by its version.
    #[error("{tool} {version} for {arch} is not downloaded: no SHA-256 sum of it is known")]
    NoSum {
        /// The tool.
        tool: &'static str,
        /// The version that was asked for.
        version: String,
        /// The architecture.
        arch: &'static str,
        /// The newest version that is known.
        known: Option<String>,
    },
    /// The release could not be downloaded.
    #[error("can't download {tool} from {url}: {why}")]
    Download {
        /// The tool.
        tool: &'static str,
        /// The URL that was asked.
        url: String,
        /// Why, in one line.
        why: String,
    },
    /// What was downloaded is not the release.
    #[error("what {url} sends is not {tool}: its SHA-256 sum is {found}, not {expected}")]
    WrongSum {
        /// The tool.
        tool: &'static str,
        /// The URL that was asked.
        url: String,
        /// The sum that was found.
        found: String,
        /// The sum of the release.
        expected: String,
    },
    /// The tool cache can't be used.
    #[error("can't keep {tool} in {path}: {source}")]
    Io {
        /// The tool.
        tool: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
}

impl ToolError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NoSum { tool, known: Some(known), .. } => {
                format!("install that {tool} on the PATH, or take one that is known, like {known}")
            }
            Self::NoSum { tool, known: None, .. } => format!("install {tool} on the PATH"),
            Self::Download { tool, .. } => {
                format!("install {tool} on the PATH, or name a server that has the releases with --tool-mirror")
            }
            Self::WrongSum { tool, .. } => {
                format!(
                    "something between here and there changes it: install {tool} on the PATH, or name another --tool-mirror"
                )
            }
            Self::Io { .. } => "name a folder that can be written with --tool-dir".to_owned(),
        }
    }

    /// Whether it is the user's mistake, which is told before anything is created.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::NoSum { .. })
    }
}
