//! The failures for which a comment has no room, in a line each or by name alone: a name is the last thing to go.

use std::collections::{BTreeMap, BTreeSet};

use crate::report::details::cause_name;
use crate::report::markdown::Markdown;
use crate::report::summary::failure::{Frame, change_mark, on, quarantined};
use crate::report::summary::parts::icon;
use crate::report::{Row, words};

/// Most characters of a message in a line.
const MESSAGE: usize = 160;
/// Most folders deep that names are put together.
const DEEPEST: usize = 8;
/// Most causes that are counted before names alone.
const CAUSES: usize = 8;
/// What the sentence takes that says how many names are missing.
const MORE: usize = 80;

/// How little is told, from the most to the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A line each, with its cause and a link.
    Lines,
    /// The names, by what happened where for what cause.
    ByCause,
    /// The names alone, each once.
    Names,
}

/// Failures in this form, as lines of a list of at most `most` bytes together. Only [`Form::Names`] leaves some out to that
/// end, and says how many; the others are as long as they are.
pub(super) fn lines(form: Form, failures: &[&[&Row]], frame: Frame<'_>, most: usize) -> Vec<String> {
    match form {
        Form::Lines => failures.iter().map(|alike| line(alike, frame)).collect(),
        Form::ByCause => by_cause(failures, frame),
        Form::Names => names(failures, most),
    }
}

/// The bytes of lines in a list.
pub(super) fn size(lines: &[String]) -> usize {
    lines.iter().map(|line| line.len() + "- \n".len()).sum()
}

fn line(alike: &[&Row], frame: Frame<'_>) -> String {
    let row = alike[0];
    let name = Markdown::code(row.example.as_str());
    let (name, cause) = match (&row.cause, frame.about) {
        (Some(cause), about) => {
            let file = if cause.file.is_empty() { row.example.as_str() } else { &cause.file };
            let address = about.map(|about| about.file_url(file, cause.line)).unwrap_or_default();
            let message = match cause.message.char_indices().nth(MESSAGE) {
                Some((end, _)) => format!("{} ...", &cause.message[..end]),
                None => cause.message.clone(),
            };
            (
                Markdown::link(&name, &address),
                format!(": {}: {}", Markdown::text(&cause_name(row)), Markdown::text(&message)),
            )
        }
        (None, _) => (name, String::new()),
    };
    format!(
        "{} {name} {}{}{}{}{cause}",
        icon(row.outcome),
        words::past(row.outcome),
        on(alike, frame),
        quarantined(row),
        change_mark(alike, frame.changes)
    )
}

fn by_cause(failures: &[&[&Row]], frame: Frame<'_>) -> Vec<String> {
    let mut order = Vec::new();
    let mut groups: BTreeMap<(String, String), BTreeSet<&str>> = BTreeMap::new();
    for alike in failures {
        let row = alike[0];
        let what =
            format!("{} {}{}{}", icon(row.outcome), words::past(row.outcome), on(alike, frame), quarantined(row));
        let key = (what, clip(&cause_name(row)));
        let names = groups.entry(key.clone()).or_insert_with(|| {
            order.push(key);
            BTreeSet::new()
        });
        names.insert(row.example.as_str());
    }
    let line = |key: &(String, String)| {
        let names: Vec<_> = groups.get(key)?.iter().copied().collect();
        let cause = if key.1.is_empty() { String::new() } else { format!(", {}", Markdown::text(&key.1)) };
        Some(format!("{}{cause} ({}): {}", key.0, names.len(), compact(&names).join("; ")))
    };
    order.iter().filter_map(line).collect()
}

/// The causes by how many examples they concern, then the names.
fn names(failures: &[&[&Row]], most: usize) -> Vec<String> {
    let mut causes: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for row in failures.iter().map(|alike| alike[0]) {
        causes.entry(clip(&cause_name(row))).or_default().insert(row.example.as_str());
    }
    let all: BTreeSet<_> = failures.iter().map(|alike| alike[0].example.as_str()).collect();
    let mut counts: Vec<_> = causes.iter().filter(|(name, _)| !name.is_empty()).collect();
    counts.sort_by_key(|(name, examples)| (std::cmp::Reverse(examples.len()), name.as_str()));
    let told =
        counts.iter().take(CAUSES).map(|(name, examples)| format!("{} ({})", Markdown::text(name), examples.len()));
    let mut told: Vec<_> = told.collect();
    if counts.len() > CAUSES {
        told.push(words::plural(counts.len() - CAUSES, "other cause"));
    }
    let mut lines: Vec<_> = (!told.is_empty()).then(|| format!("causes: {}", words::list(&told))).into_iter().collect();
    if size(&lines) > most / 2 {
        lines.clear();
    }

    let all: Vec<_> = all.into_iter().collect();
    let whole = compact(&all);
    if size(&lines) + size(&whole) <= most {
        lines.extend(whole);
        return lines;
    }
    let room = most.saturating_sub(size(&lines) + MORE);
    let (shown, count) = within(&all, room);
    lines.extend(shown);
    lines.push(format!("... and {}, all of them in `report.json`", words::plural(all.len() - count, "more example")));
    lines
}

