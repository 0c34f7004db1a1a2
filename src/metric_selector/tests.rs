use proptest::prelude::*;

use super::*;

fn met(selector: &str, name: &str, labels: &[(&str, &str)]) -> bool {
    let labels: Vec<_> = labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
    Selector::parse(selector).unwrap().is_met(name, &labels)
}

#[test]
fn a_selector_means_the_series_with_its_name_and_labels() {
    let series = [("framework", "pytorch"), ("job_namespace", "ev-1")];
    for selector in [
        "jobs_total",
        " jobs_total { } ",
        "jobs_total{framework=\"pytorch\",}",
        "jobs_total{framework='pytorch', job_namespace=`ev-1`}",
        "jobs_total{framework!=\"tf\"}",
        "jobs_total{framework=~\"py.*|tf\"}",
        "jobs_total{framework!~\"torch\"}",
        "jobs_total{result=\"\"}",
        "{__name__=\"jobs_total\"}",
        "{\"jobs_total\",\"framework\"=\"pytorch\"}",
    ] {
        assert!(met(selector, "jobs_total", &series), "{selector}");
        assert!(!met(selector, "jobs", &series), "{selector}");
    }
    for selector in [
        "jobs_total{framework=\"tf\"}",
        "jobs_total{framework!=\"pytorch\"}",
        "jobs_total{framework=~\"torch\"}",
        "jobs_total{framework!~\"py.+\"}",
        "jobs_total{result=\"x\"}",
        "jobs_total{result!=\"\"}",
    ] {
        assert!(!met(selector, "jobs_total", &series), "{selector}");
    }
}

#[test]
fn values_may_hold_what_is_escaped() {
    assert!(met(r#"a{l="x\"y\\z\nn"}"#, "a", &[("l", "x\"y\\z\nn")]));
    assert!(met("{\"my.metric é\"}", "my.metric é", &[]));
    assert!(met("a{l=~\"(?i)X.y\"}", "a", &[("l", "x\nY")]), "a dot means line ends too, as in Prometheus");
}

#[test]
fn promql_is_no_selector_and_that_is_told_with_its_place() {
    for (text, why) in [
        ("sum(up)", "expected the end at byte 3, found `(up)`"),
        ("up[5m]", "expected the end at byte 2, found `[5m]`"),
        ("up == 1", "expected the end at byte 3, found `== 1`"),
        ("", "names no metric"),
        ("{a=\"b\"}", "names no metric"),
        ("{__name__=~\"a.*\"}", "names no metric"),
        ("a{__name__=\"b\"}", "expected exactly one metric's name"),
        ("a{b}", "expected one of =, !=, =~, !~ at byte 3, found `}`"),
        ("a{b=c}", "expected a quoted value at byte 4, found `c}`"),
        ("a{b=\"c\" d=\"e\"}", "expected `,` or `}` at byte 8, found `d=\"e\"}`"),
        ("a{b=\"c", "the quoted text at byte 4 has no end"),
        ("a{b=\"\\x\"}", "an escape that is none at byte 5: expected \\\\, \\\" or \\n"),
        ("a{b=~\"(\"}", "`(` is not a regular expression"),
        ("a{", "expected a label, found the end"),
    ] {
        assert_eq!(Selector::parse(text).unwrap_err(), why, "{text}");
    }
}

#[test]
fn the_namespace_is_filled_in_wherever_it_is_named() {
    assert_eq!(filled("a{n=\"{namespace}\"} / b{n=~\"{namespace}\"}", "ev-1"), "a{n=\"ev-1\"} / b{n=~\"ev-1\"}");
    assert_eq!(filled("a{n=\"{namespace}\"}", "\"}"), "a{n=\"\\\"}\"}");
}

#[test]
fn a_query_is_about_the_namespace_that_it_asks_for_and_not_about_one_that_it_leaves_out() {
    for query in
        ["a{n=\"{namespace}\"}", "a{n!=\"x\",m=~`{namespace}`}", "sum(a{n!='{namespace}'}) / sum(a{n = '{namespace}'})"]
    {
        assert!(names_namespace(query), "{query}");
    }
    for query in ["a", "a{n!=\"{namespace}\"}", "sum(a{n !~ 'x|{namespace}'})"] {
        assert!(!names_namespace(query), "{query}");
    }
}

#[test]
fn what_is_met_elsewhere_differs_in_the_namespace_alone() {
    let selector = Selector::of_namespace("a{n=~\"{namespace}|x\",r=\"ok\"}", "ev-1").unwrap();
    let labels = |n: &str, r: &str| [("n", n), ("r", r)].map(|(label, value)| (label.to_owned(), value.to_owned()));
    assert!(selector.is_met("a", &labels("ev-1", "ok")) && !selector.is_met("a", &labels("ev-2", "ok")));
    assert!(selector.is_met_elsewhere("a", &labels("ev-2", "ok")));
    assert!(
        !selector.is_met_elsewhere("a", &labels("ev-2", "bad")) && !selector.is_met_elsewhere("b", &labels("x", "ok"))
    );
}

proptest! {
    #[test]
    fn any_text_is_a_selector_or_not(text in "(?s).{0,60}", like in "[a-z]{1,3}[{=!~\"\\\\,}\\[( a-z]{0,30}") {
        let _ = (Selector::parse(&text), Selector::parse(&like));
    }

    #[test]
    fn any_value_is_found_by_its_quoted_form(value in "(?s).{0,20}") {
        let quoted = filled("a{l=\"{namespace}\"}", &value);
        prop_assert!(met(&quoted, "a", &[("l", &value)]), "{quoted}");
    }
}
