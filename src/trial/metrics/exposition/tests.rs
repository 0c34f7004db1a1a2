use proptest::prelude::*;

use super::*;

fn sample(name: &str, labels: &[(&str, &str)], value: f64) -> Sample {
    let labels = labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
    Sample { name: name.to_owned(), labels, value }
}

#[test]
fn the_text_format_is_read() {
    let text = "# HELP http_requests_total The total, with \\n and \\\\ and {braces} 1\n\
        # TYPE http_requests_total counter\n\
        http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\r\n\
        http_requests_total{method=\"post\",code=\"400\",}    3 -1395066363000\n\
        \n\
        # a comment = 1\n\
        #TYPE a\n\
        msdos_file{path=\"C:\\\\DIR\\\\F.TXT\",error=\"Cannot find:\\n\\\"F\\\"\"} 1.458255915e9\n\
        bare 12.47\n\
        \tspaced { a = \"b\" , c=\"d\" }\t0x\n\
        up_inf{le=\"+Inf\"} +Inf\n\
        down -Inf\n\
        rpc{quantile=\"0.5\"} NaN";
    let read = parse(text.as_bytes());
    assert_eq!(
        read.samples[..4],
        [
            sample("http_requests_total", &[("method", "post"), ("code", "200")], 1027.0),
            sample("http_requests_total", &[("method", "post"), ("code", "400")], 3.0),
            sample("msdos_file", &[("path", "C:\\DIR\\F.TXT"), ("error", "Cannot find:\n\"F\"")], 1.458_255_915e9),
            sample("bare", &[], 12.47),
        ]
    );
    assert_eq!(
        read.samples[4..6],
        [sample("up_inf", &[("le", "+Inf")], f64::INFINITY), sample("down", &[], f64::NEG_INFINITY)]
    );
    assert!(read.samples[6].value.is_nan());
    assert_eq!(read.types["http_requests_total"], "counter");
    assert_eq!((read.bad_lines, read.bad[0].0), (1, 10));
    assert_eq!(read.trouble().unwrap(), "line 10 is no sample: expected a number as the value");
}

#[test]
fn open_metrics_is_read_up_to_its_end() {
    let text = "# TYPE foo histogram\n# UNIT foo_seconds seconds\n# HELP foo x\n\
        foo_bucket{le=\"0.01\"} 0\n\
        foo_bucket{le=\"0.1\"} 8 # {} 0.054\n\
        foo_bucket{le=\"1\"} 11 1520879607.789 # {trace_id=\"KOO5S4vxi0o\"} 0.67 1520879607.789\n\
        foo_created  1520430000.123\n\
        {\"my.metric\",\"my.label\"=\"é\"} 1e3\n\
        # TYPE \"my.metric\" gauge\n\
        # EOF\n\
        after 1\n";
    let read = parse(text.as_bytes());
    let names: Vec<_> = read.samples.iter().map(|sample| (sample.name.as_str(), sample.value)).collect();
    assert_eq!(
        names,
        [
            ("foo_bucket", 0.0),
            ("foo_bucket", 8.0),
            ("foo_bucket", 11.0),
            ("foo_created", 1_520_430_000.123),
            ("my.metric", 1000.0)
        ]
    );
    assert_eq!(read.samples[4].labels, [("my.label".to_owned(), "é".to_owned())]);
    assert!(read.may_fall("my.metric") && !read.may_fall("foo"));
    assert_eq!(read.bad_lines, 0);
}

#[test]
fn a_bad_line_is_counted_and_the_others_hold() {
    for (line, why) in [
        ("<html>", "expected a metric's name"),
        ("a", "expected a number as the value"),
        ("a 1 2 3", "expected an exemplar or the end after the timestamp"),
        ("a 1 x", "expected a timestamp or the end after the value"),
        ("a{b} 1", "expected `=` after a label's name"),
        ("a{b=1} 1", "expected a label's value in quotes"),
        ("a{=\"x\"} 1", "expected a label's name"),
        ("a{b=\"c\",b=\"d\"} 1", "it has a label twice"),
        ("a{b=\"c\" d=\"e\"} 1", "expected `,` or `}` after a label"),
        ("a{b=\"c} 1", "a quoted text has no end"),
        ("a{b=\"c\\", "a quoted text has no end"),
        ("a{,} 1", "expected `=` after a label's name"),
        ("{} 1", "expected a metric's name"),
        ("a{\"b\"} 1", "expected `=` after a label's name"),
        ("a 1e999x", "expected a number as the value"),
        ("a infinite", "expected a number as the value"),
        ("a {\"value\": 1}", "expected `=` after a label's name"),
    ] {
        let read = parse(format!("good 1\n{line}\ngood 2\n").as_bytes());
        assert_eq!(read.bad, [(2, why.to_owned())], "{line}");
        assert_eq!(read.samples, [sample("good", &[], 1.0), sample("good", &[], 2.0)], "{line}");
    }
    let read = parse(b"\xff\xfe 1\na 1\n");
    assert_eq!((read.bad[0].1.as_str(), read.samples.len()), ("it is not UTF-8", 1));
}

