//! The header by which a registry asks for a token, and the token.
//!
//! Source: <https://distribution.github.io/distribution/spec/auth/token/>.

use reqwest::Url;
use serde::Deserialize;

use super::require_safe;

/// What a `WWW-Authenticate: Bearer` header asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// Where tokens are given out.
    pub(crate) realm: String,
    /// Who the token is for.
    pub(crate) service: Option<String>,
    /// What it allows.
    pub(crate) scope: Option<String>,
}

impl Challenge {
    /// Reads the value of a header; `None` if it is another scheme or names no realm.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let (scheme, mut rest) = header.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut challenge = Self::default();
        while let Some((key, after)) = rest.split_once('=') {
            let (value, tail) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => after.split_once(',').unwrap_or((after, "")),
            };
            match key.trim_matches([' ', ',']).to_ascii_lowercase().as_str() {
                "realm" => value.clone_into(&mut challenge.realm),
                "service" => challenge.service = Some(value.to_owned()),
                "scope" => challenge.scope = Some(value.to_owned()),
                _ => {}
            }
            rest = tail;
        }
        (!challenge.realm.is_empty()).then_some(challenge)
    }

    /// Where the token is asked for that lets a repository be pulled from. `Err` is a reason in one line.
    pub(crate) fn token_url(&self, repository: &str) -> Result<Url, String> {
        let mut url =
            Url::parse(&self.realm).map_err(|error| format!("its realm `{}` is not a URL: {error}", self.realm))?;
        require_safe(&url)?;
        let scope = self.scope.clone().unwrap_or_else(|| format!("repository:{repository}:pull"));
        let mut query = url.query_pairs_mut();
        query.extend_pairs(self.service.iter().map(|service| ("service", service)));
        query.append_pair("scope", &scope);
        drop(query);
        Ok(url)
    }
}

/// What a token server gives out; the name of the field differs.
#[derive(Deserialize)]
pub(crate) struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Token {
    /// The token, if there is one.
    pub(crate) fn into_text(self) -> Option<String> {
        self.token.or(self.access_token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_challenge_is_read_with_commas_inside_of_quotes() {
        let challenge = Challenge::parse(
            r#"Bearer realm="https://auth.example/token", service=registry.example,scope="repository:a/b:pull,push""#,
        );
        let expected = Challenge {
            realm: "https://auth.example/token".to_owned(),
            service: Some("registry.example".to_owned()),
            scope: Some("repository:a/b:pull,push".to_owned()),
        };
        assert_eq!(challenge, Some(expected));
    }

    #[test]
    fn other_schemes_and_broken_headers_are_no_challenge() {
        for header in ["Basic realm=\"x\"", "Bearer", "Bearer service=\"x\"", "Bearer realm=\"x", ""] {
            assert_eq!(Challenge::parse(header), None, "{header}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(header in "(Bearer )?\\PC{0,60}") {
            let _ = Challenge::parse(&header);
        }
    }
}
