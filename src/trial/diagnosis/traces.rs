//! Traces: the errors that take several lines, as languages print them. Each reader looks at the lines of one stream from a
//! given one on, and says which lines are the trace and what they come to.

use std::sync::LazyLock;

use regex::Regex;

/// A trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trace {
    /// How many lines it takes.
    pub(super) lines: usize,
    /// The error in the language's own words: type and message. Empty if these lines tell of none.
    pub(super) error: String,
    /// The error below it, where that is the real one.
    pub(super) root: Option<String>,
    /// The deepest place that is the user's own code, `file:line`.
    pub(super) place: Option<String>,
    /// Whether the program may have gone on after it.
    pub(super) survived: bool,
}

/// The trace that starts at the first of these lines, if one does.
pub(super) fn read(lines: &[&str]) -> Option<Trace> {
    python::read(lines).or_else(|| stack(lines)).or_else(|| go(lines)).or_else(|| rust(lines))
}

/// A regular expression of this file, compiled once; a test reads a sample by each.
macro_rules! once {
    ($pattern:expr) => {{
        static REGEX: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new($pattern).ok());
        REGEX.as_ref()
    }};
}

mod python;

/// The libraries of Java and Node.js: the user's code is what called them.
const LIBRARIES: [&str; 12] = [
    "java.",
    "javax.",
    "jdk.",
    "sun.",
    "com.sun.",
    "scala.",
    "kotlin.",
    "org.apache.",
    "io.netty.",
    "org.springframework.",
    "node:",
    "internal/",
];

/// Exceptions of Java and errors of Node.js: a line that names the error, then lines that begin with `at`.
fn stack(lines: &[&str]) -> Option<Trace> {
    let head = once!(
        r#"^(?:Uncaught )?(?:Exception in thread "[^"]*" )?(?P<error>[\w$.]*(?:Error|Exception|Throwable)\b(?: \[\w+\])?(?::.*)?)$"#
    )?;
    let frame = once!(r"^\s+at (?:async )?(?P<function>[^(]*?)\s?\(?(?P<place>[^()\s]+?:\d+)(?::\d+)?\)?(?: \{)?$")?;
    let error = head.captures(lines.first()?)?["error"].to_owned();
    let is_frame = |line: &str| line.trim_start().len() < line.len() && line.trim_start().starts_with("at ");
    // A message may have lines of its own before the first frame.
    let first = lines.iter().take(8).position(|line| is_frame(line))?;
    let (mut root, mut place, mut end) = (None, None, first);
    for line in &lines[first..] {
        let text = line.trim_start();
        if let Some(cause) = text.strip_prefix("Caused by: ") {
            (root, place) = (Some(cause.to_owned()), None);
        } else if let Some(found) = frame.captures(line).filter(|_| place.is_none()) {
            let own = !found["place"].contains("/node_modules/")
                && !LIBRARIES
                    .iter()
                    .any(|library| found["function"].starts_with(library) || found["place"].starts_with(library));
            place = own.then(|| found["place"].to_owned());
        } else if !is_frame(line) && !text.starts_with("... ") && !text.starts_with("Suppressed: ") {
            break;
        }
        end += 1;
    }
    Some(Trace { lines: end, error, root, place, survived: false })
}

/// Panics and fatal errors of Go: the message, then the stacks of goroutines, the guilty one first.
fn go(lines: &[&str]) -> Option<Trace> {
    let head = once!(r"^(?P<kind>panic|fatal error): (?P<message>.+)$")?;
    let goroutine = once!(r"^goroutine \d+ .*\[.*\]:$")?;
    let frame = once!(r"^\s+(?P<place>/\S+\.go:\d+)")?;
    let found = head.captures(lines.first()?)?;
    let stacks = lines.iter().take(12).position(|line| goroutine.is_match(line));
    let Some(stacks) = stacks else {
        // Other programs say "fatal error" as well; only Go panics.
        let error = (&found["kind"] == "panic").then(|| lines[0].to_owned())?;
        return Some(Trace { lines: 1, error, root: None, place: None, survived: false });
    };
    let own = |place: &str| {
        !["/usr/local/go/", "/pkg/mod/", "/vendor/", "/src/runtime/"].iter().any(|part| place.contains(part))
    };
    let guilty = lines[stacks + 1..].iter().take_while(|line| !line.is_empty());
    let mut places = guilty.filter_map(|line| Some(frame.captures(line)?["place"].to_owned()));
    let place = places.find(|place| own(place));
    let belongs = |line: &&&str| {
        line.is_empty() || line.contains('(') || line.starts_with(['\t', ' ']) || goroutine.is_match(line)
    };
    let rest = lines[stacks..].iter().take_while(belongs).count();
    Some(Trace { lines: stacks + rest, error: lines[0].to_owned(), root: None, place, survived: false })
}

/// Panics of Rust, as compilers since 1.73 and those before print them.
fn rust(lines: &[&str]) -> Option<Trace> {
    let head =
        once!(r"^thread '[^']*' (?:\(\d+\) )?panicked at (?:'(?P<message>.*)', )?(?P<place>\S+?:\d+)(?::\d+)?:?$")?;
    let found = head.captures(lines.first()?)?;
    let (message, count) = match found.name("message") {
        Some(message) => (message.as_str(), 1),
        None => (*lines.get(1)?, 2),
    };
    let place = Some(found["place"].to_owned());
    Some(Trace { lines: count, error: format!("panic: {message}"), root: None, place, survived: false })
}
