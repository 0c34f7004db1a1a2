//! Loggers: lines that say of themselves that they are errors.

use serde_json::Value as Json;

use super::Pattern;

pub(super) const PATTERNS: &[Pattern] = &[
    // klog, glog and abseil: `F1123 10:00:00.000000       1 main.go:12] message`
    Pattern::fatal("klog-fatal", r"^F\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ \S+:\d+\] (?P<what>.*)", "").ending(&[255]),
    Pattern::fatal("tensorflow-fatal", r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: F (?P<what>.*)", "").ending(&[134]),
    Pattern::fatal(
        "json-fatal",
        r#"^\s*\{.*"(?:level|severity|lvl|levelname)"\s*:\s*"(?i:fatal|panic|critical|dpanic|emergency)""#,
        "",
    ),
    Pattern::fatal("logfmt-fatal", r#"\blevel="?(?:fatal|panic)"?\b.*\bmsg="?(?P<what>(?:[^"\\]|\\.)*)"#, ""),
    Pattern::fatal(
        "marked-fatal",
        r"^(?:.{0,60}[\s\[(|:])?(?:FATAL|CRITICAL|PANIC)(?: ERROR)?[\])|]?[:\s-]+(?P<what>.+)",
        "",
    ),
    Pattern::fatal("said-fatal", r"^(?P<what>(?i:fatal(?: \w+)?(?: error)?|panic): .+)", ""),
    Pattern::fatal("said-exception", r"^(?P<what>(?:[a-z_][\w.]*\.)?[A-Z]\w*(?:Error|Exception): .+)", ""),
    Pattern::logged("klog-error", r"^E\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ \S+:\d+\] (?P<what>.*)"),
    Pattern::logged("json-error", r#"^\s*\{.*"(?:level|severity|lvl|levelname)"\s*:\s*"(?i:error|err)""#),
    Pattern::logged("logfmt-error", r#"\blevel="?error"?\b.*\bmsg="?(?P<what>(?:[^"\\]|\\.)*)"#),
    Pattern::logged("marked-error", r"^(?:.{0,60}[\s\[(|:])?(?:ERROR|SEVERE)[\])|]?[:\s-]+(?P<what>.+)"),
    Pattern::logged("said-error", r"^\s*(?P<what>(?:\S{1,60}: )?(?i:error): .+)"),
];

/// The message of a line of JSON, with its error; `None` if it is no such line.
pub(super) fn message(line: &str) -> Option<String> {
    let entry: Json = line.trim_start().starts_with('{').then(|| serde_json::from_str(line).ok())??;
    let text = |keys: &[&str]| keys.iter().find_map(|key| entry.get(key)?.as_str().filter(|text| !text.is_empty()));
    let message = text(&["msg", "message", "textPayload", "event"]);
    let error = text(&["error", "err", "exception"]);
    match (message, error) {
        (Some(message), Some(error)) => Some(format!("{message}: {error}")),
        (message, error) => message.or(error).map(str::to_owned),
    }
}
