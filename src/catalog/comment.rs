//! Settings that a file carries itself: `# example-validator: tier=periodic timeout=20m` among its first comments.

use std::str::FromStr;
use std::sync::Arc;

use crate::config::ExampleRule;
use crate::diagnostic::{Diagnostic, Source};
use crate::duration;
use crate::yaml::Span;

/// What the comment line starts with.
const MARKER: &str = "example-validator:";

/// The keys that it may set.
const KEYS: [&str; 7] = ["tier", "timeout", "retries", "expect", "needs", "support", "representative"];

/// Keys of the config's `examples` that do not fit into a comment line.
const CONFIG_ONLY: [&str; 6] = ["quarantine", "resources", "checks", "run", "paths", "exclude"];

/// Most retries that make sense.
const MAX_RETRIES: u32 = 10;

/// The settings of a file's comment lines.
#[derive(Clone, Debug, Default)]
pub struct Comment {
    /// What is set, in the form of an `examples` entry.
    pub settings: ExampleRule,
    /// Where `needs` stands.
    pub needs: Option<Span>,
    /// What is wrong with them.
    pub diagnostics: Vec<Diagnostic>,
}

/// A `key=value` with its place.
struct Token<'a> {
    key: &'a str,
    value: Option<&'a str>,
    span: Span,
}

/// Reads the settings of the comments before the first line that is none (blank lines, `---`, `%YAML` and `#!` aside).
#[must_use]
pub fn read(source: &Arc<Source>) -> Comment {
    let mut comment = Comment::default();
    let mut seen: Vec<&str> = Vec::new();
    for token in lines(&source.text).flat_map(|(start, line)| tokens(start, line)) {
        let result = if seen.contains(&token.key) {
            Err(Diagnostic::error(format!("`{}` is set twice", token.key)).with_help("keep one of them"))
        } else {
            apply(&token, &mut comment)
        };
        seen.push(token.key);
        if let Err(diagnostic) = result {
            comment.diagnostics.push(diagnostic.at(source, token.span));
        }
    }
    comment
}

/// The text after the marker of each comment line at the top, with its offset.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut offset = 0;
    let top = text.split_inclusive('\n').map_while(move |line| {
        let start = offset;
        offset += line.len();
        let plain = line.trim_start_matches('\u{feff}').trim();
        let at_top = plain.is_empty() || plain.starts_with(['#', '%']) || plain == "---";
        at_top.then_some((start, line))
    });
    top.filter_map(|(start, line)| {
        let after_hash = line.trim_start_matches('\u{feff}').trim_start().strip_prefix('#')?.trim_start();
        let rest = after_hash.strip_prefix(MARKER)?.trim_end();
        // Everything that was stripped in front is contiguous, so the rest's place follows from its length.
        let end = start + line.trim_end().len();
        Some((end - rest.len(), rest))
    })
}

/// The `key=value` words of a line; a value may be quoted.
fn tokens(start: usize, line: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(skip) = line[at..].find(|c: char| !c.is_whitespace()) {
        let begin = at + skip;
        let mut quote = None;
        let end = line[begin..].char_indices().find(|(_, c)| match quote {
            Some(open) => {
                if *c == open {
                    quote = None;
                }
                false
            }
            None if matches!(c, '"' | '\'') => {
                quote = Some(*c);
                false
            }
            None => c.is_whitespace(),
        });
        at = end.map_or(line.len(), |(length, _)| begin + length);
        let word = &line[begin..at];
        let (key, value) = match word.split_once('=') {
            Some((key, value)) => (key, Some(value.trim_matches(['"', '\'']))),
            None => (word, None),
        };
        found.push(Token { key, value, span: Span::new(start + begin, start + at) });
    }
    found
}

fn apply(token: &Token<'_>, comment: &mut Comment) -> Result<(), Diagnostic> {
    if !KEYS.contains(&token.key) {
        return Err(unknown(token.key));
    }
    let Some(value) = token.value.filter(|value| !value.is_empty()) else {
        return Err(Diagnostic::error(format!("`{}` has no value", token.key))
            .with_help(format!("write `{}=...`, without spaces around `=`", token.key)));
    };
    let settings = &mut comment.settings;
    match token.key {
        "tier" => settings.tier = Some(word(value)?),
        "timeout" => settings.timeout = Some(duration::parse(value).map_err(Diagnostic::error)?),
        "retries" => settings.retries = Some(retries(value)?),
        "expect" => settings.expect = Some(word(value)?),
        "support" => settings.support = Some(truth(value)?),
        "representative" => settings.representative = Some(truth(value)?),
        _ => {
            settings.needs = Some(value.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect());
            comment.needs = Some(token.span);
        }
    }
    Ok(())
}

