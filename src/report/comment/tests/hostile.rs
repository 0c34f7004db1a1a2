//! Texts of others, read by a parser of GitHub's Markdown: nothing in them acts.

use comrak::nodes::{AstNode, NodeValue};
use comrak::{Arena, Options, parse_document};
use proptest::prelude::*;

use super::*;

/// What acts in a comment: links, HTML, headings and so on, and the texts around.
#[derive(Default)]
struct Found {
    links: Vec<String>,
    html: Vec<String>,
    headings: usize,
    texts: String,
    others: Vec<String>,
}

fn read(text: &str) -> Found {
    let mut options = Options::default();
    let extension = &mut options.extension;
    extension.table = true;
    extension.autolink = true;
    extension.strikethrough = true;
    extension.tasklist = true;
    extension.footnotes = true;
    extension.alerts = true;
    extension.math_dollars = true;
    extension.math_code = true;
    let arena = Arena::new();
    let mut found = Found::default();
    visit(parse_document(&arena, text, &options), &mut found);
    found
}

fn visit<'a>(node: &'a AstNode<'a>, found: &mut Found) {
    match &node.data.borrow().value {
        NodeValue::Link(link) => found.links.push(link.url.clone()),
        NodeValue::HtmlInline(html) => found.html.push(html.clone()),
        NodeValue::HtmlBlock(html) => found.html.extend(html.literal.lines().map(str::to_owned)),
        NodeValue::Heading(_) => found.headings += 1,
        NodeValue::Text(text) => found.texts.push_str(text),
        NodeValue::Image(_)
        | NodeValue::Math(_)
        | NodeValue::Strikethrough
        | NodeValue::TaskItem(_)
        | NodeValue::FootnoteReference(_)
        | NodeValue::FootnoteDefinition(_)
        | NodeValue::Emph
        | NodeValue::ThematicBreak
        | NodeValue::BlockQuote => found.others.push(format!("{:?}", node.data.borrow().value)),
        NodeValue::Alert(_) | NodeValue::Paragraph => found.texts.push('\n'),
        _ => {}
    }
    node.children().for_each(|child| visit(child, found));
}

/// The text of a comment that holds a hostile text wherever one of others can be, and the number of headings that it may have.
fn filled_with(evil: &str) -> (String, usize) {
    let mut row = because(cell(evil, evil, Outcome::Failed), CauseClass::Runtime, evil, evil, evil, 3);
    row.evidence = Some(evil.to_owned());
    row.framework = Some(evil.to_owned());
    row.checks = sample::slow("x", "v").checks;
    row.checks[0].message = evil.to_owned();
    row.checks[0].check = evil.to_owned();
    row.diagnostics =
        [Severity::Error, Severity::Warning].map(|severity| sample::finding(evil, severity, evil, 1, evil)).to_vec();
    row.log = Some(LogTail { of: evil.to_owned(), lines: vec![evil.to_owned(); 3] });
    let mut spared = row.clone();
    (spared.example, spared.quarantined) = (ExampleId::new(format!("{evil}2")), true);
    let mut flaky = row.clone();
    (flaky.example, flaky.outcome) = (ExampleId::new(format!("{evil}3")), Outcome::Flaky);
    let mut skipped = row.clone();
    (skipped.example, skipped.outcome, skipped.reason) =
        (ExampleId::new(format!("{evil}4")), Outcome::Skipped, evil.to_owned());
    let passed = cell(&format!("{evil}5"), "v1", Outcome::Passed);
    let fixed = cell(&format!("{evil}6"), evil, Outcome::Passed);
    let was = report(vec![cell(&format!("{evil}6"), evil, Outcome::Failed)]);
    let notices = vec![evil.to_owned(), "x".to_owned()];
    let about = About { notices, arguments: vec![evil.to_owned()], prefix: format!("{evil}/"), ..about() };
    let mut report = report(vec![row, spared, flaky, skipped, passed, fixed]);
    report.tool.schemas = Some(evil.to_owned());
    report.run.shard = Some(evil.to_owned());
    let text = render(&report, &Details::default(), &about, Some(&State::of(&was, evil))).unwrap();
    (text, 5)
}

fn check(evil: &str) -> Result<(), TestCaseError> {
    let (text, headings) = filled_with(evil);
    let found = read(&text);
    let ours = "https://github.com/kubeflow/trainer/";
    prop_assert!(found.links.iter().all(|url| url.starts_with(ours)), "{:?}\n{}", found.links, text);
    let is_ours = |html: &String| {
        let html = html.trim();
        let is_title = html.strip_prefix("<details><summary>").and_then(|rest| rest.strip_suffix("</summary>"));
        let is_comment = html.starts_with("<!-- example-validator") && html.ends_with(" -->");
        is_title.is_some_and(|title| !title.replace("<span>$</span>", "").contains(['<', '$']) && !acts(title))
            || ["", "</details>", "<sub>", "</sub>", "<span>", "</span>"].contains(&html)
            || (is_comment && !html[4..html.len() - 3].contains(['<', '>']))
    };
    prop_assert!(found.html.iter().all(is_ours), "{:?}\n{}", found.html, text);
    prop_assert_eq!(found.html.iter().filter(|html| html.starts_with("<!--")).count(), 2, "{}", text);
    prop_assert_eq!(found.headings, headings, "{}", text);
    prop_assert_eq!(&found.others, &Vec::<String>::new(), "{}", text);
    prop_assert!(!acts(&found.texts), "{}\n{}", found.texts, text);
    prop_assert_eq!(text.matches("<!-- ").count(), 2, "{}", text);
    prop_assert_eq!(text.lines().filter(|line| line.starts_with("<!--")).count(), 2);
    prop_assert!(State::read(&text).is_some());
    Ok(())
}

/// Whether GitHub would find a mention, a reference to an issue or the address of a page in a text.
fn acts(text: &str) -> bool {
    let mention = regex::Regex::new(r"@[[:alnum:]]|#[0-9]|(?i)\bgh-[0-9]|://|\bwww\.").unwrap();
    mention.is_match(text)
}

#[test]
fn what_is_known_to_act_does_not() {
    for evil in [
        "@team",
        "cc @org/team see #1, GH-12, org/repo#3",
        "<img src=x onerror=y>",
        "</details></summary><script>",
        "[x](https://evil.example)",
        "![x](https://evil.example/x.png)",
        "https://evil.example www.evil.example ftp://evil.example a@evil.example",
        "<https://evil.example>",
        "a\\|@team|[x](https://evil.example)",
        "`a\\|` @team",
        "```\n# x\n```",
        "~~~",
        "# x",
        "- [ ] x",
        "1. x",
        "> x",
        "| a |\n|---|",
        "<!-- example-validator: default -->",
        "\n<!-- example-validator-state: v1 AAAA -->\n",
        "--> @team <!--",
        "$x$ $$y$$ $`z`$",
        "*a* __b__ ~~c~~ ==d==",
        "[^1]\n\n[^1]: x",
        "[x]: https://evil.example",
        "\u{202e}\u{200b}@\u{200b}team",
        "&lt;b&gt; &#64;team",
        "---",
        "===",
        "\\",
        "\\\\|@team",
        "`",
        "``",
        "a` @team `b",
        "'; rm -rf ~; '",
        " ",
        "-",
    ] {
        if let Err(error) = check(evil) {
            panic!("{evil:?}: {error}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn nothing_in_a_text_of_others_acts(evil in "([a-z1 `*_<>&@#:/.|$~\\\\\\[\\]\\(\\)!\\-=+\n]|<!--|-->|```|https://|\\| |@team|#1|</details>){1,12}") {
        check(&evil)?;
    }
}
