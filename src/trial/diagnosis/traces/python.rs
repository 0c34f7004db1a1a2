//! Tracebacks of Python, and those of notebooks.

use std::sync::LazyLock;

use regex::Regex;

use super::Trace;

/// Between two tracebacks: the second exception was raised from the first one, which is the real one.
const DIRECT: &str = "The above exception was the direct cause of the following exception:";
/// Between two tracebacks: the second happened while the first was handled, and is what the program died of.
const DURING: &str = "During handling of the above exception, another exception occurred:";
/// What stands before a traceback that is told and no more: the program goes on.
const TOLD: [&str; 3] = ["Exception ignored in", "--- Logging error ---", "Exception ignored on"];

/// What stands for an exception that is not there.
const CUT: &str = "an exception, of which the log has only the start";

/// One traceback without those that it is chained to.
struct Link {
    lines: usize,
    error: String,
    place: Option<String>,
}

/// A traceback with all that it is chained to.
pub(super) fn read(lines: &[&str]) -> Option<Trace> {
    let survived = TOLD.iter().any(|told| lines.first().is_some_and(|line| line.starts_with(told)));
    let mut at = usize::from(survived);
    let mut link = link(lines.get(at..)?)?;
    let mut root: Option<String> = None;
    at += link.lines;
    loop {
        let blank = lines[at..].iter().take_while(|line| bare(line).trim().is_empty()).count();
        let Some(between) = lines.get(at + blank).map(|line| bare(line).trim()) else { break };
        if between != DIRECT && between != DURING {
            break;
        }
        let after = at + blank + 1;
        let blank = lines[after..].iter().take_while(|line| bare(line).trim().is_empty()).count();
        let Some(next) = lines.get(after + blank..).and_then(self::link) else { break };
        root = if between == DIRECT { root.or(Some(link.error)) } else { None };
        at = after + blank + next.lines;
        link = next;
    }
    // A log that goes on in the middle of a traceback may have the exception further down.
    let survived = survived || link.error == CUT;
    Some(Trace { lines: at, error: link.error, root, place: link.place, survived })
}

/// A traceback: a header, frames, the exception. The header may be missing where a log was cut, and for syntax errors.
fn link(lines: &[&str]) -> Option<Link> {
    let header = once!(r"(?:^|.*[\s:])(?:Exception Group )?Traceback \(most recent call last\):?\s*$")?;
    let of_cell = once!(r"^(?P<name>[A-Za-z_][\w.]*)\s{2,}Traceback \(most recent call last\)\s*$")?;
    let first = bare(lines.first()?);
    if let Some(found) = of_cell.captures(first) {
        return cell(lines, &found["name"]);
    }
    let start = usize::from(header.is_match(first));
    if start == 0 && frame(first).is_none() {
        return None;
    }
    let mut indent = None;
    let mut place = None;
    let cut = |lines: usize, place: Option<String>| {
        // Frames alone (as of a crash in native code) are no error of their own.
        let error = if start == 1 { CUT.to_owned() } else { String::new() };
        Some(Link { lines, error, place })
    };
    for (at, line) in lines.iter().enumerate().skip(start) {
        let line = bare(line);
        let depth = line.len() - line.trim_start().len();
        if let Some((file, number)) = frame(line) {
            indent.get_or_insert(depth);
            if !is_library(file) {
                place = Some(format!("{file}:{number}"));
            }
        } else if !line.trim().is_empty()
            && depth <= indent.unwrap_or_default()
            && !line.contains("[Previous line repeated")
        {
            let Some((error, more)) = exception(line, &lines[at + 1..]) else { return cut(at, place) };
            return Some(Link { lines: at + 1 + more, error, place });
        }
    }
    cut(lines.len(), place)
}

/// The exception's line; if its message only begins on the next line, that too.
fn exception(line: &str, rest: &[&str]) -> Option<(String, usize)> {
    let name = once!(r"^\s*(?P<name>[A-Za-z_][\w.]*)(?P<rest>(?::| \[|$).*)$")?;
    let found = name.captures(line)?;
    // Builtin exceptions have no module; the module of others says less than the name does.
    let short = found["name"].rsplit('.').next().unwrap_or_default();
    let error = format!("{short}{}", &found["rest"]);
    if !error.trim_end().ends_with(':') {
        return Some((error, 0));
    }
    let blank = rest.iter().take_while(|line| line.trim().is_empty()).count();
    let next = rest.get(blank).map(|line| line.trim()).filter(|line| line.starts_with(char::is_alphanumeric));
    Some(next.map_or_else(|| (error.clone(), 0), |next| (format!("{} {next}", error.trim_end()), blank + 1)))
}

/// A traceback of a notebook's cell, whose last line repeats the name that its header gave.
fn cell(lines: &[&str], name: &str) -> Option<Link> {
    let place =
        once!(r"^(?:(?P<cell>Cell In ?\[\d+\]), line (?P<line>\d+)|(?:File )?(?P<file>[^\s:]+\.py):(?P<number>\d+))")?;
    let starts = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
    let end = lines.iter().skip(1).position(|line| starts(line))? + 1;
    let of_line = |line: &&str| {
        let found = place.captures(line)?;
        let part = |name: &str| found.name(name).map(|part| part.as_str());
        match (part("cell"), part("file")) {
            (Some(cell), _) => Some(format!("{cell}, line {}", part("line")?)),
            (_, Some(file)) if !is_library(file) => Some(format!("{file}:{}", part("number")?)),
            _ => None,
        }
    };
    let place = lines[..end].iter().rev().find_map(of_line);
    let (error, more) = exception(lines[end], &lines[end + 1..])?;
    Some(Link { lines: end + 1 + more, error, place })
}

/// File and line of a frame.
fn frame(line: &str) -> Option<(&str, &str)> {
    let frame = once!(r#"^\s*File "(?P<file>[^"]+)", line (?P<line>\d+)"#)?;
    let found = frame.captures(line)?;
    Some((found.name("file")?.as_str(), found.name("line")?.as_str()))
}

/// A line without the margin of an exception group.
fn bare(line: &str) -> &str {
    let trimmed = line.trim_start();
    let margin = trimmed.strip_prefix("| ").or_else(|| trimmed.strip_prefix("+ "));
    if trimmed == "|" { "" } else { margin.filter(|_| trimmed.len() < line.len()).unwrap_or(line) }
}

/// Whether a file is not the user's own.
fn is_library(file: &str) -> bool {
    file.starts_with("<frozen")
        || ["/site-packages/", "/dist-packages/", "/lib/python"].iter().any(|part| file.contains(part))
}
