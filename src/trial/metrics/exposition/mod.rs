//! What a `/metrics` endpoint answers: samples with names and labels.
//!
//! Source: the text format 0.0.4, <https://prometheus.io/docs/instrumenting/exposition_formats/>, and OpenMetrics 1.0,
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>. Both are read alike, line by line: a line that is neither a sample nor a
//! comment is counted with its number and left out, and all the others hold. Of a large answer only the metrics that are asked for are
//! kept ([`parse_only`]). Timestamps and exemplars are read and not kept.

mod line;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

/// Most bytes that are read of an answer.
pub const MAX_BODY: usize = 32 << 20;
/// Most bytes of a line.
const MAX_LINE: usize = 64 << 10;
/// Most labels of a sample.
const MAX_LABELS: usize = 256;
/// Most lines of no meaning that are remembered; more are only counted.
const REMEMBERED: usize = 5;

/// Most samples that are kept.
const MAX_SAMPLES: usize = 1_000_000;
/// Most names of metrics that are kept, to tell what there is.
const MAX_NAMES: usize = 10_000;

/// One series with its value now.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric.
    pub name: String,
    /// Label and value, in the order in which they were written.
    pub labels: Vec<(String, String)>,
    /// The value; it may be NaN or infinite.
    pub value: f64,
}

/// What was read of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposition {
    /// The samples, in the order of the lines.
    pub samples: Vec<Sample>,
    /// The names of all metrics, at most ten thousand.
    pub names: BTreeSet<String>,
    /// The type of each metric family that has one: `counter`, `gauge`.
    pub types: BTreeMap<String, String>,
    /// The lines that could not be read: number from 1, and what was expected. At most a few.
    pub bad: Vec<(usize, String)>,
    /// How many lines could not be read.
    pub bad_lines: usize,
    /// The first of these lines of each metric that is kept; under `None` the first of which nobody can tell what it is of.
    doubts: BTreeMap<Option<String>, (usize, String)>,
}

/// What OpenMetrics puts behind the name of a family of the type `info`.
const INFO: &str = "_info";

/// Whether what has its family's own name may go down, in a family of this type: of a summary these are the quantiles. Its `_count`
/// and `_sum`, and what a histogram has, have names of their own, and count.
#[must_use]
pub fn may_fall(kind: &str) -> bool {
    ["gauge", "summary", "stateset", "info"].contains(&kind)
}

impl Exposition {
    /// Whether values of this metric may go down and mean it: it is said to be no counter ([`may_fall`]).
    #[must_use]
    pub fn may_fall(&self, name: &str) -> bool {
        let of_info = name.strip_suffix(INFO).and_then(|family| self.types.get(family));
        self.types.get(name).is_some_and(|kind| may_fall(kind)) || of_info.is_some_and(|kind| kind == "info")
    }

    /// What is wrong with lines that could not be read; `None` if there are none.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let (number, why) = self.bad.first()?;
        let more = if self.bad_lines > 1 { format!(" (and {} more)", self.bad_lines - 1) } else { String::new() };
        Some(format!("line {number} is no sample: {why}{more}"))
    }

    /// What is wrong with a line that may be of this metric.
    #[must_use]
    pub fn doubt(&self, name: &str) -> Option<String> {
        let lines = [self.doubts.get(&Some(name.to_owned())), self.doubts.get(&None)];
        let (number, why) = lines.into_iter().flatten().min()?;
        Some(format!("line {number} is no sample: {why}"))
    }

    fn keep(&mut self, sample: Sample, wanted: Option<&BTreeSet<&str>>, number: usize) {
        if self.names.len() < MAX_NAMES && !self.names.contains(&sample.name) {
            self.names.insert(sample.name.clone());
        }
        if wanted.is_some_and(|wanted| !wanted.contains(sample.name.as_str())) {
            return;
        }
        if self.samples.len() < MAX_SAMPLES {
            self.samples.push(sample);
        } else {
            self.doubts.entry(None).or_insert((number, format!("there are more than {MAX_SAMPLES}")));
        }
    }

    fn note(&mut self, line: &[u8], why: String, wanted: Option<&BTreeSet<&str>>, number: usize) {
        let name = line::name(line);
        if wanted.is_none_or(|wanted| name.as_deref().is_none_or(|name| wanted.contains(name))) {
            let name = name.filter(|_| self.doubts.len() < MAX_NAMES);
            self.doubts.entry(name).or_insert_with(|| (number, why.clone()));
        }
        self.bad_lines += 1;
        if self.bad.len() < REMEMBERED {
            self.bad.push((number, why));
        }
    }
}

/// Reads an answer. Never fails: what can't be read is counted.
#[must_use]
pub fn parse(body: &[u8]) -> Exposition {
    read(body, None)
}

/// The same, of which only the samples and types of these metrics are kept.
#[must_use]
pub fn parse_only(body: &[u8], wanted: &BTreeSet<&str>) -> Exposition {
    read(body, Some(wanted))
}

fn read(body: &[u8], wanted: Option<&BTreeSet<&str>>) -> Exposition {
    let mut exposition = Exposition::default();
    let is_wanted = |name: &str| {
        wanted.is_none_or(|wanted| wanted.contains(name) || wanted.contains(format!("{name}{INFO}").as_str()))
    };
    for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let read = if line.len() > MAX_LINE {
            Err(format!("it is longer than {MAX_LINE} bytes"))
        } else {
            std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned()).and_then(line::read)
        };
        match read {
            Ok(line::Line::Sample(sample)) => exposition.keep(sample, wanted, index + 1),
            Ok(line::Line::Type(name, kind)) if is_wanted(&name) => {
                exposition.types.insert(name, kind);
            }
            Ok(line::Line::Type(..) | line::Line::Nothing) => {}
            // What follows is not part of it.
            Ok(line::Line::End) => break,
            Err(why) => exposition.note(line, why, wanted, index + 1),
        }
    }
    exposition
}

impl fmt::Display for Sample {
    /// `name{label="value"} 1`, as it stands in the text format, without the line's end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = match self.value {
            value if value == f64::INFINITY => "+Inf".to_owned(),
            value if value == f64::NEG_INFINITY => "-Inf".to_owned(),
            value => value.to_string(),
        };
        write!(f, "{} {value}", series(&self.name, &self.labels))
    }
}

/// A series as the formats write it: `name{label="value"}`, or `{"my.metric",label="value"}` where the name needs quotes.
#[must_use]
pub fn series(name: &str, labels: &[(String, String)]) -> String {
    // What PromQL computed has no name.
    let is_plain = name.is_empty() || line::is_metric_name(name);
    let mut parts = Vec::new();
    if !is_plain {
        parts.push(quoted(name));
    }
    parts.extend(labels.iter().map(|(label, value)| {
        let label = if line::is_label_name(label) { label.clone() } else { quoted(label) };
        format!("{label}={}", quoted(value))
    }));
    let labels = if parts.is_empty() { String::new() } else { format!("{{{}}}", parts.join(",")) };
    if is_plain { format!("{name}{labels}") } else { labels }
}

/// A text in double quotes, escaped.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        let _ = match character {
            '\\' => quoted.write_str("\\\\"),
            '"' => quoted.write_str("\\\""),
            '\n' => quoted.write_str("\\n"),
            other => quoted.write_char(other),
        };
    }
    quoted.push('"');
    quoted
}
