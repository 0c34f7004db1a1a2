//! Expanding words: variables, command substitution, arithmetic, splitting into fields, patterns.

use super::run::{Shell, Stop};
use super::syntax::{Part, Word};

/// A pattern of `case`.
#[derive(Debug, Default)]
pub(super) struct Pattern(Vec<Piece>);

#[derive(Debug, PartialEq)]
enum Piece {
    Exactly(char),
    One,
    Any,
}

impl Pattern {
    /// Whether the whole text fits.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        fits(&self.0, &text)
    }
}

fn fits(pattern: &[Piece], text: &[char]) -> bool {
    // Positions in `text` that the pieces so far can end at; never more than `text` is long.
    let mut ends = vec![0];
    for piece in pattern {
        ends = match piece {
            Piece::Any => (ends[0]..=text.len()).collect(),
            Piece::One => ends.iter().filter(|end| **end < text.len()).map(|end| end + 1).collect(),
            Piece::Exactly(found) => {
                ends.iter().filter(|end| text.get(**end) == Some(found)).map(|end| end + 1).collect()
            }
        };
        if ends.is_empty() {
            return false;
        }
    }
    ends.contains(&text.len())
}

impl Shell {
    /// A word as one text.
    pub fn text(&mut self, word: &Word) -> Result<String, Stop> {
        let mut text = String::new();
        for part in word {
            text.push_str(&self.part(part)?);
            if text.len() > 4 << 20 {
                return Err(Stop::OutOfMemory);
            }
        }
        Ok(text)
    }

    /// A word as a pattern.
    pub fn pattern(&mut self, word: &Word) -> Result<Pattern, Stop> {
        let mut pattern = Pattern::default();
        for part in word {
            let text = self.part(part)?;
            let is_quoted = !matches!(part, Part::Text { quoted: false, .. });
            pattern.0.extend(text.chars().map(|found| match found {
                '*' if !is_quoted => Piece::Any,
                '?' if !is_quoted => Piece::One,
                _ => Piece::Exactly(found),
            }));
        }
        Ok(pattern)
    }

    /// Words as the fields that a command gets.
    pub fn fields(&mut self, words: &[Word]) -> Result<Vec<String>, Stop> {
        let mut fields = Vec::new();
        for word in words {
            let mut field: Option<String> = None;
            for part in word {
                let is_all = matches!(part, Part::Variable { name, quoted: true, .. } if name == "@");
                if is_all {
                    fields.extend(field.take());
                    fields.extend(self.arguments.iter().skip(1).cloned());
                    continue;
                }
                let text = self.part(part)?;
                let is_split =
                    matches!(part, Part::Variable { quoted: false, .. } | Part::Command { quoted: false, .. });
                if !is_split {
                    field.get_or_insert_default().push_str(&text);
                    continue;
                }
                if text.starts_with(char::is_whitespace) {
                    fields.extend(field.take());
                }
                for (index, piece) in text.split_whitespace().enumerate() {
                    if index > 0 {
                        fields.extend(field.take());
                    }
                    field.get_or_insert_default().push_str(piece);
                }
                if text.ends_with(char::is_whitespace) {
                    fields.extend(field.take());
                }
            }
            fields.extend(field);
        }
        Ok(fields)
    }

    fn part(&mut self, part: &Part) -> Result<String, Stop> {
        match part {
            Part::Text { text, .. } => Ok(text.clone()),
            Part::Variable { name, default, .. } => {
                let value = self.variable(name);
                match default {
                    Some(default) if value.is_empty() => self.text(default),
                    _ => Ok(value),
                }
            }
            Part::Command { body, .. } => {
                let text = self.caught(|shell| shell.run(body))?;
                Ok(text.trim_end_matches('\n').to_owned())
            }
            Part::Arithmetic(text) => Ok(Arithmetic { text: text.as_bytes(), at: 0, shell: self }.value().to_string()),
        }
    }

    fn variable(&self, name: &str) -> String {
        match name {
            "?" => self.status.to_string(),
            "$" => "1".to_owned(),
            "#" => self.arguments.len().saturating_sub(1).to_string(),
            "@" | "*" => self.arguments.get(1..).unwrap_or_default().join(" "),
            _ => match name.parse::<usize>() {
                Ok(index) => self.arguments.get(index).cloned().unwrap_or_default(),
                Err(_) => self.variables.get(name).cloned().unwrap_or_default(),
            },
        }
    }
}

/// `$((...))`: integers, variables, `+ - * / %`, comparisons and brackets.
struct Arithmetic<'a> {
    text: &'a [u8],
    at: usize,
    shell: &'a Shell,
}

/// Operators from the weakest to the strongest.
const LEVELS: [&[&str]; 3] = [&["==", "!=", "<=", ">=", "<", ">"], &["+", "-"], &["*", "/", "%"]];

impl Arithmetic<'_> {
    fn value(&mut self) -> i64 {
        self.level(0, 0)
    }

    fn blank(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn level(&mut self, level: usize, depth: usize) -> i64 {
        let Some(operators) = LEVELS.get(level) else { return self.atom(depth) };
        let mut left = self.level(level + 1, depth);
        loop {
            self.blank();
            let rest = &self.text[self.at.min(self.text.len())..];
            let Some(operator) = operators.iter().find(|operator| rest.starts_with(operator.as_bytes())) else {
                return left;
            };
            self.at += operator.len();
            let right = self.level(level + 1, depth);
            left = match *operator {
                "+" => left.wrapping_add(right),
                "-" => left.wrapping_sub(right),
                "*" => left.wrapping_mul(right),
                "/" => left.checked_div(right).unwrap_or(0),
                "%" => left.checked_rem(right).unwrap_or(0),
                "==" => i64::from(left == right),
                "!=" => i64::from(left != right),
                "<=" => i64::from(left <= right),
                ">=" => i64::from(left >= right),
                "<" => i64::from(left < right),
                _ => i64::from(left > right),
            };
        }
    }

    fn atom(&mut self, depth: usize) -> i64 {
        self.blank();
        match self.text.get(self.at) {
            Some(b'(') if depth < 50 => {
                self.at += 1;
                let value = self.level(0, depth + 1);
                self.blank();
                self.at += usize::from(self.text.get(self.at) == Some(&b')'));
                value
            }
            Some(b'-') if depth < 50 => {
                self.at += 1;
                self.atom(depth + 1).wrapping_neg()
            }
            Some(b'$') => {
                self.at += 1;
                self.atom(depth)
            }
            _ => {
                let start = self.at;
                while self.text.get(self.at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
                    self.at += 1;
                }
                let word = String::from_utf8_lossy(&self.text[start..self.at]).into_owned();
                word.parse().or_else(|_| self.shell.variable(&word).trim().parse()).unwrap_or(0)
            }
        }
    }
}
