//! What the reader promises, on literal texts and on random ones.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn values(text: &str) -> Vec<serde_json::Value> {
    let parsed = parse(text);
    assert_eq!(parsed.errors, [], "{text}");
    parsed.documents.iter().map(|document| document.root.to_json()).collect()
}

fn errors(text: &str) -> Vec<(YamlErrorKind, String)> {
    parse(text).errors.into_iter().map(|error| (error.kind, error.message)).collect()
}

#[test]
fn scalars_resolve_as_kubernetes_resolves_them() {
    for (text, expected) in [
        ("0644", json!(420)),
        ("0o17", json!(15)),
        ("0x1F", json!(31)),
        ("0b11", json!(3)),
        ("1_000", json!(1000)),
        ("-12", json!(-12)),
        ("08", json!(8)),
        ("1.0", json!(1)),
        ("1e3", json!(1000)),
        ("0.5", json!(0.5)),
        (".5", json!(0.5)),
        ("yes", json!(true)),
        ("Off", json!(false)),
        ("y", json!(true)),
        ("~", json!(null)),
        ("'yes'", json!("yes")),
        ("1Gi", json!("1Gi")),
        ("1.2.3", json!("1.2.3")),
        ("2001-01-01", json!("2001-01-01")),
        ("!!str 12", json!("12")),
        ("18446744073709551616", json!(18_446_744_073_709_551_616.0)),
    ] {
        assert_eq!(values(&format!("a: {text}"))[0]["a"], expected, "{text}");
    }
}

#[test]
fn empty_and_comment_only_documents_are_left_out() {
    assert_eq!(values("---\n# nothing\n---\na: 1\n---\n---\nb: 2\n"), [json!({"a": 1}), json!({"b": 2})]);
    assert!(values("").is_empty());
    assert!(values("# only a comment\n").is_empty());
}

#[test]
fn json_is_read_as_it_is() {
    assert_eq!(values(r#"{"a": [1, "x", null, true]}"#), [json!({"a": [1, "x", null, true]})]);
}

#[test]
fn merge_keys_add_what_the_mapping_does_not_set() {
    let text = "base: &b {p: 1, q: 2}\none: {<<: *b, q: 3}\ntwo:\n  <<: [*b, {r: 4, p: 9}]\n";
    assert_eq!(values(text)[0]["one"], json!({"q": 3, "p": 1}));
    assert_eq!(values(text)[0]["two"], json!({"p": 1, "q": 2, "r": 4}));
}

#[test]
fn a_duplicate_key_is_an_error_at_its_second_place() {
    let text = "a: 1\nb: 2\na: 3\n";
    let parsed = parse(text);
    assert_eq!(parsed.errors[0].kind, YamlErrorKind::DuplicateKey);
    assert_eq!(parsed.errors[0].span, Span::new(10, 11));
    assert!(parsed.errors[0].message.contains("line 1"));
    assert_eq!(parsed.documents.len(), 1);
}

#[test]
fn a_broken_document_does_not_take_its_neighbours_along() {
    let parsed = parse("a: 1\n---\nb: [1\n---\nc: 3\n");
    assert_eq!(parsed.errors.len(), 1);
    let kept: Vec<_> = parsed.documents.iter().map(|document| document.root.to_json()).collect();
    assert_eq!(kept, [json!({"a": 1}), json!({"c": 3})]);
}

#[test]
fn a_billion_laughs_meet_a_limit() {
    use std::fmt::Write as _;
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(text, "a{level}: &a{level} [{items}]").unwrap();
    }
    assert_eq!(errors(&text)[0].0, YamlErrorKind::Limit);
}

#[test]
fn deep_nesting_meets_a_limit_in_flow_and_in_block_style() {
    assert_eq!(errors(&format!("{}{}", "[".repeat(200), "]".repeat(200)))[0].0, YamlErrorKind::Limit);
    let block: String = (0..200).map(|depth| format!("{}k:\n", " ".repeat(depth))).collect();
    assert_eq!(errors(&block)[0].0, YamlErrorKind::Limit);
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let text = "# x\n".repeat(MAX_BYTES / 4 + 1);
    assert_eq!(errors(&text)[0].0, YamlErrorKind::Limit);
}

#[test]
fn every_node_knows_its_place() {
    let text = "spec:\n  containers:\n  - name: main\n    image: 'a:b'\n";
    let parsed = parse(text);
    let root = &parsed.documents[0].root;
    let image = &root.at(&["spec", "containers"]).unwrap().as_seq().unwrap()[0].entry("image").unwrap();
    assert_eq!(&text[image.key_span.range()], "image");
    assert_eq!(&text[image.value.span.range()], "'a:b'");
    assert_eq!(root.path_to(&image.value), "spec.containers[0].image");
}

#[test]
fn an_unknown_alias_is_a_syntax_error() {
    assert_eq!(errors("a: *nope\n")[0].0, YamlErrorKind::Syntax);
}

/// Any JSON value that YAML can write as JSON: numbers that both sides read alike, keys without the merge key.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        "[ -~é]{0,12}".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[a-zA-Z0-9./_-]{1,8}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Spans lie inside the text, on character boundaries; aliases and merges may point elsewhere, so parents don't bound them.
fn assert_spans(node: &Node, text: &str) {
    assert!(text.get(node.span.range()).is_some(), "{:?} in {text:?}", node.span);
    for item in node.items() {
        assert_spans(item, text);
    }
    for entry in node.entries() {
        assert!(text.get(entry.key_span.range()).is_some(), "{:?} in {text:?}", entry.key_span);
        assert_spans(&entry.value, text);
    }
}

proptest! {
    #[test]
    fn json_survives_the_reader(value in any_json().prop_filter("null documents are left out", |value| !value.is_null())) {
        let parsed = parse(&value.to_string());
        prop_assert_eq!(&parsed.errors, &[]);
        prop_assert_eq!(parsed.documents[0].root.to_json(), value);
    }

    #[test]
    fn no_text_makes_it_panic_and_every_span_is_inside(text in "[a-z0-9:{}\\[\\],&*<>|'\"#!%@?~ \t\ré\n-]{0,80}") {
        for document in parse(&text).documents {
            assert_spans(&document.root, &text);
        }
    }
}
