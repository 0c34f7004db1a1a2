//! What a secret looks like, as data.
//!
//! Each rule has words that must be there for it to match: one automaton looks for all of them at once, and only lines that
//! have one are matched. What the groups of an expression catch is hidden.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::bytes::{Regex, RegexBuilder};

use super::scan::Masks;

/// How far behind its block a match is followed in a very long line. One that goes on is hidden to the next delimiter.
pub(super) const OVERLAP: usize = 2 * 1024;

/// What looks like a secret.
struct Rule {
    /// In lower case; at least one is in every match, in whatever case.
    triggers: &'static [&'static str],
    /// Whether one of [`AFTER`] follows them.
    named: bool,
    expression: &'static str,
    /// Whether what a group caught is worth hiding.
    counts: fn(&[u8]) -> bool,
}

/// Names that are followed by a secret wherever they are.
macro_rules! strong_names {
    () => {
        "passw(?:or)?d|passphrase|api[_-]?key|access[_-]?key(?:[_-]?id)?|private[_-]?key|account[_-]?key|secret[_-]?key\
         |[_-]pwd|[a-z0-9][_-](?:token|secret)|(?:auth|access|refresh|id|session)token|clientsecret"
    };
}

/// Names that are words of prose too.
macro_rules! weak_names {
    () => {
        "token|secret|credentials?"
    };
}

/// A value in quotes, quotes inside of a quoted text, or none; at least one character.
macro_rules! value {
    () => {
        r#"(?:\\+["']([^"'\\]+)|"((?:[^"\\]|\\.)+)|'([^']+)|([^\s"'\\,;&<>(){}\[\]|][^\s"'\\,;&<>)}\]|]*))"#
    };
}

/// A value in quotes of some kind.
macro_rules! quoted {
    () => {
        r#"(?:\\+["']([^"'\\]+)|"((?:[^"\\]|\\.)+)|'([^']+))"#
    };
}

/// What the names end in. Each needs one of [`AFTER`] behind it to be a trigger: `token` alone is in every other line of some
/// logs (`tokens/s`, `tokenizer`).
const NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "token",
    "secret",
    "credential",
    "credentials",
    "apikey",
    "api_key",
    "api-key",
    "accesskey",
    "access_key",
    "access-key",
    "keyid",
    "key_id",
    "key-id",
    "privatekey",
    "private_key",
    "private-key",
    "accountkey",
    "account_key",
    "account-key",
    "secretkey",
    "secret_key",
    "secret-key",
];
const WEAK_NAMES: &[&str] = &["token", "secret", "credential", "credentials"];
/// What can stand between a name and its value.
const AFTER: &str = "=:\"'\\ \t";

