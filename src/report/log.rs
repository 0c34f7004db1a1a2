//! The end of the log that is worth reading, as `report.json` has it.

use serde::{Deserialize, Serialize};

use super::Row;
use crate::diagnostic::inert::inert;

/// Most lines of a log that are kept in a report and shown; the archive has all of it.
const MAX_LINES: usize = 20;
/// Most characters of such a line.
const MAX_LINE: usize = 500;

/// The end of the log of the container that is to blame for what became of an example.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogTail {
    /// Whose it is: `Pod/x-worker-0, container pytorch`.
    pub of: String,
    /// Its last lines, redacted.
    pub lines: Vec<String>,
}

impl LogTail {
    /// No more of it than is shown: its last 20 lines, each of at most 500 characters.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        self.lines.drain(..self.lines.len().saturating_sub(MAX_LINES));
        for line in &mut self.lines {
            if let Some((end, _)) = line.char_indices().nth(MAX_LINE) {
                line.truncate(end);
                line.push_str(" ...");
            }
        }
        self
    }

    /// Whose log it is and its lines, inert; `None` if there are none.
    pub(super) fn shown(&self) -> Option<(String, Vec<String>)> {
        let lines = self.clone().bounded().lines;
        let title = match lines.len() {
            0 => return None,
            1 => format!("the last line of {}", self.of),
            count => format!("the last {count} lines of {}", self.of),
        };
        Some((inert(&title).into_owned(), lines.iter().map(|line| inert(line).into_owned()).collect()))
    }
}

impl Row {
    /// As [`LogTail::shown`].
    pub(super) fn shown_log(&self) -> Option<(String, Vec<String>)> {
        self.log.as_ref().and_then(LogTail::shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_log_the_end_is_shown_and_obeyed_by_nobody() {
        assert_eq!(LogTail::default().shown(), None);
        let mut lines: Vec<_> = (0..100).map(|line| format!("line {line}")).collect();
        lines.push("\u{1b}[31m::error::x".to_owned() + &"y".repeat(1_000));
        let log = LogTail { of: "Pod/x, container main".to_owned(), lines };
        let (title, shown) = log.shown().unwrap();
        assert_eq!((title.as_str(), shown.len()), ("the last 20 lines of Pod/x, container main", 20));
        assert_eq!(shown[0], "line 81");
        assert!(shown[19].starts_with("␛[31m::error::xy") && shown[19].ends_with("y ..."));
    }

    #[test]
    fn a_bounded_log_is_not_cut_again() {
        let log = LogTail { of: String::new(), lines: vec!["é".repeat(900); 30] }.bounded();
        assert_eq!((log.lines.len(), log.lines[0].chars().count()), (20, 504));
        let (_, shown) = log.shown().unwrap();
        assert_eq!(shown.len(), 20);
    }
}
