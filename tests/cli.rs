//! The command line through the real binary: a directory a case, with the files it starts from and what it must print.
//!
//! Cases get no environment but their own (`env.inherit = false`), so that a run of this suite inside a workflow changes nothing.

use std::process::Command;

/// Cases that need a real kubectl.
const WITH_KUBECTL: &str = "tests/cli/lint-renders-*.toml";

#[test]
fn the_command_line_does_what_its_cases_say() {
    let cases = trycmd::TestCases::new();
    cases.env("NO_COLOR", "1");
    cases.case("tests/cli/*.toml");
    if Command::new("kubectl").arg("version").arg("--client").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "kubectl is missing: .ci/install brings it");
        println!("skipped: {WITH_KUBECTL} need kubectl");
        cases.skip(WITH_KUBECTL);
    }
}
