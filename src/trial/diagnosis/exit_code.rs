//! What exit codes mean.
//!
//! Sources: POSIX `sh` (126, 127, 128 + signal), `signal(7)` for the numbers of Linux on x86-64 and ARM, `sysexits.h` is left out
//! since few programs keep to it.

/// An exit code, what it means, and what to look at; the hint is empty where the code alone suggests nothing.
const CODES: [(i32, &str, &str); 21] = [
    (2, "wrong usage", ""),
    (125, "the launcher itself failed", ""),
    (
        126,
        "not executable",
        "the command of the manifest is a file that can't be executed in this image: check its mode and its platform",
    ),
    (127, "command not found", "check the command of the manifest against what the image has on its PATH"),
    (129, "SIGHUP", ""),
    (130, "SIGINT, interrupted", ""),
    (131, "SIGQUIT", ""),
    (132, "SIGILL, illegal instruction", "the program is built for another CPU than the node's"),
    (133, "SIGTRAP", ""),
    (134, "SIGABRT, aborted", ""),
    (135, "SIGBUS, bus error", "often a full /dev/shm: mount an emptyDir with `medium: Memory` there"),
    (136, "SIGFPE, arithmetic error", ""),
    (
        137,
        "SIGKILL, killed from outside: out of memory, a probe that failed, or deletion",
        "look at the memory limit and the probes of the container",
    ),
    (138, "SIGUSR1", ""),
    (
        139,
        "SIGSEGV, segmentation fault",
        "native code crashed: check that the image fits the node's CPU and that its native libraries fit each other",
    ),
    (140, "SIGUSR2", ""),
    (141, "SIGPIPE, broken pipe", ""),
    (142, "SIGALRM", ""),
    (143, "SIGTERM, told to stop: deletion, eviction, a deadline, or a probe that failed", ""),
    (159, "SIGSYS, a forbidden system call", "a seccomp profile forbids what the program does"),
    (255, "exit status -1, as ssh and launchers end", ""),
];

/// What an exit code means, and a hint (empty if there is none); `None` for a code that means nothing by itself.
pub(super) fn meaning(code: i32) -> Option<(&'static str, &'static str)> {
    CODES.iter().find(|(known, ..)| *known == code).map(|(_, meaning, hint)| (*meaning, *hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_plain_failures_have_none() {
        assert!(meaning(139).unwrap().0.starts_with("SIGSEGV"));
        assert!(meaning(127).unwrap().1.contains("PATH"));
        for code in [0, 1, 3, -1, 256, i32::MAX] {
            assert_eq!(meaning(code), None, "{code}");
        }
    }

    #[test]
    fn the_table_is_in_order_and_each_code_is_there_once() {
        assert!(CODES.is_sorted_by(|a, b| a.0 < b.0));
    }
}