#[test]
fn what_is_too_long_is_left_out() {
    let long = format!("a{{l=\"{}\"}} 1\nb 1\n", "x".repeat(MAX_LINE));
    let read = parse(long.as_bytes());
    assert_eq!((read.samples.len(), read.bad_lines), (1, 1));
    let labels: Vec<_> = (0..=MAX_LABELS).map(|index| format!("l{index}=\"\"")).collect();
    assert_eq!(parse(format!("a{{{}}} 1", labels.join(",")).as_bytes()).bad_lines, 1);
    let many = "?\n".repeat(1_000);
    let read = parse(many.as_bytes());
    assert_eq!((read.bad_lines, read.bad.len()), (1_000, REMEMBERED));
    assert!(read.trouble().unwrap().ends_with("(and 999 more)"));
}

#[test]
fn only_what_is_asked_for_is_kept_and_every_name_is_known() {
    let text = "# TYPE a gauge\n# TYPE b gauge\na 1\nb 2\na{l=\"x\"} 3\nb x\n";
    let read = parse_only(text.as_bytes(), &BTreeSet::from(["a"]));
    assert_eq!(read.samples, [sample("a", &[], 1.0), sample("a", &[("l", "x")], 3.0)]);
    assert_eq!(read.names, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    assert_eq!((read.types.len(), read.may_fall("a"), read.bad_lines), (1, true, 1));
    assert_eq!(read.doubt("a"), None, "the line is of another metric");
}

#[test]
fn what_is_no_counter_by_its_type_may_fall() {
    let text = "# TYPE g gauge\n# TYPE s summary\n# TYPE h histogram\n# TYPE c counter\n# TYPE on stateset\n# TYPE build info\n# TYPE u untyped\n";
    for (name, may_fall) in [
        ("g", true),
        ("s", true),
        ("s_count", false),
        ("s_sum", false),
        ("h_bucket", false),
        ("h_count", false),
        ("c", false),
        ("on", true),
        ("build_info", true),
        ("g_info", false),
        ("u", false),
        ("unknown", false),
    ] {
        assert_eq!(parse_only(text.as_bytes(), &BTreeSet::from([name])).may_fall(name), may_fall, "{name}");
    }
}

#[test]
fn a_bad_line_casts_doubt_on_its_own_metric_or_on_all() {
    let doubt = |line: &str, name: &str| parse(format!("good 1\n{line}\n").as_bytes()).doubt(name);
    for line in ["a{b=\"c} 1", "a x", "a", "{\"a\",l=\"v\"} x", " a{l=1} 2"] {
        assert!(doubt(line, "a").is_some_and(|doubt| doubt.starts_with("line 2 is no sample: ")), "{line}");
        assert_eq!(doubt(line, "good"), None, "{line}");
    }
    for line in ["<html>", "{l=\"v\"} 1", "{\"a", "a-b 1"] {
        assert!(doubt(line, "a").is_some() && doubt(line, "good").is_some(), "{line}");
    }
    let read = parse(b"a\xff 1\na{l=\"\xff\"} 1\n");
    assert_eq!(read.doubt("a").unwrap(), "line 1 is no sample: it is not UTF-8");
}

/// The real thing, where it is at hand: what Kubeflow's operator served.
#[test]
fn a_recorded_operator_is_read_without_a_bad_line() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recordings");
    if !folder.is_dir() {
        eprintln!("skipped: no ../shared/recordings");
        return;
    }
    for (file, created) in [("operator-metrics-before.txt", 18.0), ("operator-metrics-after.txt", 19.0)] {
        let read = parse(&std::fs::read(folder.join(file)).unwrap());
        assert_eq!((read.bad_lines, read.trouble()), (0, None));
        let jobs = read.samples.iter().filter(|sample| sample.name == "training_operator_jobs_created_total");
        assert_eq!(Some(jobs.map(|sample| sample.value).sum::<f64>()), Some(created), "{file}");
        assert!(read.samples.len() > 50, "{}", read.samples.len());
    }
}

fn a_name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z_:][a-zA-Z0-9_:]{0,12}", "[^\\x00]{1,12}"]
}

fn a_label() -> impl Strategy<Value = (String, String)> {
    (prop_oneof!["[a-zA-Z_][a-zA-Z0-9_]{0,8}", "[^\\x00]{1,8}"], "(?s).{0,12}")
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        samples in proptest::collection::vec(
            (a_name(), proptest::collection::btree_map(a_label().prop_map(|(label, _)| label), a_label().prop_map(|(_, value)| value), 0..4), any::<f64>()),
            0..8,
        ),
    ) {
        let samples: Vec<_> = samples.into_iter().map(|(name, labels, value)| Sample { name, labels: labels.into_iter().collect(), value }).collect();
        let text: String = samples.iter().map(|sample| format!("{sample}\n")).collect();
        let read = parse(text.as_bytes());
        prop_assert_eq!(read.bad_lines, 0, "{:?}", read.bad);
        prop_assert_eq!(read.samples.len(), samples.len());
        for (found, expected) in read.samples.iter().zip(&samples) {
            prop_assert_eq!((&found.name, &found.labels), (&expected.name, &expected.labels));
            let is_nan = found.value.is_nan() && expected.value.is_nan();
            prop_assert!(Some(found.value) == Some(expected.value) || is_nan);
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&body);
    }

    #[test]
    fn what_looks_like_samples_is_read_without_a_panic(body in "([a-z#]{0,3}[ {}=\",\\\\\n+0-9eNa.]{0,8}){0,20}") {
        let read = parse(body.as_bytes());
        prop_assert!(read.samples.len() + read.bad_lines <= body.split('\n').count());
    }
}
