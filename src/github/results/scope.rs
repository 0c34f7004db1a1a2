//! Which run and job a token is for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value as Json;

/// The scope that names them.
const SCOPE: &str = "Actions.Results";

/// The ids of a run and of one of its jobs at the results service. They are no numbers of the REST API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendIds {
    pub run: String,
    pub job: String,
}

/// The ids in a token's payload, whose `scp` is a list parted by spaces: `Actions.Results:<run>:<job>`. The signature is the
/// service's business. `Err` says what is missing.
pub(super) fn ids(token: &str) -> Result<BackendIds, &'static str> {
    let payload = token.split('.').nth(1).ok_or("it is no JSON Web Token")?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).map_err(|_| "its payload is not base64")?;
    let payload: Json = serde_json::from_slice(&payload).map_err(|_| "its payload is not JSON")?;
    let scopes = payload["scp"].as_str().ok_or("its payload has no `scp`")?;
    for scope in scopes.split(' ') {
        let mut parts = scope.split(':');
        if parts.next() != Some(SCOPE) {
            continue;
        }
        return match (parts.next(), parts.next(), parts.next()) {
            (Some(run), Some(job), None) if !run.is_empty() && !job.is_empty() => {
                Ok(BackendIds { run: run.to_owned(), job: job.to_owned() })
            }
            _ => Err("its scope for results does not have two ids"),
        };
    }
    Err("it has no scope for results")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(scp: &str) -> Result<BackendIds, &'static str> {
        ids(&format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(format!(r#"{{"scp": "{scp}", "n": 1}}"#))))
    }

    #[test]
    fn the_ids_are_in_one_of_the_scopes() {
        let found =
            of("Actions.ExampleScope:x:y:z Actions.Results:ce7f54c7:ca395085 Actions.UploadArtifacts:1").unwrap();
        assert_eq!(found, BackendIds { run: "ce7f54c7".into(), job: "ca395085".into() });
        assert_eq!(of("Actions.Results:1:1").unwrap().job, "1");
    }

    #[test]
    fn a_token_without_them_says_what_is_missing() {
        assert_eq!(of("Actions.Other:1:2"), Err("it has no scope for results"));
        for short in ["Actions.Results", "Actions.Results:1", "Actions.Results:1:2:3", "Actions.Results::2"] {
            assert_eq!(of(short), Err("its scope for results does not have two ids"), "{short}");
        }
        assert_eq!(ids("opaque"), Err("it is no JSON Web Token"));
        assert_eq!(ids("a.!.c"), Err("its payload is not base64"));
        assert_eq!(ids("a.e30.c"), Err("its payload has no `scp`"));
        assert_eq!(ids(&format!("a.{}.c", URL_SAFE_NO_PAD.encode("["))), Err("its payload is not JSON"));
    }
}
