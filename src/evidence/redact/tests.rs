//! What is hidden, what is not, and that chunks make no difference.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn streamed(redactor: &Redactor, chunks: &[&[u8]]) -> Vec<u8> {
    let (mut stream, mut out) = (redactor.stream(), Vec::new());
    for chunk in chunks {
        stream.push(chunk, &mut out);
    }
    stream.finish(&mut out);
    out
}

#[track_caller]
fn hides(text: &str, secret: &str) {
    let redacted = Redactor::new().text(text).into_owned();
    assert!(!redacted.contains(secret) && redacted.contains(MASK), "{text} became {redacted}");
}

#[test]
fn what_looks_like_a_secret_is_hidden() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
    for (text, secret) in [
        ("> Authorization: Bearer abc", "abc"),
        ("authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        (r#"{"Authorization":"Bearer s3cr3t","x":1}"#, "s3cr3t"),
        (r#"{\"Authorization\": \"token s3cr3t\"}"#, "s3cr3t"),
        ("map[Authorization:[Bearer s3cr3t] Accept:[*/*]]", "s3cr3t"),
        ("using bearer abcdefgh12345678", "abcdefgh12345678"),
        (jwt, jwt),
        ("x=ghp_abcdefghijklmnopqrstuvwxyz0123456789.", "ghp_abc"),
        ("github_pat_11ABCDEFG0abcdefghijkl_mnop", "11ABCDEFG0"),
        ("ghs_16C7e42F292c6912E7710c838347Ae178B4a", "16C7e42F"),
        ("key AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7EXAMPLE"),
        ("xoxb-1234567890-abcdefghij", "1234567890"),
        ("clone https://user:hunter2@example.org/x", "hunter2"),
        ("clone https://0123456789abcdef0123@example.org/x", "0123456789abcdef0123"),
        ("password=hunter2", "hunter2"),
        ("DB_PASSWORD: hunter2", "hunter2"),
        (r#""password": "hunter 2 \" x", "user": "me""#, "hunter 2"),
        (r#"{\"password\":\"hunter2\"}"#, "hunter2"),
        ("api_key='abc def'", "abc def"),
        ("?api-key=hunter2&x=1", "hunter2"),
        ("client_secret=hunter", "hunter"),
        ("token: 8f14e45fceea167a", "8f14e45fceea167a"),
        ("token=abc", "abc"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", "wJalrXUtnFEMI"),
        ("curl --token 8f14e45f", "8f14e45f"),
        ("Set-Cookie: session=hunter2; Path=/", "hunter2"),
        ("HF hf_abcdefghijklmnopqrstuvwxyz", "hf_abc"),
    ] {
        hides(text, secret);
    }
}

#[test]
fn what_does_not_is_left_alone() {
    for text in [
        "Epoch 1/10 loss=0.25 tokens: 1234 accuracy=0.97",
        "tokenizer.json loaded, max_tokens=512",
        "Error: invalid token: signature is invalid",
        "secret \"regcred\" not found",
        "couldn't find key user in Secret default/db",
        "pulling https://registry.example:5000/a/b@sha256:0123",
        "see https://example.org/path?x=1",
        "automountServiceAccountToken: true",
        "secretName: db",
        "repository does not exist or may require authorization: authorization failed: no basic auth credentials",
        "may require authorization: server message: insufficient_scope: authorization failed",
        "password: null",
        "\"serviceAccountToken\": {\"path\": \"x\"}",
        "the bearer of this",
        "disk-full on task-1234",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    ] {
        assert_eq!(Redactor::new().text(text), text);
    }
}

#[test]
fn the_words_of_the_rules_are_lower_case_and_every_expression_compiles() {
    assert!(patterns::trigger(b"PASSWORD=").is_some() && patterns::trigger(b"tokens").is_none());
    for name in ["DB_PASSWORD", "apiKey", "HF_TOKEN", "client_secret", "Authorization", "AWS_ACCESS_KEY_ID"] {
        assert!(patterns::is_sensitive(name), "{name}");
    }
    for name in ["secretName", "TOKENIZERS_PARALLELISM", "PWD", "key", "tokenExpirationSeconds"] {
        assert!(!patterns::is_sensitive(name), "{name}");
    }
}

#[test]
fn a_private_key_is_hidden_between_its_marks_and_no_further() {
    let key = "a\n-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\nxyz\n-----END RSA PRIVATE KEY-----\nb\n";
    let hidden = "a\n-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----\nb\n";
    assert_eq!(Redactor::new().text(key), hidden);
    let inline = r"k: -----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n, x";
    assert_eq!(Redactor::new().text(inline), r"k: -----BEGIN PRIVATE KEY-----***-----END PRIVATE KEY-----\n, x");
    let endless = format!("-----BEGIN PRIVATE KEY-----\n{}the end\n", "not a key\n".repeat(10_000));
    assert!(Redactor::new().text(&endless).ends_with("not a key\nthe end\n"));
}

#[test]
fn a_secret_is_hidden_in_all_its_forms() {
    let redactor = Redactor::new();
    let config =
        json!({"auths": {"registry.example": {"username": "robot", "auth": STANDARD.encode("robot:pull-me-please")}}});
    redactor.learn(&json!({"kind": "List", "items": [{
        "kind": "Secret",
        "data": {
            "plain": STANDARD.encode("canary-1"),
            "lines": STANDARD.encode("first line here\nPASSPHRASE=\"canary-two\"\n"),
            ".dockerconfigjson": STANDARD.encode(config.to_string()),
            "url": STANDARD.encode("postgres://me:canary-three@db/x"),
            "binary": STANDARD.encode([0, 159, 146, 150, 1, 2, 3]),
        },
        "stringData": {"more": "canary \"four\"/+"},
    }]}));
    for text in [
        "canary-1",
        "first line here",
        "canary-two",
        "pull-me-please",
        "canary-three",
        "canary \"four\"/+",
        r#"canary \"four\"/+"#,
        "canary%20%22four%22%2F%2B",
    ] {
        assert_eq!(redactor.text(&format!("<{text}>")), "<***>", "{text}");
    }
    assert_eq!(redactor.text(&STANDARD.encode("canary-1")), MASK);
    assert_eq!(redactor.text(&STANDARD.encode("robot:pull-me-please")), MASK);
    assert_eq!(redactor.bytes(&[b'<', 0, 159, 146, 150, 1, 2, 3, b'>']), b"<***>".as_slice());
    assert_eq!(redactor.text("robot registry.example"), "robot registry.example");
}

#[test]
fn what_is_everywhere_is_not_hidden() {
    let redactor = Redactor::new();
    for value in ["", "abc", "true", "Default", "8080", "****"] {
        redactor.add(value);
    }
    redactor.learn(&json!({"kind": "Secret", "type": "kubernetes.io/service-account-token",
        "data": {"namespace": STANDARD.encode("my-namespace"), "token": STANDARD.encode("opaque-token")}}));
    redactor.learn(&json!({"kind": "ConfigMap", "data": {"x": "not a secret"}}));
    assert_eq!(
        redactor.text("abc true default 8080 my-namespace not a secret"),
        "abc true default 8080 my-namespace not a secret"
    );
    assert_eq!(redactor.text("opaque-token"), MASK);
}

#[test]
fn values_that_overlap_or_touch_are_one_mask() {
    let redactor = Redactor::new();
    redactor.add("abcdef");
    redactor.add("defghi");
    assert_eq!(redactor.text("<abcdefghi><abcdefabcdef>"), "<***><***>");
}

#[test]
fn a_long_value_is_hidden_whole() {
    let value: String = (0..3000).map(|n| char::from(b'a' + u8::try_from(n * n % 26).unwrap())).collect();
    let redactor = Redactor::new();
    redactor.add(&value);
    assert_eq!(redactor.text(&format!("<{value}>")), "<***>");
}

#[test]
fn hundreds_of_values_are_all_found() {
    let redactor = Redactor::new();
    for n in 0..400 {
        redactor.add(&format!("value-{n:05}-x"));
    }
    for n in (0..400).step_by(37) {
        assert_eq!(redactor.text(&format!("value-{n:05}-x")), MASK);
    }
}

#[test]
fn a_value_that_is_learnt_before_it_has_come_whole_is_hidden() {
    let redactor = Redactor::new();
    let (mut stream, mut out) = (redactor.stream(), Vec::new());
    stream.push(&vec![b'x'; 100_000], &mut out);
    stream.push(b"canary-", &mut out);
    stream.flush(&mut out);
    redactor.add("canary-value");
    stream.push(b"value and more", &mut out);
    stream.finish(&mut out);
    assert!(out.ends_with(b"x*** and more"));
}

#[test]
fn a_line_without_end_is_held_back_only_in_part() {
    let redactor = Redactor::new();
    redactor.add("canary-value");
    let (mut stream, mut out) = (redactor.stream(), Vec::new());
    let mut pushed = 0;
    for _ in 0..200 {
        stream.push(&[b'y'; 10_000], &mut out);
        pushed += 10_000;
        assert!(pushed - out.len() < 128 * 1024, "{} of {pushed}", out.len());
    }
}

#[test]
fn a_token_longer_than_any_window_is_hidden_to_its_end() {
    let token = "a1".repeat(40_000);
    let text = format!("{} password={token} end", "x".repeat(16_000));
    assert_eq!(Redactor::new().text(&text), format!("{} password=*** end", "x".repeat(16_000)));
}

#[test]
fn json_is_redacted_by_its_structure() {
    let redactor = Redactor::new();
    redactor.add("canary-value");
    let applied = json!({"kind": "Secret", "stringData": {"a": "b"}}).to_string();
    let object = json!({"kind": "SecretList", "items": [{
        "metadata": {"name": "canary-value", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied}},
        "data": {"user": "eA=="}, "type": "Opaque"}]});
    assert_eq!(
        redactor.json(&object)["items"][0],
        json!({"metadata": {"name": "***", "annotations": {"kubectl.kubernetes.io/last-applied-configuration":
            "{\"kind\":\"Secret\",\"stringData\":{\"a\":\"***\"}}"}}, "data": {"user": "***"}, "type": "Opaque"})
    );
    let pod = json!({"kind": "Pod", "spec": {"env": [
        {"name": "DB_PASSWORD", "value": "x"}, {"name": "EPOCHS", "value": "3"},
        {"name": "API_TOKEN", "valueFrom": {"secretKeyRef": {"name": "db", "key": "token"}}}],
        "args": ["--lr=0.1", "--password=abc"], "token": 12, "automount": true}});
    assert_eq!(
        redactor.json(&pod),
        json!({"kind": "Pod", "spec": {"env": [
            {"name": "DB_PASSWORD", "value": "***"}, {"name": "EPOCHS", "value": "3"},
            {"name": "API_TOKEN", "valueFrom": {"secretKeyRef": {"name": "db", "key": "token"}}}],
            "args": ["--lr=0.1", "--password=***"], "token": "***", "automount": true}})
    );
}

#[test]
fn redacting_twice_changes_nothing_more() {
    let text = "password=abc token: a1b2c3d4 Authorization: Bearer x https://a:b@c/ Cookie: a=b\n";
    let once = Redactor::new().text(text).into_owned();
    assert_eq!(Redactor::new().text(&once), once);
}

/// Pieces that make matches, near matches and long lines likely.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"canary-value".to_vec()),
        Just(b"two\nlines".to_vec()),
        Just(b"canary-".to_vec()),
        Just(b"password=".to_vec()),
        Just(b"token: a1b2c3d4".to_vec()),
        Just(b"eyJhbGciOiJI.eyJzdWIi.c2ln".to_vec()),
        Just(b"Authorization: Bearer ".to_vec()),
        Just(b"-----BEGIN PRIVATE KEY-----".to_vec()),
        Just(b"-----END PRIVATE KEY-----".to_vec()),
        Just(b"\n".to_vec()),
        Just(b" \"".to_vec()),
        Just(vec![b'x'; 9_000]),
        Just(vec![b' '; 7_000]),
        prop::collection::vec(any::<u8>(), 0..20),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn chunks_make_no_difference(
        pieces in prop::collection::vec(piece(), 0..24),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        flush in any::<bool>(),
    ) {
        let redactor = Redactor::new();
        redactor.add("canary-value");
        redactor.add("two\nlines");
        let text = pieces.concat();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        let (mut stream, mut out, mut at) = (redactor.stream(), Vec::new(), 0);
        for cut in cuts {
            stream.push(&text[at..cut], &mut out);
            if flush {
                stream.flush(&mut out);
            }
            at = cut;
        }
        stream.push(&text[at..], &mut out);
        stream.finish(&mut out);
        prop_assert_eq!(&out[..], &redactor.bytes(&text)[..]);
        prop_assert!(memchr::memmem::find(&out, b"canary-value").is_none());
    }
}

#[test]
fn every_way_to_cut_a_short_text_in_two_gives_the_same() {
    let redactor = Redactor::new();
    redactor.add("canary-value");
    let text = b"a canary-value b\npassword=hunter2 x\n-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\ntail canary-value";
    let whole = redactor.bytes(text).into_owned();
    for cut in 0..=text.len() {
        assert_eq!(streamed(&redactor, &[&text[..cut], &text[cut..]]), whole, "cut at {cut}");
    }
    let bytes: Vec<&[u8]> = text.chunks(1).collect();
    assert_eq!(streamed(&redactor, &bytes), whole);
}
