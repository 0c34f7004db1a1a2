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

#[test]
fn a_merge_wins_over_keys_before_it_and_loses_to_those_after_it() {
    for (mapping, expected) in [
        ("{a: 3, <<: *d}", json!({"a": 1, "b": 2})),
        ("{<<: *d, a: 3}", json!({"a": 3, "b": 2})),
        ("{<<: *d, <<: *e}", json!({"a": 5, "b": 2, "c": 6})),
        ("{<<: [*d, *e]}", json!({"a": 1, "b": 2, "c": 6})),
        ("{!!merge <<: *d}", json!({"a": 1, "b": 2})),
        ("{'<<': {a: 1}}", json!({"<<": {"a": 1}})),
    ] {
        let text = format!("d: &d {{a: 1, b: 2}}\ne: &e {{a: 5, c: 6}}\nx: {mapping}\n");
        assert_eq!(values(&text)[0]["x"], expected, "{mapping}");
    }
}

#[test]
fn tags_decide_as_they_do_for_kubernetes() {
    for (text, expected) in [
        ("!!binary aGVsbG8=", json!("hello")),
        ("!!binary |\n  aGVs\n  bG8=\n", json!("hello")),
        ("!!int '5'", json!(5)),
        ("!!float 5", json!(5)),
        ("!!bool 'yes'", json!(true)),
        ("!own 5", json!("5")),
        ("! 5", json!("5")),
        ("!own {b: 1}", json!({"b": 1})),
        ("1e1000", json!("1e1000")),
    ] {
        assert_eq!(values(&format!("a: {text}"))[0]["a"], expected, "{text}");
    }
}

#[test]
fn what_kubectl_refuses_is_refused_and_read_on() {
    for (text, documents, told) in [
        ("a: .inf\n", 1, "a number that JSON does not have"),
        ("a: [1, .nan]\n", 1, "a number that JSON does not have"),
        ("a: !!int abc\n", 1, "no value for the tag `!!int`"),
        ("a: !!int 1.5\n", 1, "no value for the tag `!!int`"),
        ("a: !!null x\n", 1, "no value for the tag `!!null`"),
        ("a: !!binary '@@'\n", 1, "takes base64"),
        ("a: !!binary aGVsbG8\n", 1, "takes base64"),
        ("%YAML 1.1\n---\na: 1\n", 1, "does not read directives"),
        ("# c\n%TAG !e! x\n---\na: 1\n", 1, "does not read directives"),
        ("a: 1\n...\nb: 2\n", 1, "what follows `...`"),
    ] {
        let parsed = parse(text);
        let kinds: Vec<_> = parsed.errors.iter().map(|error| error.kind).collect();
        assert_eq!((kinds, parsed.documents.len()), (vec![YamlErrorKind::Refused], documents), "{text}");
        assert!(parsed.errors[0].message.contains(told), "{text}: {}", parsed.errors[0].message);
    }
    assert_eq!(errors("a: 1\n--- {b: 2}\n")[0].1, "kubectl takes only a comment after `---` in the same line");
    assert_eq!(values("a: 1\n...\n---\nb: 2\n").len(), 2);
}

#[test]
fn documents_may_begin_with_a_byte_order_mark_and_json_values_may_follow_each_other() {
    assert_eq!(values("\u{feff}a: 1\n---\n\u{feff}b: 2\n"), [json!({"a": 1}), json!({"b": 2})]);
    let text = "{\"a\": 1}\n{\"b\":\n 2}{\"c\": 3}\n";
    let parsed = parse(text);
    assert_eq!(parsed.documents.len(), 3);
    assert_eq!(&text[parsed.documents[2].root.get("c").unwrap().span.range()], "3");
}

#[test]
fn aliases_of_several_documents_share_one_limit_and_do_not_cross() {
    use std::fmt::Write as _;
    let mut text = String::new();
    for _ in 0..12 {
        writeln!(text, "a: &a [{}]\nb: &b [{}]\nc: [{}]\n---", "x, ".repeat(99), "*a, ".repeat(99), "*b, ".repeat(9))
            .unwrap();
    }
    assert_eq!(errors(&text).last().unwrap().0, YamlErrorKind::Limit);
    assert_eq!(errors("a: &a 1\n---\nb: *a\n")[0].0, YamlErrorKind::Syntax);
}

#[test]
fn tabs_are_refused_where_spaces_are_meant() {
    for text in [
        "a: 1\n\t\nb: 2\n",
        "a: 1\n\t# c\nb: 2\n",
        "a:\n  \t\n  b: 1\n",
        "a: 'x'\n  \t\nb: 1\n",
        "a:\n  b: 1\n  \t# c\n",
        "a: |\n  x\n\t\n",
        "- \ta\n",
        "a:\n- b\n-\tc\n",
        "- -\ta\n",
    ] {
        let found = errors(text);
        let told = ["found a tab where only spaces", "tab"].iter().any(|told| found[0].1.contains(told));
        assert!(found.len() == 1 && told, "{text:?}: {found:?}");
    }
}

#[test]
fn a_tab_that_the_parser_refuses_is_pointed_at() {
    for (text, place) in [("version: 1\n\ttier: 1\n", 11), ("a:\n\tb: 1\n", 3)] {
        let parsed = parse(text);
        assert_eq!(parsed.errors[0].span.start, place, "{text:?}: {:?}", parsed.errors);
    }
}

#[test]
fn tabs_are_fine_where_they_indent_nothing() {
    for text in [
        "a:\t1\nb: 2\t\nc: 3\t# c\n",
        "{\n\t\"a\": [\n\t\t1,\n\t\t2\n\t]\n}\n",
        "a: 'x\n\ty'\nb: \"x\n\ty\"\n",
        "a: |\n  x\n  \ty\n  \t\nb: 1\n",
        "a:\n- b\n \t\n- c\n",
        "a: x\n  \ty\n",
        "a:\n  - |\n    -\tx\n",
    ] {
        assert_eq!(errors(text), [], "{text:?}");
    }
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
