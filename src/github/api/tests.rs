use super::*;

fn context(api_url: &str) -> RunContext {
    RunContext { api_url: api_url.to_owned(), ..RunContext::default() }
}

#[tokio::test]
async fn an_address_or_a_token_that_is_none_is_an_error() {
    let token = Secret::new("t".to_owned());
    for address in ["", "api.github.com", "ftp://host", "https://host/api?x=1", "file:///x"] {
        assert!(matches!(Api::new(&context(address), &token), Err(Error::Unusable(_))), "{address}");
    }
    for text in ["", " \n", "canary\nx", "canary\u{1}"] {
        let error = Api::new(&context("https://api.github.com"), &Secret::new(text.to_owned())).unwrap_err();
        assert!(matches!(error, Error::Unusable(_)) && !error.to_string().contains("canary"), "{error}");
    }
    assert!(Api::new(&context("http://127.0.0.1:1"), &token).is_ok());
    assert!(Api::new(&context("https://host/api/v3"), &Secret::new("t\n".to_owned())).is_ok());
}

#[test]
fn outside_a_runtime_it_is_an_error_and_no_panic() {
    let api = Api::new(&context("https://api.github.com"), &Secret::new("t".to_owned()));
    assert!(matches!(api, Err(Error::Unusable(_))));
}

#[tokio::test]
async fn the_token_does_not_show() {
    let api = Api::new(&context("https://api.github.com"), &Secret::new("ghs_canary".to_owned())).unwrap();
    assert!(!format!("{api:?}").contains("canary"), "{api:?}");
}
