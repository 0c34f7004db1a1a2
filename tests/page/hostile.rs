//! Any text in any field yields a page in which no element and no attribute comes of that text: held to a real HTML parser.

use std::cell::RefCell;

use example_validator::report::comment::About;
use example_validator::report::html::render;
use example_validator::report::{Details, Report};
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{BufferQueue, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};
use proptest::prelude::*;
use serde_json::Value;

use super::sample;

/// What has tried to leave its place, in one way or another.
pub const EVIL: [&str; 14] = [
    "<script>window.pwned = 1</script>",
    "</script><script>window.pwned = 1</script>",
    "</style><img src=x onerror=\"window.pwned = 1\">",
    "\"><svg onload=\"window.pwned = 1\">",
    "' onmouseover='window.pwned = 1' x='",
    "<!-- x --><iframe src=\"javascript:parent.pwned = 1\"></iframe>",
    "]]><a href=\"javascript:window.pwned = 1\">x</a>",
    "</pre></details></article></section><form action=\"https://evil.example\"><button>x</button></form>",
    "</title><base href=\"https://evil.example/\">",
    "<meta http-equiv=\"refresh\" content=\"0;url=https://evil.example\">",
    "&lt;script&gt;window.pwned = 1&lt;/script&gt;&#x3c;b&#x3e;",
    "{{ 7 * 7 }} {% raw %} ${window.pwned = 1}",
    "\u{202e}txet desrever\u{200b}\u{1b}[31m\r\n\0\u{feff}",
    "</text></svg><math><mtext><img src=x onerror=window.pwned=1>",
];

/// What is told of examples like these.
const KINDS: [&str; 6] = ["mnist_mpi", "estimator-API", "jax-dist", "dist-mnist/tf_job", "simple-gpu", "T5-Fine"];

/// Enumerations, which no other text is taken for, and names under which attempts keep times.
const FIXED: [&str; 5] = ["outcome", "tier", "class", "severity", "conclusion"];

/// A report in which every field that takes any text holds this one.
pub fn report(evil: &str) -> Report {
    let mut all = sample::kubeflow(false);
    // Everything that can be told of a row is in some of these.
    all.results.retain(|row| {
        KINDS.iter().any(|kind| row.example.as_str().contains(kind)) && row.kubernetes.as_deref() != Some("v1.32.8")
    });
    let mut value = serde_json::to_value(all).unwrap();
    fill(&mut value, evil);
    for (place, row) in value["results"].as_array_mut().unwrap().iter_mut().enumerate() {
        row["example"] = format!("{evil}/{place:03}/{evil}").into();
        row["kubernetes"] = evil.into();
        row["attempts"].as_array_mut().unwrap().iter_mut().for_each(|attempt| {
            attempt["phases"][evil] = 5.into();
        });
        row["checks"].as_array_mut().unwrap().iter_mut().for_each(|check| check["outcome"] = evil.into());
    }
    value["clusters"].as_array_mut().unwrap().iter_mut().for_each(|cluster| cluster["outcome"] = evil.into());
    serde_json::from_value(value).unwrap()
}

fn fill(value: &mut Value, evil: &str) {
    match value {
        Value::String(text) => evil.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, evil)),
        Value::Object(fields) => {
            fields
                .iter_mut()
                .filter(|(key, _)| !FIXED.contains(&key.as_str()))
                .for_each(|(_, value)| fill(value, evil));
        }
        _ => {}
    }
}

/// The page of such a report, in a place that is as hostile.
pub fn page(evil: &str) -> String {
    let about = About {
        server_url: evil.to_owned(),
        repository: evil.to_owned(),
        commit: evil.to_owned(),
        prefix: format!("{evil}/"),
        notices: vec![evil.to_owned()],
        arguments: vec![evil.to_owned()],
        ..About::default()
    };
    render(&report(evil), &Details::default(), &about).unwrap()
}

/// The elements of a page with the names of their attributes, and its text.
#[derive(Default)]
struct Seen {
    tags: RefCell<Vec<String>>,
    text: RefCell<String>,
}

impl TokenSink for Seen {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => {
                let names: Vec<_> = tag.attrs.iter().map(|attribute| attribute.name.local.to_string()).collect();
                self.tags.borrow_mut().push(format!("<{} {}>", tag.name, names.join(" ")));
                match &*tag.name {
                    "script" => return TokenSinkResult::RawData(RawKind::ScriptData),
                    "style" => return TokenSinkResult::RawData(RawKind::Rawtext),
                    "title" if self.tags.borrow().len() < 20 => return TokenSinkResult::RawData(RawKind::Rcdata),
                    _ => {}
                }
            }
            Token::TagToken(tag) => self.tags.borrow_mut().push(format!("</{}>", tag.name)),
            Token::CommentToken(text) => self.tags.borrow_mut().push(format!("<!--{text}-->")),
            Token::CharacterTokens(text) => self.text.borrow_mut().push_str(&text),
            Token::ParseError(error) => self.tags.borrow_mut().push(format!("error: {error}")),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

fn seen(page: &str) -> (Vec<String>, String) {
    let queue = BufferQueue::default();
    queue.push_back(StrTendril::from(page));
    let tokenizer = Tokenizer::new(Seen::default(), TokenizerOpts { exact_errors: true, ..TokenizerOpts::default() });
    while !matches!(tokenizer.feed(&queue), html5ever::TokenizerResult::Done) {}
    tokenizer.end();
    (tokenizer.sink.tags.take(), tokenizer.sink.text.take())
}

/// Asserts that a page with this text has the elements of one with a harmless text, and shows it.
fn is_text(evil: &str) {
    let ((harmless, _), (tags, text)) = (seen(&page("x")), seen(&page(evil)));
    let differs = harmless.iter().zip(&tags).find(|(a, b)| a != b);
    assert_eq!((differs, tags.len()), (None, harmless.len()), "{evil:?}");
    let start: String = evil.chars().take(12).filter(|c| !c.is_control()).collect();
    assert!(start.contains(['\u{202e}', '\0']) || text.contains(&start), "{evil:?}");
}

#[test]
fn known_tricks_are_text() {
    EVIL.into_iter().for_each(is_text);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_text_is_text(parts in proptest::collection::vec(prop_oneof![
        proptest::sample::select(&["<", ">", "\"", "'", "&", "</", "<!--", "-->", "=", "`", "<script", "<svg", "onload=", "&lt;", "&#60;", "]]>"][..]).prop_map(str::to_owned),
        "[ -~]{1,6}",
        any::<char>().prop_map(String::from),
    ], 1..10)) {
        let evil: String = parts.concat();
        let ((harmless, _), (tags, _)) = (seen(&page("x")), seen(&page(&evil)));
        let differs = harmless.iter().zip(&tags).position(|(a, b)| a != b);
        let around = |tags: &[String]| differs.map(|at| tags[at.saturating_sub(8)..(at + 4).min(tags.len())].to_vec());
        prop_assert_eq!((around(&tags), tags.len()), (around(&harmless), harmless.len()));
    }
}