/// As many of the names as there is room for, and how many those are.
fn within(names: &[&str], room: usize) -> (Vec<String>, usize) {
    let (mut least, mut most) = (0, names.len());
    // The more names the longer, all but for the choice of folders, so halving finds as many as fit, or nearly.
    while least < most {
        let middle = (least + most).div_ceil(2);
        if size(&compact(&names[..middle])) <= room { least = middle } else { most = middle - 1 }
    }
    (compact(&names[..least]), least)
}

/// Sorted names by folder, `` `examples/`: `a.yaml`, `b/c.yaml` ``, with as many folders deep put together as makes it
/// shortest.
pub(super) fn compact(names: &[&str]) -> Vec<String> {
    let length = |depth: usize| -> usize {
        let folders = names.chunk_by(|a, b| folder(a, depth) == folder(b, depth));
        folders
            .map(|names| {
                let folder = folder(names[0], depth).len();
                let heading = if folder > 0 { folder + 8 } else { 3 };
                heading + names.iter().map(|name| name.len() - folder + 4).sum::<usize>()
            })
            .sum()
    };
    let depth = (0..=DEEPEST).min_by_key(|depth| length(*depth)).unwrap_or(0);
    let folders = names.chunk_by(|a, b| folder(a, depth) == folder(b, depth));
    folders
        .map(|names| {
            let folder = folder(names[0], depth);
            let shown: Vec<_> = names.iter().map(|name| Markdown::code(&name[folder.len()..]).to_string()).collect();
            let shown = shown.join(", ");
            if folder.is_empty() { shown } else { format!("{}: {shown}", Markdown::code(folder)) }
        })
        .collect()
}

/// The first so many folders of a path, with the slash at their end; fewer if it has no more.
fn folder(path: &str, depth: usize) -> &str {
    let slash = path.match_indices('/').take(depth).last();
    // A path that ends in a slash keeps a name.
    slash.map(|(at, _)| &path[..=at]).filter(|folder| folder.len() < path.len()).unwrap_or_default()
}

fn clip(name: &str) -> String {
    name.chars().take(MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::details::Details;
    use crate::report::sample;

    fn rows(names: &[&str]) -> Vec<Row> {
        names.iter().map(|name| sample::broken(name)).collect()
    }

    #[test]
    fn names_are_put_together_by_folder_where_that_is_shorter() {
        assert_eq!(compact(&["a.yaml", "b.yaml"]), ["`a.yaml`, `b.yaml`"]);
        assert_eq!(compact(&["examples/a.yaml"]), ["`examples/a.yaml`"]);
        assert_eq!(
            compact(&["examples/v1/a/x.yaml", "examples/v1/a/y.yaml", "examples/v1/b/x.yaml", "z.yaml"]),
            ["`examples/v1/`: `a/x.yaml`, `a/y.yaml`, `b/x.yaml`", "`z.yaml`"]
        );
    }

    #[test]
    fn causes_are_told_with_their_names() {
        let (report, details) = (sample::report(), Details::default());
        let rows = rows(&["a.yaml", "b.yaml"]);
        let slow = sample::slow("c.yaml", "v1.34.0");
        let failures: Vec<Vec<&Row>> = rows.iter().chain([&slow]).map(|row| vec![row]).collect();
        let failures: Vec<_> = failures.iter().map(Vec::as_slice).collect();
        assert_eq!(
            by_cause(&failures, Frame::new(&report, &details, None, None)),
            [
                "❌ failed, manifest/EV105 (2): `a.yaml`, `b.yaml`",
                "⏰ timed out on `v1.34.0`, timeout/Timeout (1): `c.yaml`"
            ]
        );
        let whole = ["causes: manifest/EV105 (2) and timeout/Timeout (1)", "`a.yaml`, `b.yaml`, `c.yaml`"];
        assert_eq!(names(&failures, 1_000), whole);
    }

    #[test]
    fn names_without_room_are_counted() {
        let names_: Vec<_> = (0..1_000).map(|index| format!("{index:04}.yaml")).collect();
        let rows = rows(&names_.iter().map(String::as_str).collect::<Vec<_>>());
        let failures: Vec<Vec<&Row>> = rows.iter().map(|row| vec![row]).collect();
        let failures: Vec<_> = failures.iter().map(Vec::as_slice).collect();
        let lines = names(&failures, 2_000);
        assert!(size(&lines) <= 2_000);
        let shown = names_.iter().filter(|name| lines.iter().any(|line| line.contains(*name))).count();
        assert!(shown > 120, "{shown}");
        assert_eq!(
            lines.last(),
            Some(&format!("... and {} more examples, all of them in `report.json`", 1_000 - shown))
        );
    }
}
