//! Lists that come in pages.
//!
//! Source: <https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api>.

use http::Method;
use http::header::LINK;
use reqwest::Url;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Api;
use super::error::{Error, Result};

/// The most that GitHub puts on a page.
const PER_PAGE: &str = "100";

/// What pages hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pages<T> {
    /// The items, in GitHub's order.
    pub items: Vec<T>,
    /// Whether these are all; else there are more pages than were asked for.
    pub complete: bool,
}

impl Api {
    /// All items of a list, from at most `most` pages of a hundred. `field` names the list in answers that are objects (`artifacts`);
    /// `None` where the answer is the list.
    ///
    /// # Errors
    /// As [`Error`] tells them.
    pub async fn pages<T: DeserializeOwned>(&self, route: &str, field: Option<&str>, most: usize) -> Result<Pages<T>> {
        let (path, filter) = route.split_once('?').unwrap_or((route, ""));
        let separator = if filter.is_empty() { "" } else { "&" };
        let mut next = Some(format!("{path}?{filter}{separator}per_page={PER_PAGE}"));
        let mut items = Vec::new();
        for _ in 0..most {
            let Some(page) = next else { break };
            let answer = self.send(Method::GET, &page, None::<&()>).await?;
            items.append(&mut list(answer.json(&page)?, field, &page)?);
            // Only the query is taken from it: whatever an address says of host and path, the token stays where it is.
            next = answer
                .headers
                .get(LINK)
                .and_then(|link| next_query(link.to_str().ok()?))
                .map(|query| format!("{path}?{query}"));
        }
        Ok(Pages { items, complete: next.is_none() })
    }
}

fn list<T: DeserializeOwned>(mut answer: Value, field: Option<&str>, route: &str) -> Result<Vec<T>> {
    let list = match field {
        Some(field) => answer.get_mut(field).map(Value::take).unwrap_or_default(),
        None => answer,
    };
    serde_json::from_value(list)
        .map_err(|error| Error::Unreadable { route: route.to_owned(), message: error.to_string() })
}

/// The query of the next page, from a `Link` header (RFC 8288): `<https://host/path?page=2>; rel="next", ...`.
fn next_query(link: &str) -> Option<String> {
    link.split(',').find_map(|part| {
        let (address, parameters) = part.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|parameter| matches!(parameter.trim(), "rel=\"next\"" | "rel=next"));
        Url::parse(address).ok().filter(|_| is_next)?.query().map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_links() {
        let link = r#"<https://host/repositories/1/issues?page=1>; rel="prev", <https://host/x?per_page=100&page=3>; rel="next""#;
        assert_eq!(next_query(link).as_deref(), Some("per_page=100&page=3"));
        assert_eq!(next_query(r#"<https://host/x?page=1>; rel="prev""#), None);
        assert_eq!(next_query("nonsense"), None);
    }

    #[test]
    fn a_list_may_be_in_a_field() {
        let answer = serde_json::json!({"total_count": 2, "artifacts": [1, 2]});
        assert_eq!(list::<u8>(answer.clone(), Some("artifacts"), ""), Ok(vec![1, 2]));
        assert!(matches!(list::<u8>(answer, Some("runs"), "/x"), Err(Error::Unreadable { .. })));
        assert_eq!(list::<u8>(serde_json::json!([1]), None, ""), Ok(vec![1]));
    }
}
