//! The user's own frameworks.

use super::super::forms;
use super::super::place::Place;
use super::time;
use crate::framework::expression::Expression;
use crate::framework::{Framework, RawFramework};

/// Every framework that can be used. A name, or a kind, that stands here twice would leave one of them unused.
pub(super) fn list(raw: Vec<RawFramework>, at: &Place<'_>) -> Vec<Framework> {
    let mut frameworks: Vec<Framework> = Vec::new();
    for (at, entry) in at.items(raw) {
        let Some(framework) = framework(entry, &at) else { continue };
        if frameworks.iter().any(|earlier| earlier.name == framework.name) {
            at.key("name").error(format!("`{}` already names another framework of this list", framework.name));
        } else if let Some(earlier) = frameworks.iter().find(|earlier| earlier.matches == framework.matches) {
            at.key("match").error(format!("`{}` already describes these objects", earlier.name));
        }
        frameworks.push(framework);
    }
    frameworks
}

fn framework(raw: RawFramework, at: &Place<'_>) -> Option<Framework> {
    let expressions = [
        ("succeeded", &raw.succeeded),
        ("failed", &raw.failed),
        ("running", &raw.running),
        ("suspended", &raw.suspended),
    ];
    let mut told = Vec::new();
    for (key, expression) in expressions {
        if let Some(Err(error)) = expression.as_deref().map(Expression::compile) {
            at.key(key).error(error.to_string());
            told.push(key);
        }
    }
    if raw.timeout.is_some() && time(raw.timeout.clone(), &at.key("timeout")).is_none() {
        told.push("timeout");
    }
    if let Some(container) = &raw.container {
        at.key("container").ok(forms::text(container));
    }
    Framework::try_from(raw)
        .map_err(|error| {
            if !told.contains(&error.key) {
                at.key(error.key).error(error.message);
            }
        })
        .ok()
}
