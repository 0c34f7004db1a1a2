//! What of a report has room in a comment.
//!
//! The head, the footer and the state are always there. After them the name of every failure comes first, then each failure in
//! full, the worst first, as long as there is room, then what can be done without. Pieces are measured one by one:
//! none is cut, and the whole is not rendered again and again to see whether it fits.

use askama::Template as _;

use super::rest::{self, Form};
use super::view::{self, Comment, Entry};
use crate::report::summary::failure::Frame;
use crate::report::summary::parts;
use crate::report::{Row, words};

/// Most lines of the grid, and of the lists of what is flaky or fixed.
const LINES: usize = 50;
/// Most lines of a grid that goes before everything else.
const OVERVIEW: usize = 12;
/// Of the limit the part that the grid and each of those lists may take.
const SHARE: usize = 8;
/// Entries in a row that have no room, after which no smaller one is looked for.
const MISSES: usize = 8;
/// What the sentence takes that says what was left out.
const LEFT_OUT: usize = 512;
/// Failures of which so many are never told in a line each.
const MOST_LINES: usize = 600;

/// The bytes that are left.
struct Room {
    left: usize,
}

impl Room {
    /// Takes what a section needs, with the empty line before it, if there is that much besides what is `kept`.
    fn take(&mut self, section: &str, kept: usize) -> bool {
        let needed = if section.is_empty() { 0 } else { section.len() + 2 };
        let fits = needed + kept <= self.left;
        self.left -= if fits { needed } else { 0 };
        fits
    }
}

/// The sections of the report that have room in `limit` bytes with `head`, which has none yet.
pub(super) fn sections(mut head: Comment, frame: Frame<'_>, limit: usize) -> Result<Comment, askama::Error> {
    let taken = head.render()?.len() + "\n".len() + LEFT_OUT;
    let mut room = Room { left: limit.saturating_sub(taken) };
    let mut left_out = Vec::new();
    let entries = view::entries(frame);
    let least = Rest::least(&entries, frame, room.left);

    let mut short = |title: &str, lines: &[String]| {
        let text = view::headed(title, &view::list(&some(lines, limit / SHARE)));
        if room.take(&text, least.size) { text } else { String::new() }
    };
    let fixed = short("🎉 Fixed", &view::fixed(frame));
    let flaky = short("🔁 Flaky: passed when tried again", &view::flaky(frame));
    let slower = short("🐢 Slower than before", &view::slower(frame));
    // Where it is short it is the best overview, so it goes before everything else.
    let overview = view::grid(frame, OVERVIEW);
    let overview = if room.take(&overview, least.size) { overview } else { String::new() };
    let grid =
        if overview.is_empty() { by_version(frame, limit / SHARE, least.size, &mut room) } else { String::new() };

    let (mut shown, is_shown) = in_full(&entries, frame, &least, &mut room)?;
    let rest = least.of_others(&entries, &is_shown, frame, &mut room);
    if with_blocks(&entries, &is_shown, frame, &mut shown, &mut room)? {
        left_out.push("source lines and logs");
    }

    let examples: Vec<&[Row]> = frame.report.results.chunk_by(|a, b| a.example == b.example).collect();
    let (skipped, passed) = (view::skipped(frame), view::good(frame));
    let remarks = parts::remarks_title(&examples);
    let mut quiet = |title: &str, text: String, what: &'static str| {
        let section = view::folded(title, &text);
        if room.take(&section, 0) {
            return section;
        }
        left_out.push(what);
        String::new()
    };
    let skipped = quiet(&skipped.0, skipped.1, "what was skipped");
    let each = view::list(&parts::each_remark(&examples));
    let by_code = if each.len() > limit / SHARE { view::list(&parts::remarks_by_code(&examples)) } else { each };
    let remarks = quiet(&remarks, by_code, "warnings and notes");
    let passed = quiet(&passed.0, passed.1, "what passed");

    head.sections = vec![overview];
    head.sections.extend(shown);
    head.sections.extend([rest, flaky, fixed, slower, grid, skipped, remarks, passed]);
    head.sections.retain(|section| !section.is_empty());
    head.left_out = told_elsewhere(&left_out, frame);
    Ok(head)
}

/// The grid if it is not too long, or how many results of each outcome there are.
fn by_version(frame: Frame<'_>, most: usize, kept: usize, room: &mut Room) -> String {
    let tables = [view::grid(frame, LINES), view::counts(frame)].into_iter();
    let mut sections = tables.map(|table| view::headed("By version", &table));
    sections.find(|text| !text.is_empty() && text.len() <= most && room.take(text, kept)).unwrap_or_default()
}

/// The failures that are not told in full.
struct Rest {
    form: Form,
    /// The bytes that all failures take in this form.
    size: usize,
}

