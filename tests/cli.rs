//! The command line through the real binary: a directory a case, with the files it starts from and what it must print.

use std::process::Command;

/// Cases that need a real kubectl.
const WITH_KUBECTL: &str = "tests/cli/lint-renders-*.toml";

#[test]
fn the_command_line_does_what_its_cases_say() {
    let cases = trycmd::TestCases::new();
    cases.env("NO_COLOR", "1");
    // A run of this suite inside a workflow must not change what the program believes about its own.
    for name in ["GITHUB_ACTIONS", "CI", "RUNNER_DEBUG", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITHUB_EVENT_PATH"] {
        cases.env(name, "");
    }
    cases.case("tests/cli/*.toml");
    if Command::new("kubectl").arg("version").arg("--client").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "kubectl is missing: .ci/install brings it");
        println!("skipped: {WITH_KUBECTL} need kubectl");
        cases.skip(WITH_KUBECTL);
    }
}
