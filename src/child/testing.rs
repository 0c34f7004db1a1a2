//! Programs that tests write and then run.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// Writes a file that may be executed later.
///
/// Another process writes it: while one of ours has it open for writing, a child that another test starts at that moment inherits it,
/// and nobody can execute it (`ETXTBSY`).
pub(crate) fn write(path: &Path, text: &str) {
    let status = Command::new("sh").args(["-c", "printf '%s' \"$1\" >\"$2\"", "sh", text]).arg(path).status();
    assert!(status.unwrap().success(), "{} can't be written", path.display());
}

/// Writes a program.
pub(crate) fn program(path: &Path, text: &str) {
    write(path, text);
    make_executable(path);
}

pub(crate) fn make_executable(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
