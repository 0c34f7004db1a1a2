//! The selector of a metric's series: `name{a="b",c!="d",e=~"re",f!~"re"}`, the part of PromQL that needs no Prometheus.
//!
//! Source of the grammar: <https://prometheus.io/docs/prometheus/latest/querying/basics/#time-series-selectors>, with quoted names
//! (`{"my.metric","my.label"="v"}`) as since Prometheus 3. Exactly one metric is named: a selector without a name, or with a pattern
//! for it, is PromQL, as is everything else (functions, operators, ranges, `offset`).

#[cfg(test)]
mod tests;

use regex::Regex;

/// What is filled in with an attempt's namespace.
pub const NAMESPACE: &str = "{namespace}";

/// Most bytes of a selector.
const LONGEST: usize = 8 << 10;

/// Which series are meant.
#[derive(Clone, Debug)]
pub struct Selector {
    /// The metric.
    pub name: String,
    /// What else must hold, in the order in which it was written.
    pub matchers: Vec<Matcher>,
}

/// What must hold for one label. A label that a series does not have is empty.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label.
    pub label: String,
    condition: Condition,
    /// What it is compared with, as it was written.
    text: String,
    /// Whether that is about an attempt's namespace.
    is_of_namespace: bool,
}

#[derive(Clone, Debug)]
enum Condition {
    Equal(String),
    NotEqual(String),
    Matches(Regex),
    MatchesNot(Regex),
}

/// A query with an attempt's namespace in it, as part of a quoted value.
#[must_use]
pub fn filled(query: &str, namespace: &str) -> String {
    let escaped = namespace.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    query.replace(NAMESPACE, &escaped)
}

/// Whether a query is about an attempt's namespace alone: a matcher asks for it. One that only leaves it out (`!=`, `!~`) is about all
/// others.
#[must_use]
pub fn names_namespace(query: &str) -> bool {
    query.match_indices(NAMESPACE).any(|(at, _)| {
        let before = &query[..at];
        let operator = before.rfind(['"', '\'', '`']).map_or(before, |quote| &before[..quote]).trim_end();
        !operator.ends_with("!=") && !operator.ends_with("!~")
    })
}

impl Selector {
    /// Reads a selector with an attempt's namespace in it.
    ///
    /// # Errors
    /// As [`Selector::parse`].
    pub fn of_namespace(query: &str, namespace: &str) -> Result<Self, String> {
        let mut selector = Self::parse(&filled(query, namespace))?;
        // What another namespace would change is about it.
        if let Ok(other) = Self::parse(&filled(query, &format!("{namespace}-"))) {
            for (matcher, other) in selector.matchers.iter_mut().zip(&other.matchers) {
                matcher.is_of_namespace = matcher.text != other.text;
            }
        }
        Ok(selector)
    }

    /// Reads a selector.
    ///
    /// # Errors
    /// What was expected, and at which byte; that is so for everything that is PromQL.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("is longer than {LONGEST} bytes"));
        }
        let mut reader = Reader { text, at: 0 };
        let mut selector = Self { name: String::new(), matchers: Vec::new() };
        reader.space();
        selector.name = reader.word(is_name).to_owned();
        reader.space();
        if reader.eat("{") {
            reader.matchers(&mut selector)?;
        }
        reader.space();
        if reader.at < text.len() {
            return Err(reader.expected("the end"));
        }
        if selector.name.is_empty() {
            return Err("names no metric".to_owned());
        }
        Ok(selector)
    }

    /// Whether a series is meant: its metric's name, and its labels.
    #[must_use]
    pub fn is_met(&self, name: &str, labels: &[(String, String)]) -> bool {
        self.name == name && self.matchers.iter().all(|matcher| matcher.is_met(labels))
    }

    /// The same, whatever the namespace is.
    #[must_use]
    pub fn is_met_elsewhere(&self, name: &str, labels: &[(String, String)]) -> bool {
        let mut others = self.matchers.iter().filter(|matcher| !matcher.is_of_namespace);
        self.name == name && others.all(|matcher| matcher.is_met(labels))
    }
}

impl Matcher {
    fn is_met(&self, labels: &[(String, String)]) -> bool {
        let value = labels.iter().find(|(label, _)| *label == self.label).map_or("", |(_, value)| value.as_str());
        match &self.condition {
            Condition::Equal(wanted) => value == wanted,
            Condition::NotEqual(unwanted) => value != unwanted,
            Condition::Matches(pattern) => pattern.is_match(value),
            Condition::MatchesNot(pattern) => !pattern.is_match(value),
        }
    }
}

