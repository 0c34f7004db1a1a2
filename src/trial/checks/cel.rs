//! `cel`: an expression over the first judged object.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value as Json;

use super::Finding;
use crate::framework::expression::{Answer, Expression, Scope};

/// Most paths of an expression that a message shows.
const SHOWN: usize = 4;

/// Evaluates a `cel` check on an object's last state.
pub(super) fn evaluate(expression: &Expression, object: Option<&Json>) -> Finding {
    let text = expression.text();
    let Some(object) = object else {
        return Finding::failed("CelWithoutObject", format!("`{text}`: there is no judged object"), "");
    };
    match expression.answer(&Scope::new(object)) {
        Ok(Answer::True) => Finding::passed(""),
        Ok(Answer::False) => Finding::failed("CelNotTrue", format!("`{text}` is false: {}", found(text, object)), ""),
        Ok(Answer::Missing) => {
            Finding::failed("CelKeyMissing", format!("`{text}` can't be answered: {}", found(text, object)), "")
        }
        Err(error) => Finding::failed("CelFailed", format!("{error} ({})", found(text, object)), ""),
    }
}

/// What stands at the paths that an expression names.
fn found(text: &str, object: &Json) -> String {
    static PATH: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r#"\b(?:object|conditions)(?:\.[A-Za-z_]\w*\b|\[\d+\]|\[(?:'[^']*'|"[^"]*")\])+"#).ok()
    });
    let Some(path) = PATH.as_ref() else { return String::new() };
    let mut shown: Vec<String> = Vec::new();
    for found in path.find_iter(text) {
        // A method is no key.
        let whole = found.as_str();
        let calls = text[found.end()..].starts_with('(');
        let path = if calls { whole.rsplit_once('.').map_or(whole, |(before, _)| before) } else { whole };
        let says = at(path, object);
        if !shown.contains(&says) && shown.len() < SHOWN {
            shown.push(says);
        }
    }
    if shown.is_empty() { "the object has no such value".to_owned() } else { shown.join("; ") }
}

/// What stands at one path, or how far it leads.
fn at(path: &str, object: &Json) -> String {
    let (root, rest) = path.split_at(path.find(['.', '[']).unwrap_or(path.len()));
    if root == "conditions" {
        let kind = keys(rest).next().unwrap_or_default();
        return format!("conditions has {}", condition(kind, object));
    }
    let mut value = object;
    let mut reached = root.to_owned();
    for key in keys(rest) {
        let next = key.parse::<usize>().ok().and_then(|index| value.get(index)).or_else(|| value.get(key));
        match next.filter(|next| !next.is_null()) {
            Some(next) => value = next,
            None => return format!("`{reached}` has no `{key}`{}", instead(value)),
        }
        reached.push_str(&if key.bytes().all(|byte| byte.is_ascii_digit()) {
            format!("[{key}]")
        } else {
            format!(".{key}")
        });
    }
    format!("`{reached}` is {}", brief(value))
}

/// The keys of a path: names, indexes, quoted names.
fn keys(path: &str) -> impl Iterator<Item = &str> {
    path.split(['.', '[', ']']).map(|key| key.trim_matches(['\'', '"'])).filter(|key| !key.is_empty())
}

fn condition(kind: &str, object: &Json) -> String {
    let all = object.pointer("/status/conditions").and_then(Json::as_array).into_iter().flatten();
    let each = all.filter_map(|condition| Some((condition.get("type")?.as_str()?, condition.get("status")?.as_str()?)));
    let listed: Vec<_> = each.collect();
    match listed.iter().rfind(|(name, _)| *name == kind) {
        Some((name, status)) => format!("{name}: {status}"),
        None if listed.is_empty() => format!("no `{kind}`, it is empty"),
        None => format!(
            "no `{kind}`, it has {}",
            listed.iter().map(|(name, status)| format!("{name}: {status}")).collect::<Vec<_>>().join(", ")
        ),
    }
}

/// What there is instead of a key.
fn instead(value: &Json) -> String {
    match value {
        Json::Object(entries) if !entries.is_empty() => {
            let keys: Vec<_> = entries.keys().take(10).map(String::as_str).collect();
            format!(", it has {}", keys.join(", "))
        }
        Json::Array(items) => format!(", it has {}", crate::report::plural(items.len(), "item")),
        _ => String::new(),
    }
}

fn brief(value: &Json) -> String {
    super::one_line(&value.to_string(), 100)
}
