//! One line of an exposition.

use super::{MAX_LABELS, Sample};

/// What a line says.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    Sample(Sample),
    /// A metric family and its type.
    Type(String, String),
    /// A comment, a description, an empty line.
    Nothing,
    /// OpenMetrics' `# EOF`.
    End,
}

/// Whether a metric's name needs no quotes.
pub(super) fn is_metric_name(name: &str) -> bool {
    name.bytes().enumerate().all(|(place, byte)| belongs(byte, place == 0, true)) && !name.is_empty()
}

/// Whether a label's name needs no quotes.
pub(super) fn is_label_name(name: &str) -> bool {
    name.bytes().enumerate().all(|(place, byte)| belongs(byte, place == 0, false)) && !name.is_empty()
}

fn belongs(byte: u8, first: bool, colon: bool) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || (colon && byte == b':') || (!first && byte.is_ascii_digit())
}

/// Reads a line without its end.
pub(super) fn read(line: &str) -> Result<Line, String> {
    let line = line.trim_matches([' ', '\t']);
    match line.strip_prefix('#') {
        Some(comment) => Ok(self::comment(comment)),
        None if line.is_empty() => Ok(Line::Nothing),
        None => sample(line).map(Line::Sample),
    }
}

/// The metric that a line which can't be read is of; `None` if nobody can tell.
pub(super) fn name(line: &[u8]) -> Option<String> {
    const LONGEST: usize = 4 << 10;
    let line = String::from_utf8_lossy(&line[..line.len().min(LONGEST)]);
    let mut reader = Reader { rest: &line };
    reader.space();
    let word = reader.word(true).to_owned();
    if !word.is_empty() {
        return (reader.rest.is_empty() || reader.rest.starts_with([' ', '\t', '{'])).then_some(word);
    }
    if !reader.eat('{') {
        return None;
    }
    reader.space();
    let quoted = reader.quoted().ok().flatten()?;
    reader.space();
    reader.rest.starts_with([',', '}']).then_some(quoted)
}

fn comment(comment: &str) -> Line {
    let mut reader = Reader { rest: comment };
    reader.space();
    match reader.token() {
        "EOF" if reader.rest.trim().is_empty() => Line::End,
        "TYPE" => {
            reader.space();
            let name = match reader.quoted() {
                Ok(Some(name)) => name,
                _ => reader.token().to_owned(),
            };
            Line::Type(name, reader.rest.trim().to_owned())
        }
        _ => Line::Nothing,
    }
}

fn sample(line: &str) -> Result<Sample, String> {
    let mut reader = Reader { rest: line };
    let mut name = reader.word(true).to_owned();
    let mut labels = Vec::new();
    reader.space();
    if reader.eat('{') {
        reader.labels(&mut name, &mut labels)?;
    }
    if name.is_empty() {
        return Err("expected a metric's name".to_owned());
    }
    reader.space();
    let value = number(reader.token())?;
    reader.space();
    // A timestamp: milliseconds in the text format, seconds in OpenMetrics.
    let timestamp = if reader.rest.starts_with('#') { "" } else { reader.token() };
    if !timestamp.is_empty() && timestamp.parse::<f64>().is_err() {
        return Err("expected a timestamp or the end after the value".to_owned());
    }
    reader.space();
    // An exemplar, which has labels and a value of its own.
    if !reader.rest.is_empty() && !reader.rest.starts_with('#') {
        return Err("expected an exemplar or the end after the timestamp".to_owned());
    }
    Ok(Sample { name, labels, value })
}

/// A value as Go's `ParseFloat` and OpenMetrics write it.
fn number(token: &str) -> Result<f64, String> {
    let bare = token.trim_start_matches(['+', '-']).to_ascii_lowercase();
    let is_word = ["nan", "inf", "infinity"].contains(&bare.as_str());
    let is_plain = bare.bytes().all(|byte| byte.is_ascii_digit() || b".e+-".contains(&byte));
    let value = if is_word || is_plain { token.parse().ok() } else { None };
    value.ok_or_else(|| "expected a number as the value".to_owned())
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn eat(&mut self, character: char) -> bool {
        let stripped = self.rest.strip_prefix(character);
        self.rest = stripped.unwrap_or(self.rest);
        stripped.is_some()
    }

    /// What stands before the next space.
    fn token(&mut self) -> &'a str {
        let (token, rest) = self.rest.split_at(self.rest.find([' ', '\t']).unwrap_or(self.rest.len()));
        self.rest = rest;
        token
    }

    /// A name without quotes; empty if there is none.
    fn word(&mut self, colon: bool) -> &'a str {
        let bytes = self.rest.bytes().enumerate();
        let length = bytes.take_while(|(place, byte)| belongs(*byte, *place == 0, colon)).count();
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        word
    }

    /// Everything up to the closing brace. A quoted text alone is the metric's name.
    fn labels(&mut self, name: &mut String, labels: &mut Vec<(String, String)>) -> Result<(), String> {
        loop {
            self.space();
            if self.eat('}') {
                return Ok(());
            }
            let quoted = self.quoted()?;
            let is_quoted = quoted.is_some();
            let label = quoted.unwrap_or_else(|| self.word(false).to_owned());
            self.space();
            if self.eat('=') {
                self.space();
                let value = self.quoted()?.ok_or("expected a label's value in quotes")?;
                if label.is_empty() {
                    return Err("expected a label's name".to_owned());
                }
                if labels.len() == MAX_LABELS {
                    return Err(format!("it has more than {MAX_LABELS} labels"));
                }
                if labels.iter().any(|(other, _)| *other == label) {
                    return Err("it has a label twice".to_owned());
                }
                labels.push((label, value));
            } else if is_quoted && name.is_empty() && labels.is_empty() {
                *name = label;
            } else {
                return Err("expected `=` after a label's name".to_owned());
            }
            self.space();
            if !self.eat(',') && !self.rest.starts_with('}') {
                return Err("expected `,` or `}` after a label".to_owned());
            }
        }
    }

    /// A text in double quotes, without them; `None` if there is none.
    fn quoted(&mut self) -> Result<Option<String>, String> {
        let Some(inner) = self.rest.strip_prefix('"') else { return Ok(None) };
        let mut text = String::new();
        let mut characters = inner.char_indices();
        while let Some((place, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &inner[place + 1..];
                    return Ok(Some(text));
                }
                '\\' => match characters.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, escaped @ ('\\' | '"'))) => text.push(escaped),
                    // Prometheus keeps what is no escape as it is.
                    Some((_, other)) => text.extend(['\\', other]),
                    None => break,
                },
                other => text.push(other),
            }
        }
        Err("a quoted text has no end".to_owned())
    }
}