fn unknown(key: &str) -> Diagnostic {
    let known = format!("a comment line can set {}", KEYS.join(", "));
    if CONFIG_ONLY.contains(&key) {
        return Diagnostic::error(format!("`{key}` can't be set in a comment line"))
            .with_help(format!("set it in the config, in an entry of `examples`; {known}"));
    }
    let help =
        super::nearest(key, KEYS).map_or_else(|| known.clone(), |near| format!("did you mean `{near}`? {known}"));
    Diagnostic::error(format!("`{key}` is not a setting")).with_help(help)
}

/// A word of the model; its own error names the words that are expected.
fn word<T: FromStr<Err = String>>(value: &str) -> Result<T, Diagnostic> {
    value.parse().map_err(Diagnostic::error)
}

fn retries(value: &str) -> Result<u32, Diagnostic> {
    let number = value.parse().ok().filter(|number| *number <= MAX_RETRIES);
    number
        .ok_or_else(|| Diagnostic::error(format!("`{value}` is not a number of retries: expected 0 to {MAX_RETRIES}")))
}

fn truth(value: &str) -> Result<bool, Diagnostic> {
    value.parse().map_err(|_| Diagnostic::error(format!("`{value}` is neither true nor false")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Expect, Tier};
    use proptest::prelude::*;

    fn comment(text: &str) -> Comment {
        read(&Source::new("a.yaml", text))
    }

    fn errors(text: &str) -> Vec<(u32, u32, String)> {
        let told = |diagnostic: &Diagnostic| {
            let (_, line, column) = diagnostic.position().unwrap();
            (line, column, format!("{} {}", diagnostic.message, diagnostic.help.clone().unwrap_or_default()))
        };
        comment(text).diagnostics.iter().map(told).collect()
    }

    #[test]
    fn settings_are_read_from_the_comments_at_the_top() {
        let text = "\u{feff}# Copyright\n\n#example-validator: tier=periodic timeout=20m\n---\n\
                    #  example-validator: expect=running retries=2 needs=a.yaml,\"b c.yaml\" support=false\nkind: Pod\n";
        let found = comment(text);
        assert!(found.diagnostics.is_empty(), "{:?}", found.diagnostics);
        let settings = found.settings;
        assert_eq!(
            (settings.tier, settings.expect, settings.retries),
            (Some(Tier::Periodic), Some(Expect::Running), Some(2))
        );
        assert_eq!(settings.timeout, Some(std::time::Duration::from_secs(1_200)));
        assert_eq!(settings.support, Some(false));
        assert_eq!(settings.needs.unwrap()[0], "a.yaml");
        let span = found.needs.unwrap();
        assert!(text[span.range()].starts_with("needs=a.yaml"));
    }

    #[test]
    fn a_comment_after_the_first_key_is_only_a_comment() {
        assert_eq!(comment("kind: Pod\n# example-validator: tier=basic\n").settings.tier, None);
        assert_eq!(comment("# about example-validator: tier=basic\n").settings.tier, None);
    }

    #[test]
    fn what_is_wrong_is_told_at_its_own_place() {
        let text =
            "# first\n# example-validator: teir=full tier=fast timeout=20 retries=99 expect support=maybe checks=x\n";
        let found = errors(text);
        let expected = [
            (22, "`teir` is not a setting did you mean `tier`?"),
            (32, "`fast` is not a tier: expected one of basic, full, periodic"),
            (42, "`20` is not a duration"),
            (53, "`99` is not a number of retries: expected 0 to 10"),
            (64, "`expect` has no value write `expect=...`"),
            (71, "`maybe` is neither true nor false"),
            (85, "`checks` can't be set in a comment line set it in the config"),
        ];
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((line, column, message), (at, text)) in found.iter().zip(expected) {
            assert_eq!((*line, *column), (2, at), "{message}");
            assert!(message.contains(text), "{message}");
        }
        assert!(errors("# example-validator: tier=full tier=basic\n")[0].2.contains("set twice"));
    }

    proptest! {
        #[test]
        fn no_comment_makes_it_panic_and_every_place_is_inside(line in "#? ?(example-validator:)?[ -~é\"'=]{0,40}\n?") {
            let found = comment(&line);
            for diagnostic in found.diagnostics {
                prop_assert!(line.get(diagnostic.location.unwrap().span.range()).is_some());
            }
        }
    }
}