impl Rest {
    /// How failures are told for which there is no room: with as much as leaves room to tell others in full.
    fn least(entries: &[Entry<'_>], frame: Frame<'_>, room: usize) -> Self {
        let all = failures(entries, &[]);
        let size = |form| {
            let lines = rest::lines(form, &all, frame, room.saturating_sub(HEADING));
            if lines.is_empty() { 0 } else { rest::size(&lines) + HEADING }
        };
        let forms = [(Form::Lines, room / 2), (Form::ByCause, room / 2)];
        let few = |form| form != Form::Lines || all.len() <= MOST_LINES;
        let form = forms.into_iter().filter(|(form, _)| few(*form)).map(|(form, most)| (form, size(form), most));
        match form.into_iter().find(|(_, size, most)| size <= most) {
            Some((form, size, _)) => Self { form, size },
            None => Self { form: Form::Names, size: size(Form::Names) },
        }
    }

    /// The section of those that are not shown. There is room for it: it was kept for all of them.
    fn of_others(&self, entries: &[Entry<'_>], is_shown: &[bool], frame: Frame<'_>, room: &mut Room) -> String {
        let others = failures(entries, is_shown);
        let lines = rest::lines(self.form, &others, frame, self.size.saturating_sub(HEADING));
        let any = is_shown.contains(&true);
        let title = format!("{}{}, in short", if any { "And " } else { "" }, failures_in_words(&others, any));
        let text = view::headed(&title, &view::list(&lines));
        room.left = room.left.saturating_sub(if text.is_empty() { 0 } else { text.len() + 2 });
        text
    }
}

/// More than the heading of the other failures takes.
const HEADING: usize = 80;

fn failures_in_words(others: &[&[&Row]], any: bool) -> String {
    let rows: Vec<_> = others.iter().map(|alike| alike[0].example.as_str()).collect();
    let count = rows.iter().collect::<std::collections::BTreeSet<_>>().len();
    words::plural(count, if any { "more failed example" } else { "failed example" })
}

/// The failures of the entries that are not shown.
fn failures<'a>(entries: &'a [Entry<'a>], is_shown: &[bool]) -> Vec<&'a [&'a Row]> {
    let others = entries.iter().enumerate().filter(|(index, _)| !is_shown.get(*index).copied().unwrap_or(false));
    others.flat_map(|(_, entry)| entry.groups.iter().map(Vec::as_slice)).collect()
}

/// The entries under headings of their own, without source lines and logs, and which of them those are.
fn in_full(
    entries: &[Entry<'_>],
    frame: Frame<'_>,
    least: &Rest,
    room: &mut Room,
) -> Result<(Vec<String>, Vec<bool>), askama::Error> {
    // Where all have room none has to be told otherwise, too.
    let mut made = Vec::new();
    let mut size = 0;
    for entry in entries {
        if size > room.left {
            break;
        }
        let text = view::entry(entry, frame, false)?;
        size += text.len() + 2;
        made.push(text);
    }
    if size <= room.left {
        room.left -= size;
        return Ok((made, vec![true; entries.len()]));
    }
    let (mut shown, mut is_shown) = (Vec::new(), vec![false; entries.len()]);
    let mut made = made.into_iter();
    let mut misses = 0;
    for (index, entry) in entries.iter().enumerate() {
        let text = match made.next() {
            Some(text) => text,
            None => view::entry(entry, frame, false)?,
        };
        if room.take(&text, least.size) {
            is_shown[index] = true;
            shown.push(text);
            misses = 0;
        } else {
            misses += 1;
        }
        if misses == MISSES {
            break;
        }
    }
    Ok((shown, is_shown))
}

/// Adds source lines and logs to what is shown, as far as there is room. Whether some are missing.
fn with_blocks(
    entries: &[Entry<'_>],
    is_shown: &[bool],
    frame: Frame<'_>,
    shown: &mut [String],
    room: &mut Room,
) -> Result<bool, askama::Error> {
    let told = entries.iter().zip(is_shown).filter(|(_, shown)| **shown).map(|(entry, _)| entry);
    let (mut missing, mut misses) = (false, 0);
    for (entry, short) in told.zip(shown) {
        if misses == MISSES {
            return Ok(true);
        }
        let long = view::entry(entry, frame, true)?;
        let more = long.len().saturating_sub(short.len());
        if more <= room.left {
            room.left -= more;
            *short = long;
        } else {
            (missing, misses) = (true, misses + 1);
        }
    }
    Ok(missing)
}

/// As many lines as fit in these bytes, at most [`LINES`], and how many there are besides.
fn some(lines: &[String], most: usize) -> Vec<String> {
    let mut size = 0;
    let fitting = lines.iter().take(LINES).take_while(|line| {
        size += line.len() + 3;
        size <= most
    });
    let mut shown: Vec<_> = fitting.cloned().collect();
    if shown.len() < lines.len() {
        shown.push(format!("... and {} more", lines.len() - shown.len()));
    }
    shown
}

fn told_elsewhere(left_out: &[&str], frame: Frame<'_>) -> String {
    if left_out.is_empty() {
        return String::new();
    }
    let run = frame.about.map(crate::report::comment::About::run_url).unwrap_or_default();
    let run =
        crate::report::markdown::Markdown::link(&crate::report::markdown::Markdown::text("summary of the run"), &run);
    format!("Left out to keep this short: {}. All of it is in the {run} and in `report.json`.", words::list(left_out))
}
