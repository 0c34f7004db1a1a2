//! Where there is a results service, and what is said where there is none.

use base64::Engine as _;

use super::*;

#[expect(clippy::unnecessary_wraps, reason = "compared with, or given as, what may be none")]
fn token(scp: &str) -> Option<Secret> {
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!(r#"{{"scp": "{scp}"}}"#));
    Some(Secret::new(format!("e30.{payload}.signature")))
}

fn services() -> Services {
    Services {
        token: token("Actions.Results:run:job"),
        results_url: Some("https://results.example/some/path?x=1".to_owned()),
        ..Services::default()
    }
}

fn absent(services: &Services, server: &str) -> String {
    Results::new(services, server).unwrap_err().to_string()
}

#[test]
fn the_service_is_at_the_origin_of_its_address() {
    let results = Results::new(&services(), "https://github.com").unwrap();
    assert_eq!(results.origin.as_str(), "https://results.example/");
    assert_eq!(results.ids(), &BackendIds { run: "run".into(), job: "job".into() });
    assert_eq!(results.order(), Order::ById);
    assert!(!format!("{results:?}").contains("signature"), "{results:?}");
}

#[test]
fn without_tls_it_is_the_server_of_act() {
    let local = Services { results_url: Some("http://172.17.0.1:34567/".to_owned()), ..services() };
    let results = Results::new(&local, "https://github.com").unwrap();
    assert_eq!((results.origin.as_str(), results.order()), ("http://172.17.0.1:34567/", Order::ByArrival));
}

#[test]
fn an_enterprise_server_has_none() {
    assert_eq!(
        absent(&services(), "https://git.company.example"),
        "git.company.example is a GitHub Enterprise Server, which has no artifacts of version 4"
    );
    assert!(absent(&services(), "https://evilghe.com").contains("evilghe.com"));
    for github in ["https://github.com", "https://GitHub.com", "https://octo.ghe.com", "http://github.localhost:3000"] {
        assert!(Results::new(&services(), github).is_ok(), "{github}");
    }
}

#[test]
fn what_is_missing_is_said() {
    let server = "https://github.com";
    assert!(absent(&Services::default(), server).contains("ACTIONS_RESULTS_URL is not set"));
    assert!(absent(&Services { token: None, ..services() }, server).contains("ACTIONS_RUNTIME_TOKEN is not set"));
    let scopeless = Services { token: token("Actions.Other"), ..services() };
    assert!(absent(&scopeless, server).contains("names no run and job (it has no scope for results)"));
    for url in ["results.example", "file:///results", "https://"] {
        let bad = Services { results_url: Some(url.to_owned()), ..services() };
        assert!(absent(&bad, server).contains("is not an address"), "{url}");
    }
}

#[test]
fn the_words_of_others_are_short_and_in_one_line() {
    assert_eq!(brief(" a\n::error::b\u{1b}[2J "), "a ::error::b [2J");
    assert_eq!(brief(&"é".repeat(400)).chars().count(), 301);
}
