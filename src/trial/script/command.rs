//! The argument list of a script example. Nothing here is parsed by a shell.

use std::ffi::OsString;
use std::path::Path;

use crate::config::Command;

/// The arguments to start: a list as it is, `{path}` and `{evidence}` filled in; a line as its author gave it to `sh -c`. The
/// config refuses placeholders in a line: its values are in the environment alone.
pub(super) fn arguments(command: &Command, path: &Path, evidence: &Path) -> Vec<OsString> {
    match command {
        Command::Argv(words) => words.iter().map(|word| filled(word, path, evidence)).collect(),
        Command::Shell(line) => ["sh", "-c", line].map(OsString::from).to_vec(),
    }
}

/// One argument. What was filled in is not looked at again: a file may be called `{evidence}`.
fn filled(word: &str, path: &Path, evidence: &Path) -> OsString {
    let places = [("{path}", path), ("{evidence}", evidence)];
    let mut whole = OsString::new();
    let mut rest = word;
    let next = |text: &str| {
        places.iter().filter_map(|(name, value)| Some((text.find(name)?, *name, *value))).min_by_key(|(at, ..)| *at)
    };
    while let Some((at, name, value)) = next(rest) {
        whole.push(&rest[..at]);
        whole.push(value);
        rest = &rest[at + name.len()..];
    }
    whole.push(rest);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn argv(words: &[&str], path: &str) -> Vec<OsString> {
        let command = Command::Argv(words.iter().map(ToString::to_string).collect());
        arguments(&command, Path::new(path), Path::new("/evidence"))
    }

    #[test]
    fn path_and_evidence_are_filled_in_wherever_they_stand() {
        assert_eq!(
            argv(&["papermill", "{path}", "{evidence}/out.ipynb", "--x={path}:{path}"], "/w/a.ipynb"),
            ["papermill", "/w/a.ipynb", "/evidence/out.ipynb", "--x=/w/a.ipynb:/w/a.ipynb"]
        );
    }

    #[test]
    fn what_was_filled_in_is_not_filled_in_again() {
        assert_eq!(argv(&["{path}"], "/w/{evidence}{path}"), ["/w/{evidence}{path}"]);
    }

    #[test]
    fn other_braces_and_shell_signs_stay_as_they_are() {
        assert_eq!(argv(&["$X", "{other}", "{pat", "`id`; x"], "/w/a"), ["$X", "{other}", "{pat", "`id`; x"]);
    }

    #[test]
    fn a_line_goes_to_sh_unchanged() {
        let command = Command::Shell("echo \"$EXAMPLE\" {path}".to_owned());
        let words = arguments(&command, Path::new("/w/$(id)"), Path::new("/e"));
        assert_eq!(words, ["sh", "-c", "echo \"$EXAMPLE\" {path}"]);
    }

    proptest! {
        #[test]
        fn an_argument_without_placeholders_is_passed_as_it_is(word in "[^{]*") {
            prop_assert_eq!(argv(&[&word], "/w/a"), [OsString::from(word)]);
        }
    }
}