/// Whether a byte may stand in a metric's name without quotes; digits not at its start.
fn is_name(byte: u8, first: bool) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte == b':' || (!first && byte.is_ascii_digit())
}

fn is_label(byte: u8, first: bool) -> bool {
    is_name(byte, first) && byte != b':'
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn eat(&mut self, word: &str) -> bool {
        let there = self.rest().starts_with(word);
        if there {
            self.at += word.len();
        }
        there
    }

    fn word(&mut self, belongs: fn(u8, bool) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.bytes().enumerate().take_while(|(place, byte)| belongs(*byte, *place == 0)).count();
        self.at += length;
        &rest[..length]
    }

    fn expected(&self, what: &str) -> String {
        let found: String = self.rest().chars().take(12).collect();
        if found.is_empty() {
            format!("expected {what}, found the end")
        } else {
            format!("expected {what} at byte {}, found `{found}`", self.at)
        }
    }

    /// What stands between the braces, of which the first was read.
    fn matchers(&mut self, selector: &mut Selector) -> Result<(), String> {
        loop {
            self.space();
            if self.eat("}") {
                return Ok(());
            }
            self.matcher(selector)?;
            self.space();
            if !self.eat(",") && !self.rest().starts_with('}') {
                return Err(self.expected("`,` or `}`"));
            }
        }
    }

    fn matcher(&mut self, selector: &mut Selector) -> Result<(), String> {
        let quoted = self.quoted()?;
        let is_quoted = quoted.is_some();
        let label = quoted.unwrap_or_else(|| self.word(is_label).to_owned());
        if label.is_empty() {
            return Err(self.expected("a label"));
        }
        self.space();
        if is_quoted && self.rest().starts_with([',', '}']) {
            return named(selector, label);
        }
        let operators = ["=~", "!~", "!=", "="];
        let Some(operator) = operators.into_iter().find(|operator| self.eat(operator)) else {
            return Err(self.expected("one of =, !=, =~, !~"));
        };
        self.space();
        let Some(value) = self.quoted()? else { return Err(self.expected("a quoted value")) };
        if label == "__name__" && operator == "=" {
            return named(selector, value);
        }
        let text = value.clone();
        let condition = match operator {
            "=" => Condition::Equal(value),
            "!=" => Condition::NotEqual(value),
            "=~" => Condition::Matches(pattern(&value)?),
            _ => Condition::MatchesNot(pattern(&value)?),
        };
        selector.matchers.push(Matcher { label, condition, text, is_of_namespace: false });
        Ok(())
    }

    /// A quoted text without its quotes; `None` if there is none.
    fn quoted(&mut self) -> Result<Option<String>, String> {
        let Some(quote) = self.rest().chars().next().filter(|first| ['"', '\'', '`'].contains(first)) else {
            return Ok(None);
        };
        self.at += 1;
        let mut value = String::new();
        let mut characters = self.rest().char_indices();
        while let Some((place, character)) = characters.next() {
            match character {
                _ if character == quote => {
                    self.at += place + 1;
                    return Ok(Some(value));
                }
                '\\' if quote != '`' => match characters.next().map(|(_, escaped)| escaped) {
                    Some('n') => value.push('\n'),
                    Some('t') => value.push('\t'),
                    Some('r') => value.push('\r'),
                    Some(escaped @ ('\\' | '"' | '\'')) => value.push(escaped),
                    _ => {
                        return Err(format!(
                            "an escape that is none at byte {}: expected \\\\, \\\" or \\n",
                            self.at + place
                        ));
                    }
                },
                '\n' if quote != '`' => break,
                _ => value.push(character),
            }
        }
        Err(format!("the quoted text at byte {} has no end", self.at - 1))
    }
}

fn named(selector: &mut Selector, name: String) -> Result<(), String> {
    if !selector.name.is_empty() || name.is_empty() {
        return Err("expected exactly one metric's name".to_owned());
    }
    selector.name = name;
    Ok(())
}

/// A pattern for a whole value, as Prometheus anchors it.
fn pattern(text: &str) -> Result<Regex, String> {
    let anchored = regex::RegexBuilder::new(&format!("^(?s:{text})$")).size_limit(1 << 20).build();
    anchored.map_err(|_| format!("`{text}` is not a regular expression"))
}
