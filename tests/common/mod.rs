//! The real binary, started as a person would start it.

mod program;

use std::path::Path;
use std::process::Output;

pub use program::program;

/// Runs the program and expects this exit code.
pub fn run(folder: &Path, arguments: &[&str], exit_code: i32) -> Output {
    let output = program(folder).args(arguments).output().unwrap();
    let shown = || format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(exit_code), "{arguments:?}\n{}", shown());
    output
}
