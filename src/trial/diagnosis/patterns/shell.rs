//! Shells and the tools that scripts use.

use super::Pattern;

const MISSING: &str = "`{command}` is not in the image, or not on its PATH";

pub(super) const PATTERNS: &[Pattern] = &[
    Pattern::fatal(
        "line-ends",
        r"\^M: bad interpreter|\$'.*\\r'|python3?\\r|bash\\r|/bin/\S+\\r",
        "the script has Windows line ends: convert it to LF",
    )
    .ending(&[126, 127]),
    Pattern::fatal(
        "interpreter",
        r"bad interpreter: |env: .?[\w.+-]+.?: No such file or directory",
        "the script's first line names an interpreter that the image does not have",
    )
    .ending(&[126, 127]),
    Pattern::fatal("command-missing", r"(?:^|[:\s])(?P<command>[^\s:]+): (?:command )?not found$", MISSING)
        .ending(&[127]),
    Pattern::fatal(
        "executable-missing",
        r#"exec: "(?P<command>[^"]+)": (?:executable file not found in \$PATH|stat .*: no such file or directory)"#,
        MISSING,
    )
    .ending(&[127, 128]),
    Pattern::fatal(
        "syntax",
        r"syntax error(?:: | near | at )|unexpected EOF while looking for|Syntax error: ",
        "the script is written for another shell (bash is not sh), or broken",
    )
    .ending(&[2]),
    Pattern::fatal(
        "variable-unset",
        r"(?P<variable>[A-Za-z_]\w*): (?:unbound variable|parameter not set|parameter null or not set)",
        "set `{variable}` in the container's env",
    )
    .ending(&[1, 2, 127]),
    Pattern::fatal(
        "not-executable",
        r"[:\s](?P<path>[^\s:]+): Permission denied$",
        "the container's user may not use `{path}`: check its mode, and that the volume is not mounted noexec",
    )
    .ending(&[126]),
    Pattern::fatal(
        "shell-file-missing",
        r"[:\s]'?(?P<path>[^\s:']+)'?: No such file or directory$",
        "neither the image nor a volume has `{path}`",
    )
    .ending(&[127]),
    Pattern::fatal(
        "shell-killed",
        r"^(?P<what>(?:.*\s)?Killed(?:\s.*)?)$",
        "it was killed, most often for memory: raise the container's memory limit",
    )
    .ending(&[137]),
    Pattern::fatal("shell-aborted", r"^(?P<what>(?:.*\s)?Aborted(?: \(core dumped\))?(?:\s.*)?)$", "").ending(&[134]),
    Pattern::fatal(
        "kubectl",
        r"^(?P<what>Error from server(?: \(\w+\))?: .*|The connection to the server .* was refused.*|error: (?:the server doesn't have a resource type|unable to recognize|no matches for kind|resource mapping not found|timed out waiting for the condition).*)",
        "",
    ),
    Pattern::fatal("helm", r"^(?P<what>Error: (?:INSTALLATION|UPGRADE) FAILED: .*)", ""),
    Pattern::fatal("git", r"^(?P<what>fatal: .*)", "").ending(&[128]),
    Pattern::fatal(
        "packages",
        r"^(?P<what>E: .*|ERROR: unable to select packages.*|Error: Unable to find a match: .*)",
        "a system package could not be installed: install it when the image is built",
    )
    .ending(&[100]),
    Pattern::fatal(
        "archive",
        r"^(?P<what>(?:tar|unzip|gzip): .*(?:Cannot open|not in gzip format|Error is not recoverable|cannot find).*)",
        "",
    ),
    Pattern::echo("make", r"^(?P<what>make(?:\[\d+\])?: \*\*\* .*)", ""),
];
