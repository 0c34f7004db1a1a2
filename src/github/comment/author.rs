//! Who writes our comments.

use serde::Deserialize;

use crate::github::api::{Api, Error, Result};

/// Who wrote a comment, in the API's answers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct User {
    pub login: String,
    #[serde(default, rename = "type")]
    pub kind: String,
}

/// Whom the token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Author {
    /// A user, or an app: `github-actions[bot]`.
    Login(String),
    /// Some app: nothing that can be asked tells which.
    App,
}

impl Author {
    /// Asks who it is: GraphQL, which knows users and apps alike, else REST, which refuses apps to say.
    pub async fn of(api: &Api) -> Result<Self> {
        match api.viewer().await {
            Ok(login) => return Ok(Self::Login(login)),
            Err(error) => tracing::debug!("GraphQL does not say whose the token is: {error}"),
        }
        match api.get::<User>("/user").await {
            Ok(user) => Ok(Self::Login(user.login)),
            Err(Error::Denied { .. } | Error::NotFound { .. }) => Ok(Self::App),
            Err(error) => Err(error),
        }
    }

    /// Whether it is the writer of a comment.
    pub fn is(&self, user: &User) -> bool {
        let is_app = user.kind == "Bot";
        match self {
            // GraphQL leaves the suffix of apps out in some places.
            Self::Login(login) => {
                let app = user.login.strip_suffix("[bot]").filter(|_| is_app).unwrap_or(&user.login);
                login.eq_ignore_ascii_case(&user.login) || login.eq_ignore_ascii_case(app)
            }
            Self::App => is_app,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(login: &str, kind: &str) -> User {
        User { login: login.to_owned(), kind: kind.to_owned() }
    }

    #[test]
    fn an_app_and_a_user_of_its_name_are_two() {
        let app = user("github-actions[bot]", "Bot");
        let login = |text: &str| Author::Login(text.to_owned());
        assert!(login("github-actions[bot]").is(&app) && login("github-actions").is(&app));
        assert!(login("Someone").is(&user("someone", "User")));
        assert!(!login("github-actions[bot]").is(&user("github-actions", "User")));
        assert!(!login("github-actions[bot]").is(&user("other[bot]", "Bot")));
        assert!(Author::App.is(&app) && !Author::App.is(&user("someone", "User")));
    }
}
