//! The command that judges an example again, on the own machine.

use crate::model::Tier;
use crate::plan::DEFAULT_KUBERNETES;
use crate::report::{Cluster, Row};

/// The command for rows of one example that were judged alike, on one line. `simulated` if the run was; `arguments` are
/// words that every command needs besides; `clusters` are those of the run.
pub(in crate::report) fn command(
    alike: &[&Row],
    simulated: bool,
    clusters: &[Cluster],
    arguments: &[String],
) -> String {
    let versions: Vec<_> = alike.iter().filter_map(|row| row.kubernetes.as_deref()).collect();
    let mut words = vec!["example-validator".to_owned()];
    let mut add = |more: &[&str]| words.extend(more.iter().map(|word| quoted(word)));
    let Some(row) = alike.first() else { return String::new() };
    if versions.is_empty() {
        add(&["lint"]);
    } else {
        add(&["run"]);
        let is_existing =
            |version: &&str| clusters.iter().any(|cluster| cluster.kubernetes == **version && cluster.is_found());
        // kind's own default has no name that a flag would take, and a cluster that is there has the version that it has.
        if versions != [DEFAULT_KUBERNETES] && !versions.iter().any(is_existing) {
            add(&["--kubernetes", &versions.join(",")]);
        }
        // On the own machine what is periodic is not due by itself.
        if row.tier == Tier::Periodic {
            add(&["--tier", "periodic"]);
        }
        if simulated && !arguments.iter().any(|argument| argument == "--cluster") {
            add(&["--cluster", "simulated"]);
        }
    }
    add(&["--examples", &glob(row.example.as_str())]);
    for argument in arguments {
        add(&[argument]);
    }
    words.join(" ")
}

/// The glob, as `--examples` takes it, that means this path and no other. What parts a list, what acts in a glob and what is
/// cut from an item's ends is put into a class of its own; a line end, which no item can hold, is any one character.
fn glob(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 8);
    let last = path.chars().count().saturating_sub(1);
    for (index, c) in path.chars().enumerate() {
        match c {
            '\n' => out.push('?'),
            '*' | '?' | '[' | '{' | '}' | '\\' | ',' => out.extend(['[', c, ']']),
            c if c.is_whitespace() && (index == 0 || index == last) => out.extend(['[', c, ']']),
            // No flag.
            '-' if index == 0 => out.push_str("./-"),
            c => out.push(c),
        }
    }
    out
}

/// A word as a POSIX shell reads it back. What can't be seen is written as `$'...'`, which bash, zsh and newer shells know.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    if !word.chars().any(|c| crate::diagnostic::inert::visible(c) != c) {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    let mut out = "$'".to_owned();
    for c in word.chars() {
        match c {
            '\'' | '\\' => out.extend(['\\', c]),
            c if crate::diagnostic::inert::visible(c) == c => out.push(c),
            c => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| out.push_str(&format!("\\{byte:03o}"))),
        }
    }
    out + "'"
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;
    use crate::model::Outcome;
    use crate::report::sample;

    #[test]
    fn a_default_version_and_a_cluster_that_is_told_already_are_left_out() {
        let row = sample::slow("a.yaml", DEFAULT_KUBERNETES);
        let arguments = ["--cluster".to_owned(), "simulated".to_owned()];
        assert_eq!(
            command(&[&row], true, &[], &arguments),
            "example-validator run --examples a.yaml --cluster simulated"
        );
    }

    #[test]
    fn a_cluster_that_is_there_is_asked_for_no_version() {
        let row = sample::slow("a.yaml", "v1.33.4");
        let cluster = Cluster {
            kubernetes: "v1.33.4".to_owned(),
            provider: "existing".to_owned(),
            ..sample::report().clusters.remove(0)
        };
        let arguments = ["--cluster".to_owned(), "existing".to_owned()];
        assert_eq!(
            command(&[&row], false, &[cluster], &arguments),
            "example-validator run --examples a.yaml --cluster existing"
        );
    }

    #[test]
    fn a_failed_cell_is_run_again_on_its_versions() {
        let rows = ["v1.33.4", "v1.34.0"].map(|version| sample::slow("examples/a.yaml", version));
        let alike: Vec<_> = rows.iter().collect();
        assert_eq!(
            command(&alike, false, &[], &[]),
            "example-validator run --kubernetes v1.33.4,v1.34.0 --examples examples/a.yaml"
        );
        let arguments = ["--config".to_owned(), "ci/my examples.yml".to_owned()];
        assert_eq!(
            command(&alike[..1], true, &[], &arguments),
            "example-validator run --kubernetes v1.33.4 --cluster simulated --examples examples/a.yaml --config \
             'ci/my examples.yml'"
        );
        let mut periodic = sample::slow("a.yaml", "v1.34.0");
        periodic.tier = Tier::Periodic;
        assert_eq!(
            command(&[&periodic], false, &[], &[]),
            "example-validator run --kubernetes v1.34.0 --tier periodic --examples a.yaml"
        );
    }

    #[test]
    fn what_was_judged_statically_is_linted() {
        let row = sample::row("examples/it's [1].yaml", Outcome::Failed);
        assert_eq!(
            command(&[&row], false, &[], &[]),
            r"example-validator lint --examples 'examples/it'\''s [[]1].yaml'"
        );
    }

    #[test]
    fn a_word_is_quoted_where_it_must_be() {
        for (word, shown) in [
            ("a-b_c/d.yaml", "a-b_c/d.yaml"),
            ("", "''"),
            ("$(rm -rf ~);`x`", "'$(rm -rf ~);`x`'"),
            ("~/x", "'~/x'"),
            ("a\u{202e}b'\\\u{1b}", r"$'a\342\200\256b\'\\\033'"),
        ] {
            assert_eq!(quoted(word), shown);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_shell_reads_the_same_word_back(word in "[ -~\n\t\u{1b}é\u{202e}]{0,12}") {
            let line = format!("printf %s {}", quoted(&word));
            // Line ends are octal in it, so that it stays one line.
            prop_assert!(!line.contains('\n'));
            let Ok(shell) = Command::new("bash").args(["-c", &line]).output() else { return Ok(()) };
            prop_assert_eq!(String::from_utf8_lossy(&shell.stdout), word);
        }

        #[test]
        fn a_glob_means_its_own_path(path in "[a-c \\-*?\\[\\]{},!^\\\\\n]{1,4}(/[a-c *?\\[\\]{},!^\\\\]{1,4}){0,2}") {
            let glob = glob(&path);
            prop_assert_eq!(glob.trim(), &glob);
            let globs = crate::config::glob(glob.trim_start_matches("./")).unwrap().compile_matcher();
            prop_assert!(globs.is_match(&path), "{}", glob);
            for other in ["a", "b/c", "x/y/z"].iter().filter(|other| **other != path && !path.contains('\n')) {
                prop_assert!(!globs.is_match(other), "{} also means {}", glob, other);
            }
        }
    }
}
