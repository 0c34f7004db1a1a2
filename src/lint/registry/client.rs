//! One question to one registry.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{ACCEPT, WWW_AUTHENTICATE};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;

use super::Answer;
use crate::http_client;
use crate::image_reference::ImageReference;
use crate::registry::challenge::{Challenge, Token};
use crate::registry::{FORMS, base, chain};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(15);
/// Asks registries.
pub(super) struct Client {
    http: reqwest::Client,
    mirrors: BTreeMap<String, String>,
}

/// What a registry says when something is wrong.
#[derive(Deserialize)]
struct Problems {
    errors: Vec<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Client {
    /// A client that asks `mirrors` in place of the registries that they stand for. `Err` is a reason in one line: the
    /// machine's certificates can't be read.
    pub(super) fn new(mirrors: BTreeMap<String, String>) -> Result<Self, String> {
        let http = http_client::builder()
            .connect_timeout(CONNECT)
            .timeout(REQUEST)
            .build()
            .map_err(|error| format!("no client could be made: {}", chain(&error)))?;
        Ok(Self { http, mirrors })
    }

    /// Whether the registry of `image` has it.
    pub(super) async fn ask(&self, image: &ImageReference) -> Answer {
        match self.try_ask(image).await {
            Ok(answer) => answer,
            Err(reason) => Answer::Unknown(reason),
        }
    }

    async fn try_ask(&self, image: &ImageReference) -> Result<Answer, String> {
        let base = base(&image.registry, &self.mirrors)?;
        let url = Url::parse(&format!("{base}/v2/{}/manifests/{}", image.repository, image.manifest()))
            .map_err(|error| format!("`{base}` is not a URL: {error}"))?;
        let mut token = None;
        let mut response = self.request(Method::HEAD, &url, None).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            match self.token(&response, image).await? {
                Ok(given) => token = Some(given),
                Err(denied) => return Ok(denied),
            }
            response = self.request(Method::HEAD, &url, token.as_deref()).await?;
        }
        let status = response.status();
        if status.is_success() || is_transient(status) {
            return Ok(judge(status, String::new()));
        }
        // An answer to HEAD has no words, and some registries do not know HEAD: ask again for both.
        let response = self.request(Method::GET, &url, token.as_deref()).await?;
        let status = response.status();
        let words = if status.is_success() { String::new() } else { words(response).await };
        Ok(judge(status, words))
    }

    async fn request(&self, method: Method, url: &Url, token: Option<&str>) -> Result<Response, String> {
        let mut request = self.http.request(method, url.clone()).header(ACCEPT, FORMS);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await.map_err(|error| chain(&error))
    }

    /// An anonymous token, as the registry's challenge describes it; the inner `Err` is what comes of having none.
    async fn token(&self, response: &Response, image: &ImageReference) -> Result<Result<String, Answer>, String> {
        let headers = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let Some(challenge) = headers.filter_map(|header| header.to_str().ok()).find_map(Challenge::parse) else {
            return Ok(Err(Answer::Denied("it wants a user name and a password".to_owned())));
        };
        let url = challenge.token_url(&image.repository)?;
        let response = self.http.get(url).send().await.map_err(|error| chain(&error))?;
        let status = response.status();
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
                Ok(Err(Answer::Denied(or_status(words(response).await, status))))
            }
            _ if status.is_success() => {
                let token: Token =
                    response.json().await.map_err(|error| format!("its token can't be read: {}", chain(&error)))?;
                token.into_text().map(Ok).ok_or_else(|| "its token server gave no token".to_owned())
            }
            _ => Err(format!("its token server answered {status}")),
        }
    }
}

