//! Routes: their parts come from events, and must not become other routes.

use reqwest::Url;

use super::error::{Error, Result};

/// `/repos/{repository}{rest}`, where `rest` is empty or begins with `/`.
///
/// # Errors
/// [`Error::Unusable`] when `repository` is not `owner/name`.
pub fn repository_route(repository: &str, rest: &str) -> Result<String> {
    let is_name = |name: &str| {
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !name.is_empty() && name != "." && name != ".." && name.bytes().all(is_safe)
    };
    match repository.split_once('/') {
        Some((owner, name)) if is_name(owner) && is_name(name) => Ok(format!("/repos/{repository}{rest}")),
        _ => Err(Error::Unusable(format!("`{repository}` is not a repository: expected owner/name"))),
    }
}

/// A query, with its `?`: `query(&[("head", "o:a b")])` is `?head=o%3Aa+b`.
pub fn query(pairs: &[(&str, &str)]) -> String {
    // The host stands for any: the library encodes queries of whole addresses alone.
    let url = Url::parse_with_params("http://host", pairs);
    let query = url.ok().and_then(|url| url.query().map(str::to_owned)).filter(|query| !query.is_empty());
    query.map(|query| format!("?{query}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_can_not_lead_elsewhere() {
        assert_eq!(repository_route("o-1/r.s_t", "/pulls").as_deref(), Ok("/repos/o-1/r.s_t/pulls"));
        for odd in ["", "o", "o/", "/r", "o/r/x", "o/..", "../r", "o/r?x", "o/r#", "o/ü", "o/r%2f"] {
            assert!(matches!(repository_route(odd, ""), Err(Error::Unusable(_))), "{odd}");
        }
    }

    #[test]
    fn a_query_is_encoded() {
        assert_eq!(query(&[("head", "o:a b&c/é"), ("page", "2")]), "?head=o%3Aa+b%26c%2F%C3%A9&page=2");
        assert_eq!(query(&[]), "");
    }
}
