//! The program: parse, run, print the error, exit code.

use std::process::ExitCode;

use example_validator::settings::{Parsed, RunContext, Settings};

fn main() -> ExitCode {
    match example_validator::pid_one::supervise() {
        None => {}
        Some(Ok(code)) => return code,
        Some(Err(error)) => return error.report(false),
    }
    // Helm calls this program to have images replaced in what it renders.
    if let Some(code) = example_validator::operator::post_render(std::env::args_os()) {
        return ExitCode::from(code);
    }
    match Settings::from_process() {
        Ok(Parsed::Work(settings, context)) => match example_validator::run(&settings, &context) {
            Ok(code) => ExitCode::from(code),
            Err(error) => error.report(context.color.stderr),
        },
        Ok(Parsed::Print { text, exit_code }) => example_validator::commands::print(&text, exit_code),
        Err(error) => {
            example_validator::commands::tell_failure(&error, &RunContext::of_process());
            error.report(false)
        }
    }
}