/// What passes by itself.
fn is_transient(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

fn judge(status: StatusCode, words: String) -> Answer {
    match status {
        _ if status.is_success() => Answer::Present,
        StatusCode::NOT_FOUND => Answer::Absent(if words.is_empty() { "not found".to_owned() } else { words }),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Answer::Denied(or_status(words, status)),
        StatusCode::TOO_MANY_REQUESTS => Answer::Unknown("too many requests (429); try again later".to_owned()),
        _ => Answer::Unknown(format!("it answered {}", or_status(words, status))),
    }
}

fn or_status(words: String, status: StatusCode) -> String {
    if words.is_empty() { status.to_string() } else { words }
}

/// The first problem that a registry names, in one short line; empty if it names none.
async fn words(response: Response) -> String {
    let Ok(body) = response.bytes().await else { return String::new() };
    let Ok(problems) = serde_json::from_slice::<Problems>(&body) else { return String::new() };
    let Some(problem) = problems.errors.into_iter().next() else { return String::new() };
    let text = if problem.message.is_empty() { problem.code } else { problem.message };
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).take(200).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Instant;

    use serde_json::json;
    use wiremock::matchers::{any, method, path};
    use wiremock::{Mock, MockServer, Request, ResponseTemplate};

    use super::super::{Answers, look_up};
    use super::*;

    const TOKEN: &str = "an-anonymous-token";

    /// Refuses what a real registry refuses: a question without a token, or for a form that it does not have.
    fn manifest(request: &Request, realm: &str) -> ResponseTemplate {
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let problem = |status: u16, code: &str, message: &str| {
            ResponseTemplate::new(status).set_body_json(json!({"errors": [{"code": code, "message": message}]}))
        };
        if header("authorization") != format!("Bearer {TOKEN}") {
            let challenge =
                format!(r#"Bearer realm="{realm}/token",service="registry.test",scope="repository:a/b:pull""#);
            return problem(401, "UNAUTHORIZED", "authentication required")
                .insert_header("www-authenticate", challenge);
        }
        if !header("accept").contains("application/vnd.oci.image.index.v1+json") {
            return problem(404, "MANIFEST_UNKNOWN", "OCI index found, but accept header does not support OCI indexes");
        }
        if request.url.path() == "/v2/a/b/manifests/v1" {
            ResponseTemplate::new(200)
        } else {
            problem(404, "MANIFEST_UNKNOWN", "manifest unknown")
        }
    }

    fn token(request: &Request) -> ResponseTemplate {
        let query: BTreeMap<_, _> = request.url.query_pairs().into_owned().collect();
        let is_right = query.get("service").is_some_and(|service| service == "registry.test")
            && query.get("scope").is_some_and(|scope| scope == "repository:a/b:pull");
        if is_right {
            ResponseTemplate::new(200).set_body_json(json!({"token": TOKEN}))
        } else {
            ResponseTemplate::new(400)
        }
    }

    async fn registry() -> MockServer {
        let server = MockServer::start().await;
        let realm = server.uri();
        Mock::given(path("/token")).respond_with(token).with_priority(1).mount(&server).await;
        Mock::given(any()).respond_with(move |request: &Request| manifest(request, &realm)).mount(&server).await;
        server
    }

    async fn always(answer: ResponseTemplate) -> MockServer {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        server
    }

    async fn ask_all(images: &[&str], mirror: &str) -> Answers {
        let images: BTreeSet<_> = images.iter().map(|image| ImageReference::parse(image).unwrap()).collect();
        look_up(images, &BTreeMap::from([("docker.io".to_owned(), mirror.to_owned())])).await
    }

    async fn ask(image: &str, mirror: &str) -> Answer {
        ask_all(&[image], mirror).await.into_values().next().unwrap()
    }

    #[tokio::test]
    async fn an_image_is_found_with_an_anonymous_token() {
        let server = registry().await;
        assert_eq!(ask("a/b:v1", &server.uri()).await, Answer::Present);
        assert_eq!(ask("a/b:v1", &format!("{}/", server.uri())).await, Answer::Present);
    }

    #[tokio::test]
    async fn a_registry_on_this_machine_needs_no_mirror() {
        let server = registry().await;
        let image = format!("{}/a/b:v1", server.address());
        assert_eq!(ask(&image, "https://unused.test").await, Answer::Present);
    }

    #[tokio::test]
    async fn a_tag_that_is_not_there_is_absent_in_the_registrys_words() {
        let server = registry().await;
        assert_eq!(ask("a/b:v2", &server.uri()).await, Answer::Absent("manifest unknown".to_owned()));
        let digest = format!("a/b@sha256:{}", "0".repeat(64));
        assert_eq!(ask(&digest, &server.uri()).await, Answer::Absent("manifest unknown".to_owned()));
    }

    #[tokio::test]
    async fn a_registry_without_tokens_is_asked_once_for_each_image() {
        let server = MockServer::start().await;
        Mock::given(method("HEAD"))
            .and(path("/v2/library/x/manifests/latest"))
            .respond_with(ResponseTemplate::new(200))
            .expect(1)
            .mount(&server)
            .await;
        let answers = ask_all(&["x", "docker.io/x", "docker.io/library/x"], &server.uri()).await;
        assert_eq!(answers.into_values().collect::<Vec<_>>(), [Answer::Present]);
    }

    #[tokio::test]
    async fn a_registry_that_does_not_know_head_is_asked_with_get() {
        let server = MockServer::start().await;
        Mock::given(method("GET")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
        Mock::given(method("HEAD")).respond_with(ResponseTemplate::new(405)).mount(&server).await;
        assert_eq!(ask("a/b:v1", &server.uri()).await, Answer::Present);
    }

    #[tokio::test]
    async fn what_is_refused_even_with_a_token_is_denied() {
        let server = MockServer::start().await;
        let problem = json!({"errors": [{"code": "DENIED", "message": "requested access to the resource is denied"}]});
        let challenge = format!(r#"Bearer realm="{}/token",service="x""#, server.uri());
        Mock::given(path("/token"))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({"access_token": TOKEN})))
            .with_priority(1)
            .mount(&server)
            .await;
        Mock::given(any())
            .respond_with(
                ResponseTemplate::new(401).insert_header("www-authenticate", challenge).set_body_json(problem.clone()),
            )
            .mount(&server)
            .await;
        let denied = Answer::Denied("requested access to the resource is denied".to_owned());
        assert_eq!(ask("a/b:v1", &server.uri()).await, denied);

        let no_token = MockServer::start().await;
        let challenge = format!(r#"Bearer realm="{}/token""#, no_token.uri());
        Mock::given(path("/token"))
            .respond_with(ResponseTemplate::new(403).set_body_json(problem))
            .with_priority(1)
            .mount(&no_token)
            .await;
        Mock::given(any())
            .respond_with(ResponseTemplate::new(401).insert_header("www-authenticate", challenge))
            .mount(&no_token)
            .await;
        assert_eq!(ask("a/b:v1", &no_token.uri()).await, denied);
    }

    #[tokio::test]
    async fn a_registry_that_wants_a_password_is_denied() {
        let server = always(ResponseTemplate::new(401).insert_header("www-authenticate", "Basic realm=\"x\"")).await;
        assert!(matches!(ask("a/b:v1", &server.uri()).await, Answer::Denied(_)));
    }

    #[tokio::test]
    async fn limits_and_faults_of_a_registry_are_unknown() {
        for status in [429, 500, 502, 503, 418] {
            let server = always(ResponseTemplate::new(status)).await;
            let answer = ask("a/b:v1", &server.uri()).await;
            assert!(matches!(&answer, Answer::Unknown(reason) if reason.contains(&status.to_string())), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn a_registry_that_is_not_there_is_unknown() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
        let answer = ask("a/b:v1", &format!("http://{closed}")).await;
        assert!(matches!(&answer, Answer::Unknown(reason) if reason.contains("refused")), "{answer:?}");
    }

    #[tokio::test]
    async fn open_lines_are_refused_unless_they_stay_on_this_machine() {
        let answer = ask("a/b:v1", "http://registry.example").await;
        assert!(matches!(&answer, Answer::Unknown(reason) if reason.contains("https")), "{answer:?}");
        let challenge = "Bearer realm=\"http://auth.example/token\"";
        let server = always(ResponseTemplate::new(401).insert_header("www-authenticate", challenge)).await;
        let answer = ask("a/b:v1", &server.uri()).await;
        assert!(matches!(&answer, Answer::Unknown(reason) if reason.contains("https")), "{answer:?}");
    }

    #[tokio::test]
    async fn questions_run_side_by_side_but_not_all_at_once() {
        let delay = Duration::from_secs(1);
        let server = always(ResponseTemplate::new(200).set_delay(delay)).await;
        let images: Vec<_> = (0..16).map(|number| format!("a/b:v{number}")).collect();
        let images: Vec<_> = images.iter().map(String::as_str).collect();
        let start = Instant::now();
        assert_eq!(ask_all(&images, &server.uri()).await.len(), 16);
        assert!(start.elapsed() >= 2 * delay, "{:?}", start.elapsed());
        assert!(start.elapsed() < 12 * delay, "{:?}", start.elapsed());
    }
}
