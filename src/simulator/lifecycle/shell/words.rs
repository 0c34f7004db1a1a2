//! Reading words: quotes, variables, substitutions.

use super::syntax::{Part, Reader, Word, parse};

impl Reader {
    pub fn word(&mut self) -> Option<Word> {
        let mut parts = Vec::new();
        while let Some(found) = self.peek() {
            match found {
                '\'' => {
                    self.at += 1;
                    let text = self.until('\'')?;
                    parts.push(Part::Text { text, quoted: true });
                }
                '"' => {
                    self.at += 1;
                    self.quoted(&mut parts)?;
                }
                '$' | '`' => self.dollar(&mut parts, false)?,
                '\\' => {
                    self.at += 1;
                    let text = self.peek().map(String::from).unwrap_or_default();
                    self.at += 1;
                    parts.push(Part::Text { text, quoted: true });
                }
                _ if found.is_whitespace() || ";&|()<>".contains(found) => break,
                _ => {
                    self.at += 1;
                    push_text(&mut parts, found, false);
                }
            }
        }
        (!parts.is_empty()).then_some(parts)
    }

    fn until(&mut self, end: char) -> Option<String> {
        let mut text = String::new();
        loop {
            let found = self.peek()?;
            self.at += 1;
            if found == end {
                return Some(text);
            }
            text.push(found);
        }
    }

    /// What stands between double quotes.
    fn quoted(&mut self, parts: &mut Word) -> Option<()> {
        parts.push(Part::Text { text: String::new(), quoted: true });
        loop {
            match self.peek()? {
                '"' => {
                    self.at += 1;
                    return Some(());
                }
                '$' | '`' => self.dollar(parts, true)?,
                '\\' if matches!(self.text.get(self.at + 1), Some('"' | '\\' | '$' | '`')) => {
                    push_text(parts, self.text[self.at + 1], true);
                    self.at += 2;
                }
                '\\' if self.looks_at("\\\n") => self.at += 2,
                found => {
                    push_text(parts, found, true);
                    self.at += 1;
                }
            }
        }
    }

    fn dollar(&mut self, parts: &mut Word, quoted: bool) -> Option<()> {
        if self.take("`") {
            let text = self.until('`')?;
            parts.push(Part::Command { body: Box::new(parse(&text)?), quoted });
        } else if self.take("$((") {
            let mut text = String::new();
            while !self.take("))") {
                text.push(self.peek()?);
                self.at += 1;
            }
            parts.push(Part::Arithmetic(text));
        } else if self.take("$(") {
            let body = Box::new(self.list(&[])?);
            if !self.take(")") {
                return None;
            }
            parts.push(Part::Command { body, quoted });
        } else if self.take("${") {
            let name = self.name();
            let default = (self.take(":-") || self.take("-")).then(|| self.until('}'));
            let default = match default {
                Some(text) => {
                    Some(Reader { text: text?.chars().collect(), at: 0, depth: 0 }.word().unwrap_or_default())
                }
                None => (!name.is_empty() && self.take("}")).then_some(None)?,
            };
            parts.push(Part::Variable { name, default, quoted });
        } else {
            self.at += 1;
            let mut name = self.name();
            if name.is_empty()
                && let Some(special) = self.peek().filter(|special| "?$@*#0123456789".contains(*special))
            {
                self.at += 1;
                name.push(special);
            }
            if name.is_empty() {
                push_text(parts, '$', true);
            } else {
                parts.push(Part::Variable { name, default: None, quoted });
            }
        }
        Some(())
    }
}

fn push_text(parts: &mut Word, found: char, is_quoted: bool) {
    match parts.last_mut() {
        Some(Part::Text { text, quoted }) if *quoted == is_quoted => text.push(found),
        _ => parts.push(Part::Text { text: found.to_string(), quoted: is_quoted }),
    }
}
