//! One place to read every option from: what a flag says, else what an input says, and who said it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::values;
use crate::diagnostic::Diagnostic;

/// Where a text was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Flag,
    Input,
}

/// The options as they were given, by name, and what was wrong with those that were read so far.
#[derive(Debug, Default)]
pub(super) struct Reader {
    given: BTreeMap<String, (Origin, String)>,
    /// What was wrong.
    pub problems: Vec<Diagnostic>,
}

impl Reader {
    /// Takes what was given among `flags`, a structure of optional texts and lists of texts.
    pub fn add_flags(&mut self, flags: &impl Serialize) {
        self.add(flags, Origin::Flag);
    }

    /// Takes what was given among `inputs`, where no flag says otherwise.
    pub fn add_inputs(&mut self, inputs: &impl Serialize) {
        self.add(inputs, Origin::Input);
    }

    fn add(&mut self, options: &impl Serialize, origin: Origin) {
        let Ok(Value::Object(options)) = serde_json::to_value(options) else { return };
        for (name, value) in options {
            let text = match value {
                Value::String(text) => text,
                Value::Array(items) if !items.is_empty() => {
                    items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
                }
                _ => continue,
            };
            self.given.entry(name).or_insert((origin, text));
        }
    }

    /// How messages call the option: `--shard` or input `shard`; `None` if it was not given.
    pub fn given_as(&self, name: &str) -> Option<String> {
        let (origin, _) = self.given.get(name)?;
        Some(match origin {
            Origin::Flag => format!("`--{name}`"),
            Origin::Input => format!("input `{name}`"),
        })
    }

    /// The option's value; `None` if it was not given, or is wrong, which is noted.
    pub fn read<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let (_, text) = self.given.get(name)?;
        let value = parse(text);
        self.noted(name, value)
    }

    /// The option's items; `None` if it was not given. Every item that is wrong is noted.
    pub fn list<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        let (_, text) = self.given.get(name)?;
        let items: Vec<_> = values::items(text).into_iter().map(parse).collect();
        if items.is_empty() {
            return self.noted(name, Err("is empty: expected a list, or leave it out".to_owned()));
        }
        Some(items.into_iter().filter_map(|item| self.noted(name, item)).collect())
    }

    /// Notes that the option, if it was given, does not go with something else.
    pub fn refuse(&mut self, name: &str, why: &str) {
        if let Some(option) = self.given_as(name) {
            self.problems.push(Diagnostic::error(format!("{option} {why}")));
        }
    }

    fn noted<T>(&mut self, name: &str, value: Result<T, String>) -> Option<T> {
        value
            .map_err(|message| {
                let option = self.given_as(name).unwrap_or_default();
                self.problems.push(Diagnostic::error(format!("{option}: {message}")));
            })
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reader(flags: &Value, inputs: &Value) -> Reader {
        let mut reader = Reader::default();
        reader.add_flags(flags);
        reader.add_inputs(inputs);
        reader
    }

    #[test]
    fn a_flag_wins_over_an_input() {
        let mut reader = reader(&json!({"a": "1", "b": null, "l": []}), &json!({"a": "2", "b": "3", "l": ["4"]}));
        assert_eq!(reader.read("a", values::text), Some("1".to_owned()));
        assert_eq!(reader.read("b", values::text), Some("3".to_owned()));
        assert_eq!(reader.list("l", values::text), Some(vec!["4".to_owned()]));
        assert_eq!(reader.read("c", values::text), None);
    }

    #[test]
    fn every_mistake_names_its_flag_or_input() {
        let mut reader = reader(&json!({"retries": "x"}), &json!({"shard": "9/4"}));
        assert_eq!(reader.read("retries", values::retries), None);
        assert_eq!(reader.read("shard", str::parse::<values::Shard>), None);
        reader.refuse("shard", "goes with nothing");
        let messages: Vec<_> = reader.problems.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "`--retries`: `x`: expected a whole number from 0 to 10",
                "input `shard`: `9/4` is not a shard: there is no part 9 of 4",
                "input `shard` goes with nothing"
            ]
        );
    }
}