const RULES: &[Rule] = &[
    Rule {
        triggers: &["authorization"],
        named: false,
        expression: r#"(?i)authorization\\*["']?\s*[:=]\s*\[?\s*\\*["']?\s*(?:(?:bearer|basic|token|digest|negotiate|aws4-hmac-sha256)\s+)?([^\s"'\\\[\]{}][^"'\\\]\r\n]*)"#,
        counts: no_refusal,
    },
    Rule { triggers: &["bearer"], named: false, expression: r"(?i)\bbearer\s+([a-z0-9._~+/=-]+)", counts: looks_made },
    Rule {
        triggers: &["cookie"],
        named: false,
        expression: r#"(?i)\bcookie\\*["']?\s*:\s*\\*["']?([^\s"'\\][^"'\\\r\n]*)"#,
        counts: always,
    },
    // JSON Web Tokens (RFC 7519), those of ServiceAccounts among them.
    Rule {
        triggers: &["eyj"],
        named: false,
        expression: r"(eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)*)",
        counts: always,
    },
    Rule {
        triggers: &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-"],
        named: false,
        expression: r"((?:gh[pousr]_|github_pat_|glpat-)[A-Za-z0-9_.-]{10,})",
        counts: always,
    },
    Rule { triggers: &["akia", "asia"], named: false, expression: r"\b((?:AKIA|ASIA)[A-Z0-9]{12,})\b", counts: always },
    Rule {
        triggers: &["xox", "xapp-", "hooks.slack.com"],
        named: false,
        expression: r"((?:xox[a-z]|xapp)-[A-Za-z0-9-]{8,})|hooks\.slack\.com/(?:services|workflows)/([A-Za-z0-9/]+)",
        counts: always,
    },
    // Hugging Face, OpenAI and those who follow it, Google, npm, PyPI, Docker.
    Rule {
        triggers: &["hf_", "sk-", "aiza", "ya29.", "npm_", "pypi-", "dckr_pat_"],
        named: false,
        expression: r"\b((?:hf_|sk-|npm_|pypi-|dckr_pat_)[A-Za-z0-9_-]{20,}|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,})",
        counts: always,
    },
    Rule {
        triggers: &["://"],
        named: false,
        expression: r#"://(?:[^\s/?\#@:"'<>]*:([^\s/?\#@"'<>]+)|([^\s/?\#@:"'<>]{16,}))@"#,
        counts: always,
    },
    Rule {
        triggers: NAMES,
        named: true,
        expression: concat!("(?i)(?:", strong_names!(), r#")\\*["']?[ \t]*(?::=|=>|[:=])\s*"#, value!()),
        counts: no_plain_word,
    },
    Rule {
        triggers: WEAK_NAMES,
        named: true,
        expression: concat!(
            "(?i)(?:",
            weak_names!(),
            r#")\\*["']?(?:[ \t]*(?::=|=>|[:=])\s*"#,
            quoted!(),
            "|=",
            value!(),
            ")"
        ),
        counts: no_plain_word,
    },
    Rule {
        triggers: WEAK_NAMES,
        named: true,
        expression: concat!("(?i)(?:", weak_names!(), r#")\\*["']?[ \t]*(?::=|=>|[:=])\s*"#, value!()),
        counts: looks_made,
    },
    Rule {
        triggers: NAMES,
        named: true,
        expression: concat!(r"(?i)--[a-z0-9_-]*(?:", strong_names!(), "|", weak_names!(), r")[ \t]+", value!()),
        counts: looks_made,
    },
];

/// The words that begin the lines around a private key; what is between them is hidden line by line.
const PRIVATE_KEY: &str = "-----begin";

static BEGINS: LazyLock<Regex> = LazyLock::new(|| compile("-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"));
static ENDS: LazyLock<Regex> = LazyLock::new(|| compile("-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"));
static SENSITIVE: LazyLock<Regex> =
    LazyLock::new(|| compile(concat!("(?i)(?:", strong_names!(), "|", weak_names!(), "|authorization)$")));

/// The rules, ready.
struct Patterns {
    automaton: AhoCorasick,
    /// The rule of each trigger; none for a private key's.
    rules: Vec<Option<usize>>,
    expressions: Vec<Regex>,
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    let (mut triggers, mut rules) = (vec![PRIVATE_KEY.to_owned()], vec![None]);
    for (index, rule) in RULES.iter().enumerate() {
        for word in rule.triggers {
            let before = triggers.len();
            if rule.named {
                triggers.extend(AFTER.chars().map(|after| format!("{word}{after}")));
            } else {
                triggers.push((*word).to_owned());
            }
            rules.resize(rules.len() + triggers.len() - before, Some(index));
        }
    }
    let automaton =
        AhoCorasick::builder().ascii_case_insensitive(true).kind(Some(AhoCorasickKind::DFA)).build(&triggers);
    #[expect(clippy::expect_used, reason = "the table is constant, and a test compiles it")]
    let automaton = automaton.expect("a few short words make an automaton");
    Patterns { automaton, rules, expressions: RULES.iter().map(|rule| compile(rule.expression)).collect() }
});

fn compile(expression: &str) -> Regex {
    #[expect(clippy::expect_used, reason = "the expressions are constant, and a test compiles them")]
    RegexBuilder::new(expression).unicode(false).build().expect("the expression is well-formed")
}

/// Where the first word is that any rule needs.
pub(super) fn trigger(text: &[u8]) -> Option<usize> {
    PATTERNS.automaton.find(text).map(|found| found.start())
}

/// Hides the matches in `buffer[context..window]` that start inside of `own`; whether one ended only because the window
/// did.
pub(super) fn find(buffer: &[u8], context: usize, own: &Range<usize>, window: usize, masks: &mut Masks) -> bool {
    let haystack = &buffer[context..window];
    let mut wanted = 0_u32;
    for found in PATTERNS.automaton.find_overlapping_iter(haystack) {
        if let Some(rule) = PATTERNS.rules[found.pattern()] {
            wanted |= 1 << rule;
        }
    }
    let mut cut = false;
    for (index, rule) in RULES.iter().enumerate().filter(|(index, _)| wanted & (1 << index) != 0) {
        let expression = &PATTERNS.expressions[index];
        let mut at = own.start - context;
        while let Some(whole) = expression.find_at(haystack, at) {
            if context + whole.start() >= own.end {
                break;
            }
            let groups = expression.captures_at(haystack, whole.start());
            for group in groups.iter().flat_map(|groups| groups.iter().skip(1)).flatten() {
                if (rule.counts)(group.as_bytes()) {
                    masks.hide(context + group.start(), context + group.end());
                    cut |= group.end() == haystack.len();
                }
            }
            at = whole.end();
        }
    }
    cut
}

/// Whether a byte ends a token that was too long to be matched whole.
pub(super) fn ends_token(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b',' | b';' | b'&' | b'<' | b'>' | b')' | b']' | b'}')
}

/// The first line of a private key.
pub(super) fn private_key_begins(text: &[u8]) -> Option<Range<usize>> {
    BEGINS.find(text).map(|found| found.range())
}

/// The last line of a private key.
pub(super) fn private_key_ends(text: &[u8]) -> Option<Range<usize>> {
    ENDS.find(text).map(|found| found.range())
}

/// Whether a field or an environment variable of this name holds a secret: `DB_PASSWORD`, `apiKey`; not `secretName`.
pub(super) fn is_sensitive(name: &str) -> bool {
    SENSITIVE.is_match(name.as_bytes())
}

fn always(_: &[u8]) -> bool {
    true
}

/// Whether it is no registry's answer about an authorization, as container runtimes quote it (`may require authorization:
/// server message: ...`): that is the reason why an image can't be had.
fn no_refusal(value: &[u8]) -> bool {
    const REFUSALS: [&[u8]; 2] = [b"authorization failed", b"server message: "];
    !REFUSALS.iter().any(|start| value.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start)))
}

/// Values that say that there is none.
pub(super) fn no_plain_word(value: &[u8]) -> bool {
    const NONE: [&[u8]; 8] = [b"null", b"nil", b"none", b"true", b"false", b"undefined", b"required", b"***"];
    !NONE.iter().any(|word| word.eq_ignore_ascii_case(value))
}

/// Whether a text was made by a machine or for a lock, and is no word of prose (`bearer of`, `invalid token: signature`).
fn looks_made(value: &[u8]) -> bool {
    let mixed = value.iter().skip(1).any(u8::is_ascii_uppercase) && value.iter().any(u8::is_ascii_lowercase);
    value.len() >= 6 && (value.len() >= 20 || mixed || value.iter().any(u8::is_ascii_digit)) && no_plain_word(value)
}
